/** A catalogue of another version stops nobody: it is made again, and that is said. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { open } from "lmdb";
import { schema } from "../../src/store/catalogue.js";
import type { Home } from "../../src/store/home.js";
import { firstDevice } from "../support/store-devices.js";
import { noise, rowsOf, runProgram, seed, storeChunks, withStore, workFolder } from "../support/store-home.js";

const where = workFolder();

/** Make a catalogue look like that of another version: its number, and rows that this one cannot read. */
async function otherVersion(home: Home, number: number): Promise<void> {
  const options = { encoding: "binary", keyEncoding: "binary" } as const;
  const root = open<Buffer, Buffer>({ path: home.catalogue, maxDbs: 32, overlappingSync: false, ...options });
  const meta = root.openDB<Buffer, Buffer>("meta", options);
  const key = Buffer.alloc(4);
  key.writeUInt32BE(number);
  await meta.put(Buffer.from("schema"), key);
  await root.openDB<Buffer, Buffer>("revisions", options).put(Buffer.from("x"), Buffer.from("of another shape"));
  await root.close();
  const seal = readFileSync(home.catalogueSeal, "latin1");
  writeFileSync(home.catalogueSeal, seal.replace(/^\d+/, String(number)));
}

for (const [which, number] of [
  ["the version before", schema - 1],
  ["a newer version", schema + 1],
] as const)
  test(`a catalogue of ${which} is made again in its own time, and nobody has to help`, async () => {
    const home = firstDevice(join(where, which.replaceAll(" ", "-")));
    const rows = await withStore(home, async (store) => {
      for (let i = 0; i < 3; i++) await storeChunks(store, "data", [noise(3000, seed, i)]);
      return rowsOf(store.catalogue);
    });
    await otherVersion(home, number);
    const first = runProgram(home, "revisions");
    assert.equal(first.status, 0);
    assert.equal(
      first.err.split("\n")[0],
      "bcoopfs: the catalogue is of another version and is being made again from segments and logs",
    );
    assert.equal(existsSync(`${home.catalogue}.damaged`), false, "nothing was damaged");
    const said: string[] = [];
    assert.deepEqual(await withStore(home, (store) => rowsOf(store.catalogue), said), rows);
    assert.deepEqual(said, []);
  });

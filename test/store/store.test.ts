/** Opening is recovery: what it replays, lists, cuts, refuses and leaves alone. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Problem } from "../../src/base/errors.js";
import type { Home } from "../../src/store/home.js";
import {
  checkRebuilt,
  copyHome,
  keyringAt,
  newHome,
  noise,
  openStore,
  rowsOf,
  seed,
  segmentPaths,
  storeChunks,
  withStore,
  workFolder,
} from "../support/store-home.js";

const where = workFolder();
let homes = 0;
const fresh = (): Home => newHome(join(where, `home-${homes++}`));
const logOf = (home: Home): string => join(home.logs, readdirSync(home.logs)[0] as string);

const is =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof Problem && error.code === code;

function change(path: string, bytes: Buffer, at: number): void {
  bytes[at] = (bytes[at] as number) ^ 9;
  writeFileSync(path, bytes);
}

/** A home with three commits of one chunk each. */
async function filled(): Promise<{ home: Home; ids: Buffer[] }> {
  const home = fresh();
  const ids: Buffer[] = [];
  await withStore(home, async (store) => {
    for (let i = 0; i < 3; i++) ids.push(...(await storeChunks(store, "data", [noise(3000, seed, i)])));
  });
  return { home, ids };
}

test("a catalogue that is behind is brought up to its logs, without a word", async () => {
  const { home, ids } = await filled();
  const rows = await withStore(home, (store) => rowsOf(store.catalogue));
  for (const keep of [0, 1, 2]) {
    // The log and the segments of now, the catalogue of then.
    const then = copyHome(home, join(where, `behind-${keep}`));
    rmSync(then.catalogue, { recursive: true });
    const log = readFileSync(logOf(home));
    const ends: number[] = [];
    for (let at = 0; at < log.length; at += 4 + log.readUInt32LE(at)) ends.push(at);
    writeFileSync(logOf(then), log.subarray(0, ends[1 + keep]));
    await withStore(then, () => {});
    writeFileSync(logOf(then), log);
    const said: string[] = [];
    await withStore(
      then,
      async (store) => {
        assert.deepEqual(rowsOf(store.catalogue), rows);
        for (const id of ids) await store.reader.chunk("data", id);
        await checkRebuilt(store);
      },
      said,
    );
    assert.deepEqual(said, []);
  }
});

test("a torn log tail is cut on opening, and what it was about is stored again", async () => {
  const { home, ids } = await filled();
  const log = readFileSync(logOf(home));
  const copy = copyHome(home, join(where, "torn"));
  await withStore(copy, (store) => storeChunks(store, "data", [noise(3000, seed, 9)]));
  const longer = readFileSync(logOf(copy));
  const torn = copyHome(home, join(where, "torn-2"));
  for (let length = log.length; length < longer.length; length += 17) {
    writeFileSync(logOf(torn), longer.subarray(0, length));
    const said: string[] = [];
    await withStore(torn, (store) => assert.ok(store.catalogue.chunk(ids[2] as Buffer)), said);
    assert.deepEqual(said, []);
    assert.equal(statSync(logOf(torn)).size, log.length);
  }
});

test("a rebuild that cannot read the logs leaves the index as it was", async () => {
  const { home, ids } = await filled();
  const log = readFileSync(logOf(home));
  const first = log.readUInt32LE(0) + 4;
  log[first + 200] = (log[first + 200] as number) ^ 1;
  writeFileSync(logOf(home), log);
  const said: string[] = [];
  await withStore(
    home,
    async (store) => {
      const before = rowsOf(store.catalogue);
      await assert.rejects(store.rebuild(), is("damaged"));
      assert.deepEqual(rowsOf(store.catalogue), before);
      for (const id of ids) await store.reader.chunk("data", id);
      assert.throws(() => [...store.history()], is("damaged"));
    },
    said,
  );
  assert.deepEqual(said, []);
  assert.ok(readFileSync(logOf(home)).equals(log));
});

test("a rebuild names segments that it cannot read and goes on with the others", async () => {
  const damages: readonly [string, (path: string, bytes: Buffer) => void][] = [
    ["missing", (path) => rmSync(path)],
    ["empty", (path) => writeFileSync(path, "")],
    ["cut", (path, bytes) => writeFileSync(path, bytes.subarray(0, bytes.length - 1))],
    ["of an unknown format", (path, bytes) => change(path, bytes, 8)],
    ["of an unknown kem", (path, bytes) => change(path, bytes, 11)],
    ["changed in its trailer", (path, bytes) => change(path, bytes, bytes.length - 3)],
  ];
  for (const [why, damage] of damages) {
    const { home, ids } = await filled();
    const said: string[] = [];
    await withStore(
      home,
      async (store) => {
        const row = store.catalogue.segment(store.catalogue.chunk(ids[1] as Buffer)?.segment as number);
        const path = segmentPaths(home).find((one) =>
          one.includes(row?.listing.name.toString("hex") as string),
        ) as string;
        damage(path, readFileSync(path));
        await store.rebuild();
        assert.equal(store.catalogue.chunk(ids[1] as Buffer), undefined, why);
        for (const i of [0, 2]) await store.reader.chunk("data", ids[i] as Buffer);
        // Stored again, it is there again, and stays so.
        await storeChunks(store, "data", [noise(3000, seed, 1)]);
        await store.reader.chunk("data", ids[1] as Buffer);
        await checkRebuilt(store);
        await store.reader.chunk("data", ids[1] as Buffer);
      },
      said,
    );
    assert.ok(said.length >= 1 && said.every((line) => line.startsWith("segment ")), `${why}: ${said}`);
  }
});

test("a rebuild lists segments that no log knows", async () => {
  const { home, ids } = await filled();
  const log = readFileSync(logOf(home));
  const genesis = log.subarray(0, log.readUInt32LE(0) + 4);
  writeFileSync(logOf(home), genesis);
  rmSync(home.catalogue, { recursive: true });
  await withStore(home, async (store) => {
    assert.equal(store.catalogue.chunk(ids[0] as Buffer), undefined);
    await store.rebuild();
    for (const id of ids) await store.reader.chunk("data", id);
    await checkRebuilt(store);
  });
});

test("a rebuild waits for nobody: where another process is at work it is refused", async () => {
  const { home } = await filled();
  const hold = fileURLToPath(new URL("../support/store-open.js", import.meta.url));
  const child = spawn(process.execPath, [hold, home.path], { stdio: ["pipe", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const store = await openStore(home);
  const before = rowsOf(store.catalogue);
  await assert.rejects(store.rebuild(), is("busy"));
  assert.deepEqual(rowsOf(store.catalogue), before);
  const ended = new Promise((resolve) => child.on("exit", resolve));
  child.kill("SIGKILL");
  await ended;
  await store.rebuild();
  assert.deepEqual(rowsOf(store.catalogue), before);
  await store.close();
});

test("several processes that meet a damaged catalogue at once all come through", async () => {
  const { home } = await filled();
  for (const damage of ["damaged", "missing"]) {
    const data = join(home.catalogue, "data.mdb");
    if (damage === "missing") rmSync(data);
    else writeFileSync(data, noise(statSync(data).size, seed));
    const hold = fileURLToPath(new URL("../support/store-open.js", import.meta.url));
    const children = [0, 1, 2, 3].map(() => {
      const child = spawn(process.execPath, [hold, home.path], { stdio: ["pipe", "pipe", "inherit"] });
      const said = new Promise<string>((resolve) => child.stdout.once("data", (bytes) => resolve(String(bytes))));
      const code = new Promise((resolve) => child.on("exit", resolve));
      return { child, said, code };
    });
    const said = await Promise.all(children.map((one) => one.said));
    for (const { child } of children) child.stdin.end("\n");
    assert.deepEqual(await Promise.all(children.map((one) => one.code)), [0, 0, 0, 0]);
    assert.equal(said.filter((line) => line.includes(damage)).length, 1, said.join());
  }
});

test("two that open in one process at once come through", async () => {
  const { home, ids } = await filled();
  const stores = await Promise.all([openStore(home), openStore(home)]);
  for (const store of stores) await store.reader.chunk("data", ids[0] as Buffer);
  for (const store of stores) await store.close();
  await withStore(home, checkRebuilt);
});

test("a home that is none is told", async () => {
  const home = fresh();
  const keyring = keyringAt(home);
  rmSync(home.store, { recursive: true });
  const { Store } = await import("../../src/store/store.js");
  const { realSystem } = await import("../../src/base/system.js");
  await assert.rejects(
    Store.open(home, keyring, realSystem, () => {}),
    is("no-vault"),
  );
});

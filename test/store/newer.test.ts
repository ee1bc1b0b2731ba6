/** What newer versions write into the log of a store keeps this one from nothing. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { realSystem } from "../../src/base/system.js";
import { encodeListings, encodeTablePlaces, type Listing } from "../../src/format/listing.js";
import { recordTypes, sealRecord } from "../../src/format/record.js";
import { check } from "../../src/upkeep/check.js";
import { openVault } from "../../src/vault/vault.js";
import { LogFile } from "../../src/store/log.js";
import {
  checkRebuilt,
  keyringAt,
  newHome,
  noise,
  openStore,
  runProgram,
  seed,
  storeChunks,
  withStore,
  workFolder,
} from "../support/store-home.js";

const where = workFolder();

test("a list of kinds and importances that this version does not know keeps no store from opening", async () => {
  const home = newHome(join(where, "one"));
  const bytes = noise(50_000, seed);
  const [id] = (await withStore(home, (store) => storeChunks(store, "data", [bytes]))) as [Buffer];
  const keyring = keyringAt(home);
  const listing = (n: number, kind: number): Listing => ({
    name: noise(32, seed, n),
    length: 2 ** 40,
    kind,
    salt: noise(32, seed, n + 50),
    class: { copies: 7, minimum: 3, importance: 200 },
    adopted: false,
    fields: [{ number: 9, bytes: Buffer.from("shard 1 of 7") }],
  });
  const clear = encodeListings([3, 4, 200, 255, 0].map((kind, i) => listing(i + 1, kind)));
  const log = LogFile.open(join(home.logs, readdirSync(home.logs)[0] as string));
  log.underLock(log.first, (head) => {
    const { id: previous, seq, time } = head.record;
    const draft = {
      type: recordTypes.list,
      vault: keyring.vault,
      log: log.id,
      seq: seq + 1n,
      previous,
      time: time + 1n,
      clear,
      secret: encodeTablePlaces([], [{ number: 1, bytes: Buffer.from("newer") }]),
    };
    log.append(head, [sealRecord(draft, keyring.epoch, keyring.device, realSystem.random)]);
  });
  log.close();

  const said: string[] = [];
  const store = await openStore(home, said);
  try {
    assert.deepEqual(await store.reader.chunk("data", id), bytes);
    for (let n = 1; n <= 5; n++) assert.equal(store.catalogue.segmentByName(noise(32, seed, n)), undefined);
    await checkRebuilt(store);
    const [later] = (await storeChunks(store, "data", [noise(9000, seed, 77)])) as [Buffer];
    assert.deepEqual(await store.reader.chunk("data", later), noise(9000, seed, 77));
    assert.ok(
      [...store.history()].some((record) => record.clear.equals(clear)),
      "the record is kept to the byte",
    );
  } finally {
    await store.close();
  }
  assert.deepEqual(said, []);
  assert.equal(runProgram(home, "status").status, 0);
  const told: string[] = [];
  const vault = await openVault(home.path, realSystem, (message) => told.push(message));
  try {
    const { shown } = await check(vault, { readData: "all" }, () => {});
    assert.deepEqual(shown, []);
    assert.deepEqual(told, []);
  } finally {
    await vault.close();
  }
});

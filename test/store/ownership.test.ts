/**
 * What counts as stored: what this device lists itself, or inherited by the root key's word, and what is here or proved
 * elsewhere. What another device lists is read, and never relied upon: that one may release it any day.
 */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { realSystem } from "../../src/base/system.js";
import { defaultClass, encodeRelease, importances, type PlacementClass } from "../../src/format/listing.js";
import { certify } from "../../src/format/certificate.js";
import { encodeSucceed, signSucceed } from "../../src/format/root-signed.js";
import { signingKeyOf } from "../../src/format/sign.js";
import { check } from "../../src/upkeep/check.js";
import { openVault } from "../../src/vault/vault.js";
import { objectPath } from "../../src/store/objects.js";
import { segmentPath } from "../../src/store/segments.js";
import type { Store } from "../../src/store/store.js";
import { firstDevice, furtherDevice, giveAll, giveObjects, rootOf, rowsByName } from "../support/store-devices.js";
import { noise, openStore, seed, storeChunks, workFolder } from "../support/store-home.js";

const where = workFolder();
let homes = 0;
const place = (): string => join(where, `home-${homes++}`);
const bytes = noise(9000, seed);

/** Is this chunk taken as stored? */
function has(store: Store, id: Buffer, placement: PlacementClass = defaultClass): boolean {
  const session = store.session(placement);
  try {
    return session.has(id);
  } finally {
    session.close();
  }
}

/** The segment in which a chunk is to be found. */
function segmentOf(store: Store, id: Buffer): NonNullable<ReturnType<Store["catalogue"]["segment"]>> {
  const row = store.catalogue.segment(store.catalogue.chunk(id)?.segment ?? 0);
  assert.ok(row);
  return row;
}

function receipt(store: Store, log: Buffer, holder: number, names: readonly Buffer[]): void {
  const facts = { seq: 1n, id: noise(32, 1), time: store.system.now(), all: false };
  assert.ok(store.ledger.addReceipt({ holder: noise(32, 3000 + holder), log, names, ...facts }));
}

async function rebuilds(store: Store): Promise<void> {
  const before = rowsByName(store.catalogue);
  await store.rebuild();
  assert.deepEqual(rowsByName(store.catalogue), before);
  store.catalogue.walk();
}

test("what only another device's segment holds is stored again once, and then found in our own", async () => {
  const one = firstDevice(place());
  const two = furtherDevice(one, place());
  const [a, b] = [await openStore(one), await openStore(two)];
  const [id] = (await storeChunks(b, "data", [bytes])) as [Buffer];
  giveAll(b, a);
  giveObjects(b, a);
  assert.ok((await a.reader.chunk("data", id)).equals(bytes), "it is read");
  assert.equal(has(a, id), false, "and not relied upon");
  await storeChunks(a, "data", [bytes]);
  assert.ok(a.isOwn(segmentOf(a, id).log));
  assert.ok(has(a, id));
  const segments = [...a.catalogue.segments()].length;
  await storeChunks(a, "data", [bytes]);
  assert.equal([...a.catalogue.segments()].length, segments, "once");
  // Whatever comes of theirs, in whatever place, ours stays the one.
  await storeChunks(b, "data", [noise(5000, seed, 2)]);
  giveAll(b, a);
  giveObjects(b, a);
  for (const { name } of a.ledger.listedBy((b.heads()[0] as { log: Buffer }).log)) a.ledger.arrived(name);
  assert.ok(a.isOwn(segmentOf(a, id).log));
  const better = { copies: 9, minimum: 9, importance: importances.critical };
  const session = b.session(better);
  session.put("data", bytes);
  await session.commit(() => []);
  session.close();
  giveAll(b, a);
  giveObjects(b, a);
  assert.ok(a.isOwn(segmentOf(a, id).log));
  await rebuilds(a);
  assert.ok(a.isOwn(segmentOf(a, id).log));
  for (const store of [a, b]) await store.close();
});

test("an own segment goes first, also where its chunk was another device's before", async () => {
  const one = firstDevice(place());
  const two = furtherDevice(one, place());
  const [a, b] = [await openStore(one), await openStore(two)];
  for (const store of [a, b]) await storeChunks(store, "data", [bytes]);
  const id = (await storeChunks(a, "data", [bytes]))[0] as Buffer;
  giveAll(b, a);
  giveObjects(b, a);
  assert.ok(a.isOwn(segmentOf(a, id).log));
  // When ours is released, theirs is where it is read.
  const { name } = segmentOf(a, id).listing;
  const clear = encodeRelease({ names: [name], fields: [] });
  a.commit([], [{ type: "release", clear, secret: Buffer.alloc(0) }]);
  rmSync(segmentPath(a.home, name));
  assert.equal(a.isOwn(segmentOf(a, id).log), false);
  assert.equal(has(a, id), false);
  assert.ok((await a.reader.chunk("data", id)).equals(bytes));
  await rebuilds(a);
  for (const store of [a, b]) await store.close();
});

test("what is inherited counts up to the record that the root key names, here or proved elsewhere", async () => {
  const one = firstDevice(place());
  const a = await openStore(one);
  const [early] = (await storeChunks(a, "data", [bytes])) as [Buffer];
  const [{ log, seq }] = a.heads() as [ReturnType<Store["heads"]>[number]];
  const [late] = (await storeChunks(a, "data", [noise(9000, seed, 2)])) as [Buffer];
  const heir = await openStore(furtherDevice(one, place(), [{ log, seq }]));
  giveAll(a, heir);
  for (const id of [early, late]) assert.equal(has(heir, id), false, "nothing of it is here");
  giveObjects(a, heir);
  assert.equal(has(heir, early), true);
  assert.equal(has(heir, late), false);
  const { name } = segmentOf(heir, early).listing;
  rmSync(objectPath(heir.home, name));
  assert.equal(has(heir, early), false);
  // One other that signed for it will do for the default class, and more where more must have it.
  receipt(heir, log, 1, [name]);
  assert.equal(has(heir, early), true);
  const session = a.session({ ...defaultClass, minimum: 3 });
  const [third] = [session.put("data", noise(7000, seed, 3)).id];
  await session.commit(() => []);
  session.close();
  assert.equal(has(heir, early, { ...defaultClass, minimum: 2 }), false, "of too low a class");
  assert.ok(third);
  // What others signed outlives a rebuild; what is in a segment that is not here its table object tells.
  await heir.rebuild();
  assert.equal(has(heir, early), false);
  await heir.reader.learnTables();
  assert.equal(has(heir, early), true);
  assert.equal(heir.ledger.wantedCount(), 1);
  for (const store of [a, heir]) await store.close();
});

test("an own segment that is gone from here counts while enough others signed that they hold it", async () => {
  const store = await openStore(firstDevice(place()));
  const session = store.session({ ...defaultClass, minimum: 2 });
  const { id } = session.put("data", bytes);
  await session.commit(() => []);
  session.close();
  const { listing, log } = segmentOf(store, id);
  assert.ok(store.isOwn(log));
  rmSync(segmentPath(store.home, listing.name));
  const wanted = { ...defaultClass, minimum: 2 };
  assert.equal(has(store, id, wanted), false);
  receipt(store, log, 1, [listing.name]);
  assert.equal(has(store, id, wanted), false);
  assert.equal(has(store, id), true);
  receipt(store, log, 2, [listing.name]);
  assert.equal(has(store, id, wanted), true);
  await store.close();
});

test("logs that came before the root key's word count from then on, those of living devices stay theirs", async () => {
  const one = firstDevice(place());
  const two = furtherDevice(one, place());
  const [a, b] = [await openStore(one), await openStore(two)];
  const ids: Buffer[] = [];
  for (const store of [a, b]) ids.push((await storeChunks(store, "data", [bytes]))[0] as Buffer);
  const heads = [a, b].map((store) => store.heads()[0] as ReturnType<Store["heads"]>[number]);
  for (const [which, head] of heads.entries()) {
    // The heir inherits one of the two, whose segments both hold the chunk; the record is written when all is here.
    const home = furtherDevice(one, place());
    const heir = await openStore(home);
    for (const store of [a, b]) {
      giveAll(store, heir);
      giveObjects(store, heir);
    }
    assert.equal(has(heir, ids[0] as Buffer), false);
    const { keyring } = heir;
    const root = rootOf(one);
    const body = { vault: keyring.vault, serial: 9n, certificate: keyring.certificate, logs: [head], fields: [] };
    const clear = encodeSucceed(signSucceed(root, body));
    heir.commit([], [{ type: "succeed", clear, secret: Buffer.alloc(0) }]);
    assert.equal(has(heir, ids[0] as Buffer), true);
    assert.deepEqual(segmentOf(heir, ids[0] as Buffer).log, heads[which]?.log);
    await rebuilds(heir);
    assert.deepEqual(segmentOf(heir, ids[0] as Buffer).log, heads[which]?.log);
    await heir.close();
  }
  for (const store of [a, b]) await store.close();
});

test("another device's word that it inherits makes nothing ours, and a false one nobody's", async () => {
  const one = firstDevice(place());
  const two = furtherDevice(one, place());
  const [a, b] = [await openStore(one), await openStore(two)];
  const [id] = (await storeChunks(b, "data", [bytes])) as [Buffer];
  const [head] = b.heads() as [ReturnType<Store["heads"]>[number]];
  const { keyring } = b;
  const signed = (root = rootOf(one), certificate = keyring.certificate): Buffer =>
    encodeSucceed(signSucceed(root, { vault: keyring.vault, serial: 9n, certificate, logs: [head], fields: [] }));
  b.commit([], [{ type: "succeed", clear: signed(), secret: Buffer.alloc(0) }]);
  giveAll(b, a);
  giveObjects(b, a);
  assert.equal(has(a, id), false);
  // In its own log each device must be able to read what it wrote: what is no succession is none.
  const stranger = signingKeyOf(noise(32, seed, 4));
  const other = certify(rootOf(one), stranger.publicKey, 3, 1n);
  for (const clear of [signed(stranger), signed(rootOf(one), other), noise(200, 1)]) {
    const kept = await openStore(furtherDevice(one, place()));
    giveAll(b, kept);
    assert.throws(() => kept.commit([], [{ type: "succeed", clear, secret: Buffer.alloc(0) }]));
    await kept.close();
  }
  for (const store of [a, b]) await store.close();
});

test("check takes what is another device's, and not here, for no damage", async () => {
  const path = place();
  const one = firstDevice(path);
  const two = furtherDevice(one, place());
  const [a, b] = [await openStore(one), await openStore(two)];
  await storeChunks(a, "data", [bytes]);
  await storeChunks(b, "data", [bytes, noise(70_000, seed, 6)]);
  giveAll(b, a);
  for (const store of [a, b]) await store.close();
  for (const readData of [false, "all"] as const) {
    const vault = await openVault(path, realSystem, () => {});
    const result = await check(vault, { readData }, () => {});
    assert.deepEqual(result.shown, []);
    await vault.close();
  }
});

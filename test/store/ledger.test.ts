/** What others signed: counted as they said it, in whatever order it comes, kept when the index is made again. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { toHex } from "../../src/base/bytes.js";
import { realSystem, type System } from "../../src/base/system.js";
import { encodeListings, encodeRelease, encodeTablePlaces, type Listing } from "../../src/format/listing.js";
import { openVault, type Vault } from "../../src/vault/vault.js";
import type { Head } from "../../src/store/others.js";
import { Catalogue } from "../../src/store/catalogue.js";
import { copiesOfRevisions } from "../../src/store/copies.js";
import type { Home } from "../../src/store/home.js";
import { putListed } from "../../src/store/listed.js";
import type { Store } from "../../src/store/store.js";
import { commitRevision, file, folder } from "../support/recall-revision.js";
import { firstDevice, furtherDevice, giveAll, giveObjects } from "../support/store-devices.js";
import { noise, rowsOf, seed, workFolder } from "../support/store-home.js";

const where = workFolder();
let homes = 0;
const place = (): string => join(where, `home-${homes++}`);
const holder = (n: number): Buffer => noise(32, 7000 + n);
const open = (home: Home, system: System = realSystem): Promise<Vault> => openVault(home.path, system, () => {});

async function commit(vault: Vault, n: number): Promise<string> {
  const { id } = await commitRevision(vault, folder({ f: file([noise(20_000, seed, n)]) }));
  return toHex(id);
}

const ownHead = (store: Store): Head => store.heads().find(({ log }) => store.isOwn(log)) as Head;
const namesOf = (store: Store, log: Buffer): Buffer[] => [...store.ledger.listedBy(log)].map(({ name }) => name);

interface Said {
  readonly all?: boolean;
  readonly time?: bigint;
  readonly seq?: bigint;
}

/** A holder signs for these objects of a log. */
function sign(store: Store, n: number, log: Buffer, names: readonly Buffer[], said: Said = {}): boolean {
  const { all = false, time = store.system.now(), seq = 1n } = said;
  return store.ledger.addReceipt({ holder: holder(n), log, seq, id: noise(32, Number(seq)), time, all, names });
}

test("receipts add up, those that state all replace, and old ones change nothing", async () => {
  const vault = await open(firstDevice(place()));
  const { store } = vault;
  await commit(vault, 1);
  const { log } = ownHead(store);
  const names = namesOf(store, log);
  assert.ok(names.length >= 2);
  const [one, two] = names as [Buffer, Buffer];
  const now = store.system.now();
  const held = (n: number): number =>
    names.filter((name) => store.ledger.holdersOf(name).some((by) => by.equals(holder(n)))).length;

  assert.ok(sign(store, 1, log, [one], { time: now, seq: 1n }));
  assert.ok(sign(store, 1, log, [two], { time: now + 1n, seq: 2n }));
  assert.equal(held(1), 2);
  assert.deepEqual(store.ledger.holdersOf(one), [holder(1)]);
  assert.equal(store.ledger.copiesOf(one), 1);
  assert.ok(sign(store, 2, log, [one]));
  assert.equal(store.ledger.copiesOf(one), 2);
  assert.deepEqual(new Set(store.ledger.holdersOf(one).map(toHex)), new Set([holder(1), holder(2)].map(toHex)));
  // The newest of each is how far it knows the log, whatever comes late.
  const [head] = store.ledger.headReceipts(log).filter(({ device }) => device.equals(holder(1)));
  assert.deepEqual([head?.seq, head?.time, head?.id], [2n, now + 1n, noise(32, 2)]);
  assert.ok(sign(store, 1, log, [], { time: now, seq: 1n }));
  assert.equal(store.ledger.headReceipts(log).find(({ device }) => device.equals(holder(1)))?.seq, 2n);

  assert.ok(sign(store, 1, log, [two], { all: true, time: now + 5n }));
  assert.deepEqual([held(1), held(2)], [1, 1]);
  for (const said of [{ time: now + 4n }, { time: now + 4n, all: true }, { time: now + 5n, all: true }])
    assert.equal(sign(store, 1, log, [one], said), false, "said before it took it back");
  assert.equal(held(1), 1);
  assert.ok(sign(store, 1, log, [one], { time: now + 5n }));
  assert.equal(held(1), 2);
  assert.ok(sign(store, 1, log, [], { all: true, time: now + 6n }));
  assert.equal(held(1), 0);
  // Two logs list one object, as after a fork: what is said of one takes nothing from the other.
  store.beginAnew("a test");
  const again = encodeListings([store.catalogue.segmentByName(one)?.listing as Listing]);
  store.commit([], [{ type: "list", clear: again, secret: encodeTablePlaces([]) }]);
  const second = store.heads().find((each) => !each.log.equals(log)) as Head;
  assert.deepEqual(namesOf(store, second.log), [one]);
  assert.ok(sign(store, 3, second.log, [one]));
  assert.ok(sign(store, 3, log, [one]));
  assert.equal(held(3), 1, "one copy");
  assert.ok(sign(store, 3, log, [], { all: true }));
  assert.equal(held(3), 1);
  assert.ok(sign(store, 3, second.log, [], { all: true }));
  assert.equal(held(3), 0);
  store.catalogue.walk();
  await vault.close();
});

test("what is no concern of ours is not noted", async () => {
  const vault = await open(firstDevice(place()));
  const { store } = vault;
  await commit(vault, 1);
  const { log } = ownHead(store);
  const names = namesOf(store, log);
  const before = rowsOf(store.catalogue);
  assert.equal(sign(store, 1, noise(32, 1), names), false, "a log that nobody knows");
  assert.equal(sign(store, 1, log, names, { time: store.system.now() + 10n ** 15n }), false, "a clock far ahead");
  const own = { holder: vault.device, log, seq: 1n, id: noise(32, 1), time: 1n, all: false, names };
  assert.equal(store.ledger.addReceipt(own), false, "our own word");
  assert.deepEqual(rowsOf(store.catalogue), before);
  assert.ok(sign(store, 1, log, [noise(32, 5), noise(32, 6)]));
  assert.equal(store.ledger.copiesOf(noise(32, 5)), 0, "names that the log does not list");
  await vault.close();
});

test("what others said and who they are outlives a rebuild, and stays under the sum", async () => {
  const vault = await open(firstDevice(place()));
  const { store } = vault;
  const id = await commit(vault, 1);
  const { log } = ownHead(store);
  for (let n = 0; n < 3; n++) assert.ok(sign(store, n, log, namesOf(store, log)));
  const facts = {
    vault: noise(32, 1),
    label: "attic",
    keeps: true,
    seen: 5n,
    fields: [{ number: 1, bytes: Buffer.from("x") }],
  };
  store.ledger.notePeer(holder(1), facts);
  store.ledger.notePeer(holder(2), { ...facts, vault: undefined, label: "" });
  store.ledger.notePeer(holder(2), { ...facts, vault: undefined, label: "cellar", keeps: false });
  const before = rowsOf(store.catalogue);
  await store.rebuild();
  assert.deepEqual(rowsOf(store.catalogue), before);
  store.catalogue.walk();
  assert.equal(store.ledger.copiesOfRevisions().get(id), 3);
  assert.deepEqual(
    store.ledger
      .peers()
      .map(({ device, facts: { label } }) => [toHex(device), label])
      .sort(),
    [
      [toHex(holder(1)), "attic"],
      [toHex(holder(2)), "cellar"],
    ].sort(),
  );
  assert.deepEqual(store.ledger.peers().find(({ device }) => device.equals(holder(1)))?.facts, facts);
  await vault.close();
});

test("a revision has a copy on who signed for all that its log lists up to it", async () => {
  const vault = await open(firstDevice(place()));
  const { store } = vault;
  const ids: string[] = [];
  const ends: number[] = [];
  const { log } = ownHead(store);
  for (let i = 0; i < 4; i++) {
    ids.push(await commit(vault, i));
    ends.push(namesOf(store, log).length);
  }
  const bySeq = [...store.ledger.listedBy(log)].sort((a, b) => Number(a.seq - b.seq)).map(({ name }) => name);
  const counts = (): number[] => ids.map((id) => store.ledger.copiesOfRevisions().get(id) as number);
  assert.deepEqual(counts(), [0, 0, 0, 0]);
  sign(store, 1, log, bySeq.slice(0, ends[1]));
  assert.deepEqual(counts(), [1, 1, 0, 0]);
  sign(store, 2, log, bySeq.slice(1));
  assert.deepEqual(counts(), [1, 1, 0, 0]);
  sign(store, 3, log, bySeq);
  assert.deepEqual(counts(), [2, 2, 1, 1]);
  sign(store, 2, log, bySeq.slice(0, 1));
  assert.deepEqual(counts(), [3, 3, 2, 2]);
  // What is released need not be held by anybody.
  const [gone] = bySeq as [Buffer];
  for (const n of [1, 2, 3]) sign(store, n, log, bySeq.slice(1), { all: true });
  assert.deepEqual(counts(), [0, 0, 0, 0]);
  store.commit([], [{ type: "release", clear: encodeRelease({ names: [gone], fields: [] }), secret: Buffer.alloc(0) }]);
  assert.deepEqual(counts(), [3, 3, 3, 3]);
  await vault.close();
});

test("what a log goes on from, or inherits, must be there as well", async () => {
  const one = firstDevice(place());
  const vault = await open(one);
  const { store } = vault;
  const early = await commit(vault, 1);
  const first = ownHead(store);
  store.beginAnew("a test");
  const late = await commit(vault, 2);
  const second = store.heads().find(({ log }) => !log.equals(first.log)) as Head;
  const counts = (of: Store, ...ids: string[]): (number | undefined)[] =>
    ids.map((id) => of.ledger.copiesOfRevisions().get(id));
  sign(store, 1, second.log, namesOf(store, second.log));
  assert.deepEqual(counts(store, early, late), [0, 0], "what it goes on from is not there");
  sign(store, 1, first.log, namesOf(store, first.log));
  assert.deepEqual(counts(store, early, late), [1, 1]);

  const heads = store.heads();
  const heir = await open(furtherDevice(one, place(), heads));
  giveAll(store, heir.store);
  const third = await commit(heir, 3);
  const own = ownHead(heir.store);
  sign(heir.store, 1, own.log, namesOf(heir.store, own.log));
  for (const { log } of heads) {
    assert.deepEqual(counts(heir.store, third), [0], "what it inherits is not there");
    sign(heir.store, 1, log, namesOf(heir.store, log));
  }
  assert.deepEqual(counts(heir.store, early, late, third), [1, 1, 1]);
  // This device and the one that wrote a revision are no copies of it.
  giveObjects(store, heir.store);
  assert.deepEqual(counts(heir.store, early, late, third), [1, 1, 1]);
  for (const each of [vault, heir]) await each.close();
});

test("of another device's revisions this one is a copy when it has everything", async () => {
  const one = firstDevice(place());
  const [a, b] = [await open(one), await open(furtherDevice(one, place()))];
  const id = await commit(b, 1);
  giveAll(b.store, a.store);
  const count = (): number | undefined => a.store.ledger.copiesOfRevisions().get(id);
  assert.equal(count(), 0);
  const [first] = a.store.ledger.wanted(9);
  giveObjects(b.store, a.store, (name) => !name.equals(first?.name as Buffer));
  assert.equal(count(), 0);
  giveObjects(b.store, a.store);
  assert.equal(count(), 1);
  const { log } = ownHead(b.store);
  sign(a.store, 1, log, namesOf(a.store, log));
  assert.equal(count(), 2);
  for (const each of [a, b]) await each.close();
});

test("copies of a thousand revisions in ten thousand segments at thirty holders are counted at once", async (t) => {
  const catalogue = Catalogue.open(place());
  const [vault, device, log] = [noise(32, 1), noise(32, 2), noise(32, 3)] as [Buffer, Buffer, Buffer];
  const segments = 10_000;
  const holders = 30;
  catalogue.write(() => {
    const at = { start: 0, end: 1, own: true, frozen: false };
    catalogue.setApplied({ log, scope: vault, device, seq: BigInt(segments), id: noise(32, 4), ...at });
    for (let i = 0; i < segments; i++) {
      const name = noise(32, 10_000 + i);
      putListed(catalogue, { log, name, length: 1, kind: 1, seq: BigInt(i), released: false });
      for (let h = 0; h < holders; h++)
        if (h !== i % 4000) catalogue.put("copies", Buffer.concat([name, holder(h), log]), Buffer.alloc(8));
      if (i % 10 === 9)
        catalogue.addRevision({
          id: noise(32, 900_000 + i),
          log,
          seq: BigInt(i),
          device,
          time: BigInt(i),
          body: Buffer.alloc(1),
        });
    }
  });
  const began = performance.now();
  const counts = copiesOfRevisions(catalogue, vault, device);
  const ms = performance.now() - began;
  t.diagnostic(`${Math.round(ms)} ms`);
  assert.equal(counts.size, segments / 10);
  // Holder h lacks the segment h: the first revision, at 9, is whole at those from the tenth on.
  assert.equal(counts.get(toHex(noise(32, 900_009))), holders - 10);
  assert.equal(counts.get(toHex(noise(32, 900_039))), 0);
  assert.ok(ms < 20_000, `${ms} ms`);
  await catalogue.close();
});

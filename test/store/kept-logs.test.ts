/** Others' logs beside the own ones: applied as they come, in whatever order, and made again as they were. */
import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { toHex } from "../../src/base/bytes.js";
import { realSystem } from "../../src/base/system.js";
import { defaultClass, encodeRelease } from "../../src/format/listing.js";
import { check } from "../../src/upkeep/check.js";
import { allRevisions } from "../../src/vault/revisions.js";
import { openVault } from "../../src/vault/vault.js";
import { homeAt } from "../../src/store/home.js";
import { OtherLogs } from "../../src/store/others.js";
import type { Store } from "../../src/store/store.js";
import { commitRevision, file, folder } from "../support/recall-revision.js";
import { firstDevice, furtherDevice, give, giveAll, giveObjects, rowsByName } from "../support/store-devices.js";
import { noise, openStore, seed, storeChunks, withStore, workFolder } from "../support/store-home.js";

const where = workFolder();
let homes = 0;
const place = (): string => join(where, `home-${homes++}`);

/** Two devices of a vault with two revisions each, and a device of another vault with one. */
async function world(): Promise<{ one: string; two: string; other: string }> {
  const [one, two, other] = [place(), place(), place()];
  furtherDevice(firstDevice(one), two);
  firstDevice(other, 2);
  for (const [i, path] of [one, two, one, two, other].entries()) {
    const vault = await openVault(path, realSystem, () => {});
    await commitRevision(vault, folder({ a: file([noise(60_000, seed, i)]), same: file([noise(50_000, seed, 99)]) }));
    await vault.close();
  }
  return { one, two, other };
}

const opened = (path: string, said: string[] = []): Promise<Store> => openStore(homeAt(path), said);

test("logs of the own vault and of another one: what they list, show and want", async () => {
  const { one, two, other } = await world();
  const [a, b, c] = [await opened(one), await opened(two), await opened(other)];
  const before = [...allRevisions(a.catalogue)].map(({ id }) => toHex(id));
  giveAll(b, a);
  giveAll(c, a);
  assert.deepEqual(
    a.heads().map(({ log, seq, id }) => [toHex(log), seq, toHex(id)]),
    [...a.heads().slice(0, 1), ...b.heads(), ...c.heads()].map(({ log, seq, id }) => [toHex(log), seq, toHex(id)]),
  );
  const all = [...allRevisions(a.catalogue)];
  const theirs = [...allRevisions(b.catalogue)].map(({ id }) => toHex(id));
  assert.deepEqual(all.map(({ id }) => toHex(id)).sort(), [...before, ...theirs].sort());
  for (const [i, { time }] of all.entries()) assert.ok(i === 0 || time > (all[i - 1]?.time as bigint), "by time");

  const wanted = a.ledger.wanted(100);
  assert.equal(wanted.length, a.ledger.wantedCount());
  assert.deepEqual(
    wanted.map(({ priority }) => priority),
    [...wanted.map(({ priority }) => priority)].sort(),
  );
  assert.equal(new Set(wanted.map(({ priority }) => priority)).size, 4, "metadata and data, own and others'");
  const listed = [...b.heads(), ...c.heads()].flatMap(({ log }) => [...a.ledger.listedBy(log)]);
  assert.deepEqual(wanted.map(({ name }) => toHex(name)).sort(), listed.map(({ name }) => toHex(name)).sort());
  assert.deepEqual(a.ledger.wanted(2), wanted.slice(0, 2));
  assert.deepEqual(a.ledger.wanted(100, wanted[2]), wanted.slice(3));
  for (const { log } of c.heads())
    for (const { name } of a.ledger.listedBy(log)) assert.deepEqual(a.ledger.listers(name), [log]);
  // Nothing of another vault is in the index.
  for (const { name } of c.heads().flatMap(({ log }) => [...a.ledger.listedBy(log)]))
    assert.equal(a.catalogue.segmentByName(name), undefined);

  assert.equal(giveObjects(b, a) + giveObjects(c, a), wanted.length);
  assert.equal(a.ledger.wantedCount(), 0);
  for (const { log } of [...b.heads(), ...c.heads()])
    assert.deepEqual(
      a.ledger.heldOf(log).map(({ name }) => toHex(name)),
      [...a.ledger.listedBy(log)].map(({ name }) => toHex(name)),
    );
  for (const store of [a, b, c]) await store.close();
});

test("whatever comes first, the index is the same, and made again it is the index that was", async () => {
  const { one, two, other } = await world();
  const dumps: string[][] = [];
  for (const order of ["objects last", "objects between", "others first"]) {
    const path = place();
    const home = furtherDevice(homeAt(one), path);
    const said: string[] = [];
    await withStore(
      home,
      async (it) => {
        const stores = [await opened(one), await opened(two), await opened(other)];
        if (order === "others first") stores.reverse();
        for (const store of stores) {
          giveAll(store, it);
          if (order !== "objects last") giveObjects(store, it);
        }
        for (const store of stores) giveObjects(store, it);
        assert.equal(it.ledger.wantedCount(), 0);
        const before = rowsByName(it.catalogue);
        await it.rebuild();
        assert.deepEqual(rowsByName(it.catalogue), before, order);
        it.catalogue.walk();
        // But for this device's own log, which is another one each time.
        const own = it.heads()[0]?.log as Buffer;
        dumps.push(before.filter((row) => !row.includes(toHex(own))));
        for (const store of stores) await store.close();
      },
      said,
    );
    assert.deepEqual(said, []);
    // Without a catalogue all of it comes back too, others' logs included, by opening alone.
    const before = await withStore(home, (store) => rowsByName(store.catalogue));
    rmSync(home.catalogue, { recursive: true });
    assert.deepEqual(await withStore(home, (store) => rowsByName(store.catalogue)), before);
    const vault = await openVault(path, realSystem, () => {});
    const result = await check(vault, { readData: "all" }, () => {});
    assert.deepEqual(result.shown, []);
    assert.equal(result.revisions, 4);
    await vault.close();
  }
  assert.deepEqual(dumps[1], dumps[0]);
  assert.deepEqual(dumps[2], dumps[0]);
});

test("a crash between appending and applying is mended when the logs are next asked for, and by a rebuild", async () => {
  const { one, two } = await world();
  const source = await opened(two);
  const [{ log, seq, scope }] = source.heads() as [ReturnType<Store["heads"]>[number]];
  for (let upTo = 1; upTo <= Number(seq); upTo++) {
    const path = place();
    const home = furtherDevice(homeAt(one), path);
    // What a process left that appended, and died before the index knew of it.
    await withStore(home, (store) => {
      for (let at = 0n; at < BigInt(upTo) - 1n; at++)
        assert.equal(store.acceptRecords(log, source.recordsOf(log, at, 1), () => true).outcome, "accepted");
    });
    const logs = OtherLogs.open(join(home.logs, toHex(scope)), scope, () => undefined);
    const from = BigInt(Math.max(0, upTo - 1));
    assert.equal(logs.accept(log, source.recordsOf(log, from, 1e5)).outcome, "accepted");
    logs.close();
    const how = upTo % 2 === 0 ? "asked" : "rebuilt";
    await withStore(home, async (store) => {
      assert.notEqual(store.catalogue.applied(log)?.seq, seq, "opening a home does not look at others' logs");
      if (how === "asked") store.heads();
      else await store.rebuild();
      assert.equal(store.catalogue.applied(log)?.seq, seq);
      assert.equal([...store.catalogue.revisions()].length, 2);
      const before = rowsByName(store.catalogue);
      await store.rebuild();
      assert.deepEqual(rowsByName(store.catalogue), before);
    });
  }
  await source.close();
});

test("a kept log whose file was cut short or damaged is taken again from where it still reads", async () => {
  const { one, two } = await world();
  const source = await opened(two);
  const [{ log, seq, scope }] = source.heads() as [ReturnType<Store["heads"]>[number]];
  const path = place();
  const home = furtherDevice(homeAt(one), path);
  const kept = join(home.logs, toHex(scope), toHex(log));
  let rows: string[] = [];
  await withStore(home, (store) => {
    giveAll(source, store);
    rows = rowsByName(store.catalogue);
  });
  const whole = readFileSync(kept);
  const damages: readonly [string, () => void][] = [
    ["torn", () => truncateSync(kept, whole.length - 5)],
    ["cut in the middle", () => truncateSync(kept, whole.length >> 1)],
    ["cut in its first record", () => truncateSync(kept, 100)],
    ["empty", () => truncateSync(kept, 0)],
    ["gone", () => rmSync(kept)],
    ["followed by noise", () => appendFileSync(kept, noise(300, seed))],
    ["a bit flipped in the middle", () => writeFileSync(kept, flipped(whole, whole.length >> 1))],
    ["a bit flipped in its first record", () => writeFileSync(kept, flipped(whole, 50))],
    ["a bit flipped in its last record", () => writeFileSync(kept, flipped(whole, whole.length - 3))],
    ["its folder gone", () => rmSync(join(home.logs, toHex(scope)), { recursive: true })],
  ];
  for (const [why, damage] of damages) {
    damage();
    const said: string[] = [];
    await withStore(
      home,
      (store) => {
        const known = store.heads().find((head) => head.log.equals(log));
        if (known !== undefined && known.seq < seq)
          assert.deepEqual(store.recordsOf(log, known.seq + 1n, 1e6), [], `${why}: nothing is given that is not there`);
        // Whoever is asked for what does not read notices that it does not.
        for (let at = 0n; at <= seq; at++) store.recordsOf(log, at, 1);
        giveAll(source, store);
        assert.equal(store.heads().find((head) => head.log.equals(log))?.seq, seq, why);
        assert.deepEqual(rowsByName(store.catalogue), rows, why);
        assert.deepEqual(store.recordsOf(log, 0n, 1e6), source.recordsOf(log, 0n, 1e6), why);
      },
      said,
    );
    assert.deepEqual(said, [], why);
    assert.ok(readFileSync(kept).equals(whole), why);
  }
  await source.close();
});

function flipped(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] as number) ^ 8;
  return changed;
}

test("what another device releases is no longer wanted, and its own segments stay what they are", async () => {
  const { one, two } = await world();
  const [a, b] = [await opened(one), await opened(two)];
  giveAll(b, a);
  const [{ log }] = b.heads() as [ReturnType<Store["heads"]>[number]];
  const [gone, ...rest] = [...a.ledger.listedBy(log)].map(({ name }) => name) as [Buffer];
  const own = [...a.catalogue.segments()].filter((row) => a.isOwn(row.log)).map(({ listing }) => listing.name);
  const clear = encodeRelease({ names: [gone, own[0] as Buffer], fields: [] });
  b.commit([], [{ type: "release", clear, secret: Buffer.alloc(0) }]);
  giveAll(b, a);
  assert.deepEqual(
    [...a.ledger.listedBy(log)].map(({ name }) => toHex(name)),
    rest.map(toHex),
  );
  assert.ok(!a.ledger.wanted(100).some(({ name }) => name.equals(gone)));
  assert.equal(a.catalogue.segmentByName(gone), undefined);
  assert.ok(a.catalogue.segmentByName(own[0] as Buffer), "nobody releases what another lists");
  const before = rowsByName(a.catalogue);
  await a.rebuild();
  assert.deepEqual(rowsByName(a.catalogue), before);
  for (const store of [a, b]) await store.close();
});

test("what is missing is wanted again, and what others have lies damaged goes", async () => {
  const { one, two } = await world();
  const [a, b] = [await opened(one), await opened(two)];
  giveAll(b, a);
  giveObjects(b, a);
  const [{ log }] = b.heads() as [ReturnType<Store["heads"]>[number]];
  const name = a.ledger.heldOf(log)[0]?.name as Buffer;
  a.ledger.missing(name);
  assert.deepEqual(
    a.ledger.wanted(9).map((one) => toHex(one.name)),
    [toHex(name)],
  );
  assert.equal(
    a.ledger.heldOf(log).some((one) => one.name.equals(name)),
    false,
  );
  assert.equal(giveObjects(b, a), 1);
  // What came and was not noted is found where it is.
  a.ledger.missing(name);
  giveObjects(b, a);
  const own = [...a.catalogue.segments()].find((row) => a.isOwn(row.log))?.listing as { name: Buffer; length: number };
  a.ledger.missing(own.name);
  assert.deepEqual(a.ledger.wanted(9), [], "an own segment that is here is not asked for");
  for (const store of [a, b]) await store.close();
});

test("a home with others' logs opens without looking at them", async () => {
  const { one, two, other } = await world();
  await withStore(homeAt(one), async (a) => {
    for (const path of [two, other]) await withStore(homeAt(path), (store) => giveAll(store, a));
  });
  const home = homeAt(one);
  for (const scope of readdirSync(home.logs).filter((name) => statSync(join(home.logs, name)).isDirectory()))
    for (const name of readdirSync(join(home.logs, scope))) rmSync(join(home.logs, scope, name));
  const said: string[] = [];
  await withStore(
    home,
    async (store) => {
      assert.equal([...store.catalogue.revisions()].length, 4);
      assert.equal(store.heads().length, 1);
      await storeChunks(store, "data", [noise(4000, seed, 5)]);
    },
    said,
  );
  assert.deepEqual(said, []);
  assert.ok(existsSync(home.logs));
});

test("a log that this home writes is never kept a second time", async () => {
  const { one, two } = await world();
  const [a, b] = [await opened(one), await opened(two)];
  giveAll(a, b);
  const [{ log, scope }] = a.heads() as [ReturnType<Store["heads"]>[number]];
  assert.equal(give(b, a, log).outcome, "known");
  assert.ok(!existsSync(join(a.home.logs, toHex(scope), toHex(log))));
  const session = a.session(defaultClass);
  session.put("data", noise(3000, seed, 8));
  await session.commit(() => []);
  session.close();
  giveAll(a, b);
  assert.deepEqual(
    b.heads().find((head) => head.log.equals(log)),
    a.heads()[0],
  );
  for (const store of [a, b]) await store.close();
});

/** Rows come back as they were put, by every key; a transaction is all or nothing; two equal catalogues dump alike. */
import assert from "node:assert/strict";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { noFields } from "../../src/format/fields.js";
import { defaultClass, type Listing, objectKinds } from "../../src/format/listing.js";
import { Catalogue, type ChunkPlace, type LogRow } from "../../src/store/catalogue.js";
import { chances, noise, rowsOf, seed, workFolder } from "../support/store-home.js";

const where = workFolder();
const chance = chances(seed);
const id = (n: number): Buffer => noise(32, seed, n);

function listing(n: number): Listing {
  return {
    name: id(n),
    length: 65_536 * (1 + chance(16_000)),
    kind: chance(2) ? objectKinds.dataSegment : objectKinds.metadataSegment,
    salt: id(n + 1e6),
    class: { copies: chance(256), minimum: chance(256), importance: 1 + chance(3) },
    adopted: chance(2) === 1,
    fields: noFields,
  };
}

function place(segment: number): ChunkPlace {
  const type = (["data", "tree", "list", "table"] as const)[chance(4)] as "data";
  return { segment, frame: chance(65_536), offset: chance(8 << 20), length: chance(4 << 20), type };
}

function logRow(row: Partial<LogRow>): LogRow {
  const none = { seq: 0n, id: id(3), start: 0, end: 9 };
  return { log: id(1), scope: id(4), device: id(2), own: true, frozen: false, ...none, ...row };
}

/** Fill a catalogue by numbers alone. */
function fill(catalogue: Catalogue, from: number, count: number): void {
  for (let n = from; n < from + count; n++)
    catalogue.write(() => {
      const frames = Array.from({ length: chance(20) }, (_, i) => ({
        offset: i * 99,
        boxBytes: 99,
        rawBytes: chance(9),
      }));
      const number = catalogue.addSegment({
        listing: listing(n),
        log: id(1),
        seq: BigInt(n),
        epoch: chance(3),
        frames,
      });
      for (let i = 0; i < 20; i++) catalogue.putChunk(id(n * 100 + i + 1e7), place(number));
      const body = noise(chance(60_000), n);
      const row = {
        id: id(n + 2e6),
        log: id(1),
        seq: BigInt(n),
        device: id(2),
        time: BigInt(chance(9e9)) - 10n ** 9n,
        body,
      };
      catalogue.addRevision(row);
      catalogue.setApplied(logRow({ seq: BigInt(n), id: row.id, start: n * 10, end: n * 10 + 10 }));
    });
}

test("rows come back as they were put, also after reopening", async () => {
  const path = join(where, "one");
  mkdirSync(path);
  let catalogue = Catalogue.open(path);
  const put = catalogue.write(() => {
    const row = {
      listing: listing(7),
      log: id(11),
      seq: 2n ** 63n - 1n,
      epoch: 3,
      frames: [{ offset: 112, boxBytes: 900, rawBytes: 12_000 }],
    };
    const number = catalogue.addSegment(row);
    const chunk = place(number);
    catalogue.putChunk(id(9), chunk);
    const revision = { id: id(10), log: id(11), seq: 2n ** 63n, device: id(12), time: -5n, body: noise(500, 1) };
    catalogue.addRevision(revision);
    const older = { ...revision, id: id(20), time: -6n };
    const newer = { ...revision, id: id(21), time: 2n ** 63n - 1n };
    for (const one of [newer, older]) catalogue.addRevision(one);
    const applied = logRow({ log: id(11), seq: 2n ** 64n - 1n, id: id(10), start: 4000, end: 2 ** 45, frozen: true });
    catalogue.setApplied(applied);
    const heir = { heir: id(12), log: id(11), upTo: 2n ** 64n - 1n, inherits: true };
    catalogue.addHeir(heir);
    return { segment: { ...row, number }, chunk, revision, older, newer, applied, heir };
  });
  for (let round = 0; round < 2; round++) {
    assert.equal(put.segment.number, 1);
    assert.deepEqual(catalogue.segment(1), put.segment);
    assert.deepEqual(catalogue.segmentByName(id(7)), put.segment);
    assert.deepEqual(catalogue.segmentBySalt(id(7 + 1e6)), put.segment);
    assert.deepEqual([...catalogue.segments()], [put.segment]);
    assert.deepEqual(catalogue.chunk(id(9)), put.chunk);
    assert.deepEqual(catalogue.revision(id(10)), put.revision);
    assert.deepEqual([...catalogue.revisions()], [put.older, put.revision, put.newer]);
    assert.deepEqual([...catalogue.revisionIdsFrom(id(10).subarray(0, 3))], [id(10)]);
    assert.deepEqual(catalogue.applied(id(11)), put.applied);
    assert.deepEqual([...catalogue.logs()], [put.applied]);
    assert.deepEqual([...catalogue.heirs(id(11))], [put.heir]);
    assert.deepEqual([...catalogue.heirs(id(12))], []);
    assert.equal(catalogue.chunk(id(99)), undefined);
    assert.equal(catalogue.segment(2), undefined);
    assert.equal(catalogue.segmentByName(id(99)), undefined);
    assert.equal(catalogue.revision(id(99)), undefined);
    assert.equal(catalogue.applied(id(99)), undefined);
    assert.equal(catalogue.walk(), rowsOf(catalogue).length);
    await catalogue.close();
    catalogue = Catalogue.open(path);
  }
  await catalogue.close();
  assert.equal(statSync(join(path, "data.mdb")).mode & 0o777, 0o600);
});

test("a transaction that fails leaves nothing, in rows, counters or sum", async () => {
  const catalogue = Catalogue.open(join(where, "two"));
  fill(catalogue, 0, 5);
  const before = rowsOf(catalogue);
  for (const error of [new Problem("damaged", "x"), new Error("x")])
    assert.throws(() =>
      catalogue.write(() => {
        const number = catalogue.addSegment({ listing: listing(50), log: id(1), seq: 0n, epoch: 0, frames: [] });
        catalogue.putChunk(id(52), place(number));
        catalogue.segment(number);
        throw error;
      }),
    );
  assert.deepEqual(rowsOf(catalogue), before);
  assert.equal(catalogue.segment(6), undefined);
  catalogue.walk();
  fill(catalogue, 5, 1);
  assert.ok(catalogue.segment(6));
  catalogue.walk();
  await catalogue.close();
});

test("the sum follows rows that are replaced", async () => {
  const catalogue = Catalogue.open(join(where, "three"));
  fill(catalogue, 0, 3);
  for (let i = 0; i < 5; i++) catalogue.write(() => catalogue.putChunk(id(1e7), place(1 + chance(3))));
  catalogue.walk();
  const before = rowsOf(catalogue);
  const same = catalogue.chunk(id(1e7)) as ChunkPlace;
  catalogue.write(() => catalogue.putChunk(id(1e7), same));
  assert.deepEqual(rowsOf(catalogue), before);
  await catalogue.close();
});

test("a segment that is struck takes its chunks along, and the sum follows", async () => {
  const catalogue = Catalogue.open(join(where, "five"));
  fill(catalogue, 0, 3);
  const before = rowsOf(catalogue);
  fill(catalogue, 3, 1);
  const row = catalogue.segment(4);
  assert.ok(row);
  catalogue.write(() => {
    catalogue.addTablePlace({ salt: row.listing.salt, table: id(1), holder: id(2) });
    catalogue.removeSegment(row.listing.name);
    catalogue.removeSegment(id(12345));
  });
  assert.equal(catalogue.segment(4), undefined);
  assert.equal(catalogue.segmentBySalt(row.listing.salt), undefined);
  assert.equal(catalogue.tablePlace(row.listing.salt), undefined);
  assert.equal(catalogue.chunk(id(300 + 1e7)), undefined);
  const chunks = (rows: string[]): string[] => rows.filter((one) => one.startsWith("chunks "));
  assert.deepEqual(chunks(rowsOf(catalogue)), chunks(before));
  catalogue.walk();
  await catalogue.close();
});

test("cleared and filled again in the same way, it is the same", async () => {
  const catalogue = Catalogue.open(join(where, "four"));
  const empty = rowsOf(catalogue);
  const again = chances(seed + 5);
  const numbers = Array.from({ length: 30 }, () => again(1e6));
  const work = (): void => {
    for (const n of numbers)
      catalogue.write(() => {
        const salt = id(n + 1);
        const kind = objectKinds.dataSegment;
        const one = { name: id(n), length: 65_536, kind, salt, class: defaultClass, adopted: false, fields: noFields };
        const number = catalogue.addSegment({ listing: one, log: id(1), seq: 0n, epoch: 0, frames: [] });
        catalogue.addTablePlace({ salt, table: id(n + 3), holder: id(n + 4) });
        catalogue.putChunk(id(n + 2), { segment: number, frame: 0, offset: n, length: n, type: "data" });
      });
  };
  work();
  const rows = rowsOf(catalogue);
  catalogue.clear();
  assert.deepEqual(
    rowsOf(catalogue).filter((row) => !row.startsWith("meta 73756d ")),
    empty.filter((row) => !row.startsWith("meta 73756d ")),
  );
  catalogue.walk();
  assert.equal(catalogue.segment(1), undefined);
  work();
  assert.deepEqual(rowsOf(catalogue), rows);
  await catalogue.close();
});

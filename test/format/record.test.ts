/** Records: signed, chained, sealed where only the vault may read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { blake3 } from "@noble/hashes/blake3.js";
import { format } from "../../src/base/limits.js";
import { newEpoch } from "../../src/format/keys.js";
import {
  checkRecord,
  decodeRecord,
  follows,
  type LogRecord,
  openRecord,
  type RecordDraft,
  recordHeaderBytes,
  recordTypes,
  sealRecord,
} from "../../src/format/record.js";
import { sign, signingKeyOf } from "../../src/format/sign.js";
import { checkPlain, checkSealed } from "../support/strict.js";
import { full, randomOf, samplesOf } from "./given.js";
import fc from "fast-check";

const random = randomOf("record");
const vault = random(32);
const epoch = newEpoch(random, 4);
const device = signingKeyOf(random(32));
const genesisDraft: RecordDraft = {
  type: recordTypes.genesis,
  vault,
  log: undefined,
  seq: 0n,
  previous: undefined,
  time: 1_700_000_000_000_000_000n,
  clear: random(200),
  secret: Buffer.alloc(0),
};
const genesis = sealRecord(genesisDraft, epoch, device, random);
/** types that begin a log */
const firsts: readonly number[] = [recordTypes.genesis, recordTypes.found];

function next(last: LogRecord, change: Partial<RecordDraft> = {}): LogRecord {
  const draft: RecordDraft = {
    type: recordTypes.revision,
    vault,
    log: last.log,
    seq: last.seq + 1n,
    previous: last.id,
    time: last.time + 1n,
    clear: Buffer.alloc(0),
    secret: Buffer.from("the body"),
    ...change,
  };
  return sealRecord(draft, epoch, device, random);
}

test("a log: genesis names it, each record names the one before", () => {
  assert.deepEqual(genesis.log, genesis.id);
  let last = genesis;
  for (const type of [...Object.values(recordTypes).filter((number) => !firsts.includes(number)), 999, 65_535]) {
    const record = next(last, { type, clear: type < 256 ? random(40) : Buffer.alloc(0) });
    assert.deepEqual(decodeRecord(record.bytes), record);
    checkRecord(record, device.publicKey);
    assert.ok(follows(last, record), `type ${type}`);
    assert.equal(openRecord(record, epoch).toString(), "the body");
    assert.deepEqual(
      [record.type, record.epoch, record.vault],
      [type, epoch.number, vault],
      "unknown types are kept as well",
    );
    last = record;
  }
});

test("the id is BLAKE3 of what is signed: header and the hashes of both bodies", () => {
  const record = next(genesis, { clear: random(10) });
  const signed = Buffer.concat([
    record.bytes.subarray(0, recordHeaderBytes),
    blake3(record.clear),
    blake3(record.sealed),
  ]);
  assert.deepEqual(record.id, Buffer.from(blake3(signed)));
  assert.deepEqual(record.bytes.subarray(-64), sign(device, "record", signed));
});

test("records are decoded strictly", () => {
  const draft = fc.tuple(fc.nat(70), fc.nat(60), fc.bigInt(-(1n << 63n), (1n << 63n) - 2n), fc.nat(0xffff));
  const samples = samplesOf(draft, 5).map(([clear, secret, time, type]) =>
    next(
      { ...genesis, time },
      { clear: random(clear), secret: random(secret), type: firsts.includes(type) ? 2 : type },
    ),
  );
  checkPlain("record", { encode: ({ bytes }) => bytes, decode: decodeRecord, samples: [genesis, ...samples] });
});

test("every altered bit is refused by whoever knows the device", () => {
  const record = next(genesis, { clear: random(20) });
  for (const { bytes } of [genesis, record])
    checkSealed("record", bytes, (altered) => checkRecord(decodeRecord(altered), device.publicKey), full ? 8 : 1);
});

test("another device, another domain, a missing signature are refused", () => {
  const record = next(genesis);
  assert.throws(() => checkRecord(record, signingKeyOf(random(32)).publicKey), { code: "damaged" });
  const signed = Buffer.concat([record.head, blake3(record.clear), blake3(record.sealed)]);
  for (const signature of [sign(device, "certificate", signed), Buffer.alloc(64), genesis.bytes.subarray(-64)]) {
    const bytes = Buffer.concat([record.bytes.subarray(0, -64), signature]);
    assert.throws(() => checkRecord(decodeRecord(bytes), device.publicKey), { code: "damaged" });
  }
});

test("a body moved between clear and sealed, or to another record, is refused", () => {
  const record = next(genesis, { clear: random(50) });
  const other = next(record, { clear: random(50) });
  const mixed = Buffer.concat([record.head, record.clear, other.sealed, record.bytes.subarray(-64)]);
  assert.throws(() => checkRecord(decodeRecord(mixed), device.publicKey), { code: "damaged" });
  // The device itself signs another's sealed body: it does not open, because it is bound to its header.
  const signed = Buffer.concat([record.head, blake3(record.clear), blake3(other.sealed)]);
  const bytes = Buffer.concat([record.head, record.clear, other.sealed, sign(device, "record", signed)]);
  const forged = decodeRecord(bytes);
  checkRecord(forged, device.publicKey);
  assert.throws(() => openRecord(forged, epoch), { code: "damaged" });
});

test("the wrong epoch opens nothing; an empty body needs no key", () => {
  assert.throws(() => openRecord(next(genesis), newEpoch(random, 4)), { code: "damaged" });
  assert.throws(() => openRecord(next(genesis), { ...epoch, log: random(32) }), { code: "damaged" });
  assert.equal(openRecord(genesis, newEpoch(random, 9)).length, 0);
  assert.equal(
    openRecord(next(genesis), { ...epoch, data: random(32), metadata: random(32), table: random(32) }).length,
    8,
  );
});

test("what does not follow", () => {
  const second = next(genesis);
  const third = next(second);
  assert.ok(follows(genesis, second) && follows(second, third));
  const wrong: readonly [why: string, last: LogRecord, record: LogRecord][] = [
    ["a gap", genesis, third],
    ["itself", second, second],
    ["backwards", second, genesis],
    ["another previous", second, next(second, { previous: genesis.id })],
    ["another vault", second, next(second, { vault: random(32) })],
    ["another log", second, next(second, { log: random(32) })],
    ["the same time", second, next(second, { time: second.time })],
    ["an earlier time", second, next(second, { time: second.time - 1n })],
    ["a number left out", second, next(second, { seq: 3n })],
  ];
  for (const [why, last, record] of wrong) assert.ok(!follows(last, record), why);
  // Two that both follow prove a fork: same place, different ids.
  const other = next(genesis);
  assert.ok(follows(genesis, other));
  assert.notDeepEqual(other.id, second.id);
});

test("a genesis comes first, and only first", () => {
  const refused = (change: Partial<RecordDraft>): void =>
    assert.throws(() => sealRecord({ ...genesisDraft, ...change }, epoch, device, random), { code: "format" });
  refused({ seq: 1n });
  refused({ log: random(32) });
  refused({ previous: random(32) });
  refused({ type: recordTypes.list });
  refused({ type: recordTypes.list, seq: 1n });
  refused({ type: recordTypes.list, seq: 1n, log: random(32) });
  refused({ type: recordTypes.list, seq: 1n, previous: random(32) });
  assert.notDeepEqual(sealRecord({ ...genesisDraft, clear: random(200) }, epoch, device, random).log, genesis.log);
});

test("times of any sign and the last sequence number come back", () => {
  for (const time of [0n, -1n, -(1n << 63n), (1n << 63n) - 1n])
    assert.equal(next({ ...genesis, time: time - 1n }).time, time);
  assert.equal(next(genesis, { seq: (1n << 64n) - 1n }).seq, (1n << 64n) - 1n);
});

test("bounds: 64 KiB with everything, a sealed body of at least its seal, zero reserve, known formats", () => {
  const room = format.recordBytes - recordHeaderBytes - 64;
  const largest = next(genesis, { clear: Buffer.alloc(room), secret: Buffer.alloc(0) });
  assert.equal(largest.bytes.length, format.recordBytes);
  assert.throws(() => next(genesis, { clear: Buffer.alloc(room + 1), secret: Buffer.alloc(0) }), RangeError);
  assert.throws(() => decodeRecord(Buffer.concat([largest.bytes, Buffer.alloc(1)])), { code: "format" });
  const changed = (act: (bytes: Buffer) => void, from = next(genesis)): Buffer => {
    const bytes = Buffer.from(from.bytes);
    act(bytes);
    return bytes;
  };
  const cases: readonly [why: string, bytes: Buffer, code: string][] = [
    ["another magic", changed((b) => b.write("BCOOPSEG")), "format"],
    ["a newer format", changed((b) => b.writeUInt8(2, 8)), "unsupported"],
    ["another suite", changed((b) => b.writeUInt8(2, 9)), "unsupported"],
    ["reserved bytes used", changed((b) => b.writeUInt8(1, 167)), "format"],
    ["a clear body announced beyond the end", changed((b) => b.writeUInt32LE(0xffff_ffff, 128)), "format"],
    ["a sealed body announced beyond the end", changed((b) => b.writeUInt32LE(0xffff_ffff, 132)), "format"],
  ];
  for (const [why, bytes, code] of cases) assert.throws(() => decodeRecord(bytes), { code }, why);
  const short = next(genesis, { clear: random(39), secret: Buffer.alloc(0) });
  const swapped = changed((b) => {
    b.writeUInt32LE(0, 128);
    b.writeUInt32LE(39, 132);
  }, short);
  assert.throws(() => decodeRecord(swapped), { code: "format" }, "a sealed body shorter than a seal");
});

test("a record keeps no view of the bytes that it came in", () => {
  const bytes = Buffer.from(next(genesis, { clear: random(20) }).bytes);
  const record = decodeRecord(bytes);
  const id = Buffer.from(record.id);
  bytes.fill(0);
  checkRecord(record, device.publicKey);
  assert.deepEqual(record.id, id);
});

/** The bodies of records, each read strictly. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { format } from "../../src/base/limits.js";
import * as bodies from "../../src/format/bodies.js";
import { type Certificate, certify, rights } from "../../src/format/certificate.js";
import { signingKeyOf } from "../../src/format/sign.js";
import { checkPlain } from "../support/strict.js";
import {
  bytesArbitrary,
  contentArbitrary,
  entryArbitrary,
  fieldsArbitrary,
  idArbitrary,
  randomOf,
  record,
  samplesOf,
} from "./given.js";

const random = randomOf("bodies");
const u64 = fc.bigInt(0n, (1n << 64n) - 1n);
const i64 = fc.bigInt(-(1n << 63n), (1n << 63n) - 1n);
const count = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
const label = fc.string({ unit: "grapheme", maxLength: 8 });
const signature = bytesArbitrary(64);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const ids = fc.array(idArbitrary, { maxLength: 4 });

const certificate: fc.Arbitrary<Certificate> = record({
  vault: idArbitrary,
  device: idArbitrary,
  rights: fc.nat(0xffff_ffff),
  issued: i64,
  signature,
});
const placement: fc.Arbitrary<bodies.PlacementClass> = record({
  copies: fc.nat(255),
  minimum: fc.nat(255),
  importance: fc.constantFrom("bulk", "normal", "critical"),
});
const listing: fc.Arbitrary<bodies.Listing> = record({
  name: idArbitrary,
  length: fc.nat(format.segmentBytes),
  kind: fc.constantFrom("dataSegment", "metadataSegment", "checkpointList"),
  class: placement,
  adopted: fc.boolean(),
});
const logs = fc.array(record({ log: idArbitrary, seq: u64 }), { maxLength: 3 });

test("genesis", () => {
  const body: fc.Arbitrary<bodies.GenesisBody> = record({
    certificate,
    rootPublic: idArbitrary,
    random: bytesArbitrary(16),
    predecessor: maybe(record({ log: idArbitrary, seq: u64, id: idArbitrary })),
    fields: fieldsArbitrary,
  });
  checkPlain("genesis", { encode: bodies.encodeGenesis, decode: bodies.decodeGenesis, samples: samplesOf(body, 6) });
});

test("list, release and hold", () => {
  const listings = [[], ...samplesOf(fc.array(listing, { maxLength: 3 }), 12)];
  checkPlain("list", { encode: bodies.encodeList, decode: bodies.decodeList, samples: listings });
  checkPlain("release", { encode: bodies.encodeRelease, decode: bodies.decodeRelease, samples: samplesOf(ids, 6) });
  const hold: fc.Arbitrary<bodies.HoldBody> = record({ names: ids, until: i64 });
  checkPlain("hold", { encode: bodies.encodeHold, decode: bodies.decodeHold, samples: samplesOf(hold, 6) });
});

test("checkpoint: clear, sealed, and the list that it names", () => {
  const clear: fc.Arbitrary<bodies.CheckpointBody> = record({
    listName: idArbitrary,
    listBytes: fc.nat(format.segmentBytes),
    listings: count,
    fields: fieldsArbitrary,
  });
  checkPlain("checkpoint", {
    encode: bodies.encodeCheckpoint,
    decode: bodies.decodeCheckpoint,
    samples: samplesOf(clear, 8),
  });
  const secret: fc.Arbitrary<bodies.CheckpointSecret> = record({
    kept: ids,
    held: ids,
    certificates: fc.array(certificate, { maxLength: 2 }),
    more: maybe(contentArbitrary),
    fields: fieldsArbitrary,
  });
  checkPlain("checkpoint secret", {
    encode: bodies.encodeCheckpointSecret,
    decode: bodies.decodeCheckpointSecret,
    samples: samplesOf(secret, 8),
  });
  const sorted = fc
    .uniqueArray(listing, { maxLength: 4, selector: ({ name }) => name.toString("latin1") })
    .map((all) => all.sort((a, b) => Buffer.compare(a.name, b.name)));
  checkPlain("checkpoint list", {
    encode: bodies.encodeCheckpointList,
    decode: bodies.decodeCheckpointList,
    samples: samplesOf(sorted, 8),
  });
});

test("succeed and revoke", () => {
  const succeed: fc.Arbitrary<bodies.SucceedBody> = record({ certificate, logs, signature });
  checkPlain("succeed", { encode: bodies.encodeSucceed, decode: bodies.decodeSucceed, samples: samplesOf(succeed, 5) });
  const revoke: fc.Arbitrary<bodies.RevokeBody> = record({ device: idArbitrary, logs, signature });
  checkPlain("revoke", { encode: bodies.encodeRevoke, decode: bodies.decodeRevoke, samples: samplesOf(revoke, 5) });
  for (const body of samplesOf(succeed, 5)) {
    const scope = bodies.succeedScope(body);
    assert.deepEqual(bodies.encodeSucceed(body), Buffer.concat([scope, body.signature]));
    assert.notDeepEqual(bodies.succeedScope({ ...body, logs: [...body.logs, { log: random(32), seq: 1n }] }), scope);
  }
});

test("revision", () => {
  const body: fc.Arbitrary<bodies.RevisionBody> = record({
    fileset: bytesArbitrary(16),
    filesetName: label,
    host: label,
    started: i64,
    complete: fc.boolean(),
    root: entryArbitrary(true),
    rootHint: maybe(idArbitrary),
    files: count,
    folders: count,
    others: count,
    bytes: u64,
    changedFiles: count,
    newBytes: u64,
    storedBytes: u64,
    errors: count,
    names: maybe(contentArbitrary),
    report: maybe(contentArbitrary),
    fields: fieldsArbitrary,
  });
  const form = { encode: bodies.encodeRevision, decode: bodies.decodeRevision };
  checkPlain("revision", { ...form, samples: samplesOf(body, 12) });
  const [sample] = samplesOf(body, 1) as [bodies.RevisionBody];
  const refused = (change: Partial<bodies.RevisionBody>, why: string): void =>
    assert.throws(() => form.decode(form.encode({ ...sample, ...change })), { code: "format" }, why);
  refused({ root: { ...sample.root, kind: "fifo" } }, "a root that is no folder");
  refused({ root: { ...sample.root, name: Buffer.from("x") } }, "a root with a name");
  refused({ host: "h".repeat(format.labelBytes + 1) }, "a label too long");
  refused({ names: { level: format.levels + 1, id: random(32), size: 5n } }, "too many levels");
  const bytes = form.encode({ ...sample, filesetName: "ab" });
  bytes[17] = 0xff;
  assert.throws(() => form.decode(bytes), { code: "format" }, "a label that is not UTF-8");
});

test("forget, moved and note", () => {
  const forget: fc.Arbitrary<bodies.ForgetBody> = record({ revisions: ids, undo: fc.boolean() });
  checkPlain("forget", { encode: bodies.encodeForget, decode: bodies.decodeForget, samples: samplesOf(forget, 6) });
  const moved: fc.Arbitrary<bodies.MovedBody> = record({ from: ids, to: ids });
  checkPlain("moved", { encode: bodies.encodeMoved, decode: bodies.decodeMoved, samples: samplesOf(moved, 6) });
  const note: fc.Arbitrary<bodies.NoteBody> = record({ revision: idArbitrary, pinned: fc.boolean(), text: label });
  checkPlain("note", { encode: bodies.encodeNote, decode: bodies.decodeNote, samples: samplesOf(note, 12) });
});

test("the most that a body may hold is read, one more is refused", () => {
  const sample: bodies.Listing = {
    name: random(32),
    length: format.segmentBytes,
    kind: "dataSegment",
    class: { copies: 255, minimum: 255, importance: "critical" },
    adopted: true,
  };
  const most = bodies.listingsPerRecord;
  const full = bodies.encodeList(Array<bodies.Listing>(most).fill(sample));
  assert.equal(bodies.decodeList(full).length, most);
  assert.ok(full.length < format.recordBytes - 1024, "with room for the rest of a record");
  assert.throws(() => bodies.decodeList(bodies.encodeList(Array(most + 1).fill(sample))), { code: "format" });
  const name = random(32);
  for (const [length, round] of [
    [most, (names: Buffer[]) => bodies.decodeRelease(bodies.encodeRelease(names))],
    [most, (names: Buffer[]) => bodies.decodeHold(bodies.encodeHold({ names, until: 1n }))],
    [1800, (names: Buffer[]) => bodies.decodeForget(bodies.encodeForget({ revisions: names, undo: false }))],
    [900, (names: Buffer[]) => bodies.decodeMoved(bodies.encodeMoved({ from: names, to: names }))],
  ] as const) {
    round(Array<Buffer>(length).fill(name));
    assert.throws(() => round(Array<Buffer>(length + 1).fill(name)), { code: "format" });
  }
  const tooLong = { ...sample, length: format.segmentBytes + 1 };
  assert.throws(() => bodies.decodeList(bodies.encodeList([tooLong])), { code: "format" });
});

test("a checkpoint list is written ascending whatever the order, and no name stands twice", () => {
  const names = samplesOf(listing, 5);
  const bytes = bodies.encodeCheckpointList(names);
  assert.deepEqual(bodies.encodeCheckpointList([...names].reverse()), bytes);
  assert.throws(() => bodies.decodeCheckpointList(bodies.encodeCheckpointList([names[0]!, names[0]!])), {
    code: "format",
  });
});

test("a class covers those that ask for no more", () => {
  const normal = bodies.defaultClass;
  assert.ok(bodies.covers(normal, normal));
  const better: bodies.PlacementClass = { copies: 3, minimum: 2, importance: "critical" };
  assert.ok(bodies.covers(better, normal) && !bodies.covers(normal, better));
  for (const one of [{ copies: 3 }, { minimum: 2 }, { importance: "critical" as const }])
    assert.ok(!bodies.covers(normal, { ...normal, ...one }) && bodies.covers({ ...normal, ...one }, normal));
});

test("a genesis carries a certificate that checks from the log alone", () => {
  const root = signingKeyOf(random(32));
  const own = certify(root, signingKeyOf(random(32)).publicKey, rights.write, 1n);
  const body = { certificate: own, rootPublic: root.publicKey, random: random(16), predecessor: undefined, fields: [] };
  assert.deepEqual(bodies.decodeGenesis(bodies.encodeGenesis(body)), body);
});

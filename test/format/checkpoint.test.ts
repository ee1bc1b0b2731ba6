/** Checkpoints: their clear and sealed bodies, the list that they name, the records that they keep. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { format } from "../../src/base/limits.js";
import {
  type CheckpointBody,
  type CheckpointSecret,
  decodeCheckpoint,
  decodeCheckpointList,
  decodeCheckpointSecret,
  decodeRecords,
  encodeCheckpoint,
  encodeCheckpointList,
  encodeCheckpointSecret,
  encodeRecords,
} from "../../src/format/checkpoint.js";
import { newEpoch } from "../../src/format/keys.js";
import { checkRecord, decodeRecord, recordTypes, sealRecord } from "../../src/format/record.js";
import { signingKeyOf } from "../../src/format/sign.js";
import { checkPlain } from "../support/strict.js";
import {
  bytesArbitrary,
  contentArbitrary,
  countArbitrary,
  fieldsArbitrary,
  idArbitrary,
  listingArbitrary,
  maybe,
  randomOf,
  record,
  samplesOf,
} from "./given.js";

const random = randomOf("checkpoint");

test("clear", () => {
  const body: fc.Arbitrary<CheckpointBody> = record({
    listName: idArbitrary,
    listBytes: countArbitrary,
    listings: countArbitrary,
    fields: fieldsArbitrary,
  });
  checkPlain("checkpoint", { encode: encodeCheckpoint, decode: decodeCheckpoint, samples: samplesOf(body, 8) });
});

test("sealed", () => {
  const body: fc.Arbitrary<CheckpointSecret> = record({
    kept: maybe(contentArbitrary),
    keptHint: maybe(idArbitrary),
    tables: maybe(contentArbitrary),
    fields: fieldsArbitrary,
  });
  const form = { encode: encodeCheckpointSecret, decode: decodeCheckpointSecret };
  checkPlain("checkpoint secret", { ...form, samples: samplesOf(body, 12) });
});

test("the list: written ascending whatever the order, no name twice, kinds of newer versions too", () => {
  const sorted = fc
    .uniqueArray(listingArbitrary, { maxLength: 4, selector: ({ name }) => name.toString("latin1") })
    .map((all) => all.sort((a, b) => Buffer.compare(a.name, b.name)));
  checkPlain("checkpoint list", {
    encode: encodeCheckpointList,
    decode: decodeCheckpointList,
    samples: samplesOf(sorted, 8),
  });
  const listings = samplesOf(listingArbitrary, 5);
  const bytes = encodeCheckpointList(listings);
  assert.deepEqual(encodeCheckpointList([...listings].reverse()), bytes);
  const [first] = listings as [(typeof listings)[0]];
  assert.throws(() => decodeCheckpointList(encodeCheckpointList([first, first])), { code: "format" });
});

test("kept records come back whole, each with its own signature", () => {
  const device = signingKeyOf(random(32));
  const draft = (seq: bigint, secret: Buffer) => ({
    type: recordTypes.note,
    vault: random(32),
    log: random(32),
    seq,
    previous: random(32),
    time: seq,
    clear: Buffer.alloc(0),
    secret,
  });
  const epoch = newEpoch(random, 1);
  const records = [10, 60_000, 0].map((size, i) =>
    sealRecord(draft(BigInt(i + 1), random(size)), epoch, device, random),
  );
  const kept = decodeRecords(encodeRecords(records.map(({ bytes }) => bytes)));
  assert.deepEqual(
    kept,
    records.map(({ bytes }) => bytes),
  );
  for (const [i, bytes] of kept.entries()) {
    checkRecord(decodeRecord(bytes), device.publicKey);
    assert.deepEqual(decodeRecord(bytes).id, records[i]?.id);
  }
  assert.deepEqual(decodeRecords(encodeRecords([])), []);
  assert.throws(() => decodeRecords(encodeRecords([Buffer.alloc(format.recordBytes + 1)])), { code: "format" });
});

test("kept records are read strictly", () => {
  // A cut between two records leaves a shorter row, which is one; any other cut is refused.
  const rows = samplesOf(fc.array(bytesArbitrary(1, 40), { minLength: 1, maxLength: 1 }), 4);
  for (const row of rows) {
    const bytes = encodeRecords(row);
    assert.deepEqual(decodeRecords(bytes), row);
    for (let at = 1; at < bytes.length; at++)
      assert.throws(() => decodeRecords(bytes.subarray(0, at)), { code: "format" });
    assert.throws(() => decodeRecords(Buffer.concat([bytes, Buffer.from([1])])), { code: "format" });
    assert.throws(() => decodeRecords(Buffer.concat([Buffer.from([0x81, 0]), bytes.subarray(1)])), { code: "format" });
  }
});

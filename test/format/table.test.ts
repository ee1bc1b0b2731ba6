/** Tables of segments and lists of hints, as plain bytes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Problem } from "../../src/base/errors.js";
import { format } from "../../src/base/limits.js";
import { decodeHints, encodeHints, type HintRun, runsOf } from "../../src/format/frame.js";
import {
  decodeFooter,
  decodeTableObject,
  emptyTable,
  encodeFooter,
  encodeTableObject,
  type FrameRow,
  type TableObject,
} from "../../src/format/table.js";
import { checkPlain } from "../support/strict.js";
import { idArbitrary, randomOf, record, samplesOf, tableArbitrary } from "./given.js";

const random = randomOf("table");

const object: fc.Arbitrary<TableObject> = record({
  name: idArbitrary,
  length: fc.nat(format.segmentBytes),
  salt: idArbitrary,
  epoch: fc.nat(0xffff_ffff),
  table: tableArbitrary,
});

/** Runs as `runsOf` makes them, of up to three salts and none. */
const hints: fc.Arbitrary<HintRun[]> = fc
  .tuple(fc.array(idArbitrary, { minLength: 3, maxLength: 3 }), fc.array(fc.nat(3), { maxLength: 12 }))
  .map(([salts, picks]) => runsOf(picks.map((pick) => (pick === 3 ? undefined : salts[pick]))));

test("footers are read strictly; padding is zero and shorter than a leaf", () => {
  const samples = [emptyTable, ...samplesOf(tableArbitrary, 20)];
  checkPlain("footer", { encode: (table) => encodeFooter(table, 0), decode: decodeFooter, samples, padded: true });
  for (const table of samples) {
    for (const padding of [0, 1, 84, format.leafBytes - 1])
      assert.deepEqual(decodeFooter(encodeFooter(table, padding)), table);
    assert.throws(() => decodeFooter(encodeFooter(table, format.leafBytes)), { code: "format" });
    const marked = encodeFooter(table, 100);
    for (const back of [1, 50, 100]) {
      const bytes = Buffer.from(marked);
      bytes[bytes.length - back] = 1;
      assert.throws(() => decodeFooter(bytes), { code: "format" });
    }
  }
});

test("without padding a footer has one encoding", () => {
  const decode = (bytes: Uint8Array) => {
    const table = decodeFooter(bytes);
    // The padding is what the encoder is told: the shortest form is the one compared.
    const shortest = encodeFooter(table, 0).length;
    if (shortest !== bytes.length) throw new Problem("format", "padded");
    return table;
  };
  checkPlain("table", { encode: (table) => encodeFooter(table, 0), decode, samples: samplesOf(tableArbitrary, 20) });
});

test("table objects are read strictly", () => {
  checkPlain("table object", { encode: encodeTableObject, decode: decodeTableObject, samples: samplesOf(object, 20) });
});

test("frames and chunks beyond the bounds are refused", () => {
  const row = (length: number) => ({ type: "data" as const, id: random(32), length });
  const frame = (lengths: number[], boxBytes = 100): FrameRow => ({
    boxBytes,
    rawBytes: lengths.reduce((sum, length) => sum + length, 0),
    chunks: lengths.map(row),
  });
  const most = format.chunkBytes;
  const sound = { frames: [frame([most, most]), frame([0]), frame([1], format.sealedFrameBytes)], fields: [] };
  assert.deepEqual(decodeFooter(encodeFooter(sound, 0)), sound);
  const wrong: readonly [why: string, frame: FrameRow][] = [
    ["no chunk", frame([])],
    ["a chunk too large", frame([most + 1])],
    ["a frame too large", frame([most, most, 1])],
    ["a box too large", frame([1], format.sealedFrameBytes + 1)],
  ];
  for (const [why, bad] of wrong)
    assert.throws(() => decodeFooter(encodeFooter({ frames: [bad], fields: [] }, 0)), { code: "format" }, why);
  const many = { frames: [frame(Array<number>(9).fill(1))], fields: [] };
  const bytes = encodeFooter(many, 0);
  bytes[2] = 10;
  assert.throws(() => decodeFooter(bytes), { code: "format" }, "one chunk more than there is");
  const unknown = encodeFooter(sound, 0);
  unknown[3] = 9; // behind the count of frames, the bytes of the box and the count of chunks
  assert.throws(() => decodeFooter(unknown), { code: "format" }, "an unknown type of chunk");
});

test("hints are read strictly", () => {
  const samples = [[], ...samplesOf(hints, 40)];
  checkPlain("hints", { encode: encodeHints, decode: decodeHints, samples, positions: 200 });
});

test("runs join equal neighbours, and only those", () => {
  const [a, b] = [random(32), random(32)];
  assert.deepEqual(runsOf([]), []);
  assert.deepEqual(runsOf([a, Buffer.from(a), b, undefined, undefined, a]), [
    { count: 2, salt: a },
    { count: 1, salt: b },
    { count: 2, salt: undefined },
    { count: 1, salt: a },
  ]);
});

test("hints of another shape than the writer's are refused", () => {
  const [a, b] = [random(32), random(32)];
  const raw = (salts: Buffer[], runs: number[][]): Buffer =>
    Buffer.concat([Buffer.from([salts.length]), ...salts, Buffer.from([runs.length, ...runs.flat()])]);
  assert.equal(
    decodeHints(
      raw(
        [a, b],
        [
          [5, 1],
          [6, 0],
          [7, 2],
          [1, 1],
        ],
      ),
    ).length,
    4,
  );
  const wrong: readonly [why: string, bytes: Buffer][] = [
    [
      "a salt twice",
      raw(
        [a, a],
        [
          [5, 1],
          [6, 2],
        ],
      ),
    ],
    ["a salt that no run names", raw([a, b], [[5, 1]])],
    [
      "salts in another order",
      raw(
        [a, b],
        [
          [5, 2],
          [6, 1],
        ],
      ),
    ],
    ["a run of none", raw([a], [[0, 1]])],
    [
      "two runs that are one",
      raw(
        [a],
        [
          [1, 1],
          [1, 1],
        ],
      ),
    ],
    [
      "two unknown runs that are one",
      raw(
        [],
        [
          [1, 0],
          [1, 0],
        ],
      ),
    ],
    ["a salt that is not there", raw([a], [[1, 2]])],
  ];
  for (const [why, bytes] of wrong) assert.throws(() => decodeHints(bytes), { code: "format" }, why);
});

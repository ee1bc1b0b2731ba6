/** Segments as a reader meets them: by ranges, each verified, with bytes that somebody has altered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Writer } from "../../src/base/bytes.js";
import { Problem } from "../../src/base/errors.js";
import { format } from "../../src/base/limits.js";
import { boxOverhead, seal } from "../../src/format/aead.js";
import { boxContext, boxTypes, type HintRun } from "../../src/format/frame.js";
import { derive, hashOf } from "../../src/format/hash.js";
import { type Epoch, newEpoch } from "../../src/format/keys.js";
import { leafCount, NameHasher, proofOf, verifyLeaves } from "../../src/format/leaves.js";
import {
  decodeHeader,
  frameOffsets,
  headerBytes,
  type NewChunk,
  SegmentBuilder,
  type SegmentKind,
  SegmentReader,
  trailerBytes,
} from "../../src/format/segment.js";
import { encodeFooter, type Table } from "../../src/format/table.js";
import { checkPlain } from "../support/strict.js";
import { randomOf } from "./given.js";

const random = randomOf("segment");
const vault = random(32);
const epoch = newEpoch(random, 7);
const leaf = format.leafBytes;

interface Built {
  readonly bytes: Buffer;
  readonly name: Buffer;
  readonly table: Table;
  readonly frames: readonly (readonly NewChunk[])[];
  readonly hints: readonly (readonly HintRun[])[];
}

function build(kind: SegmentKind, sizes: readonly (readonly number[])[], keys: Epoch = epoch): Built {
  const builder = new SegmentBuilder(vault, keys, kind, random);
  const pieces = [builder.header];
  const hints: HintRun[][] = [];
  const frames = sizes.map((lengths): NewChunk[] =>
    lengths.map((length) => ({ type: kind === "data" ? "data" : "tree", id: random(32), bytes: random(length) })),
  );
  for (const chunks of frames) {
    hints.push(kind === "metadata" ? [{ count: 2, salt: random(32) }] : []);
    assert.equal(builder.frames, hints.length - 1);
    pieces.push(builder.frame(chunks, hints.at(-1) as HintRun[]));
    assert.equal(builder.length, Buffer.concat(pieces).length);
  }
  const { tail, name, length, table } = builder.finish();
  const bytes = Buffer.concat([...pieces, tail]);
  assert.equal(bytes.length, length);
  return { bytes, name, table, frames, hints };
}

/** Everything that a reader of the whole does; throws a Problem at the first thing that is not as written. */
function readAll(bytes: Buffer, keys: Epoch = epoch): Table {
  const reader = new SegmentReader(decodeHeader(bytes), keys);
  const place = reader.footerPlace(bytes.subarray(bytes.length - trailerBytes), bytes.length);
  const table = reader.table(bytes.subarray(place.offset, place.offset + place.bytes), place);
  const offsets = frameOffsets(table);
  table.frames.forEach(({ boxBytes, rawBytes }, i) => {
    const offset = offsets[i] as number;
    reader.frame(i, rawBytes, bytes.subarray(offset, offset + boxBytes));
  });
  return table;
}

const small = build("data", [[100, 200], [50]]);
const large = build("metadata", [[40_000, 30_000], [5], Array<number>(300).fill(700), [60_000]]);

test("both kinds come back, frame by frame, chunks and hints", () => {
  for (const built of [
    small,
    large,
    build("data", []),
    build("data", [[0]]),
    build("metadata", [[format.chunkBytes]]),
  ]) {
    const { bytes, name, table, frames, hints } = built;
    assert.equal(bytes.length % leaf, 0, "a multiple of 64 KiB");
    assert.deepEqual(name, hashOf(bytes), "named by its bytes");
    assert.deepEqual(readAll(bytes), table);
    const reader = new SegmentReader(decodeHeader(bytes), epoch);
    const offsets = frameOffsets(table);
    frames.forEach((chunks, i) => {
      const { boxBytes, rawBytes, chunks: rows } = table.frames[i]!;
      const box = bytes.subarray(offsets[i]!, offsets[i]! + boxBytes);
      const opened = reader.frame(i, rawBytes, box);
      assert.deepEqual(opened.raw, Buffer.concat(chunks.map((chunk) => chunk.bytes)));
      assert.deepEqual(opened.hints, hints[i]);
      assert.deepEqual(
        rows.map(({ id, type }) => ({ id, type })),
        chunks.map(({ id, type }) => ({ id, type })),
      );
    });
  }
});

test("a reader that has nothing takes ranges of leaves, proves each, and finds one chunk", () => {
  const { bytes, name, frames } = large;
  const hasher = new NameHasher();
  hasher.update(bytes);
  const { leaves } = hasher.finish();
  let moved = 0;
  /** What a peer would send for these bytes, verified. */
  const fetched = (from: number, to: number): Buffer => {
    const [first, last] = [Math.floor(from / leaf), Math.floor((to - 1) / leaf)];
    const data = bytes.subarray(first * leaf, Math.min((last + 1) * leaf, bytes.length));
    verifyLeaves(name, bytes.length, first, data, proofOf(leaves, first, last));
    moved += data.length;
    return data.subarray(from - first * leaf, to - first * leaf);
  };
  assert.ok(leafCount(bytes.length) >= 6);
  const reader = new SegmentReader(decodeHeader(fetched(0, headerBytes)), epoch);
  const place = reader.footerPlace(fetched(bytes.length - trailerBytes, bytes.length), bytes.length);
  const table = reader.table(fetched(place.offset, place.offset + place.bytes), place);
  const { boxBytes, rawBytes } = table.frames[1]!;
  const offset = frameOffsets(table)[1]!;
  assert.deepEqual(reader.frame(1, rawBytes, fetched(offset, offset + boxBytes)).raw, frames[1]![0]!.bytes);
  assert.ok(moved < bytes.length, "less than the whole");
});

test("every byte: an altered one changes the name, and whoever opens that part refuses", () => {
  const { bytes, name, table } = small;
  const padding = (at: number): boolean => at >= headerBytes + table.frames.reduce((sum, f) => sum + f.boxBytes, 0);
  for (let at = 0; at < bytes.length; at += padding(at) && at < bytes.length - 300 ? 97 : 1) {
    const altered = Buffer.from(bytes);
    altered[at] = bytes[at]! ^ (1 << (at % 8));
    assert.ok(!hashOf(altered).equals(name));
    assert.throws(() => readAll(altered), Problem, `byte ${at}`);
  }
});

test("every bit of header and trailer is covered", () => {
  const { bytes } = small;
  for (const at of [
    ...Array(headerBytes).keys(),
    ...Array.from({ length: trailerBytes }, (_, i) => bytes.length - 1 - i),
  ])
    for (let bit = 0; bit < 8; bit++) {
      const altered = Buffer.from(bytes);
      altered[at] = bytes[at]! ^ (1 << bit);
      assert.throws(() => readAll(altered), Problem, `bit ${bit} of byte ${at}`);
    }
});

test("headers are read strictly and what is newer is told apart", () => {
  checkPlain("header", {
    encode: (header) => header.bytes,
    decode: (bytes) => {
      if (bytes.length > headerBytes) throw new Problem("format", "too long");
      return decodeHeader(bytes);
    },
    samples: [decodeHeader(small.bytes), decodeHeader(large.bytes)],
  });
  const changed = (at: number, value: number): Buffer => {
    const header = Buffer.from(small.bytes.subarray(0, headerBytes));
    header[at] = value;
    return header;
  };
  for (const [at, value, code] of [
    [0, 0, "format"],
    [8, 2, "unsupported"],
    [9, 2, "unsupported"],
    [10, 3, "format"],
    [11, 1, "unsupported"],
  ] as const)
    assert.throws(() => decodeHeader(changed(at, value)), { code }, `byte ${at}`);
});

test("wrong keys are told by the commitment, before anything is opened", () => {
  const header = decodeHeader(small.bytes);
  for (const wrong of [newEpoch(random, 7), { ...epoch, data: random(32) }])
    assert.throws(() => new SegmentReader(header, wrong), { code: "damaged", message: /header/ });
  // A data segment asks for no metadata key, and the other way round.
  readAll(small.bytes, { ...epoch, metadata: random(32) });
  readAll(large.bytes, { ...epoch, data: random(32) });
  // The table key has a commitment of its own, in the trailer.
  assert.throws(() => readAll(small.bytes, { ...epoch, table: random(32) }), { code: "damaged", message: /trailer/ });
});

test("the kind cannot be changed: it is under the commitment", () => {
  const altered = Buffer.from(small.bytes);
  altered[10] = 2;
  assert.throws(() => new SegmentReader(decodeHeader(altered), epoch), { code: "damaged" });
});

test("frames cannot be swapped, repeated, or taken from another segment", () => {
  const sizes = [[1000], [1000], [1000]];
  const [one, two] = [build("data", sizes), build("data", sizes)];
  const reader = new SegmentReader(decodeHeader(one.bytes), epoch);
  const offsets = frameOffsets(one.table);
  const { boxBytes, rawBytes } = one.table.frames[0]!;
  const box = (of: Built, i: number): Buffer => of.bytes.subarray(offsets[i]!, offsets[i]! + boxBytes);
  assert.equal(one.table.frames[1]!.boxBytes, boxBytes, "alike in all but place");
  for (let at = 0; at < 3; at++)
    for (let from = 0; from < 3; from++) {
      if (at === from) reader.frame(at, rawBytes, box(one, from));
      else assert.throws(() => reader.frame(at, rawBytes, box(one, from)), { code: "damaged" }, `${from} at ${at}`);
      assert.throws(
        () => reader.frame(at, rawBytes, box(two, from)),
        { code: "damaged" },
        `another's ${from} at ${at}`,
      );
    }
  for (const other of [build("metadata", sizes), build("data", sizes, newEpoch(random, 7))])
    assert.throws(() => reader.frame(0, rawBytes, box(other, 0)), { code: "damaged" });
});

test("a trailer or footer of another segment is refused", () => {
  const other = build("data", [[100, 200], [50]]);
  const swapped = Buffer.concat([small.bytes.subarray(0, -trailerBytes), other.bytes.subarray(-trailerBytes)]);
  assert.throws(() => readAll(swapped), { code: "damaged" });
  const reader = new SegmentReader(decodeHeader(small.bytes), epoch);
  const place = reader.footerPlace(small.bytes.subarray(-trailerBytes), small.bytes.length);
  const foreign = other.bytes.subarray(place.offset, place.offset + place.bytes);
  assert.throws(() => reader.table(foreign, place), { code: "damaged" });
  assert.throws(() => reader.table(foreign.subarray(1), place), { code: "damaged" });
});

test("a segment cut short or lengthened is refused", () => {
  const { bytes } = large;
  for (const length of [0, 1, headerBytes - 1, headerBytes, leaf - 1, leaf, bytes.length - leaf, bytes.length - 1])
    assert.throws(() => readAll(bytes.subarray(0, length)), Problem, `${length} bytes`);
  assert.throws(() => readAll(Buffer.concat([bytes, Buffer.alloc(leaf)])), Problem);
  // The right trailer at the wrong length: pages cut out of the middle.
  const reader = new SegmentReader(decodeHeader(bytes), epoch);
  for (const length of [bytes.length - leaf, bytes.length + leaf, bytes.length - 1])
    assert.throws(() => reader.footerPlace(bytes.subarray(-trailerBytes), length), { code: "damaged" });
});

/** A tail that somebody with the keys of the vault, but not this program, has sealed. */
function withTail(built: Built, where: { offset: bigint; bytes: number }, footer: Buffer): Buffer {
  const header = built.bytes.subarray(0, headerBytes);
  const key = derive("segment table key", epoch.table, decodeHeader(header).salt);
  const box = seal(key, random(24), boxContext(header, 0, boxTypes.footer, footer.length, footer.length + 40), footer);
  const place = new Writer().u64(where.offset).u32(where.bytes).finish();
  const trailer = seal(key, random(24), boxContext(header, 0, boxTypes.trailer, 12, 12 + boxOverhead), place);
  const frames = built.bytes.subarray(0, headerBytes + built.table.frames.reduce((sum, f) => sum + f.boxBytes, 0));
  return Buffer.concat([frames, box, derive("segment table commitment", key, header), trailer]);
}

test("a tail that no writer makes is refused although its seals are sound", () => {
  const end = headerBytes + small.table.frames.reduce((sum, f) => sum + f.boxBytes, 0);
  const bare = encodeFooter(small.table, 0).length;
  const padding = leaf - ((end + bare + boxOverhead + trailerBytes) % leaf);
  const sound = encodeFooter(small.table, padding);
  const boxed = sound.length + boxOverhead;
  assert.deepEqual(readAll(withTail(small, { offset: BigInt(end), bytes: boxed }, sound)), small.table);
  const wrong: readonly [why: string, where: { offset: bigint; bytes: number }, footer: Buffer][] = [
    ["an offset before the frames", { offset: 0n, bytes: boxed }, sound],
    ["an offset beyond all", { offset: (1n << 64n) - 1n, bytes: boxed }, sound],
    ["a footer of no bytes", { offset: BigInt(end + boxed), bytes: 0 }, sound],
    ["a footer shorter than a seal", { offset: BigInt(end + boxed - 39), bytes: 39 }, sound],
    [
      "frames that do not fill it",
      { offset: BigInt(end), bytes: boxed },
      encodeFooter({ ...small.table, frames: small.table.frames.slice(1) }, padding + 34 + 3),
    ],
    [
      "bytes behind the padding",
      { offset: BigInt(end), bytes: boxed },
      Buffer.concat([sound.subarray(0, -1), Buffer.from([1])]),
    ],
    ["no multiple of a leaf", { offset: BigInt(end), bytes: boxed - 1 }, encodeFooter(small.table, padding - 1)],
  ];
  for (const [why, where, footer] of wrong) assert.throws(() => readAll(withTail(small, where, footer)), Problem, why);
});

test("salts and nonces are fresh: the same chunks give other bytes each time", () => {
  const chunk: NewChunk = { type: "data", id: random(32), bytes: random(5000) };
  const made = Array.from({ length: 3 }, () => {
    const builder = new SegmentBuilder(vault, epoch, "data", random);
    return { salt: builder.salt, box: builder.frame([chunk], []), again: builder.frame([chunk], []) };
  });
  assert.equal(new Set(made.map(({ salt }) => salt.toString("hex"))).size, 3);
  assert.equal(new Set(made.flatMap(({ box, again }) => [box, again]).map((box) => box.toString("hex"))).size, 6);
  assert.ok(!made[0]!.box.includes(Buffer.from(chunk.bytes).subarray(0, 16)), "no plaintext in the clear");
});

test("a writer stops at the bounds of a reader", () => {
  const builder = new SegmentBuilder(vault, epoch, "data", random);
  const chunk = (bytes: Buffer): NewChunk => ({ type: "data", id: vault, bytes });
  const tiny = Array<NewChunk>(10_000).fill(chunk(Buffer.alloc(1)));
  assert.throws(() => builder.frame([], []), RangeError, "no chunk");
  assert.throws(() => builder.frame([chunk(Buffer.alloc(format.chunkBytes + 1))], []), RangeError, "a chunk too large");
  const salts = Array.from({ length: 200_000 }, () => ({ count: 1, salt: random(32) }));
  const raw = [chunk(random(format.chunkBytes)), chunk(random(format.chunkBytes))];
  assert.throws(() => builder.frame(raw, salts), RangeError, "a box too large");
  while (builder.chunks + tiny.length <= format.chunksPerSegment) builder.frame(tiny, []);
  assert.throws(
    () => builder.frame(Array<NewChunk>(format.chunksPerSegment).fill(tiny[0]!), []),
    RangeError,
    "too many",
  );
  const { chunks } = builder;
  assert.equal(
    builder.finish().table.frames.reduce((sum, frame) => sum + frame.chunks.length, 0),
    chunks,
  );
});

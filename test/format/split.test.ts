/** The splitter against a naive reading of its own description, and what deduplication asks of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { blake3 } from "@noble/hashes/blake3.js";
import { endsRow, nameMark, Splitter, splitterKeys } from "../../src/format/split.js";
import { full, numbersOf, randomOf } from "./given.js";

const random = randomOf("split");
const pick = numbersOf("split");
const KiB = 1024;
const MiB = 1024 * KiB;

/** The description, word by word: no rolling, no memory of what was tried. */
function naive(data: Buffer, key: Buffer, average: number): number[] {
  const derived = (label: string): Uint8Array => blake3(key, { context: Buffer.from(`bcoopfs v1 splitter ${label}`) });
  const k = Buffer.from(derived("prefilter"));
  const window = derived("window");
  const [near, far, plus] = [k.readUInt32LE(0) | 1, k.readUInt32LE(4) | 1, k.readUInt32LE(8)] as const;
  const value = (at: number): number =>
    Buffer.from(blake3(data.subarray(at - 64, at), { key: window })).readUInt32LE(4);
  const lengths: number[] = [];
  for (let from = 0; from < data.length; from += lengths.at(-1) as number) {
    const most = Math.min(data.length - from, average * 4);
    let n = Math.min(average / 4, most);
    for (; n < most; n++) {
      const at = from + n;
      const mixed = Math.imul(data.readUInt32LE(at - 4), near) + Math.imul(data.readUInt32LE(at - 8), far) + plus;
      const oneIn = n < average ? (average / 1024) * 4 : Math.max(1, average / 1024 / 4);
      if (mixed >>> 0 < 2 ** 22 && value(at) < 2 ** 32 / oneIn) break;
    }
    lengths.push(n);
  }
  return lengths;
}

function cut(data: Buffer, key: Buffer, average: number): number[] {
  const splitter = new Splitter(splitterKeys(key), average);
  const lengths: number[] = [];
  for (let from = 0; from < data.length; from += lengths.at(-1) as number)
    lengths.push(splitter.next(data, from, data.length));
  return lengths;
}

/** Where chunks end. */
function ends(lengths: readonly number[]): number[] {
  let at = 0;
  return lengths.map((length) => {
    at += length;
    return at;
  });
}

test("cuts are those of the description, on random data of every average", () => {
  for (const average of [16, 32, 64, 256, 1024].map((kib) => kib * KiB))
    for (let round = 0; round < (full ? 5 : 1); round++) {
      const key = random(32);
      const data = random(Math.min(average * 24, 6 * MiB) + pick(1000));
      assert.deepEqual(cut(data, key, average), naive(data, key, average), `average ${average}`);
    }
});

test("cuts are those of the description at short and odd lengths", () => {
  const key = random(32);
  const average = 16 * KiB;
  assert.deepEqual(cut(Buffer.alloc(0), key, average), []);
  for (const length of [1, 7, 64, 4095, 4096, 4097, 16_383, 16_384, 65_535, 65_536, 65_537, 65_536 + 4097]) {
    const data = random(length);
    assert.deepEqual(cut(data, key, average), naive(data, key, average), `length ${length}`);
  }
});

test("no chunk is shorter than a quarter of the average, but for the last, or longer than four times it", () => {
  const average = 16 * KiB;
  for (const data of [random(8 * MiB), Buffer.alloc(3 * MiB), Buffer.alloc(3 * MiB, "abcdefg"), random(MiB + 1)]) {
    const lengths = cut(data, random(32), average);
    assert.equal(ends(lengths).at(-1), data.length);
    assert.ok(lengths.every((length) => length <= average * 4));
    assert.ok(lengths.slice(0, -1).every((length) => length >= average / 4));
  }
});

test("the mean of random data is near the average", (t) => {
  for (const average of [16 * KiB, 64 * KiB]) {
    const data = random((full ? 8192 : 2048) * average);
    const lengths = cut(data, random(32), average);
    const mean = data.length / lengths.length;
    t.diagnostic(`average ${average}: mean ${Math.round(mean)} of ${lengths.length} chunks`);
    assert.ok(mean > average * 0.9 && mean < average * 1.25, `mean ${mean} for ${average}`);
  }
});

test("a byte inserted or removed early moves the cuts along, all but a few", () => {
  const key = random(32);
  const average = 64 * KiB;
  const data = random(8 * MiB);
  const before = ends(cut(data, key, average));
  const at = 1000;
  for (const [by, other] of [
    [1, Buffer.concat([data.subarray(0, at), Buffer.from([7]), data.subarray(at)])],
    [-1, Buffer.concat([data.subarray(0, at), data.subarray(at + 1)])],
  ] as const) {
    const after = new Set(ends(cut(other, key, average)).map((end) => end - by));
    const lost = before.filter((end) => !after.has(end)).length;
    assert.ok(before.length > 80);
    assert.ok(lost <= 6, `${lost} of ${before.length} cuts moved`);
  }
});

test("a block overwritten in the middle changes the chunks around it only", () => {
  const key = random(32);
  const data = random(8 * MiB);
  const before = ends(cut(data, key, 64 * KiB));
  random(4096).copy(data, 4 * MiB);
  const after = new Set(ends(cut(data, key, 64 * KiB)));
  assert.ok(before.filter((end) => !after.has(end)).length <= 6);
});

test("equal data is cut equally wherever it stands", () => {
  const key = random(32);
  const shared = random(4 * MiB);
  const tails = [0, 1, 77_777].map((length) => {
    const lengths = cut(Buffer.concat([random(length), shared]), key, 64 * KiB);
    return new Set(ends(lengths).map((end) => end - length));
  });
  const common = [...tails[0]!].filter((end) => tails.every((tail) => tail.has(end)));
  assert.ok(common.length >= tails[0]!.size - 8, `${common.length} of ${tails[0]!.size}`);
});

test("other keys cut elsewhere", () => {
  const data = random(4 * MiB);
  const [one, two] = [random(32), random(32)].map((key) => new Set(ends(cut(data, key, 16 * KiB))));
  const common = [...one!].filter((end) => two!.has(end));
  assert.ok(common.length <= 3, `${common.length} of ${one!.size} in common`);
});

test("periodic data is cut as described", () => {
  for (const period of [1, 2, 3, 4, 7, 8, 16, 64, 100, 256, 4096]) {
    const key = random(32);
    const data = Buffer.alloc(300 * KiB, random(period));
    assert.deepEqual(cut(data, key, 16 * KiB), naive(data, key, 16 * KiB), `period ${period}`);
  }
});

/** Keys under which every position of a file of this byte is a candidate: one in 1,024. */
function keysThatFit(byte: number, tries: number): { key: Buffer; byte: number }[] {
  const found: { key: Buffer; byte: number }[] = [];
  const four = byte * 0x01010101;
  for (let i = 0; i < tries; i++) {
    const key = random(32);
    const { k1, k2, k3 } = splitterKeys(key);
    if ((Math.imul(four, k1) + Math.imul(four, k2) + k3) >>> 0 < 2 ** 22) found.push({ key, byte });
  }
  return found;
}

test("zeros under many keys, and under those that like zeros, are cut as described and in bounded time", (t) => {
  const zeros = Buffer.alloc(200 * KiB);
  for (let round = 0; round < (full ? 3000 : 300); round++) {
    const lengths = cut(zeros, random(32), 16 * KiB);
    assert.ok(new Set(lengths.slice(0, -1)).size <= 1, "equal chunks");
  }
  const keys = [...keysThatFit(0, full ? 50_000 : 3000), ...keysThatFit(0x20, full ? 50_000 : 3000)];
  t.diagnostic(`${keys.length} keys make every position a candidate`);
  for (const { key, byte } of keys.slice(0, full ? 40 : 4)) {
    const data = Buffer.alloc(100 * KiB, byte);
    assert.deepEqual(cut(data, key, 16 * KiB), naive(data, key, 16 * KiB));
    const large = Buffer.alloc(4 * MiB, byte);
    const start = process.cpuUsage();
    cut(large, key, 64 * KiB);
    const { user } = process.cpuUsage(start);
    t.diagnostic(`4 MiB of byte ${byte} in ${Math.round(user / 1000)} ms`);
    assert.ok(user < 5e6, `${user / 1e6} s for 4 MiB`);
  }
});

test("a row ends at an item as often as its bytes are a share of the average", () => {
  for (const [bytes, average] of [
    [36, 6144],
    [200, 6144],
    [8192, 6144],
  ] as const) {
    const rounds = 40_000;
    let cuts = 0;
    for (let i = 0; i < rounds; i++) if (endsRow(random(4).readUInt32LE(0), bytes, average)) cuts++;
    const expected = Math.min(1, bytes / average) * rounds;
    assert.ok(Math.abs(cuts - expected) <= 6 * Math.sqrt(expected), `${cuts} cuts, expected ${expected}`);
  }
  const key = random(32);
  assert.equal(nameMark(key, Buffer.from("a")), Buffer.from(blake3(Buffer.from("a"), { key })).readUInt32LE(0));
});

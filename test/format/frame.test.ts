/** Frames: sealed to their place, bounded when they unpack; zstd behind its door. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Writer } from "../../src/base/bytes.js";
import { format } from "../../src/base/limits.js";
import { boxOverhead, seal } from "../../src/format/aead.js";
import { boxContext, boxTypes, openFrame, pays, sealFrame } from "../../src/format/frame.js";
import { compress, decompress } from "../../src/format/zstd.js";
import { checkSealed } from "../support/strict.js";
import { randomOf } from "./given.js";

const random = randomOf("frame");
const key = random(32);
const header = random(112);
const text = (length: number): Buffer => Buffer.alloc(length, "the quick brown fox jumps over the lazy dog\n");

/** A frame whose payload a wrongdoer with the keys made by hand. */
function crafted(payload: Uint8Array, rawBytes: number): Buffer {
  return seal(key, random(24), boxContext(header, 3, boxTypes.frame, rawBytes, payload.length + boxOverhead), payload);
}

test("zstd gives back what it took, at each size", () => {
  for (const length of [0, 1, 100, 70_000, format.frameBytes])
    for (const data of [text(length), random(length)]) {
      const packed = compress(data, 3);
      assert.deepEqual(decompress(packed, length), data);
      assert.equal(packed.readUInt32LE(0), 0xfd2fb528, "a zstd frame");
    }
});

test("zstd gives no more and no less than what is declared", () => {
  const packed = compress(text(50_000), 3);
  for (const length of [0, 1, 49_999, 50_001, 100_000])
    assert.throws(() => decompress(packed, length), { code: "damaged" }, `${length}`);
  assert.throws(() => decompress(Buffer.concat([packed, packed]), 50_000), { code: "damaged" }, "two in one");
  assert.throws(() => decompress(Buffer.concat([packed, random(3)]), 50_000), { code: "damaged" }, "something behind");
  for (const junk of [Buffer.alloc(0), Buffer.alloc(9), random(100), packed.subarray(0, -1)])
    assert.throws(() => decompress(junk, 50_000), { code: "damaged" });
});

test("a bomb takes the memory of its declared size and no more", () => {
  const bomb = compress(Buffer.alloc(256 << 20), 19);
  assert.ok(bomb.length < 64_000);
  const before = process.memoryUsage();
  assert.throws(() => decompress(bomb, 1000), { code: "damaged" });
  const after = process.memoryUsage();
  assert.ok(after.arrayBuffers - before.arrayBuffers < 1 << 20);
  assert.ok(after.rss - before.rss < 64 << 20, `${after.rss - before.rss} bytes more`);
});

test("frames give back chunks and hints, compressed where that pays", () => {
  const hints = [
    { count: 3, salt: random(32) },
    { count: 1, salt: undefined },
  ];
  for (const raw of [Buffer.alloc(0), random(1), text(100), text(600_000), random(600_000), random(format.frameBytes)])
    for (const given of [[], hints]) {
      const box = sealFrame(key, header, 3, raw, given, random);
      assert.deepEqual(openFrame(key, header, 3, raw.length, box), { raw, hints: given });
      assert.ok(box.length <= raw.length + boxOverhead + 1 + 5 + 100);
    }
  assert.ok(sealFrame(key, header, 3, text(600_000), [], random).length < 2000);
  assert.throws(() => sealFrame(key, header, 0, Buffer.alloc(format.frameBytes + 1), [], random), RangeError);
});

test("noise is not compressed, text and a mixture are", () => {
  assert.equal(pays(random(200_000)), false);
  assert.equal(pays(text(200_000)), true);
  const mixed = random(256 * 1024);
  mixed.fill("abcd", 0, 128 * 1024);
  assert.equal(pays(mixed), true);
  for (const length of [0, 1, 16_383, 16_384, 16_385, 20_000]) pays(random(length));
});

test("every altered bit is refused, and so are another place, header, length and key", () => {
  const raw = text(60);
  const box = sealFrame(key, header, 3, raw, [{ count: 1, salt: random(32) }], random);
  checkSealed("frame", box, (altered) => openFrame(key, header, 3, raw.length, altered));
  checkSealed("header", header, (altered) => openFrame(key, altered, 3, raw.length, box));
  for (const number of [0, 2, 4, 0xffff_ffff])
    assert.throws(() => openFrame(key, header, number, raw.length, box), { code: "damaged" });
  for (const length of [0, 59, 61, 0xffff_ffff])
    assert.throws(() => openFrame(key, header, 3, length, box), { code: "damaged" });
  assert.throws(() => openFrame(random(32), header, 3, raw.length, box), { code: "damaged" });
  // The same bytes sealed as a footer are no frame.
  const plain = new Writer().u8(0).blob(Buffer.alloc(0)).raw(raw).finish();
  const context = boxContext(header, 3, boxTypes.footer, raw.length, plain.length + boxOverhead);
  assert.throws(() => openFrame(key, header, 3, raw.length, seal(key, random(24), context, plain)), {
    code: "damaged",
  });
});

test("a payload that the writer would not make is refused although its seal is sound", () => {
  const body = (codec: number, hints: Uint8Array, data: Uint8Array): Buffer =>
    new Writer().u8(codec).blob(hints).raw(data).finish();
  const none = Buffer.alloc(0);
  const packed = compress(text(5000), 3);
  assert.equal(openFrame(key, header, 3, 5000, crafted(body(1, none, packed), 5000)).raw.length, 5000);
  const wrong: readonly [why: string, payload: Buffer, rawBytes: number][] = [
    ["an unknown codec", body(2, none, text(9)), 9],
    ["fewer bytes than declared", body(0, none, text(9)), 10],
    ["more bytes than declared", body(0, none, text(9)), 8],
    ["unpacks to more than declared", body(1, none, packed), 4999],
    ["unpacks to less than declared", body(1, none, packed), 5001],
    ["packed to nothing", body(1, none, none), 5000],
    ["no payload", none, 0],
    ["hints cut short", Buffer.from([0, 200, 1]), 0],
    ["hints that are none", body(0, random(40), text(9)), 9],
    ["larger than any frame", body(1, none, compress(Buffer.alloc(format.frameBytes + 1), 3)), format.frameBytes + 1],
  ];
  for (const [why, payload, rawBytes] of wrong)
    assert.throws(
      () => openFrame(key, header, 3, rawBytes, crafted(payload, rawBytes)),
      (error: { code?: string }) => error.code === "format" || error.code === "damaged",
      why,
    );
});

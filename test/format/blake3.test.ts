/** BLAKE3: the plain twin, the addon and @noble/hashes agree; the tree inside the hash folds to the hash. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { blake3 as reference } from "@noble/hashes/blake3.js";
import { hasNative, native } from "../../src/base/native.js";
import { blake3, blake3Derive, blake3Leaves, blake3Parent } from "../../src/format/blake3.js";
import { derive, hashOf, keyedHash, leavesOf } from "../../src/format/hash.js";
import { full, numbersOf, randomOf } from "./given.js";

const random = randomOf("blake3");
const pick = numbersOf("blake3 lengths");
const key = random(32);

/** Around the boundaries of blocks, chunks, subtrees and leaves, and some anywhere. */
const lengths = [
  ...[0, 64, 128, 1024, 2048, 3072, 4096, 5120, 8192, 65_536, 131_072, 196_608].flatMap((at) => [at - 1, at, at + 1]),
  ...Array.from({ length: full ? 400 : 40 }, () => pick(5000)),
  ...Array.from({ length: full ? 50 : 4 }, () => pick(400_000)),
].filter((length) => length >= 0);

test("hash, keyed hash and derived key equal the reference at every kind of length", () => {
  for (const length of lengths) {
    const data = random(length);
    assert.deepEqual(blake3(data), Buffer.from(reference(data)), `plain, ${length}`);
    assert.deepEqual(hashOf(data), blake3(data), `addon, ${length}`);
    assert.deepEqual(blake3(data, key), Buffer.from(reference(data, { key })), `keyed, ${length}`);
    assert.deepEqual(keyedHash(key, data), blake3(data, key), `addon keyed, ${length}`);
    if (length > 70_000) continue;
    const context = Buffer.from(`bcoopfs v1 label ${length}`);
    assert.deepEqual(blake3Derive(context.toString(), data), Buffer.from(reference(data, { context })), `${length}`);
  }
});

test("contexts longer than a block and of any script derive as the reference does", () => {
  for (const context of ["", "é ☃ 𝄞", "x".repeat(64), "y".repeat(1025)])
    assert.deepEqual(blake3Derive(context, key), Buffer.from(reference(key, { context: Buffer.from(context) })));
  assert.deepEqual(derive("a", key), blake3Derive("bcoopfs v1 a", key));
  assert.deepEqual(derive("a", key.subarray(0, 3), key.subarray(3)), derive("a", key), "material is joined");
});

test("a view into a larger buffer hashes as its copy", () => {
  const whole = random(5000);
  for (let at = 0; at < 9; at++)
    assert.deepEqual(hashOf(whole.subarray(at, at + 3001)), blake3(Buffer.from(whole.subarray(at, at + 3001))));
});

test("leaves of twin and addon agree at any place and fold to the hash", () => {
  for (const length of [1, 65_536, 65_537, 131_072, 131_073, 262_144, 300_000]) {
    const data = random(length);
    for (const place of [0, 64, 64 * 70_000]) {
      const leaves = blake3Leaves(data, null, place);
      assert.equal(leaves.length, Math.ceil(length / 65_536));
      assert.deepEqual(leavesOf(data, place), leaves, `addon, ${length} at ${place}`);
    }
    const leaves = blake3Leaves(data, null, 0);
    if (leaves.length === 2) assert.deepEqual(blake3Parent(leaves[0]!, leaves[1]!, true), blake3(data));
    if (leaves.length > 1) assert.deepEqual(leaves[1], blake3Leaves(data.subarray(65_536), null, 64)[0]);
  }
});

test("a leaf is no root, and its place and key count", () => {
  const data = random(1000);
  const leaf = blake3Leaves(data, null, 0)[0] as Buffer;
  assert.notDeepEqual(leaf, blake3(data));
  assert.notDeepEqual(leaf, blake3Leaves(data, null, 64)[0]);
  assert.notDeepEqual(leaf, blake3Leaves(data, key, 0)[0]);
  assert.notDeepEqual(blake3Parent(leaf, leaf, false), blake3Parent(leaf, leaf, true));
  const empty = blake3Leaves(Buffer.alloc(0), null, 0);
  assert.equal(empty.length, 1);
  assert.deepEqual(leavesOf(Buffer.alloc(0), 0), empty);
});

test("the addon is what these tests compared with", { skip: hasNative() ? false : "not built" }, () => {
  assert.deepEqual(native().blake3(Buffer.from("abc"), null), blake3(Buffer.from("abc")));
});

/** Any range of an object is proved against its name, and nothing else is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { format } from "../../src/base/limits.js";
import { hashOf } from "../../src/format/hash.js";
import { LeafTree, leafCount, NameHasher, proofOf, verifyLeaves } from "../../src/format/leaves.js";
import { full, numbersOf, randomOf } from "./given.js";

const leaf = format.leafBytes;
const random = randomOf("leaves");
const pick = numbersOf("leaves");
/** one object that all shorter ones are the beginning of */
const longest = random(40 * leaf);

function named(data: Buffer): { name: Buffer; leaves: Buffer[] } {
  const hasher = new NameHasher();
  hasher.update(data);
  return hasher.finish();
}

function damaged(act: () => void, why: string): void {
  assert.throws(act, (error) => error instanceof Problem && error.code === "damaged", why);
}

test("a name is the hash of the whole, in whatever pieces it is written", () => {
  for (const length of [0, 1, leaf - 1, leaf, leaf + 1, 16 * leaf, 16 * leaf + 1, 17 * leaf, 33 * leaf - 5]) {
    const data = longest.subarray(0, length);
    const whole = named(data);
    assert.deepEqual(whole.name, hashOf(data), `${length} at once`);
    assert.equal(whole.leaves.length, leafCount(length));
    for (const most of [700_000, 65_536, 2_000_000]) {
      const hasher = new NameHasher();
      for (let at = 0; at < length; ) {
        const step = Math.min(length - at, pick(most));
        hasher.update(data.subarray(at, at + step));
        at += step;
      }
      assert.deepEqual(hasher.finish(), whole, `${length} in pieces of up to ${most}`);
    }
  }
});

test("a piece may be overwritten once it is given", () => {
  const piece = random(1000);
  const name = hashOf(piece);
  const hasher = new NameHasher();
  hasher.update(piece);
  piece.fill(0);
  assert.deepEqual(hasher.finish().name, name);
});

test("every range of objects of 1 to 40 leaves verifies, whole or with a short end", () => {
  for (let count = 1; count <= (full ? 40 : 16); count++)
    for (const missing of [0, 1, leaf - 1]) {
      const length = count * leaf - missing;
      const data = longest.subarray(0, length);
      const { name, leaves } = named(data);
      for (let first = 0; first < count; first++)
        for (let last = first; last < count; last++) {
          const bytes = data.subarray(first * leaf, Math.min((last + 1) * leaf, length));
          verifyLeaves(name, length, first, bytes, proofOf(leaves, first, last));
        }
    }
  // All ranges of the larger ones would be slow: some of each.
  for (let count = 17; count <= 40; count++) {
    const length = count * leaf - pick(leaf);
    const { name, leaves } = named(longest.subarray(0, length));
    for (let round = 0; round < 8; round++) {
      const first = pick(count);
      const last = first + pick(Math.min(3, count - first));
      const bytes = longest.subarray(first * leaf, Math.min((last + 1) * leaf, length));
      verifyLeaves(name, length, first, bytes, proofOf(leaves, first, last));
    }
  }
});

test("an altered byte of data or proof is refused", () => {
  for (const [count, first, last] of [
    [1, 0, 0],
    [2, 1, 1],
    [5, 1, 2],
    [7, 6, 6],
    [6, 0, 4],
  ] as const) {
    const length = count * leaf - 77;
    const { name, leaves } = named(longest.subarray(0, length));
    const bytes = Buffer.from(longest.subarray(first * leaf, Math.min((last + 1) * leaf, length)));
    const proof = proofOf(leaves, first, last);
    for (let round = 0; round < 60; round++) {
      const at = round === 0 ? 0 : round === 1 ? bytes.length - 1 : pick(bytes.length);
      bytes[at] = (bytes[at] as number) ^ (1 << pick(8));
      const altered = Buffer.from(bytes);
      longest.copy(bytes, at, first * leaf + at, first * leaf + at + 1);
      damaged(() => verifyLeaves(name, length, first, altered, proof), `data byte ${at}`);
    }
    verifyLeaves(name, length, first, bytes, proof);
    proof.forEach((value, i) => {
      for (let at = 0; at < 32; at++) {
        const altered = proof.map((each) => Buffer.from(each));
        (altered[i] as Buffer)[at] = (value[at] as number) ^ (1 << (at % 8));
        damaged(() => verifyLeaves(name, length, first, bytes, altered), `proof ${i}, byte ${at}`);
      }
    });
  }
});

test("a wrong range, name, length or shape of proof is refused", () => {
  const length = 11 * leaf - 5;
  const data = longest.subarray(0, length);
  const { name, leaves } = named(data);
  const bytes = data.subarray(3 * leaf, 5 * leaf);
  const proof = proofOf(leaves, 3, 4);
  verifyLeaves(name, length, 3, bytes, proof);
  for (const first of [-1, 0, 1, 2, 4, 5, 9, 10, 11, 2 ** 31, 0.5, Number.NaN])
    damaged(() => verifyLeaves(name, length, first, bytes, proof), `from leaf ${first}`);
  for (const [from, to] of [
    [3, 3],
    [4, 4],
    [3, 5],
    [2, 4],
    [0, 10],
  ] as const) {
    const other = data.subarray(from * leaf, Math.min((to + 1) * leaf, length));
    damaged(() => verifyLeaves(name, length, from, other, proof), `leaves ${from} to ${to} with the proof of 3 to 4`);
  }
  damaged(() => verifyLeaves(hashOf(name), length, 3, bytes, proof), "another name");
  damaged(() => verifyLeaves(name.subarray(1), length, 3, bytes, proof), "a short name");
  for (const other of [0, leaf, 5 * leaf, 5 * leaf + 1, 8 * leaf, 17 * leaf, 2 ** 40])
    damaged(() => verifyLeaves(name, other, 3, bytes, proof), `length ${other}`);
  const end = data.subarray(10 * leaf);
  for (const other of [length - 1, length + 1, length + leaf, 16 * leaf, Number.NaN, Number.POSITIVE_INFINITY])
    damaged(
      () => verifyLeaves(name, other, 10, end, proofOf(leaves, 10, 10)),
      `length ${other}, told by the last leaf`,
    );
  damaged(() => verifyLeaves(name, length, 3, bytes, proof.slice(1)), "first value missing");
  damaged(() => verifyLeaves(name, length, 3, bytes, proof.slice(0, -1)), "last value missing");
  damaged(() => verifyLeaves(name, length, 3, bytes, [...proof, proof[0]!]), "one value too many");
  damaged(() => verifyLeaves(name, length, 3, bytes, [...proof].reverse()), "values in another order");
  damaged(
    () =>
      verifyLeaves(
        name,
        length,
        3,
        bytes,
        proof.map((v) => v.subarray(1)),
      ),
    "short values",
  );
  damaged(() => verifyLeaves(name, length, 3, bytes, Array<Buffer>(1000).fill(proof[0]!)), "a thousand values");
  for (const cut of [0, 1, leaf - 1, leaf, leaf + 1, 2 * leaf - 1])
    damaged(() => verifyLeaves(name, length, 3, bytes.subarray(0, cut), proof), `${cut} bytes`);
});

test("a short object is its own proof; an inner value is no object", () => {
  const short = longest.subarray(0, 10);
  verifyLeaves(hashOf(short), 10, 0, short, []);
  verifyLeaves(hashOf(Buffer.alloc(0)), 0, 0, Buffer.alloc(0), []);
  damaged(() => verifyLeaves(hashOf(short), 10, 0, short, [Buffer.alloc(32)]), "a proof where none is due");
  damaged(() => verifyLeaves(hashOf(short), 10, 0, Buffer.alloc(0), []), "nothing at all");
  damaged(() => verifyLeaves(hashOf(short), 11, 0, short, []), "another length");
  const { name, leaves } = named(longest.subarray(0, 2 * leaf));
  damaged(() => verifyLeaves(name, 64, 0, Buffer.concat(leaves), []), "the two leaves as if they were data");
});

test("proofs stay short", () => {
  const { leaves } = named(longest);
  for (let at = 0; at < 40; at++) assert.ok(proofOf(leaves, at, at).length <= 6);
  assert.equal(proofOf(leaves, 0, 39).length, 0);
});

test("a tree of chaining values gives the same proofs without hashing, and knows its leaves", () => {
  for (let count = 1; count <= (full ? 40 : 21); count++) {
    const data = longest.subarray(0, count * leaf - pick(leaf));
    const { leaves } = named(data);
    const tree = new LeafTree(leaves);
    assert.equal(tree.leaves, count);
    for (let first = 0; first < count; first++)
      for (let last = first; last < count; last++) {
        assert.deepEqual(tree.proof(first, last), proofOf(leaves, first, last));
        const range = data.subarray(first * leaf, (last + 1) * leaf);
        assert.ok(tree.holds(first, range));
        const wrong = Buffer.from(range);
        const at = pick(wrong.length);
        wrong[at] = (wrong[at] as number) ^ 1;
        assert.ok(!tree.holds(first, wrong), `leaves ${first} to ${last} of ${count}, byte ${at}`);
        assert.ok(!tree.holds(first + 1, range));
      }
  }
});

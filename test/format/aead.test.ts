/** XChaCha20-Poly1305 as @noble/ciphers computes it; every altered bit is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { Problem } from "../../src/base/errors.js";
import { boxOverhead, open, seal } from "../../src/format/aead.js";
import { checkSealed } from "../support/strict.js";
import { full, numbersOf, randomOf } from "./given.js";

const random = randomOf("aead");
const pick = numbersOf("aead");

test("boxes equal the reference for all sizes of plaintext and context", () => {
  const sizes = [
    0,
    1,
    15,
    16,
    17,
    63,
    64,
    65,
    255,
    4096,
    65_537,
    ...Array.from({ length: full ? 300 : 40 }, () => pick(3000)),
  ];
  for (const size of sizes) {
    const [key, nonce, plain, context] = [random(32), random(24), random(size), random(pick(200))] as const;
    const box = seal(key, nonce, context, plain);
    assert.equal(box.length, size + boxOverhead);
    const expected = xchacha20poly1305(key, nonce, context).encrypt(plain);
    assert.deepEqual(box, Buffer.concat([nonce, expected]), `${size} bytes`);
    assert.deepEqual(open(key, context, box, "box"), plain);
  }
});

test("the vector of draft-irtf-cfrg-xchacha-03, A.3.1", () => {
  const key = Buffer.from(Array.from({ length: 32 }, (_, i) => 0x80 + i));
  const nonce = Buffer.from(Array.from({ length: 24 }, (_, i) => 0x40 + i));
  const context = Buffer.from("50515253c0c1c2c3c4c5c6c7", "hex");
  const plain = Buffer.from(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  const box = seal(key, nonce, context, plain);
  assert.equal(box.subarray(24, 40).toString("hex"), "bd6d179d3e83d43b9576579493c0e939");
  assert.equal(box.subarray(-16).toString("hex"), "c0875924c1c7987947deafd8780acf49");
});

test("every altered bit, cut and added byte of a box is refused", () => {
  const [key, context] = [random(32), random(20)] as const;
  for (const size of [0, 1, 40])
    checkSealed("box", seal(key, random(24), context, random(size)), (box) => open(key, context, box, "box"));
});

test("another key or context is refused", () => {
  const [key, context] = [random(32), random(20)] as const;
  const box = seal(key, random(24), context, Buffer.from("secret"));
  checkSealed("context", context, (altered) => open(key, altered, box, "box"));
  for (let at = 0; at < 256; at++) {
    const other = Buffer.from(key);
    other[at >> 3] = (other[at >> 3] as number) ^ (1 << (at & 7));
    assert.throws(() => open(other, context, box, "box"), { code: "damaged" });
  }
});

test("a key or nonce of the wrong size is a bug, a short box is damage", () => {
  assert.throws(() => seal(random(31), random(24), random(0), random(1)), RangeError);
  assert.throws(() => seal(random(32), random(12), random(0), random(1)), RangeError);
  assert.throws(
    () => open(random(32), random(0), random(39), "box"),
    (error) => error instanceof Problem,
  );
});

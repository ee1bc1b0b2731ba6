/**
 * XChaCha20-Poly1305 with random nonces: the only way anything of ours is sealed.
 *
 * A 192-bit random nonce rules out reuse after crashes, retries and cloned machines. The construction is HChaCha20
 * followed by the ChaCha20-Poly1305 of OpenSSL, bit for bit what libsodium and @noble/ciphers compute
 * (draft-irtf-cfrg-xchacha-03). Poly1305 does not commit to a key: segments and the capsule carry a commitment beside
 * their boxes, and a record's signature covers its sealed body.
 * @module
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { hchacha } from "@noble/ciphers/chacha.js";
import { fromWords, toWords } from "../base/bytes.js";
import { Problem } from "../base/errors.js";

export const nonceBytes = 24;
export const tagBytes = 16;
export const boxOverhead = nonceBytes + tagBytes;

const sigma = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574);

/** Key and 96-bit nonce of the inner ChaCha20-Poly1305. */
function inner(key: Uint8Array, nonce: Uint8Array): { key: Buffer; nonce: Buffer } {
  const words = new Uint32Array(8);
  hchacha(sigma, toWords(key), toWords(nonce.subarray(0, 16)), words);
  return { key: fromWords(words), nonce: Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]) };
}

/**
 * Seal `plain` under a 32-byte key, bound to `context`.
 * @returns nonce ‖ ciphertext ‖ tag, 40 bytes longer than `plain`
 */
export function seal(key: Uint8Array, nonce: Uint8Array, context: Uint8Array, plain: Uint8Array): Buffer {
  if (key.length !== 32 || nonce.length !== nonceBytes)
    throw new RangeError("expected a key of 32 and a nonce of 24 bytes");
  const box = inner(key, nonce);
  const cipher = createCipheriv("chacha20-poly1305", box.key, box.nonce, { authTagLength: tagBytes });
  cipher.setAAD(context, { plaintextLength: plain.length });
  const sealed = cipher.update(plain);
  cipher.final();
  return Buffer.concat([nonce, sealed, cipher.getAuthTag()]);
}

/** Open what `seal` made. Throws Problem("damaged") when a bit of the box, the key or the context differs. */
export function open(key: Uint8Array, context: Uint8Array, box: Uint8Array, what: string): Buffer {
  if (box.length < boxOverhead) throw new Problem("damaged", `${what}: too short to be sealed`);
  const nonce = box.subarray(0, nonceBytes);
  const secret = inner(key, nonce);
  const cipher = createDecipheriv("chacha20-poly1305", secret.key, secret.nonce, { authTagLength: tagBytes });
  const body = box.subarray(nonceBytes, box.length - tagBytes);
  cipher.setAAD(context, { plaintextLength: body.length });
  cipher.setAuthTag(box.subarray(box.length - tagBytes));
  try {
    const plain = cipher.update(body);
    cipher.final();
    return plain;
  } catch (error) {
    throw new Problem("damaged", `${what}: the seal is broken (altered bytes or a wrong key)`, { cause: error });
  }
}

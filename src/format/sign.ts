/**
 * Ed25519, strictly: canonical encodings only, no key of small order. The verifier that node:crypto and the
 * defaults of most libraries offer accepts a small-order key whose one fixed signature fits every message.
 * @module
 */
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { Problem } from "../base/errors.js";

export const signatureBytes = 64;

export interface SigningKey {
  /** 32 bytes, secret */
  readonly seed: Uint8Array;
  /** 32 bytes */
  readonly publicKey: Buffer;
}

export function signingKeyOf(seed: Uint8Array): SigningKey {
  return { seed, publicKey: Buffer.from(ed25519.getPublicKey(seed)) };
}

/** Sign `message` behind a domain label, so that a signature of one purpose never fits another. */
export function sign(key: SigningKey, domain: string, message: Uint8Array): Buffer {
  return Buffer.from(ed25519.sign(scoped(domain, message), key.seed));
}

/** RFC 8032 strict verification; false rather than an exception for malformed input. */
export function verify(publicKey: Uint8Array, domain: string, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== signatureBytes) return false;
  try {
    return ed25519.verify(signature, scoped(domain, message), publicKey, { zip215: false });
  } catch {
    return false;
  }
}

/** Refuse a public key that is not canonical, not on the curve, or of small order: the check at enrolment. */
export function checkPublicKey(publicKey: Uint8Array): void {
  try {
    const point = ed25519.Point.fromBytes(publicKey, false);
    if (!point.isSmallOrder() && point.isTorsionFree()) return;
  } catch {
    // falls through to the refusal
  }
  throw new Problem("format", "not a valid public key");
}

function scoped(domain: string, message: Uint8Array): Buffer {
  const label = Buffer.from(`bcoopfs v1 ${domain}`, "utf8");
  return Buffer.concat([Buffer.from([label.length]), label, message]);
}

/** The X25519 public key of a device that is known by its Ed25519 key (RFC 7748, section 4.1, the birational map). */
export function exchangePublicKeyOf(publicKey: Uint8Array): Buffer {
  checkPublicKey(publicKey);
  return Buffer.from(ed25519.utils.toMontgomery(publicKey));
}

/** The X25519 secret that belongs to it. */
export function exchangeSecretOf(seed: Uint8Array): Buffer {
  return Buffer.from(ed25519.utils.toMontgomerySecret(seed));
}

/** X25519 public key of a 32-byte secret (RFC 7748). */
export function exchangePublicKey(secret: Uint8Array): Buffer {
  return Buffer.from(x25519.getPublicKey(secret));
}

/** X25519 shared secret; throws where the other side's key is of small order. */
export function exchange(secret: Uint8Array, publicKey: Uint8Array): Buffer {
  try {
    return Buffer.from(x25519.getSharedSecret(secret, publicKey));
  } catch (error) {
    throw new Problem("format", "not a valid public key", { cause: error });
  }
}

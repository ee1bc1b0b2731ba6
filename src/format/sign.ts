/**
 * Ed25519, strictly: canonical encodings only, no key of small order or with a part of one. OpenSSL does the sums,
 * thirteen to fifty times as fast as TypeScript; but its verifier accepts a small-order key whose one fixed signature
 * fits every message, so a key is checked here before OpenSSL sees it, once.
 * @module
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign as signRaw, verify as verifyRaw } from "node:crypto";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { Problem } from "../base/errors.js";
import { choice } from "../base/limits.js";

export const signatureBytes = 64;

export interface SigningKey {
  /** 32 bytes, secret */
  readonly seed: Uint8Array;
  /** 32 bytes */
  readonly publicKey: Buffer;
}

/** What stands before the 32 bytes of a key in DER (RFC 8410). */
const privateDer = Buffer.from("302e020100300506032b657004220420", "hex");
const publicDer = Buffer.from("302a300506032b6570032100", "hex");
/** Order of the group: scalars of signatures lie below it. Big-endian. */
const order = Buffer.from("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", "hex");

/** Keys as OpenSSL takes them; they go when their SigningKey does. */
const signers = new WeakMap<SigningKey, KeyObject>();
/** By the public key's bytes, least recently used first; undefined for one that is not sound. */
const verifiers = new Map<string, KeyObject | undefined>();

export function signingKeyOf(seed: Uint8Array): SigningKey {
  return { seed, publicKey: Buffer.from(ed25519.getPublicKey(seed)) };
}

/** Sign `message` behind a domain label, so that a signature of one purpose never fits another. */
export function sign(key: SigningKey, domain: string, message: Uint8Array): Buffer {
  let signer = signers.get(key);
  if (signer === undefined) {
    if (key.seed.length !== 32) throw new RangeError(`expected a seed of 32 bytes, got ${key.seed.length}`);
    signer = createPrivateKey({ key: Buffer.concat([privateDer, key.seed]), format: "der", type: "pkcs8" });
    signers.set(key, signer);
  }
  return signRaw(null, scoped(domain, message), signer);
}

/**
 * RFC 8032 strict verification, without the cofactor: the encoded point must be the one that is computed. false rather
 * than an exception for malformed input.
 */
export function verify(publicKey: Uint8Array, domain: string, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== signatureBytes) return false;
  if (Buffer.from(signature.subarray(32)).reverse().compare(order) >= 0) return false;
  const verifier = verifierOf(publicKey);
  return verifier !== undefined && verifyRaw(null, scoped(domain, message), verifier, signature);
}

/** Refuse a public key that is not canonical, not on the curve, or of small order: the check at enrolment. */
export function checkPublicKey(publicKey: Uint8Array): void {
  if (publicKey.length !== 32 || verifierOf(publicKey) === undefined)
    throw new Problem("format", "not a valid public key");
}

/** The key, where it is sound. Remembered, because the check takes ten times as long as a signature's. */
function verifierOf(publicKey: Uint8Array): KeyObject | undefined {
  const name = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString("latin1");
  const known = verifiers.has(name);
  const verifier = known
    ? verifiers.get(name)
    : isSound(publicKey)
      ? createPublicKey({ key: Buffer.concat([publicDer, publicKey]), format: "der", type: "spki" })
      : undefined;
  if (known) verifiers.delete(name);
  else if (verifiers.size >= choice.checkedKeys) verifiers.delete(verifiers.keys().next().value as string);
  verifiers.set(name, verifier);
  return verifier;
}

/** Canonical, on the curve, and in the subgroup of prime order. */
function isSound(publicKey: Uint8Array): boolean {
  try {
    const point = ed25519.Point.fromBytes(publicKey, false);
    return !point.isSmallOrder() && point.isTorsionFree();
  } catch {
    return false;
  }
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

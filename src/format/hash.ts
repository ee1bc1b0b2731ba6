/**
 * All hashing of ours by the four names it has here: ids, names, derived keys, leaves. The addon computes them where
 * it is built, its twin in `blake3.ts` otherwise; both give the same bytes.
 * @module
 */
import { hasNative, native } from "../base/native.js";
import * as twin from "./blake3.js";

/** BLAKE3-256 of bytes, as `b3sum` prints it. */
export function hashOf(data: Uint8Array): Buffer {
  return hasNative() ? native().blake3(data, null) : twin.blake3(data);
}

/** BLAKE3-256 keyed with 32 bytes. */
export function keyedHash(key: Uint8Array, data: Uint8Array): Buffer {
  return hasNative() ? native().blake3(data, key) : twin.blake3(data, key);
}

/** A 32-byte key from key material, bound to one label of ours. */
export function derive(label: string, ...material: Uint8Array[]): Buffer {
  return twin.blake3Derive(
    `bcoopfs v1 ${label}`,
    material.length === 1 ? (material[0] as Uint8Array) : Buffer.concat(material),
  );
}

/** Chaining values of consecutive 64 KiB subtrees, 32 bytes each. */
export function leavesOf(data: Uint8Array, firstChunk: number): Buffer[] {
  // An empty object has one leaf; the addon counts whole and begun ones only.
  if (data.length === 0 || !hasNative()) return twin.blake3Leaves(data, null, firstChunk);
  const packed = native().blake3Leaves(data, null, BigInt(firstChunk));
  return Array.from({ length: packed.length / 32 }, (_, i) => packed.subarray(i * 32, i * 32 + 32));
}

export const parentOf = twin.blake3Parent;

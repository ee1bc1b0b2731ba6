/**
 * Where contents are cut into chunks, so that equal data is cut equally wherever it stands.
 *
 * Two stages. A position is a candidate when a keyed multiply of the eight bytes before it falls below 2^22 (one in
 * 1,024); a candidate is a cut when keyed BLAKE3 of the 64 bytes before it falls below a threshold, four times
 * stricter before the average length and four times looser after it. The second stage is a pseudo-random function:
 * the cuts tell nothing about the contents to whoever lacks the key. Chunk lengths are a quarter of the average to
 * four times the average; only the last chunk of a file may be shorter.
 * Measured with its rivals: docs/design.md, "Splitter".
 * @module
 */
import { compareBytes } from "../base/bytes.js";
import { blake3 } from "./blake3.js";
import { derive, keyedHash } from "./hash.js";

const candidateBits = 10;
const candidateBelow = 2 ** (32 - candidateBits);
const normalBits = 2;
const windowBytes = 64;

export interface SplitterKeys {
  readonly k1: number;
  readonly k2: number;
  readonly k3: number;
  readonly windowKey: Buffer;
}

export function splitterKeys(splitterKey: Uint8Array): SplitterKeys {
  const k = derive("splitter prefilter", splitterKey);
  return {
    k1: (k.readUInt32LE(0) | 1) >>> 0,
    k2: (k.readUInt32LE(4) | 1) >>> 0,
    k3: k.readUInt32LE(8),
    windowKey: derive("splitter window", splitterKey),
  };
}

export class Splitter {
  readonly minimum: number;
  readonly average: number;
  readonly maximum: number;
  readonly #keys: SplitterKeys;
  readonly #strict: number;
  readonly #loose: number;

  /** @param average bytes, a power of two */
  constructor(keys: SplitterKeys, average: number) {
    this.#keys = keys;
    this.average = average;
    this.minimum = average / 4;
    this.maximum = average * 4;
    const bits = Math.log2(average) - candidateBits;
    this.#strict = 2 ** (32 - bits - normalBits);
    this.#loose = 2 ** (32 - Math.max(0, bits - normalBits));
  }

  /**
   * Length of the chunk that starts at `from`. The caller gives at least `maximum` bytes, or all that is left.
   * @param to end of the bytes that may be looked at
   */
  next(data: Uint8Array, from: number, to: number): number {
    const length = Math.min(to - from, this.maximum);
    if (length <= this.minimum) return length;
    const { k1, k2, k3 } = this.#keys;
    const end = from + length;
    let at = from + this.minimum;
    // The little-endian words of bytes at-4… and at-8…, rolled on by one byte at a time.
    let near = word(data, at - 4);
    let far = word(data, at - 8);
    let rejected = -1;
    for (; at < end; at++) {
      if ((Math.imul(near, k1) + Math.imul(far, k2) + k3) >>> 0 < candidateBelow) {
        // Periodic data offers the same window again and again: a comparison is cheaper than a hash.
        const early = at - from < this.average;
        const known = rejected >= 0 && rejected - from < this.average === early && sameWindow(data, rejected, at);
        if (!known) {
          if (this.#windowValue(data, at) < (early ? this.#strict : this.#loose)) return at - from;
          rejected = at;
        }
      }
      far = (far >>> 8) | ((data[at - 4] as number) << 24);
      near = (near >>> 8) | ((data[at] as number) << 24);
    }
    return length;
  }

  #windowValue(data: Uint8Array, end: number): number {
    const window = data.subarray(end - windowBytes, end);
    return blake3(window, this.#keys.windowKey).readUInt32LE(4);
  }
}

function word(data: Uint8Array, at: number): number {
  return (
    (data[at] as number) |
    ((data[at + 1] as number) << 8) |
    ((data[at + 2] as number) << 16) |
    ((data[at + 3] as number) << 24)
  );
}

function sameWindow(data: Uint8Array, a: number, b: number): boolean {
  return compareBytes(data.subarray(a - windowBytes, a), data.subarray(b - windowBytes, b)) === 0;
}

/**
 * Where rows of items are cut into chunks: lists by the ids they hold, folders by the names. An item ends a chunk
 * with a probability that is its share of the average, so that chunks have the same size whatever the items weigh.
 * @param mark 32 random-looking bits of the item that do not change when its neighbours do
 */
export function endsRow(mark: number, itemBytes: number, average: number): boolean {
  return mark < (itemBytes / average) * 0x1_0000_0000;
}

/** The mark of a folder's entry: keyed, so that names cannot be chosen to cut badly. */
export function nameMark(markKey: Uint8Array, name: Uint8Array): number {
  return keyedHash(markKey, name).readUInt32LE(0);
}

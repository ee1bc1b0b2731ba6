/**
 * Ranges of an object, proved against its name. The name of an object is plain BLAKE3 of its bytes; its leaves are
 * the 64 KiB subtrees inside that hash, and a proof is the chaining values beside the path (Bao with 64 KiB groups).
 * So any range is verified without the rest, and an owner can audit a peer without holding the data.
 * @module
 */
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { leftOf } from "./blake3.js";
import { hashOf, leavesOf, parentOf } from "./hash.js";
import { sameBytes } from "../base/bytes.js";

const chunksPerLeaf = format.leafBytes / 1024;

/** How many leaves an object of this length has; an empty one has one. */
export function leafCount(length: number): number {
  return Math.max(1, Math.ceil(length / format.leafBytes));
}

/** Root of a row of at least two leaves. */
function fold(leaves: readonly Uint8Array[], from: number, to: number, root: boolean): Uint8Array {
  if (to - from === 1) return leaves[from] as Uint8Array;
  const middle = from + leftOf(to - from);
  return parentOf(fold(leaves, from, middle, false), fold(leaves, middle, to, false), root);
}

/** Name an object while it is written front to back: `update` with any pieces, then `finish`. */
export class NameHasher {
  readonly #leaves: Buffer[] = [];
  #held: Buffer[] = [];
  #heldBytes = 0;

  update(piece: Uint8Array): void {
    this.#held.push(Buffer.from(piece));
    this.#heldBytes += piece.length;
    if (this.#heldBytes < 16 * format.leafBytes) return;
    // At least one byte stays held, because the last leaf of all may turn out to be the root.
    const all = Buffer.concat(this.#held);
    const whole = Math.floor((all.length - 1) / format.leafBytes) * format.leafBytes;
    this.#leaves.push(...leavesOf(all.subarray(0, whole), this.#leaves.length * chunksPerLeaf));
    this.#held = [all.subarray(whole)];
    this.#heldBytes = all.length - whole;
  }

  finish(): { name: Buffer; leaves: Buffer[] } {
    const rest = Buffer.concat(this.#held);
    const single = this.#leaves.length === 0 && rest.length <= format.leafBytes;
    const leaves = [...this.#leaves, ...leavesOf(rest, this.#leaves.length * chunksPerLeaf)];
    const name = single ? hashOf(rest) : Buffer.from(fold(leaves, 0, leaves.length, true));
    return { name, leaves };
  }
}

/**
 * The proof for leaves first..last (inclusive) of an object: chaining values of every subtree that holds none of
 * them, in the order a walk from the root meets them, left before right.
 */
export function proofOf(leaves: readonly Uint8Array[], first: number, last: number): Buffer[] {
  const proof: Buffer[] = [];
  const walk = (from: number, to: number): void => {
    if (to <= first || from > last) {
      proof.push(Buffer.from(fold(leaves, from, to, false)));
      return;
    }
    if (to - from === 1) return;
    const middle = from + leftOf(to - from);
    walk(from, middle);
    walk(middle, to);
  };
  walk(0, leaves.length);
  return proof;
}

/**
 * All chaining values of an object, so that proofs cost no hashing: for whoever gives many ranges of it away. They
 * stand in one row as a walk from the root meets them: a node, all below its left, all below its right.
 */
export class LeafTree {
  readonly leaves: number;
  readonly #values: Buffer;

  constructor(leaves: readonly Uint8Array[]) {
    this.leaves = leaves.length;
    this.#values = Buffer.alloc(rowOf(leaves.length) * 32);
    const fill = (at: number, from: number, to: number): Uint8Array => {
      const middle = from + (to - from > 1 ? leftOf(to - from) : 0);
      const value =
        to - from === 1
          ? (leaves[from] as Uint8Array)
          : parentOf(fill(at + 1, from, middle), fill(at + 1 + rowOf(middle - from), middle, to), false);
      this.#values.set(value, at * 32);
      return value;
    };
    fill(0, 0, leaves.length);
  }

  #value(at: number): Buffer {
    return this.#values.subarray(at * 32, at * 32 + 32);
  }

  /** What `proofOf` gives for the same range. */
  proof(first: number, last: number): Buffer[] {
    const proof: Buffer[] = [];
    const walk = (at: number, from: number, to: number): void => {
      if (to <= first || from > last) proof.push(this.#value(at));
      else if (to - from > 1) {
        const middle = from + leftOf(to - from);
        walk(at + 1, from, middle);
        walk(at + 1 + rowOf(middle - from), middle, to);
      }
    };
    walk(0, 0, this.leaves);
    return proof;
  }

  /** Are these the bytes of leaves first…? Not for an object of one leaf: its name says so itself. */
  holds(first: number, data: Uint8Array): boolean {
    const row = leavesOf(data, first * chunksPerLeaf);
    if (first + row.length > this.leaves) return false;
    let good = true;
    const walk = (at: number, from: number, to: number): void => {
      if (to <= first || from >= first + row.length) return;
      if (to - from === 1) good &&= sameBytes(row[from - first] as Buffer, this.#value(at));
      else {
        const middle = from + leftOf(to - from);
        walk(at + 1, from, middle);
        walk(at + 1 + rowOf(middle - from), middle, to);
      }
    };
    walk(0, 0, this.leaves);
    return good;
  }
}

/** Nodes of a tree of so many leaves. */
function rowOf(leaves: number): number {
  return 2 * leaves - 1;
}

/**
 * Check that `data` are the bytes of leaves first… of the object (name, length). Throws Problem("damaged") on any
 * difference: a wrong byte, a wrong proof, a proof too long or too short.
 * The length is what a signed list says; a range that includes the last leaf proves it, others may not.
 * @param data bytes from first * 64 KiB, whole leaves but for the object's end
 */
export function verifyLeaves(
  name: Uint8Array,
  length: number,
  first: number,
  data: Uint8Array,
  proof: readonly Uint8Array[],
): void {
  const refuse = (): never => {
    throw new Problem(
      "damaged",
      `bytes received for object ${Buffer.from(name).toString("hex").slice(0, 16)}… do not belong to it`,
    );
  };
  const total = leafCount(length);
  const from = first * format.leafBytes;
  const end = from + data.length;
  if (
    !Number.isSafeInteger(first) ||
    first < 0 ||
    first >= total ||
    end > length ||
    (end !== length && (data.length === 0 || data.length % format.leafBytes !== 0))
  )
    refuse();
  if (proof.length > 64 || proof.some((value) => value.length !== 32)) refuse();
  if (total === 1) {
    if (proof.length !== 0 || !sameBytes(hashOf(data), name)) refuse();
    return;
  }
  const own = leavesOf(data, first * chunksPerLeaf);
  const last = first + own.length - 1;
  let used = 0;
  const walk = (low: number, high: number, root: boolean): Uint8Array => {
    if (high <= first || low > last) return proof[used++] ?? refuse();
    if (high - low === 1) return own[low - first] as Uint8Array;
    const middle = low + leftOf(high - low);
    const left = walk(low, middle, false);
    return parentOf(left, walk(middle, high, false), root);
  };
  const found = walk(0, total, true);
  if (used !== proof.length || !sameBytes(found, name)) refuse();
}

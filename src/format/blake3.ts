/**
 * BLAKE3 in plain TypeScript: the twin that defines what the addon computes, and the way to the tree inside the
 * hash that libraries do not open: chaining values of 64 KiB subtrees, from which ranges are proved.
 *
 * Source: "BLAKE3: one function, fast everywhere" (O'Connor, Aumasson, Neves, Wilcox-O'Hearn), sections 2.1–2.4.
 * @module
 */
import { fromWords, toWords } from "../base/bytes.js";

const iv = Uint32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
);
const chunkStart = 1;
const chunkEnd = 2;
const parentFlag = 4;
const rootFlag = 8;
const keyedFlag = 16;
const deriveContextFlag = 32;
const deriveMaterialFlag = 64;

/** bytes of one BLAKE3 chunk (not of ours) */
const chunkLength = 1024;
/** BLAKE3 chunks in one leaf of 64 KiB */
const chunksPerLeaf = 64;

const message = new Uint32Array(16);
const state = new Uint32Array(16);

/** One mixing step of the message words x and y into a column or diagonal. */
function mix(a: number, b: number, c: number, d: number, x: number, y: number): void {
  const s = state;
  let va = s[a] as number;
  let vb = s[b] as number;
  let vc = s[c] as number;
  let vd = s[d] as number;
  va = (va + vb + x) | 0;
  vd ^= va;
  vd = (vd >>> 16) | (vd << 16);
  vc = (vc + vd) | 0;
  vb ^= vc;
  vb = (vb >>> 12) | (vb << 20);
  va = (va + vb + y) | 0;
  vd ^= va;
  vd = (vd >>> 8) | (vd << 24);
  vc = (vc + vd) | 0;
  vb ^= vc;
  vb = (vb >>> 7) | (vb << 25);
  s[a] = va;
  s[b] = vb;
  s[c] = vc;
  s[d] = vd;
}

/** Message words in the order each of the seven rounds takes them. */
const schedule: Uint8Array = (() => {
  const permutation = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
  const all = new Uint8Array(7 * 16);
  let row = Array.from({ length: 16 }, (_, i) => i);
  for (let round = 0; round < 7; round++) {
    all.set(row, round * 16);
    row = permutation.map((i) => row[i] as number);
  }
  return all;
})();

/** The compression function: chaining value `cv` (8 words) becomes the next one, in place. `message` holds the block. */
function compress(cv: Uint32Array, counter: number, length: number, flags: number): void {
  const s = state;
  const m = message;
  s.set(cv);
  s[8] = iv[0] as number;
  s[9] = iv[1] as number;
  s[10] = iv[2] as number;
  s[11] = iv[3] as number;
  s[12] = counter;
  s[13] = Math.floor(counter / 0x1_0000_0000);
  s[14] = length;
  s[15] = flags;
  for (let at = 0; at < 112; at += 16) {
    mix(0, 4, 8, 12, m[schedule[at] as number] as number, m[schedule[at + 1] as number] as number);
    mix(1, 5, 9, 13, m[schedule[at + 2] as number] as number, m[schedule[at + 3] as number] as number);
    mix(2, 6, 10, 14, m[schedule[at + 4] as number] as number, m[schedule[at + 5] as number] as number);
    mix(3, 7, 11, 15, m[schedule[at + 6] as number] as number, m[schedule[at + 7] as number] as number);
    mix(0, 5, 10, 15, m[schedule[at + 8] as number] as number, m[schedule[at + 9] as number] as number);
    mix(1, 6, 11, 12, m[schedule[at + 10] as number] as number, m[schedule[at + 11] as number] as number);
    mix(2, 7, 8, 13, m[schedule[at + 12] as number] as number, m[schedule[at + 13] as number] as number);
    mix(3, 4, 9, 14, m[schedule[at + 14] as number] as number, m[schedule[at + 15] as number] as number);
  }
  for (let i = 0; i < 8; i++) cv[i] = (s[i] as number) ^ (s[i + 8] as number);
}

/** Fill the message block from `data`, zero-padded after `length` bytes. */
function load(data: Uint8Array, at: number, length: number): void {
  if (length === 64) {
    for (let i = 0; i < 16; i++, at += 4)
      message[i] =
        (data[at] as number) |
        ((data[at + 1] as number) << 8) |
        ((data[at + 2] as number) << 16) |
        ((data[at + 3] as number) << 24);
    return;
  }
  message.fill(0);
  for (let i = 0; i < length; i++)
    message[i >> 2] = (message[i >> 2] as number) | ((data[at + i] as number) << ((i & 3) * 8));
}

/** Chaining value of one chunk of at most 1,024 bytes; with `extra` = root flag, the hash of a whole short input. */
function chunkValue(
  data: Uint8Array,
  from: number,
  to: number,
  key: Uint32Array,
  counter: number,
  mode: number,
  extra: number,
): Uint32Array {
  const cv = key.slice();
  let at = from;
  let flags = mode | chunkStart;
  do {
    const length = Math.min(64, to - at);
    load(data, at, length);
    const last = at + length >= to;
    compress(cv, counter, length, last ? flags | chunkEnd | extra : flags);
    flags = mode;
    at += length;
  } while (at < to);
  return cv;
}

function parentValue(
  left: Uint32Array,
  right: Uint32Array,
  key: Uint32Array,
  mode: number,
  extra: number,
): Uint32Array {
  message.set(left, 0);
  message.set(right, 8);
  const cv = key.slice();
  compress(cv, 0, 64, mode | parentFlag | extra);
  return cv;
}

/** Largest power of two below n (n > 1): how many of n nodes stand in the left subtree. */
export function leftOf(n: number): number {
  return 2 ** Math.floor(Math.log2(n - 1));
}

function subtree(
  data: Uint8Array,
  from: number,
  to: number,
  key: Uint32Array,
  counter: number,
  mode: number,
  extra: number,
): Uint32Array {
  const chunks = Math.max(1, Math.ceil((to - from) / chunkLength));
  if (chunks === 1) return chunkValue(data, from, to, key, counter, mode, extra);
  const left = leftOf(chunks);
  const middle = from + left * chunkLength;
  const a = subtree(data, from, middle, key, counter, mode, 0);
  const b = subtree(data, middle, to, key, counter + left, mode, 0);
  return parentValue(a, b, key, mode, extra);
}

/** BLAKE3-256 of `data`, keyed where a key of 32 bytes is given. */
export function blake3(data: Uint8Array, key: Uint8Array | null = null): Buffer {
  const words = key ? toWords(key) : iv;
  return fromWords(subtree(data, 0, data.length, words, 0, key ? keyedFlag : 0, rootFlag));
}

/** derive_key of the paper: a 32-byte key from key material, bound to a context text that is fixed in the program. */
export function blake3Derive(context: string, material: Uint8Array): Buffer {
  const text = Buffer.from(context, "utf8");
  const contextKey = subtree(text, 0, text.length, iv, 0, deriveContextFlag, rootFlag);
  return fromWords(subtree(material, 0, material.length, contextKey, 0, deriveMaterialFlag, rootFlag));
}

/**
 * Chaining values (32 bytes each, not finalised as root) of the consecutive 64 KiB subtrees of `data`.
 * @param firstChunk number of 1,024-byte chunks that stand before `data` in the whole
 */
export function blake3Leaves(data: Uint8Array, key: Uint8Array | null, firstChunk: number): Buffer[] {
  const words = key ? toWords(key) : iv;
  const step = chunksPerLeaf * chunkLength;
  const leaves: Buffer[] = [];
  for (let at = 0, chunk = firstChunk; at === 0 || at < data.length; at += step, chunk += chunksPerLeaf)
    leaves.push(fromWords(subtree(data, at, Math.min(at + step, data.length), words, chunk, key ? keyedFlag : 0, 0)));
  return leaves;
}

/** The chaining value above two others; `root` makes it the hash of the whole. */
export function blake3Parent(left: Uint8Array, right: Uint8Array, root: boolean): Buffer {
  return fromWords(parentValue(toWords(left), toWords(right), iv, 0, root ? rootFlag : 0));
}

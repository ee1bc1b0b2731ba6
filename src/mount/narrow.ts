/**
 * What fuse-native cannot carry is narrowed here and nowhere else: inode numbers to 32 bits, times to milliseconds since
 * 1970, names to UTF-8. Numbers and times may lose; contents and names never become others.
 * @module
 */
import { isUtf8 } from "node:buffer";
import type { Attributes } from "./backend.js";
import { Recent } from "./recent.js";

/** numbers remembered at once: about 20 MB, and only where so many files have been looked at */
const remembered = 1 << 18;

/**
 * 32-bit inode numbers for 64-bit ones, counted upwards: two files that somebody compares never share one, as a shorter
 * hash would let them (cmp takes the same number for the same file, cp makes a hard link of it). One that has long not
 * been asked for gets a new number.
 */
export class InodeNumbers {
  readonly #numbers = new Recent<bigint, number>(remembered);
  #last = 1;

  of(ino: bigint): number {
    if (ino === 1n) return 1;
    const known = this.#numbers.get(ino);
    if (known !== undefined) return known;
    // The highest number means "unknown" to libfuse.
    this.#last = this.#last >= 0xffff_fffe ? 2 : this.#last + 1;
    this.#numbers.set(ino, this.#last);
    return this.#last;
  }
}

const low32 = 0xffff_ffffn;

/** The 18 words in which fuse-native hands over a struct stat. Before 1970 it has no times: those become 1970. */
export function statWords(attributes: Attributes, ino: number): Uint32Array {
  const { mode, uid, gid, nlink, size, major, minor, mtimeNs } = attributes;
  const words = new Uint32Array(18);
  words[0] = mode;
  words[1] = uid;
  words[2] = gid;
  words[3] = Number(size & low32);
  words[4] = Number(size >> 32n);
  words[6] = nlink;
  words[7] = ino;
  words[8] = ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
  words[9] = 4096;
  const blocks = (size + 511n) / 512n;
  words[10] = Number(blocks & low32);
  words[11] = Number(blocks >> 32n);
  const ms = mtimeNs > 0n ? mtimeNs / 1_000_000n : 0n;
  for (let at = 12; at < 18; at += 2) {
    words[at] = Number(ms & low32);
    words[at + 1] = Number((ms >> 32n) & low32);
  }
  return words;
}

/** The text that fuse-native can carry for these bytes; undefined where it would come out as other bytes. */
export function exactText(bytes: Buffer): string | undefined {
  return isUtf8(bytes) ? bytes.toString("utf8") : undefined;
}

/** What becomes of bytes that are not UTF-8, on both ways. */
export const replacement = "\ufffd";

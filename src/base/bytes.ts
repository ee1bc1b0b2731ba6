/**
 * Bytes in, bytes out: one writer and one strict reader on which every format of ours stands.
 *
 * Integers are little-endian when fixed, else unsigned LEB128 in its shortest form, at most 2^64-1. The reader
 * refuses what the writer would not write: an over-long integer, a length that exceeds what is left, bytes left over.
 * It never allocates what a length merely announces.
 * @module
 */
import { Problem } from "./errors.js";

const max64 = (1n << 64n) - 1n;

/** Build a value front to back; `finish` gives the bytes and must be the last call. */
export class Writer {
  #buffer: Buffer;
  #length = 0;

  constructor(capacity = 256) {
    this.#buffer = Buffer.allocUnsafe(capacity);
  }

  get length(): number {
    return this.#length;
  }

  #room(more: number): number {
    const at = this.#length;
    if (at + more > this.#buffer.length) {
      // With a little more than asked for, so that what ends a large value does not double it.
      const bigger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, at + more + 64));
      this.#buffer.copy(bigger, 0, 0, at);
      this.#buffer = bigger;
    }
    this.#length = at + more;
    return at;
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#buffer[at] = value;
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#buffer.writeUInt32LE(value, at);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#room(8);
    this.#buffer.writeBigUInt64LE(value, at);
    return this;
  }

  /** Unsigned LEB128, shortest form; a safe integer ≥ 0 or a bigint below 2^64. */
  varint(value: number | bigint): this {
    if (typeof value === "bigint") return this.#bigVarint(value);
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`expected an integer of 0 to 2^53-1, got ${value}`);
    let rest = value;
    while (rest > 0x7fffffff) {
      this.u8((rest % 128) | 128);
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      this.u8((rest & 127) | 128);
      rest >>>= 7;
    }
    return this.u8(rest);
  }

  #bigVarint(value: bigint): this {
    if (value < 0n || value > max64) throw new RangeError(`expected an integer of 0 to 2^64-1, got ${value}`);
    let rest = value;
    while (rest > 127n) {
      this.u8(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    return this.u8(Number(rest));
  }

  /** A signed integer as zigzag varint: 0, -1, 1, -2 … → 0, 1, 2, 3 … */
  signed(value: bigint): this {
    return this.varint(value >= 0n ? value << 1n : (-value << 1n) - 1n);
  }

  /** Bytes whose length both sides know. */
  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#buffer.set(bytes, at);
    return this;
  }

  /** Bytes behind their length as varint. */
  blob(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** UTF-8 text behind its length in bytes. */
  text(value: string): this {
    return this.blob(Buffer.from(value, "utf8"));
  }

  /** The written bytes, as a view of the writer's memory. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

/** Read a value front to back. Every method throws Problem("format") rather than give something not written. */
export class Reader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #at = 0;

  /** @param what names the format in messages, e.g. "tree" */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  get offset(): number {
    return this.#at;
  }

  fail(why: string): never {
    throw new Problem("format", `not a valid ${this.#what}: ${why} at byte ${this.#at}`);
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) this.fail(`${length} bytes announced, ${this.#bytes.length - at} left`);
    this.#at = at + length;
    return at;
  }

  u8(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  u64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#take(8));
  }

  /** A varint that must lie in 0..max, where max is a safe integer. */
  varint(max: number = Number.MAX_SAFE_INTEGER): number {
    let value = 0;
    let scale = 1;
    for (let index = 0; index < 8; index++) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (byte === 0 && index > 0) this.fail("integer not in its shortest form");
        if (value > max) this.fail(`${value} exceeds ${max}`);
        return value;
      }
      scale *= 128;
    }
    this.fail("integer too long");
  }

  bigVarint(max: bigint = max64): bigint {
    let value = 0n;
    for (let index = 0; index < 10; index++) {
      const byte = this.u8();
      value |= BigInt(byte & 127) << BigInt(index * 7);
      if (byte < 128) {
        if (byte === 0 && index > 0) this.fail("integer not in its shortest form");
        if (value > max) this.fail(`${value} exceeds ${max}`);
        return value;
      }
    }
    this.fail("integer too long");
  }

  signed(): bigint {
    const value = this.bigVarint();
    return value & 1n ? -((value + 1n) >> 1n) : value >> 1n;
  }

  /** A view of the next `length` bytes. */
  raw(length: number): Buffer {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** A view of bytes behind their length; a length over `max` is refused before anything else. */
  blob(max: number): Buffer {
    return this.raw(this.varint(max));
  }

  /** UTF-8 text of at most `max` bytes that encodes back to the same bytes. */
  text(max: number): string {
    const bytes = this.blob(max);
    const value = bytes.toString("utf8");
    if (!Buffer.from(value, "utf8").equals(bytes)) this.fail("text is not UTF-8");
    return value;
  }

  /** A count of items that each take at least `least` bytes: bounded by what is left before anything is allocated. */
  count(max: number, least: number): number {
    const count = this.varint(max);
    if (count * least > this.left) this.fail(`${count} items announced in ${this.left} bytes`);
    return count;
  }

  /** The value must end here. */
  end(): void {
    if (this.left !== 0) this.fail(`${this.left} bytes left over`);
  }
}

/** Byte order of raw names, as the tree sorts them. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** Little-endian 32-bit words of bytes, four bytes each. */
export function toWords(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(bytes.length / 4);
  for (let i = 0; i < words.length; i++)
    words[i] =
      (bytes[i * 4] as number) |
      ((bytes[i * 4 + 1] as number) << 8) |
      ((bytes[i * 4 + 2] as number) << 16) |
      ((bytes[i * 4 + 3] as number) << 24);
  return words;
}

/** The bytes of little-endian 32-bit words. */
export function fromWords(words: Uint32Array): Buffer {
  const bytes = Buffer.allocUnsafe(words.length * 4);
  for (let i = 0; i < words.length; i++) bytes.writeUInt32LE(words[i] as number, i * 4);
  return bytes;
}

export function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}

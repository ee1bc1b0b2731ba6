/**
 * What every plain decoder owes, checked on samples: it gives back what was encoded; it refuses each truncation,
 * trailing byte, over-long integer, hostile length and count, without allocating what those announce; and it accepts
 * altered bytes only where the value re-encodes to exactly them. So each value has one encoding, and ids are stable.
 */
import assert from "node:assert/strict";
import { Problem } from "../../src/base/errors.js";

export interface PlainFormat<T> {
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
  readonly samples: readonly T[];
  /** zero bytes may follow, as padding; `encode` does not write them, so that acceptance is not compared */
  readonly padded?: boolean;
  /** positions tried in each sample; all of them where it is shorter */
  readonly positions?: number;
}

/** Announced lengths and counts that no sample can hold: one more than fits a byte, 2^20, 2^32 - 1, 2^53 - 1, 2^64 - 1. */
const announcements = ["8001", "808040", "ffffffff0f", "ffffffffffffff0f", "ffffffffffffffffff01"].map((hex) =>
  Buffer.from(hex, "hex"),
);

/** Bytes that one decode may take beside the value: generous, and far below what an announcement asks for. */
const spare = 2 * 1024 * 1024;

/** Run all the checks for all the samples. Throws an AssertionError that says which bytes broke which rule. */
export function checkPlain<T>(what: string, form: PlainFormat<T>): void {
  assert.ok(form.samples.length > 0, `${what}: no samples`);
  for (const sample of form.samples) {
    const bytes = Buffer.from(form.encode(sample));
    checkRoundTrip(what, form, sample, bytes);
    for (const at of positionsOf(bytes.length, form.positions ?? 400)) {
      mustRefuse(what, form, bytes.subarray(0, at), `cut at byte ${at}`);
      checkAltered(what, form, bytes, at);
    }
    for (const extra of form.padded ? [1, 255] : [0, 1, 255])
      mustRefuse(what, form, Buffer.concat([bytes, Buffer.from([extra])]), `a byte ${extra} behind the end`);
  }
}

function checkRoundTrip<T>(what: string, form: PlainFormat<T>, sample: T, bytes: Buffer): void {
  const given = Buffer.from(bytes);
  const value = form.decode(given);
  assert.deepEqual(value, sample, `${what}: decoding does not give what was encoded: ${bytes.toString("hex")}`);
  assert.ok(given.equals(bytes), `${what}: decoding alters its input`);
  given.fill(0xee);
  assert.ok(bytes.equals(form.encode(value)), `${what}: the value does not outlive the bytes that it was read from`);
}

/** Each bit flipped, each byte made over-long, each byte replaced by an announcement. */
function checkAltered<T>(what: string, form: PlainFormat<T>, bytes: Buffer, at: number): void {
  const byte = bytes[at] as number;
  for (let bit = 0; bit < 8; bit++) {
    const flipped = Buffer.from(bytes);
    flipped[at] = byte ^ (1 << bit);
    refusedOrExact(what, form, flipped, `bit ${bit} of byte ${at} flipped`);
  }
  if (byte < 128) {
    const overlong = Buffer.concat([bytes.subarray(0, at), Buffer.from([byte | 128, 0]), bytes.subarray(at + 1)]);
    refusedOrExact(what, form, overlong, `integer at byte ${at} not in its shortest form`);
  }
  const rest = bytes.subarray(at + 1);
  for (const announced of announcements) {
    const hostile = Buffer.concat([bytes.subarray(0, at), announced, rest]);
    frugal(what, hostile, () => refusedOrExact(what, form, hostile, `${announced.toString("hex")} at byte ${at}`));
  }
}

function refusedOrExact<T>(what: string, form: PlainFormat<T>, bytes: Buffer, why: string): void {
  const outcome = outcomeOf(what, form, bytes, why);
  if (outcome === undefined || form.padded) return;
  const again = Buffer.from(form.encode(outcome.value));
  if (!bytes.equals(again))
    assert.fail(`${what}: accepted with ${why}: ${bytes.toString("hex")}, encoded again: ${again.toString("hex")}`);
}

function mustRefuse<T>(what: string, form: PlainFormat<T>, bytes: Buffer, why: string): void {
  if (outcomeOf(what, form, bytes, why) !== undefined)
    assert.fail(`${what}: accepted with ${why}: ${bytes.toString("hex")}`);
}

/** The value, or undefined where it was refused as it should be. */
function outcomeOf<T>(what: string, form: PlainFormat<T>, bytes: Buffer, why: string): { value: T } | undefined {
  try {
    return { value: form.decode(bytes) };
  } catch (error) {
    if (!(error instanceof Problem) || (error.code !== "format" && error.code !== "unsupported"))
      assert.fail(`${what}: ${why}: expected a Problem, got ${error}: ${bytes.toString("hex")}`);
    return undefined;
  }
}

/** Run `act` and measure what it takes on and off the heap. */
function frugal(what: string, bytes: Buffer, act: () => void): void {
  const before = process.memoryUsage();
  act();
  const after = process.memoryUsage();
  const taken = after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers;
  if (taken > spare + 256 * bytes.length)
    assert.fail(`${what}: ${taken} bytes taken to decode ${bytes.length}: ${bytes.toString("hex")}`);
}

/** 0 … length - 1, or `most` of them spread evenly, first and last included. */
export function positionsOf(length: number, most: number): number[] {
  if (length <= most) return Array.from({ length }, (_, i) => i);
  return Array.from({ length: most }, (_, i) => Math.floor((i * (length - 1)) / (most - 1)));
}

/**
 * Sealed and signed forms refuse every flipped bit, whatever step notices it.
 * @param open all the steps of a reader; must throw a Problem
 * @param bits how many bits of each byte are tried: 8, or fewer where a step is slow
 */
export function checkSealed(what: string, bytes: Uint8Array, open: (altered: Buffer) => unknown, bits = 8): void {
  open(Buffer.from(bytes));
  for (let at = 0; at < bytes.length; at++)
    for (let i = 0; i < bits; i++) {
      const bit = bits === 8 ? i : (at * 5 + i * 3) % 8;
      const altered = Buffer.from(bytes);
      altered[at] = (altered[at] as number) ^ (1 << bit);
      assert.throws(() => open(altered), Problem, `${what}: opened with bit ${bit} of byte ${at} flipped`);
    }
  for (const at of positionsOf(bytes.length, 64))
    assert.throws(() => open(Buffer.from(bytes.subarray(0, at))), Problem, `${what}: opened when cut at byte ${at}`);
  assert.throws(() => open(Buffer.concat([bytes, Buffer.alloc(1)])), Problem, `${what}: opened with a byte behind it`);
}

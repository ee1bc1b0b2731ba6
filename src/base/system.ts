/**
 * What the world hands in: the clock, timers and randomness, and the wait for a disk. Everything above takes a `System` and never asks a global, so
 * that a whole coop can run in one process on simulated time.
 * @module
 */
import { randomFillSync } from "node:crypto";
import { fdatasync } from "node:fs";
import { promisify } from "node:util";

export interface System {
  /** nanoseconds since 1970, UTC */
  now(): bigint;
  /** `length` bytes from a cryptographically secure source */
  random(length: number): Buffer;
  /** resolves after at least `ms` milliseconds */
  sleep(ms: number): Promise<void>;
  /** lets everything else that waits have its turn */
  turn(): Promise<void>;
  /** runs `run` once after at least `ms` milliseconds; the result calls it off */
  after(ms: number, run: () => void): () => void;
  /** resolves when a file's bytes are on the disk */
  sync(fd: number): Promise<void>;
}

/** The real clock and the system's randomness. */
export const realSystem: System = {
  now: () => BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n),
  random: (length) => randomFillSync(Buffer.allocUnsafe(length)),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  turn: () => new Promise((resolve) => setImmediate(resolve)),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  sync: promisify(fdatasync),
};

/**
 * Devices that misbehaved, and for how long they are kept out: twice as long each time, a day at most. Bounded: with
 * too many of them the one that has been quiet longest is forgotten. Nothing of it outlives the process.
 * @module
 */
import { toHex } from "../base/bytes.js";
import { swarm } from "../base/limits.js";

interface Ban {
  readonly strikes: number;
  /** ns */
  readonly until: bigint;
}

const second = 1_000_000_000n;

export class KeptOut {
  /** longest quiet first */
  readonly #bans = new Map<string, Ban>();

  /** One more fault of a device; for how many seconds it is kept out. */
  add(device: Buffer, now: bigint): number {
    const key = toHex(device);
    const before = this.#bans.get(key);
    // Who has behaved for as long again as it was kept out begins anew.
    const served = before === undefined ? 0n : BigInt(secondsFor(before.strikes)) * second;
    const strikes = before !== undefined && now < before.until + served ? before.strikes + 1 : 1;
    const seconds = secondsFor(strikes);
    this.#bans.delete(key);
    this.#bans.set(key, { strikes, until: now + BigInt(seconds) * second });
    for (const oldest of this.#bans.keys()) {
      if (this.#bans.size <= swarm.keptOut) break;
      this.#bans.delete(oldest);
    }
    return seconds;
  }

  has(device: Buffer, now: bigint): boolean {
    const ban = this.#bans.get(toHex(device));
    return ban !== undefined && now < ban.until;
  }
}

function secondsFor(strikes: number): number {
  return Math.min(swarm.keptOutFirstSeconds * 2 ** Math.min(strikes - 1, 20), swarm.keptOutMostSeconds);
}

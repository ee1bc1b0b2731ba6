/**
 * Time and chance of a simulated world: nothing happens but what stands in one queue, one step after the other, and all
 * that is random comes from one seed. So a world that failed once fails again.
 */
import type { System } from "../../src/base/system.js";

/** What one simulated process is given. */
export interface SimSystem extends System {
  readonly name: string;
  /** its timers and sleeps never end: the process is gone */
  stop(): void;
}

export class SimClock {
  readonly seed: number;
  constructor(seed: number) {
    this.seed = seed;
  }

  /** milliseconds since the world began */
  get ms(): number {
    return 0;
  }

  /** A process of its own. @param skewMs how far its clock is off */
  system(_name: string, _skewMs = 0): SimSystem {
    throw new Error("not written yet");
  }

  /** Something of the world itself, after `ms`; the result calls it off. */
  after(_ms: number, _what: string, _run: () => void): () => void {
    throw new Error("not written yet");
  }

  /** a number in [low, high) */
  between(low: number, _high: number): number {
    return low;
  }

  /** Live through the next `ms` milliseconds. */
  async run(_ms: number): Promise<void> {}

  /** Live until it holds; fails after `ms`. */
  async until(_holds: () => boolean, _ms: number, _what: string): Promise<void> {}

  /** Live until the promise is settled; fails after `ms`. */
  async settled<T>(promise: Promise<T>, _ms = 600_000): Promise<T> {
    return promise;
  }

  /** One line of the story; the hash of all of them is `digest`. */
  note(_line: string): void {}

  get digest(): string {
    return "";
  }
}

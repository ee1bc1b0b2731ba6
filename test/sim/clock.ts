/**
 * Time and chance of a simulated world: nothing happens but what stands in one queue, one step after the other, and all
 * that is random comes from one seed. So a world that failed once fails again.
 *
 * A step is over when everything it set off has run out: ticks, promises, and what the system was asked to read or write.
 * Only then does the next one begin, and time moves. Work that the clock cannot see (a thread of an addon) is told to it
 * by `still`. Nothing happens while nobody lives through time: `run`, `until` and `settled` do.
 */
import { createHash, type Hash } from "node:crypto";
import type { System } from "../../src/base/system.js";

/** What one simulated process is given. */
export interface SimSystem extends System {
  readonly name: string;
  /** The process is gone: its timers, sleeps and syncs never end, and it gets no new ones. */
  stop(): void;
}

interface Step {
  readonly at: number;
  readonly order: number;
  readonly what: string;
  readonly run: () => void;
  off: boolean;
}

/** where time begins: 2026-01-01 UTC */
const beginning = 1_767_225_600_000_000_000n;
/** real time that a world may stand still in one step before something is taken to hang */
const patienceMs = 60_000;
/** lines of the story that are kept for who wants to read it */
const linesKept = 2000;

export class SimClock {
  readonly seed: number;
  /** the last lines of what happened */
  readonly story: string[] = [];
  readonly #chance: Chance;
  readonly #hash: Hash = createHash("sha256");
  readonly #queue = new Queue();
  readonly #processes = new Map<string, number>();
  #now = 0;
  #order = 0;
  #holds = 0;
  #living = false;

  constructor(seed: number) {
    this.seed = seed;
    this.#chance = new Chance(`${seed} world`);
  }

  /** milliseconds since the world began */
  get ms(): number {
    return this.#now;
  }

  /** A process of its own; one of the same name later has other randomness. @param skewMs how far its clock is off */
  system(name: string, skewMs = 0): SimSystem {
    const generation = (this.#processes.get(name) ?? 0) + 1;
    this.#processes.set(name, generation);
    const chance = new Chance(`${this.seed} process ${name} ${generation}`);
    let stopped = false;
    let asked = 0n;
    const after = (ms: number, what: string, run: () => void): (() => void) =>
      stopped
        ? () => {}
        : // Timers are never exact, and another order of what comes at once is another world to be tried.
          this.after(Math.max(0, ms) + chance.between(0, 1), `${name} ${what}`, () => {
            if (!stopped) run();
          });
    const wait = (ms: number, what: string): Promise<void> =>
      new Promise((resolve) => {
        after(ms, what, resolve);
      });
    return {
      name,
      now: () => beginning + BigInt(Math.floor((this.#now + skewMs) * 1e6)) + asked++,
      random: (length) => chance.bytes(length),
      sleep: (ms) => wait(ms, "slept"),
      turn: () => wait(0, "turned"),
      after: (ms, run) => after(ms, "timer", run),
      sync: () => wait(chance.between(0.2, 5), "synced"),
      stop: () => {
        stopped = true;
      },
    };
  }

  /** Something of the world itself, after `ms`; the result calls it off. */
  after(ms: number, what: string, run: () => void): () => void {
    const step: Step = { at: this.#now + ms, order: this.#order++, what, run, off: false };
    this.#queue.push(step);
    return () => {
      step.off = true;
    };
  }

  /** A number in [low, high). */
  between(low: number, high: number): number {
    return this.#chance.between(low, high);
  }

  bytes(length: number): Buffer {
    return this.#chance.bytes(length);
  }

  /** Live through the next `ms` milliseconds. */
  async run(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.#live(end, () => false);
    this.#now = end;
  }

  /** Live until it holds; fails after `ms`, saying `what` was waited for. */
  async until(holds: () => boolean, ms: number, what: string): Promise<void> {
    await this.#live(this.#now + ms, holds);
    if (!holds()) throw new Error(`not within ${ms} ms: ${what} (seed ${this.seed})${this.#lastLines()}`);
  }

  /** Live until the promise is settled, and give what it gives; fails after `ms`. */
  async settled<T>(promise: Promise<T>, ms = 600_000): Promise<T> {
    let over = false;
    const settle = (): void => {
      over = true;
    };
    promise.then(settle, settle);
    await this.until(() => over, ms, "a promise");
    return await promise;
  }

  /** Real work that the clock cannot see: time stands still until it is done. */
  async still<T>(work: Promise<T>): Promise<T> {
    this.#holds++;
    try {
      return await work;
    } finally {
      this.#holds--;
    }
  }

  /** One line of the story. */
  note(line: string): void {
    const whole = `${this.#now.toFixed(6)} ${line}`;
    this.#hash.update(whole).update("\n");
    this.story.push(whole);
    if (this.story.length > 2 * linesKept) this.story.splice(0, linesKept);
  }

  /** The hash of the whole story: two worlds with the same one are the same world. */
  get digest(): string {
    return this.#hash.copy().digest("hex");
  }

  async #live(end: number, holds: () => boolean): Promise<void> {
    if (this.#living) throw new Error("somebody else lives through this time already");
    this.#living = true;
    try {
      await this.#drain();
      while (!holds()) {
        const step = this.#queue.first();
        if (!step || step.at > end) return;
        this.#queue.shift();
        if (step.off) continue;
        this.#now = Math.max(this.#now, step.at);
        this.note(step.what);
        step.run();
        await this.#drain();
      }
    } finally {
      this.#living = false;
    }
  }

  /** Wait until all that was set off has run out. */
  async #drain(): Promise<void> {
    let turns = 0;
    let since = 0;
    // What the system has done comes back in turns of its own, between which nothing is to be seen of it.
    for (let quiet = 2; quiet < 3; ) {
      // Ticks and promises, and those that they make, all run before an immediate does.
      await new Promise((resolve) => setImmediate(resolve));
      quiet = this.#holds > 0 || isBusy() ? 0 : quiet + 1;
      if (++turns % 1024 === 0) {
        since ||= Date.now();
        if (Date.now() - since > patienceMs) throw new Error(`a step does not end: ${this.story.at(-1)}`);
      }
    }
  }

  #lastLines(): string {
    return `; the last that happened:\n${this.story.slice(-12).join("\n")}`;
  }
}

/** Whether the system has been asked for something that it has not done yet. */
function isBusy(): boolean {
  return process.getActiveResourcesInfo().some((name) => /^(FSReq|CloseReq)/.test(name));
}

/** Randomness out of a name. */
class Chance {
  readonly #name: string;
  #blocks = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(name: string) {
    this.#name = name;
  }

  bytes(length: number): Buffer {
    const parts = [this.#rest];
    for (let have = this.#rest.length; have < length; have += 32)
      parts.push(
        createHash("sha256")
          .update(`${this.#name} ${this.#blocks++}`)
          .digest(),
      );
    const all = Buffer.concat(parts);
    this.#rest = all.subarray(length);
    return Buffer.from(all.subarray(0, length));
  }

  between(low: number, high: number): number {
    return low + (this.bytes(6).readUIntBE(0, 6) / 2 ** 48) * (high - low);
  }
}

/** Steps by time, and those of one time in the order in which they were asked for: a binary heap. */
class Queue {
  readonly #steps: Step[] = [];

  first(): Step | undefined {
    return this.#steps[0];
  }

  push(step: Step): void {
    const steps = this.#steps;
    let at = steps.push(step) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (isBefore(steps[above]!, step)) break;
      steps[at] = steps[above]!;
      at = above;
    }
    steps[at] = step;
  }

  shift(): void {
    const steps = this.#steps;
    const last = steps.pop();
    if (last === undefined || steps.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= steps.length) break;
      if (below + 1 < steps.length && isBefore(steps[below + 1]!, steps[below]!)) below++;
      if (isBefore(last, steps[below]!)) break;
      steps[at] = steps[below]!;
      at = below;
    }
    steps[at] = last;
  }
}

function isBefore(one: Step, other: Step): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

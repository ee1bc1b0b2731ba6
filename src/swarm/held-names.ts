/**
 * What one peer said of objects by name: it holds them, or does not. Bounded: the oldest answers are forgotten, which
 * costs another question and nothing else. That something is not there holds for a while only.
 * @module
 */
import { swarm } from "../base/limits.js";

const keyOf = (name: Buffer): string => name.toString("latin1");

export class HeldNames {
  /** oldest first; undefined: it holds the object, else when it said that it does not, in ns */
  readonly #known = new Map<string, bigint | undefined>();

  has(name: Buffer): boolean {
    const key = keyOf(name);
    return this.#known.has(key) && this.#known.get(key) === undefined;
  }

  /** Did it say so after this time? */
  lacks(name: Buffer, since: bigint): boolean {
    const at = this.#known.get(keyOf(name));
    return at !== undefined && at > since;
  }

  set(name: Buffer, held: boolean, now: bigint): void {
    const key = keyOf(name);
    this.#known.delete(key);
    this.#known.set(key, held ? undefined : now);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= swarm.heldNames) break;
      this.#known.delete(oldest);
    }
  }

  /** It has news: what was not there may be there now. */
  forgetAbsent(): void {
    for (const [key, lacking] of this.#known) if (lacking !== undefined) this.#known.delete(key);
  }
}

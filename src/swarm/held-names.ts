/**
 * What one peer said of objects by name: it holds them, or does not. Bounded: the oldest answers are forgotten, which
 * costs another question and nothing else. That something is not there holds for a while only.
 * @module
 */
import { swarm } from "../base/limits.js";
import type { ObjectId } from "../store/source.js";

const keyOf = (name: Buffer): string => name.toString("latin1");
const keyOfObject = ({ name, length }: ObjectId): string => `${keyOf(name)} ${length}`;

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
    this.#note(keyOf(name), held ? undefined : now);
  }

  #note(key: string, at: bigint | undefined): void {
    this.#known.delete(key);
    this.#known.set(key, at);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= swarm.heldNames) break;
      this.#known.delete(oldest);
    }
  }

  /**
   * It was asked for leaves and gave none. That says nothing of the name: somebody may have listed the object under a
   * length that it does not have, and under its own the peer gives it.
   */
  refuse(object: ObjectId, now: bigint): void {
    this.#note(keyOfObject(object), now);
  }

  /** Does it hold the object, and has it not refused it after this time? */
  gives(object: ObjectId, since: bigint): boolean {
    const at = this.#known.get(keyOfObject(object));
    return this.has(object.name) && (at === undefined || at <= since);
  }

  /** It has news: what was not there may be there now. */
  forgetAbsent(): void {
    for (const [key, lacking] of this.#known) if (lacking !== undefined) this.#known.delete(key);
  }
}

/**
 * Entries of the previous revision beside those found now: both ascend, so one pass serves all.
 * @module
 */
import { compareBytes } from "../base/bytes.js";
import type { Entry } from "../format/entry.js";

/** Asked for names in ascending order, gives the entries that have them. */
export class Ascending {
  readonly #source: AsyncIterator<readonly Entry[]> | undefined;
  #batch: readonly Entry[] = [];
  #place = 0;

  constructor(source: AsyncIterable<readonly Entry[]> | undefined) {
    this.#source = source?.[Symbol.asyncIterator]();
  }

  /** The entry of this name; names must be asked for in ascending order. */
  async at(name: Uint8Array): Promise<Entry | undefined> {
    if (this.#source === undefined) return undefined;
    for (;;) {
      for (; this.#place < this.#batch.length; this.#place++) {
        const entry = this.#batch[this.#place] as Entry;
        const order = compareBytes(entry.name, name);
        if (order >= 0) return order === 0 ? entry : undefined;
      }
      const step = await this.#source.next();
      if (step.done) return undefined;
      this.#batch = step.value;
      this.#place = 0;
    }
  }
}

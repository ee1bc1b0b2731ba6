/**
 * Names of one file: the first one seen is made, the others are linked to it. What is remembered is one place for
 * each group, and only until the last of its names has come.
 * @module
 */
import type { Entry } from "../format/entry.js";
import { linkKey } from "../vault/link-key.js";
import type { Held } from "./held.js";

interface Made {
  readonly folder: Held;
  readonly name: Buffer;
  left: number;
}

export class Links {
  readonly #made = new Map<string, Made>();

  /** Remember the first name, and how many more may come. */
  made(entry: Entry, folder: Held): void {
    const key = linkKey(entry);
    if (key !== undefined) this.#made.set(key, { folder, name: entry.name, left: entry.links - 1 });
  }

  /** Where the file was made that this entry is another name of. */
  of(entry: Entry): { readonly folder: Held; readonly name: Buffer } | undefined {
    const key = linkKey(entry);
    return key === undefined ? undefined : this.#made.get(key);
  }

  /** One more name is there. */
  linked(entry: Entry): void {
    const key = linkKey(entry);
    const made = key === undefined ? undefined : this.#made.get(key);
    if (key !== undefined && made !== undefined && --made.left === 0) this.#made.delete(key);
  }
}

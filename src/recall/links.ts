/**
 * Names of one file: the first one seen is made, the others are linked to it. What is remembered is one place for
 * each group, and only until the last of its names has come.
 * @module
 */
import type { Entry } from "../format/entry.js";
import type { Held } from "./held.js";

interface Made {
  readonly folder: Held;
  readonly name: Buffer;
  left: number;
}

/**
 * What entries must share to be names of one file; undefined for a single name. Content is part of it: a file that
 * changed while its names were saved is restored as what was read under each name.
 */
export function linkKey(entry: Entry): string | undefined {
  if (entry.links < 2) return undefined;
  const content = entry.content?.id ?? entry.target ?? Buffer.alloc(0);
  return `${entry.group}:${entry.kind}:${entry.major}:${entry.minor}:${content.toString("latin1")}`;
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

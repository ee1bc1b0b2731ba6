/**
 * Folders as chunks. The ground level holds entries in byte order of their names; an upper level holds, for each
 * chunk below, its first name, its id and how many entries it leads to. So a look-up among a million names reads one
 * path, a change rewrites one, and a folder that has not changed keeps its id.
 *
 *   level u8 ‖ count varint ‖ items        item of level 0: entry; above: first name blob ‖ id 32 ‖ entries varint
 * @module
 */
import { compareBytes, Reader, Writer } from "../base/bytes.js";
import { format } from "../base/limits.js";
import { type Entry, isComponent, readEntry, type TreeRef, writeEntry } from "./entry.js";
import { RowBuilder, type RowFormat } from "./rows.js";
import { nameMark } from "./split.js";

/** A chunk one level below. */
export interface Branch {
  readonly first: Buffer;
  readonly id: Buffer;
  readonly entries: number;
}

export type TreeChunk =
  | { readonly level: 0; readonly entries: readonly Entry[] }
  | { readonly level: number; readonly branches: readonly Branch[] };

/** bytes of a pipe with a one-byte name and the smallest values */
const leastEntry = 12;

/** True for a ground-level chunk. */
export function isGround(chunk: TreeChunk): chunk is { readonly level: 0; readonly entries: readonly Entry[] } {
  return chunk.level === 0;
}

export function encodeTree(chunk: TreeChunk): Buffer {
  const to = new Writer(16 * 1024).u8(chunk.level);
  if (isGround(chunk)) {
    to.varint(chunk.entries.length);
    for (const entry of chunk.entries) writeEntry(to, entry);
  } else {
    to.varint(chunk.branches.length);
    for (const branch of chunk.branches) to.blob(branch.first).raw(branch.id).varint(branch.entries);
  }
  return to.finish();
}

/** Names strictly ascending, each a valid component; nothing left over. */
export function decodeTree(bytes: Uint8Array): TreeChunk {
  const from = new Reader(bytes, "tree");
  const level = from.u8();
  if (level > format.levels) from.fail("too many levels");
  let previous: Buffer | undefined;
  const ascending = (name: Buffer): void => {
    if (previous && compareBytes(previous, name) >= 0) from.fail("names out of order");
    previous = name;
  };
  const count = from.count(format.chunkBytes, level === 0 ? leastEntry : 35);
  if (count === 0) from.fail("an empty row");
  if (level === 0) {
    const entries: Entry[] = [];
    for (let i = 0; i < count; i++) {
      const entry = readEntry(from);
      ascending(entry.name);
      entries.push(entry);
    }
    from.end();
    return { level: 0, entries };
  }
  const branches: Branch[] = [];
  for (let i = 0; i < count; i++) {
    const first = Buffer.from(from.blob(format.nameBytes));
    if (!isComponent(first)) from.fail("a name that is none");
    ascending(first);
    const id = Buffer.from(from.raw(32));
    const entries = from.varint();
    if (entries === 0) from.fail("a branch without entries");
    branches.push({ first, id, entries });
  }
  from.end();
  return { level, branches };
}

type Item = { readonly entry: Entry; readonly bytes: number } | Branch;

function rowFormat(markKey: Uint8Array): RowFormat<Item> {
  return {
    bytesOf: (_level, item) => ("entry" in item ? item.bytes : item.first.length + 38),
    mark: (_level, item) => nameMark(markKey, "entry" in item ? item.entry.name : item.first),
    encode: (level, items) =>
      level === 0
        ? encodeTree({ level: 0, entries: items.map((item) => (item as { entry: Entry }).entry) })
        : encodeTree({ level, branches: items as Branch[] }),
    parent: (_level, items, id) => {
      const head = items[0] as Item;
      const entries = items.reduce((sum, item) => sum + ("entry" in item ? 1 : item.entries), 0);
      return { first: "entry" in head ? head.entry.name : head.first, id, entries };
    },
  };
}

/** Build one folder from its entries, added in byte order of their names. */
export class TreeBuilder {
  readonly #rows: RowBuilder<Item>;

  /** @param put stores a finished tree chunk and returns its id */
  constructor(markKey: Uint8Array, put: (bytes: Buffer) => Buffer) {
    this.#rows = new RowBuilder(rowFormat(markKey), put);
  }

  /** Throws a RangeError where its attributes are more than a chunk could hold. */
  add(entry: Entry): void {
    const to = new Writer(256);
    writeEntry(to, entry);
    if (to.length > format.chunkBytes / 2) throw new RangeError(`expected an entry of at most 2 MiB, got ${to.length}`);
    this.#rows.add({ entry, bytes: to.length });
  }

  /** undefined for a folder without entries */
  finish(): TreeRef | undefined {
    const done = this.#rows.finish();
    if (done === undefined) return undefined;
    const { id, entries } = done.root as Branch;
    return { level: done.level, id, entries };
  }
}

/** Which of the branches leads to `name`: the last one whose first name is not after it; undefined before all. */
export function branchOf(branches: readonly Branch[], name: Uint8Array): Branch | undefined {
  let low = 0;
  let high = branches.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes((branches[middle] as Branch).first, name) <= 0) low = middle + 1;
    else high = middle;
  }
  return branches[low - 1];
}

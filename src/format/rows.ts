/**
 * Rows of items as chunks, levelled: the one shape behind long files (lists of chunks) and folders (lists of
 * entries). A row is cut where its items say so, never by count, so one changed item changes one chunk on each level.
 * @module
 */
import { choice } from "../base/limits.js";
import { endsRow } from "./split.js";

export interface RowFormat<Item> {
  /** bytes of the item when encoded at this level */
  bytesOf(level: number, item: Item): number;
  /** 32 bits of the item that its neighbours do not influence; see `endsRow` */
  mark(level: number, item: Item): number;
  encode(level: number, items: readonly Item[]): Buffer;
  /** the item that stands for a finished chunk one level up */
  parent(level: number, items: readonly Item[], id: Buffer): Item;
}

/** No row ends below the minimum, so what comes after it averages the rest. */
const beyondMinimum = choice.treeChunkBytes - choice.treeChunkMinimum;

interface Level<Item> {
  items: Item[];
  bytes: number;
  finished: number;
}

/** Add items in order; `finish` gives the chunk that holds or leads to all of them. */
export class RowBuilder<Item> {
  readonly #format: RowFormat<Item>;
  readonly #put: (bytes: Buffer) => Buffer;
  readonly #levels: Level<Item>[] = [];

  /** @param put stores a finished chunk and returns its id */
  constructor(rowFormat: RowFormat<Item>, put: (bytes: Buffer) => Buffer) {
    this.#format = rowFormat;
    this.#put = put;
  }

  add(item: Item, level = 0): void {
    let row = this.#levels[level];
    if (row === undefined) {
      row = { items: [], bytes: 0, finished: 0 };
      this.#levels.push(row);
    }
    const bytes = this.#format.bytesOf(level, item);
    row.items.push(item);
    row.bytes += bytes;
    const full = row.bytes >= choice.treeChunkMaximum;
    const cut = row.bytes >= choice.treeChunkMinimum && endsRow(this.#format.mark(level, item), bytes, beyondMinimum);
    // Above the ground every chunk joins at least two, or the levels would never end.
    if ((full || cut) && (level === 0 || row.items.length > 1)) this.#flush(level, row);
  }

  #flush(level: number, row: Level<Item>): void {
    const items = row.items;
    const id = this.#put(this.#format.encode(level, items));
    row.items = [];
    row.bytes = 0;
    row.finished++;
    this.add(this.#format.parent(level, items, id), level + 1);
  }

  /** The item that stands for everything added, and the level of the chunk it names; undefined when nothing was. */
  finish(): { level: number; root: Item } | undefined {
    for (let level = 0; level < this.#levels.length; level++) {
      const row = this.#levels[level] as Level<Item>;
      const top = level === this.#levels.length - 1 && row.finished === 0;
      if (top && level > 0 && row.items.length === 1) return { level: level - 1, root: row.items[0] as Item };
      if (row.items.length > 0) this.#flush(level, row);
    }
    return undefined;
  }
}

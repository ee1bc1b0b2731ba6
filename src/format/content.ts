/**
 * Long content as lists: (id, size) items and holes, levelled, each item with the bytes beneath it. One changed
 * block in a large image costs a few chunks, and a read at any offset a handful of look-ups.
 *
 *   level u8 (≥ 1) ‖ count varint ‖ items      item: varint (size * 2 + hole) ‖ id 32 where it is none
 *
 * Holes stand on level 1 only and are never adjacent within a chunk.
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { format } from "../base/limits.js";
import type { ContentRef } from "./entry.js";
import { RowBuilder, type RowFormat } from "./rows.js";

export interface ListItem {
  /** bytes of content beneath */
  readonly size: bigint;
  /** undefined: a hole */
  readonly id: Buffer | undefined;
}

export interface ListChunk {
  readonly level: number;
  readonly items: readonly ListItem[];
}

export function encodeList(chunk: ListChunk): Buffer {
  const to = new Writer(16 * 1024).u8(chunk.level).varint(chunk.items.length);
  for (const item of chunk.items) {
    to.varint((item.size << 1n) | (item.id ? 0n : 1n));
    if (item.id) to.raw(item.id);
  }
  return to.finish();
}

export function decodeList(bytes: Uint8Array): ListChunk {
  const from = new Reader(bytes, "content list");
  const level = from.u8();
  if (level < 1 || level > format.levels) from.fail("a level that cannot be");
  const count = from.count(format.chunkBytes, 1);
  if (count === 0) from.fail("an empty list");
  const items: ListItem[] = [];
  let afterHole = false;
  for (let i = 0; i < count; i++) {
    const head = from.bigVarint();
    const hole = (head & 1n) === 1n;
    if (head >> 1n === 0n) from.fail("an item without bytes");
    if (hole && (afterHole || level > 1)) from.fail("a hole where none can be");
    if (!hole && level === 1 && head >> 1n > BigInt(format.chunkBytes)) from.fail("chunk too large");
    items.push({ size: head >> 1n, id: hole ? undefined : Buffer.from(from.raw(32)) });
    afterHole = hole;
  }
  from.end();
  return { level, items };
}

const lists: RowFormat<ListItem> = {
  bytesOf: (_level, item) => (item.id ? 36 : 5),
  mark: (_level, item) => (item.id ? item.id.readUInt32LE(0) : 0xffff_ffff),
  encode: (level, items) => encodeList({ level: level + 1, items }),
  parent: (_level, items, id) => ({ size: items.reduce((sum, item) => sum + item.size, 0n), id }),
};

/** Gather the pieces of one file in order: chunks already stored, and holes. */
export class ContentBuilder {
  readonly #rows: RowBuilder<ListItem>;
  #only: ListItem | undefined;
  #hole = 0n;
  #count = 0;

  /** @param put stores a finished list chunk and returns its id */
  constructor(put: (bytes: Buffer) => Buffer) {
    this.#rows = new RowBuilder(lists, put);
  }

  chunk(id: Buffer, length: number): void {
    this.#endHole();
    this.#add({ id, size: BigInt(length) });
  }

  /** Consecutive holes become one. */
  hole(length: bigint): void {
    this.#hole += length;
  }

  #endHole(): void {
    if (this.#hole > 0n) this.#add({ id: undefined, size: this.#hole });
    this.#hole = 0n;
  }

  #add(item: ListItem): void {
    this.#count++;
    if (this.#count === 1) {
      this.#only = item;
      return;
    }
    if (this.#only) this.#rows.add(this.#only);
    this.#only = undefined;
    this.#rows.add(item);
  }

  /** undefined where no bytes were added */
  finish(): ContentRef | undefined {
    this.#endHole();
    const only = this.#only;
    if (only?.id) return { level: 0, id: only.id, size: only.size };
    if (only) this.#rows.add(only);
    const done = this.#rows.finish();
    if (done === undefined) return undefined;
    return { level: done.level + 1, id: done.root.id as Buffer, size: done.root.size };
  }
}

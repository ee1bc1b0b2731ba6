/**
 * The read-only face of one revision. Mount, restore, listings, check: all of them go through here, so what one shows
 * the others restore. Memory does not grow with the revision: folders are decoded chunk by chunk.
 * @module
 */
import { compareBytes, sameBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { choice } from "../base/limits.js";
import { decodeList, type ListChunk } from "../format/content.js";
import type { ContentRef, Entry, TreeRef, Xattr } from "../format/entry.js";
import type { ChunkReader } from "../store/reader.js";
import { branchOf, decodeTree, isGround, type TreeChunk } from "../format/tree.js";

/** A stretch of content: a chunk, or a hole where `id` is undefined. */
export interface Piece {
  readonly offset: bigint;
  readonly size: bigint;
  readonly id: Buffer | undefined;
}

/** Decoded metadata chunks, shared by all views of a process; bounded by what is in them. */
export class MetadataCache {
  readonly #reader: ChunkReader;
  readonly #trees = new Decoded<TreeChunk>((chunk) => (isGround(chunk) ? chunk.entries : chunk.branches).length);
  readonly #lists = new Decoded<ListChunk>((chunk) => chunk.items.length);

  constructor(reader: ChunkReader) {
    this.#reader = reader;
  }

  /** Where an id should be, in case that the index does not know it. */
  hint(id: Buffer, salt: Buffer): void {
    this.#reader.hint(id, salt);
  }

  async tree(id: Buffer, level: number): Promise<TreeChunk> {
    const chunk = await this.#trees.get(id, async () => decodeTree(await this.#reader.chunk("tree", id)));
    if (chunk.level !== level)
      throw new Problem("damaged", "a folder's chunk is of another level than its parent says");
    return chunk;
  }

  async list(id: Buffer, level: number): Promise<ListChunk> {
    const chunk = await this.#lists.get(id, async () => decodeList(await this.#reader.chunk("list", id)));
    if (chunk.level !== level) throw new Problem("damaged", "a content list is of another level than its parent says");
    return chunk;
  }

  data(id: Buffer): Promise<Buffer> {
    return this.#reader.chunk("data", id);
  }
}

/** Chunks by id, oldest use first. */
class Decoded<T> {
  readonly #itemsOf: (chunk: T) => number;
  readonly #held = new Map<string, T>();
  #items = 0;

  constructor(itemsOf: (chunk: T) => number) {
    this.#itemsOf = itemsOf;
  }

  async get(id: Buffer, load: () => Promise<T>): Promise<T> {
    const key = id.toString("latin1");
    const chunk = this.#held.get(key) ?? (await load());
    if (!this.#held.delete(key)) this.#items += this.#itemsOf(chunk);
    this.#held.set(key, chunk);
    for (const [oldest, old] of this.#held) {
      if (this.#items <= choice.decodedEntries || oldest === key) break;
      this.#held.delete(oldest);
      this.#items -= this.#itemsOf(old);
    }
    return chunk;
  }
}

/** One revision, from its root. */
export class View {
  readonly root: Entry;
  readonly #cache: MetadataCache;

  /** @param hint salt of the segment that should hold the root's tree, as the revision's record says */
  constructor(root: Entry, cache: MetadataCache, hint?: Buffer) {
    this.root = root;
    this.#cache = cache;
    if (root.tree && hint) cache.hint(root.tree.id, hint);
  }

  /** The entry of this name in a folder, or undefined. Reads one path of chunks. */
  async lookup(folder: Entry, name: Uint8Array): Promise<Entry | undefined> {
    let place: { id: Buffer; level: number } | undefined = folder.tree;
    while (place) {
      const chunk: TreeChunk = await this.#cache.tree(place.id, place.level);
      if (isGround(chunk)) return find(chunk.entries, name);
      const branch = branchOf(chunk.branches, name);
      place = branch && { id: branch.id, level: chunk.level - 1 };
    }
    return undefined;
  }

  /** The entry at a path of components from the root; undefined where there is none. */
  async resolve(path: readonly Uint8Array[]): Promise<Entry | undefined> {
    let entry: Entry | undefined = this.root;
    for (const name of path) {
      if (entry?.kind !== "folder") return undefined;
      entry = await this.lookup(entry, name);
    }
    return entry;
  }

  /** Entries of a folder in byte order of their names. @param after leave out all up to and including this name */
  async *entries(folder: Entry, after?: Uint8Array): AsyncGenerator<Entry> {
    for await (const batch of this.entryBatches(folder, after)) yield* batch;
  }

  /**
   * The same by whole chunks: one await for about a hundred entries.
   * @param broken is told of a chunk that cannot be read, and the entries after it follow; without it, that is thrown
   */
  async *entryBatches(
    folder: Entry,
    after?: Uint8Array,
    broken?: (problem: Problem) => void,
  ): AsyncGenerator<readonly Entry[]> {
    if (folder.tree) yield* this.#below(folder.tree, after, broken);
  }

  async *#below(
    place: Pick<TreeRef, "id" | "level">,
    after: Uint8Array | undefined,
    broken: ((problem: Problem) => void) | undefined,
  ): AsyncGenerator<readonly Entry[]> {
    let chunk: TreeChunk;
    try {
      chunk = await this.#cache.tree(place.id, place.level);
    } catch (error) {
      if (broken === undefined || !isLoss(error)) throw error;
      broken(error);
      return;
    }
    if (isGround(chunk)) {
      const rest = after ? chunk.entries.filter((entry) => compareBytes(entry.name, after) > 0) : chunk.entries;
      if (rest.length > 0) yield rest;
      return;
    }
    for (const [i, branch] of chunk.branches.entries()) {
      const next = chunk.branches[i + 1];
      if (after && next && compareBytes(next.first, after) <= 0) continue;
      yield* this.#below({ id: branch.id, level: chunk.level - 1 }, after, broken);
    }
  }

  /** The stretches of content from `from` on, in order, holes among them. */
  async *pieces(content: ContentRef, from = 0n): AsyncGenerator<Piece> {
    yield* this.#pieces(content.id, content.level, content.size, 0n, from);
  }

  async *#pieces(id: Buffer, level: number, size: bigint, offset: bigint, from: bigint): AsyncGenerator<Piece> {
    if (level === 0) {
      yield { offset, size, id };
      return;
    }
    const { items } = await this.#cache.list(id, level);
    let at = offset;
    for (const item of items) {
      const end = at + item.size;
      if (end > from) {
        if (item.id === undefined) yield { offset: at, size: item.size, id: undefined };
        else yield* this.#pieces(item.id, level - 1, item.size, at, from);
      }
      at = end;
    }
    if (at !== offset + size) throw new Problem("damaged", "a content list does not add up to its length");
  }

  /** The bytes of one piece that is no hole. */
  async piece(piece: Piece): Promise<Buffer> {
    const bytes = await this.#cache.data(piece.id as Buffer);
    if (BigInt(bytes.length) !== piece.size)
      throw new Problem("damaged", "a chunk is longer or shorter than its list says");
    return bytes;
  }

  /** Up to `length` bytes at `offset`; fewer only at the end. Holes read as zeros. */
  async read(content: ContentRef | undefined, offset: bigint, length: number): Promise<Buffer> {
    if (content === undefined || offset >= content.size) return Buffer.alloc(0);
    const end = offset + BigInt(length) < content.size ? offset + BigInt(length) : content.size;
    const out = Buffer.alloc(Number(end - offset));
    for await (const piece of this.pieces(content, offset)) {
      if (piece.offset >= end) break;
      if (piece.id === undefined) continue;
      const bytes = await this.piece(piece);
      const from = piece.offset > offset ? 0 : Number(offset - piece.offset);
      const at = piece.offset > offset ? Number(piece.offset - offset) : 0;
      bytes.copy(out, at, from, Math.min(bytes.length, from + out.length - at));
    }
    return out;
  }

  /** The value of an extended attribute, wherever it stands. */
  async xattr(value: Xattr["value"]): Promise<Buffer> {
    return Buffer.isBuffer(value) ? value : this.read(value, 0n, Number(value.size));
  }
}

/** Does this say that stored data is not there, not true or not readable, so that what it belongs to is lost for now? */
export function isLoss(error: unknown): error is Problem {
  return error instanceof Problem && ["missing", "damaged", "format", "io"].includes(error.code);
}

function find(entries: readonly Entry[], name: Uint8Array): Entry | undefined {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes((entries[middle] as Entry).name, name) < 0) low = middle + 1;
    else high = middle;
  }
  const entry = entries[low];
  return entry && sameBytes(entry.name, name) ? entry : undefined;
}

/** Components of an absolute path given as bytes; "." and empty ones are dropped. */
export function componentsOf(path: Uint8Array): Buffer[] {
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = 0; at <= path.length; at++) {
    if (at < path.length && path[at] !== 0x2f) continue;
    const part = Buffer.from(path.subarray(from, at));
    if (part.length > 0 && !(part.length === 1 && part[0] === 0x2e)) parts.push(part);
    from = at + 1;
  }
  return parts;
}

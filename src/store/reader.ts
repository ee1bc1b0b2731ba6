/**
 * The way back: id → place → frame → chunk, checked. Nothing leaves here whose hash is not its id.
 * @module
 */
import { sameBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { choice } from "../base/limits.js";
import type { System } from "../base/system.js";
import { keyedHash } from "../format/hash.js";
import { type ChunkType, idKeyOf } from "../format/keys.js";
import { decodeHeader, headerBytes, SegmentReader } from "../format/segment.js";
import type { Catalogue, ChunkPlace, SegmentRow } from "./catalogue.js";
import type { Home } from "./home.js";
import type { Keyring } from "./keyring.js";
import { readObject } from "./objects.js";
import { hexStart } from "./segments.js";
import type { Source } from "./source.js";

/** Reads chunks through a bounded cache of opened frames. */
export class ChunkReader {
  readonly #home: Home;
  readonly #keyring: Keyring;
  readonly #catalogue: Catalogue;
  readonly #system: System;
  /** asked for what is not here; settable, because it comes from further up */
  source: Source | undefined;
  /** oldest use first */
  readonly #frames = new Map<string, Buffer>();
  #cached = 0;
  /** by name: numbers are given anew when the catalogue is made again */
  readonly #segments = new Map<string, SegmentReader>();

  constructor(home: Home, keyring: Keyring, catalogue: Catalogue, system: System) {
    this.#home = home;
    this.#keyring = keyring;
    this.#catalogue = catalogue;
    this.#system = system;
  }

  /** Remember in which segment, by its salt, an id may be looked for where the index does not know it. Never trusted. */
  hint(_id: Uint8Array, _salt: Uint8Array): void {}

  /**
   * Have the index know what is in listed segments whose tables were not at hand, as far as local files tell. How many
   * could be learned.
   */
  async learnTables(_signal?: AbortSignal): Promise<number> {
    return 0;
  }

  /** Plaintext of a chunk. Problem("missing") where nothing holds it, "damaged" where what holds it is not true. */
  async chunk(type: ChunkType, id: Buffer): Promise<Buffer> {
    try {
      return this.#chunkNow(type, id);
    } catch (error) {
      if (!(error instanceof Problem && error.code === "missing")) throw error;
      // It may have moved since our view of the catalogue began: look once more, with a new one.
      await this.#system.turn();
      this.#frames.clear();
      this.#cached = 0;
      return this.#chunkNow(type, id);
    }
  }

  #chunkNow(type: ChunkType, id: Buffer): Buffer {
    const place = this.#catalogue.chunk(id);
    if (place === undefined)
      throw new Problem("missing", `${type} chunk ${hexStart(id)} is not in the store; run "bcoopfs check"`);
    const segment = this.#catalogue.segment(place.segment);
    if (segment === undefined)
      throw new Problem(
        "damaged",
        `the catalogue names no segment for chunk ${hexStart(id)}; run "bcoopfs repair --rebuild-index"`,
      );
    const bytes = this.frame(segment, place.frame).subarray(place.offset, place.offset + place.length);
    this.#check(type, id, place, bytes, segment);
    return bytes;
  }

  #check(type: ChunkType, id: Buffer, place: ChunkPlace, bytes: Buffer, segment: SegmentRow): void {
    if (bytes.length === place.length && sameBytes(keyedHash(idKeyOf(this.#keyring.constants, type), bytes), id))
      return;
    throw new Problem(
      "damaged",
      `chunk ${hexStart(id)} is not what segment ${hexStart(segment.listing.name)} holds in its place; run "bcoopfs repair --rebuild-index", then "bcoopfs check"`,
    );
  }

  /** The plaintext of a whole frame. */
  frame(segment: SegmentRow, number: number): Buffer {
    const key = `${segment.listing.name.toString("latin1")}:${number}`;
    const known = this.#frames.get(key);
    if (known !== undefined) {
      this.#frames.delete(key);
      this.#frames.set(key, known);
      return known;
    }
    const row = segment.frames[number];
    if (row === undefined)
      throw new Problem(
        "damaged",
        `segment ${hexStart(segment.listing.name)} has no frame ${number}; run "bcoopfs repair --rebuild-index"`,
      );
    const box = readObject(this.#home, segment.listing.name, row.offset, row.boxBytes);
    if (box.length !== row.boxBytes)
      throw new Problem("damaged", `segment ${hexStart(segment.listing.name)} is cut short`);
    const { raw } = this.#named(segment, () => this.#readerOf(segment).frame(number, row.rawBytes, box));
    this.#remember(key, raw);
    return raw;
  }

  #remember(key: string, raw: Buffer): void {
    this.#frames.set(key, raw);
    this.#cached += raw.length;
    for (const [oldest, bytes] of this.#frames) {
      if (this.#cached <= choice.frameCacheBytes || oldest === key) break;
      this.#frames.delete(oldest);
      this.#cached -= bytes.length;
    }
  }

  #readerOf(segment: SegmentRow): SegmentReader {
    const name = segment.listing.name.toString("latin1");
    const known = this.#segments.get(name);
    if (known) return known;
    const header = decodeHeader(readObject(this.#home, segment.listing.name, 0, headerBytes));
    const epoch = this.#keyring.epochs.get(header.epoch);
    if (epoch === undefined) throw new Problem("damaged", `the keys of epoch ${header.epoch} are not here`);
    const reader = new SegmentReader(header, epoch);
    if (this.#segments.size > 1024) this.#segments.clear();
    this.#segments.set(name, reader);
    return reader;
  }

  /** Say which segment it was that did not open. */
  #named<T>(segment: SegmentRow, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Problem) || error.code === "missing") throw error;
      throw new Problem("damaged", `segment ${hexStart(segment.listing.name)}: ${error.message}`, { cause: error });
    }
  }
}

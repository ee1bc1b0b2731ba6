/**
 * The way back: id → place → frame → chunk, checked. Nothing leaves here whose hash is not its id, wherever it was.
 *
 *   place: the index → a hint → tables that the index does not know yet
 *   frame: the cache → a file of the store → the Source
 * @module
 */
import { sameBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import { keyedHash } from "../format/hash.js";
import { type ChunkType, idKeyOf } from "../format/keys.js";
import type { Catalogue, ChunkPlace, SegmentRow } from "./catalogue.js";
import { type Frame, Frames } from "./frames.js";
import { Hints } from "./hints.js";
import type { Home } from "./home.js";
import type { Keyring } from "./keyring.js";
import { hexStart } from "./segments.js";
import type { Source } from "./source.js";
import { placeIn, Tables } from "./tables.js";
import { Unlearned } from "./unlearned.js";

/** Where a chunk should be. */
interface Found {
  readonly segment: SegmentRow;
  readonly place: ChunkPlace;
}

/** Reads chunks through a bounded cache of opened frames. */
export class ChunkReader {
  readonly #keyring: Keyring;
  readonly #catalogue: Catalogue;
  readonly #system: System;
  readonly #frames: Frames;
  readonly #tables: Tables;
  readonly #hints = new Hints();
  readonly #unlearned: Unlearned;
  /** asked for what is not here; settable, because it comes from further up */
  source: Source | undefined;

  /** @param say told what was read from others because it is damaged here */
  constructor(
    home: Home,
    keyring: Keyring,
    catalogue: Catalogue,
    system: System,
    say: (message: string) => void = () => {},
  ) {
    this.#keyring = keyring;
    this.#catalogue = catalogue;
    this.#system = system;
    const source = (): Source | undefined => this.source;
    this.#frames = new Frames(home, keyring, source, say);
    const tableObject = (id: Buffer, holder: Buffer): Promise<Buffer> => {
      this.hint(id, holder);
      return this.#chunk("table", id, false);
    };
    this.#tables = new Tables({ home, keyring, catalogue, source, tableObject, say });
    this.#unlearned = new Unlearned(home, catalogue, system, this.#tables, source);
  }

  /** About how much is held: bytes of frames, rows of tables, hints. */
  get held(): { readonly frameBytes: number; readonly tableRows: number; readonly hints: number } {
    return { frameBytes: this.#frames.cachedBytes, tableRows: this.#tables.rows, hints: this.#hints.size };
  }

  /** Remember in which segment, by its salt, an id may be looked for where the index does not know it. Never trusted. */
  hint(id: Buffer, salt: Buffer): void {
    this.#hints.set(id, salt);
  }

  /**
   * Have the index know what is in listed segments whose tables were not at hand, as far as local files tell. How many
   * could be learned. @param anew the index has been made again
   */
  learnTables(signal?: AbortSignal, anew = false): Promise<number> {
    return this.#unlearned.learnHere(signal, anew);
  }

  /** Plaintext of a chunk. Problem("missing") where nothing holds it, "damaged" where what holds it is not true. */
  chunk(type: ChunkType, id: Buffer): Promise<Buffer> {
    return this.#chunk(type, id, true);
  }

  /** The segment that holds a chunk, as far as index, hints and tables tell; undefined where none is known to. */
  async segmentOf(id: Buffer): Promise<SegmentRow | undefined> {
    const place = this.#catalogue.chunk(id);
    const segment = place && this.#catalogue.segment(place.segment);
    return segment ?? (await this.#find(id, true))?.segment;
  }

  /** @param seek look through tables that the index does not know yet, where neither index nor hint leads to it */
  async #chunk(type: ChunkType, id: Buffer, seek: boolean): Promise<Buffer> {
    const indexed = this.#indexed(id);
    const frame = indexed && this.#ifThere(() => this.#frames.here(indexed.segment, indexed.place.frame));
    if (frame) return this.#give(type, id, indexed, frame);
    // It may have moved since our view of the catalogue began: look once more, with a new one.
    await this.#system.turn();
    const found = this.#indexed(id) ?? (await this.#find(id, seek));
    if (found === undefined)
      throw new Problem("missing", `${type} chunk ${hexStart(id)} is not in the store; run "bcoopfs check"`);
    const { segment, place } = found;
    const first = await this.#frames.from(segment, place.frame);
    if (!first.far || this.#isTrue(type, id, place, first)) return this.#give(type, id, found, first);
    return this.#give(type, id, found, await this.#frames.from(segment, place.frame, true));
  }

  #ifThere<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (error instanceof Problem && error.code === "missing") return undefined;
      throw error;
    }
  }

  #indexed(id: Buffer): Found | undefined {
    const place = this.#catalogue.chunk(id);
    if (place === undefined) return undefined;
    const segment = this.#catalogue.segment(place.segment);
    if (segment) return { segment, place };
    throw new Problem(
      "damaged",
      `the catalogue names no segment for chunk ${hexStart(id)}; run "bcoopfs repair --rebuild-index"`,
    );
  }

  /** Where an id lies that the index does not know. */
  async #find(id: Buffer, seek: boolean): Promise<Found | undefined> {
    const hinted = await this.#hinted(id);
    if (hinted || !seek) return hinted;
    return this.#unlearned.until((got) => {
      for (const learned of got) {
        const place = placeIn(learned, id);
        if (place) return { segment: learned.segment, place };
      }
      return this.#indexed(id);
    });
  }

  async #hinted(id: Buffer): Promise<Found | undefined> {
    const salt = this.#hints.get(id);
    const segment = salt && this.#catalogue.segmentBySalt(salt);
    if (segment === undefined) return undefined;
    try {
      // Where the index knows the segment, and not the id, the hint was wrong.
      const learned = segment.frames.length === 0 ? await this.#tables.learn(segment) : undefined;
      const place = learned && placeIn(learned, id);
      if (place) return { segment: learned.segment, place };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // Another segment may hold it too.
      return undefined;
    }
    this.#hints.drop(id);
    return undefined;
  }

  async #give(type: ChunkType, id: Buffer, found: Found, frame: Frame): Promise<Buffer> {
    const { segment, place } = found;
    if (!this.#isTrue(type, id, place, frame))
      throw new Problem(
        "damaged",
        `chunk ${hexStart(id)} is not what segment ${hexStart(segment.listing.name)} holds in its place; run "bcoopfs repair --rebuild-index", then "bcoopfs check"`,
      );
    if (type === "tree" || type === "list") await this.#takeHints(found, frame);
    return frame.raw.subarray(place.offset, place.offset + place.length);
  }

  /** What is mentioned here is likely to be asked for next: where that may not be in the index, remember where it is. */
  async #takeHints({ segment, place }: Found, frame: Frame): Promise<void> {
    if (this.source === undefined || frame.hints.length === 0 || !this.#unlearned.any) return;
    try {
      const { table } = await this.#tables.of(segment);
      const rows = table.frames[place.frame];
      if (rows) this.#hints.addChunk(rows, frame, place.offset);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  }

  #isTrue(type: ChunkType, id: Buffer, place: ChunkPlace, { raw }: Frame): boolean {
    const bytes = raw.subarray(place.offset, place.offset + place.length);
    const key = idKeyOf(this.#keyring.constants, type);
    return bytes.length === place.length && sameBytes(keyedHash(key, bytes), id);
  }
}

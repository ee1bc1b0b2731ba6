/**
 * What is in a segment: as its own footer tells, here or at others, or as the table object tells that a metadata
 * segment holds. What the index did not know is taken over into it, so that it is asked for once only.
 *
 *   file here → its footer      data segment → table object      else → the end of it, by range
 * @module
 */
import { Problem } from "../base/errors.js";
import { choice, format } from "../base/limits.js";
import type { Epoch } from "../format/keys.js";
import { objectKinds } from "../format/listing.js";
import { decodeHeader, frameOffsets, headerBytes, headerOf, SegmentReader, trailerBytes } from "../format/segment.js";
import { decodeTableObject, type Table } from "../format/table.js";
import type { Catalogue, ChunkPlace, SegmentRow } from "./catalogue.js";
import { isFalse, named, notHere } from "./frames.js";
import type { Home } from "./home.js";
import type { Keyring } from "./keyring.js";
import { objectLength, readObject } from "./objects.js";
import { hexStart } from "./segments.js";
import type { Source } from "./source.js";

/** Open a segment's header and footer. Problem("damaged" or "missing") where they do not read. */
export function readTableOf(
  home: Home,
  name: Uint8Array,
  length: number,
  epochs: ReadonlyMap<number, Epoch>,
): { reader: SegmentReader; table: Table } {
  const header = decodeHeader(readObject(home, name, 0, headerBytes));
  const epoch = epochs.get(header.epoch);
  if (epoch === undefined)
    throw new Problem(
      "damaged",
      `segment ${hexStart(name)} was sealed in epoch ${header.epoch}, whose keys are not here`,
    );
  const reader = new SegmentReader(header, epoch);
  const place = reader.footerPlace(readObject(home, name, length - trailerBytes, trailerBytes), length);
  return { reader, table: reader.table(readObject(home, name, place.offset, place.bytes), place) };
}

/** A segment and what is in it. */
export interface Learned {
  /** with its frames, whether or not the index could take them */
  readonly segment: SegmentRow;
  readonly table: Table;
}

/** What tables are read with. */
export interface TableAccess {
  readonly home: Home;
  readonly keyring: Keyring;
  readonly catalogue: Catalogue;
  source(): Source | undefined;
  /** a table object, as the reader gives chunks; `holder` is the salt of the metadata segment that should have it */
  tableObject(id: Buffer, holder: Buffer): Promise<Buffer>;
  say(message: string): void;
}

export class Tables {
  readonly #with: TableAccess;
  /** oldest use first */
  readonly #held = new Map<string, Learned>();
  #rows = 0;
  readonly #asked = new Map<string, Promise<Learned>>();
  #told = false;

  constructor(access: TableAccess) {
    this.#with = access;
  }

  /** How many rows of tables are held. */
  get rows(): number {
    return this.#rows;
  }

  /** The table of a segment. Problem "missing" where nobody has it, "damaged" where it does not open. */
  of(segment: SegmentRow): Promise<Learned> {
    const key = segment.listing.name.toString("latin1");
    const held = this.#held.get(key);
    if (held) {
      this.#held.delete(key);
      this.#held.set(key, held);
      return Promise.resolve(held);
    }
    const asked = this.#asked.get(key);
    if (asked) return asked;
    const answer = this.#read(segment)
      .then(({ epoch, table }) => this.#hold(key, { segment: withTable(segment, epoch, table), table }))
      .finally(() => this.#asked.delete(key));
    this.#asked.set(key, answer);
    return answer;
  }

  /** The same, and the index takes it over. */
  async learn(segment: SegmentRow): Promise<Learned> {
    const learned = await this.of(segment);
    this.keep([learned]);
    return learned;
  }

  /** Give the index what it does not know. Where it cannot take it, reading goes on without. */
  keep(all: readonly Learned[]): void {
    const { catalogue } = this.#with;
    // By name: the index may have been made again since the row was read.
    const unknown = all.flatMap(({ segment, table }) => {
      const row = catalogue.segmentByName(segment.listing.name);
      return row?.frames.length === 0 && table.frames.length > 0 ? [{ row, segment, table }] : [];
    });
    if (unknown.length === 0) return;
    try {
      catalogue.write(() => {
        for (const { row, segment, table } of unknown) catalogue.learn(row.number, segment.epoch, table);
      });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!this.#told) this.#with.say(`what was read of other segments is not kept: ${error.message}`);
      this.#told = true;
    }
  }

  #hold(key: string, learned: Learned): Learned {
    this.#held.set(key, learned);
    this.#rows += rowsOf(learned);
    for (const [oldest, old] of this.#held) {
      if (this.#rows <= choice.tableRows || oldest === key) break;
      this.#held.delete(oldest);
      this.#rows -= rowsOf(old);
    }
    return learned;
  }

  async #read(segment: SegmentRow): Promise<{ epoch: number; table: Table }> {
    const { home, keyring } = this.#with;
    const { name, length, salt, kind } = segment.listing;
    if (objectLength(home, name) === length)
      try {
        const { reader, table } = readTableOf(home, name, length, keyring.epochs);
        if (!reader.header.salt.equals(salt)) throw new Problem("damaged", "it is listed under another salt");
        return { epoch: reader.header.epoch, table };
      } catch (error) {
        if (!(error instanceof Problem) || this.#with.source() === undefined) throw error;
        this.#with.say(`segment ${hexStart(name)} cannot be read here: ${error.message}; its table is read from peers`);
      }
    const object = kind === objectKinds.dataSegment ? await this.#fromObject(segment) : undefined;
    return object ?? this.#fromFar(segment);
  }

  /** As the table object tells; undefined where there is none, or it cannot be had. */
  async #fromObject(segment: SegmentRow): Promise<{ epoch: number; table: Table } | undefined> {
    const { catalogue, tableObject } = this.#with;
    const { name, length, salt } = segment.listing;
    const place = catalogue.tablePlace(salt);
    // Only metadata segments hold table objects, and they have none themselves: so this comes to an end.
    if (place === undefined || catalogue.segmentBySalt(place.holder)?.listing.kind !== objectKinds.metadataSegment)
      return undefined;
    try {
      const object = decodeTableObject(await tableObject(place.table, place.holder));
      const same = object.name.equals(name) && object.length === length && object.salt.equals(salt);
      return same && fills(object.table, length) ? object : undefined;
    } catch (error) {
      if (error instanceof Problem) return undefined;
      throw error;
    }
  }

  async #fromFar(segment: SegmentRow): Promise<{ epoch: number; table: Table }> {
    for (let attempt = 1; ; attempt++)
      try {
        return await this.#farFooter(segment);
      } catch (error) {
        if (!(error instanceof Problem) || attempt === 2 || !isFalse(error)) throw error;
      }
  }

  /** The footer by range: the end of the segment, and what of the footer stands before that. */
  async #farFooter(segment: SegmentRow): Promise<{ epoch: number; table: Table }> {
    const source = this.#with.source();
    if (source === undefined) throw notHere(segment);
    const { length } = segment.listing;
    const get = async (from: number, bytes: number): Promise<Buffer> => {
      const got = await source.range(segment.listing, from, bytes);
      if (got.length === bytes) return got;
      return named(segment, () => {
        throw new Problem("damaged", "fewer bytes came than were asked for");
      });
    };
    const from = Math.max(0, length - choice.tailBytes);
    const tail = await get(from, length - from);
    const { reader, epoch, place } = named(segment, () => this.#openTail(segment, tail));
    const missing = Math.max(0, from - place.offset);
    const before = missing === 0 ? Buffer.alloc(0) : await get(place.offset, missing);
    const footer = Buffer.concat([before, tail.subarray(Math.max(0, place.offset - from))]).subarray(0, place.bytes);
    return { epoch, table: named(segment, () => reader.table(footer, place)) };
  }

  /** The header need not be asked for: the trailer tells which epoch's keys fit. */
  #openTail(
    { listing }: SegmentRow,
    tail: Buffer,
  ): { reader: SegmentReader; epoch: number; place: { offset: number; bytes: number } } {
    const { vault, epochs } = this.#with.keyring;
    const kind = listing.kind === objectKinds.dataSegment ? "data" : "metadata";
    let last: unknown = new Problem("damaged", "it is shorter than a trailer");
    for (const epoch of [...epochs.values()].sort((a, b) => b.number - a.number)) {
      const reader = new SegmentReader(headerOf(vault, epoch, kind, listing.salt), epoch);
      try {
        const place = reader.footerPlace(tail.subarray(-trailerBytes), listing.length);
        return { reader, epoch: epoch.number, place };
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        last = error;
      }
    }
    throw last;
  }
}

/** Where an id lies in a segment; undefined where its table does not have it. */
export function placeIn({ segment, table }: Learned, id: Buffer): ChunkPlace | undefined {
  for (const [frame, { chunks }] of table.frames.entries()) {
    let offset = 0;
    for (const chunk of chunks) {
      const { length, type } = chunk;
      if (chunk.id.equals(id)) return { segment: segment.number, frame, offset, length, type };
      offset += length;
    }
  }
  return undefined;
}

function withTable(segment: SegmentRow, epoch: number, table: Table): SegmentRow {
  const offsets = frameOffsets(table);
  const frames = table.frames.map(({ boxBytes, rawBytes }, i) => ({
    offset: offsets[i] as number,
    boxBytes,
    rawBytes,
  }));
  return { ...segment, epoch, frames };
}

/** A table that leads beyond its segment is not its table. */
function fills(table: Table, length: number): boolean {
  const end = table.frames.reduce((sum, { boxBytes }) => sum + boxBytes, headerBytes);
  return end + trailerBytes <= length && length % format.leafBytes === 0;
}

function rowsOf({ table }: Learned): number {
  return table.frames.reduce((sum, { chunks }) => sum + chunks.length, 1);
}

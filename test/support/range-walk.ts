/**
 * A reader of a vault that has its keys, its logs, and a way to read ranges of objects by name: no catalogue, no list
 * of files, nothing of the store. What a machine has that lost everything but the phrase.
 */
import assert from "node:assert/strict";
import { decodeList } from "../../src/format/content.js";
import type { ContentRef, Entry } from "../../src/format/entry.js";
import { decodeGenesis } from "../../src/format/genesis.js";
import { checkCertificate } from "../../src/format/certificate.js";
import { keyedHash } from "../../src/format/hash.js";
import { type ChunkType, type Constants, type Epoch, idKeyOf } from "../../src/format/keys.js";
import { decodeListings, decodeTablePlaces, type Listing, type TablePlace } from "../../src/format/listing.js";
import { mentionsOf } from "../../src/format/mention.js";
import {
  checkRecord,
  decodeRecord,
  follows,
  type LogRecord,
  openRecord,
  recordTypes,
} from "../../src/format/record.js";
import { decodeRevision, type RevisionBody } from "../../src/format/revision.js";
import { decodeHeader, frameOffsets, headerBytes, SegmentReader, trailerBytes } from "../../src/format/segment.js";
import { decodeTableObject, type Table } from "../../src/format/table.js";
import { branchOf, decodeTree, isGround } from "../../src/format/tree.js";

/** Bytes of an object, from an offset on. */
export type ReadRange = (name: Buffer, offset: number, length: number) => Buffer;

/** Where the tables of data segments are taken from. */
export type TablesFrom = "footers" | "table objects";

/** A chunk, and which segment holds each id that its frame mentions, as the hints say. */
interface Found {
  readonly bytes: Buffer;
  readonly salts: ReadonlyMap<string, Buffer>;
}

const key = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The records of a log's file: hash-chained, signed by the device that the root key certified. */
export function* recordsOf(file: Buffer): Generator<LogRecord> {
  let last: LogRecord | undefined;
  let device: Buffer = Buffer.alloc(0);
  for (let at = 0; at < file.length; ) {
    const length = file.readUInt32LE(at);
    const record = decodeRecord(file.subarray(at + 4, at + 4 + length));
    if (last === undefined) {
      const { certificate, rootPublic } = decodeGenesis(record.clear);
      checkCertificate(certificate, rootPublic);
      device = certificate.device;
    } else assert.ok(follows(last, record));
    checkRecord(record, device);
    yield record;
    last = record;
    at += 4 + length;
  }
}

export class RangeWalk {
  readonly revisions: RevisionBody[] = [];
  readonly listings = new Map<string, Listing>();
  readonly places = new Map<string, TablePlace>();
  readonly #constants: Constants;
  readonly #epochs: ReadonlyMap<number, Epoch>;
  readonly #read: ReadRange;
  readonly #tablesFrom: TablesFrom;

  constructor(constants: Constants, epochs: readonly Epoch[], log: Buffer, read: ReadRange, tablesFrom: TablesFrom) {
    this.#constants = constants;
    this.#epochs = new Map(epochs.map((epoch) => [epoch.number, epoch]));
    this.#read = read;
    this.#tablesFrom = tablesFrom;
    for (const record of recordsOf(log)) this.#take(record);
  }

  #take(record: LogRecord): void {
    const secret = openRecord(record, this.#epochOf(record.epoch));
    if (record.type === recordTypes.revision) this.revisions.push(decodeRevision(secret));
    if (record.type !== recordTypes.list) return;
    for (const listing of decodeListings(record.clear).listings) this.listings.set(key(listing.salt), listing);
    for (const place of decodeTablePlaces(secret).places) this.places.set(key(place.salt), place);
  }

  #epochOf(number: number): Epoch {
    const epoch = this.#epochs.get(number);
    assert.ok(epoch, `keys of epoch ${number}`);
    return epoch;
  }

  /** The newest revision's file at a path of names from "/", whole. */
  file(path: readonly string[]): Buffer {
    const revision = this.revisions.at(-1);
    assert.ok(revision?.rootHint, "a revision that says where its root lies");
    let entry: Entry = revision.root;
    let salt: Buffer | undefined = revision.rootHint;
    for (const name of path) {
      const below = this.#lookup(entry, salt, Buffer.from(name));
      entry = below.entry;
      salt = below.salt;
    }
    assert.equal(entry.kind, "file");
    return entry.content === undefined ? Buffer.alloc(0) : this.#content(entry.content, salt);
  }

  #lookup(folder: Entry, from: Buffer | undefined, name: Buffer): { entry: Entry; salt: Buffer | undefined } {
    let id = folder.tree?.id;
    let salt = from;
    while (id !== undefined) {
      const { bytes, salts } = this.#chunk("tree", id, salt);
      const chunk = decodeTree(bytes);
      if (isGround(chunk)) {
        const entry = chunk.entries.find((each) => each.name.equals(name));
        assert.ok(entry, `${name} is in its folder`);
        const next = entry.tree?.id ?? entry.content?.id;
        return { entry, salt: next && salts.get(key(next)) };
      }
      id = branchOf(chunk.branches, name)?.id;
      salt = id && salts.get(key(id));
    }
    throw new Error(`${name} is in no folder`);
  }

  #content(content: ContentRef, salt: Buffer | undefined): Buffer {
    if (content.level === 0) return this.#chunk("data", content.id, salt).bytes;
    const { bytes, salts } = this.#chunk("list", content.id, salt);
    const { level, items } = decodeList(bytes);
    assert.equal(level, content.level);
    return Buffer.concat(
      items.map(({ id, size }) =>
        id ? this.#content({ level: level - 1, id, size }, salts.get(key(id))) : Buffer.alloc(Number(size)),
      ),
    );
  }

  #listing(salt: Buffer | undefined): Listing {
    const listing = salt && this.listings.get(key(salt));
    assert.ok(listing, "a hint that leads to a listing");
    return listing;
  }

  #readerOf(listing: Listing): SegmentReader {
    const header = decodeHeader(this.#read(listing.name, 0, headerBytes));
    assert.deepEqual(header.salt, listing.salt, "the segment is the one that its listing says");
    return new SegmentReader(header, this.#epochOf(header.epoch));
  }

  #footerOf(listing: Listing, reader: SegmentReader): Table {
    const trailer = this.#read(listing.name, listing.length - trailerBytes, trailerBytes);
    const place = reader.footerPlace(trailer, listing.length);
    return reader.table(this.#read(listing.name, place.offset, place.bytes), place);
  }

  #tableObjectOf(listing: Listing): Table {
    const place = this.places.get(key(listing.salt));
    assert.ok(place, "a list that says where the table of its data segment is");
    const object = decodeTableObject(this.#chunk("table", place.table, place.holder).bytes);
    assert.deepEqual([object.name, object.length, object.salt], [listing.name, listing.length, listing.salt]);
    return object.table;
  }

  #chunk(type: ChunkType, id: Buffer, salt: Buffer | undefined): Found {
    const listing = this.#listing(salt);
    const reader = this.#readerOf(listing);
    const viaObject = type === "data" && this.#tablesFrom === "table objects";
    const table = viaObject ? this.#tableObjectOf(listing) : this.#footerOf(listing, reader);
    const number = table.frames.findIndex(({ chunks }) => chunks.some((chunk) => chunk.id.equals(id)));
    const frame = table.frames[number];
    assert.ok(frame, "the segment that the hint names holds the chunk");
    const box = this.#read(listing.name, frameOffsets(table)[number] as number, frame.boxBytes);
    const { raw, hints } = reader.frame(number, frame.rawBytes, box);
    const held: (Buffer | undefined)[] = hints.flatMap((run) => Array<Buffer | undefined>(run.count).fill(run.salt));
    const salts = new Map<string, Buffer>();
    let bytes: Buffer | undefined;
    let at = 0;
    let mentioned = 0;
    for (const chunk of frame.chunks) {
      const each = raw.subarray(at, at + chunk.length);
      at += chunk.length;
      if (chunk.id.equals(id) && chunk.type === type) bytes = each;
      for (const mention of mentionsOf(chunk.type, each)) {
        const where = held[mentioned++];
        if (where) salts.set(key(mention.id), where);
      }
    }
    assert.equal(mentioned, held.length, "a hint for every id that the frame mentions");
    assert.ok(bytes && keyedHash(idKeyOf(this.#constants, type), bytes).equals(id));
    return { bytes, salts };
  }
}

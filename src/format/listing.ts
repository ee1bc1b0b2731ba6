/**
 * What a device wants kept, and how: listings of objects, and the records that list, release and hold them. Their
 * bodies are clear, because blind peers must obey them; kinds and importances are plain numbers there, so that a peer
 * keeps and passes on what only newer devices understand.
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { format } from "../base/limits.js";
import { type Fields, noFields, readFields, writeFields } from "./fields.js";

/** What peers hold and prove. Erasure shares may be another kind one day. */
export const objectKinds = { dataSegment: 1, metadataSegment: 2, checkpointList: 3 } as const;

/** Is this kind of object a segment of ours? */
export function isSegment(kind: number): boolean {
  return kind === objectKinds.dataSegment || kind === objectKinds.metadataSegment;
}

export const importances = { bulk: 1, normal: 2, critical: 3 } as const;

/** How many copies an object wants, how many it must have, and what goes first. */
export interface PlacementClass {
  readonly copies: number;
  readonly minimum: number;
  /** one of `importances`; larger goes first */
  readonly importance: number;
}

export const defaultClass: PlacementClass = { copies: 2, minimum: 1, importance: importances.normal };
/** Wants nothing, so what is placed by it counts as present for nobody who wants anything. */
export const lowestClass: PlacementClass = { copies: 0, minimum: 0, importance: importances.bulk };

/** Is what is placed under `held` placed well enough for `wanted`? */
export function covers(held: PlacementClass, wanted: PlacementClass): boolean {
  return held.copies >= wanted.copies && held.minimum >= wanted.minimum && held.importance >= wanted.importance;
}

/** One object that the log's device wants kept. */
export interface Listing {
  readonly name: Buffer;
  readonly length: number;
  /** one of `objectKinds`, or one that only newer versions know */
  readonly kind: number;
  /** of a segment, as its header shows it: hints name segments by salt. Zeros for other kinds */
  readonly salt: Buffer;
  readonly class: PlacementClass;
  /** written by another device of the vault and relied on by this one */
  readonly adopted: boolean;
  readonly fields: Fields;
}

/** Most listings that fit one record with room to spare. */
export const listingsPerRecord = 256;
const leastListingBytes = 72;

export function writeListing(to: Writer, listing: Listing): void {
  to.raw(listing.name).varint(listing.length).u8(listing.kind).raw(listing.salt);
  to.u8(listing.class.copies)
    .u8(listing.class.minimum)
    .u8(listing.class.importance)
    .u8(listing.adopted ? 1 : 0);
  writeFields(to, listing.fields);
}

export function readListing(from: Reader): Listing {
  const name = Buffer.from(from.raw(32));
  const length = from.varint();
  const kind = from.u8();
  if (isSegment(kind) && length > format.segmentBytes) from.fail("a segment too long");
  const salt = Buffer.from(from.raw(32));
  const placement = { copies: from.u8(), minimum: from.u8(), importance: from.u8() };
  const adopted = from.u8();
  if (adopted > 1) from.fail("a flag that is neither 0 nor 1");
  return { name, length, kind, salt, class: placement, adopted: adopted === 1, fields: readFields(from) };
}

export interface ListBody {
  readonly listings: readonly Listing[];
  readonly fields: Fields;
}

export function encodeListings(listings: readonly Listing[], fields: Fields = noFields): Buffer {
  if (listings.length > listingsPerRecord)
    throw new RangeError(`expected at most ${listingsPerRecord} listings, got ${listings.length}`);
  const to = new Writer(64 + listings.length * 80).varint(listings.length);
  for (const listing of listings) writeListing(to, listing);
  writeFields(to, fields);
  return to.finish();
}

export function decodeListings(bytes: Uint8Array): ListBody {
  const from = new Reader(bytes, "list record");
  const listings = Array.from({ length: from.count(listingsPerRecord, leastListingBytes) }, () => readListing(from));
  const fields = readFields(from);
  from.end();
  return { listings, fields };
}

/**
 * The sealed body of a list: where the table objects of its data segments are. After a total loss this leads from a
 * hint to a table without reading any footer.
 */
export interface TablePlace {
  /** salt of the data segment */
  readonly salt: Buffer;
  /** id of its table object */
  readonly table: Buffer;
  /** salt of the metadata segment that holds the object */
  readonly holder: Buffer;
}

export function encodeTablePlaces(places: readonly TablePlace[], fields: Fields = noFields): Buffer {
  const to = new Writer(64 + places.length * 96).varint(places.length);
  for (const { salt, table, holder } of places) to.raw(salt).raw(table).raw(holder);
  writeFields(to, fields);
  return to.finish();
}

export function decodeTablePlaces(bytes: Uint8Array): { places: TablePlace[]; fields: Fields } {
  const from = new Reader(bytes, "list of tables");
  const take = (): Buffer => Buffer.from(from.raw(32));
  const places = Array.from({ length: from.count(listingsPerRecord, 96) }, () => ({
    salt: take(),
    table: take(),
    holder: take(),
  }));
  const fields = readFields(from);
  from.end();
  return { places, fields };
}

/** Most names that one release or hold carries. */
export const namesPerRecord = 1024;

function writeNames(to: Writer, names: readonly Buffer[]): void {
  if (names.length > namesPerRecord)
    throw new RangeError(`expected at most ${namesPerRecord} names, got ${names.length}`);
  to.varint(names.length);
  for (const name of names) to.raw(name);
}

function readNames(from: Reader): Buffer[] {
  return Array.from({ length: from.count(namesPerRecord, 32) }, () => Buffer.from(from.raw(32)));
}

/** Objects that the device no longer needs. */
export interface ReleaseBody {
  readonly names: readonly Buffer[];
  readonly fields: Fields;
}

export function encodeRelease(body: ReleaseBody): Buffer {
  const to = new Writer(64 + body.names.length * 32);
  writeNames(to, body.names);
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeRelease(bytes: Uint8Array): ReleaseBody {
  const from = new Reader(bytes, "release record");
  const body = { names: readNames(from), fields: readFields(from) };
  from.end();
  return body;
}

/** Objects kept against every release until a time (nanoseconds since 1970), or until a later hold frees them. */
export interface HoldBody {
  readonly names: readonly Buffer[];
  readonly until: bigint;
  readonly fields: Fields;
}

export function encodeHold(body: HoldBody): Buffer {
  const to = new Writer(64 + body.names.length * 32).signed(body.until);
  writeNames(to, body.names);
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeHold(bytes: Uint8Array): HoldBody {
  const from = new Reader(bytes, "hold record");
  const body = { until: from.signed(), names: readNames(from), fields: readFields(from) };
  from.end();
  return body;
}

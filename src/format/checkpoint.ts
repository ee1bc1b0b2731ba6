/**
 * A checkpoint restates a log, so that readers begin at the newest one and what lies below it may go: what is listed
 * as an object of its own that peers can read, what is kept as content that only the vault can.
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { format } from "../base/limits.js";
import { type ContentRef, readContent, writeContent } from "./entry.js";
import { type Fields, readFields, writeFields } from "./fields.js";
import { type Listing, readListing, writeListing } from "./listing.js";

/** The clear body. */
export interface CheckpointBody {
  /** name and bytes of the object that holds the list */
  readonly listName: Buffer;
  readonly listBytes: number;
  readonly listings: number;
  readonly fields: Fields;
}

export function encodeCheckpoint(body: CheckpointBody): Buffer {
  const to = new Writer(128).raw(body.listName).varint(body.listBytes).varint(body.listings);
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeCheckpoint(bytes: Uint8Array): CheckpointBody {
  const from = new Reader(bytes, "checkpoint record");
  const listName = Buffer.from(from.raw(32));
  const body = { listName, listBytes: from.varint(), listings: from.varint(), fields: readFields(from) };
  from.end();
  return body;
}

const listMagic = Buffer.from("BCOOPLST", "latin1");

/** The object that a checkpoint names: every listing, ascending by name. */
export function encodeCheckpointList(listings: readonly Listing[]): Buffer {
  const to = new Writer(64 + listings.length * 80).raw(listMagic).varint(listings.length);
  for (const listing of [...listings].sort((a, b) => Buffer.compare(a.name, b.name))) writeListing(to, listing);
  return to.finish();
}

export function decodeCheckpointList(bytes: Uint8Array): Listing[] {
  const from = new Reader(bytes, "checkpoint list");
  if (!from.raw(8).equals(listMagic)) from.fail("wrong magic");
  const listings: Listing[] = [];
  for (let left = from.count(Number.MAX_SAFE_INTEGER, 72); left > 0; left--) {
    const listing = readListing(from);
    const last = listings.at(-1);
    if (last && Buffer.compare(last.name, listing.name) >= 0) from.fail("names out of order");
    listings.push(listing);
  }
  from.end();
  return listings;
}

/** The sealed body: what the vault keeps, each list as content, because it may outgrow any record. */
export interface CheckpointSecret {
  /** the original records that still count (revisions, forgets, notes, holds, certificates), see `encodeRecords` */
  readonly kept: ContentRef | undefined;
  /** salt of the metadata segment that holds the beginning of `kept`; a hint */
  readonly keptHint: Buffer | undefined;
  /** table places of all listed data segments, as `encodeTablePlaces` writes them, part by part */
  readonly tables: ContentRef | undefined;
  readonly fields: Fields;
}

export function encodeCheckpointSecret(body: CheckpointSecret): Buffer {
  const to = new Writer(256);
  writeContent(to, body.kept);
  to.u8(body.keptHint ? 1 : 0);
  if (body.keptHint) to.raw(body.keptHint);
  writeContent(to, body.tables);
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeCheckpointSecret(bytes: Uint8Array): CheckpointSecret {
  const from = new Reader(bytes, "checkpoint");
  const kept = readContent(from);
  const hinted = from.u8();
  if (hinted > 1) from.fail("a flag that is neither 0 nor 1");
  const keptHint = hinted ? Buffer.from(from.raw(32)) : undefined;
  const body = { kept, keptHint, tables: readContent(from), fields: readFields(from) };
  from.end();
  return body;
}

/** Whole records one behind the other, so that their signatures survive the log that they stood in. */
export function encodeRecords(records: readonly Uint8Array[]): Buffer {
  const to = new Writer(1024);
  for (const record of records) to.blob(record);
  return to.finish();
}

export function decodeRecords(bytes: Uint8Array): Buffer[] {
  const from = new Reader(bytes, "kept records");
  const records: Buffer[] = [];
  while (from.left > 0) records.push(Buffer.from(from.blob(format.recordBytes)));
  return records;
}

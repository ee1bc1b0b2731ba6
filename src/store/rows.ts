/**
 * The rows of the catalogue: what they say, and their bytes. A decoder that meets bytes that no row has throws; that
 * a row is the right one is for the catalogue to say.
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { type Listing, readListing, writeListing } from "../format/listing.js";
import { type ChunkType, chunkTypes } from "../format/keys.js";

/** Where a chunk lies. */
export interface ChunkPlace {
  readonly segment: number;
  readonly frame: number;
  /** within the frame's plaintext */
  readonly offset: number;
  readonly length: number;
  readonly type: ChunkType;
}

/** A segment that a log lists. `number` is local: given in the order of the logs. */
export interface SegmentRow {
  readonly number: number;
  readonly listing: Listing;
  readonly epoch: number;
  /** offset and bytes of each frame's box, and of its plaintext */
  readonly frames: readonly { readonly offset: number; readonly boxBytes: number; readonly rawBytes: number }[];
}

/** A revision as its record tells it. */
export interface RevisionRow {
  /** position in the order of the logs, from 1 */
  readonly order: number;
  readonly id: Buffer;
  readonly log: Buffer;
  readonly seq: bigint;
  readonly device: Buffer;
  readonly time: bigint;
  /** the plaintext of the record's sealed body */
  readonly body: Buffer;
}

const typeNames = new Map<number, ChunkType>(
  Object.entries(chunkTypes).map(([name, number]) => [number, name as ChunkType]),
);

export function encodePlace(place: ChunkPlace): Buffer {
  const bytes = Buffer.allocUnsafe(17);
  bytes.writeUInt32LE(place.segment, 0);
  bytes.writeUInt32LE(place.frame, 4);
  bytes.writeUInt32LE(place.offset, 8);
  bytes.writeUInt32LE(place.length, 12);
  bytes[16] = chunkTypes[place.type];
  return bytes;
}

export function decodePlace(bytes: Buffer): ChunkPlace {
  const type = bytes.length === 17 ? typeNames.get(bytes[16] as number) : undefined;
  if (type === undefined) throw damagedRow("chunk");
  return {
    segment: bytes.readUInt32LE(0),
    frame: bytes.readUInt32LE(4),
    offset: bytes.readUInt32LE(8),
    length: bytes.readUInt32LE(12),
    type,
  };
}

export function encodeSegment(row: SegmentRow): Buffer {
  const to = new Writer(128 + row.frames.length * 8);
  writeListing(to, row.listing);
  to.varint(row.epoch).varint(row.frames.length);
  for (const frame of row.frames) to.varint(frame.offset).varint(frame.boxBytes).varint(frame.rawBytes);
  return to.finish();
}

export function decodeSegment(number: number, bytes: Buffer): SegmentRow {
  const from = new Reader(bytes, "catalogue row");
  const listing = readListing(from);
  const epoch = from.varint();
  const frames = Array.from({ length: from.count(format.framesPerSegment, 3) }, () => ({
    offset: from.varint(),
    boxBytes: from.varint(format.sealedFrameBytes),
    rawBytes: from.varint(format.frameBytes),
  }));
  from.end();
  return { number, listing, epoch, frames };
}

export function encodeRevision(row: RevisionRow): Buffer {
  return new Writer(256).raw(row.id).raw(row.log).u64(row.seq).raw(row.device).signed(row.time).blob(row.body).finish();
}

export function decodeRevision(order: number, bytes: Buffer): RevisionRow {
  const from = new Reader(bytes, "catalogue row");
  const row = {
    order,
    id: Buffer.from(from.raw(32)),
    log: Buffer.from(from.raw(32)),
    seq: from.u64(),
    device: Buffer.from(from.raw(32)),
    time: from.signed(),
    body: Buffer.from(from.blob(format.recordBytes)),
  };
  from.end();
  return row;
}

export function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function damagedRow(what: string): Problem {
  return new Problem("damaged", `the catalogue holds a damaged ${what} row; run "bcoopfs repair --rebuild-index"`);
}

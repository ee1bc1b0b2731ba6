/**
 * The rows of the catalogue: what they say, and their bytes. A decoder that meets bytes that no row has throws; that
 * a row is the right one is for the catalogue to say.
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { covers, type Listing, readListing, writeListing } from "../format/listing.js";
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

/** A segment that a log of this vault lists. `number` is local: given in the order in which records were applied. */
export interface SegmentRow {
  readonly number: number;
  readonly listing: Listing;
  /** which log lists it; this device's own comes before inherited ones, and these before others */
  readonly log: Buffer;
  /** number of the record that does */
  readonly seq: bigint;
  readonly epoch: number;
  /** offset and bytes of each frame's box, and of its plaintext; none as long as its table was not at hand */
  readonly frames: readonly { readonly offset: number; readonly boxBytes: number; readonly rawBytes: number }[];
}

/** A revision as its record tells it. */
export interface RevisionRow {
  readonly id: Buffer;
  readonly log: Buffer;
  readonly seq: bigint;
  readonly device: Buffer;
  readonly time: bigint;
  /** the plaintext of the record's sealed body */
  readonly body: Buffer;
}

/** A log, and how far it has been applied: the last record and its place in the file. */
export interface LogRow {
  readonly log: Buffer;
  /** the vault that it is of */
  readonly scope: Buffer;
  readonly device: Buffer;
  readonly seq: bigint;
  readonly id: Buffer;
  readonly start: number;
  readonly end: number;
  /** this installation writes it, or has written it */
  readonly own: boolean;
  /** two branches of it are known, and no more of it is taken */
  readonly frozen: boolean;
}

/** That a log builds on another one, up to and including a record. */
export interface HeirRow {
  readonly heir: Buffer;
  readonly log: Buffer;
  readonly upTo: bigint;
  /** by the root key's word, and not only because it goes on from there */
  readonly inherits: boolean;
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
  const to = new Writer(192 + row.frames.length * 8);
  writeListing(to, row.listing);
  to.raw(row.log).u64(row.seq).varint(row.epoch).varint(row.frames.length);
  for (const frame of row.frames) to.varint(frame.offset).varint(frame.boxBytes).varint(frame.rawBytes);
  return to.finish();
}

export function decodeSegment(number: number, bytes: Buffer): SegmentRow {
  const from = new Reader(bytes, "catalogue row");
  const listing = readListing(from);
  const log = Buffer.from(from.raw(32));
  const seq = from.u64();
  const epoch = from.varint();
  const frames = Array.from({ length: from.count(format.framesPerSegment, 3) }, () => ({
    offset: from.varint(),
    boxBytes: from.varint(format.sealedFrameBytes),
    rawBytes: from.varint(format.frameBytes),
  }));
  from.end();
  return { number, listing, log, seq, epoch, frames };
}

/** Revisions stand in the order of their times, and of their ids where these are the same. */
export function revisionKey({ time, id }: Pick<RevisionRow, "time" | "id">): Buffer {
  const key = Buffer.alloc(40);
  key.writeBigUInt64BE(BigInt.asUintN(64, time + 2n ** 63n));
  key.set(id, 8);
  return key;
}

export function encodeRevision(row: RevisionRow): Buffer {
  return new Writer(256).raw(row.log).u64(row.seq).raw(row.device).blob(row.body).finish();
}

export function decodeRevision(key: Buffer, bytes: Buffer): RevisionRow {
  if (key.length !== 40) throw damagedRow("revision");
  const from = new Reader(bytes, "catalogue row");
  const row = {
    id: Buffer.from(key.subarray(8)),
    log: Buffer.from(from.raw(32)),
    seq: from.u64(),
    device: Buffer.from(from.raw(32)),
    time: key.readBigUInt64BE() - 2n ** 63n,
    body: Buffer.from(from.blob(format.recordBytes)),
  };
  from.end();
  return row;
}

const ownFlag = 1;
const frozenFlag = 2;

export function encodeLog(row: LogRow): Buffer {
  const to = new Writer(128).raw(row.scope).raw(row.device).u64(row.seq).raw(row.id);
  to.u64(BigInt(row.start)).u64(BigInt(row.end));
  return to.u8((row.own ? ownFlag : 0) | (row.frozen ? frozenFlag : 0)).finish();
}

export function decodeLog(log: Buffer, bytes: Buffer): LogRow {
  const from = new Reader(bytes, "catalogue row");
  const take = (): Buffer => Buffer.from(from.raw(32));
  const row = { log, scope: take(), device: take(), seq: from.u64(), id: take() };
  const place = { start: Number(from.u64()), end: Number(from.u64()) };
  const flags = from.u8();
  from.end();
  return { ...row, ...place, own: (flags & ownFlag) !== 0, frozen: (flags & frozenFlag) !== 0 };
}

export function heirKey({ log, heir, inherits }: Omit<HeirRow, "upTo">): Buffer {
  return Buffer.concat([log, heir, Buffer.from([inherits ? 1 : 0])]);
}

export function decodeHeir(key: Buffer, bytes: Buffer): HeirRow {
  if (key.length !== 65 || bytes.length !== 8) throw damagedRow("log");
  return {
    log: key.subarray(0, 32),
    heir: key.subarray(32, 64),
    inherits: key[64] === 1,
    upTo: bytes.readBigUInt64LE(),
  };
}

/** One of two segments that hold a chunk, as far as the choice between them goes. */
export interface Holder {
  readonly row: SegmentRow;
  /** 0 where this device's own log lists it, 1 where it is inherited, 2 else */
  readonly rank: number;
  /** its file is here, and as long as it should be */
  readonly whole: boolean;
}

/**
 * Is a chunk that both hold to be found in `next` rather than in `held`? What this device answers for goes first. The
 * choice depends on the two alone, so that an index made again in another order is the same.
 */
export function goesBefore(next: Holder, held: Holder): boolean {
  if (next.rank !== held.rank) return next.rank < held.rank;
  if (next.whole !== held.whole) return next.whole;
  const [a, b] = [next.row.listing, held.row.listing];
  if (next.rank === 0) {
    // Of its own it takes the first, or the one that is placed better.
    const [better, worse] = [covers(a.class, b.class), covers(b.class, a.class)];
    return better === worse ? next.row.number < held.row.number : better;
  }
  const byClass = (["copies", "minimum", "importance"] as const).map((key) => a.class[key] - b.class[key]);
  const first = byClass.find((difference) => difference !== 0);
  return first === undefined ? Buffer.compare(a.name, b.name) < 0 : first > 0;
}

export function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function damagedRow(what: string): Problem {
  return new Problem("damaged", `the catalogue holds a damaged ${what} row; run "bcoopfs repair --rebuild-index"`);
}

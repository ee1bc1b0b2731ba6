/**
 * A segment: a write-once file of sealed frames, the unit of placement, transfer, audit and collection.
 *
 *   header   112 B   magic "BCOOPSEG" ‖ format 1 ‖ suite 1 ‖ kind (1 data, 2 metadata) ‖ kem 0 ‖ epoch u32
 *                    ‖ vault 32 ‖ salt 32 ‖ commitment 32
 *   frames           boxes back to back, no lengths in clear
 *   footer           one box: the table, zero-padded so that the whole is a multiple of 64 KiB
 *   trailer   84 B   table commitment 32 ‖ box of { footer offset u64, footer bytes u32 }
 *
 * Its name is plain BLAKE3 of all of it. Whoever lacks the keys sees the header and noise: no lengths, no boundaries.
 * The commitments are checked before anything is opened, because Poly1305 alone does not bind a box to one key.
 * @module
 */
import { Reader, sameBytes, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { boxOverhead, nonceBytes, open, seal } from "./aead.js";
import { boxContext, boxTypes, type HintRun, openFrame, sealFrame } from "./frame.js";
import { derive } from "./hash.js";
import { type Epoch, suite } from "./keys.js";
import { NameHasher } from "./leaves.js";
import { type ChunkRow, decodeFooter, encodeFooter, type FrameRow, type Table } from "./table.js";
import { noFields } from "./fields.js";

const magic = Buffer.from("BCOOPSEG", "latin1");
const formatVersion = 1;
export const headerBytes = 112;
export const trailerBytes = 32 + boxOverhead + 12;
export const segmentKinds = { data: 1, metadata: 2 } as const;
export type SegmentKind = keyof typeof segmentKinds;

interface SegmentKeys {
  readonly frame: Buffer;
  readonly table: Buffer;
}

function keysOf(epoch: Epoch, kind: SegmentKind, salt: Uint8Array): SegmentKeys {
  return {
    frame: derive("segment frame key", kind === "data" ? epoch.data : epoch.metadata, salt),
    table: derive("segment table key", epoch.table, salt),
  };
}

function encodeHeader(vault: Uint8Array, epoch: Epoch, kind: SegmentKind, salt: Uint8Array): Buffer {
  const to = new Writer(headerBytes)
    .raw(magic)
    .u8(formatVersion)
    .u8(suite)
    .u8(segmentKinds[kind])
    .u8(0)
    .u32(epoch.number);
  to.raw(vault).raw(salt);
  return to.raw(derive("segment commitment", keysOf(epoch, kind, salt).frame, to.finish())).finish();
}

/** The header that a segment must have: for who knows its salt and epoch and would rather not ask for it. */
export function headerOf(vault: Uint8Array, epoch: Epoch, kind: SegmentKind, salt: Uint8Array): SegmentHeader {
  return decodeHeader(encodeHeader(vault, epoch, kind, salt));
}

/** What anybody can read of a segment. */
export interface SegmentHeader {
  readonly kind: SegmentKind;
  readonly epoch: number;
  readonly vault: Buffer;
  readonly salt: Buffer;
  readonly bytes: Buffer;
}

/** Strict: exactly the 112 bytes that a writer of this version makes. */
export function decodeHeader(bytes: Uint8Array): SegmentHeader {
  const from = new Reader(bytes.subarray(0, headerBytes), "segment header");
  if (!sameBytes(from.raw(8), magic)) from.fail("wrong magic");
  const version = from.u8();
  if (version !== formatVersion || from.u8() !== suite)
    throw new Problem(
      "unsupported",
      `a segment of format ${version}, which this version does not know; use a newer bcoopfs`,
    );
  const kindNumber = from.u8();
  const kind: SegmentKind = kindNumber === 1 ? "data" : kindNumber === 2 ? "metadata" : from.fail("unknown kind");
  if (from.u8() !== 0)
    throw new Problem("unsupported", "a segment sealed to a public key, which this version does not open");
  const epoch = from.u32();
  const vault = Buffer.from(from.raw(32));
  const salt = Buffer.from(from.raw(32));
  from.raw(32);
  from.end();
  return { kind, epoch, vault, salt, bytes: Buffer.from(bytes.subarray(0, headerBytes)) };
}

/** One chunk on its way into a frame. */
export interface NewChunk {
  readonly type: ChunkRow["type"];
  readonly id: Buffer;
  readonly bytes: Uint8Array;
}

/** Build one segment front to back: write `header`, then what each `frame` returns, then what `finish` returns. */
export class SegmentBuilder {
  readonly header: Buffer;
  readonly kind: SegmentKind;
  readonly salt: Buffer;
  readonly epoch: number;
  readonly #keys: SegmentKeys;
  readonly #frames: FrameRow[] = [];
  readonly #name = new NameHasher();
  readonly #random: (length: number) => Buffer;
  #length: number;
  #chunks = 0;

  constructor(vault: Uint8Array, epoch: Epoch, kind: SegmentKind, random: (length: number) => Buffer) {
    this.kind = kind;
    this.salt = random(32);
    this.epoch = epoch.number;
    this.#random = random;
    this.#keys = keysOf(epoch, kind, this.salt);
    this.header = encodeHeader(vault, epoch, kind, this.salt);
    this.#length = headerBytes;
    this.#name.update(this.header);
  }

  /** bytes so far, without footer */
  get length(): number {
    return this.#length;
  }

  /** number that the next frame will have */
  get frames(): number {
    return this.#frames.length;
  }

  /** chunks so far; a segment holds at most `format.chunksPerSegment` */
  get chunks(): number {
    return this.#chunks;
  }

  /** Seal the next frame. Throws a RangeError rather than write what no reader would take. */
  frame(chunks: readonly NewChunk[], hints: readonly HintRun[]): Buffer {
    if (chunks.length === 0 || chunks.some(({ bytes }) => bytes.length > format.chunkBytes))
      throw new RangeError(`expected chunks of at most ${format.chunkBytes} bytes`);
    if (this.#frames.length === format.framesPerSegment || this.#chunks + chunks.length > format.chunksPerSegment)
      throw new RangeError(`expected at most ${format.chunksPerSegment} chunks in a segment`);
    const raw = Buffer.concat(chunks.map((chunk) => chunk.bytes));
    const box = sealFrame(this.#keys.frame, this.header, this.#frames.length, raw, hints, this.#random);
    const rows = chunks.map(({ type, id, bytes }) => ({ type, id, length: bytes.length }));
    this.#frames.push({ boxBytes: box.length, rawBytes: raw.length, chunks: rows });
    this.#length += box.length;
    this.#chunks += chunks.length;
    this.#name.update(box);
    return box;
  }

  finish(): { tail: Buffer; name: Buffer; length: number; table: Table } {
    const table: Table = { frames: this.#frames, fields: noFields };
    const bare = encodeFooter(table, 0).length;
    const unpadded = this.#length + bare + boxOverhead + trailerBytes;
    const padding = (format.leafBytes - (unpadded % format.leafBytes)) % format.leafBytes;
    const plain = encodeFooter(table, padding);
    const boxed = plain.length + boxOverhead;
    const footer = seal(
      this.#keys.table,
      this.#random(nonceBytes),
      boxContext(this.header, 0, boxTypes.footer, plain.length, boxed),
      plain,
    );
    const where = new Writer(12).u64(BigInt(this.#length)).u32(boxed).finish();
    const context = boxContext(this.header, 0, boxTypes.trailer, where.length, where.length + boxOverhead);
    const trailer = seal(this.#keys.table, this.#random(nonceBytes), context, where);
    const tail = Buffer.concat([footer, derive("segment table commitment", this.#keys.table, this.header), trailer]);
    this.#name.update(tail);
    return { tail, name: this.#name.finish().name, length: this.#length + tail.length, table };
  }
}

/** Read a segment by ranges: first the header, then the trailer, the footer, and any frame. */
export class SegmentReader {
  readonly header: SegmentHeader;
  readonly #keys: SegmentKeys;

  /** @param epoch the keys of the epoch that the header names. Throws Problem("damaged") when they do not fit. */
  constructor(header: SegmentHeader, epoch: Epoch) {
    this.header = header;
    this.#keys = keysOf(epoch, header.kind, header.salt);
    const commitment = derive("segment commitment", this.#keys.frame, header.bytes.subarray(0, headerBytes - 32));
    if (!sameBytes(commitment, header.bytes.subarray(headerBytes - 32)))
      throw new Problem("damaged", "a segment header is damaged or belongs to other keys");
  }

  /** @param trailer the last 84 bytes; @param length of the whole segment */
  footerPlace(trailer: Uint8Array, length: number): { offset: number; bytes: number } {
    const header = this.header.bytes;
    if (
      trailer.length !== trailerBytes ||
      !sameBytes(trailer.subarray(0, 32), derive("segment table commitment", this.#keys.table, header))
    )
      throw new Problem("damaged", "a segment's trailer is damaged");
    const context = boxContext(header, 0, boxTypes.trailer, 12, 12 + boxOverhead);
    const from = new Reader(
      open(this.#keys.table, context, trailer.subarray(32), "segment trailer"),
      "segment trailer",
    );
    const offset = Number(from.u64());
    const bytes = from.u32();
    from.end();
    if (
      offset < headerBytes ||
      bytes < boxOverhead ||
      offset + bytes + trailerBytes !== length ||
      length % format.leafBytes !== 0
    )
      throw new Problem("damaged", "a segment is shorter or longer than it was written");
    return { offset, bytes };
  }

  /** Open the footer's box; the frames of the table fill the segment exactly. */
  table(footer: Uint8Array, place: { offset: number; bytes: number }): Table {
    if (footer.length !== place.bytes) throw new Problem("damaged", "a segment's footer is cut short");
    const context = boxContext(this.header.bytes, 0, boxTypes.footer, footer.length - boxOverhead, footer.length);
    const table = decodeFooter(open(this.#keys.table, context, footer, "segment footer"));
    const end = table.frames.reduce((sum, frame) => sum + frame.boxBytes, headerBytes);
    if (end !== place.offset) throw new Problem("damaged", "a segment's frames do not fill it");
    return table;
  }

  frame(number: number, rawBytes: number, box: Uint8Array): { raw: Buffer; hints: HintRun[] } {
    return openFrame(this.#keys.frame, this.header.bytes, number, rawBytes, box);
  }
}

/** Where each frame's box begins. */
export function frameOffsets(table: Table): number[] {
  let at = headerBytes;
  return table.frames.map((frame) => {
    const offset = at;
    at += frame.boxBytes;
    return offset;
  });
}

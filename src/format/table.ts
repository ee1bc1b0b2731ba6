/**
 * The table of a segment: its frames, and the chunks in each. It stands sealed in the segment's footer; that of a
 * data segment stands a second time, as an object of its own, in a metadata segment, so that one small object tells
 * where everything lies.
 * @module
 */
import { isZero, Reader, Writer } from "../base/bytes.js";
import { format } from "../base/limits.js";
import { type Fields, noFields, readFields, writeFields } from "./fields.js";
import { type ChunkType, chunkTypes } from "./keys.js";

export interface ChunkRow {
  readonly type: ChunkType;
  readonly id: Buffer;
  /** plaintext bytes */
  readonly length: number;
}

export interface FrameRow {
  /** bytes of the sealed box in the segment */
  readonly boxBytes: number;
  /** bytes of its chunks together */
  readonly rawBytes: number;
  readonly chunks: readonly ChunkRow[];
}

export interface Table {
  readonly frames: readonly FrameRow[];
  readonly fields: Fields;
}

const typeNames = new Map<number, ChunkType>(
  Object.entries(chunkTypes).map(([name, number]) => [number, name as ChunkType]),
);

export function writeTable(to: Writer, table: Table): void {
  to.varint(table.frames.length);
  for (const frame of table.frames) {
    to.varint(frame.boxBytes).varint(frame.chunks.length);
    for (const chunk of frame.chunks) to.u8(chunkTypes[chunk.type]).varint(chunk.length).raw(chunk.id);
  }
  writeFields(to, table.fields);
}

export function readTable(from: Reader): Table {
  const frames: FrameRow[] = [];
  let total = 0;
  for (let left = from.count(format.framesPerSegment, 2); left > 0; left--) {
    const boxBytes = from.varint(format.sealedFrameBytes);
    const count = from.count(format.chunksPerSegment - total, 34);
    if (count === 0) from.fail("a frame without chunks");
    total += count;
    const chunks: ChunkRow[] = [];
    let rawBytes = 0;
    for (let i = 0; i < count; i++) {
      const type = typeNames.get(from.u8());
      if (type === undefined) from.fail("unknown chunk type");
      const length = from.varint(format.chunkBytes);
      rawBytes += length;
      chunks.push({ type, length, id: Buffer.from(from.raw(32)) });
    }
    if (rawBytes > format.frameBytes) from.fail("frame too large");
    frames.push({ boxBytes, rawBytes, chunks });
  }
  return { frames, fields: readFields(from) };
}

/** The table as it stands in a footer: zero-padded at the end. */
export function encodeFooter(table: Table, padding: number): Buffer {
  const to = new Writer(4096);
  writeTable(to, table);
  return to.raw(Buffer.alloc(padding)).finish();
}

export function decodeFooter(bytes: Uint8Array): Table {
  const from = new Reader(bytes, "segment footer");
  const table = readTable(from);
  if (from.left >= format.leafBytes || !isZero(from.raw(from.left))) from.fail("padding is not short and zero");
  return table;
}

/** The table of another segment as an object: what it is called, where it is found, what it holds. */
export interface TableObject {
  readonly name: Buffer;
  readonly length: number;
  readonly salt: Buffer;
  readonly epoch: number;
  readonly table: Table;
}

export function encodeTableObject(object: TableObject): Buffer {
  const to = new Writer(4096).raw(object.name).varint(object.length).raw(object.salt).varint(object.epoch);
  writeTable(to, object.table);
  return to.finish();
}

export function decodeTableObject(bytes: Uint8Array): TableObject {
  const from = new Reader(bytes, "segment table");
  const name = Buffer.from(from.raw(32));
  const length = from.varint(format.segmentBytes);
  const salt = Buffer.from(from.raw(32));
  const epoch = from.varint(0xffff_ffff);
  const table = readTable(from);
  from.end();
  return { name, length, salt, epoch, table };
}

export const emptyTable: Table = { frames: [], fields: noFields };

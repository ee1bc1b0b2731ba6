/**
 * What the catalogue knows of segments, chunks, revisions and logs, and how its rows hang together. Where rows lie, and
 * what makes them durable, is the business of `catalogue.ts`; all that changes them runs within its `write`.
 * @module
 */
import type { TablePlace } from "../format/listing.js";
import { frameOffsets } from "../format/segment.js";
import type { Table } from "../format/table.js";
import {
  type ChunkPlace,
  decodeHeir,
  decodeLog,
  decodePlace,
  decodeRevision,
  decodeSegment,
  encodeLog,
  encodePlace,
  encodeRevision,
  encodeSegment,
  goesBefore,
  type HeirRow,
  heirKey,
  type Holder,
  type LogRow,
  number32,
  type RevisionRow,
  revisionKey,
  type SegmentRow,
} from "./rows.js";

/** What logs and files say, and what others said. Their order is that of a whole dump. */
export const tables = [
  "meta",
  "chunks",
  "segments",
  "names",
  "salts",
  "tables",
  "revisions",
  "revisionIds",
  "logs",
  "heirs",
  "listed",
  "listers",
  "wanted",
  "copies",
  "heads",
  "peers",
] as const;
export type TableName = (typeof tables)[number];

export interface Row {
  readonly key: Buffer;
  readonly value: Buffer;
}

const revisionsStamp = Buffer.from("revisions");
const complete = Buffer.from("complete");

export abstract class IndexTables {
  readonly #segments = new Map<number, SegmentRow>();
  /** Is the file of a segment here, and as long as it should be? Given by whoever knows where files lie. */
  isWhole: (row: SegmentRow) => boolean = () => true;

  /** One transaction: all of `work` or nothing, on the disk when this returns. Within another it is a part of that. */
  abstract write<T>(work: () => T): T;
  abstract get(table: TableName, key: Buffer): Buffer | undefined;
  abstract put(table: TableName, key: Buffer, value: Buffer): void;
  abstract remove(table: TableName, key: Buffer): void;
  /** Rows whose keys begin with `prefix`, in order. @param after only those behind this key */
  abstract range(table: TableName, prefix?: Buffer, after?: Buffer): Generator<Row>;

  chunk(id: Buffer): ChunkPlace | undefined {
    const bytes = this.get("chunks", id);
    return bytes && decodePlace(bytes);
  }

  putChunk(id: Buffer, place: ChunkPlace): void {
    this.put("chunks", id, encodePlace(place));
  }

  /** Once its frames are known a row hardly changes, and nothing rests on that: so a copy in memory will do. */
  segment(number: number): SegmentRow | undefined {
    const known = this.#segments.get(number);
    if (known) return known;
    const bytes = this.get("segments", number32(number));
    if (bytes === undefined) return undefined;
    const row = decodeSegment(number, bytes);
    if (this.#segments.size > 4096) this.#segments.clear();
    if (row.frames.length > 0) this.#segments.set(number, row);
    return row;
  }

  segmentByName(name: Buffer): SegmentRow | undefined {
    const number = this.get("names", name);
    return number && this.segment(number.readUInt32BE());
  }

  segmentBySalt(salt: Buffer): SegmentRow | undefined {
    const number = this.get("salts", salt);
    return number && this.segment(number.readUInt32BE());
  }

  *segments(): Generator<SegmentRow> {
    for (const { key } of [...this.range("segments")]) {
      const row = this.segment(key.readUInt32BE());
      if (row) yield row;
    }
  }

  /** Where the table object of a data segment lies, as a list record tells. */
  tablePlace(salt: Buffer): { table: Buffer; holder: Buffer } | undefined {
    const bytes = this.get("tables", salt);
    return bytes && { table: bytes.subarray(0, 32), holder: bytes.subarray(32) };
  }

  addTablePlace({ salt, table, holder }: TablePlace): void {
    this.put("tables", salt, Buffer.concat([table, holder]));
  }

  /** Give a listed segment the next number. */
  addSegment(row: Omit<SegmentRow, "number">): number {
    const number = this.#counter("segments") + 1;
    this.put("meta", Buffer.from("count:segments"), number32(number));
    this.put("segments", number32(number), encodeSegment({ ...row, number }));
    this.put("names", row.listing.name, number32(number));
    this.put("salts", row.listing.salt, number32(number));
    return number;
  }

  /** The same segment, listed by another log, or with its frames. */
  changeSegment(row: SegmentRow): void {
    this.put("segments", number32(row.number), encodeSegment(row));
    this.#segments.delete(row.number);
  }

  /**
   * What is in a segment that was listed while its table was not at hand, or whose file has come: its frames, and which
   * of its chunks are to be found in it. @param wanted only these chunks
   */
  learn(number: number, epoch: number, table: Table, wanted: (id: Buffer) => boolean = () => true): void {
    this.write(() => this.#learn(number, epoch, table, wanted));
  }

  #learn(number: number, epoch: number, table: Table, wanted: (id: Buffer) => boolean): void {
    const before = this.segment(number);
    if (before === undefined) return;
    const offsets = frameOffsets(table);
    const frames = table.frames.map(({ boxBytes, rawBytes }, i) => ({
      offset: offsets[i] as number,
      boxBytes,
      rawBytes,
    }));
    const row = { ...before, epoch, frames };
    if (before.frames.length === 0) this.changeSegment(row);
    const next = this.#holder(row);
    const holders = new Map<number, Holder | undefined>();
    const isFoundElsewhere = (id: Buffer): boolean => {
      const there = this.chunk(id)?.segment;
      if (there === undefined) return false;
      if (there === number) return true;
      if (!holders.has(there)) {
        const held = this.segment(there);
        holders.set(there, held && this.#holder(held));
      }
      const held = holders.get(there);
      return held !== undefined && !goesBefore(next, held);
    };
    table.frames.forEach((frame, index) => {
      let offset = 0;
      for (const { type, id, length } of frame.chunks) {
        if (wanted(id) && !isFoundElsewhere(id))
          this.putChunk(id, { segment: number, frame: index, offset, length, type });
        offset += length;
      }
    });
  }

  #holder(row: SegmentRow): Holder {
    return { row, rank: this.rank(row.log, row.seq), whole: this.isWhole(row) };
  }

  /** Strike a released segment, and every chunk that was to be found in it: gives their ids. Looks at all chunks: it happens seldom. */
  removeSegment(name: Buffer): Buffer[] {
    const row = this.segmentByName(name);
    if (row === undefined) return [];
    const gone: Buffer[] = [];
    for (const { key, value } of this.range("chunks")) if (decodePlace(value).segment === row.number) gone.push(key);
    for (const id of gone) this.remove("chunks", id);
    this.remove("segments", number32(row.number));
    this.remove("names", name);
    this.remove("salts", row.listing.salt);
    this.remove("tables", row.listing.salt);
    this.#segments.delete(row.number);
    return gone;
  }

  addRevision(row: RevisionRow): void {
    const key = revisionKey(row);
    if (this.get("revisions", key) !== undefined) return;
    this.put("revisions", key, encodeRevision(row));
    this.put("revisionIds", row.id, key.subarray(0, 8));
    this.#stampRevision(row.id);
  }

  /** Strike the revisions that a log tells of from this record on. Looks at all of them: it happens seldom. */
  removeRevisions(log: Buffer, from: bigint): void {
    const gone = [...this.revisions()].filter((row) => row.seq >= from && row.log.equals(log));
    for (const row of gone) {
      this.remove("revisions", revisionKey(row));
      this.remove("revisionIds", row.id);
      this.#stampRevision(row.id);
    }
  }

  #stampRevision(id: Buffer): void {
    const stamp = this.revisionsStamp();
    for (let i = 0; i < stamp.length; i++) stamp[i] = (stamp[i] as number) ^ (id[i] as number);
    this.put("meta", revisionsStamp, stamp);
  }

  /** Changes when the set of revisions does, and only then. */
  revisionsStamp(): Buffer {
    return this.get("meta", revisionsStamp) ?? Buffer.alloc(32);
  }

  /** All revisions by their times, oldest first. */
  *revisions(): Generator<RevisionRow> {
    for (const { key, value } of this.range("revisions")) yield decodeRevision(key, value);
  }

  revision(id: Buffer): RevisionRow | undefined {
    const time = this.get("revisionIds", id);
    const key = time && Buffer.concat([time, id]);
    const bytes = key && this.get("revisions", key);
    return key && bytes && decodeRevision(key, bytes);
  }

  /** Ids of revisions that begin with these bytes (the prefix's half byte, if any, is the caller's to check). */
  *revisionIdsFrom(prefix: Buffer): Generator<Buffer> {
    for (const { key } of this.range("revisionIds", prefix)) yield key;
  }

  /** How far a log has been applied; undefined where nothing of it has. */
  applied(log: Buffer): LogRow | undefined {
    const bytes = this.get("logs", log);
    return bytes && decodeLog(log, bytes);
  }

  setApplied(row: LogRow): void {
    this.put("logs", row.log, encodeLog(row));
  }

  /** All logs of which something has been applied. */
  *logs(): Generator<LogRow> {
    for (const { key, value } of this.range("logs")) yield decodeLog(key, value);
  }

  addHeir(row: HeirRow): void {
    const upTo = Buffer.alloc(8);
    upTo.writeBigUInt64LE(row.upTo);
    this.put("heirs", heirKey(row), upTo);
  }

  /** Which logs build on this one; all that build on any without one. */
  *heirs(log?: Buffer): Generator<HeirRow> {
    for (const { key, value } of this.range("heirs", log)) yield decodeHeir(key, value);
  }

  /** Who answers for what this record lists: 0 this device, 1 this device as heir, 2 another device. */
  rank(log: Buffer, seq: bigint): number {
    if (this.applied(log)?.own) return 0;
    for (const { heir, upTo, inherits } of this.heirs(log))
      if (inherits && seq <= upTo && this.applied(heir)?.own) return 1;
    return 2;
  }

  /** Changes with every row that changes: the sum of all. */
  stamp(): Buffer {
    return this.get("meta", Buffer.from("sum")) ?? Buffer.alloc(0);
  }

  /** Have all logs been applied since this catalogue was begun? */
  get isComplete(): boolean {
    return this.get("meta", complete) !== undefined;
  }

  setComplete(): void {
    if (!this.isComplete) this.write(() => this.put("meta", complete, Buffer.from([1])));
  }

  #counter(name: string): number {
    return this.get("meta", Buffer.from(`count:${name}`))?.readUInt32BE() ?? 0;
  }

  /** Rows of segments that this process remembers may be of a transaction that came to nothing. */
  protected forgetSegments(): void {
    this.#segments.clear();
  }
}

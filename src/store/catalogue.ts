/**
 * The catalogue: every small fact, in LMDB, and nothing that segments and logs do not hold too. It is an index: it can
 * be thrown away at any time and made again, and it is only ever changed by applying the records of a log in order.
 *
 * LMDB has no page checksums, so nothing read from here is believed without proof: a location is checked by opening
 * the frame and hashing the chunk. Rows that were changed, lost or doubled are told by the sum of all rows, which every
 * transaction carries forward and `walk` makes anew. The one door to lmdb.
 * @module
 */
import { existsSync } from "node:fs";
import { type Database, open, type RootDatabase } from "lmdb";
import { compareBytes, Reader, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { choice } from "../base/limits.js";
import { hashOf } from "../format/hash.js";
import type { TablePlace } from "../format/listing.js";
import type { Table as SegmentTable } from "../format/table.js";
import { syncFolder } from "./home.js";
import { checkReach, lmdbProblem, refuseFullDisk } from "./lmdb-guard.js";
import {
  type ChunkPlace,
  damagedRow,
  decodePlace,
  decodeRevision,
  decodeSegment,
  encodePlace,
  encodeRevision,
  encodeSegment,
  number32,
  type RevisionRow,
  type SegmentRow,
} from "./rows.js";

export type { ChunkPlace, RevisionRow, SegmentRow };

/** Grows with every change of what rows look like; a catalogue of another one is made again. */
export const schema = 2;

const sumBytes = 16;
const sumKey = Buffer.from("sum");

/** How far a log has been applied: the last record and its place in the file. */
export interface Applied {
  readonly log: Buffer;
  readonly seq: bigint;
  readonly id: Buffer;
  readonly start: number;
  readonly end: number;
}

type Table = Database<Buffer, Buffer>;
const tables = ["meta", "chunks", "segments", "names", "salts", "tables", "revisions", "revisionIds"] as const;
type TableName = (typeof tables)[number];

/** What one row adds to the sum, and takes from it: exclusive or is both. */
function addRow(sum: Buffer, table: TableName, key: Buffer, value: Buffer): void {
  const hash = hashOf(Buffer.concat([Buffer.from([tables.indexOf(table), key.length]), key, value]));
  for (let i = 0; i < sumBytes; i++) sum[i] = (sum[i] as number) ^ (hash[i] as number);
}

/** An open catalogue. One per process and home. */
export class Catalogue {
  readonly path: string;
  readonly #root: RootDatabase;
  readonly #tables: Readonly<Record<TableName, Table>>;
  readonly #segments = new Map<number, SegmentRow>();
  #sum = Buffer.alloc(sumBytes);
  #failed = false;

  private constructor(path: string, root: RootDatabase, opened: Readonly<Record<TableName, Table>>) {
    this.path = path;
    this.#root = root;
    this.#tables = opened;
  }

  /** Open the catalogue in this folder, making it where it is missing. */
  static open(path: string): Catalogue {
    const before = process.umask(0o077);
    try {
      const fresh = !existsSync(`${path}/data.mdb`);
      if (fresh || !existsSync(`${path}/lock.mdb`)) refuseFullDisk(path);
      checkReach(path);
      const root = open({
        path,
        // A commit whose fdatasync failed would stay visible, and survive, with the default.
        overlappingSync: false,
        mapSize: choice.catalogueMapBytes,
        maxDbs: 16,
        maxReaders: 512,
        encoding: "binary",
        keyEncoding: "binary",
      });
      const table = (name: TableName): Table => root.openDB(name, { encoding: "binary", keyEncoding: "binary" });
      const opened = Object.fromEntries(tables.map((name) => [name, table(name)])) as Record<TableName, Table>;
      if (fresh) syncFolder(path);
      const catalogue = new Catalogue(path, root, opened);
      catalogue.#checkSchema();
      return catalogue;
    } catch (error) {
      throw lmdbProblem("cannot open the catalogue", error);
    } finally {
      process.umask(before);
    }
  }

  #checkSchema(): void {
    const stored = this.#tables.meta.getBinary(Buffer.from("schema"));
    if (stored === undefined) this.write(() => this.#put("meta", Buffer.from("schema"), number32(schema)));
    else if (!stored.equals(number32(schema)))
      throw new Problem(
        "unsupported",
        'the catalogue was made by another version; run "bcoopfs repair --rebuild-index"',
      );
  }

  /** One transaction: all of `work` or nothing, on the disk when this returns. */
  write<T>(work: () => T): T {
    refuseFullDisk(this.path);
    try {
      return this.#root.transactionSync(() => {
        this.#sum = Buffer.from(this.#tables.meta.getBinary(sumKey) ?? Buffer.alloc(sumBytes));
        const result = work();
        if (!this.#tables.meta.getBinary(sumKey)?.equals(this.#sum)) this.#tables.meta.putSync(sumKey, this.#sum);
        return result;
      });
    } catch (error) {
      this.#segments.clear();
      if (!(error instanceof Problem)) this.#failed = true;
      throw lmdbProblem("cannot write to the catalogue", error);
    }
  }

  /** A transaction could not be committed: what is on the disk is for the next start to look at. */
  get failed(): boolean {
    return this.#failed;
  }

  #put(table: TableName, key: Buffer, value: Buffer): void {
    const before = this.#tables[table].getBinary(key);
    if (before?.equals(value)) return;
    if (before) addRow(this.#sum, table, key, before);
    addRow(this.#sum, table, key, value);
    this.#tables[table].putSync(key, value);
  }

  #delete(table: TableName, key: Buffer): void {
    const before = this.#tables[table].getBinary(key);
    if (before === undefined) return;
    addRow(this.#sum, table, key, before);
    this.#tables[table].removeSync(key);
  }

  chunk(id: Buffer): ChunkPlace | undefined {
    const bytes = this.#tables.chunks.getBinary(id);
    return bytes && decodePlace(bytes);
  }

  putChunk(id: Buffer, place: ChunkPlace): void {
    this.#put("chunks", id, encodePlace(place));
  }

  /** Rows never change once written, so a copy in memory stays true. */
  segment(number: number): SegmentRow | undefined {
    const known = this.#segments.get(number);
    if (known) return known;
    const bytes = this.#tables.segments.getBinary(number32(number));
    if (bytes === undefined) return undefined;
    const row = decodeSegment(number, bytes);
    if (this.#segments.size > 4096) this.#segments.clear();
    this.#segments.set(number, row);
    return row;
  }

  segmentByName(name: Buffer): SegmentRow | undefined {
    const number = this.#tables.names.getBinary(name);
    return number && this.segment(number.readUInt32BE());
  }

  segmentBySalt(salt: Buffer): SegmentRow | undefined {
    const number = this.#tables.salts.getBinary(salt);
    return number && this.segment(number.readUInt32BE());
  }

  *segments(): Generator<SegmentRow> {
    for (const key of [...this.#tables.segments.getKeys()]) {
      const row = this.segment(key.readUInt32BE());
      if (row) yield row;
    }
  }

  /** Where the table object of a data segment lies, as a list record tells. */
  tablePlace(salt: Buffer): { table: Buffer; holder: Buffer } | undefined {
    const bytes = this.#tables.tables.getBinary(salt);
    return bytes && { table: bytes.subarray(0, 32), holder: bytes.subarray(32) };
  }

  addTablePlace({ salt, table, holder }: TablePlace): void {
    this.#put("tables", salt, Buffer.concat([table, holder]));
  }

  /** Give a listed segment the next number. */
  addSegment(row: Omit<SegmentRow, "number">): number {
    const number = this.#counter("segments") + 1;
    this.#setCounter("segments", number);
    this.#put("segments", number32(number), encodeSegment({ ...row, number }));
    this.#put("names", row.listing.name, number32(number));
    this.#put("salts", row.listing.salt, number32(number));
    return number;
  }

  /** What is in a segment that was listed while its table was not at hand: its frames, and where its chunks are. */
  learn(_number: number, _epoch: number, _table: SegmentTable): void {
    throw new Problem("unsupported", "not written yet");
  }

  /** Strike a released segment, and every chunk that was to be found in it: returns their ids. Looks at all chunks: it happens seldom. */
  removeSegment(name: Buffer): Buffer[] {
    const row = this.segmentByName(name);
    if (row === undefined) return [];
    const gone: Buffer[] = [];
    for (const { key, value } of this.#tables.chunks.getRange({}))
      if (decodePlace(Buffer.from(value)).segment === row.number) gone.push(Buffer.from(key));
    for (const id of gone) this.#delete("chunks", id);
    this.#delete("segments", number32(row.number));
    this.#delete("names", name);
    this.#delete("salts", row.listing.salt);
    this.#delete("tables", row.listing.salt);
    this.#segments.delete(row.number);
    return gone;
  }

  addRevision(row: Omit<RevisionRow, "order">): void {
    const order = this.#counter("revisions") + 1;
    this.#setCounter("revisions", order);
    this.#put("revisions", number32(order), encodeRevision({ ...row, order }));
    this.#put("revisionIds", row.id, number32(order));
  }

  /** All revisions in the order of the logs. */
  *revisions(): Generator<RevisionRow> {
    for (const { key, value } of this.#tables.revisions.getRange({}))
      yield decodeRevision(Buffer.from(key).readUInt32BE(), Buffer.from(value));
  }

  revision(id: Buffer): RevisionRow | undefined {
    const order = this.#tables.revisionIds.getBinary(id);
    const bytes = order && this.#tables.revisions.getBinary(order);
    return order && bytes && decodeRevision(order.readUInt32BE(), bytes);
  }

  /** Ids of revisions that begin with these bytes (the prefix's half byte, if any, is the caller's to check). */
  *revisionIdsFrom(prefix: Buffer): Generator<Buffer> {
    for (const key of this.#tables.revisionIds.getKeys({ start: prefix })) {
      const id = Buffer.from(key);
      if (!id.subarray(0, prefix.length).equals(prefix)) return;
      yield id;
    }
  }

  applied(log: Buffer): Applied | undefined {
    const bytes = this.#tables.meta.getBinary(Buffer.concat([Buffer.from("applied:"), log]));
    if (bytes === undefined) return undefined;
    const from = new Reader(bytes, "catalogue row");
    const row = {
      log,
      seq: from.u64(),
      id: Buffer.from(from.raw(32)),
      start: Number(from.u64()),
      end: Number(from.u64()),
    };
    from.end();
    return row;
  }

  setApplied(row: Applied): void {
    const value = new Writer(64).u64(row.seq).raw(row.id).u64(BigInt(row.start)).u64(BigInt(row.end)).finish();
    this.#put("meta", Buffer.concat([Buffer.from("applied:"), row.log]), value);
  }

  /** The logs that have been applied, by id. */
  appliedLogs(): Buffer[] {
    const found: Buffer[] = [];
    const prefix = Buffer.from("applied:");
    for (const key of this.#tables.meta.getKeys({ start: prefix })) {
      const bytes = Buffer.from(key);
      if (bytes.subarray(0, prefix.length).equals(prefix)) found.push(bytes.subarray(prefix.length));
    }
    return found;
  }

  #counter(name: string): number {
    return this.#tables.meta.getBinary(Buffer.from(`count:${name}`))?.readUInt32BE() ?? 0;
  }

  #setCounter(name: string, value: number): void {
    this.#put("meta", Buffer.from(`count:${name}`), number32(value));
  }

  /** Forget everything but the schema: the records are about to be applied from the first. */
  clear(): void {
    this.write(() => {
      for (const name of tables) this.#tables[name].clearSync();
      this.#sum = Buffer.alloc(sumBytes);
      this.#put("meta", Buffer.from("schema"), number32(schema));
    });
    this.#segments.clear();
  }

  /** Every row of every table, in order: what two equal catalogues have in common. */
  *dump(): Generator<{ table: TableName; key: Buffer; value: Buffer }> {
    for (const table of tables)
      for (const { key, value } of this.#tables[table].getRange({}))
        yield { table, key: Buffer.from(key), value: Buffer.from(value) };
  }

  /**
   * Decode every row and find it by its key; throws where one cannot be, where they are not in order, or not all there.
   * Returns how many there are.
   */
  walk(): number {
    let rows = 0;
    const sum = Buffer.alloc(sumBytes);
    let last: { table: TableName; key: Buffer } | undefined;
    for (const { table, key, value } of this.dump()) {
      rows++;
      if (last?.table === table && compareBytes(last.key, key) >= 0) throw damagedRow(table);
      last = { table, key };
      if (!this.#tables[table].getBinary(key)?.equals(value)) throw damagedRow(table);
      if (table === "meta" && key.equals(sumKey)) continue;
      addRow(sum, table, key, value);
      if (table === "chunks") decodePlace(value);
      else if (table === "segments") decodeSegment(key.readUInt32BE(), value);
      else if (table === "revisions") decodeRevision(key.readUInt32BE(), value);
    }
    if (!this.#tables.meta.getBinary(sumKey)?.equals(sum)) throw damagedRow("sum");
    return rows;
  }

  /** Write what can be reached from the root, and nothing else, into a new file in this folder. */
  async copyTo(folder: string): Promise<void> {
    try {
      await this.#root.backup(folder, true);
    } catch (error) {
      throw lmdbProblem("cannot copy the catalogue", error);
    }
  }

  async close(): Promise<void> {
    await this.#root.close();
  }
}

/**
 * The catalogue: every small fact, in LMDB, and nothing that segments and logs do not hold too, but for what others said
 * and will say again. It is an index: it can be thrown away at any time and made again, and what it says of a log it
 * only ever learns by applying the log's records in order.
 *
 * LMDB has no page checksums, so nothing read from here is believed without proof: a location is checked by opening
 * the frame and hashing the chunk. Rows that were changed, lost or doubled are told by the sum of all rows, which every
 * transaction carries forward and `walk` makes anew. The one door to lmdb.
 * @module
 */
import { existsSync } from "node:fs";
import { type Database, open, type RootDatabase } from "lmdb";
import { compareBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { choice } from "../base/limits.js";
import { hashOf } from "../format/hash.js";
import { syncFolder } from "./home.js";
import { IndexTables, type Row, type TableName, tables } from "./index-tables.js";
import { decodeHead, decodeListed, decodeLister, decodePeer, decodeWanted } from "./ledger-rows.js";
import { checkReach, lmdbProblem, refuseFullDisk } from "./lmdb-guard.js";
import {
  type ChunkPlace,
  damagedRow,
  decodeHeir,
  decodeLog,
  decodePlace,
  decodeRevision,
  decodeSegment,
  type LogRow,
  number32,
  type RevisionRow,
  type SegmentRow,
} from "./rows.js";

export type { ChunkPlace, LogRow, RevisionRow, SegmentRow };

/** Grows with every change of what rows look like; a catalogue of another one is made again. */
export const schema = 4;

const sumBytes = 16;
const sumKey = Buffer.from("sum");
const schemaKey = Buffer.from("schema");

/** What others said can be had from nowhere else, so it stays when the index is made again. */
const told: ReadonlySet<TableName> = new Set(["copies", "heads", "peers"]);

/** The first key behind all that begin with these bytes; undefined where there is none. */
function behind(prefix: Buffer): Buffer | undefined {
  for (let length = prefix.length; length > 0; length--) {
    const last = prefix[length - 1] as number;
    if (last < 255) return Buffer.concat([prefix.subarray(0, length - 1), Buffer.from([last + 1])]);
  }
  return undefined;
}

/** Throws where a row is none that this table can hold. */
function decodeRow(table: TableName, { key, value }: Row): void {
  if (table === "chunks") decodePlace(value);
  else if (table === "segments") decodeSegment(key.readUInt32BE(), value);
  else if (table === "revisions") decodeRevision(key, value);
  else if (table === "logs") decodeLog(key, value);
  else if (table === "heirs") decodeHeir(key, value);
  else if (table === "listed") decodeListed(key, value);
  else if (table === "listers") decodeLister(key, value);
  else if (table === "wanted") decodeWanted(key, value);
  else if (table === "heads") decodeHead(key, value);
  else if (table === "peers") decodePeer(value);
}

type Table = Database<Buffer, Buffer>;

/** What one row adds to the sum, and takes from it: exclusive or is both. */
function addRow(sum: Buffer, table: TableName, key: Buffer, value: Buffer): void {
  const hash = hashOf(Buffer.concat([Buffer.from([tables.indexOf(table), key.length]), key, value]));
  for (let i = 0; i < sumBytes; i++) sum[i] = (sum[i] as number) ^ (hash[i] as number);
}

/** An open catalogue. One per process and home. */
export class Catalogue extends IndexTables {
  readonly path: string;
  readonly #root: RootDatabase;
  readonly #tables: Readonly<Record<TableName, Table>>;
  #sum = Buffer.alloc(sumBytes);
  #failed = false;
  #writing = false;

  private constructor(path: string, root: RootDatabase, opened: Readonly<Record<TableName, Table>>) {
    super();
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
        maxDbs: 32,
        maxReaders: 512,
        encoding: "binary",
        keyEncoding: "binary",
      });
      const table = (name: TableName): Table => root.openDB(name, { encoding: "binary", keyEncoding: "binary" });
      // Before any table of ours is added to a file of another version.
      const stored = table("meta").getBinary(schemaKey);
      if (stored !== undefined && !stored.equals(number32(schema)))
        throw new Problem("unsupported", "the catalogue was made by another version");
      const opened = Object.fromEntries(tables.map((name) => [name, table(name)])) as Record<TableName, Table>;
      if (fresh) syncFolder(path);
      const catalogue = new Catalogue(path, root, opened);
      if (stored === undefined) catalogue.write(() => catalogue.put("meta", schemaKey, number32(schema)));
      return catalogue;
    } catch (error) {
      throw lmdbProblem("cannot open the catalogue", error);
    } finally {
      process.umask(before);
    }
  }

  write<T>(work: () => T): T {
    if (this.#writing) return work();
    refuseFullDisk(this.path);
    this.#writing = true;
    try {
      return this.#root.transactionSync(() => {
        this.#sum = Buffer.from(this.#tables.meta.getBinary(sumKey) ?? Buffer.alloc(sumBytes));
        const result = work();
        if (!this.#tables.meta.getBinary(sumKey)?.equals(this.#sum)) this.#tables.meta.putSync(sumKey, this.#sum);
        return result;
      });
    } catch (error) {
      this.forgetSegments();
      if (!(error instanceof Problem)) this.#failed = true;
      throw lmdbProblem("cannot write to the catalogue", error);
    } finally {
      this.#writing = false;
    }
  }

  /** How many rows a table has. */
  count(table: TableName): number {
    return (this.#tables[table].getStats() as { entryCount: number }).entryCount;
  }

  /** A transaction could not be committed: what is on the disk is for the next start to look at. */
  get failed(): boolean {
    return this.#failed;
  }

  get(table: TableName, key: Buffer): Buffer | undefined {
    return this.#tables[table].getBinary(key);
  }

  put(table: TableName, key: Buffer, value: Buffer): void {
    const before = this.#tables[table].getBinary(key);
    if (before?.equals(value)) return;
    if (before) addRow(this.#sum, table, key, before);
    addRow(this.#sum, table, key, value);
    this.#tables[table].putSync(key, value);
  }

  remove(table: TableName, key: Buffer): void {
    const before = this.#tables[table].getBinary(key);
    if (before === undefined) return;
    addRow(this.#sum, table, key, before);
    this.#tables[table].removeSync(key);
  }

  *range(table: TableName, prefix?: Buffer, after?: Buffer): Generator<Row> {
    const start = after ? Buffer.concat([after, Buffer.alloc(1)]) : prefix;
    const end = prefix && behind(prefix);
    const bounds = { ...(start && { start }), ...(end && { end }) };
    for (const { key, value } of this.#tables[table].getRange(bounds))
      yield { key: Buffer.from(key), value: Buffer.from(value) };
  }

  /** Forget all that records and files say: they are about to be applied from the first. */
  clear(): void {
    this.write(() => {
      this.#sum = Buffer.alloc(sumBytes);
      for (const name of tables)
        if (told.has(name)) for (const { key, value } of this.range(name)) addRow(this.#sum, name, key, value);
        else this.#tables[name].clearSync();
      this.put("meta", schemaKey, number32(schema));
    });
    this.forgetSegments();
  }

  /** Every row of every table, in order: what two equal catalogues have in common. */
  *dump(): Generator<Row & { table: TableName }> {
    for (const table of tables) for (const row of this.range(table)) yield { table, ...row };
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
      decodeRow(table, { key, value });
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

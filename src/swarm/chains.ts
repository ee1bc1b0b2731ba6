/**
 * The chains of a coop as they lie in a home: `coop/<id of the chain>`, each record behind its length (u32), in the order
 * in which it came here, so that a chain that branched is a file like any other. What is in memory is what is whole on
 * the disk.
 *
 * One process at a time writes, under `coop/lock`, after it has read what others wrote. What a write left unfinished is
 * cut by the next one, a copy kept beside it: peers have what it held, and a second record behind the same one does no
 * harm in a coop.
 * @module
 */
import {
  closeSync,
  copyFileSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { sameBytes, toHex } from "../base/bytes.js";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { choice, format } from "../base/limits.js";
import { type Author, decodeAuthor } from "../format/author.js";
import { checkRecord, follows, type LogRecord, decodeRecord, recordTypes } from "../format/record.js";
import { syncFolder } from "../store/home.js";
import { lockFile } from "../store/lock.js";

const lengthBytes = 4;

/** Records of one device, linked from the first one on; two may follow the same one. */
export interface Chain {
  readonly author: Author;
  /** each behind the one that it follows */
  readonly records: readonly LogRecord[];
}

interface Growing extends Chain {
  readonly records: LogRecord[];
}

/** What became of a record that was offered to a book. `gap`: it may fit when others have come. */
export type Entered = "added" | "known" | "gap" | "refused" | "full";

/** The chains of one coop in memory. Whoever enters a record sees to its signature. */
export class ChainBook {
  readonly #coop: Buffer;
  readonly #chains: Map<string, Growing>;
  readonly #byId: Map<string, LogRecord>;
  #bytes: number;

  constructor(coop: Buffer, of?: ChainBook) {
    this.#coop = coop;
    const grown = of
      ? [...of.#chains].map(([log, { author, records }]): [string, Growing] => [log, { author, records: [...records] }])
      : [];
    this.#chains = new Map(grown);
    this.#byId = new Map(of ? of.#byId : []);
    this.#bytes = of ? of.#bytes : 0;
  }

  /** A copy that grows by itself. */
  copy(): ChainBook {
    return new ChainBook(this.#coop, this);
  }

  get chains(): ReadonlyMap<string, Chain> {
    return this.#chains;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** @param id in hex */
  record(id: string): LogRecord | undefined {
    return this.#byId.get(id);
  }

  enter(record: LogRecord): Entered {
    const id = toHex(record.id);
    if (this.#byId.has(id)) return "known";
    if (!sameBytes(record.vault, this.#coop) || record.sealed.length > 0) return "refused";
    const log = toHex(record.log);
    const chain = this.#chains.get(log);
    if (record.type === recordTypes.found) return this.#begin(id, record);
    const before = chain && this.#byId.get(toHex(record.previous));
    if (chain === undefined || before === undefined) return "gap";
    if (!follows(before, record)) return "refused";
    if (!this.#hasRoom(record)) return "full";
    chain.records.push(record);
    this.#keep(id, record);
    return "added";
  }

  #begin(id: string, record: LogRecord): Entered {
    if (!this.#hasRoom(record) || this.#chains.size >= choice.coopChains) return "full";
    const author = authorOf(record);
    if (author === undefined) return "refused";
    this.#chains.set(id, { author, records: [record] });
    this.#keep(id, record);
    return "added";
  }

  #keep(id: string, record: LogRecord): void {
    this.#byId.set(id, record);
    this.#bytes += record.bytes.length;
  }

  #hasRoom({ bytes }: LogRecord): boolean {
    return this.#byId.size < choice.coopRecords && this.#bytes + bytes.length <= choice.coopBytes;
  }
}

/** Whose chain begins with this record; undefined where it is no such record, or its certificate does not hold. */
export function authorOf(record: LogRecord): Author | undefined {
  try {
    return decodeAuthor(record);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** The record in these bytes; undefined for what is none. */
export function recordIn(bytes: Uint8Array): LogRecord | undefined {
  try {
    return decodeRecord(bytes);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

export function isSigned(record: LogRecord, author: Author): boolean {
  try {
    checkRecord(record, author.device);
    return true;
  } catch (error) {
    if (error instanceof Problem) return false;
    throw error;
  }
}

/** How far a file has been read. */
interface Seen {
  end: number;
}

/** The chains of one coop on the disk. Holds no descriptor open. */
export class Chains {
  readonly #folder: string;
  readonly #seen = new Map<string, Seen>();
  #book: ChainBook;

  private constructor(folder: string, coop: Buffer) {
    this.#folder = folder;
    this.#book = new ChainBook(coop);
  }

  /** @param folder exists */
  static open(folder: string, coop: Buffer): Chains {
    const chains = new Chains(folder, coop);
    chains.refresh();
    return chains;
  }

  get book(): ChainBook {
    return this.#book;
  }

  /** Read what was written since. True where there was something. */
  refresh(): boolean {
    const before = this.#book.size;
    try {
      for (const name of readdirSync(this.#folder).sort()) if (/^[0-9a-f]{64}$/.test(name)) this.#read(name);
    } catch (error) {
      throw systemProblem(`cannot read ${this.#folder}`, error);
    }
    return this.#book.size !== before;
  }

  #read(name: string): void {
    const path = join(this.#folder, name);
    const seen = this.#seen.get(name) ?? { end: 0 };
    const { size } = statSync(path);
    if (size === seen.end) return;
    const bytes = readFrom(path, seen.end, size);
    for (let at = 0; ; ) {
      const next = recordAt(bytes, at);
      if (next === undefined || !this.#enter(name, next)) break;
      at += lengthBytes + next.bytes.length;
      this.#seen.set(name, { end: seen.end + at });
    }
  }

  /** True where the record is one of this file's chain. */
  #enter(name: string, record: LogRecord): boolean {
    if (toHex(record.log) !== name) return false;
    const author = this.#book.chains.get(name)?.author ?? authorOf(record);
    if (author === undefined || !isSigned(record, author)) return false;
    const entered = this.#book.enter(record);
    return entered === "added" || entered === "known";
  }

  /** Do something that writes: no other process does, and all that others wrote has been read. */
  underLock<T>(work: () => T): T {
    const lock = lockFile(join(this.#folder, "lock"), true);
    try {
      this.refresh();
      return work();
    } finally {
      lock?.close();
    }
  }

  /** Put records on the disk, each behind the one that it follows. Under the lock; on an error nothing of them counts. */
  append(records: readonly LogRecord[]): void {
    const byChain = new Map<string, LogRecord[]>();
    for (const record of records) {
      const log = toHex(record.log);
      byChain.set(log, [...(byChain.get(log) ?? []), record]);
    }
    for (const [name, rows] of byChain) {
      const end = this.#write(name, rows);
      for (const record of rows) this.#book.enter(record);
      this.#seen.set(name, { end });
    }
  }

  #write(name: string, records: readonly LogRecord[]): number {
    const path = join(this.#folder, name);
    const end = this.#seen.get(name)?.end ?? 0;
    const bytes = Buffer.concat(records.map(framed));
    let fd: number | undefined;
    try {
      fd = openSync(path, "a+", 0o600);
      const size = fstatSync(fd).size;
      if (size < end)
        throw new Problem("io", `${path} was put back to an earlier state while it was in use; run this again`);
      if (size > end) {
        copyFileSync(path, `${path}.cut-${size}`);
        ftruncateSync(fd, end);
      }
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      fdatasyncSync(fd);
      if (end === 0) syncFolder(this.#folder);
      return end + bytes.length;
    } catch (error) {
      if (fd !== undefined && errnoOf(error) !== undefined) tryCut(fd, end);
      throw systemProblem("cannot write the coop's log", error);
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }
}

function framed({ bytes }: LogRecord): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** The whole record at an offset; undefined where there is none. */
function recordAt(bytes: Buffer, at: number): LogRecord | undefined {
  if (bytes.length - at < lengthBytes) return undefined;
  const length = bytes.readUInt32LE(at);
  if (length > format.recordBytes || at + lengthBytes + length > bytes.length) return undefined;
  return recordIn(bytes.subarray(at + lengthBytes, at + lengthBytes + length));
}

function readFrom(path: string, from: number, size: number): Buffer {
  if (size < from) return Buffer.alloc(0);
  const fd = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(Math.min(size - from, 2 * choice.coopBytes));
    let got = 0;
    for (let n = 1; n > 0 && got < bytes.length; got += n) n = readSync(fd, bytes, got, bytes.length - got, from + got);
    return bytes.subarray(0, got);
  } finally {
    closeSync(fd);
  }
}

function tryCut(fd: number, end: number): void {
  try {
    ftruncateSync(fd, end);
  } catch (error) {
    // The next one that writes cuts it.
    if (errnoOf(error) === undefined) throw error;
  }
}

/**
 * One log as a file: records one behind the other, each after its length (u32). Appending happens under a lock and
 * after the head has been read again; a record counts from the moment its fdatasync returned. Logs of any device of any
 * vault are read alike, and so are the chains of a coop: the first record says who signs.
 *
 * Reading stops before a record that is not whole. That is a torn write when nothing valid follows, and the next
 * appender cuts it away; when a valid record follows, history is damaged and nothing is cut.
 * @module
 */
import {
  closeSync,
  copyFileSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { native } from "../base/native.js";
import { type Author, decodeAuthor } from "../format/author.js";
import { decodeGenesis, type GenesisBody } from "../format/genesis.js";
import { checkRecord, decodeRecord, type LogRecord, recordHeaderBytes, recordTypes } from "../format/record.js";
import { syncFolder, tryUnlink, writeNew } from "./home.js";
import { anyRecordAfter, framed, lengthBytes, readAt, recordAt, type StoredRecord } from "./stored-record.js";

export type { StoredRecord };

/** Every so many records their place is remembered, so that one by its number is found soon. */
const indexEvery = 64;
/** How much is read at once to hop from length to length. */
const hopBytes = 64 << 10;

/** An open log. */
export class LogFile {
  readonly path: string;
  /** the first record: a genesis, or of a coop's chain a found record */
  readonly genesis: LogRecord;
  readonly author: Author;
  readonly #fd: number;
  /** file offset behind the first record */
  readonly start: number;
  /** offsets of records 0, `indexEvery`, twice that … as far as anybody has asked */
  readonly #index: number[] = [0];
  /** Two branches of it are known; whoever knows where their proof lies sets this. */
  isFrozen = false;
  /** Of an own log with two branches: the first record that is in ours alone, and told again in a later log. */
  apartFrom: bigint | undefined;

  private constructor(path: string, fd: number, first: StoredRecord, author: Author) {
    this.path = path;
    this.#fd = fd;
    this.genesis = first.record;
    this.author = author;
    this.start = first.end;
  }

  get id(): Buffer {
    return this.genesis.id;
  }

  /** the device whose key signs it */
  get device(): Buffer {
    return this.author.device;
  }

  /** the vault, or the coop, that it is of */
  get scope(): Buffer {
    return this.genesis.vault;
  }

  /** The record of another log that this one goes on from. */
  get predecessor(): GenesisBody["predecessor"] {
    return this.genesis.type === recordTypes.genesis ? decodeGenesis(this.genesis.clear).predecessor : undefined;
  }

  /** Open a log and check its first record. Throws Problem("damaged") where that does not begin a log of this name. */
  static open(path: string): LogFile {
    let fd: number;
    try {
      fd = openSync(path, "r+");
    } catch (error) {
      throw systemProblem(`cannot open the log ${path}`, error);
    }
    try {
      const size = fstatSync(fd).size;
      const length = size < lengthBytes ? 0 : readAt(fd, 0, lengthBytes).readUInt32LE();
      if (length < recordHeaderBytes || length > format.recordBytes || lengthBytes + length > size)
        throw damagedLog(path, "it does not begin with a record");
      const record = decodeRecord(readAt(fd, lengthBytes, length));
      if (record.seq !== 0n || record.id.toString("hex") !== basename(path))
        throw damagedLog(path, "it does not begin with its genesis");
      const author = decodeAuthor(record);
      checkRecord(record, author.device);
      return new LogFile(path, fd, { record, end: lengthBytes + length }, author);
    } catch (error) {
      closeSync(fd);
      if (error instanceof Problem && error.code === "format") throw damagedLog(path, error.message);
      throw error;
    }
  }

  /** Write a new log that holds its genesis, and maybe more: whole and on the disk, or not there. */
  static create(folder: string, genesis: LogRecord, more: readonly LogRecord[] = []): LogFile {
    const path = join(folder, genesis.id.toString("hex"));
    const temporary = `${path}.tmp`;
    try {
      writeNew(temporary, Buffer.concat([genesis, ...more].map(framed)), 0o600, "w");
      renameSync(temporary, path);
      syncFolder(dirname(path));
    } catch (error) {
      tryUnlink(temporary);
      throw systemProblem("cannot begin a log", error);
    }
    return LogFile.open(path);
  }

  /** Does it hold nothing but its genesis? */
  get isNew(): boolean {
    return fstatSync(this.#fd).size === this.start;
  }

  /** The records after `from` (a record's end and the record itself), in order, up to the last whole one. */
  *after(from: StoredRecord): Generator<StoredRecord> {
    const size = fstatSync(this.#fd).size;
    let last = from;
    for (;;) {
      const next = recordAt(this.#fd, last.end, size, this.device, last.record);
      if (next === undefined) return;
      yield next;
      last = next;
    }
  }

  /** The first record, as a place to begin. */
  get first(): StoredRecord {
    return { record: this.genesis, end: this.start };
  }

  /** The record that ends at `end` and has this id, as a place to begin; undefined where the file holds another. */
  at(start: number, end: number, id: Uint8Array): StoredRecord | undefined {
    const size = fstatSync(this.#fd).size;
    if (end > size) return undefined;
    const found = recordAt(this.#fd, start, size, this.device, undefined);
    return found !== undefined && found.end === end && found.record.id.equals(id) ? found : undefined;
  }

  /**
   * Whole records from this number on, at least one where there is one, then as many as fit. None that ends behind
   * `end`: what stands there may not be on the disk yet. Each is checked as it is read.
   */
  from(seq: bigint, end: number, maxBytes: number): LogRecord[] {
    const records: LogRecord[] = [];
    let at = this.#offsetOf(seq, end);
    let bytes = 0;
    while (at !== undefined) {
      const next = recordAt(this.#fd, at, end, this.device, records.at(-1));
      if (next === undefined || next.record.seq !== seq + BigInt(records.length)) break;
      bytes += next.record.bytes.length;
      if (records.length > 0 && bytes > maxBytes) break;
      records.push(next.record);
      at = next.end;
    }
    return records;
  }

  /** Where the record of this number begins, found by hopping over lengths; undefined where the file ends before. */
  #offsetOf(seq: bigint, end: number): number | undefined {
    if (seq < 0n || seq > BigInt(end)) return undefined;
    const wanted = Number(seq);
    const known = Math.min(Math.floor(wanted / indexEvery), this.#index.length - 1);
    let at = this.#index[known] as number;
    let piece: Buffer = Buffer.alloc(0);
    let from = 0;
    for (let number = known * indexEvery; at < end; number++) {
      if (number % indexEvery === 0) this.#index[number / indexEvery] ??= at;
      if (number === wanted) return at;
      if (at + lengthBytes > from + piece.length) {
        from = at;
        piece = readAt(this.#fd, from, hopBytes);
        if (piece.length < lengthBytes) return undefined;
      }
      at += lengthBytes + piece.readUInt32LE(at - from);
    }
    return undefined;
  }

  /**
   * Run `work` under the lock with the newest record. A torn tail has been cut away before, and what another process
   * has appended after `from` is on the disk, even if it died between writing and syncing.
   * Throws Problem("damaged") where something other than a torn write ends the log.
   */
  underLock<T>(from: StoredRecord, work: (head: StoredRecord) => T): T {
    native().lock(this.#fd, true, true);
    try {
      let head = from;
      for (const next of this.after(from)) head = next;
      const size = fstatSync(this.#fd).size;
      if (size > head.end) this.#cut(head, size);
      else if (head !== from) fdatasyncSync(this.#fd);
      return work(head);
    } catch (error) {
      throw errnoOf(error) === undefined ? error : systemProblem(`cannot read the log ${this.path}`, error);
    } finally {
      native().unlock(this.#fd);
    }
  }

  #cut(head: StoredRecord, size: number): void {
    if (anyRecordAfter(this.#fd, head.end, size, this.device, head.record))
      throw damagedLog(this.path, `record ${head.record.seq + 1n} is unreadable but later ones are not`);
    ftruncateSync(this.#fd, head.end);
    fdatasyncSync(this.#fd);
  }

  /**
   * Cut a damaged log before its first unreadable record, a copy kept beside it. False where there is no damage.
   * What the cut records told is for the catalogue to say, see `Store.mendLogs`.
   */
  mend(): boolean {
    native().lock(this.#fd, true, true);
    try {
      let head = this.first;
      for (const next of this.after(head)) head = next;
      if (head.end === this.size || !anyRecordAfter(this.#fd, head.end, this.size, this.device, head.record))
        return false;
      this.keepCopy();
      ftruncateSync(this.#fd, head.end);
      fdatasyncSync(this.#fd);
      this.#index.length = 1;
      return true;
    } finally {
      native().unlock(this.#fd);
    }
  }

  /** bytes of the file */
  get size(): number {
    return fstatSync(this.#fd).size;
  }

  /** Before a tail is cut that had been committed: keep the file as it is beside itself, for whoever can read more of it. */
  keepCopy(): void {
    const copy = `${this.path}.cut-${this.size}`;
    try {
      copyFileSync(this.path, copy);
    } catch (error) {
      throw systemProblem(`cannot keep a copy of the log as ${copy}`, error);
    }
  }

  /** Append under the lock: the commit point. On any error nothing is acknowledged and the file ends as before. */
  append(head: StoredRecord, records: readonly LogRecord[]): StoredRecord {
    const bytes = Buffer.concat(records.map(framed));
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at, bytes.length - at, head.end + at);
      fdatasyncSync(this.#fd);
    } catch (error) {
      try {
        ftruncateSync(this.#fd, head.end);
      } catch {
        // The next appender cuts the torn tail.
      }
      throw systemProblem("cannot append to the log", error);
    }
    return { record: records.at(-1) as LogRecord, end: head.end + bytes.length };
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function damagedLog(path: string, why: string): Problem {
  return new Problem(
    "damaged",
    `the log ${path} is damaged: ${why}; "bcoopfs repair" goes on in a new log and keeps this one`,
  );
}

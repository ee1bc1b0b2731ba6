/**
 * One log as a file: records one behind the other, each after its length (u32). Appending happens under a lock and
 * after the head has been read again; a record counts from the moment its fdatasync returned.
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
  readSync,
  renameSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { native } from "../base/native.js";
import { decodeGenesis, type GenesisBody } from "../format/genesis.js";
import { checkCertificate } from "../format/certificate.js";
import { checkRecord, decodeRecord, follows, type LogRecord, recordHeaderBytes } from "../format/record.js";
import { syncFolder, tryUnlink, writeNew } from "./home.js";

/** A record and where the next one begins in the file. */
export interface StoredRecord {
  readonly record: LogRecord;
  readonly end: number;
}

const lengthBytes = 4;
const magic = Buffer.from("BCOOPREC", "latin1");

function frame(record: LogRecord): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32LE(record.bytes.length);
  return Buffer.concat([length, record.bytes]);
}

function readAt(fd: number, from: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let got = 0;
  try {
    while (got < length) {
      const n = readSync(fd, bytes, got, length - got, from + got);
      if (n === 0) break;
      got += n;
    }
  } catch (error) {
    throw systemProblem("cannot read a log", error);
  }
  return bytes.subarray(0, got);
}

/** The record at `from`, checked against its predecessor; undefined where no whole valid one stands there. */
function recordAt(
  fd: number,
  from: number,
  size: number,
  device: Uint8Array,
  last: LogRecord | undefined,
): StoredRecord | undefined {
  if (size - from < lengthBytes + recordHeaderBytes) return undefined;
  const length = readAt(fd, from, lengthBytes).readUInt32LE();
  const end = from + lengthBytes + length;
  if (length > format.recordBytes || end > size) return undefined;
  const bytes = readAt(fd, from + lengthBytes, length);
  // A write of which only the beginning reached the disk ends in zeros: that is no record of a format or suite unknown.
  if (bytes[magic.length] === 0 || bytes[magic.length + 1] === 0) return undefined;
  try {
    const record = decodeRecord(bytes);
    if (last !== undefined && !follows(last, record)) return undefined;
    checkRecord(record, device);
    return { record, end };
  } catch (error) {
    // What the disk would not read, or a newer version wrote, may well be a record: that is not for us to cut away.
    if (error instanceof Problem && (error.code === "format" || error.code === "damaged")) return undefined;
    throw error;
  }
}

/** Does any record that the device signed begin after `from`? */
function anyRecordAfter(fd: number, from: number, size: number, device: Uint8Array, last: LogRecord): boolean {
  const rest = readAt(fd, from, size - from);
  for (let at = rest.indexOf(magic, 1); at >= 0; at = rest.indexOf(magic, at + 1)) {
    if (at < lengthBytes) continue;
    const found = recordAt(fd, from + at - lengthBytes, size, device, undefined);
    if (found !== undefined && found.record.seq > last.seq) return true;
  }
  return false;
}

/** A log that this device may read, and append to when it is its own. */
export class LogFile {
  readonly path: string;
  readonly genesis: LogRecord;
  readonly origin: GenesisBody;
  readonly #fd: number;
  /** file offset behind the genesis */
  readonly start: number;

  private constructor(path: string, fd: number, first: StoredRecord, origin: GenesisBody) {
    this.path = path;
    this.#fd = fd;
    this.genesis = first.record;
    this.origin = origin;
    this.start = first.end;
  }

  get id(): Buffer {
    return this.genesis.id;
  }

  get device(): Buffer {
    return this.origin.certificate.device;
  }

  /** Open a log and check its first record. Throws Problem("damaged") where that is not a genesis under its name. */
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
      const origin = decodeGenesis(record.clear);
      checkCertificate(origin.certificate, origin.rootPublic);
      checkRecord(record, origin.certificate.device);
      return new LogFile(path, fd, { record, end: lengthBytes + length }, origin);
    } catch (error) {
      closeSync(fd);
      if (error instanceof Problem && error.code === "format") throw damagedLog(path, error.message);
      throw error;
    }
  }

  /** Write a new log that holds only its genesis: whole and on the disk, or not there. */
  static create(folder: string, genesis: LogRecord): LogFile {
    const path = join(folder, genesis.id.toString("hex"));
    const temporary = `${path}.tmp`;
    try {
      writeNew(temporary, frame(genesis), 0o600, "w");
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
    const bytes = Buffer.concat(records.map(frame));
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

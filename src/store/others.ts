/**
 * Logs of one vault that others write. Each is kept to the byte and passed on. Nothing is appended that its device did not sign, nothing is served that is not on the disk, and whatever
 * anybody sends, the worst that comes of it is that it is not taken.
 *
 * Such a log is a copy: where its file was cut short or damaged, what is left of it is kept, and the rest is taken
 * again from whoever sends it.
 * @module
 */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { sameBytes, toHex } from "../base/bytes.js";
import { Problem, systemProblem } from "../base/errors.js";
import { decodeAuthor } from "../format/author.js";
import { rights } from "../format/certificate.js";
import type { Head } from "../format/message.js";
import { type LogRecord, recordTypes } from "../format/record.js";
import { branchesIn, branchOf, keepBranch } from "./branch.js";
import { isOfDisk, newestOf } from "./healing.js";
import { entriesIn, makeFolder, sizeOf } from "./home.js";
import { LogFile, type StoredRecord } from "./log.js";
import {
  type Accepted,
  evidenceOf,
  inRow,
  isSigned,
  type Judgement,
  judge,
  judgeFork,
  wronglySigned,
} from "./taking.js";

export type { Accepted, Head };

/** Up to where a log is known to be sound and on the disk. */
export interface Mark {
  readonly device: Buffer;
  readonly seq: bigint;
  readonly id: Buffer;
  readonly start: number;
  readonly end: number;
}

interface Entry {
  readonly log: Buffer;
  readonly path: string;
  mark: Mark;
  frozen: boolean;
}

/** A log that reads, and its newest record. */
interface Sound {
  readonly entry: Entry;
  readonly file: LogFile;
  readonly head: StoredRecord;
}

/** Logs of one vault, at most. */
const mostLogs = 1024;
/** Files held open. */
const mostFiles = 32;

/** The logs of one vault. */
export class OtherLogs {
  readonly scope: Buffer;
  readonly #folder: string;
  readonly #known: (log: Buffer) => Mark | undefined;
  readonly #entries = new Map<string, Entry>();
  /** oldest use first */
  readonly #files = new Map<string, LogFile>();

  private constructor(folder: string, scope: Buffer, known: (log: Buffer) => Mark | undefined) {
    this.#folder = folder;
    this.scope = scope;
    this.#known = known;
  }

  /**
   * The folder may be missing: it is made when the first log comes.
   * @param known up to where somebody has looked through a log before: what follows is checked when it is opened
   */
  static open(folder: string, scope: Buffer, known: (log: Buffer) => Mark | undefined): OtherLogs {
    const logs = new OtherLogs(folder, scope, known);
    logs.#list();
    return logs;
  }

  /** Ids of all logs here. */
  logs(): Buffer[] {
    return [...this.#entries.values()].map(({ log }) => log);
  }

  heads(): Head[] {
    this.#list();
    return [...this.#entries.keys()].flatMap((hex) => {
      const entry = this.#look(hex);
      return entry ? [this.#headOf(entry)] : [];
    });
  }

  head(log: Buffer): Head | undefined {
    const entry = this.#look(toHex(log));
    return entry && this.#headOf(entry);
  }

  /** Whole records from this number on, at least one where there is one, at most so many bytes. */
  records(log: Buffer, from: bigint, maxBytes: number): Buffer[] {
    const sound = this.#sound(toHex(log));
    if (sound === undefined || from > sound.entry.mark.seq) return [];
    const found = sound.file.from(from, sound.entry.mark.end, maxBytes);
    // Something in the middle does not read: what is behind it must be had anew.
    if (found.length === 0) this.#check(sound.entry, undefined);
    return found.map(({ bytes }) => bytes);
  }

  /** A log's file and the newest record in it, for whoever reads on; undefined where it is not here. */
  file(log: Buffer): { readonly file: LogFile; readonly head: StoredRecord } | undefined {
    return this.#sound(toHex(log));
  }

  /** Take records of one log, in order. Throws for a fault of this machine's disk only. */
  accept(log: Buffer, bytes: readonly Buffer[]): Accepted {
    const records = inRow(log, this.scope, bytes);
    if (typeof records === "string") return { outcome: "refused", why: records };
    if (records.length === 0) return { outcome: "known" };
    const sound = this.#sound(toHex(log));
    if (sound === undefined) return this.#begin(records);
    return this.#weigh(sound, (file, head) => judge(file, head, records));
  }

  /**
   * Take a record as proof that a log has two branches: "fork" where it is one, "known" where it is ours, "gap" where
   * too little is here to say so.
   */
  freeze(log: Buffer, bytes: Buffer): Accepted {
    const records = inRow(log, this.scope, [bytes]);
    if (typeof records === "string") return { outcome: "refused", why: records };
    const sound = this.#sound(toHex(log));
    if (sound === undefined) return { outcome: "gap", head: undefined };
    return this.#weigh(sound, (file, head) => judgeFork(file, head, records[0] as LogRecord));
  }

  /** Of a frozen log: ours and the other record, which together prove it. */
  evidence(log: Buffer): Buffer[] {
    const sound = this.#sound(toHex(log));
    const branch = sound?.entry.frozen ? branchOf(sound.entry.path) : undefined;
    return sound && branch ? evidenceOf(sound.file, sound.entry.mark, branch) : [];
  }

  close(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
  }

  /** See which logs there are, also those that another process has begun. */
  #list(): void {
    const names = entriesIn(this.#folder).map(({ name }) => name);
    const branches = branchesIn(names);
    for (const name of names) {
      if (!/^[0-9a-f]{64}$/.test(name)) continue;
      const log = Buffer.from(name, "hex");
      const path = join(this.#folder, name);
      const nothing: Mark = { device: Buffer.alloc(0), seq: -1n, id: Buffer.alloc(0), start: 0, end: 0 };
      const entry = this.#entries.get(name) ?? {
        log,
        path,
        mark: this.#known(log) ?? nothing,
        frozen: false,
      };
      entry.frozen ||= branches.has(name);
      this.#entries.set(name, entry);
    }
  }

  /** A log as its file is now; undefined where there is none, or nothing that a log could begin with. */
  #look(hex: string): Entry | undefined {
    const known = this.#entries.get(hex);
    const path = join(this.#folder, hex);
    const size = sizeOf(path);
    if (size === undefined) {
      this.#drop(hex);
      return undefined;
    }
    if (known === undefined) this.#list();
    const entry = known ?? this.#entries.get(hex);
    if (entry !== undefined && entry.mark.end !== size) return this.#check(entry, entry.mark);
    return entry;
  }

  #drop(hex: string): void {
    this.#entries.delete(hex);
    this.#files.get(hex)?.close();
    this.#files.delete(hex);
  }

  /** A log whose newest record reads, healed where it did not. */
  #sound(hex: string): Sound | undefined {
    const entry = this.#look(hex);
    if (entry === undefined) return undefined;
    return this.#read(entry) ?? (this.#check(entry, undefined) && this.#read(entry));
  }

  #read(entry: Entry): Sound | undefined {
    try {
      const file = this.#fileOf(entry);
      const head = file.at(entry.mark.start, entry.mark.end, entry.mark.id);
      return head && { entry, file, head };
    } catch (error) {
      if (isOfDisk(error)) throw error;
      return undefined;
    }
  }

  /** Check a log from a record on that is known to be good, or from its first; what is not good is cut away. */
  #check(entry: Entry, from: Mark | undefined): Entry | undefined {
    let file: LogFile;
    try {
      file = this.#fileOf(entry);
    } catch (error) {
      if (isOfDisk(error)) throw error;
      this.#setAside(entry);
      return undefined;
    }
    this.#mark(entry, newestOf(file, (from && file.at(from.start, from.end, from.id)) ?? file.first));
    return entry;
  }

  /** What is no log stands in the way of one: it is kept under another name. */
  #setAside(entry: Entry): void {
    try {
      renameSync(entry.path, `${entry.path}.damaged`);
    } catch (error) {
      throw systemProblem(`cannot set ${entry.path} aside`, error);
    }
    this.#drop(toHex(entry.log));
  }

  #mark(entry: Entry, { record, end }: StoredRecord): void {
    const { device } = this.#fileOf(entry);
    entry.mark = { device, seq: record.seq, id: record.id, start: end - 4 - record.bytes.length, end };
  }

  #headOf({ log, mark, frozen }: Entry): Head {
    return { scope: this.scope, log, device: mark.device, seq: mark.seq, id: mark.id, frozen };
  }

  #fileOf(entry: Entry): LogFile {
    const hex = toHex(entry.log);
    const file = this.#files.get(hex) ?? LogFile.open(entry.path);
    file.isFrozen = entry.frozen;
    this.#files.delete(hex);
    this.#files.set(hex, file);
    for (const [oldest, other] of this.#files) {
      if (this.#files.size <= mostFiles) break;
      this.#files.delete(oldest);
      other.close();
    }
    return file;
  }

  /** Judge what was sent under the log's lock, and do what follows from it. */
  #weigh({ entry, file, head: from }: Sound, how: (file: LogFile, head: StoredRecord) => Judgement): Accepted {
    if (entry.frozen) return { outcome: "frozen" };
    try {
      return file.underLock(from, (head) => this.#follow(entry, file, head, how(file, head)));
    } catch (error) {
      if (isOfDisk(error)) throw error;
      // Ours is not understood: no fault of whoever sent something.
      return { outcome: "gap", head: this.#headOf(entry) };
    }
  }

  /** A log that nobody here knows. */
  #begin(records: readonly LogRecord[]): Accepted {
    const [first] = records as [LogRecord];
    if (first.seq !== 0n) return { outcome: "gap", head: undefined };
    const why = this.#flawOf(records);
    if (why !== undefined) return { outcome: "refused", why };
    makeFolder(this.#folder);
    const file = LogFile.create(this.#folder, first);
    this.#list();
    const hex = toHex(first.log);
    const entry = this.#entries.get(hex) as Entry;
    this.#files.set(hex, file);
    this.#mark(entry, file.first);
    const head =
      records.length === 1 ? file.first : file.underLock(file.first, () => file.append(file.first, records.slice(1)));
    this.#mark(entry, head);
    return { outcome: "accepted", head: this.#headOf(entry) };
  }

  /** Why no log begins with these records; undefined where one does. */
  #flawOf(records: readonly LogRecord[]): string | undefined {
    const [first] = records as [LogRecord];
    if (first.type !== recordTypes.genesis) return "it begins with another kind of record";
    if (this.#entries.size >= mostLogs) return `there are ${mostLogs} logs already`;
    try {
      const { device, certificate } = decodeAuthor(first);
      if (certificate && !(certificate.rights & rights.write)) return "its device may not write";
      if (!records.every((record) => isSigned(record, device))) return wronglySigned.why;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return error.message;
    }
    return undefined;
  }

  #follow(entry: Entry, file: LogFile, head: StoredRecord, judgement: Judgement): Accepted {
    if (head.end !== entry.mark.end) this.#mark(entry, head);
    if (judgement.outcome === "gap") return { outcome: "gap", head: this.#headOf(entry) };
    if (judgement.outcome === "fork") {
      const { mine, theirs } = judgement;
      keepBranch(entry.path, theirs.bytes);
      entry.frozen = true;
      file.isFrozen = true;
      return { outcome: "fork", mine: mine.bytes, theirs: theirs.bytes };
    }
    if (judgement.outcome !== "append") return judgement;
    // The file was cut short, and what had been in it was another branch: nobody can prove that any more, and whoever
    // sends this branch in good faith is not to blame.
    const before = this.#known(entry.log);
    if (judgement.fresh.some(({ seq, id }) => seq === before?.seq && !sameBytes(id, before.id)))
      return { outcome: "gap", head: this.#headOf(entry) };
    this.#mark(entry, file.append(head, judgement.fresh));
    return { outcome: "accepted", head: this.#headOf(entry) };
  }
}

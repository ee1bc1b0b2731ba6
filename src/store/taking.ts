/**
 * Judging records that somebody sent: are they of this log, signed, and what follows what is here? Nothing that is sent
 * makes any of this throw.
 * @module
 */
import { sameBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { wire } from "../base/limits.js";
import type { Head } from "../format/message.js";
import { checkRecord, decodeRecord, follows, type LogRecord } from "../format/record.js";
import type { LogFile, StoredRecord } from "./log.js";

/** What became of records that somebody sent. */
export type Accepted =
  | { readonly outcome: "accepted"; readonly head: Head }
  /** all of them were here */
  | { readonly outcome: "known" }
  /** records before them are missing; `head` is undefined where nothing of the log is here */
  | { readonly outcome: "gap"; readonly head: Head | undefined }
  /** the device signed two records where one belongs: the log is frozen from now on. Both as bytes */
  | { readonly outcome: "fork"; readonly mine: Buffer; readonly theirs: Buffer }
  | { readonly outcome: "frozen" }
  /** no log takes them, whoever sends them */
  | { readonly outcome: "refused"; readonly why: string };

/** What is to be done with records, given a log. */
export type Judgement =
  | { readonly outcome: "append"; readonly fresh: readonly LogRecord[] }
  | { readonly outcome: "fork"; readonly mine: LogRecord; readonly theirs: LogRecord }
  | { readonly outcome: "known" }
  | { readonly outcome: "gap" }
  | { readonly outcome: "refused"; readonly why: string };

export const wronglySigned = { outcome: "refused", why: "a record has a wrong signature" } as const;

/** Is this a record, or what not, of a format that this version does not know? */
function isNewer(bytes: Buffer): boolean {
  try {
    decodeRecord(bytes);
    return false;
  } catch (error) {
    return error instanceof Problem && error.code === "unsupported";
  }
}

/** A record as it came; a text where it is none. */
export function decoded(bytes: Buffer): LogRecord | string {
  try {
    return decodeRecord(bytes);
  } catch (error) {
    if (error instanceof Problem) return error.message;
    throw error;
  }
}

/**
 * Records of one log in a row; a text where they are not. Their signatures are not looked at. From one on that only a
 * newer version reads they are left for that.
 */
export function inRow(
  log: Buffer,
  scope: Buffer,
  bytes: readonly Buffer[],
  maxBytes: number = wire.recordBytesPerMessage,
): LogRecord[] | string {
  if (bytes.reduce((sum, { length }) => sum + length, 0) > maxBytes) return "too many bytes at once";
  const records: LogRecord[] = [];
  for (const each of bytes) {
    const record = decoded(each);
    const last = records.at(-1);
    if (typeof record === "string") return last && isNewer(each) ? records : record;
    if (!sameBytes(record.log, log) || !sameBytes(record.vault, scope)) return "a record of another log";
    if (last && !follows(last, record)) return "records that do not follow each other";
    records.push(record);
  }
  return records;
}

export function isSigned(record: LogRecord, device: Uint8Array): boolean {
  try {
    checkRecord(record, device);
    return true;
  } catch (error) {
    if (error instanceof Problem) return false;
    throw error;
  }
}

/** @param records in a row, at least one; `head` is the newest of the log */
export function judge(file: LogFile, head: StoredRecord, records: readonly LogRecord[]): Judgement {
  const [first] = records as [LogRecord];
  if (first.seq > head.record.seq + 1n) return { outcome: "gap" };
  if (!records.every((record) => isSigned(record, file.device))) return wronglySigned;
  for (const theirs of records) {
    const mine = rivalOf(file, head, theirs);
    if (mine && !sameBytes(mine.id, theirs.id)) return { outcome: "fork", mine, theirs };
    if (mine === undefined) break;
  }
  const fresh = records.filter(({ seq }) => seq > head.record.seq);
  const [next] = fresh;
  if (next === undefined) return { outcome: "known" };
  if (!follows(head.record, next)) return { outcome: "refused", why: "it does not follow the record before" };
  return { outcome: "append", fresh };
}

/** Is this record, which somebody shows as proof, one of another branch of the log? */
export function judgeFork(file: LogFile, head: StoredRecord, theirs: LogRecord): Judgement {
  if (!isSigned(theirs, file.device)) return wronglySigned;
  const mine = rivalOf(file, head, theirs);
  if (mine === undefined) return { outcome: "gap" };
  return sameBytes(mine.id, theirs.id) ? { outcome: "known" } : { outcome: "fork", mine, theirs };
}

/**
 * Our record that a signed one of the same log cannot stand beside: the one with its number, or where it claims to
 * follow ours and does not, the newest. Itself where it is ours; undefined where nothing can be said.
 */
function rivalOf(file: LogFile, head: StoredRecord, theirs: LogRecord): LogRecord | undefined {
  if (theirs.seq <= head.record.seq) return file.from(theirs.seq, head.end, 0)[0];
  if (theirs.seq === head.record.seq + 1n && !sameBytes(theirs.previous, head.record.id)) return head.record;
  return undefined;
}

/** The two records that prove a fork, given the one that was kept of the other branch. */
export function evidenceOf(file: LogFile, head: { seq: bigint; end: number }, branch: Buffer): Buffer[] {
  const theirs = decoded(branch);
  if (typeof theirs === "string") return [];
  const beyond = theirs.seq > head.seq;
  const [mine] = file.from(beyond ? head.seq : theirs.seq, head.end, 0);
  return mine ? [mine.bytes, branch] : [branch];
}

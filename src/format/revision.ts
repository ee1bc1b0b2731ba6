/**
 * What only the vault reads of its records: revisions, and what is said about them later.
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { format } from "../base/limits.js";
import { type ContentRef, type Entry, readContent, readEntry, writeContent, writeEntry } from "./entry.js";
import { type Fields, readFields, writeFields } from "./fields.js";

/** A revision, sealed. Its id is that of the record that carries it. */
export interface RevisionBody {
  readonly fileset: Buffer;
  readonly filesetName: string;
  readonly host: string;
  /** nanoseconds since 1970 when it began */
  readonly started: bigint;
  readonly complete: boolean;
  /** attributes of "/" and the tree below it; no name */
  readonly root: Entry;
  /** salt of the metadata segment that holds the root of the tree; a hint */
  readonly rootHint: Buffer | undefined;
  readonly files: number;
  readonly folders: number;
  readonly others: number;
  /** of file contents, holes included */
  readonly bytes: bigint;
  readonly changedFiles: number;
  /** unique file contents that no earlier revision held */
  readonly newBytes: bigint;
  /** what the store grew by */
  readonly storedBytes: bigint;
  readonly errors: number;
  /** user and group names, as content; see `Owners` in capture */
  readonly names: ContentRef | undefined;
  /** what could not be read, as content */
  readonly report: ContentRef | undefined;
  readonly fields: Fields;
}

export function encodeRevision(body: RevisionBody): Buffer {
  const to = new Writer(512)
    .raw(body.fileset)
    .text(body.filesetName)
    .text(body.host)
    .signed(body.started)
    .u8(body.complete ? 1 : 0);
  writeEntry(to, body.root);
  to.u8(body.rootHint ? 1 : 0);
  if (body.rootHint) to.raw(body.rootHint);
  to.varint(body.files).varint(body.folders).varint(body.others).varint(body.bytes).varint(body.changedFiles);
  to.varint(body.newBytes).varint(body.storedBytes).varint(body.errors);
  writeContent(to, body.names);
  writeContent(to, body.report);
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeRevision(bytes: Uint8Array): RevisionBody {
  const from = new Reader(bytes, "revision");
  const flag = (): boolean => {
    const value = from.u8();
    if (value > 1) from.fail("a flag that is neither 0 nor 1");
    return value === 1;
  };
  const fileset = Buffer.from(from.raw(16));
  const filesetName = from.text(format.labelBytes);
  const host = from.text(format.labelBytes);
  const started = from.signed();
  const complete = flag();
  const root = readEntry(from, true);
  if (root.kind !== "folder") from.fail("a root that is no folder");
  const rootHint = flag() ? Buffer.from(from.raw(32)) : undefined;
  const counts = { files: from.varint(), folders: from.varint(), others: from.varint(), bytes: from.bigVarint() };
  const news = {
    changedFiles: from.varint(),
    newBytes: from.bigVarint(),
    storedBytes: from.bigVarint(),
    errors: from.varint(),
  };
  const names = readContent(from);
  const report = readContent(from);
  const fields = readFields(from);
  from.end();
  return { fileset, filesetName, host, started, complete, root, rootHint, ...counts, ...news, names, report, fields };
}

/** Revisions that are no longer wanted, or (undo) wanted again before they are collected. */
export interface ForgetBody {
  readonly revisions: readonly Buffer[];
  readonly undo: boolean;
  readonly fields: Fields;
}

export function encodeForget(body: ForgetBody): Buffer {
  const to = new Writer(64).u8(body.undo ? 1 : 0).varint(body.revisions.length);
  for (const id of body.revisions) to.raw(id);
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeForget(bytes: Uint8Array): ForgetBody {
  const from = new Reader(bytes, "forget record");
  const undo = from.u8();
  if (undo > 1) from.fail("a flag that is neither 0 nor 1");
  const revisions = Array.from({ length: from.count(1800, 32) }, () => Buffer.from(from.raw(32)));
  const fields = readFields(from);
  from.end();
  return { revisions, undo: undo === 1, fields };
}

/** Live chunks of some segments were written again in others: old salts, new salts. */
export interface MovedBody {
  readonly from: readonly Buffer[];
  readonly to: readonly Buffer[];
  readonly fields: Fields;
}

export function encodeMoved(body: MovedBody): Buffer {
  const to = new Writer(256);
  for (const salts of [body.from, body.to]) {
    to.varint(salts.length);
    for (const salt of salts) to.raw(salt);
  }
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeMoved(bytes: Uint8Array): MovedBody {
  const from = new Reader(bytes, "moved record");
  const salts = (): Buffer[] => Array.from({ length: from.count(900, 32) }, () => Buffer.from(from.raw(32)));
  const body = { from: salts(), to: salts(), fields: readFields(from) };
  from.end();
  return body;
}

/** A note on a revision: pinned against retention, tagged with a text. */
export interface NoteBody {
  readonly revision: Buffer;
  readonly pinned: boolean;
  readonly text: string;
  readonly fields: Fields;
}

export function encodeNote(body: NoteBody): Buffer {
  const to = new Writer(128)
    .raw(body.revision)
    .u8(body.pinned ? 1 : 0)
    .text(body.text);
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeNote(bytes: Uint8Array): NoteBody {
  const from = new Reader(bytes, "note record");
  const revision = Buffer.from(from.raw(32));
  const pinned = from.u8();
  if (pinned > 1) from.fail("a flag that is neither 0 nor 1");
  const text = from.text(1024);
  const fields = readFields(from);
  from.end();
  return { revision, pinned: pinned === 1, text, fields };
}

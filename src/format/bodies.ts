/**
 * The bodies of records, type by type. Clear ones first: blind peers read and obey them.
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { format } from "../base/limits.js";
import { type Certificate, readCertificate, writeCertificate } from "./certificate.js";
import { type ContentRef, type Entry, readEntry, writeEntry } from "./entry.js";
import { type Fields, readFields, writeFields } from "./fields.js";
import { signatureBytes } from "./sign.js";

/** What peers hold and prove. The number stands in formats; erasure shares may be another kind one day. */
export const objectKinds = { dataSegment: 1, metadataSegment: 2, checkpointList: 3 } as const;
export type ObjectKind = keyof typeof objectKinds;
const objectKindNames = new Map<number, ObjectKind>(
  Object.entries(objectKinds).map(([name, number]) => [number, name as ObjectKind]),
);

export const importances = { bulk: 1, normal: 2, critical: 3 } as const;
export type Importance = keyof typeof importances;
const importanceNames = new Map<number, Importance>(
  Object.entries(importances).map(([name, number]) => [number, name as Importance]),
);

/** How many copies an object wants, how many it must have, and what goes first. */
export interface PlacementClass {
  readonly copies: number;
  readonly minimum: number;
  readonly importance: Importance;
}

export const defaultClass: PlacementClass = { copies: 2, minimum: 1, importance: "normal" };

/** Is what is placed under `held` placed well enough for `wanted`? */
export function covers(held: PlacementClass, wanted: PlacementClass): boolean {
  return (
    held.copies >= wanted.copies &&
    held.minimum >= wanted.minimum &&
    importances[held.importance] >= importances[wanted.importance]
  );
}

export interface GenesisBody {
  readonly certificate: Certificate;
  /** root public key, so that the certificate can be checked from the log alone */
  readonly rootPublic: Buffer;
  /** 16 random bytes: two logs of one device never have the same id */
  readonly random: Buffer;
  /** the last record of the log that this one goes on from */
  readonly predecessor: { readonly log: Buffer; readonly seq: bigint; readonly id: Buffer } | undefined;
  readonly fields: Fields;
}

export function encodeGenesis(body: GenesisBody): Buffer {
  const to = new Writer(512);
  writeCertificate(to, body.certificate);
  to.raw(body.rootPublic)
    .raw(body.random)
    .u8(body.predecessor ? 1 : 0);
  if (body.predecessor) to.raw(body.predecessor.log).u64(body.predecessor.seq).raw(body.predecessor.id);
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeGenesis(bytes: Uint8Array): GenesisBody {
  const from = new Reader(bytes, "genesis record");
  const certificate = readCertificate(from);
  const rootPublic = Buffer.from(from.raw(32));
  const random = Buffer.from(from.raw(16));
  const has = from.u8();
  if (has > 1) from.fail("a flag that is neither 0 nor 1");
  const predecessor = has
    ? { log: Buffer.from(from.raw(32)), seq: from.u64(), id: Buffer.from(from.raw(32)) }
    : undefined;
  const fields = readFields(from);
  from.end();
  return { certificate, rootPublic, random, predecessor, fields };
}

/** One object that the log's device wants kept. */
export interface Listing {
  readonly name: Buffer;
  readonly length: number;
  readonly kind: ObjectKind;
  readonly class: PlacementClass;
  /** written by another device of the vault and relied on by this one */
  readonly adopted: boolean;
}

/** Most listings that fit one record with room to spare. */
export const listingsPerRecord = 1024;

export function writeListing(to: Writer, listing: Listing): void {
  to.raw(listing.name)
    .varint(listing.length)
    .u8(objectKinds[listing.kind])
    .u8(listing.class.copies)
    .u8(listing.class.minimum);
  to.u8(importances[listing.class.importance]).u8(listing.adopted ? 1 : 0);
}

export function readListing(from: Reader): Listing {
  const name = Buffer.from(from.raw(32));
  const length = from.varint(format.segmentBytes);
  const kind = objectKindNames.get(from.u8());
  if (kind === undefined) from.fail("unknown kind of object");
  const copies = from.u8();
  const minimum = from.u8();
  const importance = importanceNames.get(from.u8());
  if (importance === undefined) from.fail("unknown importance");
  const adopted = from.u8();
  if (adopted > 1) from.fail("a flag that is neither 0 nor 1");
  return { name, length, kind, class: { copies, minimum, importance }, adopted: adopted === 1 };
}

export function encodeList(listings: readonly Listing[]): Buffer {
  const to = new Writer(64 + listings.length * 42).varint(listings.length);
  for (const listing of listings) writeListing(to, listing);
  return to.finish();
}

export function decodeList(bytes: Uint8Array): Listing[] {
  const from = new Reader(bytes, "list record");
  const listings = Array.from({ length: from.count(listingsPerRecord, 38) }, () => readListing(from));
  from.end();
  return listings;
}

/** Names of objects that the device no longer needs. */
export function encodeRelease(names: readonly Buffer[]): Buffer {
  const to = new Writer(16 + names.length * 32).varint(names.length);
  for (const name of names) to.raw(name);
  return to.finish();
}

export function decodeRelease(bytes: Uint8Array): Buffer[] {
  const from = new Reader(bytes, "release record");
  const names = Array.from({ length: from.count(listingsPerRecord, 32) }, () => Buffer.from(from.raw(32)));
  from.end();
  return names;
}

/**
 * A checkpoint restates the log: what is listed stands in an object of its own (clear), what is kept in content
 * (sealed). Readers begin at the newest one.
 */
export interface CheckpointBody {
  /** name and bytes of the object that holds the list */
  readonly listName: Buffer;
  readonly listBytes: number;
  readonly listings: number;
  readonly fields: Fields;
}

export function encodeCheckpoint(body: CheckpointBody): Buffer {
  const to = new Writer(128).raw(body.listName).varint(body.listBytes).varint(body.listings);
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeCheckpoint(bytes: Uint8Array): CheckpointBody {
  const from = new Reader(bytes, "checkpoint record");
  const body = {
    listName: Buffer.from(from.raw(32)),
    listBytes: from.varint(format.segmentBytes),
    listings: from.varint(),
    fields: readFields(from),
  };
  from.end();
  return body;
}

const listMagic = Buffer.from("BCOOPLST", "latin1");

/** The object that a checkpoint names: every listing, ascending by name. */
export function encodeCheckpointList(listings: readonly Listing[]): Buffer {
  const to = new Writer(64 + listings.length * 42).raw(listMagic).varint(listings.length);
  for (const listing of [...listings].sort((a, b) => Buffer.compare(a.name, b.name))) writeListing(to, listing);
  return to.finish();
}

export function decodeCheckpointList(bytes: Uint8Array): Listing[] {
  const from = new Reader(bytes, "checkpoint list");
  if (!from.raw(8).equals(listMagic)) from.fail("wrong magic");
  const listings: Listing[] = [];
  for (let left = from.count(Number.MAX_SAFE_INTEGER, 38); left > 0; left--) {
    const listing = readListing(from);
    const last = listings.at(-1);
    if (last && Buffer.compare(last.name, listing.name) >= 0) from.fail("names out of order");
    listings.push(listing);
  }
  from.end();
  return listings;
}

/** What the vault alone reads of a checkpoint. */
export interface CheckpointSecret {
  /** ids of revisions that are kept */
  readonly kept: readonly Buffer[];
  readonly held: readonly Buffer[];
  readonly certificates: readonly Certificate[];
  /** content that continues these lists where they outgrow a record */
  readonly more: ContentRef | undefined;
  readonly fields: Fields;
}

export function encodeCheckpointSecret(body: CheckpointSecret): Buffer {
  const to = new Writer(1024);
  for (const ids of [body.kept, body.held]) {
    to.varint(ids.length);
    for (const id of ids) to.raw(id);
  }
  to.varint(body.certificates.length);
  for (const certificate of body.certificates) writeCertificate(to, certificate);
  writeContent(to, body.more);
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeCheckpointSecret(bytes: Uint8Array): CheckpointSecret {
  const from = new Reader(bytes, "checkpoint");
  const ids = (): Buffer[] => Array.from({ length: from.count(2048, 32) }, () => Buffer.from(from.raw(32)));
  const kept = ids();
  const held = ids();
  const certificates = Array.from({ length: from.count(256, 130) }, () => readCertificate(from));
  const body = { kept, held, certificates, more: readContent(from), fields: readFields(from) };
  from.end();
  return body;
}

/** Root-signed: a new log inherits revisions and lists of old ones. The same form serves `certify`. */
export interface SucceedBody {
  readonly certificate: Certificate;
  /** logs inherited, each up to a sequence number */
  readonly logs: readonly { readonly log: Buffer; readonly seq: bigint }[];
  /** by the root key over vault, certificate and logs */
  readonly signature: Buffer;
}

/** What the root key signs in a succeed record. */
export function succeedScope(body: Omit<SucceedBody, "signature">): Buffer {
  const to = new Writer(512);
  writeCertificate(to, body.certificate);
  writeLogs(to, body.logs);
  return to.finish();
}

export function encodeSucceed(body: SucceedBody): Buffer {
  return Buffer.concat([succeedScope(body), body.signature]);
}

export function decodeSucceed(bytes: Uint8Array): SucceedBody {
  const from = new Reader(bytes, "succeed record");
  const body = {
    certificate: readCertificate(from),
    logs: readLogs(from),
    signature: Buffer.from(from.raw(signatureBytes)),
  };
  from.end();
  return body;
}

/** Root-signed: from here on a device's records count only up to the given sequence numbers. */
export interface RevokeBody {
  readonly device: Buffer;
  readonly logs: readonly { readonly log: Buffer; readonly seq: bigint }[];
  readonly signature: Buffer;
}

export function revokeScope(body: Omit<RevokeBody, "signature">): Buffer {
  const to = new Writer(256).raw(body.device);
  writeLogs(to, body.logs);
  return to.finish();
}

export function encodeRevoke(body: RevokeBody): Buffer {
  return Buffer.concat([revokeScope(body), body.signature]);
}

export function decodeRevoke(bytes: Uint8Array): RevokeBody {
  const from = new Reader(bytes, "revoke record");
  const body = {
    device: Buffer.from(from.raw(32)),
    logs: readLogs(from),
    signature: Buffer.from(from.raw(signatureBytes)),
  };
  from.end();
  return body;
}

function writeLogs(to: Writer, logs: SucceedBody["logs"]): void {
  to.varint(logs.length);
  for (const { log, seq } of logs) to.raw(log).u64(seq);
}

function readLogs(from: Reader): SucceedBody["logs"] {
  return Array.from({ length: from.count(256, 40) }, () => ({ log: Buffer.from(from.raw(32)), seq: from.u64() }));
}

/** Objects kept against every release until a time (nanoseconds since 1970), or until a later hold frees them. */
export interface HoldBody {
  readonly names: readonly Buffer[];
  readonly until: bigint;
}

export function encodeHold(body: HoldBody): Buffer {
  const to = new Writer(64 + body.names.length * 32).signed(body.until).varint(body.names.length);
  for (const name of body.names) to.raw(name);
  return to.finish();
}

export function decodeHold(bytes: Uint8Array): HoldBody {
  const from = new Reader(bytes, "hold record");
  const until = from.signed();
  const names = Array.from({ length: from.count(listingsPerRecord, 32) }, () => Buffer.from(from.raw(32)));
  from.end();
  return { until, names };
}

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
  /** user and group names, as content; see `encodeNames` */
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

function writeContent(to: Writer, content: ContentRef | undefined): void {
  to.varint(content?.size ?? 0n);
  if (content) to.u8(content.level).raw(content.id);
}

function readContent(from: Reader): ContentRef | undefined {
  const size = from.bigVarint();
  if (size === 0n) return undefined;
  const level = from.u8();
  if (level > format.levels) from.fail("too many levels");
  return { size, level, id: Buffer.from(from.raw(32)) };
}

/** Revisions that are no longer wanted, or (undo) wanted again before they are collected. */
export interface ForgetBody {
  readonly revisions: readonly Buffer[];
  readonly undo: boolean;
}

export function encodeForget(body: ForgetBody): Buffer {
  const to = new Writer(64).u8(body.undo ? 1 : 0).varint(body.revisions.length);
  for (const id of body.revisions) to.raw(id);
  return to.finish();
}

export function decodeForget(bytes: Uint8Array): ForgetBody {
  const from = new Reader(bytes, "forget record");
  const undo = from.u8();
  if (undo > 1) from.fail("a flag that is neither 0 nor 1");
  const revisions = Array.from({ length: from.count(1800, 32) }, () => Buffer.from(from.raw(32)));
  from.end();
  return { revisions, undo: undo === 1 };
}

/** Live chunks of some segments were written again in others: old salts, new salts. */
export interface MovedBody {
  readonly from: readonly Buffer[];
  readonly to: readonly Buffer[];
}

export function encodeMoved(body: MovedBody): Buffer {
  const to = new Writer(256);
  for (const salts of [body.from, body.to]) {
    to.varint(salts.length);
    for (const salt of salts) to.raw(salt);
  }
  return to.finish();
}

export function decodeMoved(bytes: Uint8Array): MovedBody {
  const from = new Reader(bytes, "moved record");
  const salts = (): Buffer[] => Array.from({ length: from.count(900, 32) }, () => Buffer.from(from.raw(32)));
  const body = { from: salts(), to: salts() };
  from.end();
  return body;
}

/** A note on a revision: pinned against retention, tagged with a text. */
export interface NoteBody {
  readonly revision: Buffer;
  readonly pinned: boolean;
  readonly text: string;
}

export function encodeNote(body: NoteBody): Buffer {
  return new Writer(128)
    .raw(body.revision)
    .u8(body.pinned ? 1 : 0)
    .text(body.text)
    .finish();
}

export function decodeNote(bytes: Uint8Array): NoteBody {
  const from = new Reader(bytes, "note record");
  const revision = Buffer.from(from.raw(32));
  const pinned = from.u8();
  if (pinned > 1) from.fail("a flag that is neither 0 nor 1");
  const text = from.text(1024);
  from.end();
  return { revision, pinned: pinned === 1, text };
}

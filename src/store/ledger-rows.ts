/**
 * Rows of the catalogue on objects of all logs and on other devices: what is listed, what is wanted here, what others
 * signed that they hold, and who they are.
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { type Fields, readFields, writeFields } from "../format/fields.js";
import { damagedRow } from "./rows.js";

/** An object that a log lists. */
export interface ListedRow {
  readonly log: Buffer;
  readonly name: Buffer;
  readonly length: number;
  readonly kind: number;
  readonly seq: bigint;
  readonly released: boolean;
}

/** An object that some log lists and that is not here. */
export interface Wanted {
  readonly name: Buffer;
  readonly length: number;
  readonly kind: number;
  /** one of the logs that list it */
  readonly log: Buffer;
  /** smaller goes first: metadata of the own vault, other metadata, data of the own vault, other data */
  readonly priority: number;
}

/** How far a device said that it knows a log. */
export interface HeadReceipt {
  readonly device: Buffer;
  readonly seq: bigint;
  readonly id: Buffer;
  readonly time: bigint;
  /** of its last receipt that replaced those before */
  readonly replaced: bigint;
}

/** What is known of another device. */
export interface PeerFacts {
  readonly vault: Buffer | undefined;
  readonly label: string;
  /** it stores for others */
  readonly keeps: boolean;
  /** nanoseconds since 1970 when it was last admitted */
  readonly seen: bigint;
  readonly fields: Fields;
}

export function encodeListed(row: ListedRow): Buffer {
  return new Writer(24)
    .varint(row.length)
    .u8(row.kind)
    .u64(row.seq)
    .u8(row.released ? 1 : 0)
    .finish();
}

export function decodeListed(key: Buffer, bytes: Buffer): ListedRow {
  if (key.length !== 64) throw damagedRow("listed object");
  const from = new Reader(bytes, "catalogue row");
  const row = { length: from.varint(), kind: from.u8(), seq: from.u64(), released: from.u8() === 1 };
  from.end();
  return { log: key.subarray(0, 32), name: key.subarray(32), ...row };
}

/** Of a row that says all by its key. */
const isThere = Buffer.from([1]);

/** By the object first: which logs list it, and have not released it. */
export function listerRow(name: Buffer, log: Buffer): { readonly key: Buffer; readonly value: Buffer } {
  return { key: Buffer.concat([name, log]), value: isThere };
}

/** The log. */
export function decodeLister(key: Buffer, bytes: Buffer): Buffer {
  if (key.length !== 64 || !bytes.equals(isThere)) throw damagedRow("listed object");
  return key.subarray(32);
}

/** By priority first. The length belongs to the key: one log's wrong word on it does not stand before another's right one. */
export function wantedKey({ priority, name, length }: Pick<Wanted, "priority" | "name" | "length">): Buffer {
  const key = Buffer.alloc(41);
  key[0] = priority;
  key.set(name, 1);
  key.writeBigUInt64BE(BigInt(length), 33);
  return key;
}

export function encodeWanted({ kind, log }: Wanted): Buffer {
  return Buffer.concat([Buffer.from([kind]), log]);
}

export function decodeWanted(key: Buffer, bytes: Buffer): Wanted {
  if (key.length !== 41 || bytes.length !== 33) throw damagedRow("wanted object");
  const [priority, kind] = [key[0] as number, bytes[0] as number];
  const length = Number(key.readBigUInt64BE(33));
  return { name: key.subarray(1, 33), length, kind, log: bytes.subarray(1), priority };
}

export function encodeHead({ seq, id, time, replaced }: HeadReceipt): Buffer {
  return new Writer(64).u64(seq).raw(id).signed(time).signed(replaced).finish();
}

export function decodeHead(key: Buffer, bytes: Buffer): HeadReceipt {
  if (key.length !== 64) throw damagedRow("head");
  const from = new Reader(bytes, "catalogue row");
  const row = { seq: from.u64(), id: Buffer.from(from.raw(32)), time: from.signed(), replaced: from.signed() };
  from.end();
  return { device: key.subarray(32), ...row };
}

export function encodePeer(facts: PeerFacts): Buffer {
  const to = new Writer(128).u8(facts.vault ? 1 : 0);
  if (facts.vault) to.raw(facts.vault);
  to.text(facts.label)
    .u8(facts.keeps ? 1 : 0)
    .signed(facts.seen);
  writeFields(to, facts.fields);
  return to.finish();
}

export function decodePeer(bytes: Buffer): PeerFacts {
  const from = new Reader(bytes, "catalogue row");
  const vault = from.u8() === 1 ? Buffer.from(from.raw(32)) : undefined;
  const facts = {
    vault,
    label: from.text(4096),
    keeps: from.u8() === 1,
    seen: from.signed(),
    fields: readFields(from),
  };
  from.end();
  return facts;
}

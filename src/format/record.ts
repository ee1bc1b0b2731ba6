/**
 * Records of a log: append-only, hash-chained, signed by one device.
 *
 *   header 168 B   magic "BCOOPREC" ‖ format 1 ‖ suite 1 ‖ type u16 ‖ epoch u32 ‖ vault 32 ‖ log 32 ‖ seq u64
 *                  ‖ previous 32 ‖ time u64 (zigzag) ‖ clear bytes u32 ‖ sealed bytes u32 ‖ 32 zero bytes, reserved
 *   clear body     what blind peers must obey
 *   sealed body    what only the vault reads: XChaCha20-Poly1305(log key, context = header)
 *   signature 64   Ed25519 over header ‖ BLAKE3(clear body) ‖ BLAKE3(sealed body)
 *
 * The id of a record is BLAKE3 of exactly what is signed, and `previous` is the id of the one before. A log's id is
 * that of its genesis record, which itself has 32 zero bytes in the fields log and previous. The chains of a coop begin
 * with a `found` record instead; that of the first chain has zero bytes in the field vault as well, where all other
 * records of the coop name its id: that of this first record.
 * @module
 */
import { isZero, Reader, sameBytes, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { boxOverhead, nonceBytes, open, seal } from "./aead.js";
import { derive, hashOf } from "./hash.js";
import { type Epoch, suite } from "./keys.js";
import { type SigningKey, sign, signatureBytes, verify } from "./sign.js";

const magic = Buffer.from("BCOOPREC", "latin1");
const formatVersion = 1;
const domain = "record";
export const recordHeaderBytes = 168;
const none = Buffer.alloc(32);

/** Numbers below 256 have clear bodies that peers obey, those from 256 on are sealed. Unknown ones are kept and passed on. */
export const recordTypes = {
  genesis: 1,
  list: 2,
  release: 3,
  checkpoint: 4,
  succeed: 5,
  revoke: 6,
  hold: 7,
  certify: 8,
  // 9 is reserved for reroot
  found: 32,
  member: 33,
  remove: 34,
  epoch: 35,
  revision: 256,
  forget: 257,
  moved: 258,
  note: 259,
} as const;
export type RecordType = keyof typeof recordTypes;

export interface RecordHeader {
  readonly type: number;
  readonly epoch: number;
  /** in a coop's chains its id */
  readonly vault: Buffer;
  /** of the first record: its own id */
  readonly log: Buffer;
  readonly seq: bigint;
  /** id of the record before; zero bytes for a genesis */
  readonly previous: Buffer;
  /** nanoseconds since 1970 on the writer's clock; strictly growing within a log */
  readonly time: bigint;
}

export interface LogRecord extends RecordHeader {
  readonly id: Buffer;
  readonly clear: Buffer;
  readonly sealed: Buffer;
  readonly bytes: Buffer;
  /** the encoded header, to which the sealed body is bound */
  readonly head: Buffer;
}

export interface RecordDraft {
  readonly type: number;
  /** undefined for the record that founds a coop */
  readonly vault: Buffer | undefined;
  /** undefined for a genesis */
  readonly log: Buffer | undefined;
  readonly seq: bigint;
  readonly previous: Buffer | undefined;
  readonly time: bigint;
  readonly clear: Uint8Array;
  /** plaintext of the sealed body; empty for none */
  readonly secret: Uint8Array;
}

function encodeHeader(draft: Omit<RecordDraft, "secret">, epoch: number, sealedBytes: number): Buffer {
  const to = new Writer(recordHeaderBytes).raw(magic).u8(formatVersion).u8(suite);
  to.u8(draft.type & 255)
    .u8(draft.type >> 8)
    .u32(epoch)
    .raw(draft.vault ?? none)
    .raw(draft.log ?? none)
    .u64(draft.seq)
    .raw(draft.previous ?? none);
  const zigzag = draft.time >= 0n ? draft.time << 1n : (-draft.time << 1n) - 1n;
  return to.u64(zigzag).u32(draft.clear.length).u32(sealedBytes).raw(none).finish();
}

/** Seal, sign and encode one record. */
export function sealRecord(
  draft: RecordDraft,
  epoch: Epoch,
  device: SigningKey,
  random: (length: number) => Buffer,
): LogRecord {
  const sealedBytes = draft.secret.length === 0 ? 0 : draft.secret.length + boxOverhead;
  const head = encodeHeader(draft, epoch.number, sealedBytes);
  const sealed =
    sealedBytes === 0
      ? Buffer.alloc(0)
      : seal(bodyKey(epoch, draft.vault ?? none), random(nonceBytes), head, draft.secret);
  return signedRecord(head, draft.clear, sealed, device);
}

/** Sign and encode a record that has a clear body only, as all of a coop's have. */
export function signRecord(draft: Omit<RecordDraft, "secret">, device: SigningKey): LogRecord {
  return signedRecord(encodeHeader(draft, 0, 0), draft.clear, Buffer.alloc(0), device);
}

function signedRecord(head: Buffer, clear: Uint8Array, sealed: Uint8Array, device: SigningKey): LogRecord {
  const signed = Buffer.concat([head, hashOf(clear), hashOf(sealed)]);
  const bytes = Buffer.concat([head, clear, sealed, sign(device, domain, signed)]);
  if (bytes.length > format.recordBytes)
    throw new RangeError(`expected a record of at most ${format.recordBytes} bytes, got ${bytes.length}`);
  return decodeRecord(bytes);
}

/** Decode strictly, without checking the signature: `checkRecord` does. */
export function decodeRecord(bytes: Uint8Array): LogRecord {
  if (bytes.length > format.recordBytes) throw new Problem("format", "not a valid record: too long");
  const whole = Buffer.from(bytes);
  const from = new Reader(whole, "record");
  if (!sameBytes(from.raw(8), magic)) from.fail("wrong magic");
  const version = from.u8();
  if (version !== formatVersion || from.u8() !== suite)
    throw new Problem(
      "unsupported",
      `a record of format ${version}, which this version does not know; use a newer bcoopfs`,
    );
  const type = from.u8() | (from.u8() << 8);
  const epoch = from.u32();
  const vault = from.raw(32);
  const log = from.raw(32);
  const seq = from.u64();
  const previous = from.raw(32);
  const zigzag = from.u64();
  const clearBytes = from.u32();
  const sealedBytes = from.u32();
  if (!isZero(from.raw(32))) from.fail("reserved bytes are not zero");
  const head = whole.subarray(0, recordHeaderBytes);
  const clear = from.raw(clearBytes);
  const sealed = from.raw(sealedBytes);
  from.raw(signatureBytes);
  from.end();
  const genesis = type === recordTypes.genesis || type === recordTypes.found;
  if (genesis !== (seq === 0n) || genesis !== isZero(log) || genesis !== isZero(previous))
    from.fail("a genesis comes first, and only first");
  if (sealedBytes !== 0 && sealedBytes < boxOverhead) from.fail("sealed body too short");
  if (type === recordTypes.found && sealedBytes !== 0) from.fail("what founds a coop is clear");
  const id = hashOf(Buffer.concat([head, hashOf(clear), hashOf(sealed)]));
  const time = zigzag & 1n ? -((zigzag + 1n) >> 1n) : zigzag >> 1n;
  const founds = type === recordTypes.found && isZero(vault);
  return {
    type,
    epoch,
    vault: founds ? id : vault,
    log: genesis ? id : log,
    seq,
    previous,
    time,
    id,
    clear,
    sealed,
    bytes: whole,
    head,
  };
}

/** Throws Problem("damaged") unless `device` signed the record. */
export function checkRecord(record: LogRecord, device: Uint8Array): void {
  const signed = Buffer.concat([record.head, hashOf(record.clear), hashOf(record.sealed)]);
  if (!verify(device, domain, signed, record.bytes.subarray(record.bytes.length - signatureBytes)))
    throw new Problem(
      "damaged",
      `record ${record.seq} of log ${record.log.toString("hex").slice(0, 16)}… has a wrong signature`,
    );
}

/** The plaintext of the sealed body; empty where there is none. */
export function openRecord(record: LogRecord, epoch: Epoch): Buffer {
  if (record.sealed.length === 0) return Buffer.alloc(0);
  return open(bodyKey(epoch, record.vault), record.head, record.sealed, `record ${record.seq}`);
}

function bodyKey(epoch: Epoch, vault: Uint8Array): Buffer {
  return derive("record key", epoch.log, vault);
}

/** Does `next` follow `last` in one log? Times may not run backwards within a log. */
export function follows(last: LogRecord, next: LogRecord): boolean {
  return (
    next.seq === last.seq + 1n &&
    sameBytes(next.log, last.log) &&
    sameBytes(next.vault, last.vault) &&
    sameBytes(next.previous, last.id) &&
    next.time > last.time
  );
}

/**
 * A coop's own log: who may store for each other, as its admins say. It is a set of chains of records, one an admin's
 * device; what they say together is a fold over all of them, ordered by serial and record id.
 *
 *   found     begins a chain; the first one founds the coop        member    this device may use the coop
 *   remove    it may no longer; its chains count up to here        epoch     a new coop key, sealed to each device
 *
 * The coop's key gives a topic and the right to knock and never touches data. It is 32 random bytes; each key has an
 * epoch id, by which two sides know which key they speak of without showing it.
 * @module
 */
import { compareBytes, Reader, sameBytes, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { boxOverhead, nonceBytes, open, seal } from "./aead.js";
import { type Certificate, readCertificate, writeCertificate } from "./certificate.js";
import { type Fields, readFields, writeFields } from "./fields.js";
import { derive } from "./hash.js";
import { type LogUpTo, readLogs, writeLogs } from "./root-signed.js";
import { exchange, exchangePublicKey, exchangePublicKeyOf, exchangeSecretOf, type SigningKey } from "./sign.js";

export const coopKeyBytes = 32;
export const epochIdBytes = 16;

/** What a listed device may do: use the coop, or also say who else may. */
export const roles = { member: 1, admin: 2 } as const;

/** Which key of the coop this is, for all to see. */
export function coopEpochId(key: Uint8Array): Buffer {
  return derive("coop epoch id", key).subarray(0, epochIdBytes);
}

/** Where holders of the key meet. */
export function coopTopic(key: Uint8Array): Buffer {
  return derive("coop topic", key);
}

export interface FoundBody {
  /** public key of the device that writes this chain */
  readonly device: Buffer;
  /** both or neither: that the device belongs to a vault */
  readonly certificate: Certificate | undefined;
  readonly rootPublic: Buffer | undefined;
  /** 16 random bytes: no two chains have the same id */
  readonly random: Buffer;
  readonly name: string;
  /** of the founding key; zeros in the chains of other admins */
  readonly epochId: Buffer;
  readonly fields: Fields;
}

export interface MemberBody {
  readonly serial: bigint;
  readonly device: Buffer;
  /** the vault that the device belongs to */
  readonly vault: Buffer | undefined;
  /** one of `roles` */
  readonly role: number;
  readonly label: string;
  /** bytes that it offers to keep; 0 where nothing was said */
  readonly quota: bigint;
  /** public key of the invite that this record redeems */
  readonly token: Buffer | undefined;
  readonly fields: Fields;
}

export interface RemoveBody {
  readonly serial: bigint;
  readonly device: Buffer;
  /** the device's own chains in the coop, and the last record of each that counts */
  readonly chains: readonly LogUpTo[];
  readonly fields: Fields;
}

export interface EpochBox {
  readonly device: Buffer;
  /** the coop's key, sealed: 72 bytes */
  readonly box: Buffer;
}

export interface EpochBody {
  readonly serial: bigint;
  /** from 1, one more than that of the key before */
  readonly number: number;
  readonly id: Buffer;
  /** X25519 */
  readonly ephemeral: Buffer;
  /** strictly ascending by device */
  readonly boxes: readonly EpochBox[];
  readonly fields: Fields;
}

const sealedKeyBytes = coopKeyBytes + boxOverhead;

function take(from: Reader, length = 32): Buffer {
  return Buffer.from(from.raw(length));
}

/** A flag, and behind it what it announces. */
export function writeMaybe<T>(to: Writer, value: T | undefined, write: (value: T) => void): void {
  to.u8(value === undefined ? 0 : 1);
  if (value !== undefined) write(value);
}

export function readMaybe<T>(from: Reader, read: () => T): T | undefined {
  const flag = from.u8();
  if (flag > 1) from.fail("a flag that is neither 0 nor 1");
  return flag === 1 ? read() : undefined;
}

/** A coop's name, or a device's in it. */
export function writeLabel(to: Writer, label: string): void {
  const bytes = Buffer.from(label, "utf8");
  if (bytes.length > format.labelBytes)
    throw new RangeError(`expected a name of at most ${format.labelBytes} bytes, got ${bytes.length}`);
  to.blob(bytes);
}

export function readRole(from: Reader): number {
  const role = from.u8();
  if (role !== roles.member && role !== roles.admin) from.fail("a role that is neither 1 nor 2");
  return role;
}

/** Certificate and root key of a device, where it belongs to a vault. */
export interface Standing {
  readonly certificate: Certificate | undefined;
  readonly rootPublic: Buffer | undefined;
}

export function writeStanding(to: Writer, { certificate, rootPublic }: Standing): void {
  if ((certificate === undefined) !== (rootPublic === undefined))
    throw new RangeError("expected a certificate and its root key, or neither");
  writeMaybe(to, certificate, (some) => {
    writeCertificate(to, some);
    to.raw(rootPublic as Buffer);
  });
}

export function readStanding(from: Reader): Standing {
  const some = readMaybe(from, () => ({ certificate: readCertificate(from), rootPublic: take(from) }));
  return some ?? { certificate: undefined, rootPublic: undefined };
}

export function encodeFound(body: FoundBody): Buffer {
  const to = new Writer(512).raw(body.device);
  writeStanding(to, body);
  writeLabel(to.raw(body.random), body.name);
  to.raw(body.epochId);
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeFound(bytes: Uint8Array): FoundBody {
  const from = new Reader(bytes, "found record");
  const device = take(from);
  const { certificate, rootPublic } = readStanding(from);
  const random = take(from, 16);
  const name = from.text(format.labelBytes);
  const epochId = take(from, epochIdBytes);
  const fields = readFields(from);
  from.end();
  return { device, certificate, rootPublic, random, name, epochId, fields };
}

export function encodeMember(body: MemberBody): Buffer {
  const to = new Writer(256).u64(body.serial).raw(body.device);
  writeMaybe(to, body.vault, (vault) => to.raw(vault));
  writeLabel(to.u8(body.role), body.label);
  to.varint(body.quota);
  writeMaybe(to, body.token, (token) => to.raw(token));
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeMember(bytes: Uint8Array): MemberBody {
  const from = new Reader(bytes, "member record");
  const serial = from.u64();
  const device = take(from);
  const vault = readMaybe(from, () => take(from));
  const role = readRole(from);
  const label = from.text(format.labelBytes);
  const quota = from.bigVarint();
  const token = readMaybe(from, () => take(from));
  const fields = readFields(from);
  from.end();
  return { serial, device, vault, role, label, quota, token, fields };
}

export function encodeRemove(body: RemoveBody): Buffer {
  const to = new Writer(256).u64(body.serial).raw(body.device);
  writeLogs(to, body.chains);
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeRemove(bytes: Uint8Array): RemoveBody {
  const from = new Reader(bytes, "remove record");
  const body = { serial: from.u64(), device: take(from), chains: readLogs(from), fields: readFields(from) };
  from.end();
  return body;
}

export function encodeEpoch(body: EpochBody): Buffer {
  if (body.boxes.length > format.coopBoxes)
    throw new RangeError(`expected at most ${format.coopBoxes} boxes, got ${body.boxes.length}`);
  const to = new Writer(256 + body.boxes.length * (32 + sealedKeyBytes)).u64(body.serial).varint(body.number);
  to.raw(body.id).raw(body.ephemeral).varint(body.boxes.length);
  for (const { device, box } of body.boxes) to.raw(device).raw(box);
  writeFields(to, body.fields);
  return to.finish();
}

export function decodeEpoch(bytes: Uint8Array): EpochBody {
  const from = new Reader(bytes, "epoch record");
  const serial = from.u64();
  const number = from.varint(0xffff_ffff);
  const id = take(from, epochIdBytes);
  const ephemeral = take(from);
  const boxes: EpochBox[] = [];
  for (let left = from.count(format.coopBoxes, 32 + sealedKeyBytes); left > 0; left--) {
    const device = take(from);
    const last = boxes.at(-1);
    if (last !== undefined && compareBytes(last.device, device) >= 0) from.fail("devices out of order");
    boxes.push({ device, box: take(from, sealedKeyBytes) });
  }
  const fields = readFields(from);
  from.end();
  return { serial, number, id, ephemeral, boxes, fields };
}

/**
 * Seal a coop's key to each of the devices, by their Ed25519 public keys. The boxes come in the order in which they
 * stand in a record; a key to which nothing can be sealed gets none.
 * @param random gives the ephemeral secret and the nonces
 */
export function sealEpoch(
  key: Uint8Array,
  devices: readonly Uint8Array[],
  random: (length: number) => Buffer,
): { ephemeral: Buffer; boxes: EpochBox[] } {
  const secret = random(32);
  const ephemeral = exchangePublicKey(secret);
  const context = boxContext(coopEpochId(key), ephemeral);
  const boxes: EpochBox[] = [];
  for (const each of [...devices].sort(compareBytes)) {
    const device = Buffer.from(each);
    if (boxes.at(-1)?.device.equals(device)) continue;
    const boxKey = boxKeyOf(() => exchange(secret, exchangePublicKeyOf(device)), ephemeral, device);
    if (boxKey !== undefined) boxes.push({ device, box: seal(boxKey, random(nonceBytes), context, key) });
  }
  return { ephemeral, boxes };
}

/** The coop's key out of this device's box; undefined where there is none, or none that holds the key it names. */
export function openEpochBox(body: EpochBody, device: SigningKey): Buffer | undefined {
  const mine = body.boxes.find((box) => sameBytes(box.device, device.publicKey));
  if (mine === undefined) return undefined;
  const shared = (): Buffer => exchange(exchangeSecretOf(device.seed), body.ephemeral);
  const boxKey = boxKeyOf(shared, body.ephemeral, device.publicKey);
  if (boxKey === undefined) return undefined;
  try {
    const key = open(boxKey, boxContext(body.id, body.ephemeral), mine.box, "epoch box");
    return sameBytes(coopEpochId(key), body.id) ? key : undefined;
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

function boxContext(id: Uint8Array, ephemeral: Uint8Array): Buffer {
  return Buffer.concat([id, ephemeral]);
}

/** undefined where a key of the other side is not sound. */
function boxKeyOf(shared: () => Buffer, ephemeral: Uint8Array, device: Uint8Array): Buffer | undefined {
  try {
    return derive("coop epoch box", shared(), ephemeral, device);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

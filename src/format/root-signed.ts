/**
 * What only the phrase can say: the root key certifies a device, lets a log inherit others, and revokes. Each
 * statement is signed under a domain of its own and carries the vault and a serial number, so that the latest of two
 * about the same device is known and none can pass for another.
 *
 *   certify   this device belongs to the vault          succeed   this device's log inherits these logs
 *   revoke    from here on a device's logs count only up to the given records; a log not named counts for nothing
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { type Certificate, readCertificate, writeCertificate } from "./certificate.js";
import { type Fields, readFields, writeFields } from "./fields.js";
import { type SigningKey, sign, signatureBytes, verify } from "./sign.js";

/** A log up to and including a record. */
export interface LogUpTo {
  readonly log: Buffer;
  readonly seq: bigint;
}

interface Statement {
  readonly vault: Buffer;
  /** grows with each statement of the root key; a later one about the same device wins */
  readonly serial: bigint;
  readonly fields: Fields;
  readonly signature: Buffer;
}

export interface CertifyBody extends Statement {
  readonly certificate: Certificate;
}

export interface SucceedBody extends Statement {
  /** of the device that inherits */
  readonly certificate: Certificate;
  readonly logs: readonly LogUpTo[];
}

export interface RevokeBody extends Statement {
  /** its Ed25519 public key */
  readonly device: Buffer;
  readonly logs: readonly LogUpTo[];
}

type Unsigned<Body> = Omit<Body, "signature">;

/** How one kind of statement is written, read and scoped. */
interface Form<Body extends Statement> {
  readonly domain: string;
  write(to: Writer, body: Unsigned<Body>): void;
  read(from: Reader): Omit<Body, keyof Statement>;
}

export function writeLogs(to: Writer, logs: readonly LogUpTo[]): void {
  to.varint(logs.length);
  for (const { log, seq } of logs) to.raw(log).u64(seq);
}

export function readLogs(from: Reader): LogUpTo[] {
  return Array.from({ length: from.count(1024, 40) }, () => ({ log: Buffer.from(from.raw(32)), seq: from.u64() }));
}

const certifyForm: Form<CertifyBody> = {
  domain: "certify record",
  write: (to, body) => writeCertificate(to, body.certificate),
  read: (from) => ({ certificate: readCertificate(from) }),
};

const succeedForm: Form<SucceedBody> = {
  domain: "succeed record",
  write: (to, body) => {
    writeCertificate(to, body.certificate);
    writeLogs(to, body.logs);
  },
  read: (from) => ({ certificate: readCertificate(from), logs: readLogs(from) }),
};

const revokeForm: Form<RevokeBody> = {
  domain: "revoke record",
  write: (to, body) => {
    to.raw(body.device);
    writeLogs(to, body.logs);
  },
  read: (from) => ({ device: Buffer.from(from.raw(32)), logs: readLogs(from) }),
};

function scopeOf<Body extends Statement>(form: Form<Body>, body: Unsigned<Body>): Buffer {
  const to = new Writer(512).raw(body.vault).u64(body.serial);
  form.write(to, body);
  writeFields(to, body.fields);
  return to.finish();
}

function stated<Body extends Statement>(form: Form<Body>, root: SigningKey, body: Unsigned<Body>): Body {
  return { ...body, signature: sign(root, form.domain, scopeOf(form, body)) } as Body;
}

function encoded<Body extends Statement>(form: Form<Body>, body: Body): Buffer {
  return Buffer.concat([scopeOf(form, body), body.signature]);
}

function decoded<Body extends Statement>(form: Form<Body>, bytes: Uint8Array): Body {
  const from = new Reader(bytes, form.domain);
  const vault = Buffer.from(from.raw(32));
  const serial = from.u64();
  const own = form.read(from);
  const fields = readFields(from);
  const signature = Buffer.from(from.raw(signatureBytes));
  from.end();
  return { vault, serial, ...own, fields, signature } as Body;
}

/** Throws Problem("format") unless this root key, of this vault, made the statement. */
function checked<Body extends Statement>(
  form: Form<Body>,
  body: Body,
  vault: Uint8Array,
  rootPublic: Uint8Array,
): void {
  if (!body.vault.equals(vault) || !verify(rootPublic, form.domain, scopeOf(form, body), body.signature))
    throw new Problem("format", `a ${form.domain} that the vault's root key did not sign`);
}

export const signCertify = (root: SigningKey, body: Unsigned<CertifyBody>): CertifyBody =>
  stated(certifyForm, root, body);
export const encodeCertify = (body: CertifyBody): Buffer => encoded(certifyForm, body);
export const decodeCertify = (bytes: Uint8Array): CertifyBody => decoded(certifyForm, bytes);
export const checkCertify = (body: CertifyBody, vault: Uint8Array, root: Uint8Array): void =>
  checked(certifyForm, body, vault, root);

export const signSucceed = (root: SigningKey, body: Unsigned<SucceedBody>): SucceedBody =>
  stated(succeedForm, root, body);
export const encodeSucceed = (body: SucceedBody): Buffer => encoded(succeedForm, body);
export const decodeSucceed = (bytes: Uint8Array): SucceedBody => decoded(succeedForm, bytes);
export const checkSucceed = (body: SucceedBody, vault: Uint8Array, root: Uint8Array): void =>
  checked(succeedForm, body, vault, root);

export const signRevoke = (root: SigningKey, body: Unsigned<RevokeBody>): RevokeBody => stated(revokeForm, root, body);
export const encodeRevoke = (body: RevokeBody): Buffer => encoded(revokeForm, body);
export const decodeRevoke = (bytes: Uint8Array): RevokeBody => decoded(revokeForm, bytes);
export const checkRevoke = (body: RevokeBody, vault: Uint8Array, root: Uint8Array): void =>
  checked(revokeForm, body, vault, root);

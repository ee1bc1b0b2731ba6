/**
 * An invite: a file that lets one device into a coop once, until a time. It holds the coop's key, a one-time signing
 * key (the token) that an admin's device has vouched for, and where to look for members. Its bearer joins without
 * anybody being online; the first admin's device that it meets turns it into a member record.
 *
 * As text: a line that names the format, then hex in lines of 76, the last 8 bytes of it a checksum.
 * @module
 */
import { Reader, sameBytes, toHex, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { type Certificate, checkCertificate } from "./certificate.js";
import { readRole, readStanding, writeLabel, writeStanding } from "./coop.js";
import { type Fields, noFields, readFields, writeFields } from "./fields.js";
import { hashOf } from "./hash.js";
import { suite } from "./keys.js";
import { type SigningKey, sign, signatureBytes, signingKeyOf, verify } from "./sign.js";

export interface Invite {
  /** id of the coop */
  readonly coop: Buffer;
  /** the coop's key when the invite was made */
  readonly key: Buffer;
  readonly name: string;
  /** seed of the one-time signing key */
  readonly tokenSeed: Buffer;
  /** nanoseconds since 1970 */
  readonly expires: bigint;
  /** one of `roles` */
  readonly role: number;
  /** public key of the admin's device that signed it */
  readonly admin: Buffer;
  /** both or neither: where the admin is one by the vault that it belongs to */
  readonly adminCertificate: Certificate | undefined;
  readonly adminRootPublic: Buffer | undefined;
  /** host:port of bootstrap nodes; none means the public ones */
  readonly bootstrap: readonly string[];
  readonly fields: Fields;
  /** by the admin over coop, token, expiry and role */
  readonly signature: Buffer;
}

const line = "bcoopfs coop key 1";
const anyLine = /^bcoopfs coop key [0-9]{1,9}$/;
const columns = 76;
const checkBytes = 8;
const inviteDomain = "coop invite";
const joinDomain = "coop join";

/** What the admin vouches for: who holds this token may join this coop, so, and until then. */
function vouched(of: {
  readonly coop: Uint8Array;
  readonly token: Uint8Array;
  readonly expires: bigint;
  readonly role: number;
}): Buffer {
  return new Writer(80).raw(of.coop).raw(of.token).signed(of.expires).u8(of.role).finish();
}

/** Make an invite as an admin's device. @param random gives the token */
export function makeInvite(
  admin: SigningKey,
  draft: Omit<Invite, "tokenSeed" | "admin" | "signature" | "fields">,
  random: (length: number) => Buffer,
): Invite {
  const tokenSeed = random(32);
  const token = signingKeyOf(tokenSeed).publicKey;
  const signature = sign(admin, inviteDomain, vouched({ ...draft, token }));
  return { ...draft, tokenSeed, admin: admin.publicKey, fields: noFields, signature };
}

/** The text of the file. */
export function encodeInvite(invite: Invite): string {
  if (invite.bootstrap.length > format.bootstrapEntries)
    throw new RangeError(`expected at most ${format.bootstrapEntries} bootstrap nodes, got ${invite.bootstrap.length}`);
  const to = new Writer(1024).u8(suite).raw(invite.coop).raw(invite.key);
  writeLabel(to, invite.name);
  to.raw(invite.tokenSeed).signed(invite.expires).u8(invite.role).raw(invite.admin);
  writeStanding(to, { certificate: invite.adminCertificate, rootPublic: invite.adminRootPublic });
  to.varint(invite.bootstrap.length);
  for (const address of invite.bootstrap) {
    if (Buffer.byteLength(address) > format.addressBytes)
      throw new RangeError(`expected an address of at most ${format.addressBytes} bytes: ${address}`);
    to.text(address);
  }
  writeFields(to, invite.fields);
  const body = to.raw(invite.signature).finish();
  // The length comes first, so that a file that was cut is told from one that was altered.
  const counted = new Writer(body.length + 4).u32(body.length).raw(body).finish();
  const digits = toHex(Buffer.concat([counted, hashOf(counted).subarray(0, checkBytes)]));
  const lines = digits.match(new RegExp(`.{1,${columns}}`, "g")) as string[];
  const text = `${[line, ...lines].join("\n")}\n`;
  if (text.length > format.inviteBytes)
    throw new RangeError(`expected an invite of at most ${format.inviteBytes} bytes, got ${text.length}`);
  return text;
}

/**
 * Read the file, with its signature checked; whether it has expired and whether its signer is an admin is the
 * caller's to ask. White space around it and line ends of any system do not matter. Throws Problem("usage").
 */
export function decodeInvite(text: Uint8Array): Invite {
  const altered = new Problem("usage", "the coop key file was altered; copy it again, or ask for a new one");
  const counted = unarmour(text, altered);
  const from = new Reader(counted.subarray(4), "coop key file");
  try {
    if (from.u8() !== suite) from.fail("unknown suite");
    const take = (): Buffer => Buffer.from(from.raw(32));
    const [coop, key, name, tokenSeed] = [take(), take(), from.text(format.labelBytes), take()];
    const expires = from.signed();
    const role = readRole(from);
    const admin = take();
    const { certificate: adminCertificate, rootPublic: adminRootPublic } = readStanding(from);
    const addresses = from.count(format.bootstrapEntries, 1);
    const bootstrap = Array.from({ length: addresses }, () => from.text(format.addressBytes));
    const fields = readFields(from);
    const signature = Buffer.from(from.raw(signatureBytes));
    from.end();
    const token = signingKeyOf(tokenSeed).publicKey;
    if (!verify(admin, inviteDomain, vouched({ coop, token, expires, role }), signature)) throw altered;
    if (adminCertificate !== undefined && adminRootPublic !== undefined) {
      checkCertificate(adminCertificate, adminRootPublic);
      if (!sameBytes(adminCertificate.device, admin)) throw altered;
    }
    const standing = { adminCertificate, adminRootPublic };
    return { coop, key, name, tokenSeed, expires, role, admin, ...standing, bootstrap, fields, signature };
  } catch (error) {
    if (error instanceof Problem && error.code === "format") throw altered;
    throw error;
  }
}

/** The bytes of the file, length and body, with their checksum checked and left out. */
function unarmour(text: Uint8Array, altered: Problem): Buffer {
  const alien = new Problem("usage", `not a coop key file: "bcoopfs coop invite" makes one`);
  if (text.length > 4 * format.inviteBytes) throw alien;
  const plain = Buffer.from(text).toString("latin1");
  const [head = "", ...rest] = plain.replace(/^(\xef\xbb\xbf)?[ \t\r\n]+|^\xef\xbb\xbf/, "").split("\n");
  const first = head.replace(/[ \t\r]+$/, "");
  if (first !== line) {
    if (anyLine.test(first))
      throw new Problem("unsupported", "a coop key file that this version does not know; use a newer bcoopfs");
    if (first.length > 0 && line.startsWith(first) && rest.length === 0) throw cutShort();
    throw alien;
  }
  const digits = rest.join("").replace(/[ \t\r]+/g, "");
  if (!/^[0-9a-f]*$/.test(digits)) throw altered;
  const bytes = Buffer.from(digits.slice(0, digits.length & ~1), "hex");
  if (bytes.length < 4) throw cutShort();
  const whole = 4 + bytes.readUInt32LE() + checkBytes;
  if (whole > format.inviteBytes) throw altered;
  if (digits.length < whole * 2) throw cutShort();
  const counted = bytes.subarray(0, whole - checkBytes);
  if (
    digits.length !== whole * 2 ||
    !sameBytes(hashOf(counted).subarray(0, checkBytes), bytes.subarray(counted.length))
  )
    throw altered;
  return counted;
}

function cutShort(): Problem {
  return new Problem("usage", "the coop key file is cut short; copy all of it again");
}

/** What the bearer of an invite shows to an admin's device over a connection. */
export interface Redeem {
  /** public key of the invite's one-time key */
  readonly token: Buffer;
  readonly expires: bigint;
  readonly role: number;
  readonly admin: Buffer;
  /** of the invite, by that admin */
  readonly signature: Buffer;
  /** what the bearer would like to be called; may be empty */
  readonly label: string;
  /** by the token over this connection and the bearer's device */
  readonly proof: Buffer;
  readonly fields: Fields;
}

/** What the token signs: only this device, on this connection, under this name. */
function joining(handshakeHash: Uint8Array, device: Uint8Array, label: string): Buffer {
  return new Writer(192).blob(handshakeHash).raw(device).text(label).finish();
}

export function redeemOf(invite: Invite, handshakeHash: Uint8Array, device: Uint8Array, label = ""): Redeem {
  const token = signingKeyOf(invite.tokenSeed);
  const { expires, role, admin, signature } = invite;
  const proof = sign(token, joinDomain, joining(handshakeHash, device, label));
  return { token: token.publicKey, expires, role, admin, signature, label, proof, fields: noFields };
}

/**
 * Throws Problem("refused") unless the admin that it names vouched for the token in this coop, it has not expired, and
 * the token's bearer meant this connection and device. Whether that admin is one, and whether the token was used
 * before, is the caller's to ask.
 */
export function checkRedeem(
  redeem: Redeem,
  coop: Uint8Array,
  handshakeHash: Uint8Array,
  device: Uint8Array,
  now: bigint,
): void {
  if (!verify(redeem.admin, inviteDomain, vouched({ ...redeem, coop }), redeem.signature))
    throw new Problem("refused", "the invite is not one of this coop; ask an admin for a new one");
  if (!verify(redeem.token, joinDomain, joining(handshakeHash, device, redeem.label), redeem.proof))
    throw new Problem("refused", "the invite was not shown by its bearer; ask an admin for a new one");
  if (redeem.expires <= now) throw new Problem("refused", "the invite has expired; ask an admin for a new one");
}

export function writeRedeem(to: Writer, redeem: Redeem): void {
  to.raw(redeem.token).signed(redeem.expires).u8(redeem.role).raw(redeem.admin).raw(redeem.signature);
  writeLabel(to, redeem.label);
  to.raw(redeem.proof);
  writeFields(to, redeem.fields);
}

export function readRedeem(from: Reader): Redeem {
  const take = (length = 32): Buffer => Buffer.from(from.raw(length));
  const token = take();
  const expires = from.signed();
  const role = readRole(from);
  const [admin, signature] = [take(), take(signatureBytes)];
  const label = from.text(format.labelBytes);
  return { token, expires, role, admin, signature, label, proof: take(signatureBytes), fields: readFields(from) };
}

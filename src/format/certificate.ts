/**
 * A certificate: the vault's root key says that a device belongs to the vault and what it may do.
 * @module
 */
import { type Reader, sameBytes, type Writer } from "../base/bytes.js";
import { Writer as Buffered } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { type Fields, noFields, readFields, writeFields } from "./fields.js";
import { suite, vaultIdOf } from "./keys.js";
import { checkPublicKey, type SigningKey, sign, signatureBytes, verify } from "./sign.js";

/** Bits of `rights`. */
export const rights = { write: 1, administer: 2 } as const;

export interface Certificate {
  readonly vault: Buffer;
  /** the device's Ed25519 public key */
  readonly device: Buffer;
  readonly rights: number;
  /** nanoseconds since 1970 when it was issued */
  readonly issued: bigint;
  readonly fields: Fields;
  readonly signature: Buffer;
}

const domain = "certificate";

function signedPart(certificate: Omit<Certificate, "signature">): Buffer {
  const to = new Buffered(160).u8(suite).raw(certificate.vault).raw(certificate.device).varint(certificate.rights);
  to.signed(certificate.issued);
  writeFields(to, certificate.fields);
  return to.finish();
}

/** Certify a device with the root key. */
export function certify(root: SigningKey, device: Uint8Array, mayDo: number, issued: bigint): Certificate {
  checkPublicKey(device);
  const body = {
    vault: vaultIdOf(root.publicKey),
    device: Buffer.from(device),
    rights: mayDo,
    issued,
    fields: noFields,
  };
  return { ...body, signature: sign(root, domain, signedPart(body)) };
}

export function writeCertificate(to: Writer, certificate: Certificate): void {
  to.raw(signedPart(certificate)).raw(certificate.signature);
}

export function readCertificate(from: Reader): Certificate {
  if (from.u8() !== suite) from.fail("unknown suite");
  const vault = Buffer.from(from.raw(32));
  const device = Buffer.from(from.raw(32));
  const mayDo = from.varint(0xffff_ffff);
  const issued = from.signed();
  const fields = readFields(from);
  return { vault, device, rights: mayDo, issued, fields, signature: Buffer.from(from.raw(signatureBytes)) };
}

/** Throws Problem("format") unless the root key of the vault signed it for a sound device key. */
export function checkCertificate(certificate: Certificate, rootPublic: Uint8Array): void {
  checkPublicKey(certificate.device);
  if (
    !sameBytes(vaultIdOf(rootPublic), certificate.vault) ||
    !verify(rootPublic, domain, signedPart(certificate), certificate.signature)
  )
    throw new Problem("format", "a certificate that the vault's root key did not sign");
}

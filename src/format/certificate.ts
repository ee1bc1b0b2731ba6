/**
 * A certificate: the vault's root key says that a device belongs to the vault and what it may do.
 * @module
 */
import { type Reader, sameBytes, type Writer } from "../base/bytes.js";
import { Writer as Buffered } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { vaultIdOf } from "./keys.js";
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
  readonly signature: Buffer;
}

const domain = "certificate";

function signedPart(certificate: Omit<Certificate, "signature">): Buffer {
  const to = new Buffered(128).raw(certificate.vault).raw(certificate.device).varint(certificate.rights);
  return to.signed(certificate.issued).finish();
}

/** Certify a device with the root key. */
export function certify(root: SigningKey, device: Uint8Array, mayDo: number, issued: bigint): Certificate {
  checkPublicKey(device);
  const body = { vault: vaultIdOf(root.publicKey), device: Buffer.from(device), rights: mayDo, issued };
  return { ...body, signature: sign(root, domain, signedPart(body)) };
}

export function writeCertificate(to: Writer, certificate: Certificate): void {
  to.raw(signedPart(certificate)).raw(certificate.signature);
}

export function readCertificate(from: Reader): Certificate {
  const vault = Buffer.from(from.raw(32));
  const device = Buffer.from(from.raw(32));
  const mayDo = from.varint(0xffff_ffff);
  const issued = from.signed();
  return { vault, device, rights: mayDo, issued, signature: Buffer.from(from.raw(signatureBytes)) };
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

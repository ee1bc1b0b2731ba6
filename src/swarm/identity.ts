/**
 * Who a device says it is on a link: signed for this connection and direction, and where it belongs to a vault, with the
 * certificate that says so.
 * @module
 */
import { sameBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { isName } from "../base/units.js";
import { type LinkKeys, linkScope } from "../format/capability.js";
import { type Certificate, checkCertificate } from "../format/certificate.js";
import { noFields } from "../format/fields.js";
import type { Identity } from "../format/message.js";
import { checkPublicKey, type SigningKey, sign, verify } from "../format/sign.js";

const domain = "link";
/** Field of an identity: what the device would like to be called. */
const labelField = 1;

/** This device, as it shows itself. */
export interface Self {
  readonly device: SigningKey;
  /** both or neither: that it belongs to a vault */
  readonly certificate: Certificate | undefined;
  readonly rootPublic: Buffer | undefined;
  /** what it would like to be called; may be empty */
  readonly label: string;
  /** stores for others */
  readonly keeps: boolean;
}

/** @param initiator did this side dial? */
export function identityOf(self: Self, initiator: boolean, link: LinkKeys): Identity {
  const { device, certificate, rootPublic, label, keeps } = self;
  const proof = sign(device, domain, linkScope(initiator, link));
  const name = Buffer.from(label, "utf8");
  const fields = name.length === 0 ? noFields : [{ number: labelField, bytes: name }];
  return { type: "identity", device: device.publicKey, certificate, rootPublic, proof, keeps, fields };
}

/** Does the device sign for this connection, and its vault for it? @param initiator did that side dial? */
export function isProvenIdentity(identity: Identity, initiator: boolean, link: LinkKeys): boolean {
  const { device, certificate, rootPublic, proof } = identity;
  try {
    checkPublicKey(device);
    if (certificate !== undefined) {
      if (rootPublic === undefined || !sameBytes(certificate.device, device)) return false;
      checkCertificate(certificate, rootPublic);
    }
    return verify(device, domain, linkScope(initiator, link), proof);
  } catch (error) {
    if (error instanceof Problem) return false;
    throw error;
  }
}

/** What a device would like to be called; empty where that could not stand in a list. */
export function labelOf({ fields }: Identity): string {
  const text = fields?.find(({ number }) => number === labelField)?.bytes.toString("utf8") ?? "";
  return isName(text) ? text : "";
}

/**
 * Who writes a log: what its first record says, checked as far as the record alone allows. Both kinds of logs begin
 * with one: those of a vault's devices with a genesis, the chains of a coop with a found record.
 * @module
 */
import { sameBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { type Certificate, checkCertificate } from "./certificate.js";
import { decodeFound } from "./coop.js";
import { decodeGenesis } from "./genesis.js";
import { type LogRecord, recordTypes } from "./record.js";
import { checkPublicKey } from "./sign.js";

export interface Author {
  /** the Ed25519 public key that signs the log's records */
  readonly device: Buffer;
  /** that the device belongs to a vault; only a coop's chain may come without */
  readonly certificate: Certificate | undefined;
  /** of that vault */
  readonly rootPublic: Buffer | undefined;
}

/**
 * The author that a genesis or found record names, with its certificate checked. The record's own signature is left to
 * `checkRecord(record, author.device)`. Throws Problem("format") for other records, a key that is not sound, and a
 * certificate that is another device's, another vault's or not signed by the root key that stands beside it.
 */
export function decodeAuthor(record: LogRecord): Author {
  if (record.type === recordTypes.genesis) {
    const { certificate, rootPublic } = decodeGenesis(record.clear);
    checkCertificate(certificate, rootPublic);
    if (!sameBytes(certificate.vault, record.vault))
      throw new Problem("format", "not a valid genesis record: the certificate is of another vault");
    return { device: certificate.device, certificate, rootPublic };
  }
  if (record.type !== recordTypes.found) throw new Problem("format", "not the first record of a log");
  const { device, certificate, rootPublic } = decodeFound(record.clear);
  if (certificate === undefined || rootPublic === undefined) checkPublicKey(device);
  else {
    checkCertificate(certificate, rootPublic);
    if (!sameBytes(certificate.device, device))
      throw new Problem("format", "not a valid found record: the certificate is of another device");
  }
  return { device, certificate, rootPublic };
}

/**
 * The first record of a log: which device writes it, that the vault certifies it, and which log it goes on from.
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { type Certificate, readCertificate, writeCertificate } from "./certificate.js";
import { type Fields, readFields, writeFields } from "./fields.js";

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

/**
 * What a holder signs to a writer: I hold these objects for this log, and I know the log up to this record. So copies
 * are counted by what was signed, and a device learns from others how far its own log had come.
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { wire } from "../base/limits.js";
import { type Fields, readFields, writeFields } from "./fields.js";
import { suite } from "./keys.js";
import { type SigningKey, sign, signatureBytes, verify } from "./sign.js";

export interface Receipt {
  /** public key of the device that holds and signs */
  readonly holder: Buffer;
  readonly vault: Buffer;
  readonly log: Buffer;
  /** the last record of the log that the holder has, and its id */
  readonly seq: bigint;
  readonly id: Buffer;
  /** nanoseconds since 1970 on the holder's clock */
  readonly time: bigint;
  /** replaces all that this holder said of this log before; else it adds to it */
  readonly all: boolean;
  readonly names: readonly Buffer[];
  readonly fields: Fields;
  readonly signature: Buffer;
}

const domain = "receipt";

function signedPart(receipt: Omit<Receipt, "signature">): Buffer {
  if (receipt.names.length > wire.names)
    throw new RangeError(`expected at most ${wire.names} names, got ${receipt.names.length}`);
  const to = new Writer(256 + receipt.names.length * 32).u8(suite).raw(receipt.holder).raw(receipt.vault);
  to.raw(receipt.log)
    .u64(receipt.seq)
    .raw(receipt.id)
    .signed(receipt.time)
    .u8(receipt.all ? 1 : 0);
  to.varint(receipt.names.length);
  for (const name of receipt.names) to.raw(name);
  writeFields(to, receipt.fields);
  return to.finish();
}

/** Sign as the holder. */
export function signReceipt(device: SigningKey, body: Omit<Receipt, "holder" | "signature">): Receipt {
  const receipt = { holder: device.publicKey, ...body };
  return { ...receipt, signature: sign(device, domain, signedPart(receipt)) };
}

export function encodeReceipt(receipt: Receipt): Buffer {
  const bytes = Buffer.concat([signedPart(receipt), receipt.signature]);
  if (bytes.length > wire.receiptBytes)
    throw new RangeError(`expected a receipt of at most ${wire.receiptBytes} bytes, got ${bytes.length}`);
  return bytes;
}

/** Decode strictly, without checking the signature: `checkReceipt` does. */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  const from = new Reader(bytes, "receipt");
  if (bytes.length > wire.receiptBytes) from.fail("too long");
  if (from.u8() !== suite) from.fail("unknown suite");
  const take = (): Buffer => Buffer.from(from.raw(32));
  const [holder, vault, log, seq, id] = [take(), take(), take(), from.u64(), take()];
  const time = from.signed();
  const all = from.u8();
  if (all > 1) from.fail("a flag that is neither 0 nor 1");
  const names = Array.from({ length: from.count(wire.names, 32) }, take);
  const fields = readFields(from);
  const signature = Buffer.from(from.raw(signatureBytes));
  from.end();
  return { holder, vault, log, seq, id, time, all: all === 1, names, fields, signature };
}

/** Throws Problem("format") unless the holder that it names signed it. */
export function checkReceipt(receipt: Receipt): void {
  if (!verify(receipt.holder, domain, signedPart(receipt), receipt.signature))
    throw new Problem("format", "a receipt that its holder did not sign");
}

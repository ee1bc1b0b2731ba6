/**
 * Typed extension fields: how entries, revisions and records grow without a new format. A field is (number, bytes),
 * ascending by number, each at most once. Odd numbers may be skipped and are kept as they are; an even one must be
 * understood, or the object is refused.
 * @module
 */
import type { Reader, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";

export interface Field {
  readonly number: number;
  readonly bytes: Buffer;
}

export type Fields = readonly Field[];
export const noFields: Fields = [];

export function writeFields(to: Writer, fields: Fields): void {
  to.varint(fields.length);
  for (const field of fields) to.varint(field.number).blob(field.bytes);
}

/** @param known the even numbers that the caller understands */
export function readFields(from: Reader, known: readonly number[] = []): Fields {
  const count = from.count(format.extensions, 2);
  if (count === 0) return noFields;
  const fields: Field[] = [];
  let previous = -1;
  for (let i = 0; i < count; i++) {
    const number = from.varint(0xffff);
    if (number <= previous) from.fail("extension fields out of order");
    if (number % 2 === 0 && !known.includes(number))
      throw new Problem("unsupported", `extension field ${number} is not known to this version; use a newer bcoopfs`);
    fields.push({ number, bytes: Buffer.from(from.blob(format.extensionBytes)) });
    previous = number;
  }
  return fields;
}

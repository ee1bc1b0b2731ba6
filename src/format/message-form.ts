/**
 * How messages are written: a type number u8, the parts of that type, extension fields. Numbers are like those of
 * fields: a message of an odd number that this version does not know is skipped, one of an even number refused. All
 * types of version 1 are even.
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { wire } from "../base/limits.js";
import { type Fields, noFields, readFields, writeFields } from "./fields.js";

export interface Message {
  readonly type: string;
  /** absent where there are none */
  readonly fields?: Fields;
}

type Parts<M extends Message> = Omit<M, "type" | "fields">;

/** One type of message: its number, and how its parts are written and read. */
export interface Form<M extends Message> {
  readonly number: number;
  write(to: Writer, message: Parts<M>): void;
  /** copies what it keeps: what arrives is a view into a larger buffer */
  read(from: Reader): Parts<M>;
}

/** A form for each type of a kind of messages. */
export type Forms<M extends Message> = { readonly [T in M["type"]]: Form<Extract<M, { type: T }>> };

/** A message of a type that this version does not know and may skip. */
export interface Unknown {
  readonly type: "unknown";
}

export interface Codec<M extends Message> {
  encode(message: M): Buffer;
  decode(bytes: Uint8Array): M | Unknown;
}

/** Encoder and decoder of one kind of messages. @param what names the kind in errors */
export function codecOf<M extends Message>(what: string, forms: Forms<M>): Codec<M> {
  const known = forms as unknown as Readonly<Record<string, Form<Message>>>;
  const byNumber = new Map(Object.entries(known).map(([type, form]) => [form.number, { type, form }]));
  return {
    encode: (message) => {
      const form = known[message.type] as Form<Message>;
      const to = new Writer(512).u8(form.number);
      form.write(to, message);
      writeFields(to, message.fields ?? noFields);
      if (to.length > wire.messageBytes)
        throw new RangeError(`expected a ${what} of at most ${wire.messageBytes} bytes, got ${to.length}`);
      return to.finish();
    },
    decode: (bytes) => {
      const from = new Reader(bytes, what);
      if (bytes.length > wire.messageBytes) from.fail("too long");
      const number = from.u8();
      const found = byNumber.get(number);
      if (found === undefined) {
        if (number % 2 === 1) return { type: "unknown" };
        throw new Problem("unsupported", `a ${what} of type ${number}, which this version does not know`);
      }
      const parts = found.form.read(from);
      const fields = readFields(from);
      from.end();
      return { type: found.type, ...parts, ...(fields.length > 0 ? { fields } : {}) } as unknown as M;
    },
  };
}

export function take(from: Reader, length = 32): Buffer {
  return Buffer.from(from.raw(length));
}

export function readFlag(from: Reader): boolean {
  const flag = from.u8();
  if (flag > 1) from.fail("a flag that is neither 0 nor 1");
  return flag === 1;
}

/** A row of items behind their count. */
export function writeRow<T>(to: Writer, items: readonly T[], most: number, write: (item: T) => void): void {
  if (items.length > most) throw new RangeError(`expected at most ${most} items in a message, got ${items.length}`);
  to.varint(items.length);
  for (const item of items) write(item);
}

/** @param least bytes that each item takes at least */
export function readRow<T>(from: Reader, most: number, least: number, read: () => T): T[] {
  return Array.from({ length: from.count(most, least) }, read);
}

/** Bytes of a bounded length behind it. */
export function writeBytes(to: Writer, bytes: Uint8Array, most: number): void {
  if (bytes.length > most) throw new RangeError(`expected at most ${most} bytes in a message, got ${bytes.length}`);
  to.blob(bytes);
}

export function readBytes(from: Reader, most: number): Buffer {
  return Buffer.from(from.blob(most));
}

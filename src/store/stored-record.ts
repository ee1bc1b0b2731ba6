/**
 * Records as they stand in a file, each behind its length (u32), and what of a file is a record at all.
 * @module
 */
import { readSync } from "node:fs";
import { Problem, systemProblem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { checkRecord, decodeRecord, follows, type LogRecord, recordHeaderBytes } from "../format/record.js";

/** A record and where the next one begins in the file. */
export interface StoredRecord {
  readonly record: LogRecord;
  readonly end: number;
}

export const lengthBytes = 4;
const magic = Buffer.from("BCOOPREC", "latin1");

/** A record as it stands in the file. */
export function framed(record: LogRecord): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32LE(record.bytes.length);
  return Buffer.concat([length, record.bytes]);
}

export function readAt(fd: number, from: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let got = 0;
  try {
    while (got < length) {
      const n = readSync(fd, bytes, got, length - got, from + got);
      if (n === 0) break;
      got += n;
    }
  } catch (error) {
    throw systemProblem("cannot read a log", error);
  }
  return bytes.subarray(0, got);
}

/** The record at `from`, checked against its predecessor; undefined where no whole valid one stands there. */
export function recordAt(
  fd: number,
  from: number,
  size: number,
  device: Uint8Array,
  last: LogRecord | undefined,
): StoredRecord | undefined {
  if (size - from < lengthBytes + recordHeaderBytes) return undefined;
  const length = readAt(fd, from, lengthBytes).readUInt32LE();
  const end = from + lengthBytes + length;
  if (length > format.recordBytes || end > size) return undefined;
  const bytes = readAt(fd, from + lengthBytes, length);
  // A write of which only the beginning reached the disk ends in zeros: that is no record of a format or suite unknown.
  if (bytes[magic.length] === 0 || bytes[magic.length + 1] === 0) return undefined;
  try {
    const record = decodeRecord(bytes);
    if (last !== undefined && !follows(last, record)) return undefined;
    checkRecord(record, device);
    return { record, end };
  } catch (error) {
    // What the disk would not read, or a newer version wrote, may well be a record: that is not for us to cut away.
    if (error instanceof Problem && (error.code === "format" || error.code === "damaged")) return undefined;
    throw error;
  }
}

/** Does any record that the device signed begin after `from`? */
export function anyRecordAfter(fd: number, from: number, size: number, device: Uint8Array, last: LogRecord): boolean {
  const rest = readAt(fd, from, size - from);
  for (let at = rest.indexOf(magic, 1); at >= 0; at = rest.indexOf(magic, at + 1)) {
    if (at < lengthBytes) continue;
    const found = recordAt(fd, from + at - lengthBytes, size, device, undefined);
    if (found !== undefined && found.record.seq > last.seq) return true;
  }
  return false;
}

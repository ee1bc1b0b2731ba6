/**
 * A small secret file as text: one line that names the format, one of hex that ends in a checksum, so that a damaged
 * file is named and never used.
 * @module
 */
import { Reader, sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { hashOf } from "../format/hash.js";

const checkBytes = 8;

export function armour(line: string, body: Buffer): string {
  return `${line}\n${toHex(body)}${toHex(hashOf(body).subarray(0, checkBytes))}\n`;
}

/** @param file its name, for the Problem("damaged") that says what to do */
export function unarmour(text: Buffer, line: string, file: string): Reader {
  const damaged = new Problem("damaged", `${file} is damaged; put it back from a copy of the home`);
  const [head, hex = "", rest] = text.toString("latin1").split("\n");
  if (head !== line || rest !== "" || !/^([0-9a-f]{2})+$/.test(hex)) throw damaged;
  const bytes = Buffer.from(hex, "hex");
  const body = bytes.subarray(0, Math.max(0, bytes.length - checkBytes));
  if (!sameBytes(hashOf(body).subarray(0, checkBytes), bytes.subarray(body.length))) throw damaged;
  return new Reader(body, file);
}

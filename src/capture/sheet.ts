/**
 * The stat sheet: what only change detection needs (change time, inode, device relative to the root's), folder by
 * folder. A local cache file per fileset, tied to the revision it was made with and never sent anywhere; losing it
 * costs one reading of all files, which dedup absorbs.
 *
 *   magic "BCOOPST1" ‖ blocks … ‖ index { path hash 8 ‖ offset u48 ‖ length u32 } … ‖ count u32 ‖ revision id 32 ‖ check 8
 * @module
 */
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { Reader, Writer } from "../base/bytes.js";
import { systemProblem } from "../base/errors.js";
import { hashOf } from "../format/hash.js";

const magic = Buffer.from("BCOOPST1", "latin1");
const indexEntryBytes = 18;
const tailBytes = 4 + 32 + 8;

/** What must be equal for a file to count as unchanged, beside size, mtime and kind. */
export interface SheetRow {
  readonly ctimeNs: bigint;
  readonly ino: bigint;
  /** on the device of the fileset's root */
  readonly sameDevice: boolean;
}

function pathHash(path: Uint8Array): string {
  return hashOf(path).subarray(0, 8).toString("latin1");
}

/** A sheet of an earlier revision; folders are decoded as they are asked for. */
export class Sheet {
  readonly #bytes: Buffer;
  readonly #index = new Map<string, number>();

  private constructor(bytes: Buffer, indexAt: number, count: number) {
    this.#bytes = bytes;
    for (let i = 0; i < count; i++) {
      const at = indexAt + i * indexEntryBytes;
      this.#index.set(bytes.toString("latin1", at, at + 8), at);
    }
  }

  /** The sheet in this file, if it is whole and belongs to this revision. */
  static open(path: string, revision: Uint8Array): Sheet | undefined {
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch {
      return undefined;
    }
    const tail = bytes.length - tailBytes;
    if (tail < magic.length || !bytes.subarray(0, 8).equals(magic)) return undefined;
    if (
      !hashOf(bytes.subarray(0, bytes.length - 8))
        .subarray(0, 8)
        .equals(bytes.subarray(bytes.length - 8))
    )
      return undefined;
    if (!bytes.subarray(tail + 4, tail + 36).equals(revision)) return undefined;
    const count = bytes.readUInt32LE(tail);
    return new Sheet(bytes, tail - count * indexEntryBytes, count);
  }

  /** Rows of a folder by name (latin1 of the raw bytes). */
  folder(path: Uint8Array): ReadonlyMap<string, SheetRow> {
    const rows = new Map<string, SheetRow>();
    const at = this.#index.get(pathHash(path));
    if (at === undefined) return rows;
    const offset = this.#bytes.readUIntLE(at + 8, 6);
    const from = new Reader(this.#bytes.subarray(offset, offset + this.#bytes.readUInt32LE(at + 14)), "stat sheet");
    if (!from.blob(1 << 20).equals(path)) return rows;
    while (from.left > 0) {
      const name = from.blob(4096).toString("latin1");
      rows.set(name, { ctimeNs: from.signed(), ino: from.bigVarint(), sameDevice: from.u8() === 1 });
    }
    return rows;
  }
}

/** Writes the sheet of the revision that is being made. */
export class SheetWriter {
  readonly #path: string;
  readonly #fd: number;
  readonly #index = new Writer(1024);
  #held = new Writer(1 << 16);
  readonly #pieces: Buffer[] = [];
  #length = magic.length;
  #count = 0;

  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openSync(`${path}.tmp`, "w", 0o600);
    } catch (error) {
      throw systemProblem("cannot write the stat sheet", error);
    }
    this.#pieces.push(magic);
  }

  folder(path: Uint8Array, rows: readonly { name: Uint8Array; row: SheetRow }[]): void {
    if (rows.length === 0) return;
    const to = this.#held;
    const before = to.length;
    to.blob(path);
    for (const { name, row } of rows)
      to.blob(name)
        .signed(row.ctimeNs)
        .varint(row.ino)
        .u8(row.sameDevice ? 1 : 0);
    const length = to.length - before;
    const offset = Buffer.alloc(6);
    offset.writeUIntLE(this.#length, 0, 6);
    this.#index
      .raw(Buffer.from(pathHash(path), "latin1"))
      .raw(offset)
      .u32(length);
    this.#length += length;
    this.#count++;
    if (to.length >= 1 << 20) this.#spill();
  }

  #spill(): void {
    this.#pieces.push(Buffer.from(this.#held.finish()));
    this.#held = new Writer(1 << 16);
  }

  /** Put it in place for `revision`. A failure costs time on the next run and nothing else. */
  finish(revision: Uint8Array): void {
    this.#spill();
    const tail = new Writer(64).u32(this.#count).raw(revision).finish();
    const body = Buffer.concat([...this.#pieces, this.#index.finish(), tail]);
    const whole = Buffer.concat([body, hashOf(body).subarray(0, 8)]);
    try {
      for (let at = 0; at < whole.length; ) at += writeSync(this.#fd, whole, at);
      closeSync(this.#fd);
      renameSync(`${this.#path}.tmp`, this.#path);
    } catch {
      rmSync(`${this.#path}.tmp`, { force: true });
    }
  }

  abandon(): void {
    closeSync(this.#fd);
    rmSync(`${this.#path}.tmp`, { force: true });
  }
}

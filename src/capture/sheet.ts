/**
 * The stat sheet: what only change detection needs (change time, inode, device relative to the root's), folder by
 * folder. A local cache file per fileset, tied to the revision it was made with and never sent anywhere; losing it
 * costs one reading of all files, which dedup absorbs.
 *
 *   magic "BCOOPST2" ‖ folders … ‖ index { path hash 8 ‖ offset u48 ‖ length u32 } … ‖ count u32 ‖ revision id 32 ‖ check 8
 *
 *   folder   path blob ‖ { name blob ‖ change time (zigzag) ‖ inode varint ‖ on the root's device u8 } … by name
 *   check    of the hashes of each MiB of all before it
 * @module
 */
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { compareBytes, Reader, Writer } from "../base/bytes.js";
import { systemProblem } from "../base/errors.js";
import { hashOf } from "../format/hash.js";

const magic = Buffer.from("BCOOPST2", "latin1");
const indexEntryBytes = 18;
const checkBytes = 8;
const blockBytes = 1 << 20;
const tailBytes = 4 + 32 + checkBytes;

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

function checkOf(blockHashes: readonly Buffer[]): Buffer {
  return hashOf(Buffer.concat(blockHashes)).subarray(0, checkBytes);
}

/** Rows of one folder, asked for in ascending byte order of their names. */
export class SheetRows {
  readonly #from: Reader | undefined;
  #name: Buffer | undefined;
  #row: SheetRow | undefined;

  constructor(from: Reader | undefined) {
    this.#from = from;
    this.#step();
  }

  #step(): void {
    const from = this.#from;
    this.#name = undefined;
    if (from === undefined || from.left === 0) return;
    this.#name = from.blob(4096);
    this.#row = { ctimeNs: from.signed(), ino: from.bigVarint(), sameDevice: from.u8() === 1 };
  }

  at(name: Uint8Array): SheetRow | undefined {
    for (; this.#name !== undefined; this.#step()) {
      const order = compareBytes(this.#name, name);
      if (order >= 0) return order === 0 ? this.#row : undefined;
    }
    return undefined;
  }
}

export const noRows = new SheetRows(undefined);

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
    const end = bytes.length - checkBytes;
    const hashes: Buffer[] = [];
    for (let at = 0; at < end; at += blockBytes)
      hashes.push(hashOf(bytes.subarray(at, Math.min(end, at + blockBytes))));
    if (!checkOf(hashes).equals(bytes.subarray(end))) return undefined;
    if (!bytes.subarray(tail + 4, tail + 36).equals(revision)) return undefined;
    const count = bytes.readUInt32LE(tail);
    return new Sheet(bytes, tail - count * indexEntryBytes, count);
  }

  /** Rows of the folder at this path. */
  folder(path: Uint8Array): SheetRows {
    const at = this.#index.get(pathHash(path));
    if (at === undefined) return noRows;
    const offset = this.#bytes.readUIntLE(at + 8, 6);
    const from = new Reader(this.#bytes.subarray(offset, offset + this.#bytes.readUInt32LE(at + 14)), "stat sheet");
    return from.blob(1 << 20).equals(path) ? new SheetRows(from) : noRows;
  }
}

/** Takes the rows of one folder, ascending by name; `end` puts them into the sheet. */
export class FolderRows {
  readonly #to = new Writer();
  readonly #path: Uint8Array;
  readonly #done: (path: Uint8Array, rows: Buffer) => void;
  #any = false;

  constructor(path: Uint8Array, done: (path: Uint8Array, rows: Buffer) => void) {
    this.#path = path;
    this.#done = done;
    this.#to.blob(path);
  }

  add(name: Uint8Array, { ctimeNs, ino, sameDevice }: SheetRow): void {
    this.#any = true;
    this.#to
      .blob(name)
      .signed(ctimeNs)
      .varint(ino)
      .u8(sameDevice ? 1 : 0);
  }

  end(): void {
    if (this.#any) this.#done(this.#path, this.#to.finish());
  }
}

/** Writes the sheet of the revision that is being made. A failure costs time on the next run and nothing else. */
export class SheetWriter {
  readonly #path: string;
  readonly #fd: number;
  readonly #index = new Writer(1024);
  readonly #block = Buffer.allocUnsafe(blockBytes);
  readonly #hashes: Buffer[] = [];
  /** of the block */
  #filled = 0;
  #length = 0;
  #count = 0;
  #failed = false;

  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openSync(`${path}.tmp`, "w", 0o600);
    } catch (error) {
      throw systemProblem("cannot write the stat sheet", error);
    }
    this.#put(magic);
  }

  /** Begin a folder; others may begin and end before it ends. */
  folder(path: Uint8Array): FolderRows {
    return new FolderRows(path, this.#add);
  }

  readonly #add = (path: Uint8Array, rows: Buffer): void => {
    const offset = Buffer.alloc(6);
    offset.writeUIntLE(this.#length, 0, 6);
    this.#index
      .raw(Buffer.from(pathHash(path), "latin1"))
      .raw(offset)
      .u32(rows.length);
    this.#count++;
    this.#put(rows);
  };

  #put(bytes: Uint8Array): void {
    this.#length += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + blockBytes - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === blockBytes) this.#flush();
    }
  }

  #flush(): void {
    const block = this.#block.subarray(0, this.#filled);
    this.#filled = 0;
    if (block.length > 0) this.#hashes.push(hashOf(block));
    this.#write(block);
  }

  #write(bytes: Uint8Array): void {
    if (this.#failed) return;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
    } catch {
      this.#failed = true;
    }
  }

  /** Put it in place for `revision`. */
  finish(revision: Uint8Array): void {
    this.#put(this.#index.finish());
    this.#put(new Writer(64).u32(this.#count).raw(revision).finish());
    this.#flush();
    this.#write(checkOf(this.#hashes));
    if (this.#failed) {
      this.abandon();
      return;
    }
    closeSync(this.#fd);
    try {
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

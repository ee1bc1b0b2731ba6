/**
 * Segments as files: written once under a temporary name, renamed to their own when every byte is on the disk, and
 * never changed again. `store/segments/ab/<name>.seg`.
 * @module
 */
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { format } from "../base/limits.js";
import type { Epoch } from "../format/keys.js";
import { NameHasher } from "../format/leaves.js";
import { decodeHeader, headerBytes, SegmentReader, trailerBytes } from "../format/segment.js";
import type { Table } from "../format/table.js";
import { type Home, makeFolder, syncFolder, tryUnlink } from "./home.js";

const sync = promisify(fdatasync);

export function segmentPath(home: Home, name: Uint8Array): string {
  const hex = Buffer.from(name).toString("hex");
  return join(home.segments, hex.slice(0, 2), `${hex}.seg`);
}

/** A segment that is being written. */
export class SegmentFile {
  readonly path: string;
  #fd: number | undefined;
  #length = 0;

  constructor(path: string) {
    this.path = path;
    try {
      this.#fd = openSync(path, "wx", 0o600);
    } catch (error) {
      throw systemProblem("cannot begin a segment", error);
    }
  }

  write(bytes: Uint8Array): void {
    const fd = this.#fd as number;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, this.#length + at);
    } catch (error) {
      throw systemProblem("cannot write a segment", error);
    }
    this.#length += bytes.length;
  }

  /** Every byte on the disk, then its own name, then the name on the disk. @param before runs just ahead of the rename */
  async finish(home: Home, name: Uint8Array, before: () => void): Promise<void> {
    const path = segmentPath(home, name);
    try {
      await sync(this.#fd as number);
      this.#close();
      before();
      const folder = join(path, "..");
      makeFolder(folder);
      renameSync(this.path, path);
      syncFolder(folder);
      // Whoever made the folder may have died before its own name was on the disk.
      syncFolder(home.segments);
    } catch (error) {
      throw systemProblem("cannot complete a segment", error);
    }
  }

  abandon(): void {
    this.#close();
    tryUnlink(this.path);
  }

  /** Once: a number closed twice may by then be somebody else's. */
  #close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) closeSync(fd);
  }
}

/** Bytes of a segment's file; fewer than asked for at its end. Problem("missing") where there is no such file. */
export function readSegment(home: Home, name: Uint8Array, offset: number, length: number): Buffer {
  const path = segmentPath(home, name);
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if (errnoOf(error) === "ENOENT")
      throw new Problem("missing", `segment ${hexStart(name)} is missing from the store; run "bcoopfs check"`);
    throw systemProblem(`cannot read segment ${hexStart(name)}`, error);
  }
  try {
    const bytes = Buffer.allocUnsafe(length);
    let got = 0;
    while (got < length) {
      const n = readSync(fd, bytes, got, length - got, offset + got);
      if (n === 0) break;
      got += n;
    }
    return bytes.subarray(0, got);
  } catch (error) {
    throw systemProblem(`cannot read segment ${hexStart(name)}`, error);
  } finally {
    closeSync(fd);
  }
}

/** First digits of a name or id, for messages. */
export function hexStart(name: Uint8Array): string {
  return `${Buffer.from(name).toString("hex").slice(0, 16)}…`;
}

/** Length of a segment's file, or undefined where there is none. */
export function segmentLength(home: Home, name: Uint8Array): number | undefined {
  return statSync(segmentPath(home, name), { throwIfNoEntry: false })?.size;
}

/** Open a segment's header and footer: what is in it. Problem("damaged" or "missing") where they do not read. */
export function readTableOf(
  home: Home,
  name: Uint8Array,
  length: number,
  epochs: ReadonlyMap<number, Epoch>,
): { reader: SegmentReader; table: Table } {
  const header = decodeHeader(readSegment(home, name, 0, headerBytes));
  const epoch = epochs.get(header.epoch);
  if (epoch === undefined)
    throw new Problem(
      "damaged",
      `segment ${hexStart(name)} was sealed in epoch ${header.epoch}, whose keys are not here`,
    );
  const reader = new SegmentReader(header, epoch);
  const place = reader.footerPlace(readSegment(home, name, length - trailerBytes, trailerBytes), length);
  return { reader, table: reader.table(readSegment(home, name, place.offset, place.bytes), place) };
}

/** Read all of a segment's file and check it against its name. */
export function verifySegment(home: Home, name: Uint8Array, length: number): void {
  const hasher = new NameHasher();
  const step = 16 * format.leafBytes;
  for (let at = 0; at < length; at += step) hasher.update(readSegment(home, name, at, Math.min(step, length - at)));
  if (segmentLength(home, name) !== length || !hasher.finish().name.equals(name))
    throw new Problem("damaged", `segment ${hexStart(name)} is damaged: its bytes do not match its name`);
}

/** Have a segment's bytes and its name on the disk, whoever wrote them. */
export function syncSegment(home: Home, name: Uint8Array): void {
  const path = segmentPath(home, name);
  const fd = openSync(path, "r");
  try {
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
  syncFolder(dirname(path));
  syncFolder(home.segments);
}

/** Names of all segment files in the store. */
export function* segmentFiles(home: Home): Generator<Buffer> {
  for (const folder of readdirSync(home.segments).sort())
    for (const file of readdirSync(join(home.segments, folder)).sort())
      if (/^[0-9a-f]{64}\.seg$/.test(file)) yield Buffer.from(file.slice(0, 64), "hex");
}

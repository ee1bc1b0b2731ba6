/**
 * This device's own segments as files: written once under a temporary name, renamed to their own when every byte is on
 * the disk, and never changed again. `store/segments/ab/<name>.seg`. Read as any object is, see `objects.ts`.
 * @module
 */
import { closeSync, fdatasyncSync, openSync, readdirSync, renameSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemProblem } from "../base/errors.js";
import type { System } from "../base/system.js";
import { type Home, makeFolder, syncFolder, tryUnlink } from "./home.js";

export function segmentPath(home: Home, name: Uint8Array): string {
  const hex = Buffer.from(name).toString("hex");
  return join(home.segments, hex.slice(0, 2), `${hex}.seg`);
}

/** A segment that is being written. */
export class SegmentFile {
  readonly path: string;
  readonly #system: System;
  #fd: number | undefined;
  #length = 0;

  constructor(path: string, system: System) {
    this.path = path;
    this.#system = system;
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
      await this.#system.sync(this.#fd as number);
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

/** First digits of a name or id, for messages. */
export function hexStart(name: Uint8Array): string {
  return `${Buffer.from(name).toString("hex").slice(0, 16)}…`;
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

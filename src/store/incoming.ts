/**
 * An object on its way here, leaf by leaf from its first one: `store/incoming/<name>-<length>`, moved to `store/objects/` when it
 * is whole. The length is a part of it because whoever lists an object may be wrong about it, and is not to harm what is
 * received in its true length. Whoever writes has checked each leaf against the name, so what a killed process left is good as far as
 * whole leaves go, and the next one goes on behind it. What a power cut left may be anything: before an object gets its
 * place, all of its file is read again and hashed. A process that receives holds a lock on the file.
 *
 *   begin → write, in order … → finish (on the disk, hashed, moved)
 *                             ↘ pause (kept as it is)
 * @module
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, renameSync, statSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { Problem, systemProblem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { native } from "../base/native.js";
import type { System } from "../base/system.js";
import { leafCount } from "../format/leaves.js";
import { type Home, makeFolder, syncFolder, tryUnlink } from "./home.js";
import { nameOf, objectLength, objectPath } from "./objects.js";
import { hexStart } from "./segments.js";
import type { ObjectId } from "./source.js";

/** One object being received. */
export class Incoming {
  readonly object: ObjectId;
  readonly #home: Home;
  readonly #system: System;
  readonly #path: string;
  #fd: number | undefined;
  #next: number;

  private constructor(home: Home, system: System, object: ObjectId, path: string, fd: number, next: number) {
    this.#home = home;
    this.#system = system;
    this.object = object;
    this.#path = path;
    this.#fd = fd;
    this.#next = next;
  }

  /**
   * Go on with an object where the last one stopped. undefined where it is here already, or another process (or another
   * part of this one) receives it.
   */
  static begin(home: Home, system: System, object: ObjectId): Incoming | undefined {
    const path = join(home.incoming, `${object.name.toString("hex")}-${object.length}`);
    try {
      makeFolder(home.incoming);
      for (;;) {
        const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
        try {
          if (!native().lock(fd, true, false)) {
            closeSync(fd);
            return undefined;
          }
          // Whoever held the lock may have moved the file to its place meanwhile, and that is nobody's to write to.
          const ours = fstatSync(fd).ino === statSync(path, { throwIfNoEntry: false })?.ino;
          if (ours && objectLength(home, object.name) !== object.length)
            return new Incoming(home, system, object, path, fd, wholeLeaves(fd, object.length));
          if (ours) tryUnlink(path);
          closeSync(fd);
          if (ours) return undefined;
        } catch (error) {
          closeSync(fd);
          throw error;
        }
      }
    } catch (error) {
      throw systemProblem(`cannot receive object ${hexStart(object.name)}`, error);
    }
  }

  /** The first leaf that is not here; `leafCount` of the length when all are. */
  get next(): number {
    return this.#next;
  }

  get isWhole(): boolean {
    return this.#next === leafCount(this.object.length);
  }

  /**
   * Append verified leaves: from leaf `next` on, whole ones but for the object's end.
   * Problem("no-space") where the disk is full: what came before is kept, and it may be tried again.
   */
  write(first: number, bytes: Uint8Array): void {
    const { length } = this.object;
    const from = first * format.leafBytes;
    const end = from + bytes.length;
    if (first !== this.#next || end > length || (end !== length && bytes.length % format.leafBytes !== 0))
      throw new RangeError(`expected whole leaves from ${this.#next} on, got ${bytes.length} bytes from ${first}`);
    try {
      const fd = this.#held();
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, from + at);
    } catch (error) {
      throw systemProblem(`cannot receive object ${hexStart(this.object.name)}`, error);
    }
    this.#next = end === length ? leafCount(length) : end / format.leafBytes;
  }

  /**
   * All leaves are written: have them on the disk, hash all of them once more, and give the object its place. The file
   * is let go in any case. Problem("damaged") where it is not what its name says: then it is gone, and is asked for anew.
   */
  async finish(): Promise<void> {
    const { name, length } = this.object;
    const fd = this.#held();
    if (!this.isWhole) throw new RangeError("expected all leaves before the end");
    try {
      await this.#sync(fd);
      if (!(await nameOf(fd, length, this.#system)).name.equals(name)) {
        tryUnlink(this.#path);
        throw new Problem("damaged", `object ${hexStart(name)} did not arrive as it was sent; it is asked for again`);
      }
      const path = objectPath(this.#home, name);
      makeFolder(this.#home.objects);
      makeFolder(dirname(path));
      renameSync(this.#path, path);
      syncFolder(dirname(path));
      // Whoever made the folder may have died before its own name was on the disk.
      syncFolder(this.#home.objects);
    } catch (error) {
      throw systemProblem(`cannot keep object ${hexStart(name)}`, error);
    } finally {
      this.pause();
    }
  }

  /** After a sync that failed nobody knows what is on the disk, and the next one would not tell: begin from nothing. */
  async #sync(fd: number): Promise<void> {
    try {
      await this.#system.sync(fd);
    } catch (error) {
      tryUnlink(this.#path);
      throw error;
    }
  }

  /** Let go of the object, and keep what is here of it. */
  pause(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd === undefined) return;
    // Nothing came: leave nothing. The lock is still held, so nobody else writes to it.
    if (this.#next === 0) tryUnlink(this.#path);
    closeSync(fd);
  }

  #held(): number {
    if (this.#fd === undefined) throw new RangeError("expected an object that is still being received");
    return this.#fd;
  }
}

/** How many leaves of an object are in this file; what stands behind them is cut away. */
function wholeLeaves(fd: number, length: number): number {
  const { size } = fstatSync(fd);
  if (size === length) return leafCount(length);
  // Longer than the object: nothing that we wrote.
  const leaves = size > length ? 0 : Math.floor(size / format.leafBytes);
  ftruncateSync(fd, leaves * format.leafBytes);
  return leaves;
}

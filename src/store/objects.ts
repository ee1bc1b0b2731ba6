/**
 * Objects as files, by their names alone: this device's own segments, and what others keep here, of any kind, in
 * `store/objects/ab/<name>`. Nothing of this needs a key.
 * @module
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { choice, format } from "../base/limits.js";
import type { System } from "../base/system.js";
import { leafCount, LeafTree, NameHasher } from "../format/leaves.js";
import { hashOf } from "../format/hash.js";
import type { Home } from "./home.js";
import { hexStart, segmentPath } from "./segments.js";

/** How much is read at once where all of an object is. */
const pieceBytes = 16 * format.leafBytes;

/** Where an object lies that this device has not written itself. */
export function objectPath(home: Home, name: Uint8Array): string {
  const hex = Buffer.from(name).toString("hex");
  return join(home.objects, hex.slice(0, 2), hex);
}

function openObject(home: Home, name: Uint8Array): number {
  for (const path of [segmentPath(home, name), objectPath(home, name)])
    try {
      return openSync(path, "r");
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw systemProblem(`cannot read segment ${hexStart(name)}`, error);
    }
  throw new Problem("missing", `segment ${hexStart(name)} is missing from the store; run "bcoopfs check"`);
}

/** Bytes of an object's file; fewer than asked for at its end. Problem("missing") where there is no such file. */
export function readObject(home: Home, name: Uint8Array, offset: number, length: number): Buffer {
  const fd = openObject(home, name);
  try {
    return readAt(fd, offset, length);
  } catch (error) {
    throw systemProblem(`cannot read segment ${hexStart(name)}`, error);
  } finally {
    closeSync(fd);
  }
}

/** Bytes of an open file; fewer than asked for at its end. */
export function readAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let got = 0;
  while (got < length) {
    const n = readSync(fd, bytes, got, length - got, offset + got);
    if (n === 0) break;
    got += n;
  }
  return bytes.subarray(0, got);
}

/** An object's file and its length, or undefined where there is none. */
export function objectFile(home: Home, name: Uint8Array): { path: string; length: number } | undefined {
  for (const path of [segmentPath(home, name), objectPath(home, name)]) {
    const length = statSync(path, { throwIfNoEntry: false })?.size;
    if (length !== undefined) return { path, length };
  }
  return undefined;
}

export function objectLength(home: Home, name: Uint8Array): number | undefined {
  return objectFile(home, name)?.length;
}

/** Read all of an object's file and check it against its name. */
export function verifyObject(home: Home, name: Uint8Array, length: number): void {
  const hasher = new NameHasher();
  for (let at = 0; at < length; at += pieceBytes)
    hasher.update(readObject(home, name, at, Math.min(pieceBytes, length - at)));
  if (objectLength(home, name) !== length || !hasher.finish().name.equals(name))
    throw new Problem("damaged", `segment ${hexStart(name)} is damaged: its bytes do not match its name`);
}

/** What an open file of this length is called, and its leaves. Everything else has its turn between two pieces. */
export async function nameOf(fd: number, length: number, system: System): Promise<{ name: Buffer; leaves: Buffer[] }> {
  const hasher = new NameHasher();
  for (let at = 0; at < length; at += pieceBytes) {
    hasher.update(readAt(fd, at, Math.min(pieceBytes, length - at)));
    await system.turn();
  }
  return hasher.finish();
}

/** Leaves of an object and what proves them. */
export interface Leaves {
  readonly bytes: Buffer;
  readonly proof: readonly Buffer[];
}

/**
 * Gives objects away leaf by leaf. The chaining values of an object are computed when it is first asked for and kept
 * for as long as there is room. They are compared with its name, and every leaf with them, so nothing leaves here that
 * the name does not prove, whatever has become of the file.
 */
export class LeafServer {
  readonly #home: Home;
  readonly #system: System;
  readonly #damaged: (name: Buffer) => void;
  /** oldest use first */
  readonly #known = new Map<string, Known>();
  #leaves = 0;
  readonly #begun = new Map<string, Promise<Known | undefined>>();
  /** files that are not what their names say, as they were when that was seen */
  readonly #bad = new Map<string, string>();

  /** @param damaged told once of each file that is not what its name says */
  constructor(home: Home, system: System, damaged: (name: Buffer) => void = () => {}) {
    this.#home = home;
    this.#system = system;
    this.#damaged = damaged;
  }

  /** Leaves first… of an object, fewer at its end; undefined where it is not here, or not what its name says. */
  async read(name: Buffer, length: number, first: number, count: number): Promise<Leaves | undefined> {
    const total = leafCount(length);
    const last = Math.min(first + count, total) - 1;
    if (!Number.isSafeInteger(first) || first < 0 || last < first || name.length !== 32) return undefined;
    // A file that was changed since its leaves were computed is looked at anew, once.
    for (let attempt = 1; attempt <= 2; attempt++) {
      const known = await this.#look(name);
      if (known?.length !== length) return undefined;
      const bytes = this.#bytes(name, first * format.leafBytes, Math.min(length, (last + 1) * format.leafBytes));
      if (bytes === undefined) return undefined;
      const good = total === 1 ? hashOf(bytes).equals(name) : known.tree.holds(first, bytes);
      if (good) return { bytes, proof: known.tree.proof(first, last) };
      this.#forget(name.toString("latin1"));
    }
    return undefined;
  }

  #bytes(name: Buffer, from: number, to: number): Buffer | undefined {
    try {
      return readObject(this.#home, name, from, to - from);
    } catch (error) {
      if (error instanceof Problem && error.code === "missing") return undefined;
      throw error;
    }
  }

  #forget(key: string): void {
    this.#leaves -= this.#known.get(key)?.tree.leaves ?? 0;
    this.#known.delete(key);
  }

  #look(name: Buffer): Promise<Known | undefined> | Known {
    const key = name.toString("latin1");
    const known = this.#known.get(key);
    if (known !== undefined) {
      this.#known.delete(key);
      this.#known.set(key, known);
      return known;
    }
    const begun = this.#begun.get(key);
    if (begun !== undefined) return begun;
    const work = this.#compute(name, key).finally(() => this.#begun.delete(key));
    this.#begun.set(key, work);
    return work;
  }

  async #compute(name: Buffer, key: string): Promise<Known | undefined> {
    let fd: number;
    try {
      fd = openObject(this.#home, name);
    } catch (error) {
      if (error instanceof Problem && error.code === "missing") return undefined;
      throw error;
    }
    try {
      const { size, ino, mtimeMs } = fstatSync(fd);
      const file = `${ino} ${size} ${mtimeMs}`;
      if (this.#bad.get(key) === file) return undefined;
      // By the file's own length: whoever asks may be wrong about it, and that is no damage.
      const found = await nameOf(fd, size, this.#system);
      if (found.name.equals(name)) return this.#keep(key, { tree: new LeafTree(found.leaves), length: size });
      if (this.#bad.size >= choice.servedObjects) this.#bad.clear();
      this.#bad.set(key, file);
      this.#damaged(name);
      return undefined;
    } catch (error) {
      throw systemProblem(`cannot read object ${hexStart(name)}`, error);
    } finally {
      closeSync(fd);
    }
  }

  #keep(key: string, known: Known): Known {
    this.#known.set(key, known);
    this.#leaves += known.tree.leaves;
    for (const oldest of this.#known.keys()) {
      const room = this.#known.size <= choice.servedObjects && this.#leaves <= choice.servedLeaves;
      if (oldest === key || room) break;
      this.#forget(oldest);
    }
    return known;
  }
}

/** An object whose file has been found to be what its name says. */
interface Known {
  readonly tree: LeafTree;
  readonly length: number;
}

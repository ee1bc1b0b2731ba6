/**
 * Folders of the target, held by descriptor: whatever is planted in or moved around the target meanwhile, nothing is
 * ever written outside it, for every name is opened in the folder that was made for it and no link is followed.
 *
 * Only so many are open at once, so that a tree may be deeper than a process may have descriptors: the longest unused
 * is closed and, when needed, opened again from the one above, which must give the same folder as before.
 * @module
 */
import { closeSync } from "node:fs";
import { Problem } from "../base/errors.js";
import { entriesOf, native, type SystemEntry } from "../base/native.js";

/** A folder of the target. It stays usable after its descriptor was closed. */
export interface Held {
  readonly above: Held | undefined;
  readonly name: Buffer;
  readonly identity: string;
}

export const itself = Buffer.alloc(0);
const mostOpen = 128;

export function statOf(at: number, name: Uint8Array): SystemEntry {
  const [found] = entriesOf(native().statAt(at, name));
  if (found === undefined) throw new Problem("io", "the system tells nothing of a file that is there");
  return found;
}

function identityOf(fd: number): string {
  const { devMajor, devMinor, ino } = statOf(fd, itself);
  return `${devMajor}:${devMinor}:${ino}`;
}

export class HeldFolders {
  readonly top: Held;
  readonly #top: number;
  /** longest unused first */
  readonly #open = new Map<Held, number>();

  /** @param fd of the target; closed by `close` */
  constructor(fd: number) {
    this.#top = fd;
    this.top = { above: undefined, name: itself, identity: identityOf(fd) };
  }

  /** A descriptor for use until the next call. */
  fd(folder: Held): number {
    if (folder.above === undefined) return this.#top;
    const known = this.#open.get(folder);
    if (known === undefined) return this.#enter(folder, native().openFolder(this.fd(folder.above), folder.name));
    this.#open.delete(folder);
    this.#open.set(folder, known);
    return known;
  }

  #enter(folder: Held, fd: number): number {
    this.#open.set(folder, fd);
    if (identityOf(fd) !== folder.identity) {
      this.leave(folder);
      const message = "a folder of the target was exchanged while it was written to; restore to a quiet place";
      throw Object.assign(new Error(message), { code: "ESTALE" });
    }
    for (const [oldest] of this.#open) {
      if (this.#open.size <= mostOpen) break;
      this.leave(oldest);
    }
    return fd;
  }

  /** Make a folder that only we may enter. */
  make(above: Held, name: Buffer): Held {
    native().makeFolder(this.fd(above), name, 0o700);
    const fd = native().openFolder(this.fd(above), name);
    let folder: Held;
    try {
      folder = { above, name, identity: identityOf(fd) };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#enter(folder, fd);
    return folder;
  }

  /** Done with for now. */
  leave(folder: Held): void {
    const fd = this.#open.get(folder);
    this.#open.delete(folder);
    if (fd !== undefined) closeSync(fd);
  }

  close(): void {
    for (const folder of [...this.#open.keys()]) this.leave(folder);
    closeSync(this.#top);
  }
}

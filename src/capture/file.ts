/**
 * One regular file: is it unchanged, is it another name of one that was read already, or is it read now? A file that
 * changes while it is read is read again, and flagged when it will not keep still.
 * @module
 */
import { closeSync } from "node:fs";
import { choice } from "../base/limits.js";
import { entriesOf, native, type SystemEntry } from "../base/native.js";
import type { System } from "../base/system.js";
import { type ContentRef, type Entry, entryFlags, type Xattr } from "../format/entry.js";
import { entryOf, kindOf } from "../vault/entry.js";
import { linkKey } from "../vault/link-key.js";
import type { ContentReader } from "./contents.js";
import type { HeldContents } from "./held.js";
import { identity } from "./own.js";
import type { SheetRow } from "./sheet.js";

/**
 * A change time this close to now may still hide a later change: the clock of file systems ticks in steps. Some keep
 * whole seconds (ext4 with small inodes) or every second one (vfat), and then all times are whole.
 */
const tickNs = 20_000_000n;
const coarseTickNs = 2_000_000_000n;
const second = 1_000_000_000n;

/** Would a change from now on show in the change time? Never where that lies in the future: the clock was set back. */
export function isSettled(ctimeNs: bigint, now: bigint): boolean {
  return now - ctimeNs > (ctimeNs % second === 0n ? tickNs + coarseTickNs : tickNs);
}

export interface FileJob {
  /** folder that holds it */
  readonly at: number;
  readonly path: Buffer;
  readonly found: SystemEntry;
  readonly entry: Entry;
  readonly earlier: Entry | undefined;
  readonly known: SheetRow | undefined;
  readonly row: SheetRow;
  /** the attributes of the open file */
  xattrs(fd: number, state: SystemEntry): readonly Xattr[];
}

export interface FileDone {
  readonly entry: Entry;
  readonly changed: boolean;
  readonly freshBytes: number;
  /** undefined: do not trust this state on the next run */
  readonly row: SheetRow | undefined;
}

/** An inode with several names, until the last of them has come. */
interface Linked {
  readonly group: bigint;
  /** names still to come */
  left: number;
  /** what a name was saved as, and the state that this rests on; undefined where that is not trusted */
  saved: { readonly entry: Entry; readonly row: SheetRow } | undefined;
}

export class FileCapture {
  readonly #contents: ContentReader;
  readonly #held: HeldContents;
  readonly #system: System;
  readonly #rehash: boolean;
  readonly #began: bigint;
  /** by device and inode */
  readonly #linked = new Map<string, Linked>();
  /** groups taken over from the earlier revision: two inodes never share one, whatever names they took over */
  readonly #inherited = new Set<bigint>();

  constructor(contents: ContentReader, held: HeldContents, system: System, rehash: boolean) {
    this.#contents = contents;
    this.#held = held;
    this.#system = system;
    this.#rehash = rehash;
    this.#began = system.now();
  }

  /** Inodes of which more names may come. */
  get linked(): number {
    return this.#linked.size;
  }

  /**
   * The number that all names of one inode share, for one more of them. Carried forward from the earlier revision while
   * it is the same file: a name that could not be read may stand there with the group and what the file held then.
   */
  groupOf(entry: Entry, inode: string, earlier: Entry | undefined): bigint {
    if (entry.links <= 1) return 0n;
    const known = this.#linked.get(inode);
    if (known) {
      if (--known.left <= 0) this.#linked.delete(inode);
      return known.group;
    }
    const inherits = earlier !== undefined && isSameFile(earlier, entry) && !this.#inherited.has(earlier.group);
    const group = inherits ? earlier.group : this.#system.random(8).readBigUInt64LE();
    if (inherits) this.#inherited.add(group);
    this.#linked.set(inode, { group, left: entry.links - 1, saved: undefined });
    return group;
  }

  async capture(job: FileJob, pause: () => Promise<void>): Promise<FileDone> {
    const { found, entry, earlier, row } = job;
    const inode = inodeOf(found);
    if (!this.#rehash && earlier && isUnchanged(job, this.#began) && (await this.#isStored(earlier))) {
      // The same inode may have gained or lost a name elsewhere only with a new change time, so the links hold too.
      const same: Entry = { ...earlier, group: this.groupOf(earlier, inode, earlier) };
      this.#remember(inode, same, row);
      return { entry: same, changed: false, freshBytes: 0, row };
    }
    const twin = this.#linked.get(inode)?.saved;
    if (twin && isState(twin, found)) {
      this.groupOf(entry, inode, earlier);
      return { entry: { ...twin.entry, name: entry.name }, changed: false, freshBytes: 0, row: twin.row };
    }
    return this.#read(job, pause);
  }

  #remember(inode: string, entry: Entry, row: SheetRow | undefined): void {
    const linked = this.#linked.get(inode);
    if (linked) linked.saved = row && { entry, row };
  }

  /** What a lost segment held is read again while there is a source. */
  async #isStored({ content, xattrs }: Entry): Promise<boolean> {
    for (const value of [content, ...xattrs.map(({ value }) => value)]) {
      if (value === undefined || Buffer.isBuffer(value)) continue;
      const stored = this.#held.has(value);
      if (!(typeof stored === "boolean" ? stored : await stored)) return false;
    }
    return true;
  }

  async #read(job: FileJob, pause: () => Promise<void>): Promise<FileDone> {
    const fd = native().openFile(job.at, job.found.name);
    try {
      let freshBytes = 0;
      for (let attempt = 0; ; attempt++) {
        const before = fstat(fd);
        if (kindOf(before.mode) !== "file") throw Object.assign(new Error("ESTALE"), { code: "ESTALE", errno: 116 });
        const got = await this.#contents.file(fd, before.size, pause);
        freshBytes += got.freshBytes;
        const xattrs = job.xattrs(fd, before);
        const now = this.#system.now();
        const after = fstat(fd);
        const still = sameState(before, after) && (got.content?.size ?? 0n) === before.size;
        if (!still && attempt < choice.rereads) continue;
        const entry = this.#entry(job, after, got.content, xattrs, still);
        const row = still && isSettled(after.ctimeNs, now) ? rowOf(job.row, after) : undefined;
        this.#remember(inodeOf(after), entry, row);
        return { entry, changed: !sameContent(job.earlier, entry), freshBytes, row };
      }
    } finally {
      closeSync(fd);
    }
  }

  /** What was opened counts, not what the scan saw: another file may have taken the name meanwhile. */
  #entry(
    job: FileJob,
    state: SystemEntry,
    content: ContentRef | undefined,
    xattrs: readonly Xattr[],
    still: boolean,
  ): Entry {
    const scanned = entryOf("file", state);
    const entry: Entry = {
      ...scanned,
      name: job.entry.name,
      links: Math.max(1, scanned.links),
      size: content?.size ?? 0n,
      content,
      flags: still ? 0 : entryFlags.changedWhileRead,
      xattrs,
    };
    return { ...entry, group: this.groupOf(entry, inodeOf(state), job.earlier) };
  }
}

function inodeOf(state: SystemEntry): string {
  return identity(state.devMajor, state.devMinor, state.ino);
}

function rowOf(scanned: SheetRow, state: SystemEntry): SheetRow {
  return { ...scanned, ctimeNs: state.ctimeNs, ino: state.ino };
}

function fstat(fd: number): SystemEntry {
  return entriesOf(native().statAt(fd, Buffer.alloc(0))).next().value as SystemEntry;
}

function sameState(a: SystemEntry, b: SystemEntry): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}

/** Is the inode as it was when this was saved? Another file may have got its number meanwhile. */
function isState({ entry, row }: { entry: Entry; row: SheetRow }, found: SystemEntry): boolean {
  return row.ctimeNs === found.ctimeNs && entry.mtimeNs === found.mtimeNs && entry.size === found.size;
}

/** An unchanged file costs this comparison and a look into the catalogue, and is not opened. */
function isUnchanged({ found, entry, earlier, known, row }: FileJob, began: bigint): boolean {
  return (
    known !== undefined &&
    known.ctimeNs <= began &&
    earlier?.kind === "file" &&
    earlier.flags === 0 &&
    earlier.size === entry.size &&
    earlier.mtimeNs === entry.mtimeNs &&
    earlier.links === found.nlink &&
    known.ctimeNs === row.ctimeNs &&
    known.ino === row.ino &&
    known.sameDevice === row.sameDevice
  );
}

function sameContent(earlier: Entry | undefined, entry: Entry): boolean {
  if (earlier?.kind !== "file" || earlier.size !== entry.size || earlier.mtimeNs !== entry.mtimeNs) return false;
  return earlier.content === undefined
    ? entry.content === undefined
    : entry.content !== undefined && earlier.content.id.equals(entry.content.id);
}

/** May an entry stand in one group with what the group held? */
function isSameFile(earlier: Entry, entry: Entry): boolean {
  return earlier.links > 1 && linkKey(earlier) === linkKey({ ...entry, group: earlier.group });
}

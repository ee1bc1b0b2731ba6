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
import type { ContentReader } from "./contents.js";
import { identity } from "./own.js";
import type { SheetRow } from "./sheet.js";

/** A change time this close to now may still hide a later change: the clock of file systems ticks in steps. */
const tickNs = 20_000_000n;

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

interface Linked {
  readonly group: bigint;
  /** what the first name was saved as, and the row that this rests on; undefined until it is */
  readonly entry: Entry | undefined;
  readonly row: SheetRow | undefined;
}

export class FileCapture {
  readonly #contents: ContentReader;
  readonly #system: System;
  readonly #rehash: boolean;
  /** files with several names, by device and inode */
  readonly #linked = new Map<string, Linked>();
  /** groups that an inode has in this revision: two inodes never share one, whatever earlier names they took over */
  readonly #groups = new Set<bigint>();

  constructor(contents: ContentReader, system: System, rehash: boolean) {
    this.#contents = contents;
    this.#system = system;
    this.#rehash = rehash;
  }

  /** The number that all names of one inode share; carried forward from the earlier revision where it had one. */
  groupOf(entry: Entry, inode: string, earlier: Entry | undefined): bigint {
    if (entry.links <= 1) return 0n;
    const known = this.#linked.get(inode);
    if (known) return known.group;
    const inherited = earlier?.kind === entry.kind && earlier.links > 1 && !this.#groups.has(earlier.group);
    const group = inherited ? earlier.group : this.#system.random(8).readBigUInt64LE();
    this.#groups.add(group);
    this.#linked.set(inode, { group, entry: undefined, row: undefined });
    return group;
  }

  async capture(job: FileJob, pause: () => Promise<void>): Promise<FileDone> {
    const { found, entry, earlier, row } = job;
    const inode = inodeOf(found);
    if (!this.#rehash && earlier && isUnchanged(job)) {
      // The same inode may have gained or lost a name elsewhere only with a new change time, so the links hold too.
      const same: Entry = { ...earlier, group: this.groupOf(entry, inode, earlier) };
      this.#remember(inode, same, row);
      return { entry: same, changed: false, freshBytes: 0, row };
    }
    const twin = entry.links > 1 ? this.#linked.get(inode) : undefined;
    if (twin?.entry)
      return { entry: { ...twin.entry, name: entry.name }, changed: false, freshBytes: 0, row: twin.row };
    return this.#read(job, pause);
  }

  #remember(inode: string, entry: Entry, row: SheetRow | undefined): void {
    if (entry.links > 1) this.#linked.set(inode, { group: entry.group, entry, row });
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
        const row = still && after.ctimeNs < now - tickNs ? rowOf(job.row, after) : undefined;
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
    const entry = entryOf("file", state);
    const known = { ...entry, name: job.entry.name, links: Math.max(1, entry.links) };
    return {
      ...known,
      group: this.groupOf(known, inodeOf(state), job.earlier),
      size: content?.size ?? 0n,
      content,
      flags: still ? 0 : entryFlags.changedWhileRead,
      xattrs,
    };
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

/** An unchanged file costs this comparison and is not opened. */
function isUnchanged({ found, entry, earlier, known, row }: FileJob): boolean {
  return (
    known !== undefined &&
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

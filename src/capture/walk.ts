/**
 * Folder by folder from a held descriptor into trees: each entry is compared with the previous revision and the stat
 * sheet, read only where it has changed, and added in byte order of the names. What cannot be read is carried forward
 * from the previous revision and reported, never dropped.
 * @module
 */
import { closeSync, constants, openSync } from "node:fs";
import { compareBytes } from "../base/bytes.js";
import { errnoOf, Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { AT_FDCWD, entriesOf, native, type SystemEntry, xattrsOf } from "../base/native.js";
import { escapeForTerminal } from "../base/units.js";
import { type Entry, entryFlags, type TreeRef, type Xattr } from "../format/entry.js";
import { TreeBuilder } from "../format/tree.js";
import { entryOf, kindOf } from "../vault/entry.js";
import { isLoss, type View } from "../vault/view.js";
import { Ascending } from "./ascending.js";
import type { ContentReader } from "./contents.js";
import type { FileCapture } from "./file.js";
import { identity, type OwnState } from "./own.js";
import type { Owners } from "./owners.js";
import { scanInOrder } from "./scan.js";
import type { Rules } from "./select.js";
import { type FolderRows, noRows, type Sheet, type SheetRow, type SheetRows, type SheetWriter } from "./sheet.js";
import type { Tally } from "./tally.js";

/** All that one run hands down the folders. */
export interface WalkContext {
  readonly rules: Rules;
  readonly oneFileSystem: boolean;
  readonly own: OwnState;
  readonly previous: View | undefined;
  readonly before: Sheet | undefined;
  readonly sheet: SheetWriter;
  readonly contents: ContentReader;
  readonly files: FileCapture;
  readonly owners: Owners;
  readonly tally: Tally;
  readonly markKey: Buffer;
  putTree(bytes: Buffer): Buffer;
  /** called between entries: lets others run, closes full segments, stops when asked to */
  pause(): Promise<void>;
  /** told of each place of the previous revision that cannot be read; what lies there counts as new */
  lost(problem: Problem): void;
}

/** A folder above a root shows only what leads to roots: name (latin1) → further folders, or a root. */
export interface RootNode {
  readonly isRoot: boolean;
  readonly children: ReadonlyMap<string, RootNode>;
}

const slash = Buffer.from("/");
const noName = Buffer.alloc(0);
const entriesPerPause = 64;
/** of the 64 KiB of a revision's record */
const rootXattrBytes = 32 * 1024;
/** open(2): a place to look from, which needs no right to list it. Node does not name it. */
const O_PATH = 0o10000000;

function pathOf(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 1 ? Buffer.concat([folder, name]) : Buffer.concat([folder, slash, name]);
}

export class Walk {
  readonly #context: WalkContext;
  /** device of the root that is being walked, as "major:minor" */
  #rootDevice = "";
  #steps = 0;
  #rootsRead = 0;

  constructor(context: WalkContext) {
    this.#context = context;
  }

  /** Roots that were there and could be read, so far. */
  get rootsRead(): number {
    return this.#rootsRead;
  }

  /**
   * The entry of "/" with all roots below it; undefined where it could not be read.
   * @param earlier that of the previous revision
   */
  async revision(node: RootNode, earlier: Entry | undefined): Promise<Entry | undefined> {
    const path = Buffer.from("/");
    let fd: number | undefined;
    try {
      fd = native().openFolder(AT_FDCWD, path);
      const self = statOf(fd, noName);
      const xattrs = this.#inRecord(path, this.#xattrs(fd, noName, path, self, earlier));
      const tree = await this.#top(fd, self, path, node, earlier);
      return { ...entryOf("folder", self), xattrs, tree };
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      this.#context.tally.error(path, "it", error);
      return undefined;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  /** The attributes of "/" that have room in the revision's record, where its entry stands. */
  #inRecord(path: Buffer, xattrs: readonly Xattr[]): readonly Xattr[] {
    let left = rootXattrBytes;
    const kept: Xattr[] = [];
    for (const xattr of xattrs) {
      const bytes = 8 + xattr.name.length + (Buffer.isBuffer(xattr.value) ? xattr.value.length : 32);
      if (bytes > left) continue;
      left -= bytes;
      kept.push(xattr);
    }
    const over = xattrs.length - kept.length;
    if (over > 0)
      this.#context.tally.error(
        path,
        `${over} of its extended attributes`,
        new Error("no room for them in the record"),
      );
    return kept;
  }

  /** The tree of a folder above roots, or of a root itself; `fd` stays open. */
  async #top(
    fd: number,
    self: SystemEntry,
    path: Buffer,
    node: RootNode,
    previous: Entry | undefined,
  ): Promise<TreeRef | undefined> {
    if (this.#context.own.has(self))
      throw new Problem(
        "refused",
        `${escapeForTerminal(path)} is a home or a mount of bcoopfs, which is never saved; name other folders`,
      );
    if (node.isRoot) {
      this.#rootDevice = `${self.devMajor}:${self.devMinor}`;
      const tree = await this.#folder(fd, path, previous);
      this.#rootsRead++;
      return tree;
    }
    const builder = new TreeBuilder(this.#context.markKey, this.#context.putTree);
    const names = [...node.children.keys()].map((name) => Buffer.from(name, "latin1")).sort(compareBytes);
    for (const name of names) {
      const child = node.children.get(name.toString("latin1")) as RootNode;
      const entry = await this.#leading(fd, pathOf(path, name), name, child, previous);
      if (entry) builder.add(entry);
    }
    return builder.finish();
  }

  /** One name on the way to a root, or a root. */
  async #leading(
    at: number,
    path: Buffer,
    name: Buffer,
    node: RootNode,
    parent: Entry | undefined,
  ): Promise<Entry | undefined> {
    const earlier = await this.#earlier(parent, name);
    let found: SystemEntry;
    try {
      found = { ...statOf(at, name), name };
    } catch (error) {
      return this.#unreadable(path, earlier, undefined, error);
    }
    const kind = kindOf(found.mode);
    if (kind === "folder") {
      const entry = await this.#open(at, path, found, earlier, !node.isRoot, (fd, self) =>
        this.#top(fd, self, path, node, earlier),
      );
      if (entry && isFresh(entry)) this.#context.tally.folder(path);
      return entry;
    }
    // Roots are real paths, so a link was not there when they were looked up.
    if (!node.isRoot || kind === "symlink")
      return this.#unreadable(path, earlier, undefined, systemError(kind === "symlink" ? ELOOP : ENOTDIR));
    this.#rootDevice = `${found.devMajor}:${found.devMinor}`;
    const seen = this.#context.sheet.folder(path);
    const entry = await this.#entry(at, path, found, earlier, this.#context.before?.folder(path) ?? noRows, seen);
    seen.end();
    if (entry && isFresh(entry)) this.#rootsRead++;
    return entry;
  }

  async #earlier(parent: Entry | undefined, name: Buffer): Promise<Entry | undefined> {
    const { previous, lost } = this.#context;
    if (parent?.kind !== "folder") return undefined;
    try {
      return await previous?.lookup(parent, name);
    } catch (error) {
      if (!isLoss(error)) throw error;
      lost(error);
      return undefined;
    }
  }

  /** A folder's entry, its tree made by `fill`. @param through it is only passed, so need not be listed */
  async #open(
    at: number,
    path: Buffer,
    found: SystemEntry,
    earlier: Entry | undefined,
    through: boolean,
    fill: (fd: number, self: SystemEntry) => Promise<TreeRef | undefined>,
  ): Promise<Entry | undefined> {
    let fd: number;
    try {
      fd = through ? passFolder(at, found.name) : native().openFolder(at, found.name);
    } catch (error) {
      return this.#unreadable(path, earlier, found, error);
    }
    try {
      // What was opened counts, not what the scan saw: another folder may have taken the name meanwhile.
      const self = { ...statOf(fd, noName), name: found.name };
      const xattrs = this.#xattrs(fd, noName, path, self, earlier);
      const tree = await fill(fd, self);
      this.#context.owners.see(self.uid, self.gid);
      return { ...entryOf("folder", self), xattrs, tree };
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return this.#unreadable(path, earlier, found, error);
    } finally {
      closeSync(fd);
    }
  }

  async #folder(fd: number, path: Buffer, previous: Entry | undefined): Promise<TreeRef | undefined> {
    const context = this.#context;
    const rows = context.before?.folder(path) ?? noRows;
    const seen = context.sheet.folder(path);
    const earlier = new Ascending(
      previous?.kind === "folder" ? context.previous?.entryBatches(previous, undefined, context.lost) : undefined,
    );
    const builder = new TreeBuilder(context.markKey, context.putTree);
    for (const found of scanInOrder(fd)) {
      const before = await earlier.at(found.name);
      const entry = await this.#entry(fd, pathOf(path, found.name), found, before, rows, seen);
      if (entry) builder.add(entry);
      if (++this.#steps % entriesPerPause === 0) await context.pause();
    }
    seen.end();
    return builder.finish();
  }

  async #entry(
    at: number,
    path: Buffer,
    found: SystemEntry,
    earlier: Entry | undefined,
    rows: SheetRows,
    seen: FolderRows,
  ): Promise<Entry | undefined> {
    const context = this.#context;
    const kind = kindOf(found.mode);
    const decision = context.rules.decide(path, kind === "folder");
    if (!decision.captured && !decision.onTheWay) return undefined;
    if (found.errno !== 0)
      return context.own.hasMountPoint(path)
        ? undefined
        : this.#unreadable(path, earlier, found, systemError(found.errno));
    if (kind === undefined || found.name.length > format.nameBytes)
      return this.#unreadable(path, undefined, undefined, systemError(ENAMETOOLONG));
    if (kind === "folder") {
      if (context.own.has(found)) return undefined;
      let ours = false;
      const entry = await this.#open(at, path, found, earlier, false, async (fd, self) => {
        ours = context.own.has(self);
        const elsewhere = context.oneFileSystem && `${self.devMajor}:${self.devMinor}` !== this.#rootDevice;
        return ours || elsewhere ? undefined : this.#folder(fd, path, earlier);
      });
      if (ours) return undefined;
      if (decision.onTheWay && entry?.tree === undefined) return undefined;
      if (entry && isFresh(entry)) context.tally.folder(path);
      return entry;
    }
    context.owners.see(found.uid, found.gid);
    const row: SheetRow = {
      ctimeNs: found.ctimeNs,
      ino: found.ino,
      sameDevice: `${found.devMajor}:${found.devMinor}` === this.#rootDevice,
    };
    try {
      // One that is being removed has no name left by the time it is looked at.
      const fresh = { ...entryOf(kind, found), links: Math.max(1, found.nlink) };
      if (kind === "file") {
        const known = rows.at(found.name);
        const done = await context.files.capture(
          {
            at,
            path,
            found,
            entry: fresh,
            earlier,
            known,
            row,
            xattrs: (fd, state) => this.#xattrs(fd, noName, path, state, earlier),
          },
          context.pause,
        );
        if (done.row) seen.add(found.name, done.row);
        context.tally.file(path, done.entry, done.changed, done.freshBytes);
        return done.entry;
      }
      const target = kind === "symlink" ? native().readLink(at, found.name) : undefined;
      const entry: Entry = { ...fresh, target, xattrs: this.#xattrs(at, found.name, path, found, earlier) };
      const inode = identity(found.devMajor, found.devMinor, found.ino);
      context.tally.other(path);
      return { ...entry, group: context.files.groupOf(entry, inode, earlier) };
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return this.#unreadable(path, earlier, found, error);
    }
  }

  /** Attributes as an entry holds them; unreadable ones are reported, and the earlier ones kept. */
  #xattrs(at: number, name: Buffer, path: Buffer, found: SystemEntry, earlier: Entry | undefined): readonly Xattr[] {
    if (!found.hasXattrs && !found.xattrsFailed) return [];
    try {
      const listed = xattrsOf(native().listXattrs(at, name));
      if (listed.length > format.xattrsPerEntry) throw systemError(E2BIG);
      return listed.map(({ name: key, value }) => ({
        name: Buffer.from(key),
        value:
          value.length <= format.xattrInlineBytes
            ? Buffer.from(value)
            : (this.#context.contents.bytes(value) ?? Buffer.alloc(0)),
      }));
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      this.#context.tally.error(path, "its extended attributes", error);
      return earlier?.xattrs ?? [];
    }
  }

  /** What stands for an entry that could not be read: its earlier self, or an entry that says why. */
  async #unreadable(
    path: Buffer,
    earlier: Entry | undefined,
    found: SystemEntry | undefined,
    error: unknown,
  ): Promise<Entry | undefined> {
    this.#context.tally.error(path, "it", error);
    if (earlier !== undefined && (earlier.flags & entryFlags.neverReadable) === 0) {
      await this.#count(earlier);
      return { ...earlier, flags: earlier.flags | entryFlags.carriedForward };
    }
    const kind = found && kindOf(found.mode);
    // What has vanished between two looks was never there for this revision.
    if (found === undefined || kind === undefined || errnoOf(error) === "ENOENT") return undefined;
    if (kind !== "file" && kind !== "folder") return undefined;
    const entry = { ...entryOf(kind, found), links: 1 };
    return { ...entry, flags: entryFlags.neverReadable, errno: errnoNumber(error) };
  }

  /** What is carried forward, with all that lies below it, is part of the revision and so of its counts. */
  async #count(carried: Entry): Promise<void> {
    const { tally, previous, lost, pause } = this.#context;
    tally.carried(carried);
    if (carried.kind !== "folder" || previous === undefined) return;
    for await (const batch of previous.entryBatches(carried, undefined, lost)) {
      for (const entry of batch) await this.#count(entry);
      await pause();
    }
  }
}

const E2BIG = 7;
const ENOTDIR = 20;
const ENAMETOOLONG = 36;
const ELOOP = 40;

/** Neither carried forward nor in the place of something unreadable. */
function isFresh(entry: Entry): boolean {
  return (entry.flags & (entryFlags.carriedForward | entryFlags.neverReadable)) === 0;
}

/** A folder to look from: one may pass /home where one may not list it. */
function passFolder(at: number, name: Buffer): number {
  try {
    return native().openFolder(at, name);
  } catch (error) {
    if (errnoOf(error) !== "EACCES") throw error;
    const flags = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
    return openSync(Buffer.concat([Buffer.from(`/proc/self/fd/${at}/`), name]), flags);
  }
}

function statOf(at: number, name: Buffer): SystemEntry {
  return entriesOf(native().statAt(at, name)).next().value as SystemEntry;
}

function systemError(errno: number): Error {
  return Object.assign(new Error(native().errnoName(errno)), { code: native().errnoName(errno), errno });
}

function errnoNumber(error: unknown): number {
  const errno = Math.abs(Number((error as { errno?: unknown }).errno));
  return Number.isInteger(errno) && errno > 0 && errno < 4096 ? errno : 5;
}

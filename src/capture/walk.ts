/**
 * Folder by folder from a held descriptor into trees: each entry is compared with the previous revision and the stat
 * sheet, read only where it has changed, and added in byte order of the names. What cannot be read is carried forward
 * from the previous revision and reported, never dropped.
 * @module
 */
import { closeSync } from "node:fs";
import { compareBytes } from "../base/bytes.js";
import { errnoOf, Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { entriesOf, native, type SystemEntry, xattrsOf } from "../base/native.js";
import { type Entry, entryFlags, type TreeRef, type Xattr } from "../format/entry.js";
import { TreeBuilder } from "../format/tree.js";
import { entryOf, kindOf } from "../vault/entry.js";
import type { View } from "../vault/view.js";
import type { ContentReader } from "./contents.js";
import type { FileCapture } from "./file.js";
import { identity, type OwnState } from "./own.js";
import type { Owners } from "./owners.js";
import type { Rules } from "./select.js";
import type { SheetRow, SheetWriter, Sheet } from "./sheet.js";
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
}

/** A folder above a root shows only what leads to roots: name (latin1) → further folders, or a root. */
export interface RootNode {
  readonly isRoot: boolean;
  readonly children: ReadonlyMap<string, RootNode>;
}

const noRows: ReadonlyMap<string, SheetRow> = new Map();
const slash = Buffer.from("/");

function pathOf(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 1 ? Buffer.concat([folder, name]) : Buffer.concat([folder, slash, name]);
}

export class Walk {
  readonly #context: WalkContext;
  /** device of the root that is being walked, as "major:minor" */
  #rootDevice = "";

  constructor(context: WalkContext) {
    this.#context = context;
  }

  /** The tree of a folder above roots, or of a root itself; `fd` stays open. */
  async top(fd: number, path: Buffer, node: RootNode, previous: Entry | undefined): Promise<TreeRef | undefined> {
    if (node.isRoot) {
      const self = statOf(fd, Buffer.alloc(0));
      this.#rootDevice = `${self.devMajor}:${self.devMinor}`;
      return this.#folder(fd, path, previous);
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
    if (kindOf(found.mode) !== "folder") {
      if (!node.isRoot)
        return this.#unreadable(path, earlier, undefined, new Problem("io", "it is no folder any more"));
      this.#rootDevice = `${found.devMajor}:${found.devMinor}`;
      const rows: { name: Buffer; row: SheetRow }[] = [];
      const single = this.#context.before?.folder(path) ?? noRows;
      const entry = await this.#entry(at, path, found, earlier, single, rows);
      this.#context.sheet.folder(path, rows);
      return entry;
    }
    return this.#open(at, path, found, earlier, (fd) => this.top(fd, path, node, earlier));
  }

  async #earlier(parent: Entry | undefined, name: Buffer): Promise<Entry | undefined> {
    return parent?.kind === "folder" ? this.#context.previous?.lookup(parent, name) : undefined;
  }

  /** A folder's entry, its tree made by `fill`. */
  async #open(
    at: number,
    path: Buffer,
    found: SystemEntry,
    earlier: Entry | undefined,
    fill: (fd: number) => Promise<TreeRef | undefined>,
  ): Promise<Entry | undefined> {
    let fd: number;
    try {
      fd = native().openFolder(at, found.name);
    } catch (error) {
      return this.#unreadable(path, earlier, found, error);
    }
    try {
      const entry = entryOf("folder", found);
      const xattrs = this.#xattrs(fd, Buffer.alloc(0), path, found, earlier);
      this.#context.owners.see(found.uid, found.gid);
      this.#context.tally.folder(path);
      return { ...entry, xattrs, tree: await fill(fd) };
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return this.#unreadable(path, earlier, found, error);
    } finally {
      closeSync(fd);
    }
  }

  async #folder(fd: number, path: Buffer, previous: Entry | undefined): Promise<TreeRef | undefined> {
    const context = this.#context;
    const entries = [...entriesOf(native().scanFolder(fd))].sort((a, b) => compareBytes(a.name, b.name));
    const rows = context.before?.folder(path) ?? noRows;
    const seen: { name: Buffer; row: SheetRow }[] = [];
    const earlier = new Ascending(
      previous?.kind === "folder" && context.previous ? context.previous.entries(previous) : undefined,
    );
    const builder = new TreeBuilder(context.markKey, context.putTree);
    for (const found of entries) {
      const before = await earlier.at(found.name);
      const entry = await this.#entry(fd, pathOf(path, found.name), found, before, rows, seen);
      if (entry) builder.add(entry);
      if (context.tally.entries % 64 === 0) await context.pause();
    }
    context.sheet.folder(path, seen);
    return builder.finish();
  }

  async #entry(
    at: number,
    path: Buffer,
    found: SystemEntry,
    earlier: Entry | undefined,
    rows: ReadonlyMap<string, SheetRow>,
    seen: { name: Buffer; row: SheetRow }[],
  ): Promise<Entry | undefined> {
    const context = this.#context;
    const kind = kindOf(found.mode);
    if (found.errno !== 0) return this.#unreadable(path, earlier, undefined, systemError(found.errno));
    if (kind === undefined || found.name.length > format.nameBytes) return undefined;
    const decision = context.rules.decide(path, kind === "folder");
    if (!decision.captured && !decision.onTheWay) return undefined;
    if (kind === "folder") {
      if (context.own.has(found)) return undefined;
      const elsewhere = context.oneFileSystem && `${found.devMajor}:${found.devMinor}` !== this.#rootDevice;
      const entry = await this.#open(at, path, found, earlier, async (fd) =>
        elsewhere ? undefined : this.#folder(fd, path, earlier),
      );
      return decision.onTheWay && entry?.tree === undefined ? undefined : entry;
    }
    context.owners.see(found.uid, found.gid);
    const row: SheetRow = {
      ctimeNs: found.ctimeNs,
      ino: found.ino,
      sameDevice: `${found.devMajor}:${found.devMinor}` === this.#rootDevice,
    };
    try {
      const fresh = { ...entryOf(kind, found), name: Buffer.from(found.name) };
      if (kind === "file") {
        const known = rows.get(found.name.toString("latin1"));
        const done = await context.files.capture(
          {
            at,
            path,
            found,
            entry: fresh,
            earlier,
            known,
            row,
            xattrs: () => this.#xattrs(at, found.name, path, found, earlier),
          },
          context.pause,
        );
        if (done.row) seen.push({ name: found.name, row: done.row });
        context.tally.file(path, done.entry, done.changed, done.freshBytes);
        return done.entry;
      }
      const group = context.files.groupOf(fresh, identity(found.devMajor, found.devMinor, found.ino), earlier);
      const target = kind === "symlink" ? native().readLink(at, found.name) : undefined;
      context.tally.other(path);
      return { ...fresh, group, target, xattrs: this.#xattrs(at, found.name, path, found, earlier) };
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return this.#unreadable(path, earlier, found, error);
    }
  }

  /** Attributes as an entry holds them; unreadable ones are reported, and the earlier ones kept. */
  #xattrs(at: number, name: Buffer, path: Buffer, found: SystemEntry, earlier: Entry | undefined): readonly Xattr[] {
    if (!found.hasXattrs && !found.xattrsFailed) return [];
    try {
      return xattrsOf(native().listXattrs(at, name)).map(({ name: key, value }) => ({
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
  #unreadable(
    path: Buffer,
    earlier: Entry | undefined,
    found: SystemEntry | undefined,
    error: unknown,
  ): Entry | undefined {
    this.#context.tally.error(path, "it", error);
    if (earlier !== undefined) {
      this.#context.tally.carried(earlier);
      return { ...earlier, flags: earlier.flags | entryFlags.carriedForward };
    }
    const kind = found && kindOf(found.mode);
    // What has vanished between two looks was never there for this revision.
    if (found === undefined || kind === undefined || errnoOf(error) === "ENOENT") return undefined;
    const entry = { ...entryOf(kind, found), links: 1 };
    if (kind !== "file" && kind !== "folder") return undefined;
    return { ...entry, flags: entryFlags.neverReadable, errno: errnoNumber(error) };
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

/** Entries of the previous revision beside those found now: both ascend, so one pass serves all. */
class Ascending {
  readonly #source: AsyncIterator<Entry> | undefined;
  #next: Entry | undefined;
  #begun = false;

  constructor(source: AsyncIterable<Entry> | undefined) {
    this.#source = source?.[Symbol.asyncIterator]();
  }

  /** The entry of this name; names must be asked for in ascending order. */
  async at(name: Uint8Array): Promise<Entry | undefined> {
    if (this.#source === undefined) return undefined;
    while (!this.#begun || (this.#next && compareBytes(this.#next.name, name) < 0)) {
      this.#begun = true;
      const step = await this.#source.next();
      this.#next = step.done ? undefined : step.value;
    }
    return this.#next && compareBytes(this.#next.name, name) === 0 ? this.#next : undefined;
  }
}

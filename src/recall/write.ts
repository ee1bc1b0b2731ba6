/**
 * The tree into the target, depth first: a folder is made closed to all others, filled, and given its owner, mode and
 * time when everything in it is there.
 * @module
 */
import { closeSync } from "node:fs";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { hasNative, native } from "../base/native.js";
import { escapeForTerminal } from "../base/units.js";
import { type Entry, entryFlags } from "../format/entry.js";
import { fullMode } from "../vault/entry.js";
import { isLoss, type View } from "../vault/view.js";
import { type AttributeSetting, dropAcls, setAttributes } from "./attributes.js";
import { writeFile } from "./contents.js";
import { pathOf, type Place } from "../vault/place.js";
import type { RestoreEvent } from "./events.js";
import { type Held, type HeldFolders, itself } from "./held.js";
import { Links } from "./links.js";
import type { Pace } from "../base/pace.js";

/** What the system answers when one entry cannot be there, though others can. */
const cannotHold = new Set(["ENAMETOOLONG", "EILSEQ", "EINVAL", "EEXIST", "EFBIG", "EISDIR", "ENOTDIR", "ELOOP"]);
const cannotMake = new Set(["EPERM", "EACCES", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL"]);
const cannotLink = new Set(["EPERM", "EACCES", "EMLINK", "EXDEV", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);
const wholeMode = 0o500;

export interface Writing {
  readonly view: View;
  readonly folders: HeldFolders;
  readonly pace: Pace;
  readonly includeOwner: boolean;
  readonly temporary: Buffer;
  /** entries made in the target itself take over its default access list */
  readonly inherits: boolean;
  readonly isFull: () => boolean;
  readonly on: (event: RestoreEvent) => void;
}

export class TreeWriter {
  readonly #to: Writing;
  readonly #links = new Links();
  /** As an ordinary user: folders that we could not enter again, finished last. Children stand before parents. */
  readonly #closedFolders: { folder: Held; entry: Entry; place: Place }[] = [];
  readonly #ordinary = process.geteuid?.() !== 0;
  readonly leftOut = new Map<string, number>();
  files = 0;
  folders = 0;
  others = 0;
  linked = 0;
  damaged = 0;
  failed = 0;
  entries = 0;
  bytes = 0n;

  constructor(to: Writing) {
    this.#to = to;
  }

  /** Everything in `folder` into a held one. */
  async contents(into: Held, folder: Entry, place: Place): Promise<void> {
    const broken = (problem: Problem): void => {
      this.damaged++;
      const message = `a part of this folder cannot be read: ${problem.message}`;
      this.#to.on({ type: "failed", path: pathOf(place), problem: new Problem(problem.code, message) });
    };
    for await (const batch of this.#to.view.entryBatches(folder, undefined, broken))
      for (const entry of batch) await this.entry(into, entry, { above: place, name: entry.name });
  }

  /** One entry and all below it. What is lost or cannot be held is told and counted, and the rest goes on. */
  async entry(into: Held, entry: Entry, place: Place): Promise<void> {
    this.entries++;
    if (this.#to.pace.due(1)) await this.#to.pace.rest();
    if (entry.flags & entryFlags.neverReadable) return this.#neverReadable(entry, place);
    try {
      if (this.#tryLink(into, entry)) return;
      await this.#make(into, entry, place);
    } catch (error) {
      this.#fail(error, place);
    }
  }

  #neverReadable(entry: Entry, place: Place): void {
    this.#count("unreadable when saved");
    const errno = hasNative() ? native().errnoName(entry.errno) : `error ${entry.errno}`;
    this.#to.on({ type: "left-out", path: pathOf(place), why: `it could not be read when it was saved (${errno})` });
  }

  #fail(error: unknown, place: Place): void {
    const errno = errnoOf(error);
    if (isLoss(error)) this.damaged++;
    else if (errno !== undefined && cannotHold.has(errno)) this.failed++;
    else throw systemProblem(`cannot restore ${escapeForTerminal(pathOf(place))}`, error);
    const problem = systemProblem("the target cannot hold this entry", error);
    this.#to.on({ type: "failed", path: pathOf(place), problem });
  }

  readonly #count = (kind: string): void => {
    this.leftOut.set(kind, (this.leftOut.get(kind) ?? 0) + 1);
  };

  /** Give a further name to what was made before. False where it is the first name, or links cannot be had. */
  #tryLink(into: Held, entry: Entry): boolean {
    const first = this.#links.of(entry);
    if (first === undefined) return false;
    try {
      const { folders } = this.#to;
      // A descriptor of its own: to enter one folder may close another that is held.
      const from = native().openFolder(folders.fd(first.folder), itself);
      try {
        native().hardLink(from, first.name, folders.fd(into), entry.name);
      } finally {
        closeSync(from);
      }
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined || !cannotLink.has(errno)) throw error;
      this.#count("hard links");
      return false;
    }
    this.#links.linked(entry);
    this.linked++;
    return true;
  }

  async #make(into: Held, entry: Entry, place: Place): Promise<void> {
    if (entry.kind === "folder") return this.#folder(into, entry, place);
    if (entry.kind === "file") {
      await writeFile(into, entry, { ...this.#to, ...this.#fileParts(into, entry, place) });
      this.files++;
    } else {
      if (!this.#makeOther(into, entry, place)) return;
      await this.#named(into, entry, place);
      this.others++;
    }
    this.#links.made(entry, into);
  }

  #fileParts(into: Held, entry: Entry, place: Place) {
    return {
      wrote: (bytes: number): void => {
        this.bytes += BigInt(bytes);
        if (entry.content?.level === 0) this.#to.pace.due(0, bytes);
      },
      finish: async (fd: number): Promise<void> => {
        if (this.#inherits(into)) dropAcls(fd, itself, false);
        await setAttributes(fd, itself, entry, this.#setting(place));
      },
    };
  }

  /** Entries that are no more than a name and attributes. False where the system does not let us make one. */
  #makeOther(into: Held, entry: Entry, place: Place): boolean {
    const fd = this.#to.folders.fd(into);
    const target = entry.target ?? itself;
    if (entry.kind === "symlink" && (target.length === 0 || target.includes(0)))
      throw new Problem("format", "the target that is stored of this symbolic link is none");
    try {
      if (entry.kind === "symlink") native().makeSymlink(fd, entry.name, target);
      else native().makeNode(fd, entry.name, fullMode({ ...entry, mode: 0o600 }), entry.major, entry.minor);
      return true;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined || !cannotMake.has(errno)) throw error;
      const kind = entry.kind === "char" || entry.kind === "block" ? "devices" : `${entry.kind}s`;
      this.#count(kind);
      this.#to.on({ type: "left-out", path: pathOf(place), why: `the system does not let us make ${kind} (${errno})` });
      return false;
    }
  }

  async #named(into: Held, entry: Entry, place: Place): Promise<void> {
    const fd = this.#to.folders.fd(into);
    if (this.#inherits(into) && entry.kind !== "symlink") dropAcls(fd, entry.name, false);
    await setAttributes(fd, entry.name, entry, this.#setting(place));
  }

  async #folder(into: Held, entry: Entry, place: Place): Promise<void> {
    const folder = this.#to.folders.make(into, entry.name);
    this.folders++;
    if (this.#inherits(into)) dropAcls(this.#to.folders.fd(folder), itself, true);
    await this.contents(folder, entry, place);
    if (this.#ordinary && (entry.mode & wholeMode) !== wholeMode) this.#closedFolders.push({ folder, entry, place });
    else await this.finishFolder(folder, entry, place);
    this.#to.folders.leave(folder);
  }

  /** A folder's own attributes, when all in it is there. */
  async finishFolder(folder: Held, entry: Entry, place: Place): Promise<void> {
    await setAttributes(this.#to.folders.fd(folder), itself, entry, this.#setting(place));
  }

  /** What had to wait until no more links are made. */
  async finish(): Promise<void> {
    for (const { folder, entry, place } of this.#closedFolders) {
      await this.finishFolder(folder, entry, place);
      this.#to.folders.leave(folder);
      if (this.#to.pace.due(1)) await this.#to.pace.rest();
    }
  }

  #inherits(into: Held): boolean {
    return this.#to.inherits && into === this.#to.folders.top;
  }

  #setting(place: Place): AttributeSetting {
    const { view, includeOwner, isFull } = this.#to;
    const damaged = (error: unknown): void => {
      this.damaged++;
      const message = `an extended attribute cannot be read: ${(error as Error).message}`;
      this.#to.on({ type: "failed", path: pathOf(place), problem: new Problem("damaged", message) });
    };
    return { view, includeOwner, count: this.#count, damaged, isFull };
  }
}

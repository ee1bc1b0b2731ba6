/**
 * What a run has seen so far: counts for the record, reports for people, events for whoever draws progress.
 * @module
 */
import { errnoOf, type Problem } from "../base/errors.js";
import { escapeForTerminal } from "../base/units.js";
import { type Entry, entryFlags } from "../format/entry.js";

/** Something that could not be read. */
export interface Unread {
  readonly path: Buffer;
  /** one line */
  readonly says: string;
}

/** What a run tells while it goes on; only the command line draws it. */
export interface SnapshotProgress {
  readonly files: number;
  readonly folders: number;
  readonly others: number;
  readonly bytes: bigint;
  readonly newBytes: bigint;
  readonly errors: number;
  readonly path: Buffer;
}

export type OnSnapshot = {
  progress?(now: SnapshotProgress): void;
  unread?(what: Unread): void;
  /** the previous revision is damaged; told once */
  damage?(says: string): void;
};

const reportedAtMost = 10_000;

export class Tally implements SnapshotProgress {
  files = 0;
  folders = 0;
  others = 0;
  bytes = 0n;
  changedFiles = 0;
  newBytes = 0n;
  errors = 0;
  /** the previous revision could not be read everywhere */
  damaged = false;
  path: Buffer = Buffer.alloc(0);
  readonly report: Unread[] = [];
  readonly #on: OnSnapshot;

  constructor(on: OnSnapshot) {
    this.#on = on;
  }

  get entries(): number {
    return this.files + this.folders + this.others;
  }

  file(path: Buffer, entry: Entry, changed: boolean, freshBytes: number): void {
    this.files++;
    this.bytes += entry.size;
    if (changed) this.changedFiles++;
    this.newBytes += BigInt(freshBytes);
    this.#at(path);
  }

  folder(path: Buffer): void {
    this.folders++;
    this.#at(path);
  }

  other(path: Buffer): void {
    this.others++;
    this.#at(path);
  }

  /** An entry that an earlier revision stands in for. */
  carried(entry: Entry): void {
    // Like one met now: nothing was ever saved of it.
    if ((entry.flags & entryFlags.neverReadable) !== 0) return;
    if (entry.kind === "file") {
      this.files++;
      this.bytes += entry.size;
    } else if (entry.kind === "folder") this.folders++;
    else this.others++;
  }

  error(path: Buffer, what: string, error: unknown): void {
    this.errors++;
    const why = errnoOf(error) ?? (error instanceof Error ? error.message : String(error));
    const unread = { path, says: `${escapeForTerminal(path)}: ${what} could not be read: ${meaning(why)}` };
    if (this.report.length < reportedAtMost) this.report.push(unread);
    this.#on.unread?.(unread);
  }

  /** A place of the previous revision that cannot be read. */
  lost(problem: Problem): void {
    if (this.damaged) return;
    this.damaged = true;
    this.#on.damage?.(
      `the previous revision is damaged (${problem.message}); what it no longer tells is read anew; run "bcoopfs check"`,
    );
  }

  #at(path: Buffer): void {
    this.path = path;
    this.#on.progress?.(this);
  }
}

function meaning(why: string): string {
  const known: Readonly<Record<string, string>> = {
    EACCES: "permission denied",
    EPERM: "permission denied",
    ENOENT: "it vanished meanwhile",
    EIO: "the disk reports an error",
    ELOOP: "it became a link meanwhile",
    ENOTCONN: "a mount there is dead",
    ENAMETOOLONG: "its name is too long",
    ENOTDIR: "it is no folder any more",
    ENXIO: "it became something else meanwhile",
    ESTALE: "it became something else meanwhile",
  };
  return known[why] ? `${known[why]} (${why})` : why;
}

/**
 * When a home goes on in a new log: where it was copied or put back, where its newest log has two branches, and where
 * its logs know less than its catalogue, because it was put back in part or its newest records are damaged. Of what only
 * the catalogue still knows, all is told again that can be kept.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import type { LogRecord } from "../format/record.js";
import { decodeRevision } from "../format/revision.js";
import { placeIn } from "./apply.js";
import type { Catalogue, RevisionRow } from "./catalogue.js";
import type { Home } from "./home.js";
import { markInstalled, whereInstalled } from "./installed.js";
import type { LogFile } from "./log.js";
import type { OwnLogs } from "./own-logs.js";
import type { RecordBodies } from "./session.js";
import type { Use } from "./use.js";

/** What it takes to begin a new log, and to tell in it what is not told any more. */
export interface GoingOnParts {
  readonly home: Home;
  readonly catalogue: Catalogue;
  readonly own: OwnLogs;
  readonly use: Use;
  say(message: string): void;
  /** Go on in a new log, and say why. */
  begin(why: string): void;
  append(bodies: RecordBodies): LogRecord[];
  rebuild(): Promise<void>;
  /** Is a segment here, or with others? */
  holds(segment: number): boolean;
}

export class GoingOn {
  readonly #with: GoingOnParts;
  /** a new log must be begun before anything is appended */
  #isCopy = false;

  constructor(parts: GoingOnParts) {
    this.#with = parts;
  }

  /** Is this home where it was made? */
  seeWhere(): void {
    const { home } = this.#with;
    const where = whereInstalled(home);
    if (where === "unmarked") markInstalled(home);
    this.#isCopy = where === "elsewhere";
  }

  /**
   * See that the newest log is one that nobody else writes to. A copy of a home does not go on in the log that the
   * first one writes; one that was found to have two branches is left, whenever its finder died. True where this
   * process had to be alone for it, and still is.
   */
  beforeAppending(): boolean {
    const { own, use } = this.#with;
    own.refresh();
    // Still so after opening where the disk was too full for a new log.
    const wasCopy = this.#isCopy;
    if (wasCopy) {
      use.exclusive("this home was copied or moved and must go on in a new log");
      this.#beginAsCopy();
    }
    if (own.newest.isFrozen)
      this.#with.begin(
        "another copy of this home has written to its log: both branches are kept, and this home goes on in a new log",
      );
    return wasCopy;
  }

  #beginAsCopy(): void {
    // Another process may have seen to it before this one was alone.
    this.seeWhere();
    if (this.#isCopy) {
      this.#with.begin("this home was copied, moved or put back from a copy: it goes on in a new log");
      markInstalled(this.#with.home);
    }
    this.#isCopy = false;
  }

  /**
   * A home whose logs know less than its catalogue was put back to an earlier state, in part. Nobody can say what was
   * told to others since, so it goes on in a new log from the last record that is there. False where it is not so.
   */
  async afterReverted(): Promise<boolean> {
    const { home, catalogue, own, use, append, rebuild, say, holds } = this.#with;
    const reverted = findReverted(catalogue, own.files);
    if (reverted === undefined) return false;
    use.exclusive();
    // A log as long as it was has not been put back: it is damaged, and its tail is about to be cut.
    for (const log of reverted.behind) if (log.size >= (catalogue.applied(log.id)?.end ?? 0)) log.keepCopy();
    const newest = own.files.at(-1);
    const last = newest?.underLock(newest.first, (head) => head);
    const lost = untold(catalogue, reverted);
    own.begin(last);
    const kept = lost.filter(({ body }) => hasRoot(catalogue, body, holds));
    if (kept.length > 0) append(kept.map(({ body }) => ({ type: "revision", clear: Buffer.alloc(0), secret: body })));
    await rebuild();
    markInstalled(home);
    const told = lost.length === 0 ? "" : `; ${kept.length} of ${lost.length} newer revisions are kept under new ids`;
    say(
      reverted.known
        ? `this home was put back to an earlier state, or its log is damaged: the log ends before records that the catalogue knows. It goes on in a new log, and the index is made again${told}`
        : "this home had no log of this device; it goes on in a new one",
    );
    return true;
  }
}

interface Reverted {
  /** logs that the catalogue knows and whose files are not there */
  readonly gone: readonly Buffer[];
  /** logs that do not hold the record which was applied last */
  readonly behind: readonly LogFile[];
  /** the catalogue knows any log of this installation */
  readonly known: boolean;
}

/** undefined where the own logs hold all that the catalogue knows of them. */
function findReverted(catalogue: Catalogue, logs: readonly LogFile[]): Reverted | undefined {
  const applied = [...catalogue.logs()].filter(({ own }) => own).map(({ log }) => log);
  const gone = applied.filter((id) => !logs.some((log) => sameBytes(log.id, id)));
  const behind = logs.filter((log) => placeIn(catalogue, log) === undefined);
  if (gone.length === 0 && behind.length === 0 && logs.length > 0) return undefined;
  return { gone, behind, known: applied.length > 0 };
}

/** Revisions that the catalogue knows and no log tells of any more, because their records are cut off or damaged. */
function untold(catalogue: Catalogue, { gone, behind }: Reverted): RevisionRow[] {
  const heads = new Map(behind.map((log) => [toHex(log.id), headSeq(log)]));
  for (const id of gone) heads.set(toHex(id), -1n);
  return [...catalogue.revisions()].filter(({ log, seq }) => {
    const head = heads.get(toHex(log));
    return head !== undefined && seq > head;
  });
}

function headSeq(log: LogFile): bigint {
  return log.underLock(log.first, (head) => head).record.seq;
}

/** Is the root of a revision's tree still where the catalogue says? */
function hasRoot(catalogue: Catalogue, body: Buffer, holds: (segment: number) => boolean): boolean {
  const { tree } = decodeRevision(body).root;
  const place = tree && catalogue.chunk(tree.id);
  return tree === undefined || (place !== undefined && holds(place.segment));
}

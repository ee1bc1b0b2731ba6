/**
 * A home whose logs know less than its catalogue: it was put back to an earlier state in part, or its newest records
 * are damaged. What the catalogue alone still knows is found here, so that nothing is lost that can be kept.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import { decodeRevision } from "../format/revision.js";
import { placeIn } from "./apply.js";
import type { Catalogue, RevisionRow } from "./catalogue.js";
import type { LogFile } from "./log.js";

export interface Reverted {
  /** logs that the catalogue knows and whose files are not there */
  readonly gone: readonly Buffer[];
  /** logs that do not hold the record which was applied last */
  readonly behind: readonly LogFile[];
  /** the catalogue knows any log of this installation */
  readonly known: boolean;
}

/** undefined where the own logs hold all that the catalogue knows of them. */
export function findReverted(catalogue: Catalogue, logs: readonly LogFile[]): Reverted | undefined {
  const applied = [...catalogue.logs()].filter(({ own }) => own).map(({ log }) => log);
  const gone = applied.filter((id) => !logs.some((log) => sameBytes(log.id, id)));
  const behind = logs.filter((log) => placeIn(catalogue, log) === undefined);
  if (gone.length === 0 && behind.length === 0 && logs.length > 0) return undefined;
  return { gone, behind, known: applied.length > 0 };
}

/** Revisions that the catalogue knows and no log tells of any more, because their records are cut off or damaged. */
export function untold(catalogue: Catalogue, { gone, behind }: Reverted): RevisionRow[] {
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
export function hasRoot(catalogue: Catalogue, body: Buffer, holds: (segment: number) => boolean): boolean {
  const { tree } = decodeRevision(body).root;
  const place = tree && catalogue.chunk(tree.id);
  return tree === undefined || (place !== undefined && holds(place.segment));
}

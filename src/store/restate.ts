/**
 * What a log with two branches told on ours, told again in the log that goes on from it: others that know the other
 * branch take nothing more of that log, so what stands in ours alone would be nobody's but this machine's. Of the own
 * index it then counts only once, in the new log.
 * @module
 */
import { sameBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import type { Epoch } from "../format/keys.js";
import { type LogRecord, openRecord, type RecordType, recordTypes } from "../format/record.js";
import type { LogFile } from "./log.js";
import type { RecordBodies } from "./session.js";

/** Types of records that say the same in another log. A genesis and a checkpoint are about their own. */
const movable = new Map(
  (Object.entries(recordTypes) as [RecordType, number][])
    .filter(([type]) => !["genesis", "found", "checkpoint", "member", "remove", "epoch"].includes(type))
    .map(([type, number]) => [number, type]),
);

/**
 * The first record that is ours alone, given one of the other branch: that very place where the one before it is ours
 * too, else nobody knows, and it is all but the genesis.
 */
export function firstApart(log: LogFile, end: number, theirs: LogRecord): bigint {
  const [before] = theirs.seq > 0n ? log.from(theirs.seq - 1n, end, 0) : [];
  return before !== undefined && sameBytes(before.id, theirs.previous) ? theirs.seq : 1n;
}

/** Bodies of the records from this one on, to be appended elsewhere. */
export function restated(log: LogFile, end: number, from: bigint, epochs: ReadonlyMap<number, Epoch>): RecordBodies {
  return log.from(from, end, Number.POSITIVE_INFINITY).flatMap((record) => {
    const type = movable.get(record.type);
    if (type === undefined) return [];
    const epoch = epochs.get(record.epoch);
    if (epoch === undefined) throw new Problem("damaged", `the keys of epoch ${record.epoch} are not here`);
    return [{ type, clear: record.clear, secret: openRecord(record, epoch) }];
  });
}

/**
 * Where a log of our own parts from what a peer has of it: found by halving, record by record asked for. The exact place
 * matters, because what is in our branch alone is told again in a new log.
 * @module
 */
import { sameBytes } from "../base/bytes.js";
import { decodeRecord } from "../format/record.js";
import type { Store } from "../store/store.js";
import { decoded, isSigned } from "../store/taking.js";

/** The branches are one up to and with record `low`, and two from `high` on at the latest. */
export interface Parting {
  readonly low: bigint;
  readonly high: bigint;
}

/** The record to be asked for next. */
export function middleOf({ low, high }: Parting): bigint {
  return low + (high - low + 1n) / 2n;
}

/**
 * What a record of a peer's branch tells: "one", where the branches have not parted; "found", where this is the record
 * by which they do; "nowhere", where its records tell no place; else what is known by now.
 */
export function partOf(
  store: Store,
  log: Buffer,
  theirs: Buffer,
  known: Parting | undefined,
): Parting | "one" | "found" | "nowhere" {
  const { seq, id, previous } = decodeRecord(theirs);
  const idOf = (number: bigint): Buffer | undefined => {
    const [mine] = store.recordsOf(log, number, 0);
    return mine && decodeRecord(mine).id;
  };
  const before = seq > 0n ? idOf(seq - 1n) : undefined;
  const follows = before !== undefined && sameBytes(before, previous);
  const mine = idOf(seq);
  const same = mine !== undefined && sameBytes(mine, id);
  if (known === undefined && follows && (mine === undefined || same)) return "one";
  if (!same && follows) return "found";
  // Where not even the one before is the same they have parted earlier.
  const next = same ? { low: seq, high: known?.high ?? seq + 1n } : { low: known?.low ?? 0n, high: seq - 1n };
  return next.high > next.low ? next : "nowhere";
}

/** Where to look, given proof of two branches that is not the record by which they part; undefined for any other. */
export function partingBefore(store: Store, log: Buffer, proof: Buffer): Parting | undefined {
  const theirs = decoded(proof);
  if (typeof theirs === "string" || theirs.seq < 2n || !sameBytes(theirs.log, log)) return undefined;
  const [before] = store.recordsOf(log, theirs.seq - 1n, 0);
  if (before === undefined || sameBytes(decodeRecord(before).id, theirs.previous)) return undefined;
  return isSigned(theirs, store.keyring.device.publicKey) ? { low: 0n, high: theirs.seq - 1n } : undefined;
}

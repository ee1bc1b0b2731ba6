/**
 * The records of a coop between two devices, and into a device: what one has and the other lacks, and which of those
 * that came are worth keeping. Pure: a book in, what to do out.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import { choice, wire } from "../base/limits.js";
import type { Head } from "../format/message.js";
import type { LogRecord } from "../format/record.js";
import { authorOf, type Chain, type ChainBook, isSigned } from "./chains.js";
import { type CoopState, foldCoop, isHeard, wasAdmin } from "./members.js";

/** Records of one chain, as one message takes them. */
export interface Row {
  readonly log: Buffer;
  readonly records: Buffer[];
}

/** The records of a chain that no other follows; a chain that branched has several. */
export function tipsOf(chain: Chain): LogRecord[] {
  const followed = new Set(chain.records.map((record) => toHex(record.previous)));
  return chain.records.filter((record) => !followed.has(toHex(record.id)));
}

export function headsOf(coop: Buffer, book: ChainBook): Head[] {
  return [...book.chains.values()].flatMap((chain) =>
    tipsOf(chain).map(({ log, seq, id }) => ({
      scope: coop,
      log,
      device: chain.author.device,
      seq,
      id,
      frozen: false,
    })),
  );
}

/** All records worth having that whoever sent these heads lacks, each behind the one that it follows. */
export function recordsAfter(book: ChainBook, state: CoopState, heads: readonly Pick<Head, "id">[]): Row[] {
  const told = new Set(heads.map(({ id }) => toHex(id)));
  let had: Set<string> | undefined;
  const rows: Row[] = [];
  for (const { author, records } of book.chains.values()) {
    const lacking = isUnbranched(records) ? afterLast(records, told) : undefined;
    had ??= lacking ? undefined : allBefore(book, told);
    const missing = lacking ?? records.filter((record) => had?.has(toHex(record.id)) === false);
    rowsOf(
      missing.filter((record) => isHeard(state, author, record)),
      rows,
    );
  }
  return rows;
}

/** As nearly all chains are: each record follows the one before it. */
function isUnbranched(records: readonly LogRecord[]): boolean {
  return records.at(-1)?.seq === BigInt(records.length - 1);
}

/** What stands behind the last record whose id was told; looked for from the end, because little is new. */
function afterLast(records: readonly LogRecord[], told: ReadonlySet<string>): readonly LogRecord[] {
  let from = records.length;
  while (from > 0 && !told.has(toHex((records[from - 1] as LogRecord).id))) from--;
  return records.slice(from);
}

/** Ids, in hex, of the records of these ids and of all that they follow. */
function allBefore(book: ChainBook, told: ReadonlySet<string>): Set<string> {
  const had = new Set<string>();
  for (const tip of told)
    for (let id = tip; !had.has(id); ) {
      const record = book.record(id);
      if (record === undefined) break;
      had.add(id);
      id = toHex(record.previous);
    }
  return had;
}

/** Records of one chain, appended in rows that fit a message each. */
function rowsOf(records: readonly LogRecord[], to: Row[]): void {
  let row: Row | undefined;
  let bytes = 0;
  for (const { log, bytes: record } of records) {
    if (!row || row.records.length === wire.recordsPerMessage || bytes + record.length > wire.recordBytesPerMessage) {
      row = { log, records: [] };
      bytes = 0;
      to.push(row);
    }
    row.records.push(record);
    bytes += record.length;
  }
}

/** What comes of records that were offered. */
export interface TakenIn {
  /** to be kept, each behind the one that it follows; their signatures hold */
  readonly kept: readonly LogRecord[];
  /** of the book with them */
  readonly state: CoopState | undefined;
  /** sound as far as one can see, but what makes them count, or what they follow, is not here */
  readonly waiting: readonly LogRecord[];
  /** why something was not taken; a fault of whoever sent it */
  readonly fault: string | undefined;
}

const nothing: TakenIn = { kept: [], state: undefined, waiting: [], fault: undefined };

/**
 * Try records in any order. Signatures are checked of those only that would count if they hold, so that somebody who may
 * say nothing cannot make work; one that does not hold spoils all that came with it.
 */
export function takeIn(coop: Buffer, book: ChainBook, records: readonly LogRecord[]): TakenIn {
  const trial = book.copy();
  const entered: LogRecord[] = [];
  const waiting: LogRecord[] = [];
  const offered = [...new Map(records.map((record) => [toHex(record.id), record])).values()];
  for (const record of offered.sort((a, b) => (a.seq < b.seq ? -1 : a.seq > b.seq ? 1 : 0))) {
    const outcome = trial.enter(record);
    if (outcome === "added") entered.push(record);
    else if (outcome === "gap") waiting.push(record);
    else if (outcome === "refused") return { ...nothing, fault: "a record that does not belong where it says" };
    else if (outcome === "full") return { ...nothing, fault: "more records than a coop may have" };
  }
  if (entered.length === 0) return { ...nothing, waiting: newest(waiting) };
  const state = foldCoop(coop, [...trial.chains.values()]);
  const kept: LogRecord[] = [];
  for (const record of entered) {
    const { author } = trial.chains.get(toHex(record.log)) as Chain;
    if (!isHeard(state, author, record)) waiting.push(record);
    else if (isSigned(record, author)) kept.push(record);
    else return { ...nothing, fault: "a record with a wrong signature" };
  }
  return { kept, state, waiting: newest(waiting), fault: undefined };
}

/**
 * Can any of these records make a difference? Only those can whose authors were admins at some time, by the list or by
 * their vaults; all others wait for one of those to say so, and cost nothing until then.
 * @param others where the beginnings of their chains may be found as well
 */
export function mayMatter(
  book: ChainBook,
  state: CoopState,
  records: readonly LogRecord[],
  others: readonly LogRecord[],
): boolean {
  const begun = new Map(
    [...others, ...records].filter(({ seq }) => seq === 0n).map((first) => [toHex(first.id), first]),
  );
  const known = new Map<string, boolean>();
  return records.some((record) => {
    const log = toHex(record.log);
    let speaks = known.get(log);
    if (speaks === undefined) {
      const first = begun.get(log);
      const author = book.chains.get(log)?.author ?? (first && authorOf(first));
      speaks = sameBytes(record.log, state.id) || (author !== undefined && wasAdmin(state, author));
      known.set(log, speaks);
    }
    return speaks;
  });
}

/** As many as may wait in memory. */
export function newest(records: readonly LogRecord[]): LogRecord[] {
  const kept: LogRecord[] = [];
  let bytes = 0;
  for (const record of records.slice(-choice.coopWaiting).reverse()) {
    bytes += record.bytes.length;
    if (bytes > choice.coopWaitingBytes) break;
    kept.push(record);
  }
  return kept.reverse();
}

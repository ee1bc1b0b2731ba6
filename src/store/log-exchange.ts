/**
 * Logs as peers see them: how far each is known, records of it, and what becomes of records that a peer sends. Logs
 * that this installation writes and those that it keeps for others are one row of logs here, and two where they lie.
 *
 * Of an own log nobody should know more, or anything else, than this home. Who does has met a copy of it, or knew it
 * before it was put back: then what is missing is taken, and nothing is written to that log any more.
 * @module
 */
import { placeIn } from "./apply.js";
import type { Catalogue } from "./catalogue.js";
import type { LogRecord } from "../format/record.js";
import type { KeptLogs } from "./kept-logs.js";
import type { LogFile, StoredRecord } from "./log.js";
import type { Head } from "./others.js";
import type { OwnLogs } from "./own-logs.js";
import { type Accepted, decoded, inRow, type Judgement, judge, judgeFork } from "./taking.js";

export interface ExchangeParts {
  readonly catalogue: Catalogue;
  readonly own: OwnLogs;
  readonly kept: KeptLogs;
  /** Have the catalogue know the own logs. @param expectsGaps what they list may be gone from here */
  apply(expectsGaps: boolean): void;
  /** Told when others knew more of the newest own log, and another was begun. */
  outrun(): void;
}

export class LogExchange {
  readonly #catalogue: Catalogue;
  readonly #own: OwnLogs;
  readonly #kept: KeptLogs;
  readonly #parts: ExchangeParts;

  constructor(parts: ExchangeParts) {
    this.#catalogue = parts.catalogue;
    this.#own = parts.own;
    this.#kept = parts.kept;
    this.#parts = parts;
  }

  heads(): Head[] {
    const own = this.#own.files.flatMap((log) => this.#headOf(log) ?? []);
    return [...own, ...this.#kept.heads()];
  }

  #headOf({ id, isFrozen }: LogFile): Head | undefined {
    const row = this.#catalogue.applied(id);
    return row && { scope: row.scope, log: id, device: row.device, seq: row.seq, id: row.id, frozen: isFrozen };
  }

  recordsOf(log: Buffer, from: bigint, maxBytes: number): Buffer[] {
    const own = this.#own.find(log);
    if (own === undefined) return this.#kept.records(log, from, maxBytes);
    // What the catalogue has applied was on the disk before.
    const end = this.#catalogue.applied(log)?.end ?? 0;
    return own.from(from, end, maxBytes).map(({ bytes }) => bytes);
  }

  acceptRecords(log: Buffer, records: readonly Buffer[], allowed: (vault: Buffer) => boolean): Accepted {
    const own = this.#own.find(log);
    if (own) return this.#acceptOwn(own, records, judge);
    const [first] = records;
    const record = first === undefined ? "no records" : decoded(first);
    if (typeof record === "string") return { outcome: "refused", why: record };
    if (!allowed(record.vault)) return { outcome: "refused", why: "a vault that is not kept here" };
    return this.#kept.accept(record.vault, log, records);
  }

  acceptFork(log: Buffer, record: Buffer): Accepted {
    const own = this.#own.find(log);
    if (own === undefined) return this.#kept.freeze(log, record);
    return this.#acceptOwn(own, [record], (file, head, [theirs]) => judgeFork(file, head, theirs as LogRecord));
  }

  acceptOwnTail(log: Buffer, records: readonly Buffer[]): Accepted {
    const own = this.#own.find(log);
    return own ? this.#acceptOwn(own, records, judge, Number.POSITIVE_INFINITY) : { outcome: "gap", head: undefined };
  }

  evidenceOf(log: Buffer): Buffer[] {
    const own = this.#own.find(log);
    const head = own && this.#catalogue.applied(log);
    return own && head ? this.#own.evidence(own, head) : this.#kept.evidence(log);
  }

  #acceptOwn(
    log: LogFile,
    bytes: readonly Buffer[],
    how: (file: LogFile, head: StoredRecord, records: readonly LogRecord[]) => Judgement,
    maxBytes?: number,
  ): Accepted {
    if (log.isFrozen) return { outcome: "frozen" };
    const records = inRow(log.id, log.scope, bytes, maxBytes);
    if (typeof records === "string") return { outcome: "refused", why: records };
    if (records.length === 0) return { outcome: "known" };
    const wasNewest = this.#own.newest === log;
    const place = placeIn(this.#catalogue, log) ?? log.first;
    const judgement = this.#own.take(log, place, (file, head) => how(file, head, records));
    if (judgement.outcome === "gap") return { outcome: "gap", head: this.#headOf(log) };
    if (judgement.outcome !== "append" && judgement.outcome !== "fork") return judgement;
    this.#parts.apply(true);
    if (judgement.outcome === "fork") {
      return { outcome: "fork", mine: judgement.mine.bytes, theirs: judgement.theirs.bytes };
    }
    if (wasNewest) this.#parts.outrun();
    return { outcome: "accepted", head: this.#headOf(log) as Head };
  }
}

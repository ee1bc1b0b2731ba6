/**
 * What several peers show of one log, before there is a vault to keep it in: every record checked, every branch that
 * its device signed kept. A log whose device is honest has one branch; the longest one is what counts.
 * @module
 */
import { Problem } from "../base/errors.js";
import { type Author, decodeAuthor } from "../format/author.js";
import { checkRecord, decodeRecord, follows, type LogRecord } from "../format/record.js";

/** Branches of one log that are looked at; whoever signs more has made his point. */
const branchesAtMost = 8;

export class Branches {
  readonly log: Buffer;
  readonly #vault: Buffer;
  #author: Author | undefined;
  /** each from its genesis on */
  readonly #branches: LogRecord[][] = [];

  constructor(log: Buffer, vault: Buffer) {
    this.log = log;
    this.#vault = vault;
  }

  /** who writes the log; undefined before its genesis is here */
  get device(): Buffer | undefined {
    return this.#author?.device;
  }

  /** The longest branch; of two as long the one whose last id is smaller, so that everybody picks the same. */
  get longest(): readonly LogRecord[] {
    let best: readonly LogRecord[] = [];
    for (const branch of this.#branches) {
      const [a, b] = [branch.at(-1), best.at(-1)];
      if (branch.length > best.length || (branch.length === best.length && a && b && a.id.compare(b.id) < 0))
        best = branch;
    }
    return best;
  }

  /** The other branches, where the device has signed two records for one place. */
  get others(): readonly (readonly LogRecord[])[] {
    const longest = this.longest;
    return this.#branches.filter((branch) => branch !== longest);
  }

  /** Is there a branch with this record in this place? */
  has(seq: bigint, id: Buffer): boolean {
    return this.#branches.some((branch) => branch[Number(seq)]?.id.equals(id));
  }

  /** Does a branch that ends in, or leads through, `head` hold `record`? */
  leadsThrough(head: { seq: bigint; id: Buffer }, record: { seq: bigint; id: Buffer }): boolean {
    return (
      head.seq >= record.seq &&
      this.#branches.some(
        (branch) => branch[Number(head.seq)]?.id.equals(head.id) && branch[Number(record.seq)]?.id.equals(record.id),
      )
    );
  }

  /**
   * Take records in order. "gap" where what comes before the first is not known; the rest is given up at the first
   * that is not true.
   */
  take(records: readonly Buffer[]): "news" | "known" | "gap" | "refused" {
    let outcome: "news" | "known" = "known";
    for (const bytes of records) {
      const record = this.#checked(bytes);
      if (record === undefined) return outcome === "news" ? "news" : "refused";
      const placed = this.#place(record);
      if (placed === "gap" || placed === "refused") return outcome === "news" ? "news" : placed;
      if (placed === "news") outcome = "news";
    }
    return outcome;
  }

  #checked(bytes: Buffer): LogRecord | undefined {
    try {
      const record = decodeRecord(bytes);
      if (!record.log.equals(this.log) || !record.vault.equals(this.#vault)) return undefined;
      const author = this.#author ?? (record.seq === 0n ? decodeAuthor(record) : undefined);
      if (author === undefined) return record; // its genesis is missing: a gap
      checkRecord(record, author.device);
      this.#author = author;
      return record;
    } catch (error) {
      if (error instanceof Problem) return undefined;
      throw error;
    }
  }

  #place(record: LogRecord): "news" | "known" | "gap" | "refused" {
    const at = Number(record.seq);
    if (this.has(record.seq, record.id)) return "known";
    // A log's id is that of its genesis: there is one.
    if (at === 0) return this.#branches.push([record]) > 0 ? "news" : "known";
    const before = this.#branches.find((branch) => {
      const last = branch[at - 1];
      return last !== undefined && follows(last, record);
    });
    if (before === undefined) return "gap";
    if (before.length === at) before.push(record);
    else if (this.#branches.length < branchesAtMost) this.#branches.push([...before.slice(0, at), record]);
    else return "refused";
    return "news";
  }
}

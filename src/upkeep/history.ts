/**
 * The logs from their first records on, and what the catalogue says of them.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import type { Pace } from "../base/pace.js";
import { decodeForget, decodeRevision } from "../format/revision.js";
import { decodeListings, decodeRelease, type Listing } from "../format/listing.js";
import { type LogRecord, openRecord, recordTypes } from "../format/record.js";
import { hexStart } from "../store/segments.js";
import type { Vault } from "../vault/vault.js";
import type { Findings } from "./findings.js";

/** What the logs say is there. */
export interface Recorded {
  /** segments that are listed and not released by any log of the vault, by name as hex */
  readonly listings: ReadonlyMap<string, Listing>;
}

/** How long another process that has just appended is given to bring the catalogue up to it. */
const patienceMs = 2000;

/** Read and verify every record; compare revisions with the catalogue. */
export async function checkHistory(vault: Vault, pace: Pace, findings: Findings): Promise<Recorded> {
  // What the catalogue knew before we began to read must be in the logs; what they say must be in it soon after.
  const { catalogue } = vault.store;
  const known = [...catalogue.revisions()].filter(({ log }) => catalogue.applied(log)?.own).map(({ id }) => id);
  findings.phase("logs", 0);
  const history = new History(vault, findings);
  try {
    for (const record of vault.store.history()) {
      history.read(record, true);
      findings.done = ++findings.records;
      if (pace.due(1)) await pace.rest();
    }
    for (const record of vault.store.othersHistory()) {
      history.read(record, false);
      if (pace.due(1)) await pace.rest();
    }
  } catch (error) {
    if (!(error instanceof Problem) || error.code === "interrupted") throw error;
    findings.found("log", "logs", error.message);
    return history;
  }
  await history.compare(known);
  return history;
}

class History implements Recorded {
  readonly #vault: Vault;
  readonly #findings: Findings;
  readonly listings = new Map<string, Listing>();
  /** by the same name: which log lists it */
  readonly #listers = new Map<string, string>();
  readonly #revisions = new Set<string>();
  readonly #forgotten = new Set<string>();
  readonly #heads = new Map<string, LogRecord>();
  /** revisions that the catalogue does not have, or not yet */
  readonly #unseen: { readonly id: Buffer; readonly log: Buffer; readonly body: Buffer }[] = [];

  constructor(vault: Vault, findings: Findings) {
    this.#vault = vault;
    this.#findings = findings;
  }

  /** @param own of this device, which must understand all that it wrote */
  read(record: LogRecord, own: boolean): void {
    this.#heads.set(toHex(record.log), record);
    try {
      this.#take(record);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!own) return;
      this.#findings.found("log", hexStart(record.log), `record ${record.seq} cannot be understood: ${error.message}`);
    }
  }

  #take(record: LogRecord): void {
    const { type, clear } = record;
    if (type === recordTypes.list)
      for (const listing of decodeListings(clear).listings) this.#list(listing, toHex(record.log));
    else if (type === recordTypes.release) {
      for (const name of decodeRelease(clear).names)
        if (this.#listers.get(toHex(name)) === toHex(record.log)) this.listings.delete(toHex(name));
    } else if (type === recordTypes.revision) this.#revision(record);
    else if (type === recordTypes.forget) {
      const { revisions, undo } = decodeForget(this.#open(record));
      for (const id of revisions) this.#forgotten[undo ? "delete" : "add"](toHex(id));
    }
  }

  /** This device's own logs are read first, and have the first word on what they list. */
  #list(listing: Listing, log: string): void {
    const name = toHex(listing.name);
    if (this.listings.has(name) && this.#listers.get(name) !== log) return;
    this.listings.set(name, listing);
    this.#listers.set(name, log);
  }

  #open(record: LogRecord): Buffer {
    const epoch = this.#vault.store.keyring.epochs.get(record.epoch);
    if (epoch === undefined) throw new Problem("damaged", `the keys of epoch ${record.epoch} are not here`);
    return openRecord(record, epoch);
  }

  #revision(record: LogRecord): void {
    const body = this.#open(record);
    decodeRevision(body);
    this.#revisions.add(toHex(record.id));
    const row = this.#vault.store.catalogue.revision(record.id);
    if (row === undefined) this.#unseen.push({ id: record.id, log: record.log, body });
    else if (!sameBytes(row.body, body) || row.time !== record.time || !sameBytes(row.log, record.log))
      this.#findings.found(
        "index",
        `revision ${hexStart(record.id)}`,
        `the index tells another story of it than its record; ${remedy}`,
      );
  }

  /** What a log with two branches tells may be told again in a later one, word for word, and is then shown as of that. */
  #toldAgain(): (log: Buffer, body: Buffer) => boolean {
    const { store } = this.#vault;
    const frozen = new Set(store.heads().flatMap(({ log, frozen }) => (frozen ? [toHex(log)] : [])));
    if (frozen.size === 0) return () => false;
    const shown = new Set([...store.catalogue.revisions()].map(({ body }) => toHex(body)));
    return (log, body) => frozen.has(toHex(log)) && shown.has(toHex(body));
  }

  async compare(known: readonly Buffer[]): Promise<void> {
    const { catalogue } = this.#vault.store;
    const behind = (): boolean =>
      [...this.#heads.values()].some(({ log, seq }) => (catalogue.applied(log)?.seq ?? -1n) < seq);
    if (behind()) await this.#vault.system.sleep(patienceMs);
    if (behind()) this.#findings.found("index", "catalogue", `it lacks the newest records of the logs; ${remedy}`);
    const isToldAgain = this.#toldAgain();
    for (const { id, log, body } of this.#unseen)
      if (catalogue.revision(id) === undefined && !this.#forgotten.has(toHex(id)) && !isToldAgain(log, body))
        this.#findings.found("index", `revision ${hexStart(id)}`, `it is in the log but not in the index; ${remedy}`);
    for (const id of known)
      if (!this.#revisions.has(toHex(id)))
        this.#findings.found("index", `revision ${hexStart(id)}`, `it is in the index but in no log; ${remedy}`);
  }
}

export const remedy = 'run "bcoopfs repair --rebuild-index"';

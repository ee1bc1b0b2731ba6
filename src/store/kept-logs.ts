/**
 * Others' logs of all vaults that this home keeps, and what the catalogue says of them. The logs of a vault are opened
 * when somebody first asks, and then what was appended and not applied before a crash is applied.
 *
 *   logs/<vault>/<log>   of the own vault: what other devices write, and what this device wrote before it lost it
 * @module
 */
import { join } from "node:path";
import { sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import type { LogRecord } from "../format/record.js";
import { applyLog, placeIn, type Reading } from "./apply.js";
import type { Catalogue } from "./catalogue.js";
import { entriesIn, type Home } from "./home.js";
import { type Head, OtherLogs } from "./others.js";
import type { Accepted } from "./taking.js";

export class KeptLogs {
  readonly #home: Home;
  readonly #catalogue: Catalogue;
  readonly #reading: Reading;
  readonly #isOwn: (log: Buffer) => boolean;
  readonly #scopes = new Map<string, OtherLogs>();

  /** @param isOwn does this installation write this log? Such a log needs no second place, wherever else it lies */
  constructor(home: Home, catalogue: Catalogue, reading: Reading, isOwn: (log: Buffer) => boolean) {
    this.#home = home;
    this.#isOwn = isOwn;
    this.#catalogue = catalogue;
    this.#reading = reading;
  }

  heads(): Head[] {
    return this.#all().flatMap((logs) => logs.heads().filter(({ log }) => !this.#isOwn(log)));
  }

  records(log: Buffer, from: bigint, maxBytes: number): Buffer[] {
    return this.#with(log)?.records(log, from, maxBytes) ?? [];
  }

  accept(scope: Buffer, log: Buffer, records: readonly Buffer[]): Accepted {
    const logs = this.#open(toHex(scope));
    const accepted = logs.accept(log, records);
    if (accepted.outcome === "accepted" || accepted.outcome === "fork") this.#apply(logs, log);
    return accepted;
  }

  freeze(log: Buffer, record: Buffer): Accepted {
    const logs = this.#with(log);
    if (logs === undefined) return { outcome: "gap", head: undefined };
    const accepted = logs.freeze(log, record);
    if (accepted.outcome === "fork") this.#apply(logs, log);
    return accepted;
  }

  evidence(log: Buffer): Buffer[] {
    return this.#with(log)?.evidence(log) ?? [];
  }

  /** Have the catalogue know all of them: after it was made anew. */
  applyAll(): void {
    for (const logs of this.#all()) for (const log of logs.logs()) this.#apply(logs, log);
  }

  /** Every record of other devices' logs of the own vault, as far as they read. */
  *history(): Generator<LogRecord> {
    const logs = this.#open(toHex(this.#reading.vault));
    for (const log of logs.logs()) {
      const found = this.#isOwn(log) ? undefined : logs.file(log);
      if (found === undefined) continue;
      yield found.file.genesis;
      for (const { record, end } of found.file.after(found.file.first)) if (end <= found.head.end) yield record;
    }
  }

  close(): void {
    for (const logs of this.#scopes.values()) logs.close();
    this.#scopes.clear();
  }

  /** The own vault first, so that what matters most here is applied first. */
  #all(): OtherLogs[] {
    const own = toHex(this.#reading.vault);
    const scopes = entriesIn(this.#home.logs)
      .filter((entry) => entry.isDirectory() && /^[0-9a-f]{64}$/.test(entry.name))
      .map(({ name }) => name)
      .sort((a, b) => Number(b === own) - Number(a === own) || (a < b ? -1 : 1));
    return scopes.map((scope) => this.#open(scope));
  }

  #open(scope: string): OtherLogs {
    const known = this.#scopes.get(scope);
    if (known) return known;
    const id = Buffer.from(scope, "hex");
    const logs = OtherLogs.open(join(this.#home.logs, scope), id, (log) => this.#catalogue.applied(log));
    this.#scopes.set(scope, logs);
    try {
      for (const log of logs.logs()) this.#apply(logs, log);
    } catch (error) {
      // A full disk keeps nobody from reading; a later start applies what is not applied now.
      if (!(error instanceof Problem && error.code === "no-space")) throw error;
    }
    return logs;
  }

  /** The logs among which this one is; undefined where it is not here. */
  #with(log: Buffer): OtherLogs | undefined {
    const scope = this.#catalogue.applied(log)?.scope;
    const likely = scope && this.#open(toHex(scope));
    if (likely?.head(log)) return likely;
    return this.#all().find((logs) => logs.head(log) !== undefined);
  }

  /**
   * Apply what is new of a log. Where its file holds less than was applied, or another record in its place, nothing is:
   * what is missing comes again, and what differs is for a rebuild.
   */
  #apply(logs: OtherLogs, log: Buffer): void {
    const head = logs.head(log);
    if (head === undefined || this.#isOwn(log)) return;
    const applied = this.#catalogue.applied(log);
    if (applied && sameBytes(applied.id, head.id) && applied.frozen === head.frozen && !applied.own) return;
    const found = logs.file(log);
    if (found === undefined || placeIn(this.#catalogue, found.file) === undefined) return;
    if (applied && applied.seq > head.seq) return;
    applyLog(this.#catalogue, found.file, found.head, false, this.#reading);
  }
}

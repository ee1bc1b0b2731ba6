/**
 * Records into the catalogue: one function for every commit, every start and every rebuild, so that an index made
 * again is the index that was. Idempotent: what has been applied is not applied twice.
 *
 *   logs of this vault, of any device   what they list, the revisions, which logs they build on
 *   logs of other vaults                what they list and release; no key of theirs is here, and none is needed
 *
 * Of the logs that this device writes every record must be understood. One that another has written and that says
 * nothing we know is passed over: it stays in the log and is passed on, and stops nobody.
 * @module
 */
import { Problem } from "../base/errors.js";
import { sameBytes } from "../base/bytes.js";
import { decodeGenesis } from "../format/genesis.js";
import { decodeListings, decodeRelease, decodeTablePlaces, isSegment, type Listing } from "../format/listing.js";
import type { Epoch } from "../format/keys.js";
import { type LogRecord, openRecord, recordTypes } from "../format/record.js";
import { decodeRevision } from "../format/revision.js";
import { checkSucceed, decodeSucceed } from "../format/root-signed.js";
import type { Table } from "../format/table.js";
import type { Catalogue, SegmentRow } from "./catalogue.js";
import { listed, listersOf, putListed, unwant, want } from "./listed.js";
import type { LogFile, StoredRecord } from "./log.js";

/** What the objects' files say. */
export interface Shelf {
  /** what is in a listed segment whose file is here; undefined where it is missing or damaged. @param own of this device */
  tableOf(listing: Listing, own: boolean): { epoch: number; table: Table } | undefined;
  /** Is an object here, and as long as it should be? */
  has(name: Buffer, length: number): boolean;
}

/** Whose records are being applied, and what is at hand for it. */
export interface Reading {
  readonly vault: Buffer;
  readonly rootPublic: Buffer;
  readonly epochs: ReadonlyMap<number, Epoch>;
  readonly shelf: Shelf;
}

/** What one transaction takes, so that it stays short: a record counts for one, and for each object that it lists. */
const batch = 512;

/** Where in a log the catalogue stands; undefined where the log does not hold the record that was applied last. */
export function placeIn(catalogue: Catalogue, log: LogFile): StoredRecord | undefined {
  const applied = catalogue.applied(log.id);
  return applied === undefined ? log.first : log.at(applied.start, applied.end, applied.id);
}

/**
 * Apply what the catalogue has not seen of a log, up to its head: what stands behind that may not be on the disk yet.
 * @param own this device writes the log, or has written it
 */
export function applyLog(catalogue: Catalogue, log: LogFile, head: StoredRecord, own: boolean, reading: Reading): void {
  const applied = catalogue.applied(log.id);
  let more =
    applied === undefined ||
    applied.own !== own ||
    applied.frozen !== log.isFrozen ||
    applied.end !== head.end ||
    !applied.id.equals(head.record.id);
  while (more)
    more = catalogue.write(() => {
      const from = placeIn(catalogue, log);
      if (from === undefined)
        throw new Problem(
          "damaged",
          `the catalogue is ahead of the log ${log.path}; run "bcoopfs repair --rebuild-index"`,
        );
      return new Application(catalogue, log, own, reading).upTo(from, head);
    });
}

/** One batch of one log. */
class Application {
  readonly #catalogue: Catalogue;
  readonly #log: LogFile;
  readonly #own: boolean;
  readonly #ours: boolean;
  readonly #reading: Reading;

  constructor(catalogue: Catalogue, log: LogFile, own: boolean, reading: Reading) {
    this.#catalogue = catalogue;
    this.#log = log;
    this.#own = own;
    this.#ours = sameBytes(log.scope, reading.vault);
    this.#reading = reading;
  }

  /** Gives whether there is more. */
  upTo(from: StoredRecord, head: StoredRecord): boolean {
    const before = this.#catalogue.applied(this.#log.id);
    if (before === undefined) this.#first();
    else if (!before.frozen && this.#log.apartFrom !== undefined)
      this.#catalogue.removeRevisions(this.#log.id, this.#log.apartFrom);
    let last = from;
    let weight = 0;
    for (const next of this.#log.after(from)) {
      if (next.end > head.end) break;
      weight += 1 + this.#record(next.record);
      this.#mark(next, last.end);
      last = next;
      if (weight >= batch) return true;
    }
    const applied = this.#catalogue.applied(this.#log.id);
    if (applied) this.#catalogue.setApplied({ ...applied, own: this.#own, frozen: this.#log.isFrozen });
    return false;
  }

  #mark({ record, end }: StoredRecord, start: number): void {
    const { id: log, scope, device, isFrozen: frozen } = this.#log;
    const { seq, id } = record;
    this.#catalogue.setApplied({ log, scope, device, seq, id, start, end, own: this.#own, frozen });
  }

  /** The log itself: whose it is, and what it goes on from. */
  #first(): void {
    this.#mark(this.#log.first, 0);
    if (!this.#ours || this.#log.genesis.type !== recordTypes.genesis) return;
    const { predecessor } = decodeGenesis(this.#log.genesis.clear);
    if (predecessor === undefined) return;
    this.#catalogue.addHeir({ heir: this.#log.id, log: predecessor.log, upTo: predecessor.seq, inherits: false });
  }

  /** Gives how many objects it was about. */
  #record(record: LogRecord): number {
    try {
      if (record.type === recordTypes.list) return this.#list(record);
      if (record.type === recordTypes.release) return this.#release(record);
      if (!this.#ours) return 0;
      if (record.type === recordTypes.revision) this.#revision(record);
      else if (record.type === recordTypes.succeed) this.#succeed(record);
      return 0;
    } catch (error) {
      const foreign = error instanceof Problem && ["format", "damaged", "unsupported"].includes(error.code);
      if (this.#own || !foreign) throw error;
      return 0;
    }
  }

  #secret(record: LogRecord): Buffer {
    const epoch = this.#reading.epochs.get(record.epoch);
    if (epoch === undefined) throw new Problem("damaged", `the keys of epoch ${record.epoch} are not here`);
    return openRecord(record, epoch);
  }

  #list(record: LogRecord): number {
    const { listings } = decodeListings(record.clear);
    const { shelf } = this.#reading;
    for (const listing of listings) {
      const { name, length, kind } = listing;
      putListed(this.#catalogue, { log: this.#log.id, name, length, kind, seq: record.seq, released: false });
      if (!shelf.has(name, length)) want(this.#catalogue, { name, length, kind, log: this.#log.id }, this.#ours);
      if (this.#ours && isSegment(kind)) this.#segment(listing, record.seq);
    }
    if (!this.#ours) return listings.length;
    const tables = this.#secret(record);
    // A writer may have nothing to say of tables: its segments are found by their footers.
    if (tables.length > 0) for (const place of decodeTablePlaces(tables).places) this.#catalogue.addTablePlace(place);
    // Tables are read and chunks put into the index: that is worth many objects that are merely noted.
    return listings.length * (batch / 16);
  }

  #segment(listing: Listing, seq: bigint): void {
    const known = this.#catalogue.segmentByName(listing.name);
    const by = { listing, log: this.#log.id, seq };
    let number = known?.number;
    if (known === undefined || number === undefined)
      number = this.#catalogue.addSegment({ ...by, epoch: 0, frames: [] });
    else if (this.#catalogue.rank(by.log, seq) >= this.#catalogue.rank(known.log, known.seq)) return;
    else this.#catalogue.changeSegment({ ...known, ...by });
    const found = this.#reading.shelf.tableOf(listing, this.#own);
    if (found) this.#catalogue.learn(number, found.epoch, found.table);
  }

  #release(record: LogRecord): number {
    const { names } = decodeRelease(record.clear);
    for (const name of names) {
      const row = listed(this.#catalogue, this.#log.id, name);
      if (row === undefined || row.released) continue;
      putListed(this.#catalogue, { ...row, released: true });
      const others = [...listersOf(this.#catalogue, name)];
      if (others.length === 0) unwant(this.#catalogue, name);
      const segment = this.#ours ? this.#catalogue.segmentByName(name) : undefined;
      if (segment === undefined || !segment.log.equals(this.#log.id)) continue;
      const heir = others.find(({ scope }) => sameBytes(scope, this.#reading.vault));
      if (heir) this.#catalogue.changeSegment({ ...segment, log: heir.log, seq: heir.seq });
      else this.#strike(name);
    }
    return names.length;
  }

  /** What a released segment held is to be found in the next one that holds it too. */
  #strike(name: Buffer): void {
    const struck = new Set(this.#catalogue.removeSegment(name).map((id) => id.toString("latin1")));
    if (struck.size > 0)
      this.#learnAgain(
        () => true,
        (id) => struck.has(id.toString("latin1")),
      );
  }

  /** Where two segments hold a chunk, choose anew: what they are to this device has changed. */
  #learnAgain(which: (row: SegmentRow) => boolean, wanted?: (id: Buffer) => boolean): void {
    for (const row of this.#catalogue.segments()) {
      if (row.frames.length === 0 || !which(row)) continue;
      const found = this.#reading.shelf.tableOf(row.listing, false);
      if (found) this.#catalogue.learn(row.number, found.epoch, found.table, wanted);
    }
  }

  #revision(record: LogRecord): void {
    const { id, seq, time } = record;
    // It is told again in a later log, and shown once.
    if (this.#log.apartFrom !== undefined && seq >= this.#log.apartFrom) return;
    const body = this.#secret(record);
    // What no reader could show is not put before any.
    if (!this.#own) decodeRevision(body);
    this.#catalogue.addRevision({ id, log: this.#log.id, seq, device: this.#log.device, time, body });
  }

  /** The root key lets this log inherit others: from now on what they list counts as its own. */
  #succeed(record: LogRecord): void {
    const body = decodeSucceed(record.clear);
    checkSucceed(body, this.#reading.vault, this.#reading.rootPublic);
    if (!sameBytes(body.certificate.device, this.#log.device))
      throw new Problem("format", "a succession that names another device than the one that wrote it");
    const logs = new Map<string, bigint>();
    for (const { log, seq } of body.logs) {
      this.#catalogue.addHeir({ heir: this.#log.id, log, upTo: seq, inherits: true });
      logs.set(log.toString("latin1"), seq);
    }
    if (this.#own) this.#learnAgain((row) => row.seq <= (logs.get(row.log.toString("latin1")) ?? -1n));
  }
}

/**
 * This machine's disk: what it has, gives, takes and commits. Truth is segments and logs; the catalogue follows them.
 *
 *   1 frames to a temporary segment   2 footer, name, fdatasync   3 rename, fsync the folder
 *   4 append the signed records, fdatasync: the commit point   5 catalogue transaction   6 acknowledge
 *
 * Opening is recovery and recovery is opening: cut a torn tail, apply what the catalogue has not seen, list what a
 * dead writer had sealed. There is no other way in, so it is exercised by every run. What must not happen beside other
 * processes (a damaged or missing catalogue, going on after a copy) waits until this one is alone for a moment.
 *
 * Others' logs are taken, kept and given on beside the own ones, and never mixed with them: no log has two writers.
 * @module
 */
import { existsSync } from "node:fs";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import type { System } from "../base/system.js";
import {
  covers,
  decodeRelease,
  encodeListings,
  encodeTablePlaces,
  listingsPerRecord,
  lowestClass,
  type PlacementClass,
} from "../format/listing.js";
import { type LogRecord, type RecordType, recordTypes } from "../format/record.js";
import { applyLog, placeIn, type Reading } from "./apply.js";
import { Catalogue } from "./catalogue.js";
import { checkFileSystem, type Home, tryUnlink } from "./home.js";
import { KeptLogs } from "./kept-logs.js";
import type { Keyring } from "./keyring.js";
import { Ledger } from "./ledger.js";
import { LogExchange } from "./log-exchange.js";
import type { LogFile, StoredRecord } from "./log.js";
import { clearDeadSessions, type Orphan, verified } from "./orphans.js";
import { objectPath } from "./objects.js";
import type { Head } from "./others.js";
import { OwnLogs } from "./own-logs.js";
import { catalogueState, removeCatalogue, sealCatalogue, setCatalogueAside } from "./probe.js";
import { ChunkReader } from "./reader.js";
import { GoingOn } from "./going-on.js";
import { segmentFiles } from "./segments.js";
import { type RecordBodies, type SealedSegment, Session } from "./session.js";
import { FileShelf } from "./shelf.js";
import type { Source } from "./source.js";
import type { Accepted } from "./taking.js";
import { Use } from "./use.js";

/** What recovery did, for whoever sits before the screen. */
export type Say = (message: string) => void;

/** What a store is made of. */
interface Parts {
  readonly home: Home;
  readonly keyring: Keyring;
  readonly system: System;
  readonly say: Say;
  readonly use: Use;
  readonly catalogue: Catalogue;
  readonly own: OwnLogs;
}

export class Store {
  readonly home: Home;
  readonly keyring: Keyring;
  readonly system: System;
  readonly reader: ChunkReader;
  readonly catalogue: Catalogue;
  readonly ledger: Ledger;
  readonly #own: OwnLogs;
  readonly #kept: KeptLogs;
  readonly #exchange: LogExchange;
  readonly #shelf: FileShelf;
  readonly #reading: Reading;
  readonly #say: Say;
  readonly #use: Use;
  readonly #goingOn: GoingOn;
  #seen = "";

  private constructor({ home, keyring, system, say, use, catalogue, own }: Parts) {
    this.home = home;
    this.keyring = keyring;
    this.system = system;
    this.#say = say;
    this.#use = use;
    this.catalogue = catalogue;
    this.#own = own;
    this.#shelf = new FileShelf(home, keyring.epochs, say);
    const { vault, rootPublic, epochs } = keyring;
    this.#reading = { vault, rootPublic, epochs, shelf: this.#shelf };
    this.#kept = new KeptLogs(home, catalogue, this.#reading, (log) => this.isOwn(log));
    const apply = (expectsGaps: boolean): void => this.#apply(expectsGaps);
    this.#exchange = new LogExchange({ catalogue, own, kept: this.#kept, apply, outrun: () => say(outrun) });
    this.#goingOn = new GoingOn({
      ...{ home, catalogue, own, use, say },
      begin: (why) => this.beginAnew(why),
      append: (bodies) => this.#append(bodies),
      rebuild: () => this.rebuild(),
      holds: (segment) => this.holds(segment, lowestClass),
    });
    catalogue.isWhole = ({ listing }) => this.#shelf.has(listing.name, listing.length);
    this.ledger = new Ledger(catalogue, {
      vault,
      device: keyring.device.publicKey,
      now: () => system.now(),
      has: (name, length) => this.#shelf.has(name, length),
      discard: (name) => tryUnlink(objectPath(home, name)),
      tableOf: (listing) => this.#shelf.tableOf(listing, false),
    });
    this.reader = new ChunkReader(home, keyring, catalogue, system, say);
  }

  /** Open, which is to recover. Problem("damaged") where a log's history is damaged; nothing is ever cut from that. */
  static async open(home: Home, keyring: Keyring, system: System, say: Say): Promise<Store> {
    checkFileSystem(home.path);
    for (let attempt = 1; ; attempt++) {
      const use = await Use.begin(home, system);
      try {
        const store = await Store.#openOnce(home, keyring, system, say, use);
        use.shared();
        return store;
      } catch (error) {
        use.end();
        const wait = error instanceof Problem && error.code === "busy" && attempt < attemptsToBeAlone;
        if (!wait) throw errnoOf(error) === undefined ? error : systemProblem(`cannot open ${home.path}`, error);
      }
      // Two that found the same damage step aside for each other, by different times.
      await system.sleep(20 + (system.random(1)[0] as number));
    }
  }

  static async #openOnce(home: Home, keyring: Keyring, system: System, say: Say, use: Use): Promise<Store> {
    const state = catalogueState(home, use.tryExclusive());
    if (state !== "sound") use.exclusive();
    if (state === "damaged") {
      const aside = setCatalogueAside(home);
      say(
        `the catalogue was damaged and is being made again from segments and logs; the damaged one is kept as ${aside}`,
      );
    } else if (state === "other") {
      removeCatalogue(home);
      say("the catalogue is of another version and is being made again from segments and logs");
    }
    const own = new OwnLogs(home.logs, keyring, system);
    let catalogue: Catalogue | undefined;
    try {
      // A new home has none, and has never left a seal.
      if (state === "missing" && existsSync(home.catalogueSeal) && own.files.some((log) => !log.isNew))
        say("the catalogue was missing and is being made again from segments and logs");
      catalogue = Catalogue.open(home.catalogue);
      const store = new Store({ home, keyring, system, say, use, catalogue, own });
      await store.#recover();
      return store;
    } catch (error) {
      await catalogue?.close();
      own.close();
      throw error;
    }
  }

  async #recover(): Promise<void> {
    if (await this.#goingOn.afterReverted()) return;
    this.#goingOn.seeWhere();
    try {
      this.#apply();
      this.#goingOn.beforeAppending();
      clearDeadSessions(this.home, (found) => this.#listOrphans(found));
      if (!this.catalogue.isComplete) this.#applyKept();
    } catch (error) {
      // A full disk must not keep anybody from reading what is there.
      if (!(error instanceof Problem && error.code === "no-space")) throw error;
      this.#say("the disk is full: what was stored last may not be in the catalogue yet; free some space");
    }
  }

  /**
   * Where the middle of a log is damaged: cut it there, keep a copy, and go on in a new log with what the catalogue
   * knows. Returns how many logs were mended.
   */
  async mendLogs(): Promise<number> {
    this.#use.exclusive();
    try {
      const mended = this.#own.files.filter((log) => log.mend()).length;
      if (mended > 0) await this.#goingOn.afterReverted();
      return mended;
    } finally {
      this.#use.shared();
    }
  }

  /** Make the catalogue again from segments and logs alone; sealed segments that no log lists are listed. */
  async rebuild(): Promise<void> {
    this.#use.exclusive();
    // First see that every log reads to its end: where one does not, the old index is better than none.
    for (const log of this.#own.files) log.underLock(log.first, (head) => head);
    this.catalogue.clear();
    for (const record of this.history())
      if (record.type === recordTypes.release) this.#shelf.noteReleased(decodeRelease(record.clear).names);
    this.#apply();
    this.#listOrphans([...segmentFiles(this.home)].map((name) => ({ name, listing: undefined })));
    this.#applyKept();
    this.#use.shared();
  }

  /** @param expectsGaps what is listed may well be gone from here: then it is wanted, and no damage */
  #apply(expectsGaps = false): void {
    this.#shelf.expectsGaps = expectsGaps;
    for (const log of this.#own.files) {
      const head = log.underLock(this.#knownPlace(log), (newest) => newest);
      applyLog(this.catalogue, log, head, true, this.#reading);
    }
    this.#shelf.forgetFresh();
  }

  /** Have a catalogue that was made anew know others' logs too. */
  #applyKept(): void {
    this.#kept.applyAll();
    this.catalogue.setComplete();
  }

  /** A record of an own log that is known to be good. */
  #knownPlace(log: LogFile): StoredRecord {
    return placeIn(this.catalogue, log) ?? log.first;
  }

  /** List sealed segments that no record lists, after checking every byte of them. */
  #listOrphans(found: readonly Orphan[]): void {
    const unlisted = found.filter(({ name }) => this.catalogue.segmentByName(name) === undefined);
    const sealed = verified(this.home, this.keyring.epochs, unlisted, this.#say);
    if (sealed.length > 0) this.commit(sealed, []);
  }

  /**
   * May a chunk in the segment of this number count as stored? It may where this device, or a log that it inherits,
   * lists the segment, placed at least as well as wanted, and where it is here whole, or enough others signed that they
   * hold it. What another device lists, that one may release.
   */
  holds(number: number, wanted: PlacementClass): boolean {
    const row = this.catalogue.segment(number);
    if (row === undefined || !covers(row.listing.class, wanted) || this.catalogue.rank(row.log, row.seq) > 1)
      return false;
    const { name, length } = row.listing;
    return this.#shelf.has(name, length) || this.ledger.copiesOf(name) >= Math.max(1, wanted.minimum);
  }

  /** Does all that this device has listed count as stored? Then content whose first chunk does is there whole. */
  holdsAll(wanted: PlacementClass): boolean {
    for (const { number, log, seq } of this.catalogue.segments()) {
      const rank = this.catalogue.rank(log, seq);
      // Of a log that is inherited only up to a record, content may reach beyond it.
      if (rank === 1 || (rank === 0 && !this.holds(number, wanted))) return false;
    }
    return true;
  }

  /** Begin a writing run. */
  session(placement: PlacementClass): Session {
    return new Session(this, placement);
  }

  /** Append records that list sealed segments and carry `bodies`, then apply them: steps 4 to 6. */
  commit(sealed: readonly SealedSegment[], bodies: RecordBodies): LogRecord[] {
    const lists: { type: RecordType; clear: Buffer; secret: Buffer }[] = [];
    for (let at = 0; at < sealed.length; at += listingsPerRecord) {
      const part = sealed.slice(at, at + listingsPerRecord);
      const places = part.flatMap(({ tablePlace }) => (tablePlace ? [tablePlace] : []));
      const secret = encodeTablePlaces(places);
      lists.push({ type: "list", clear: encodeListings(part.map(({ listing }) => listing)), secret });
    }
    const all = [...lists, ...bodies];
    if (all.length === 0) return [];
    this.#shelf.remember(sealed);
    const records = this.#append(all);
    this.#apply();
    return records;
  }

  #append(bodies: RecordBodies): LogRecord[] {
    if (this.#goingOn.beforeAppending()) this.#use.shared();
    return this.#own.append(bodies, (log) => {
      const place = placeIn(this.catalogue, log);
      if (place) return place;
      throw new Problem(
        "damaged",
        "this home was put back to an earlier state while it was in use; run the command again",
      );
    });
  }

  /** Every record of this device's logs, checked from each genesis on. Problem("damaged") where history is broken. */
  *history(): Generator<LogRecord> {
    for (const log of this.#own.files) {
      yield log.genesis;
      const head = log.underLock(log.first, (newest) => newest);
      for (const { record } of log.after(log.first)) {
        yield record;
        if (record.seq === head.record.seq) break;
      }
    }
  }

  /** Every record of the vault's other logs that are kept here, as far as they read. */
  othersHistory(): Generator<LogRecord> {
    return this.#kept.history();
  }

  /** Where bytes come from that are not here; settable, because it comes from further up. */
  get source(): Source | undefined {
    return this.reader.source;
  }

  set source(source: Source | undefined) {
    this.reader.source = source;
  }

  /** Take in what another process of this home has committed. True where there was something. Cheap where there was not. */
  refresh(): boolean {
    if (this.#own.refresh() || this.#own.files.some((log) => this.catalogue.applied(log.id)?.end !== log.size))
      this.#apply();
    let seen = this.catalogue.revisionsStamp().toString("latin1");
    for (const { id } of this.#own.files) seen += this.catalogue.applied(id)?.id.toString("latin1");
    const changed = seen !== this.#seen;
    this.#seen = seen;
    return changed;
  }

  /** Another text whenever `refresh` has found something, whoever asked for it. */
  get seen(): string {
    return this.#seen;
  }

  /** How far every log is known here: this installation's own, and others' of known vaults. */
  heads(): Head[] {
    return this.#exchange.heads();
  }

  /** Records of any known log from this number on, at most so many bytes; never one that is not on the disk. */
  recordsOf(log: Buffer, from: bigint, maxBytes: number): Buffer[] {
    return this.#exchange.recordsOf(log, from, maxBytes);
  }

  /**
   * Take records of one log that somebody sent, in order, and apply them. Whatever they are, this throws only where this
   * machine's disk fails. @param allowed is this vault one that is kept here?
   */
  acceptRecords(log: Buffer, records: readonly Buffer[], allowed: (vault: Buffer) => boolean): Accepted {
    return this.#exchange.acceptRecords(log, records, allowed);
  }

  /**
   * Take a record as proof that a log has two branches. "known" where it is ours, "gap" where too little is here to say
   * so. Where the log is this installation's own and newest one, another is begun at once; whoever finds it says so.
   */
  acceptFork(log: Buffer, record: Buffer): Accepted {
    return this.#exchange.acceptFork(log, record);
  }

  /** Of a frozen log: the two records that prove it. */
  evidenceOf(log: Buffer): Buffer[] {
    return this.#exchange.evidenceOf(log);
  }

  /** Somebody knew more of a log of this device: all of it is taken, this device goes on in a new log, and it is said. */
  acceptOwnTail(log: Buffer, records: readonly Buffer[]): Accepted {
    return this.#exchange.acceptOwnTail(log, records);
  }

  /** Go on in a new log, and say why. */
  beginAnew(why: string): void {
    this.#own.beginBehind(this.#knownPlace(this.#own.newest));
    this.#apply();
    this.#say(why);
  }

  /** Does this installation write this log, or has it? */
  isOwn(log: Buffer): boolean {
    return this.#own.find(log) !== undefined;
  }

  async close(): Promise<void> {
    await this.catalogue.close();
    if (!this.catalogue.failed) sealCatalogue(this.home);
    this.#own.close();
    this.#kept.close();
    this.#use.end();
  }
}

const outrun =
  "others know newer records of this home's log than it had: they are taken back, and this home goes on in a new log";

/** How often opening is tried where it must be alone: half a minute at most beside others that also come and go. */
const attemptsToBeAlone = 100;

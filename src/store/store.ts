/**
 * This machine's disk: what it has, gives, takes and commits. Truth is segments and logs; the catalogue follows them.
 *
 *   1 frames to a temporary segment   2 footer, name, fdatasync   3 rename, fsync the folder
 *   4 append the signed records, fdatasync: the commit point   5 catalogue transaction   6 acknowledge
 *
 * Opening is recovery and recovery is opening: cut a torn tail, apply what the catalogue has not seen, list what a
 * dead writer had sealed. There is no other way in, so it is exercised by every run. What must not happen beside other
 * processes (a damaged or missing catalogue, a new log) waits until this one is alone for a moment.
 * @module
 */
import { readFileSync } from "node:fs";
import { Reader, toHex } from "../base/bytes.js";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import type { System } from "../base/system.js";
import {
  covers,
  decodeRelease,
  defaultClass,
  encodeListings,
  encodeTablePlaces,
  type Listing,
  listingsPerRecord,
  lowestClass,
  objectKinds,
  type PlacementClass,
  readListing,
} from "../format/listing.js";
import { noFields } from "../format/fields.js";
import { decodeRevision } from "../format/revision.js";
import { type LogRecord, type RecordType, recordTypes, sealRecord } from "../format/record.js";
import { applyLog, placeIn, type Shelf } from "./apply.js";
import { Catalogue, type RevisionRow } from "./catalogue.js";
import { checkFileSystem, type Home, tryUnlink } from "./home.js";
import type { Keyring } from "./keyring.js";
import { lockFile } from "./lock.js";
import type { LogFile, StoredRecord } from "./log.js";
import { beginLog, openOwnLogs } from "./own-logs.js";
import { catalogueState, sealCatalogue, setCatalogueAside } from "./probe.js";
import { Ledger } from "./ledger.js";
import type { Accepted, Head } from "./others.js";
import { ChunkReader } from "./reader.js";
import { objectLength, verifyObject } from "./objects.js";
import { hexStart, segmentFiles, syncSegment } from "./segments.js";
import { readTableOf } from "./tables.js";
import type { Source } from "./source.js";
import { type RecordBodies, type SealedSegment, Session, sessionFiles } from "./session.js";
import { Use } from "./use.js";

/** What recovery did, for whoever sits before the screen. */
export type Say = (message: string) => void;

export class Store {
  readonly home: Home;
  readonly keyring: Keyring;
  readonly system: System;
  readonly reader: ChunkReader;
  readonly catalogue: Catalogue;
  readonly ledger: Ledger;
  /** oldest first; the last one is appended to */
  #logs: LogFile[];
  readonly #say: Say;
  readonly #use: Use;
  /** names that a rebuild knows to be released */
  readonly #released = new Set<string>();
  /** tables of segments sealed by this process and not yet applied */
  readonly #tables = new Map<string, SealedSegment>();

  private constructor(
    home: Home,
    keyring: Keyring,
    system: System,
    say: Say,
    use: Use,
    catalogue: Catalogue,
    logs: LogFile[],
  ) {
    this.home = home;
    this.keyring = keyring;
    this.system = system;
    this.#say = say;
    this.#use = use;
    this.catalogue = catalogue;
    this.#logs = logs;
    this.ledger = new Ledger(catalogue);
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
    }
    const logs = openOwnLogs(home.logs, keyring.device.publicKey);
    let catalogue: Catalogue | undefined;
    try {
      if (state === "missing" && logs.some((log) => !log.isNew))
        say("the catalogue was missing and is being made again from segments and logs");
      catalogue = Catalogue.open(home.catalogue);
      const store = new Store(home, keyring, system, say, use, catalogue, logs);
      await store.#recover();
      return store;
    } catch (error) {
      await catalogue?.close();
      for (const log of logs) log.close();
      throw error;
    }
  }

  get #log(): LogFile {
    const log = this.#logs.at(-1);
    if (log === undefined) throw new Problem("damaged", `there is no log of this device in ${this.home.logs}`);
    return log;
  }

  async #recover(): Promise<void> {
    if (await this.#revertedHome()) return;
    try {
      this.#apply();
      this.#listDeadSessions();
    } catch (error) {
      // A full disk must not keep anybody from reading what is there.
      if (!(error instanceof Problem && error.code === "no-space")) throw error;
      this.#say("the disk is full: what was stored last may not be in the catalogue yet; free some space");
    }
  }

  /** The newest record of a log; under its lock, so that a torn tail is cut. */
  #headOf(log: LogFile): StoredRecord {
    return log.underLock(placeIn(this.catalogue, log) ?? log.first, (head) => head);
  }

  /**
   * A home whose logs know less than its catalogue was put back to an earlier state, in part. Nobody can say what was
   * told to others since, so this device goes on in a new log from the last record that is there.
   */
  async #revertedHome(): Promise<boolean> {
    const applied = this.catalogue.appliedLogs();
    const gone = applied.filter((id) => !this.#logs.some((log) => log.id.equals(id)));
    const behind = this.#logs.filter((log) => placeIn(this.catalogue, log) === undefined);
    if (gone.length === 0 && behind.length === 0 && this.#logs.length > 0) return false;
    this.#use.exclusive();
    // A log as long as it was has not been put back: it is damaged, and its tail is about to be cut.
    for (const log of behind) if (log.size >= (this.catalogue.applied(log.id)?.end ?? 0)) log.keepCopy();
    const newest = this.#logs.at(-1);
    const last = newest && this.#newestOf(newest);
    const lost = this.#untold(gone, behind);
    this.#logs.push(beginLog(this.home.logs, this.keyring, this.system, last));
    const found = lost.filter(({ body }) => this.#hasRoot(body)).map(({ body }) => body);
    if (found.length > 0) this.#append(found.map((secret) => ({ type: "revision", clear: Buffer.alloc(0), secret })));
    await this.rebuild();
    const kept = lost.length === 0 ? "" : `; ${found.length} of ${lost.length} newer revisions are kept under new ids`;
    this.#say(
      applied.length === 0
        ? "this home had no log of this device; it goes on in a new one"
        : `this home was put back to an earlier state, or its log is damaged: the log ends before records that the catalogue knows. It goes on in a new log, and the index is made again${kept}`,
    );
    return true;
  }

  /** Revisions that the catalogue knows and no log tells of any more, because their records are cut off or damaged. */
  #untold(gone: readonly Buffer[], behind: readonly LogFile[]): RevisionRow[] {
    const heads = new Map(behind.map((log) => [toHex(log.id), this.#newestOf(log).record.seq]));
    for (const id of gone) heads.set(toHex(id), -1n);
    return [...this.catalogue.revisions()].filter(({ log, seq }) => {
      const head = heads.get(toHex(log));
      return head !== undefined && seq > head;
    });
  }

  #newestOf(log: LogFile): StoredRecord {
    return log.underLock(log.first, (head) => head);
  }

  /** Is the root of this revision's tree still where the catalogue says? */
  #hasRoot(body: Buffer): boolean {
    const { tree } = decodeRevision(body).root;
    const place = tree && this.catalogue.chunk(tree.id);
    return tree === undefined || (place !== undefined && this.holds(place.segment, lowestClass));
  }

  /**
   * Where the middle of a log is damaged: cut it there, keep a copy, and go on in a new log with what the catalogue
   * knows. Returns how many logs were mended.
   */
  async mendLogs(): Promise<number> {
    this.#use.exclusive();
    try {
      const mended = this.#logs.filter((log) => log.mend()).length;
      if (mended > 0) await this.#revertedHome();
      return mended;
    } finally {
      this.#use.shared();
    }
  }

  /** Make the catalogue again from segments and logs alone; sealed segments that no log lists are listed. */
  async rebuild(): Promise<void> {
    this.#use.exclusive();
    // First see that every log reads to its end: where one does not, the old index is better than none.
    for (const log of this.#logs) log.underLock(log.first, (head) => head);
    this.catalogue.clear();
    for (const record of this.history())
      if (record.type === recordTypes.release)
        for (const name of decodeRelease(record.clear).names) this.#released.add(name.toString("latin1"));
    this.#apply();
    const unlisted = [...segmentFiles(this.home)].filter((name) => this.catalogue.segmentByName(name) === undefined);
    this.#listOrphans(unlisted.map((name) => ({ name, listing: undefined })));
    this.#use.shared();
  }

  #apply(): void {
    for (const log of this.#logs) applyLog(this.catalogue, log, this.#headOf(log), this.keyring.epochs, this.#shelf);
    this.#tables.clear();
  }

  readonly #shelf: Shelf = {
    tableOf: (listing) => this.#tableOf(listing),
    isWhole: ({ name, length }) => objectLength(this.home, name) === length,
  };

  #tableOf(listing: Listing): ReturnType<Shelf["tableOf"]> {
    const fresh = this.#tables.get(listing.name.toString("latin1"));
    if (fresh) return fresh;
    // Listed once, released later in the same log: nobody misses it.
    if (this.#released.has(listing.name.toString("latin1"))) return undefined;
    try {
      const { reader, table } = readTableOf(this.home, listing.name, listing.length, this.keyring.epochs);
      if (!reader.header.salt.equals(listing.salt)) throw new Problem("damaged", "it is listed under another salt");
      return { epoch: reader.header.epoch, table };
    } catch (error) {
      // One bad segment, or one bad sector, must not close the whole vault.
      if (!(error instanceof Problem) || (error.code === "io" && errnoOf(error.cause) !== "EIO")) throw error;
      this.#say(`segment ${hexStart(listing.name)} cannot be read: ${error.message}`);
      return undefined;
    }
  }

  /** Sessions whose process is gone: list what they had sealed, and remove what they left unfinished. */
  #listDeadSessions(): void {
    for (const { path, temporaries } of sessionFiles(this.home.writers)) {
      const lock = lockFile(path, false);
      if (lock === undefined) continue;
      try {
        const notes = readFileSync(path, "latin1").split("\n").map(listingOf);
        this.#listOrphans(notes.flatMap((listing) => (listing ? [{ name: listing.name, listing }] : [])));
        for (const temporary of temporaries) tryUnlink(temporary);
        tryUnlink(path);
      } finally {
        lock.close();
      }
    }
  }

  /** List sealed segments that no record lists, after checking every byte of them. */
  #listOrphans(found: readonly { name: Buffer; listing: Listing | undefined }[]): void {
    const sealed: SealedSegment[] = [];
    for (const { name, listing } of found) {
      const length = objectLength(this.home, name);
      if (length === undefined || this.catalogue.segmentByName(name)) continue;
      try {
        verifyObject(this.home, name, length);
        const { reader, table } = readTableOf(this.home, name, length, this.keyring.epochs);
        const { kind: written, salt, epoch } = reader.header;
        const kind = objectKinds[written === "data" ? "dataSegment" : "metadataSegment"];
        const placed = listing ?? { name, length, kind, salt, class: defaultClass, adopted: false, fields: noFields };
        // What was read may stand in memory only: it must be on the disk before a record relies on it.
        syncSegment(this.home, name);
        sealed.push({ listing: placed, epoch, table, tablePlace: undefined });
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        this.#say(`left alone: ${error.message}`);
      }
    }
    if (sealed.length > 0) this.commit(sealed, []);
  }

  /** Is the segment of this number here, whole in length, and placed at least as well as wanted? */
  holds(number: number, wanted: PlacementClass): boolean {
    const row = this.catalogue.segment(number);
    return (
      row !== undefined &&
      covers(row.listing.class, wanted) &&
      objectLength(this.home, row.listing.name) === row.listing.length
    );
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
    for (const segment of sealed) this.#tables.set(segment.listing.name.toString("latin1"), segment);
    const records = this.#append(all);
    this.#apply();
    return records;
  }

  #append(bodies: RecordBodies): LogRecord[] {
    const log = this.#log;
    const from = placeIn(this.catalogue, log);
    if (from === undefined)
      throw new Problem(
        "damaged",
        "this home was put back to an earlier state while it was in use; run the command again",
      );
    return log.underLock(from, (head) => {
      const records: LogRecord[] = [];
      let last = head.record;
      for (const { type, clear, secret } of bodies) {
        const now = this.system.now();
        const record = sealRecord(
          {
            type: recordTypes[type],
            vault: this.keyring.vault,
            log: log.id,
            seq: last.seq + 1n,
            previous: last.id,
            time: now > last.time ? now : last.time + 1n,
            clear,
            secret,
          },
          this.keyring.epoch,
          this.keyring.device,
          this.system.random,
        );
        records.push(record);
        last = record;
      }
      log.append(head, records);
      return records;
    });
  }

  /** Every record of this device's logs, checked from each genesis on. Problem("damaged") where history is broken. */
  *history(): Generator<LogRecord> {
    for (const log of this.#logs) {
      yield log.genesis;
      const head = log.underLock(log.first, (newest) => newest);
      for (const { record } of log.after(log.first)) {
        yield record;
        if (record.seq === head.record.seq) break;
      }
    }
  }

  /** Take in what another process of this home has committed. True where there was something. Cheap where there was not. */
  refresh(): boolean {
    return false;
  }

  /** How far every log is known here: this device's own, and others' of known vaults. */
  heads(): Head[] {
    return [];
  }

  /** Records of any known log from this number on, at most so many bytes; never one that is not on the disk. */
  recordsOf(_log: Buffer, _from: bigint, _maxBytes: number): Buffer[] {
    return [];
  }

  /** Take records that somebody sent, and apply them. @param allowed is this vault one that is kept here? */
  acceptRecords(_log: Buffer, _records: readonly Buffer[], _allowed: (vault: Buffer) => boolean): Accepted {
    return { outcome: "refused", why: "not written yet" };
  }

  /** Take a record as proof that a log has two branches. */
  acceptFork(_log: Buffer, _record: Buffer): Accepted {
    return { outcome: "refused", why: "not written yet" };
  }

  /** Of a frozen log: the two records that prove it. */
  evidenceOf(_log: Buffer): Buffer[] {
    return [];
  }

  /** Somebody knew more of a log of this device: it is taken, and this device goes on in a new log. */
  acceptOwnTail(log: Buffer, records: readonly Buffer[]): void {
    this.acceptRecords(log, records, () => true);
  }

  /** Go on in a new log, and say why. */
  beginAnew(why: string): void {
    this.#say(why);
  }

  /** Where what is not here is asked for; joined from above. */
  get source(): Source | undefined {
    return this.reader.source;
  }

  set source(source: Source | undefined) {
    this.reader.source = source;
  }

  /** Does this device write this log? */
  isOwn(log: Buffer): boolean {
    return this.#logs.some(({ id }) => id.equals(log));
  }

  async close(): Promise<void> {
    await this.catalogue.close();
    if (!this.catalogue.failed) sealCatalogue(this.home);
    for (const log of this.#logs) log.close();
    this.#use.end();
  }
}

/** How often opening is tried where it must be alone: half a minute at most beside others that also come and go. */
const attemptsToBeAlone = 100;
function listingOf(line: string): Listing | undefined {
  if (!/^([0-9a-f]{2})+$/.test(line)) return undefined;
  try {
    const from = new Reader(Buffer.from(line, "hex"), "session note");
    const listing = readListing(from);
    from.end();
    return listing;
  } catch {
    return undefined;
  }
}

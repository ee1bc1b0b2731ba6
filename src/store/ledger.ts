/**
 * What is wanted here, and what others said that they hold. All of it stands in the catalogue: what is wanted follows
 * from logs and files, what others said is kept also when the index is made again.
 * @module
 */
import type { Listing } from "../format/listing.js";
import type { Table } from "../format/table.js";
import type { Catalogue } from "./catalogue.js";
import { copiesOfRevisions } from "./copies.js";
import {
  decodeHead,
  decodePeer,
  encodeHead,
  encodePeer,
  type HeadReceipt,
  type ListedRow,
  type PeerFacts,
  type Wanted,
} from "./ledger-rows.js";
import { listed, listedBy, listersOf, unwant, want, wanted } from "./listed.js";

export type { HeadReceipt, PeerFacts, Wanted };

/** An object that a log lists and has not released. */
export type Listed = Omit<ListedRow, "released">;

/** What a holder signed; whoever hands it in has checked the signature. */
export interface SignedReceipt {
  readonly holder: Buffer;
  readonly log: Buffer;
  readonly seq: bigint;
  readonly id: Buffer;
  readonly time: bigint;
  readonly all: boolean;
  readonly names: readonly Buffer[];
}

/** What the ledger must know of this machine. */
export interface LedgerPlace {
  readonly vault: Buffer;
  readonly device: Buffer;
  /** nanoseconds since 1970 */
  now(): bigint;
  /** Is an object here, and as long as it should be? */
  has(name: Buffer, length: number): boolean;
  /** Do away with what is kept of an object for others. */
  discard(name: Buffer): void;
  /** what is in a segment of this vault whose file is here */
  tableOf(listing: Listing): { epoch: number; table: Table } | undefined;
}

/** A holder whose clock is further ahead than this would have the last word for too long. */
const mostAheadNs = 86_400n * 1_000_000_000n;
/** Peers that are remembered; those longest unseen go first. */
const mostPeers = 4096;

export class Ledger {
  readonly #catalogue: Catalogue;
  readonly #place: LedgerPlace;
  /** as of a state of the catalogue: it is asked for again and again while nothing happens */
  #counted: { readonly stamp: Buffer; readonly copies: ReadonlyMap<string, number> } | undefined;

  constructor(catalogue: Catalogue, place: LedgerPlace) {
    this.#catalogue = catalogue;
    this.#place = place;
  }

  /** The first of what is wanted, in order. @param after go on behind this one */
  wanted(limit: number, after?: Wanted): Wanted[] {
    const found: Wanted[] = [];
    const here: Buffer[] = [];
    for (const row of limit > 0 ? wanted(this.#catalogue, after) : []) {
      // It came, and whoever took it died before it was noted.
      if (this.#place.has(row.name, row.length)) here.push(row.name);
      else if (found.push(row) === limit) break;
    }
    for (const name of here) this.arrived(name);
    return found;
  }

  /** How many objects are wanted. */
  wantedCount(): number {
    return this.#catalogue.count("wanted");
  }

  /** An object is here now, whole: it is wanted no more, and where it is a segment of this vault the index learns what is in it. */
  arrived(name: Buffer): void {
    const row = this.#catalogue.segmentByName(name);
    const found = row && this.#place.tableOf(row.listing);
    this.#catalogue.write(() => {
      unwant(this.#catalogue, name);
      if (row && found) this.#catalogue.learn(row.number, found.epoch, found.table);
    });
  }

  /**
   * An object is not here, or not what its name says, although it was thought so: where a log lists it, it is wanted. What
   * lies here of it for others goes; what this device wrote itself stays, for a repair to save what can be saved.
   */
  missing(name: Buffer): void {
    this.#place.discard(name);
    this.#catalogue.write(() => {
      for (const { length, kind, log, scope } of [...listersOf(this.#catalogue, name)])
        want(this.#catalogue, { name, length, kind, log }, scope.equals(this.#place.vault));
    });
  }

  /** What a log lists and has not released. */
  *listedBy(log: Buffer): Generator<Listed> {
    for (const { released, ...row } of listedBy(this.#catalogue, log)) if (!released) yield row;
  }

  /** The logs that list an object and have not released it: who may be shown it is told by them. */
  listers(name: Buffer): Buffer[] {
    return [...listersOf(this.#catalogue, name)].map(({ log }) => log);
  }

  /** What of that is here, as the disk tells. */
  heldOf(log: Buffer): Listed[] {
    return [...this.listedBy(log)].filter(({ name, length }) => this.#place.has(name, length));
  }

  /**
   * Note what a holder signed of a log. Names that the log does not list count for nothing. False, and nothing noted,
   * where the log is unknown, the holder this device, or the receipt older than one that replaced all before it.
   */
  addReceipt(receipt: SignedReceipt): boolean {
    const { holder, log, seq, id, time, all } = receipt;
    if (holder.equals(this.#place.device) || this.#catalogue.applied(log) === undefined) return false;
    if (time > this.#place.now() + mostAheadNs) return false;
    return this.#catalogue.write(() => {
      const key = Buffer.concat([log, holder]);
      const bytes = this.#catalogue.get("heads", key);
      const before = bytes && decodeHead(key, bytes);
      if (before && (all ? time <= before.replaced : time < before.replaced)) return false;
      const names = receipt.names.filter((name) => listed(this.#catalogue, log, name) !== undefined);
      if (all) this.#forget(holder, log, new Set(names.map((name) => name.toString("latin1"))));
      for (const name of names) this.#catalogue.put("copies", Buffer.concat([name, holder, log]), timeBytes(time));
      const newer = before === undefined || time >= before.time;
      const head = newer ? { device: holder, seq, id, time } : before;
      const replaced = all ? time : (before?.replaced ?? noTime);
      this.#catalogue.put("heads", key, encodeHead({ ...head, replaced }));
      return true;
    });
  }

  /** Strike what a holder said of a log's objects, but for these. What it said of another log that lists them stays. */
  #forget(holder: Buffer, log: Buffer, but: ReadonlySet<string>): void {
    for (const { name } of listedBy(this.#catalogue, log))
      if (!but.has(name.toString("latin1"))) this.#catalogue.remove("copies", Buffer.concat([name, holder, log]));
  }

  /** What these devices signed counts no more. Looks at all that anybody signed where there is anything of theirs. */
  forgetHolders(devices: readonly Buffer[]): void {
    const gone = new Set(devices.map((device) => device.toString("latin1")));
    const isGone = (key: Buffer): boolean => gone.has(key.toString("latin1", 32, 64));
    const heads = gone.size === 0 ? [] : [...this.#catalogue.range("heads")].filter(({ key }) => isGone(key));
    if (heads.length === 0) return;
    this.#catalogue.write(() => {
      for (const { key } of [...this.#catalogue.range("copies")])
        if (isGone(key)) this.#catalogue.remove("copies", key);
      for (const { key } of heads) this.#catalogue.remove("heads", key);
    });
  }

  /** On how many other devices an object is, as they signed. */
  copiesOf(name: Buffer): number {
    return this.holdersOf(name).length;
  }

  holdersOf(name: Buffer): Buffer[] {
    const holders = new Map<string, Buffer>();
    for (const { key } of this.#catalogue.range("copies", name)) holders.set(key.toString("latin1", 32, 64), key);
    return [...holders.values()].map((key) => key.subarray(32, 64));
  }

  /** On how many other devices each revision of this vault is whole, by its id in hex. */
  copiesOfRevisions(): ReadonlyMap<string, number> {
    const stamp = this.#catalogue.stamp();
    if (!this.#counted?.stamp.equals(stamp)) {
      const { vault, device } = this.#place;
      this.#counted = { stamp, copies: copiesOfRevisions(this.#catalogue, vault, device) };
    }
    return this.#counted.copies;
  }

  /** How far others said that they know a log. */
  headReceipts(log: Buffer): HeadReceipt[] {
    return [...this.#catalogue.range("heads", log)].map(({ key, value }) => decodeHead(key, value));
  }

  /** Remember a device that was admitted. */
  notePeer(device: Buffer, facts: PeerFacts): void {
    this.#catalogue.write(() => {
      this.#catalogue.put("peers", device, encodePeer(facts));
      const known = this.peers();
      if (known.length <= mostPeers) return;
      const oldest = known.reduce((a, b) => (b.facts.seen < a.facts.seen ? b : a));
      this.#catalogue.remove("peers", oldest.device);
    });
  }

  peers(): { readonly device: Buffer; readonly facts: PeerFacts }[] {
    return [...this.#catalogue.range("peers")].map(({ key, value }) => ({ device: key, facts: decodePeer(value) }));
  }
}

/** Before all others. */
const noTime = -(2n ** 63n);

function timeBytes(time: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(time);
  return bytes;
}

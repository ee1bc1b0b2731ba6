/**
 * Listed segments of which the index does not know what is in them, because their tables were not at hand when they
 * were listed: after a total loss that is all of them. They are learned in the background as far as local files tell,
 * and by whoever misses a chunk that nothing else leads to.
 * @module
 */
import { Problem } from "../base/errors.js";
import { choice, wire } from "../base/limits.js";
import type { System } from "../base/system.js";
import { objectKinds } from "../format/listing.js";
import type { Catalogue, SegmentRow } from "./catalogue.js";
import type { Home } from "./home.js";
import { objectLength } from "./objects.js";
import type { Source } from "./source.js";
import type { Learned, Tables } from "./tables.js";

const second = 1_000_000_000n;
/** How long what is known of the catalogue is believed. */
const believed = 5n * second;
/** How long what could not be had is left alone: twice as long after each failure, up to the longest. */
const patience = 20n * second;
const longest = 600n * second;

export class Unlearned {
  readonly #home: Home;
  readonly #catalogue: Catalogue;
  readonly #system: System;
  readonly #tables: Tables;
  #rows: SegmentRow[] | undefined;
  #count = 0;
  #looked = 0n;
  readonly #source: () => Source | undefined;
  /** tables that could not be had, by their segments' names: how long that is believed, and until when */
  readonly #failed = new Map<string, { readonly wait: bigint; readonly until: bigint }>();

  constructor(home: Home, catalogue: Catalogue, system: System, tables: Tables, source: () => Source | undefined) {
    this.#home = home;
    this.#catalogue = catalogue;
    this.#system = system;
    this.#tables = tables;
    this.#source = source;
  }

  /** Are there any, as far as was last seen? */
  get any(): boolean {
    return (this.#rows ?? this.#look()).length > 0;
  }

  /** All segments are looked at only where some have come or gone since the last time. */
  #look(): SegmentRow[] {
    const count = this.#catalogue.count("segments");
    const before = count === this.#count ? this.#rows : undefined;
    const rows = before?.map(({ number }) => this.#catalogue.segment(number)) ?? this.#catalogue.segments();
    this.#rows = [...rows].flatMap((row) => (row?.frames.length === 0 ? [row] : []));
    this.#count = count;
    this.#looked = this.#system.now();
    return this.#rows;
  }

  #isHere({ listing }: SegmentRow): boolean {
    return objectLength(this.#home, listing.name) === listing.length;
  }

  /**
   * Learn what local files tell, metadata first, for it holds the tables of data. How many could be learned.
   * @param anew the index has been made again: what was seen of it before says nothing
   */
  async learnHere(signal: AbortSignal | undefined, anew: boolean): Promise<number> {
    let count = 0;
    const go = async (rows: readonly SegmentRow[]): Promise<void> => {
      let got: Learned[] = [];
      for (const row of rows) {
        if (signal?.aborted) break;
        const learned = await this.#try(row);
        if (learned) got.push(learned);
        await this.#system.turn();
        if (got.length < choice.tablesAtOnce) continue;
        this.#tables.keep(got);
        count += got.length;
        got = [];
      }
      if (got.length > 0) this.#tables.keep(got);
      count += got.length;
    };
    if (anew) this.#rows = undefined;
    const rows = this.#look();
    await go(rows.filter((row) => isMetadata(row) && this.#isHere(row)));
    await go(rows.filter((row) => !isMetadata(row) && (this.#isHere(row) || this.#objectIsHere(row))));
    this.#look();
    return count;
  }

  #objectIsHere(row: SegmentRow): boolean {
    const holder = this.#holderOf(row);
    return holder !== undefined && this.#isHere(holder);
  }

  /** The segment that holds the table object of another. */
  #holderOf({ listing }: SegmentRow): SegmentRow | undefined {
    const place = this.#catalogue.tablePlace(listing.salt);
    return place && this.#catalogue.segmentBySalt(place.holder);
  }

  /**
   * Learn one table after the other, of metadata before data and of new segments before old ones, until `found` finds
   * what it looks for. What could not be had a moment ago is left out.
   * @param found is given what was learned last, which the index may not have been able to take
   */
  async until<T>(found: (got: readonly Learned[]) => T | undefined): Promise<T | undefined> {
    const started = this.#system.now();
    const all = this.#rows !== undefined && started - this.#looked < believed ? this.#rows : this.#look();
    const untried = all.filter((row) => (this.#failed.get(keyOf(row))?.until ?? 0n) <= started);
    const rows = await this.#reachable(untried);
    const inOrder = [...rows.filter(isMetadata).reverse(), ...rows.filter((row) => !isMetadata(row)).reverse()];
    for (let at = 0; at < inOrder.length; at += choice.tablesAtOnce) {
      const got = await Promise.all(inOrder.slice(at, at + choice.tablesAtOnce).map((row) => this.#try(row)));
      const learned = got.flatMap((each) => (each ? [each] : []));
      this.#tables.keep(learned);
      this.#looked = 0n;
      const what = found(learned);
      if (what !== undefined) return what;
      if (this.#system.now() - started > BigInt(choice.seekSeconds) * second) break;
    }
    return undefined;
  }

  /** Those whose tables are here, or with somebody who can be reached: asked in few questions, and soon answered. */
  async #reachable(rows: readonly SegmentRow[]): Promise<SegmentRow[]> {
    const near = new Set<SegmentRow>();
    const far = new Map<SegmentRow, Buffer[]>();
    for (const row of rows) {
      if (this.#isHere(row) || this.#objectIsHere(row)) near.add(row);
      else {
        const holder = this.#holderOf(row)?.listing.name;
        far.set(row, holder ? [row.listing.name, holder] : [row.listing.name]);
      }
    }
    const names = new Map([...far.values()].flat().map((name) => [name.toString("latin1"), name]));
    const held = new Set<string>();
    const all = [...names];
    for (let at = 0; at < all.length; at += wire.names) {
      const some = all.slice(at, at + wire.names);
      const answer = await this.#source()?.holds(some.map(([, name]) => name));
      for (const [i, [key]] of some.entries()) if (answer?.[i]) held.add(key);
    }
    return rows.filter((row) => near.has(row) || far.get(row)?.some((name) => held.has(name.toString("latin1"))));
  }

  async #try(row: SegmentRow): Promise<Learned | undefined> {
    try {
      return await this.#tables.of(row);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (this.#failed.size >= choice.hints) this.#failed.clear();
      const before = this.#failed.get(keyOf(row))?.wait ?? patience / 2n;
      const wait = before * 2n < longest ? before * 2n : longest;
      this.#failed.set(keyOf(row), { wait, until: this.#system.now() + wait });
      return undefined;
    }
  }
}

function isMetadata({ listing }: SegmentRow): boolean {
  return listing.kind === objectKinds.metadataSegment;
}

function keyOf({ listing }: SegmentRow): string {
  return listing.name.toString("latin1");
}

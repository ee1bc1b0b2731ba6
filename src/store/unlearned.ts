/**
 * Listed segments of which the index does not know what is in them, because their tables were not at hand when they
 * were listed: after a total loss that is all of them. They are learned in the background as far as local files tell,
 * and by whoever misses a chunk that nothing else leads to.
 * @module
 */
import { Problem } from "../base/errors.js";
import { choice } from "../base/limits.js";
import type { System } from "../base/system.js";
import { objectKinds } from "../format/listing.js";
import type { Catalogue, SegmentRow } from "./catalogue.js";
import type { Home } from "./home.js";
import { objectLength } from "./objects.js";
import type { Learned, Tables } from "./tables.js";

const second = 1_000_000_000n;
/** How long what is known of the catalogue is believed, and how long what could not be had is not asked for again. */
const believed = 5n * second;
const patience = 20n * second;

export class Unlearned {
  readonly #home: Home;
  readonly #catalogue: Catalogue;
  readonly #system: System;
  readonly #tables: Tables;
  #rows: SegmentRow[] | undefined;
  #looked = 0n;
  /** when a segment's table could not be had, by name */
  readonly #failed = new Map<string, bigint>();

  constructor(home: Home, catalogue: Catalogue, system: System, tables: Tables) {
    this.#home = home;
    this.#catalogue = catalogue;
    this.#system = system;
    this.#tables = tables;
  }

  /** Are there any, as far as was last seen? */
  get any(): boolean {
    return (this.#rows ?? this.#look()).length > 0;
  }

  #look(): SegmentRow[] {
    this.#looked = this.#system.now();
    this.#rows = [...this.#catalogue.segments()].filter(({ frames }) => frames.length === 0);
    return this.#rows;
  }

  #isHere({ listing }: SegmentRow): boolean {
    return objectLength(this.#home, listing.name) === listing.length;
  }

  /** Learn what local files tell, metadata first, for it holds the tables of data. How many could be learned. */
  async learnHere(signal?: AbortSignal): Promise<number> {
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
    const rows = this.#look();
    await go(rows.filter((row) => isMetadata(row) && this.#isHere(row)));
    await go(rows.filter((row) => !isMetadata(row) && (this.#isHere(row) || this.#objectIsHere(row))));
    this.#look();
    return count;
  }

  #objectIsHere({ listing }: SegmentRow): boolean {
    const place = this.#catalogue.tablePlace(listing.salt);
    const holder = place && this.#catalogue.segmentBySalt(place.holder);
    return holder !== undefined && this.#isHere(holder);
  }

  /**
   * Learn one table after the other, of metadata before data and of new segments before old ones, until `found` finds
   * what it looks for. What could not be had a moment ago is left out.
   * @param found is given what was learned last, which the index may not have been able to take
   */
  async until<T>(found: (got: readonly Learned[]) => T | undefined): Promise<T | undefined> {
    const started = this.#system.now();
    if (this.#rows === undefined || started - this.#looked > believed) this.#look();
    const rows = (this.#rows ?? []).filter((row) => started - (this.#failed.get(keyOf(row)) ?? -patience) >= patience);
    const inOrder = [...rows.filter(isMetadata).reverse(), ...rows.filter((row) => !isMetadata(row)).reverse()];
    for (let at = 0; at < inOrder.length; at += choice.tablesAtOnce) {
      const got = await Promise.all(inOrder.slice(at, at + choice.tablesAtOnce).map((row) => this.#try(row)));
      const learned = got.flatMap((each) => (each ? [each] : []));
      this.#tables.keep(learned);
      this.#rows = undefined;
      const what = found(learned);
      if (what !== undefined) return what;
      if (this.#system.now() - started > BigInt(choice.seekSeconds) * second) break;
    }
    return undefined;
  }

  async #try(row: SegmentRow): Promise<Learned | undefined> {
    try {
      return await this.#tables.of(row);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (this.#failed.size >= choice.hints) this.#failed.clear();
      this.#failed.set(keyOf(row), this.#system.now());
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

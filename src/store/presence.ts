/**
 * Where segments can be had from: this disk, or others.
 * @module
 */
import { wire } from "../base/limits.js";
import type { Listing } from "../format/listing.js";
import type { Catalogue, SegmentRow } from "./catalogue.js";
import type { Home } from "./home.js";
import type { Ledger } from "./ledger.js";
import { objectLength } from "./objects.js";
import type { Source } from "./source.js";

/** What a store says of where its segments are. */
export interface Shelves {
  readonly home: Home;
  readonly catalogue: Catalogue;
  readonly ledger: Pick<Ledger, "copiesOf">;
  readonly source: Source | undefined;
}

/**
 * Where an object is, without asking anybody: here in its full length, else at those who have signed that they hold it,
 * or who wrote it. A file of another length counts as here: that is damage, and no absence.
 */
export function presenceOf(shelves: Shelves, { name }: Pick<Listing, "name">): "here" | "peers" | "nowhere" {
  if (objectLength(shelves.home, name) !== undefined) return "here";
  return shelves.ledger.copiesOf(name) > 0 || isOthers(shelves.catalogue, name) ? "peers" : "nowhere";
}

/** A segment that another device has written; this one may have inherited it. */
export function isOthers(catalogue: Catalogue, name: Buffer): boolean {
  const row = catalogue.segmentByName(name);
  return row !== undefined && catalogue.rank(row.log, row.seq) > 0;
}

/** Which segments can be had now, others being asked; remembered for as long as this is. */
export class Reachable {
  readonly #store: Shelves;
  readonly #known = new Map<string, boolean>();

  constructor(store: Shelves) {
    this.#store = store;
  }

  /** undefined where others have to be asked. */
  isKnown({ listing }: SegmentRow): boolean | undefined {
    const key = listing.name.toString("latin1");
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const here = objectLength(this.#store.home, listing.name) === listing.length;
    if (!here && this.#store.source !== undefined) return undefined;
    this.#known.set(key, here);
    return here;
  }

  async has(segment: SegmentRow): Promise<boolean> {
    const known = this.isKnown(segment);
    if (known !== undefined) return known;
    await this.#ask(segment);
    return this.#known.get(segment.listing.name.toString("latin1")) ?? false;
  }

  /** One question for many: what is listed about the same time is likely to be needed too. */
  async #ask(segment: SegmentRow): Promise<void> {
    const { catalogue, source } = this.#store;
    const names = [segment.listing.name];
    for (const other of catalogue.segments()) {
      if (names.length === wire.names) break;
      if (other.number > segment.number && this.isKnown(other) === undefined) names.push(other.listing.name);
    }
    const held = (await source?.holds(names)) ?? [];
    for (const [i, name] of names.entries()) this.#known.set(name.toString("latin1"), held[i] ?? false);
  }
}

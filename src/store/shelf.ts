/**
 * What the files of the store say while records are applied: which objects are here, and what is in a segment.
 * @module
 */
import { errnoOf, Problem } from "../base/errors.js";
import type { Epoch } from "../format/keys.js";
import type { Listing } from "../format/listing.js";
import type { Table } from "../format/table.js";
import type { Shelf } from "./apply.js";
import type { Home } from "./home.js";
import { objectLength } from "./objects.js";
import { hexStart } from "./segments.js";
import type { SealedSegment } from "./session.js";
import { readTableOf } from "./tables.js";

export class FileShelf implements Shelf {
  readonly #home: Home;
  readonly #epochs: ReadonlyMap<number, Epoch>;
  readonly #say: (message: string) => void;
  /** tables of segments sealed by this process and not yet applied */
  readonly #fresh = new Map<string, SealedSegment>();
  /** names that a rebuild knows to be released */
  readonly #released = new Set<string>();
  /** Own segments may well be missing: what lists them came from others. */
  expectsGaps = false;

  constructor(home: Home, epochs: ReadonlyMap<number, Epoch>, say: (message: string) => void) {
    this.#home = home;
    this.#epochs = epochs;
    this.#say = say;
  }

  remember(sealed: readonly SealedSegment[]): void {
    for (const segment of sealed) this.#fresh.set(segment.listing.name.toString("latin1"), segment);
  }

  forgetFresh(): void {
    this.#fresh.clear();
  }

  noteReleased(names: readonly Buffer[]): void {
    for (const name of names) this.#released.add(name.toString("latin1"));
  }

  has(name: Buffer, length: number): boolean {
    return this.#fresh.has(name.toString("latin1")) || objectLength(this.#home, name) === length;
  }

  tableOf(listing: Listing, own: boolean): { epoch: number; table: Table } | undefined {
    const fresh = this.#fresh.get(listing.name.toString("latin1"));
    if (fresh) return fresh;
    const here = objectLength(this.#home, listing.name);
    // What others list need not be here, and what is listed once and released later in the same log nobody misses.
    if (here === undefined && (!own || this.expectsGaps)) return undefined;
    if (this.#released.has(listing.name.toString("latin1"))) return undefined;
    try {
      const { reader, table } = readTableOf(this.#home, listing.name, listing.length, this.#epochs);
      if (!reader.header.salt.equals(listing.salt)) throw new Problem("damaged", "it is listed under another salt");
      return { epoch: reader.header.epoch, table };
    } catch (error) {
      // One bad segment, or one bad sector, must not close the whole vault.
      if (!(error instanceof Problem) || (error.code === "io" && errnoOf(error.cause) !== "EIO")) throw error;
      if (own) this.#say(`segment ${hexStart(listing.name)} cannot be read: ${error.message}`);
      return undefined;
    }
  }
}

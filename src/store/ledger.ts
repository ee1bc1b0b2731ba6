/**
 * What is wanted here, and what others said that they hold. All of it stands in the catalogue: what is wanted follows
 * from logs and files, what others said is kept also when the index is made again.
 * @module
 */
import type { Fields } from "../format/fields.js";
import type { Catalogue } from "./catalogue.js";

/** An object that some log lists and that is not here. */
export interface Wanted {
  readonly name: Buffer;
  readonly length: number;
  readonly kind: number;
  /** one of the logs that list it */
  readonly log: Buffer;
  /** smaller goes first: metadata of the own vault, other metadata, data of the own vault, other data */
  readonly priority: number;
}

/** An object that a log lists and has not released. */
export interface Listed {
  readonly name: Buffer;
  readonly length: number;
  readonly kind: number;
  readonly seq: bigint;
}

/** What a holder signed, checked by the caller. */
export interface SignedReceipt {
  readonly holder: Buffer;
  readonly log: Buffer;
  readonly seq: bigint;
  readonly id: Buffer;
  readonly time: bigint;
  readonly all: boolean;
  readonly names: readonly Buffer[];
}

/** How far a device said that it knows a log. */
export interface HeadReceipt {
  readonly device: Buffer;
  readonly seq: bigint;
  readonly id: Buffer;
  readonly time: bigint;
}

/** What is known of another device. */
export interface PeerFacts {
  readonly vault: Buffer | undefined;
  readonly label: string;
  /** it stores for others */
  readonly keeps: boolean;
  /** nanoseconds since 1970 when it was last admitted */
  readonly seen: bigint;
  readonly fields: Fields;
}

export class Ledger {
  readonly #catalogue: Catalogue;

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  /** The first of what is wanted. @param after go on behind this one */
  wanted(_limit: number, _after?: Wanted): Wanted[] {
    return [];
  }

  wantedCount(): number {
    return 0;
  }

  /** An object is here now. */
  arrived(_name: Buffer): void {}

  /** An object is not here, or not what its name says, although it was thought so. */
  missing(_name: Buffer): void {}

  listedBy(_log: Buffer): Iterable<Listed> {
    return [];
  }

  /** The logs that list an object and have not released it: who may be shown it is told by them. */
  listers(_name: Buffer): Buffer[] {
    return [];
  }

  /** What of a log's objects is here. */
  heldOf(_log: Buffer): Listed[] {
    return [];
  }

  /** Note what a holder signed. False where it is older than what is known, or of a log that is not. */
  addReceipt(_receipt: SignedReceipt): boolean {
    return false;
  }

  copiesOf(name: Buffer): number {
    return this.holdersOf(name).length;
  }

  holdersOf(_name: Buffer): Buffer[] {
    return [];
  }

  /** On how many other devices each revision of this vault is whole, by its id in hex. */
  copiesOfRevisions(): Map<string, number> {
    return new Map([...this.#catalogue.revisions()].map(({ id }) => [id.toString("hex"), 0]));
  }

  headReceipts(_log: Buffer): HeadReceipt[] {
    return [];
  }

  notePeer(_device: Buffer, _facts: PeerFacts): void {}

  peers(): { readonly device: Buffer; readonly facts: PeerFacts }[] {
    return [];
  }
}

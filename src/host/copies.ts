/**
 * How safe what was saved is: on how many other devices each revision is whole, and whether that is enough.
 * @module
 */
import { defaultClass } from "../format/listing.js";
import type { Vault } from "../vault/vault.js";

/** What every revision should have, and must have. */
export const wantedCopies = { copies: defaultClass.copies, minimum: defaultClass.minimum } as const;

export interface Copies {
  readonly revisions: number;
  /** have all copies that are wanted */
  readonly whole: number;
  /** have those that they must have at least */
  readonly safe: number;
  /** of a revision, by its id */
  of(revision: Buffer): number;
}

/** Count copies of all revisions of a vault. */
export function countCopies(vault: Vault): Copies {
  const counts = vault.store.ledger.copiesOfRevisions();
  const of = (id: Buffer): number => counts.get(id.toString("hex")) ?? 0;
  let [revisions, whole, safe] = [0, 0, 0];
  for (const { id } of vault.store.catalogue.revisions()) {
    revisions++;
    if (of(id) >= wantedCopies.copies) whole++;
    if (of(id) >= wantedCopies.minimum) safe++;
  }
  return { revisions, whole, safe, of };
}

/** Counts anew only so often that counting stays a small part of the work, however large the vault. */
export class CopyCounter {
  readonly #vault: Vault;
  #last: Copies | undefined;
  /** not before this is there another count */
  #due = 0n;

  constructor(vault: Vault) {
    this.#vault = vault;
  }

  /** The last count, or a new one where that is due. */
  get copies(): Copies {
    const { system } = this.#vault;
    const now = system.now();
    if (this.#last !== undefined && now < this.#due) return this.#last;
    this.#last = countCopies(this.#vault);
    const after = system.now();
    this.#due = after + 10n * (after - now);
    return this.#last;
  }
}

/**
 * The rest of a recovery: the device is enrolled, now everything that says what there is comes first, so that every
 * revision can be listed and mounted; contents follow as they are read, or with the next sync.
 * @module
 */
import { objectKinds } from "../format/listing.js";
import { objectLength } from "../store/objects.js";
import { Coop } from "../swarm/coop.js";
import type { Gathering } from "../swarm/gather.js";
import { seenBy } from "../swarm/recover.js";
import { allRevisions, type Revision } from "../vault/revisions.js";
import type { Vault } from "../vault/vault.js";
import { type KeeperOptions, openKeeper, type Recovery } from "./keeper.js";

/** Without anything coming for so long, the rest is not to be had now. */
const stillMs = 20_000;
/** A coop that lets nobody in by then may have turned its key, or be asleep. */
const strangerMs = 8000;
const stepMs = 100;

export interface FetchOptions extends KeeperOptions {
  readonly recovery: Recovery;
  readonly stop: AbortSignal;
  readonly progress: (here: number, of: number) => void;
}

/**
 * Fetch the vault's metadata from peers: as a member of the coop, and where that lets this machine in too late or not at
 * all, by the phrase. Returns how many objects of it nobody who was there had.
 */
export async function fetchMetadata(vault: Vault, options: FetchOptions): Promise<number> {
  const fetch = new Fetch(vault, options);
  const coop = Coop.open(vault);
  if (coop !== undefined) await fetch.from(coop);
  if (fetch.missing > 0 && !options.stop.aborted) await fetch.from(options.recovery);
  return fetch.missing;
}

class Fetch {
  missing: number;
  readonly #vault: Vault;
  readonly #options: FetchOptions;
  #of: number;

  constructor(vault: Vault, options: FetchOptions) {
    this.#vault = vault;
    this.#options = options;
    this.missing = missingMetadata(vault);
    this.#of = this.missing;
  }

  /** Until all is here, or nothing has come for a while. */
  async from(as: Coop | Recovery): Promise<void> {
    const { system, store } = this.#vault;
    const { stop, events, progress } = this.#options;
    let met = false;
    const keeper = await openKeeper(this.#vault, as, {
      ...this.#options,
      events: (event) => {
        if (event.type === "peer-up") met = true;
        events(event);
      },
    });
    try {
      for (let still = 0; still < (met ? stillMs : strangerMs) && !stop.aborted; still += stepMs) {
        await system.sleep(stepMs);
        // Peers may know of more than was known when this began.
        store.refresh();
        const before = this.missing;
        const began = system.now();
        this.missing = missingMetadata(this.#vault);
        // Looking stays a small part of the work, however many objects there are.
        const looked = Number(system.now() - began) / 1e6;
        if (looked > 10) await system.sleep(10 * looked);
        this.#of = Math.max(this.#of, this.missing);
        if (this.missing !== before) still = 0;
        progress(this.#of - this.missing, this.#of);
        if (this.missing === 0 && met) return;
      }
    } finally {
      await keeper?.close();
    }
  }
}

/** How many of the vault's metadata objects are listed and not here. */
function missingMetadata(vault: Vault): number {
  let missing = 0;
  for (const { log, scope } of vault.store.heads())
    if (scope.equals(vault.id))
      for (const { name, kind } of vault.store.ledger.listedBy(log))
        if (kind === objectKinds.metadataSegment && objectLength(vault.home, name) === undefined) missing++;
  return missing;
}

/** A revision, and how many of how many peers had seen it. */
export interface Seen {
  readonly revision: Revision;
  readonly peers: number;
  readonly of: number;
}

/** The newest revision of a recovered vault, and the newest complete one. */
export function newestSeen(
  vault: Vault,
  gathering: Gathering,
): { newest: Seen | undefined; complete: Seen | undefined } {
  const coop = Coop.open(vault);
  let newest: Revision | undefined;
  let complete: Revision | undefined;
  for (const revision of allRevisions(vault.store.catalogue)) {
    newest = revision;
    if (revision.complete) complete = revision;
  }
  const seen = (revision: Revision | undefined): Seen | undefined =>
    revision && { revision, ...seenBy(vault, gathering, coop, revision.id) };
  return { newest: seen(newest), complete: seen(complete) };
}

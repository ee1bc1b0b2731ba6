/**
 * The rest of a recovery: the device is enrolled, now everything that says what there is comes first, so that every
 * revision can be listed and mounted; contents follow as they are read, or with the next sync.
 * @module
 */
import { objectKinds } from "../format/listing.js";
import { objectLength } from "../store/objects.js";
import type { Gathering } from "../swarm/gather.js";
import { seenBy } from "../swarm/recover.js";
import { allRevisions, type Revision } from "../vault/revisions.js";
import type { Vault } from "../vault/vault.js";
import { coopOf, type KeeperOptions, openKeeper } from "./keeper.js";

/** Without anything coming for so long, the rest is not to be had now. */
const stillMs = 20_000;
const stepMs = 100;

export interface FetchOptions extends KeeperOptions {
  readonly stop: AbortSignal;
  readonly stillMs?: number;
  readonly progress: (here: number, of: number) => void;
}

/** Fetch the vault's metadata from peers. Returns how many objects of it nobody who was there had. */
export async function fetchMetadata(vault: Vault, options: FetchOptions): Promise<number> {
  let missing = missingMetadata(vault);
  if (missing.length === 0) return 0;
  const keeper = await openKeeper(vault, coopOf(vault), options);
  try {
    let of = missing.length;
    for (let still = 0; still < (options.stillMs ?? stillMs) && !options.stop.aborted; still += stepMs) {
      await vault.system.sleep(stepMs);
      // Peers may know of more than was known when this began.
      vault.store.refresh();
      const before = missing.length;
      missing = missingMetadata(vault);
      of = Math.max(of, missing.length);
      if (missing.length !== before) still = 0;
      options.progress(of - missing.length, of);
      if (missing.length === 0) break;
    }
  } finally {
    await keeper?.close();
  }
  return missing.length;
}

/** The vault's metadata objects that are listed and not here. */
function missingMetadata(vault: Vault): Buffer[] {
  const missing: Buffer[] = [];
  for (const { log, scope } of vault.store.heads())
    if (scope.equals(vault.id))
      for (const { name, kind } of vault.store.ledger.listedBy(log))
        if (kind === objectKinds.metadataSegment && objectLength(vault.home, name) === undefined) missing.push(name);
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
  let newest: Revision | undefined;
  let complete: Revision | undefined;
  for (const revision of allRevisions(vault.store.catalogue)) {
    newest = revision;
    if (revision.complete) complete = revision;
  }
  const seen = (revision: Revision | undefined): Seen | undefined =>
    revision && { revision, ...seenBy(vault, gathering, revision.id) };
  return { newest: seen(newest), complete: seen(complete) };
}

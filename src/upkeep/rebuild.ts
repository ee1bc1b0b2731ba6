/**
 * The index, made again from segments and logs alone.
 * @module
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { tryUnlink } from "../store/home.js";
import { presenceOf } from "../store/presence.js";
import type { Vault } from "../vault/vault.js";

export interface RebuildSummary {
  readonly segments: number;
  readonly chunks: number;
  readonly revisions: number;
  readonly seconds: number;
  /** names of listed segments that could not be read: what they hold is lost until it is stored again */
  readonly unreadable: readonly Buffer[];
}

/**
 * Problem("busy") where another process uses the home. Where a listed segment could not be read, the next snapshots
 * read all files again, and so store again what of it is still there.
 */
export async function rebuildIndex(vault: Vault): Promise<RebuildSummary> {
  const { store, system, home } = vault;
  const started = system.now();
  await store.rebuild();
  // The tables of segments that are not here stand in metadata that may well be.
  await store.reader.learnTables(undefined, true);
  let segments = 0;
  const unreadable: Buffer[] = [];
  for (const { listing, frames } of store.catalogue.segments()) {
    segments++;
    const presence = presenceOf(store, listing);
    // What is in a lost one may be known all the same, from its table object.
    if (presence === "nowhere" || (presence === "here" && frames.length === 0)) unreadable.push(listing.name);
  }
  if (unreadable.length > 0) dropStatSheets(home.stat);
  const counts = { chunks: 0, revisions: 0 };
  for (const { table } of store.catalogue.dump()) if (table === "chunks" || table === "revisions") counts[table]++;
  return { segments, ...counts, seconds: Number(system.now() - started) / 1e9, unreadable };
}

/** Without its sheet a fileset is read in full. Locks stay: somebody may hold one. */
export function dropStatSheets(folder: string): void {
  for (const name of readdirSync(folder)) if (!name.endsWith(".lock")) tryUnlink(join(folder, name));
}

/**
 * How this machine's vault stands: what is kept, how old the newest of each fileset is, what the store weighs, and on how
 * many other machines it would survive the loss of this one.
 * @module
 */
import { native } from "../base/native.js";
import { objectLength } from "../store/objects.js";
import { Coop } from "../swarm/coop.js";
import { allRevisions, type Revision } from "../vault/revisions.js";
import type { Vault } from "../vault/vault.js";
import { type Copies, countCopies } from "./copies.js";
import { peersOf } from "./roster.js";

export interface FilesetStatus {
  readonly host: string;
  readonly name: string;
  readonly revisions: number;
  readonly newest: Revision;
  readonly newestComplete: Revision | undefined;
  /** other devices on which its newest revision is whole */
  readonly copies: number;
}

/** The coop of this machine, and how it stands there. */
export interface CoopStatus {
  readonly id: Buffer;
  readonly name: string;
  /** an invite waits for an admin's machine */
  readonly pending: boolean;
  /** other devices, and those of them that are connected with this machine's daemon */
  readonly peers: number;
  readonly connected: number;
}

export interface Status {
  readonly filesets: readonly FilesetStatus[];
  readonly revisions: number;
  readonly segments: number;
  /** bytes of all segments of this vault that are here */
  readonly storedBytes: number;
  /** bytes that the store's disk has left for this user */
  readonly freeBytes: bigint;
  readonly copies: Copies;
  readonly coop: CoopStatus | undefined;
}

export function statusOf(vault: Vault): Status {
  const filesets = new Map<string, Omit<FilesetStatus, "copies">>();
  let revisions = 0;
  for (const revision of allRevisions(vault.store.catalogue)) {
    revisions++;
    const key = `${revision.host}/${revision.filesetName}`;
    const known = filesets.get(key);
    filesets.set(key, {
      host: revision.host,
      name: revision.filesetName,
      revisions: (known?.revisions ?? 0) + 1,
      newest: revision,
      newestComplete: revision.complete ? revision : known?.newestComplete,
    });
  }
  const copies = countCopies(vault);
  let segments = 0;
  let storedBytes = 0;
  for (const { listing } of vault.store.catalogue.segments()) {
    if (objectLength(vault.home, listing.name) === undefined) continue;
    segments++;
    storedBytes += listing.length;
  }
  const space = native().statFs(Buffer.from(vault.home.store));
  return {
    filesets: [...filesets.values()].map((one) => ({ ...one, copies: copies.of(one.newest.id) })),
    revisions,
    segments,
    storedBytes,
    freeBytes: space.available * space.blockSize,
    copies,
    coop: coopStatus(vault),
  };
}

function coopStatus(vault: Vault): CoopStatus | undefined {
  const coop = Coop.open(vault);
  if (coop === undefined) return undefined;
  const peers = peersOf(vault, coop);
  return {
    id: coop.id,
    name: coop.pending?.name ?? coop.name,
    pending: coop.pending !== undefined,
    peers: peers.length,
    connected: peers.filter(({ connected }) => connected).length,
  };
}

/**
 * How this machine's vault stands: what is kept, how old the newest of each fileset is, what the store weighs.
 * @module
 */
import { native } from "../base/native.js";
import { allRevisions, type Revision } from "../vault/revisions.js";
import type { Vault } from "../vault/vault.js";

export interface FilesetStatus {
  readonly host: string;
  readonly name: string;
  readonly revisions: number;
  readonly newest: Revision;
  readonly newestComplete: Revision | undefined;
}

export interface Status {
  readonly filesets: readonly FilesetStatus[];
  readonly revisions: number;
  readonly segments: number;
  /** bytes of all segments */
  readonly storedBytes: number;
  /** bytes that the store's disk has left for this user */
  readonly freeBytes: bigint;
}

export function statusOf(vault: Vault): Status {
  const filesets = new Map<string, FilesetStatus>();
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
  let segments = 0;
  let storedBytes = 0;
  for (const segment of vault.store.catalogue.segments()) {
    segments++;
    storedBytes += segment.listing.length;
  }
  const space = native().statFs(Buffer.from(vault.home.store));
  return {
    filesets: [...filesets.values()],
    revisions,
    segments,
    storedBytes,
    freeBytes: space.available * space.blockSize,
  };
}

/**
 * What logs list, and what of that is wanted here: everything that a known log lists and has not released, and that is
 * not on this machine's disk.
 * @module
 */
import { objectKinds } from "../format/listing.js";
import type { IndexTables } from "./index-tables.js";
import {
  decodeListed,
  decodeLister,
  decodeWanted,
  encodeListed,
  encodeWanted,
  type ListedRow,
  listerRow,
  type Wanted,
  wantedKey,
} from "./ledger-rows.js";

/** From metadata of the own vault, which a recovery needs first, to data of others. */
const priorities = 4;

function priorityOf(kind: number, ofOwnVault: boolean): number {
  const metadata = kind === objectKinds.metadataSegment || kind === objectKinds.checkpointList;
  return (metadata ? 0 : 2) + (ofOwnVault ? 0 : 1);
}

function listedKey(log: Buffer, name: Buffer): Buffer {
  return Buffer.concat([log, name]);
}

export function listed(index: IndexTables, log: Buffer, name: Buffer): ListedRow | undefined {
  const key = listedKey(log, name);
  const bytes = index.get("listed", key);
  return bytes && decodeListed(key, bytes);
}

/** All that a log lists or has listed. */
export function* listedBy(index: IndexTables, log: Buffer): Generator<ListedRow> {
  for (const { key, value } of index.range("listed", log)) yield decodeListed(key, value);
}

export function putListed(index: IndexTables, row: ListedRow): void {
  index.put("listed", listedKey(row.log, row.name), encodeListed(row));
  const lister = listerRow(row.name, row.log);
  if (row.released) index.remove("listers", lister.key);
  else index.put("listers", lister.key, lister.value);
}

/** Who lists this object and has not released it. */
export function* listersOf(index: IndexTables, name: Buffer): Generator<ListedRow & { readonly scope: Buffer }> {
  for (const { key, value } of [...index.range("listers", name)]) {
    const log = decodeLister(key, value);
    const row = listed(index, log, name);
    const scope = index.applied(log)?.scope;
    if (row !== undefined && !row.released && scope !== undefined) yield { ...row, scope };
  }
}

/** Have an object fetched from whoever has it. */
export function want(index: IndexTables, row: Omit<Wanted, "priority">, ofOwnVault: boolean): void {
  const priority = priorityOf(row.kind, ofOwnVault);
  const key = wantedKey({ ...row, priority });
  if (index.get("wanted", key) === undefined) index.put("wanted", key, encodeWanted({ ...row, priority }));
}

/** An object is here, or nobody lists it any more. */
export function unwant(index: IndexTables, name: Buffer): void {
  for (let priority = 0; priority < priorities; priority++) {
    const prefix = Buffer.concat([Buffer.from([priority]), name]);
    for (const { key } of [...index.range("wanted", prefix)]) index.remove("wanted", key);
  }
}

/** What is wanted, in order. @param after only what comes behind this */
export function* wanted(index: IndexTables, after?: Wanted): Generator<Wanted> {
  for (const { key, value } of index.range("wanted", undefined, after && wantedKey(after)))
    yield decodeWanted(key, value);
}

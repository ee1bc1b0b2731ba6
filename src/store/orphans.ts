/**
 * Segments that were sealed and that no record lists, because their writer died before its commit or its log was lost:
 * found, and checked to the last byte before a record relies on them.
 * @module
 */
import { readFileSync } from "node:fs";
import { Reader } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { noFields } from "../format/fields.js";
import type { Epoch } from "../format/keys.js";
import { defaultClass, type Listing, objectKinds, readListing } from "../format/listing.js";
import { type Home, tryUnlink } from "./home.js";
import { lockFile } from "./lock.js";
import { objectLength, verifyObject } from "./objects.js";
import { syncSegment } from "./segments.js";
import { type SealedSegment, sessionFiles } from "./session.js";
import { readTableOf } from "./tables.js";

/** A segment's name, and how its writer meant to list it where it left word of that. */
export interface Orphan {
  readonly name: Buffer;
  readonly listing: Listing | undefined;
}

/** Sessions whose process is gone: `list` what they had sealed, and remove what they left unfinished. */
export function clearDeadSessions(home: Home, list: (found: readonly Orphan[]) => void): void {
  for (const { path, temporaries } of sessionFiles(home.writers)) {
    const lock = lockFile(path, false);
    if (lock === undefined) continue;
    try {
      const notes = readFileSync(path, "latin1").split("\n").map(listingOf);
      list(notes.flatMap((listing) => (listing ? [{ name: listing.name, listing }] : [])));
      for (const temporary of temporaries) tryUnlink(temporary);
      tryUnlink(path);
    } finally {
      lock.close();
    }
  }
}

/** Those of them that are whole, ready to be listed. @param say told of the others, which are left alone */
export function verified(
  home: Home,
  epochs: ReadonlyMap<number, Epoch>,
  found: readonly Orphan[],
  say: (message: string) => void,
): SealedSegment[] {
  const sealed: SealedSegment[] = [];
  for (const { name, listing } of found) {
    const length = objectLength(home, name);
    if (length === undefined) continue;
    try {
      verifyObject(home, name, length);
      const { reader, table } = readTableOf(home, name, length, epochs);
      const { kind: written, salt, epoch } = reader.header;
      const kind = objectKinds[written === "data" ? "dataSegment" : "metadataSegment"];
      const placed = listing ?? { name, length, kind, salt, class: defaultClass, adopted: false, fields: noFields };
      // What was read may stand in memory only: it must be on the disk before a record relies on it.
      syncSegment(home, name);
      sealed.push({ listing: placed, epoch, table, tablePlace: undefined });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      say(`left alone: ${error.message}`);
    }
  }
  return sealed;
}

function listingOf(line: string): Listing | undefined {
  if (!/^([0-9a-f]{2})+$/.test(line)) return undefined;
  try {
    const from = new Reader(Buffer.from(line, "hex"), "session note");
    const listing = readListing(from);
    from.end();
    return listing;
  } catch {
    return undefined;
  }
}

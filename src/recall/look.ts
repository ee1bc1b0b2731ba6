/**
 * What `ls` and `cat` show of a revision.
 * @module
 */
import { Problem } from "../base/errors.js";
import { hasNative, native } from "../base/native.js";
import { escapeForTerminal } from "../base/units.js";
import { type Entry, entryFlags } from "../format/entry.js";
import type { View } from "../vault/view.js";
import { pathOf, type Place, placeOf } from "../vault/place.js";

/** An entry and its absolute path in the revision, as raw bytes. */
export interface Listed {
  readonly path: Buffer;
  readonly entry: Entry;
}

export interface ListOptions {
  /** also what is in the folders, each right after its folder */
  readonly recursive: boolean;
}

/**
 * What is in a folder, in byte order of the names; of anything else, itself. Problem("not-found") where there is
 * nothing of that name.
 * @param path components from the root
 */
export async function* listFolder(
  view: View,
  path: readonly Uint8Array[],
  options: ListOptions,
): AsyncGenerator<Listed> {
  const place = placeOf(path);
  const entry = await resolve(view, path, place);
  if (entry.kind === "folder") yield* below(view, entry, place, options.recursive);
  else yield { path: pathOf(place), entry };
}

async function* below(view: View, folder: Entry, place: Place, recursive: boolean): AsyncGenerator<Listed> {
  for await (const batch of view.entryBatches(folder))
    for (const entry of batch) {
      const here = { above: place, name: entry.name };
      yield { path: pathOf(here), entry };
      if (recursive && entry.kind === "folder") yield* below(view, entry, here, true);
    }
}

async function resolve(view: View, path: readonly Uint8Array[], place: Place): Promise<Entry> {
  const entry = await view.resolve(path);
  if (entry) return entry;
  throw new Problem("not-found", `${shown(place)} is not in this revision; "bcoopfs ls" lists it`);
}

function shown(place: Place): string {
  return escapeForTerminal(pathOf(place));
}

const zeros = Buffer.alloc(1 << 20);

/**
 * The bytes of a file, piece by piece, each verified; holes as zeros. Problem("not-found") where there is no such
 * path, "usage" where it is no regular file, "missing" or "damaged" where stored data is.
 */
export async function* catFile(view: View, path: readonly Uint8Array[]): AsyncGenerator<Buffer> {
  const place = placeOf(path);
  const entry = await resolve(view, path, place);
  if (entry.kind !== "file") throw noFile(entry, place);
  if (entry.flags & entryFlags.neverReadable) {
    const errno = hasNative() ? native().errnoName(entry.errno) : `error ${entry.errno}`;
    throw new Problem("not-found", `${shown(place)} could not be read when this revision was saved (${errno})`);
  }
  if (entry.content === undefined) return;
  for await (const piece of view.pieces(entry.content)) {
    if (piece.id !== undefined) yield await view.piece(piece);
    else
      for (let left = piece.size; left > 0n; left -= BigInt(zeros.length))
        yield left < zeros.length ? zeros.subarray(0, Number(left)) : zeros;
  }
}

const kindWords = {
  folder: "a folder",
  symlink: "a symbolic link",
  fifo: "a fifo",
  socket: "a socket",
  char: "a device",
  block: "a device",
} as const;

function noFile(entry: Entry, place: Place): Problem {
  const what = entry.kind === "file" ? "a file" : kindWords[entry.kind];
  const to = entry.target ? ` to ${escapeForTerminal(entry.target)}; name that` : "";
  const instead = entry.kind === "folder" ? '; "bcoopfs ls" lists it' : to;
  return new Problem("usage", `${shown(place)} is ${what}${instead}`);
}

/**
 * The system's entries and ours, both ways: what a scan tells becomes an entry, and an entry becomes what a restore
 * or a mount tells the system. Nowhere else are mode bits and kinds translated.
 * @module
 */
import type { SystemEntry } from "../base/native.js";
import { noFields } from "../format/fields.js";
import { type Entry, type EntryKind, noXattrs } from "../format/entry.js";

/** S_IFMT and its values (inode(7)). */
const typeMask = 0o170000;
const typeBits: Readonly<Record<EntryKind, number>> = {
  socket: 0o140000,
  symlink: 0o120000,
  file: 0o100000,
  block: 0o060000,
  folder: 0o040000,
  char: 0o020000,
  fifo: 0o010000,
};
const kinds = new Map<number, EntryKind>(Object.entries(typeBits).map(([kind, bits]) => [bits, kind as EntryKind]));

/** The kind that the type bits of a mode stand for; undefined for one that Linux does not have. */
export function kindOf(mode: number): EntryKind | undefined {
  return kinds.get(mode & typeMask);
}

/** Permission and type bits, as stat(2) gives them. */
export function fullMode(entry: Pick<Entry, "kind" | "mode">): number {
  return typeBits[entry.kind] | entry.mode;
}

/** What a scan alone can say of an entry: no content, no folder, no target, no attributes, no link group yet. */
export function entryOf(kind: EntryKind, found: SystemEntry): Entry {
  const device = kind === "char" || kind === "block";
  return {
    name: Buffer.from(found.name),
    kind,
    flags: 0,
    mode: found.mode & 0o7777,
    uid: found.uid,
    gid: found.gid,
    mtimeNs: found.mtimeNs,
    links: kind === "folder" ? 1 : found.nlink,
    group: 0n,
    size: kind === "file" ? found.size : 0n,
    content: undefined,
    tree: undefined,
    target: undefined,
    major: device ? found.rdevMajor : 0,
    minor: device ? found.rdevMinor : 0,
    errno: 0,
    xattrs: noXattrs,
    fields: noFields,
  };
}

/** Seconds (any sign) and nanoseconds of a time. */
export function splitTime(ns: bigint): { seconds: bigint; nanoseconds: number } {
  const second = 1_000_000_000n;
  const nanoseconds = ((ns % second) + second) % second;
  return { seconds: (ns - nanoseconds) / second, nanoseconds: Number(nanoseconds) };
}

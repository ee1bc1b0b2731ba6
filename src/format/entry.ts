/**
 * One entry of a folder: only what a restore sets or a reader sees. What merely tells whether a file has changed
 * (ctime, inode, device) lives in the local stat sheet and never here.
 *
 *   name blob ‖ kind u8 ‖ flags varint ‖ mode varint ‖ uid varint ‖ gid varint ‖ mtime seconds (zigzag) ‖ nanoseconds varint
 *   ‖ links varint [‖ group u64, where links > 1] ‖ by kind ‖ xattrs ‖ extension fields
 *
 *   file      size varint [‖ level u8 ‖ id 32, where size > 0 and readable] [‖ errno varint, where never readable]
 *   folder    entries varint [‖ level u8 ‖ id 32, where entries > 0] [‖ errno varint, where never readable]
 *   symlink   target blob
 *   char, block   major varint ‖ minor varint
 *   xattrs    count ‖ { name blob ‖ size varint ‖ value up to 1 KiB, else level u8 ‖ id 32 }, ascending by name
 * @module
 */
import { compareBytes, type Reader, type Writer } from "../base/bytes.js";
import { format } from "../base/limits.js";
import { type Fields, readFields, writeFields } from "./fields.js";

export const entryKinds = { file: 1, folder: 2, symlink: 3, fifo: 4, socket: 5, char: 6, block: 7 } as const;
export type EntryKind = keyof typeof entryKinds;

/** Bits of `flags`. */
export const entryFlags = {
  /** it changed while it was read; the content is what reads gave */
  changedWhileRead: 1,
  /** unreadable this time: the entry of an earlier revision stands here */
  carriedForward: 2,
  /** no revision has ever been able to read it; `errno` says why */
  neverReadable: 4,
} as const;
const allFlags = 7;

/** Where content is: level 0 is one chunk, a longer one is a list of lists. `size` in bytes, > 0. */
export interface ContentRef {
  readonly level: number;
  readonly id: Buffer;
  readonly size: bigint;
}

/** Where a folder's entries are; `entries` counts those directly in it, > 0. */
export interface TreeRef {
  readonly level: number;
  readonly id: Buffer;
  readonly entries: number;
}

export interface Xattr {
  readonly name: Buffer;
  /** short values stand here, long ones are content */
  readonly value: Buffer | ContentRef;
}

export interface Entry {
  /** raw bytes; empty only for the root of a revision */
  readonly name: Buffer;
  readonly kind: EntryKind;
  readonly flags: number;
  /** permission, set-id and sticky bits (07777) */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** nanoseconds since 1970; any sign, any size */
  readonly mtimeNs: bigint;
  /** hard links that the file had; 1 for folders */
  readonly links: number;
  /** names of one file share a random number; 0n where links is 1 */
  readonly group: bigint;
  /** file: bytes; otherwise 0n */
  readonly size: bigint;
  readonly content: ContentRef | undefined;
  readonly tree: TreeRef | undefined;
  readonly target: Buffer | undefined;
  readonly major: number;
  readonly minor: number;
  /** the system's error number, where never readable */
  readonly errno: number;
  readonly xattrs: readonly Xattr[];
  readonly fields: Fields;
}

const kindNames = new Map<number, EntryKind>(
  Object.entries(entryKinds).map(([name, number]) => [number, name as EntryKind]),
);
const second = 1_000_000_000n;

/** A valid component: no slash, no NUL, not "." or "..". */
export function isComponent(name: Uint8Array): boolean {
  if (name.length === 0 || name.length > format.nameBytes) return false;
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) return false;
  return !name.includes(0x2f) && !name.includes(0);
}

export function writeEntry(to: Writer, entry: Entry): void {
  to.blob(entry.name)
    .u8(entryKinds[entry.kind])
    .varint(entry.flags)
    .varint(entry.mode)
    .varint(entry.uid)
    .varint(entry.gid);
  const nanoseconds = ((entry.mtimeNs % second) + second) % second;
  to.signed((entry.mtimeNs - nanoseconds) / second).varint(Number(nanoseconds));
  to.varint(entry.links);
  if (entry.links > 1) to.u64(entry.group);
  const unreadable = (entry.flags & entryFlags.neverReadable) !== 0;
  if (entry.kind === "file") {
    to.varint(entry.size);
    if (entry.size > 0n && !unreadable) writePlace(to, entry.content);
  } else if (entry.kind === "folder") {
    to.varint(entry.tree?.entries ?? 0);
    if (entry.tree) writePlace(to, entry.tree);
  } else if (entry.kind === "symlink") to.blob(entry.target as Buffer);
  else if (entry.kind === "char" || entry.kind === "block") to.varint(entry.major).varint(entry.minor);
  if (unreadable) to.varint(entry.errno);
  writeXattrs(to, entry.xattrs);
  writeFields(to, entry.fields);
}

function writePlace(to: Writer, place: { level: number; id: Buffer } | undefined): void {
  if (place === undefined) throw new RangeError("expected content, got none");
  to.u8(place.level).raw(place.id);
}

function writeXattrs(to: Writer, xattrs: readonly Xattr[]): void {
  if (xattrs.length > format.xattrsPerEntry)
    throw new RangeError(`expected at most ${format.xattrsPerEntry} attributes, got ${xattrs.length}`);
  to.varint(xattrs.length);
  for (const { name, value } of xattrs) {
    const inline = Buffer.isBuffer(value);
    // The size alone tells a reader which of the two forms follows.
    const bytes = inline ? value.length : Number(value.size);
    if (inline !== bytes <= format.xattrInlineBytes)
      throw new RangeError(
        `expected a value of at most ${format.xattrInlineBytes} bytes inline, a longer one as content`,
      );
    to.blob(name);
    if (inline) to.blob(value);
    else {
      to.varint(value.size);
      writePlace(to, value);
    }
  }
}

/** @param root whether this is the root of a revision, the one entry without a name */
export function readEntry(from: Reader, root = false): Entry {
  const name = Buffer.from(from.blob(format.nameBytes));
  if (root ? name.length !== 0 : !isComponent(name)) from.fail("a name that is none");
  const kind = kindNames.get(from.u8());
  if (kind === undefined) from.fail("unknown kind");
  const flags = from.varint(allFlags);
  const mode = from.varint(0o7777);
  const uid = from.varint(0xffff_ffff);
  const gid = from.varint(0xffff_ffff);
  const seconds = from.signed();
  const mtimeNs = seconds * second + BigInt(from.varint(999_999_999));
  const links = from.varint(0xffff_ffff);
  if (links < 1 || (kind === "folder" && links !== 1)) from.fail("a link count that cannot be");
  const group = links > 1 ? from.u64() : 0n;
  const unreadable = (flags & entryFlags.neverReadable) !== 0;
  let size = 0n;
  let content: ContentRef | undefined;
  let tree: TreeRef | undefined;
  let target: Buffer | undefined;
  let major = 0;
  let minor = 0;
  if (kind === "file") {
    size = from.bigVarint();
    if (size > 0n && !unreadable) content = { ...readPlace(from), size };
  } else if (kind === "folder") {
    const entries = from.varint();
    if (entries > 0) tree = { ...readPlace(from), entries };
  } else if (kind === "symlink") target = Buffer.from(from.blob(format.targetBytes));
  else if (kind === "char" || kind === "block") {
    major = from.varint(0xffff_ffff);
    minor = from.varint(0xffff_ffff);
  }
  const errno = unreadable ? from.varint(4095) : 0;
  const xattrs = readXattrs(from);
  const fields = readFields(from);
  return {
    name,
    kind,
    flags,
    mode,
    uid,
    gid,
    mtimeNs,
    links,
    group,
    size,
    content,
    tree,
    target,
    major,
    minor,
    errno,
    xattrs,
    fields,
  };
}

function readPlace(from: Reader): { level: number; id: Buffer } {
  const level = from.u8();
  if (level > format.levels) from.fail("too many levels");
  return { level, id: Buffer.from(from.raw(32)) };
}

function readXattrs(from: Reader): readonly Xattr[] {
  const count = from.count(format.xattrsPerEntry, 3);
  if (count === 0) return noXattrs;
  const xattrs: Xattr[] = [];
  let previous: Buffer | undefined;
  for (let i = 0; i < count; i++) {
    const name = Buffer.from(from.blob(format.xattrNameBytes));
    if (name.length === 0 || name.includes(0) || (previous && compareBytes(previous, name) >= 0))
      from.fail("attributes out of order");
    previous = name;
    const size = from.varint(format.xattrValueBytes);
    const value =
      size <= format.xattrInlineBytes ? Buffer.from(from.raw(size)) : { ...readPlace(from), size: BigInt(size) };
    xattrs.push({ name, value });
  }
  return xattrs;
}

export const noXattrs: readonly Xattr[] = [];

/** A content reference standing by itself: size varint, and where that is not 0, level and id. */
export function writeContent(to: Writer, content: ContentRef | undefined): void {
  to.varint(content?.size ?? 0n);
  if (content) to.u8(content.level).raw(content.id);
}

export function readContent(from: Reader): ContentRef | undefined {
  const size = from.bigVarint();
  if (size === 0n) return undefined;
  const level = from.u8();
  if (level > format.levels) from.fail("too many levels");
  return { size, level, id: Buffer.from(from.raw(32)) };
}

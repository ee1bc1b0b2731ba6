/**
 * The one door to the native addon: what the system can do and Node cannot ask it for. Raw names, nanoseconds, extended
 * attributes, holes, devices and locks, all relative to a held descriptor and never through a symlink; and a fast BLAKE3.
 *
 * The addon decides nothing. Arguments are judged here, at the few places where a wrong one could leave the folder it was
 * meant for. A refused system call throws an Error with `code` ("ENOENT"), `errno` (2) and `syscall`; descriptors are
 * plain numbers, closed with `fs.closeSync`. All calls are synchronous.
 * @module
 */
import { createRequire } from "node:module";
import { Problem } from "./errors.js";

/** For `openFolder` only: the name is an absolute path. */
export const AT_FDCWD = -100;

/** What the system tells of one entry. `name` is a view of the buffer it was decoded from. */
export interface SystemEntry {
  /** Raw bytes; empty from `statAt`. */
  readonly name: Buffer;
  readonly ino: bigint;
  readonly size: bigint;
  /** Of 512 bytes, as allocated. */
  readonly blocks: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** Permissions and the type's bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly devMajor: number;
  readonly devMinor: number;
  /** 0, or why the entry could not be looked at: then only `name`, `ino` and the type in `mode` say something. */
  readonly errno: number;
  readonly hasXattrs: boolean;
  /** It could not be learned whether there are any. */
  readonly xattrsFailed: boolean;
}

/** A file system as a whole; counts of blocks are in `blockSize`. */
export interface SystemSpace {
  /** The magic number of statfs(2), unsigned. */
  readonly type: number;
  readonly blockSize: bigint;
  readonly blocks: bigint;
  readonly free: bigint;
  /** Free for an ordinary user. */
  readonly available: bigint;
  readonly files: bigint;
  readonly filesFree: bigint;
}

/**
 * The functions of the addon. `at` is a held folder's descriptor and `name` one raw name in it (RangeError for "", ".",
 * "..", a slash or a NUL); where it says "or empty", an empty name means the descriptor itself, also one opened by O_PATH.
 */
export interface Native {
  /**
   * A folder's descriptor for reading; a symlink gives ENOTDIR. Leaves the access time alone where the system allows it.
   * An empty name opens the folder anew. With AT_FDCWD the name is a normalised absolute path.
   */
  openFolder(at: number, name: Uint8Array): number;
  /** A file's descriptor for reading; ELOOP for a symlink, ENXIO for a socket. Never waits for a fifo or a device. */
  openFile(at: number, name: Uint8Array): number;
  /** All entries of an open folder, without "." and "..", in the system's order, for `entriesOf`. */
  scanFolder(fd: number): Buffer;
  /**
   * The same a part at a time, for folders of any size: the first part when `restart`, then what follows, until a part is
   * empty. A part ends soon (up to about 300 KiB) after `enough` bytes, at least 1.
   */
  scanPart(fd: number, restart: boolean, enough: number): Buffer;
  /** One record for `entriesOf`, its name empty. The name may be empty. */
  statAt(at: number, name: Uint8Array): Buffer;
  /** The bytes a symlink holds. */
  readLink(at: number, name: Uint8Array): Buffer;
  /**
   * All extended attributes by name bytes, for `xattrsOf`; empty where the file system has none. The name may be empty.
   * Throws when one cannot be read, E2BIG for a list or value over 64 KiB.
   */
  listXattrs(at: number, name: Uint8Array): Buffer;
  /** Sets one extended attribute, new or not. The name may be empty. */
  setXattr(at: number, name: Uint8Array, key: Uint8Array, value: Uint8Array): void;
  /** Removes one, ENODATA when it is not there. The name may be empty. */
  removeXattr(at: number, name: Uint8Array, key: Uint8Array): void;

  /**
   * The next range with data at or after `from` as [start, end), null when no data follows. Where the file system does not
   * tell holes, all is data. Moves the descriptor's own position.
   */
  nextData(fd: number, from: bigint): BigInt64Array | null;
  /** Reads `length` bytes at `offset`; fewer at the end of the file or before a place that fails, which throws if first. */
  pread(fd: number, buffer: Uint8Array, length: number, offset: bigint): number;
  /** Writes the whole buffer at `offset` and gives its length. */
  pwrite(fd: number, buffer: Uint8Array, offset: bigint): number;
  truncate(fd: number, size: bigint): void;
  /** Lets the page cache forget a range (length 0: to the end); dirty pages stay. */
  adviseDontNeed(fd: number, offset: bigint, length: bigint): void;

  /** A new folder. The umask applies to `mode` here and in the next two. */
  makeFolder(at: number, name: Uint8Array, mode: number): void;
  /** A new file, open for reading and writing; EEXIST if anything has the name, a symlink too. */
  createFile(at: number, name: Uint8Array, mode: number): number;
  /** A fifo, socket, character or block device (or an empty file): `mode` with the type's bits. Devices need root. */
  makeNode(at: number, name: Uint8Array, mode: number, major: number, minor: number): void;
  /** A symlink that holds these bytes, at most 4095. */
  makeSymlink(at: number, name: Uint8Array, target: Uint8Array): void;
  /** A second name for the same inode; a symlink is linked itself. */
  hardLink(oldAt: number, oldName: Uint8Array, newAt: number, newName: Uint8Array): void;
  /** Moves a name; what had the new name is replaced. */
  rename(oldAt: number, oldName: Uint8Array, newAt: number, newName: Uint8Array): void;
  /** Removes a name: an empty folder's if `isFolder`, anything else's if not. */
  remove(at: number, name: Uint8Array, isFolder: boolean): void;

  /** Owner and group, a symlink's own; drops set-id bits and capabilities, so it goes first. The name may be empty. */
  setOwner(at: number, name: Uint8Array, uid: number, gid: number): void;
  /** The permission bits, exactly; ENOTSUP for a symlink. The name may be empty. */
  setMode(at: number, name: Uint8Array, mode: number): void;
  /**
   * Modification and access time, a symlink's own; the file system rounds and clamps. The name may be empty.
   * Seconds may be negative, nanoseconds are 0 to 999999999 and always count upwards.
   */
  setTimes(at: number, name: Uint8Array, mtimeSec: bigint, mtimeNs: number): void;

  /**
   * An open-file-description lock on the whole file: it excludes other opens also in this process, and goes when the last
   * copy of the descriptor closes. False when another holds it and we do not wait. Exclusive needs a writable descriptor.
   * Waiting blocks the whole process.
   */
  lock(fd: number, exclusive: boolean, wait: boolean): boolean;
  unlock(fd: number): void;

  /**
   * Has all that was written to the file system of an open file or folder on its disk: syncfs(2), which tells what could
   * not be written since the descriptor was opened (Linux 5.8). One journal commit, where an fsync for each file costs
   * one each. Does not block; keep the descriptor open meanwhile.
   */
  syncFs(fd: number): Promise<void>;
  /** The file system that holds `path` (any path, links are followed). */
  statFs(path: Uint8Array): SystemSpace;
  /** Takes a mount out of the tree at once, also a dead one; a symlink at the end is not followed. */
  detachMount(path: Uint8Array): void;
  /** "ENOENT" for 2; "E" and the number for one without a name. */
  errnoName(errno: number): string;

  /** The 32-byte BLAKE3 digest, keyed by 32 bytes or plain. */
  blake3(data: Uint8Array, key: Uint8Array | null): Buffer;
  /**
   * The chaining value of each 64 KiB subtree, 32 bytes each, not finalised as root; the last may cover less. This is Bao
   * with 64 KiB groups. `firstChunkCounter` is data's place in the whole input in KiB, a multiple of 64. An input of no
   * more than 64 KiB has its `blake3`, not its leaf, as root.
   */
  blake3Leaves(data: Uint8Array, key: Uint8Array | null, firstChunkCounter: bigint): Buffer;
  /** The instruction set that BLAKE3 uses: 0 none, 1 SSE4.1 (or NEON), 2 AVX2, 3 AVX-512. */
  level(): number;
  /** Forces one, for tests; false and no change when this processor lacks it. */
  setLevel(level: number): boolean;
}

/** What the addon itself exports: `Native`, with the two ways to scan in one function. */
type Addon = Omit<Native, "scanFolder" | "scanPart" | "syncFs"> & {
  scanFolder(fd: number, restart: boolean, enough: number): Buffer;
  /** 0, or the error's number. */
  syncFs(fd: number): Promise<number>;
};

let loaded: Native | undefined;
let failure: unknown;

/** The addon, loaded once. Throws a Problem "unsupported" where it is not built. */
export function native(): Native {
  if (!hasNative())
    throw new Problem("unsupported", "the native addon is not built for this machine; run bin/setup", {
      cause: failure,
    });
  return loaded as Native;
}

/** Whether `native` would succeed. */
export function hasNative(): boolean {
  if (loaded === undefined && failure === undefined) {
    try {
      const require = createRequire(import.meta.url);
      loaded = guarded(require("../../../native/build/Release/bcoopfs.node") as Addon);
    } catch (error) {
      failure = error;
    }
  }
  return loaded !== undefined;
}

/** The addon behind the checks that TypeScript owes it. */
function guarded(addon: Addon): Native {
  return {
    ...addon,
    openFolder: (at, name) => addon.openFolder(at, at === AT_FDCWD ? absolutePath(name) : held(at, name)),
    openFile: (at, name) => addon.openFile(at, entryName(at, name)),
    scanFolder: (fd) => addon.scanFolder(fd, true, Number.POSITIVE_INFINITY),
    scanPart: (fd, restart, enough) => addon.scanFolder(fd, restart, Math.max(1, enough)),
    statAt: (at, name) => addon.statAt(at, held(at, name)),
    readLink: (at, name) => addon.readLink(at, entryName(at, name)),
    listXattrs: (at, name) => addon.listXattrs(at, held(at, name)),
    setXattr: (at, name, key, value) => addon.setXattr(at, held(at, name), withoutNul(key), value),
    removeXattr: (at, name, key) => addon.removeXattr(at, held(at, name), withoutNul(key)),
    makeFolder: (at, name, mode) => addon.makeFolder(at, entryName(at, name), mode),
    createFile: (at, name, mode) => addon.createFile(at, entryName(at, name), mode),
    makeNode: (at, name, mode, major, minor) => addon.makeNode(at, entryName(at, name), mode, major, minor),
    makeSymlink: (at, name, target) => addon.makeSymlink(at, entryName(at, name), withoutNul(target)),
    hardLink: (oldAt, oldName, newAt, newName) =>
      addon.hardLink(oldAt, entryName(oldAt, oldName), newAt, entryName(newAt, newName)),
    rename: (oldAt, oldName, newAt, newName) =>
      addon.rename(oldAt, entryName(oldAt, oldName), newAt, entryName(newAt, newName)),
    remove: (at, name, isFolder) => addon.remove(at, entryName(at, name), isFolder),
    setOwner: (at, name, uid, gid) => addon.setOwner(at, held(at, name), uid, gid),
    setMode: (at, name, mode) => addon.setMode(at, held(at, name), mode),
    setTimes: (at, name, mtimeSec, mtimeNs) => {
      // Larger values are commands to the system (now, or leave it).
      if (!(mtimeNs >= 0 && mtimeNs < 1e9)) throw new RangeError(`nanoseconds: expected below 10^9, got ${mtimeNs}`);
      addon.setTimes(at, held(at, name), mtimeSec, mtimeNs);
    },
    syncFs: async (fd) => {
      const errno = await addon.syncFs(fd);
      const code = addon.errnoName(errno);
      if (errno !== 0) throw Object.assign(new Error(`${code}: syncfs`), { code, errno, syscall: "syncfs" });
    },
    statFs: (path) => addon.statFs(withoutNul(path)),
    detachMount: (path) => addon.detachMount(absolutePath(path)),
    blake3: (data, key) => addon.blake3(data, key32(key)),
    blake3Leaves: (data, key, firstChunkCounter) => {
      if (firstChunkCounter % 64n !== 0n)
        throw new RangeError(`chunk counter: expected a multiple of 64, got ${firstChunkCounter}`);
      return addon.blake3Leaves(data, key32(key), firstChunkCounter);
    },
  };
}

const SLASH = 0x2f;
const DOT = 0x2e;

function withoutNul(bytes: Uint8Array): Uint8Array {
  if (bytes.includes(0)) throw new RangeError("expected bytes without NUL");
  return bytes;
}

function isDots(name: Uint8Array): boolean {
  return name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT));
}

/** A name in a held folder, or nothing for the descriptor itself: never a way out of the folder. */
function held(at: number, name: Uint8Array): Uint8Array {
  if (at < 0) throw new RangeError(`expected a held descriptor, got ${at}`);
  if (name.includes(SLASH) || isDots(name)) throw new RangeError(`expected one name, got ${printable(name)}`);
  return withoutNul(name);
}

function entryName(at: number, name: Uint8Array): Uint8Array {
  if (name.length === 0) throw new RangeError("expected a name, got none");
  return held(at, name);
}

/** An absolute path in its plain form: a slash or a dot at its end would make the system follow a last symlink. */
function absolutePath(path: Uint8Array): Uint8Array {
  const text = Buffer.from(path).toString("latin1");
  const plain = text.split("/").every((part, i) => (i === 0 ? part === "" : !["", ".", ".."].includes(part)));
  if (text !== "/" && (!plain || text === ""))
    throw new RangeError(`expected a plain absolute path, got ${printable(path)}`);
  return withoutNul(path);
}

function key32(key: Uint8Array | null): Uint8Array | null {
  if (key !== null && key.length !== 32) throw new RangeError(`expected a key of 32 bytes, got ${key.length}`);
  return key;
}

function printable(name: Uint8Array): string {
  return JSON.stringify(Buffer.from(name).toString("latin1"));
}

const RECORD = 88; // bytes before the name

/** The records that `scanFolder`, `scanPart` and `statAt` pack. Their names are views, so they keep `packed` alive. */
export function* entriesOf(packed: Buffer): Generator<SystemEntry> {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  for (let at = 0; at < packed.length; ) {
    const nameLength = view.getUint16(at + 84, true);
    const flags = view.getUint16(at + 86, true);
    yield {
      name: packed.subarray(at + RECORD, at + RECORD + nameLength),
      ino: view.getBigUint64(at, true),
      size: view.getBigUint64(at + 8, true),
      blocks: view.getBigUint64(at + 16, true),
      mtimeNs: view.getBigInt64(at + 24, true) * 1_000_000_000n + BigInt(view.getUint32(at + 40, true)),
      ctimeNs: view.getBigInt64(at + 32, true) * 1_000_000_000n + BigInt(view.getUint32(at + 44, true)),
      mode: view.getUint32(at + 48, true),
      uid: view.getUint32(at + 52, true),
      gid: view.getUint32(at + 56, true),
      nlink: view.getUint32(at + 60, true),
      rdevMajor: view.getUint32(at + 64, true),
      rdevMinor: view.getUint32(at + 68, true),
      devMajor: view.getUint32(at + 72, true),
      devMinor: view.getUint32(at + 76, true),
      errno: view.getInt32(at + 80, true),
      hasXattrs: (flags & 1) !== 0,
      xattrsFailed: (flags & 2) !== 0,
    };
    at += RECORD + Math.ceil(nameLength / 8) * 8;
  }
}

/** What `listXattrs` packs, as views of it. */
export function xattrsOf(packed: Buffer): { name: Buffer; value: Buffer }[] {
  const found: { name: Buffer; value: Buffer }[] = [];
  for (let at = 0; at < packed.length; ) {
    const nameEnd = at + 6 + packed.readUInt16LE(at);
    const valueEnd = nameEnd + packed.readUInt32LE(at + 2);
    found.push({ name: packed.subarray(at + 6, nameEnd), value: packed.subarray(nameEnd, valueEnd) });
    at = valueEnd;
  }
  return found;
}

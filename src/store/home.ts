/**
 * Where things lie in a home, and how a small file gets there: whole or not at all, whatever happens.
 * @module
 */
import {
  closeSync,
  type Dirent,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { native } from "../base/native.js";

/** Everything that a home holds. Nothing else writes there. */
export interface Home {
  readonly path: string;
  readonly config: string;
  readonly deviceKey: string;
  readonly vaultKey: string;
  readonly catalogue: string;
  /** what the catalogue's file looked like when it was last known to be sound */
  readonly catalogueSeal: string;
  readonly store: string;
  readonly storeId: string;
  /** what this device has written */
  readonly segments: string;
  /** what it keeps for others, and what it has had back from them */
  readonly objects: string;
  /** objects that are being received */
  readonly incoming: string;
  /** sessions that write, and their unfinished segments */
  readonly writers: string;
  /** of this device; in a folder for each vault those of others */
  readonly logs: string;
  /** by which a home knows that it is a copy */
  readonly installed: string;
  /** the capsule's parts */
  readonly capsule: string;
  readonly stat: string;
  readonly log: string;
}

export function homeAt(path: string): Home {
  const at = (...names: string[]): string => join(path, ...names);
  return {
    path,
    config: at("config.toml"),
    deviceKey: at("device.key"),
    vaultKey: at("vault.key"),
    catalogue: at("catalogue"),
    catalogueSeal: at("catalogue.seal"),
    store: at("store"),
    storeId: at("store", "id"),
    segments: at("store", "segments"),
    objects: at("store", "objects"),
    incoming: at("store", "incoming"),
    writers: at("store", "writers"),
    logs: at("logs"),
    installed: at("installed"),
    capsule: at("capsule"),
    stat: at("stat"),
    log: at("log"),
  };
}

/** File systems on which locks, fdatasync or mmap do not keep what they promise. */
const refused = new Map<number, string>([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "SMB"],
  [0xfe534d42, "SMB"],
  [0x01021997, "9p"],
  [0x65735546, "FUSE"],
  [0x00c36400, "Ceph"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
]);

/** The name of a file system that cannot hold a home, by the magic number of statfs(2); undefined where it can. */
export function unfitFileSystem(type: number): string | undefined {
  return refused.get(type >>> 0);
}

/** Throws Problem("refused") where `path` lies on a file system that cannot hold a home. */
export function checkFileSystem(path: string): void {
  const unfit = unfitFileSystem(native().statFs(Buffer.from(path)).type);
  if (unfit !== undefined)
    throw new Problem(
      "refused",
      `${path} lies on ${unfit}, which cannot hold a home safely; choose a local disk with --home`,
    );
}

export function syncFolder(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Make a folder, and have its name on the disk. */
export function makeFolder(path: string, mode = 0o700): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return;
    throw systemProblem(`cannot make ${path}`, error);
  }
  syncFolder(dirname(path));
}

/** Replace a file by new contents: after a crash there is the old one or the new one. */
export function replaceFile(path: string, contents: Uint8Array | string, mode = 0o600): void {
  const temporary = `${path}.tmp`;
  try {
    writeNew(temporary, contents, mode, "w");
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    tryUnlink(temporary);
    throw systemProblem(`cannot write ${path}`, error);
  }
}

/** Create a file that must not exist. Throws Problem("refused") where it does. */
export function createFile(path: string, contents: Uint8Array | string, mode = 0o600): void {
  try {
    writeNew(path, contents, mode, "wx");
    syncFolder(dirname(path));
  } catch (error) {
    if (errnoOf(error) === "EEXIST")
      throw new Problem("refused", `${path} exists already and is not overwritten; choose another name`);
    throw systemProblem(`cannot write ${path}`, error);
  }
}

/** Write a file from its start and have its bytes on the disk; its name is the caller's to see to. */
export function writeNew(path: string, contents: Uint8Array | string, mode: number, flags: "w" | "wx"): void {
  const fd = openSync(path, flags, mode);
  try {
    const bytes = typeof contents === "string" ? Buffer.from(contents, "utf8") : contents;
    writeAll(fd, bytes);
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** A nearly full disk takes a part of the bytes and refuses the rest only when asked again. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

/** What is in a folder, by name; nothing where there is no such folder. */
export function entriesIn(path: string): Dirent[] {
  try {
    // A file system gives them in an order of its own, and what is done in order shall not hang on that.
    return readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw systemProblem(`cannot look into ${path}`, error);
  }
}

/** Bytes of a file, or undefined where there is none. */
export function sizeOf(path: string): number | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.size;
  } catch (error) {
    throw systemProblem(`cannot reach ${path}`, error);
  }
}

/** The contents of a file, or undefined where there is none. */
export function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw systemProblem(`cannot read ${path}`, error);
  }
}

export function tryUnlink(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was not there, or the next start takes it away.
  }
}

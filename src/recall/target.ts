/**
 * The folder that a restore fills: new or empty, not in the home, and closed to everybody else meanwhile.
 * @module
 */
import { closeSync, existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { AT_FDCWD, native, xattrsOf } from "../base/native.js";
import type { Home } from "../store/home.js";
import { defaultAclName, dropAcls } from "./attributes.js";
import { HeldFolders, itself, statOf } from "./held.js";

export interface Target {
  readonly path: Buffer;
  readonly folders: HeldFolders;
  /**
   * Close it to others until `reopen`. @param bare drop its access lists, for it gets those of a folder of the revision
   * @returns whether what is made in it still takes over a default access list
   */
  close(bare: boolean): boolean;
  /** Give it its own mode back. */
  reopen(): void;
  isFull(): boolean;
  /** Put everything in it on the disk, but for its own attributes: those may close it to us too. */
  sync(): Promise<void>;
}

const plenty = 1n << 20n;

/** Throws Problem("refused") unless a restore may fill `target`. Touches nothing. */
export function checkTarget(home: Home, target: string): void {
  const path = resolve(target);
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) {
      checkOutside(home, aboveOf(path));
      return;
    }
    if (!statSync(path).isDirectory()) throw new Problem("refused", `${target} is not a folder; name a new one`);
    if (readdirSync(path).length > 0)
      throw new Problem("refused", `${target} is not empty; restore to a new or empty folder`);
    checkOutside(home, path);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(errnoOf(error) ?? ""))
      throw new Problem("refused", `${target} cannot be a folder: part of its path is something else`);
    throw systemProblem(`cannot use ${target}`, error);
  }
}

/** The nearest folder above that is there. */
function aboveOf(path: string): string {
  let above = dirname(path);
  while (lstatSync(above, { throwIfNoEntry: false }) === undefined) above = dirname(above);
  if (!statSync(above).isDirectory()) throw new Problem("refused", `${above} is not a folder`);
  return above;
}

function checkOutside(home: Home, path: string): void {
  const inside = `${realpathSync(path)}/`;
  if (inside.startsWith(`${realpathSync(home.path)}/`))
    throw new Problem("refused", `${path} lies in the home of bcoopfs; restore to another place`);
}

/** Make it where it is missing, and its parents; then hold it. */
export function openTarget(home: Home, target: string): Target {
  let fd: number;
  let path: Buffer;
  try {
    makeFolders(resolve(target));
    path = realpathSync(resolve(target), { encoding: "buffer" });
    fd = native().openFolder(AT_FDCWD, path);
  } catch (error) {
    throw systemProblem(`cannot make ${target}`, error);
  }
  try {
    // It may have been filled while the plan was made.
    if (native().scanPart(fd, true, 1).length > 0) checkTarget(home, target);
    return heldTarget(path, new HeldFolders(fd));
  } catch (error) {
    closeSync(fd);
    throw systemProblem(`cannot use ${target}`, error);
  }
}

/** Node's own recursive mkdir never ends where a parent is there and still refuses with ENOENT, as in /proc. */
function makeFolders(path: string): void {
  if (existsSync(path)) return;
  makeFolders(dirname(path));
  mkdirSync(path);
}

function heldTarget(path: Buffer, folders: HeldFolders): Target {
  const fd = folders.fd(folders.top);
  let mode: number | undefined;
  return {
    path,
    folders,
    close: (bare) => {
      if (bare) dropAcls(fd, itself, true);
      const before = statOf(fd, itself).mode & 0o7777;
      try {
        native().setMode(fd, itself, 0o700);
        mode = before;
      } catch (error) {
        if (errnoOf(error) !== "EPERM" && errnoOf(error) !== "EROFS") throw error;
      }
      return !bare && hasDefaultAcl(fd);
    },
    reopen: () => {
      if (mode !== undefined) native().setMode(fd, itself, mode);
    },
    isFull: () => {
      const space = native().statFs(path);
      return space.available * space.blockSize < plenty || (space.files > 0n && space.filesFree === 0n);
    },
    sync: () => syncFileSystem(fd),
  };
}

function hasDefaultAcl(fd: number): boolean {
  return xattrsOf(native().listXattrs(fd, itself)).some(({ name }) => name.equals(defaultAclName));
}

/** Everything on the disk before it is called done. */
async function syncFileSystem(fd: number): Promise<void> {
  try {
    await native().syncFs(fd);
  } catch (error) {
    throw systemProblem("the restored files may not all be on the disk", error);
  }
}

/**
 * What lmdb must not meet. lmdb-js ends the process, or writes beyond its memory, in moments in which an error would
 * do: so they are looked for first, and become the Problems that they are.
 * @module
 */
import { accessSync, closeSync, existsSync, constants as modes, openSync, statSync } from "node:fs";
import { constants } from "node:os";
import { dirname } from "node:path";
import { Problem, systemProblem } from "../base/errors.js";
import { native } from "../base/native.js";

/** Free space that a transaction must find: four times the file, within these bounds. */
const leastRoomBytes = 256 << 10;
const mostRoomBytes = 16 << 20;

/**
 * lmdb-js writes beyond its memory when a page cannot be written, and maps a lock file that nothing may back yet: both
 * can end the process. So a disk that is about to be full is refused before lmdb meets it.
 */
export function refuseFullDisk(path: string): void {
  const bytes = statSync(`${path}/data.mdb`, { throwIfNoEntry: false })?.size ?? 0;
  if (!hasRoom(path, Math.min(mostRoomBytes, 4 * bytes + leastRoomBytes)))
    throw new Problem("no-space", "cannot write to the catalogue: the disk is full; free some space and run it again");
}

/** Are so many bytes free where this folder is, or is to be? */
export function hasRoom(path: string, bytes: number): boolean {
  const { available, blockSize } = native().statFs(Buffer.from(existsSync(path) ? path : dirname(path)));
  return available * blockSize >= BigInt(bytes);
}

/**
 * lmdb-js falls over where it cannot open a file, so see first that it can: that the files are ours, and descriptors left.
 * The files themselves stay closed, because closing a second descriptor of the lock file would drop lmdb's lock.
 */
export function checkReach(path: string): void {
  for (const file of [path, `${path}/data.mdb`, `${path}/lock.mdb`])
    if (existsSync(file)) accessSync(file, modes.R_OK | modes.W_OK);
  const spare: number[] = [];
  try {
    if (existsSync(path)) for (let i = 0; i < 4; i++) spare.push(openSync(path, "r"));
  } finally {
    for (const fd of spare) closeSync(fd);
  }
}

/** A refusal of lmdb or of the system as a Problem; anything else is a bug, and stays what it is. */
export function lmdbProblem(doing: string, error: unknown): unknown {
  if (error instanceof Problem) return error;
  const code = (error as { code?: unknown } | null)?.code;
  if (code === undefined) return error;
  // LMDB gives the system's error numbers, and its own below zero.
  const [errno] = Object.entries(constants.errno).find(([, number]) => number === code) ?? [];
  if (errno === undefined) return systemProblem(doing, error);
  return systemProblem(doing, Object.assign(new Error((error as Error).message, { cause: error }), { code: errno }));
}

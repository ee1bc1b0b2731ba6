/**
 * What is done with a kept log that does not read to its end: it is a copy, so what is left of it is enough to go on
 * from, and nobody needs to be asked.
 * @module
 */
import { Problem } from "../base/errors.js";
import type { LogFile, StoredRecord } from "./log.js";

/** A fault of this machine, or of this program; anything else that a log or record gives rise to is its own fault. */
export function isOfDisk(error: unknown): boolean {
  return !(error instanceof Problem) || error.code === "io" || error.code === "no-space";
}

/**
 * The newest record behind one that is known to be good. A torn or damaged rest is cut away, a copy kept of the latter;
 * what only a newer version can read stays.
 */
export function newestOf(file: LogFile, from: StoredRecord): StoredRecord {
  try {
    return file.underLock(from, (head) => head);
  } catch (error) {
    if (isOfDisk(error)) throw error;
    if ((error as Problem).code === "damaged" && file.mend()) return newestOf(file, file.first);
  }
  let newest = from;
  try {
    for (const next of file.after(from)) newest = next;
  } catch (error) {
    if (isOfDisk(error)) throw error;
  }
  return newest;
}

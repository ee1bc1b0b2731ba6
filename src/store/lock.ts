/**
 * Locks that die with their holder: open-file-description locks, which the kernel drops when the last copy of the
 * descriptor closes, however the process ended.
 * @module
 */
import { closeSync, openSync } from "node:fs";
import { systemProblem } from "../base/errors.js";
import { native } from "../base/native.js";

/** A held lock, released by `close`. */
export interface Lock {
  readonly fd: number;
  close(): void;
}

/** Lock a file, made where it is missing. undefined when another process holds it and `wait` is false. */
export function lockFile(path: string, wait: boolean): Lock | undefined {
  let fd: number;
  try {
    fd = openSync(path, "a+", 0o600);
  } catch (error) {
    throw systemProblem(`cannot open ${path}`, error);
  }
  try {
    if (native().lock(fd, true, wait)) return { fd, close: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw systemProblem(`cannot lock ${path}`, error);
  }
  closeSync(fd);
  return undefined;
}

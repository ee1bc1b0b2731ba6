/**
 * What an `init` or a `recover` that was cut short leaves behind. Until vault.key is there nothing can have been saved,
 * so a home without it may be begun anew, but only where every file is one that those make and nothing hangs on it: a
 * log with more than its genesis and the root key's word of what it inherits, or any segment, belongs to a vault whose
 * key was lost.
 * @module
 */
import { closeSync, openSync, readdirSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { recordTypes } from "../format/record.js";
import type { Home } from "../store/home.js";

/** Files of an unfinished vault, to be removed. Problem("refused") where there is more. */
export function leftoverOf(home: Home): string[] {
  try {
    for (const folder of [home.segments, home.writers, home.objects])
      if (readdirSync(folder, { recursive: true, withFileTypes: true }).some((entry) => !entry.isDirectory()))
        throw lost(home);
  } catch (error) {
    if (!isAbsent(error)) throw systemProblem(`cannot look into ${home.store}`, error);
  }
  const logs = named(home, home.logs, /^[0-9a-f]{64}(\.tmp)?$/);
  for (const log of logs) if (!log.endsWith(".tmp") && !onlyBegun(log)) throw lost(home);
  return [
    ...logs,
    ...named(home, home.capsule, /^(root|[0-9a-f]{64})(\.tmp)?$/),
    ...named(home, home.catalogue, /^(data|lock)\.mdb$/),
    join(home.path, "coop", "key"),
    join(home.path, "coop", "key.tmp"),
    home.catalogueSeal,
    `${home.deviceKey}.tmp`,
    `${home.vaultKey}.tmp`,
  ];
}

export function removeFiles(paths: readonly string[]): void {
  for (const path of paths)
    try {
      rmSync(path, { force: true });
    } catch (error) {
      throw systemProblem(`cannot remove ${path}, which an interrupted run left`, error);
    }
}

function lost(home: Home): Problem {
  return new Problem(
    "refused",
    `${home.path} holds a vault whose vault.key is gone; put the key back, or choose another home with --home`,
  );
}

/** The paths in a folder, where each has a name that `init` gives. */
function named(home: Home, folder: string, pattern: RegExp): string[] {
  try {
    const found = readdirSync(folder, { withFileTypes: true });
    if (found.some((entry) => !entry.isFile() || !pattern.test(entry.name))) throw lost(home);
    return found.map(({ name }) => join(folder, name));
  } catch (error) {
    if (isAbsent(error)) return [];
    throw systemProblem(`cannot look into ${folder}`, error);
  }
}

/** Does a log hold no more than its genesis and `succeed` records, the last one whole or torn? */
function onlyBegun(path: string): boolean {
  const fd = openSync(path, "r");
  try {
    // Each record stands behind its length (u32); its type is at byte 10 of its header.
    const head = Buffer.alloc(16);
    for (let at = 0, seq = 0; readSync(fd, head, 0, 16, at) === 16; seq++) {
      if (seq > 0 && head.readUInt16LE(14) !== recordTypes.succeed) return false;
      at += 4 + head.readUInt32LE();
    }
    return true;
  } finally {
    closeSync(fd);
  }
}

function isAbsent(error: unknown): boolean {
  return errnoOf(error) === "ENOENT";
}

/**
 * The logs for people, `<home>/log/mount.log` and `daemon.log`: one line an event, for whoever was told EIO or looks why a
 * peer is away. A line that repeats within a minute is counted and not written, so that a program that reads damaged
 * bytes in a loop fills no disk.
 * @module
 */
import { appendFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../base/errors.js";
import { formatTimeUtc } from "../base/units.js";
import type { System } from "../base/system.js";
import type { Home } from "../store/home.js";

const repeatNs = 60_000_000_000n;
const linesRemembered = 256;
const sizeMost = 4 * 1024 * 1024;

/** Whose log it is. */
export type LogName = "mount" | "daemon";

/** The log's file; an older part of it stands beside it as `mount.log.1`. */
export function logOf(home: Home, name: LogName): string {
  return join(home.log, `${name}.log`);
}

/** A way to write lines there. It never throws: a log that cannot be written keeps nothing from working. */
export function openLog(home: Home, name: LogName, system: System): (line: string) => void {
  const path = logOf(home, name);
  const said = new Map<string, { at: bigint; again: number }>();
  return (line) => {
    const now = system.now();
    const before = said.get(line);
    if (before && now - before.at < repeatNs) {
      before.again++;
      return;
    }
    said.delete(line);
    said.set(line, { at: now, again: 0 });
    if (said.size > linesRemembered) said.delete(said.keys().next().value as string);
    const times =
      before && before.again > 0 ? ` (and ${before.again === 1 ? "once" : `${before.again} times`} before)` : "";
    try {
      if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > sizeMost) renameSync(path, `${path}.1`);
      appendFileSync(path, `${formatTimeUtc(now)} ${line}${times}\n`, { mode: 0o600 });
    } catch {
      // Nobody is left to tell.
    }
  };
}

/** For a Problem its message; of anything else, which is a bug, also where it happened. One line. */
export function messageOf(error: unknown): string {
  if (error instanceof Problem) return error.message;
  const stack = error instanceof Error ? error.stack : undefined;
  return (stack ?? String(error)).replaceAll(/\s*\n\s*/g, " | ");
}

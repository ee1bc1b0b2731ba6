/**
 * Whom the daemon (or a sync) of a home is connected with, for other processes to tell: a small file that counts only
 * as long as the process that wrote it lives. Nothing relies on it.
 * @module
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tryUnlink, type Home } from "../store/home.js";
import { runs, type Server, thisProcess } from "../vault/mountinfo.js";

export interface Presence {
  readonly process: Server;
  /** hex of the keys of admitted devices that keep for others */
  readonly connected: readonly string[];
}

const fileOf = (home: Home): string => join(home.path, "swarm.status");

/** Say who is connected now. */
export function tellPresence(home: Home, connected: readonly Buffer[]): void {
  const presence: Presence = { process: thisProcess(), connected: connected.map((key) => key.toString("hex")) };
  const path = fileOf(home);
  try {
    writeFileSync(`${path}.tmp`, `${JSON.stringify(presence)}\n`, { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  } catch {
    // A full disk: then nobody is told.
  }
}

export function endPresence(home: Home): void {
  tryUnlink(fileOf(home));
}

/** What the living keeper of a home says; undefined where there is none. */
export function presenceOf(home: Home): Presence | undefined {
  try {
    const told = JSON.parse(readFileSync(fileOf(home), "utf8")) as Presence;
    return Number.isSafeInteger(told.process.pid) && Array.isArray(told.connected) && runs(told.process)
      ? told
      : undefined;
  } catch {
    return undefined;
  }
}

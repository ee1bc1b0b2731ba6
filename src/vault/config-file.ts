/**
 * config.toml of a home: read whole, and changed by one process at a time.
 * @module
 */
import { join } from "node:path";
import { Problem, systemProblem } from "../base/errors.js";
import { type Home, readIfThere, replaceFile } from "../store/home.js";
import { lockFile } from "../store/lock.js";
import { type Config, parseConfig } from "./config.js";

/** config.toml of a home; a missing one is empty. */
export function readConfig(home: Home): Config {
  const text = readIfThere(home.config);
  try {
    return parseConfig(text?.toString("utf8") ?? "");
  } catch (error) {
    throw error instanceof Problem ? error : systemProblem("cannot read config.toml", error);
  }
}

/** Change the text of config.toml; the file is replaced whole. */
export function editConfig(home: Home, change: (text: string) => string): void {
  const lock = lockFile(join(home.path, "config.lock"), true);
  try {
    const before = readIfThere(home.config)?.toString("utf8") ?? "";
    const after = change(before);
    if (after !== before) replaceFile(home.config, after);
  } finally {
    lock?.close();
  }
}

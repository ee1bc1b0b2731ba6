/**
 * Is this home where it was made, or a copy? A file in it holds its own inode and birth time, which no copy, no move to
 * another disk and no restore brings along. Two homes that went on in one log would fork it; so whoever finds that
 * the file is another one goes on in a new log. A snapshot of a whole disk brings everything along: that it was put
 * back only others can tell.
 * @module
 */
import { closeSync, fdatasyncSync, fstatSync, openSync, renameSync, statSync } from "node:fs";
import { systemProblem } from "../base/errors.js";
import { native } from "../base/native.js";
import { type Home, readIfThere, syncFolder, tryUnlink, writeAll } from "./home.js";

const firstLine = "bcoopfs installed 1";

/** FAT and exFAT give a file another inode each time they are mounted. */
const inodesChange: ReadonlySet<number> = new Set([0x4d44, 0x2011bab0]);

function marksOf(home: Home, stat: { ino: bigint; birthtimeNs: bigint }): string {
  const { type } = native().statFs(Buffer.from(home.path));
  return `${firstLine}\n${inodesChange.has(type) ? 0n : stat.ino} ${stat.birthtimeNs}\n`;
}

/** "here" where it was, "elsewhere" where it is a copy, "unmarked" where nobody has left a mark yet. */
export function whereInstalled(home: Home): "here" | "elsewhere" | "unmarked" {
  const text = readIfThere(home.installed)?.toString("latin1");
  // A mark that its maker did not finish is none.
  if (text === undefined || !new RegExp(`^${firstLine}\n\\d+ \\d+\n$`).test(text)) return "unmarked";
  try {
    return text === marksOf(home, statSync(home.installed, { bigint: true })) ? "here" : "elsewhere";
  } catch (error) {
    throw systemProblem(`cannot look at ${home.installed}`, error);
  }
}

/** Leave the mark. What hinders it is no reason to stop: the next start leaves it. */
export function markInstalled(home: Home): void {
  const temporary = `${home.installed}.${process.pid}.tmp`;
  try {
    const fd = openSync(temporary, "w", 0o600);
    try {
      writeAll(fd, Buffer.from(marksOf(home, fstatSync(fd, { bigint: true })), "latin1"));
      fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, home.installed);
    syncFolder(home.path);
  } catch {
    tryUnlink(temporary);
  }
}

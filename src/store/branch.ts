/**
 * The other branch of a log whose device signed two records where one belongs: the first record of it that anybody
 * showed is kept beside the log, as `<log id>.fork-<record id>`. As long as it lies there the log takes nothing more.
 * @module
 */
import { basename, dirname, join } from "node:path";
import { decodeRecord } from "../format/record.js";
import { entriesIn, readIfThere, replaceFile } from "./home.js";
import { framed, lengthBytes } from "./stored-record.js";

const branchName = /^([0-9a-f]{64})\.fork-[0-9a-f]{16}$/;

/** Which logs have a branch kept beside them, by id in hex. @param names of the files in their folder */
export function branchesIn(names: Iterable<string>): Set<string> {
  const found = new Set<string>();
  for (const name of names) {
    const log = branchName.exec(name)?.[1];
    if (log !== undefined) found.add(log);
  }
  return found;
}

/** Keep a record of the other branch, on the disk when this returns. */
export function keepBranch(log: string, record: Buffer): void {
  const decoded = decodeRecord(record);
  replaceFile(`${log}.fork-${decoded.id.toString("hex").slice(0, 16)}`, framed(decoded));
}

/** The record that was kept; undefined where there is none. */
export function branchOf(log: string): Buffer | undefined {
  const [name] = entriesIn(dirname(log))
    .map((entry) => entry.name)
    .filter((other) => branchName.exec(other)?.[1] === basename(log))
    .sort();
  return name === undefined ? undefined : readIfThere(join(dirname(log), name))?.subarray(lengthBytes);
}

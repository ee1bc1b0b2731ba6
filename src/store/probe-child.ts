/**
 * The child of `probe.ts`: walk every row of the catalogue named on the command line. Given a folder to make, copy the
 * catalogue there first and walk the copy. Exit 0 where all of it reads and nothing is missing, `unable` where the
 * system would not let it look, `otherVersion` where its rows are not of this one; however else it ends, the file is damaged.
 * @module
 */
import { mkdirSync } from "node:fs";
import { errnoOf, Problem } from "../base/errors.js";
import { Catalogue } from "./catalogue.js";
import { otherVersion, unable } from "./probe.js";

async function look(path: string, copy: string | undefined): Promise<void> {
  let catalogue = Catalogue.open(path);
  if (copy !== undefined) {
    mkdirSync(copy);
    await catalogue.copyTo(copy);
    await catalogue.close();
    catalogue = Catalogue.open(copy);
  }
  catalogue.walk();
  await catalogue.close();
}

process.umask(0o077);
const [path, copy] = process.argv.slice(2);
try {
  await look(path as string, copy);
} catch (error) {
  const cause = error instanceof Problem ? (error.cause ?? error) : error;
  const refused = ["ENOSPC", "EMFILE", "ENFILE", "ENOMEM", "EACCES", "EPERM", "EROFS"].includes(errnoOf(cause) ?? "");
  const full = error instanceof Problem && error.code === "no-space";
  const other = error instanceof Problem && error.code === "unsupported";
  process.exit(refused || full ? unable : other ? otherVersion : 1);
}

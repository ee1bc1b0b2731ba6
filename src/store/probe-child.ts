/**
 * The child of `probe.ts`: walk every row of the catalogue named on the command line. Given a folder to make, it copies
 * the catalogue there first and walks the copy, unless there is no room for one. Exit 0 where all of it reads and
 * nothing is missing, `unable` where the system would not let it look; however else it ends, the file is damaged.
 * @module
 */
import { mkdirSync } from "node:fs";
import { errnoOf, Problem } from "../base/errors.js";
import { Catalogue } from "./catalogue.js";
import { tryUnlink } from "./home.js";
import { unable } from "./probe.js";

async function look(path: string, copy: string | undefined): Promise<void> {
  const catalogue = Catalogue.open(path);
  if (copy === undefined || !(await copied(catalogue, copy))) catalogue.walk();
  else {
    const second = Catalogue.open(copy);
    second.walk();
    await second.close();
  }
  await catalogue.close();
}

async function copied(catalogue: Catalogue, folder: string): Promise<boolean> {
  mkdirSync(folder, { mode: 0o700 });
  try {
    await catalogue.copyTo(folder);
    return true;
  } catch (error) {
    tryUnlink(`${folder}/data.mdb`);
    if (error instanceof Problem && error.code === "no-space") return false;
    throw error;
  }
}

process.umask(0o077);
const [path, copy] = process.argv.slice(2);
try {
  await look(path as string, copy);
} catch (error) {
  const cause = error instanceof Problem ? error.cause : error;
  const refused = ["ENOSPC", "EMFILE", "ENFILE", "ENOMEM", "EACCES", "EPERM", "EROFS"].includes(errnoOf(cause) ?? "");
  process.exit(refused ? unable : 1);
}

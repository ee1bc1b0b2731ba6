/**
 * The child of `probe.ts`: walk every row of the catalogue named on the command line. Exit 0 where all of it reads and
 * nothing is missing, `unable` where the system would not let it look; however else it ends, the file is damaged.
 * @module
 */
import { errnoOf, Problem } from "../base/errors.js";
import { Catalogue } from "./catalogue.js";
import { unable } from "./probe.js";

try {
  const catalogue = Catalogue.open(process.argv[2] as string);
  catalogue.walk();
  await catalogue.close();
} catch (error) {
  const cause = error instanceof Problem ? error.cause : error;
  const refused = ["ENOSPC", "EMFILE", "ENFILE", "ENOMEM", "EACCES", "EPERM", "EROFS"].includes(errnoOf(cause) ?? "");
  process.exit(refused ? unable : 1);
}

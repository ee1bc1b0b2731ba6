/**
 * The child of `probe.ts`: walk every row of the catalogue named on the command line; exit 0 where all of it reads.
 * @module
 */
import { Catalogue } from "./catalogue.js";

const catalogue = Catalogue.open(process.argv[2] as string);
catalogue.walk();
await catalogue.close();

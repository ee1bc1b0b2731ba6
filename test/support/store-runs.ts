/**
 * The child that tests kill: several runs of the real command line in one process, so that deaths fall into work and
 * not into the start of Node. Arguments: folder, seed, first generation, number of generations. BCOOPFS_HOME is the home.
 *
 * Says "ready", then for each generation "begin N" before its snapshot; the summary after it is the acknowledgement.
 */
import { writeSync } from "node:fs";
import { main } from "../../src/cli/main.js";
import { treeAt, writeTree } from "./store-tree.js";
// Loaded by the commands when they run: here before "ready".
import "../../src/capture/snapshot.js";
import "../../src/capture/jobs.js";

const [folder, seed, first, count] = process.argv.slice(2) as [string, string, string, string];
writeSync(1, "ready\n");
for (let generation = Number(first); generation < Number(first) + Number(count); generation++) {
  writeSync(1, `begin ${generation}\n`);
  writeTree(folder, treeAt(Number(seed), generation));
  const exit = await main(["snapshot", `${folder}/`, "--json", "-q"]);
  if (exit !== 0) process.exit(exit);
}

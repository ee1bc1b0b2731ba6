/**
 * Runs the compiled tests: npm test [-- WORD…] [-- --node-option…]
 *
 * A WORD keeps the files whose path contains it; an option (--test-name-pattern=…) goes to node. Files are named one
 * by one, because `node --test FOLDER` would run the helpers too. BCOOPFS_SEED seeds all that is random in the
 * tests; the first line says which seed it was, so that a failure can be run again. BCOOPFS_FULL=1: full counts.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { constants } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "dist/test");
const words = process.argv.slice(2).filter((word) => !word.startsWith("-"));
const options = process.argv.slice(2).filter((word) => word.startsWith("-"));

const full = process.env.BCOOPFS_FULL === "1";
const seed = process.env.BCOOPFS_SEED || (full ? String(randomInt(1, 2 ** 31)) : "1");
if (!/^\d{1,10}$/.test(seed) || Number(seed) >= 2 ** 31) {
  console.error(`BCOOPFS_SEED is a number below 2147483648, not ${JSON.stringify(seed)}`);
  process.exit(2);
}
console.log(`seed ${seed} (again with: BCOOPFS_SEED=${seed} npm ${full ? "run test:full" : "test"})`);

const files = (existsSync(folder) ? readdirSync(folder, { recursive: true }) : [])
  .filter((file) => file.endsWith(".test.js"))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .map((file) => relative(root, join(folder, file)))
  .sort();
if (files.length === 0) {
  console.error(
    words.length > 0 ? `no test file has ${words.join(" or ")} in its path` : "no compiled tests: run bin/setup",
  );
  process.exit(1);
}

const run = spawnSync(
  process.execPath,
  ["--enable-source-maps", "--test", "--test-concurrency=2", "--test-reporter=spec", ...options, ...files],
  { cwd: root, stdio: "inherit", env: { ...process.env, BCOOPFS_SEED: seed, BCOOPFS_FULL: full ? "1" : "" } },
);
if (run.error) throw run.error;
process.exitCode = run.status ?? 128 + constants.signals[run.signal];

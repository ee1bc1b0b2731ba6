/**
 * Runs a benchmark: npm run bench -- NAME [ARGUMENT…]; without a name it lists them. A bench prints its figures on
 * stdout, says in one line on stderr what is missing here, and gives the exit status.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, constants, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

interface Bench {
  readonly about: string;
  readonly run: (words: readonly string[]) => Promise<number>;
}

const benches: Readonly<Record<string, Bench>> = {
  race: {
    about: "[small] [big] [versions] [--runs N …]  bcoopfs against restic and borg on the same folders",
    run: race,
  },
  swarm: {
    about: "[MB]  two machines on loopback: saved, given to a peer, lost, recovered, read back",
    run: async (words) => (await import("./swarm.js")).swarm(words),
  },
};

const root = fileURLToPath(new URL("../../../", import.meta.url));

/**
 * Makes the folders of test/tools/corpus that are named (small and big if none is) and hands them to test/tools/race
 * with all options. They are made in $BCOOPFS_BENCH_DIR and stay there, or in a temporary folder that is removed.
 */
async function race(words: readonly string[]): Promise<number> {
  const firstOption = words.findIndex((word) => word.startsWith("-"));
  const named = firstOption < 0 ? words : words.slice(0, firstOption);
  const options = words.slice(named.length);

  const missing: string[] = [];
  for (const program of ["time", "restic", "borg"]) if (!(await isInPath(program))) missing.push(program);
  if (missing.length > 0)
    console.error(
      `not installed: ${missing.join(", ")} (apt-get install time restic borgbackup); rivals that are missing are left out`,
    );
  if (missing.includes("time")) return 1;

  const kept = process.env.BCOOPFS_BENCH_DIR;
  const folder = kept || (await mkdtemp(join(tmpdir(), "bcoopfs-bench-")));
  try {
    const contests = named.length > 0 ? named : ["small", "big"];
    const made = await python("corpus", [folder, ...contests]);
    if (made !== 0) return made;
    const folders = contests.map((name) => join(folder, name));
    return await python("race", [...folders, "--bcoopfs", join(root, "bin/bcoopfs"), ...options]);
  } finally {
    if (!kept) await rm(folder, { recursive: true, force: true });
  }
}

/** Runs one of test/tools with this process's stdio and gives its exit status. */
async function python(tool: string, words: readonly string[]): Promise<number> {
  const child = spawn("python3", [join(root, "test/tools", tool), ...words], { stdio: "inherit" });
  const [status] = await once(child, "exit");
  return (status as number | null) ?? 1;
}

async function isInPath(program: string): Promise<boolean> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const there = await access(join(folder, program), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (there) return true;
  }
  return false;
}

// Ctrl-C reaches the children too; what they leave is cleared away here.
process.on("SIGINT", () => {});

const [name, ...words] = process.argv.slice(2);
const bench = name === undefined ? undefined : benches[name];
if (bench) process.exitCode = await bench.run(words);
else {
  const list = Object.entries(benches).map(([known, { about }]) => `  ${known} ${about}`);
  const lines = ["usage: npm run bench -- NAME [ARGUMENT…]", ...list].join("\n");
  if (name === undefined) console.log(lines);
  else console.error(`no bench is called ${name}\n${lines}`);
  process.exitCode = name === undefined ? 0 : 2;
}

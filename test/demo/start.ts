/**
 * `npm start`: the main job, end to end, on a temporary home, each step told in one line with what it took. Everything
 * it makes lies in one temporary folder, and nothing of it is left.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const top = fileURLToPath(new URL("../../../", import.meta.url));
const program = join(top, "bin", "bcoopfs");
const work = mkdtempSync(join(tmpdir(), "bcoopfs-demo-"));
const home = join(work, "home");
const mountpoint = join(work, "past");
const source = join(work, "project");

interface Revision {
  readonly id: string;
  readonly host: string;
  readonly fileset: string;
  readonly files: number;
}

function bcoopfs(...words: string[]): string {
  const run = spawnSync(program, words, { env: { ...process.env, BCOOPFS_HOME: home }, encoding: "utf8" });
  if (run.status !== 0) throw new Error(`bcoopfs ${words.join(" ")} ended with ${run.status}: ${run.stderr.trim()}`);
  return run.stdout;
}

let steps = 0;

/** Do one step and say in one line what it showed. */
function step(does: string, work: () => string): void {
  const began = performance.now();
  const showed = work();
  process.stdout.write(
    `${String(++steps).padStart(2)}. ${does}: ${showed} (${((performance.now() - began) / 1000).toFixed(2)} s)\n`,
  );
}

/** Every entry of two trees, bit for bit; throws with the differences. */
function sameTree(a: string, b: string, ...options: string[]): string {
  const run = spawnSync("python3", [join(top, "test", "tools", "same-tree"), a, b, ...options], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`the trees differ:\n${run.stdout}${run.stderr}`);
  return `equal: ${run.stderr.trim()}`;
}

function canMount(): boolean {
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function play(): void {
  const root = process.getuid?.() === 0;
  step("A folder to save: this project's sources, and a link, a fifo and a hole", () => {
    mkdirSync(source);
    for (const name of ["src", "native", "docs", "README.md"])
      cpSync(join(top, name), join(source, name), {
        recursive: true,
        preserveTimestamps: true,
        filter: (from) => !from.includes("/build"),
      });
    execFileSync("sh", ["-c", "ln -s README.md link; ln README.md hard; mkfifo fifo; truncate -s 10M hole"], {
      cwd: source,
    });
    return `${execFileSync("find", [source]).toString().trim().split("\n").length} entries`;
  });
  step("init", () => {
    bcoopfs("init", "--phrase-file", join(work, "phrase"));
    return `a vault in a temporary home, its recovery phrase of ${readFileSync(join(work, "phrase"), "utf8").trim().split(" ").length} words in a file`;
  });
  step("snapshot", () => bcoopfs("snapshot", `${source}/`).trim());
  step("snapshot again, nothing changed", () => bcoopfs("snapshot", `${source}/`).trim());
  const [, newest] = JSON.parse(bcoopfs("revisions", "--json")) as Revision[];
  if (newest === undefined) throw new Error("the second revision is not listed");
  step("ls and cat", () => {
    const listed = bcoopfs("ls", newest.id).trim().split("\n").length;
    const text = bcoopfs("cat", `${newest.fileset}@latest:${source}/README.md`);
    if (text !== readFileSync(join(source, "README.md"), "utf8"))
      throw new Error("cat gave other bytes than the source has");
    return `${listed} entries listed, README.md read back`;
  });
  if (canMount()) playMount(newest);
  else process.stdout.write("    (the mount is left out: /dev/fuse cannot be opened here)\n");
  step("restore", () => {
    bcoopfs("restore", `${newest.id}:${source}`, "--target", join(work, "restored"), "-q");
    return sameTree(source, join(work, "restored"), ...(root ? [] : ["--no-xattr-namespaces", "security.,trusted."]));
  });
  step("check --read-data", () => bcoopfs("check", "--read-data").trim().split("\n").at(-1) ?? "");
}

function playMount(newest: Revision): void {
  const latest = join(mountpoint, "hosts", newest.host, newest.fileset, "latest");
  step("mount", () => {
    mkdirSync(mountpoint);
    bcoopfs("mount", mountpoint);
    return `every revision is a folder below ${mountpoint}`;
  });
  step("cp one file out of the mount", () => {
    const copy = join(work, "format.ts");
    execFileSync("cp", ["-a", join(latest, source, "src", "format", "segment.ts"), copy]);
    if (!readFileSync(copy).equals(readFileSync(join(source, "src", "format", "segment.ts"))))
      throw new Error("the copy differs from the source");
    return `${statSync(copy).size} bytes, equal to the source`;
  });
  step("cp -a the whole folder out of the mount", () => {
    execFileSync("cp", ["-a", join(latest, source), join(work, "copied")]);
    // fuse-native gives times in milliseconds; docs/manual.md lists what else it cannot do.
    return sameTree(source, join(work, "copied"), "--no-mtime", "--no-holes");
  });
  step("umount", () => {
    bcoopfs("umount", mountpoint);
    return "nothing left mounted";
  });
}

let failed = false;
try {
  play();
  process.stdout.write("Everything compared equal.\n");
} catch (error) {
  failed = true;
  process.stderr.write(`npm start failed: ${error instanceof Error ? error.message : String(error)}\n`);
} finally {
  if (existsSync(mountpoint))
    spawnSync(program, ["umount", mountpoint], { env: { ...process.env, BCOOPFS_HOME: home }, stdio: "ignore" });
  rmSync(work, { recursive: true, force: true });
  if (existsSync(work)) process.stderr.write(`could not remove ${work} (${dirname(work)})\n`);
}
process.exitCode = failed ? 1 : 0;

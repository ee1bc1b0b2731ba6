/**
 * `npm start`: the main job, end to end, on temporary homes: save, look, restore, share with two other machines, lose the
 * first one, and bring everything back from the 24 words. Each step is told in one line with what it took; everything lies
 * in one temporary folder, and nothing of it is left.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { canMount, freePort, Machine, sameTree, step, strike, top, work } from "./stage.js";

const source = join(work, "project");
const phrase = join(work, "phrase");
const root = process.getuid?.() === 0;
const likeSource = root ? [] : ["--no-xattr-namespaces", "security.,trusted."];
// fuse-native gives times in milliseconds; docs/manual.md lists what else it cannot do.
const throughMount = ["--no-mtime", "--no-holes"];

interface Revision {
  readonly id: string;
  readonly host: string;
  readonly fileset: string;
  readonly copies: number;
}

const first = new Machine("first");

async function playOneMachine(): Promise<Revision> {
  await step("A folder to save: this project's sources, and a link, a fifo and a hole", () => {
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
  await step("init", () => {
    first.run("init", "--host", "first", "--phrase-file", phrase);
    return `a vault in a temporary home, its recovery phrase of ${readFileSync(phrase, "utf8").trim().split(" ").length} words in a file`;
  });
  await step("snapshot", () => first.run("snapshot", `${source}/`).trim());
  await step("snapshot again, nothing changed", () => first.run("snapshot", `${source}/`).trim());
  const [, newest] = JSON.parse(first.run("revisions", "--json")) as Revision[];
  if (newest === undefined) throw new Error("the second revision is not listed");
  await step("ls and cat", () => {
    const listed = first.run("ls", newest.id).trim().split("\n").length;
    const text = first.run("cat", `${newest.fileset}@latest:${source}/README.md`);
    if (text !== readFileSync(join(source, "README.md"), "utf8"))
      throw new Error("cat gave other bytes than the source has");
    return `${listed} entries listed, README.md read back`;
  });
  await playMount(first, newest, "past");
  await step("restore", () => {
    first.run("restore", `${newest.id}:${source}`, "--target", join(work, "restored"), "-q");
    return sameTree(source, join(work, "restored"), ...likeSource);
  });
  await step("check --read-data", () => first.run("check", "--read-data").trim().split("\n").at(-1) ?? "");
  return newest;
}

async function playMount(machine: Machine, newest: Revision, name: string): Promise<void> {
  if (!canMount()) {
    process.stdout.write("    (the mount is left out: /dev/fuse cannot be opened here)\n");
    return;
  }
  const point = join(work, name);
  const latest = join(point, "hosts", newest.host, newest.fileset, "latest");
  await step("mount", () => {
    mkdirSync(point);
    machine.run("mount", point);
    return `every revision is a folder below ${point}`;
  });
  await step("cp one file out of the mount", () => {
    const copy = join(work, `${name}-segment.ts`);
    execFileSync("cp", ["-a", join(latest, source, "src", "format", "segment.ts"), copy]);
    if (!readFileSync(copy).equals(readFileSync(join(source, "src", "format", "segment.ts"))))
      throw new Error("the copy differs from the source");
    return `${statSync(copy).size} bytes, equal to the source`;
  });
  await step("cp -a the whole folder out of the mount", () => {
    execFileSync("cp", ["-a", join(latest, source), join(work, `${name}-copied`)]);
    return sameTree(source, join(work, `${name}-copied`), ...throughMount);
  });
  await step("umount", () => {
    machine.run("umount", point);
    return "nothing left mounted";
  });
}

/** Two other machines, each with a vault of its own, keep what the first one has. */
async function playCoop(newest: Revision, bootstrap: string): Promise<void> {
  await step("coop create", () => first.run("coop", "create", "--name", "demo", "--bootstrap", bootstrap).trim());
  for (const name of ["second", "third"])
    await step(`a ${name} machine: init, join, daemon`, async () => {
      const machine = new Machine(name);
      const invite = join(work, `invite-${name}`);
      machine.run("init", "--host", name, "--phrase-file", join(work, `phrase-${name}`));
      first.run("coop", "invite", invite);
      machine.run("join", invite);
      return machine.start("daemon");
    });
  await step("sync --wait", () => first.run("sync", "--wait").trim());
  await step("peers", () => {
    const peers = JSON.parse(first.run("peers", "--json")) as unknown[];
    const all = JSON.parse(first.run("revisions", "--json")) as Revision[];
    const { copies } = all.find(({ id }) => id === newest.id) as Revision;
    if (copies !== 2) throw new Error(`the revision has ${copies} copies, not 2`);
    return `${peers.length} peers; the newest revision has ${copies} copies on them, and they can read none of it`;
  });
}

async function playLoss(newest: Revision, bootstrap: string): Promise<void> {
  await step("the first machine is lost", () => {
    rmSync(first.home, { recursive: true });
    return "its home is deleted; what is left are the 24 words and the other two";
  });
  const fourth = new Machine("fourth");
  await step("recover on a fourth machine, from the phrase alone", () => {
    const said = fourth.run("recover", "--phrase-file", phrase, "--bootstrap", bootstrap);
    return said.trim().split("\n").join("; ");
  });
  await step("revisions", () => {
    const all = JSON.parse(fourth.run("revisions", "--json")) as Revision[];
    if (!all.some(({ id }) => id === newest.id)) throw new Error("the newest revision did not come back");
    return `${all.length} are there again`;
  });
  await playMount(fourth, newest, "recovered");
  await step("restore everything", () => {
    fourth.run("restore", `${newest.id}:${source}`, "--target", join(work, "recovered-tree"), "-q");
    return sameTree(source, join(work, "recovered-tree"), ...likeSource);
  });
}

try {
  const newest = await playOneMachine();
  const port = await freePort();
  const bootstrap = `127.0.0.1:${port}`;
  await step("bootstrap nodes for a network of our own", () =>
    new Machine("none").start("bootstrap", "--host", "127.0.0.1", "--port", String(port)),
  );
  await playCoop(newest, bootstrap);
  await playLoss(newest, bootstrap);
  process.stdout.write("Everything compared equal.\n");
} catch (error) {
  process.stderr.write(`npm start failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await strike();
}

/**
 * What the demo plays on: one temporary folder, machines that are homes in it, processes that stay until the end, and one
 * line for each step with what it took. `strike` leaves nothing of it.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const top = fileURLToPath(new URL("../../../", import.meta.url));
export const program = join(top, "bin", "bcoopfs");
export const work = mkdtempSync(join(tmpdir(), "bcoopfs-demo-"));
const readyMs = 20_000;
const endMs = 6_000;

const staying: ChildProcess[] = [];
const mounted = new Set<string>();
let steps = 0;

/** A machine: the home of this name, and what is run on it. */
export class Machine {
  readonly home: string;
  /** of the command that was started last and stays */
  pid: number | undefined;

  constructor(name: string) {
    this.home = join(work, name);
  }

  /** what its commands run in */
  get env(): NodeJS.ProcessEnv {
    const { BCOOPFS_BOOTSTRAP: _, BCOOPFS_PHRASE_FILE: __, ...rest } = process.env;
    return { ...rest, BCOOPFS_HOME: this.home };
  }

  /** Run a command to its end; anything but exit 0 ends the demo. Returns its stdout. */
  run(...words: string[]): string {
    const run = spawnSync(program, words, { env: this.env, encoding: "utf8" });
    if (run.status !== 0) throw new Error(`bcoopfs ${words.join(" ")} ended with ${run.status}: ${run.stderr.trim()}`);
    if (words[0] === "mount") mounted.add(words.at(-1) as string);
    if (words[0] === "umount") mounted.delete(words.at(-1) as string);
    return run.stdout;
  }

  /** Start a command that stays, and wait until it says that it is ready. Returns what it said. */
  async start(...words: string[]): Promise<string> {
    const child = spawn(program, words, { env: this.env, stdio: ["ignore", "pipe", "pipe"] });
    staying.push(child);
    this.pid = child.pid;
    let out = "";
    let err = "";
    child.stderr.on("data", (text: Buffer) => {
      err += text;
    });
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`bcoopfs ${words[0]} is not ready after 20 s: ${err}`)), readyMs);
      child.once("exit", (code) => {
        clearTimeout(late);
        reject(new Error(`bcoopfs ${words[0]} ended with ${code}: ${err.trim()}`));
      });
      child.stdout.on("data", (text: Buffer) => {
        out += text;
        if (!out.includes("\n")) return;
        clearTimeout(late);
        resolve(out.split("\n")[0] as string);
      });
    });
  }

  unmount(point: string): void {
    spawnSync(program, ["umount", point], { env: this.env, stdio: "ignore" });
  }
}

/** Do one step and say in one line what it showed. */
export async function step(does: string, play: () => string | Promise<string>): Promise<void> {
  const began = performance.now();
  const showed = await play();
  const took = ((performance.now() - began) / 1000).toFixed(2);
  process.stdout.write(`${String(++steps).padStart(2)}. ${does}: ${showed} (${took} s)\n`);
}

/** Three free ports in a row are hoped for behind a free one. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port > 60_000 ? port - 3000 : port));
    });
  });
}

/** Every entry of two trees, bit for bit; throws with the differences. */
export function sameTree(a: string, b: string, ...options: string[]): string {
  const run = spawnSync("python3", [join(top, "test", "tools", "same-tree"), a, b, ...options], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`the trees differ:\n${run.stdout}${run.stderr}`);
  return `equal: ${run.stderr.trim()}`;
}

export function canMount(): boolean {
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Unmount, end every process that stayed, remove the folder. */
export async function strike(): Promise<void> {
  for (const point of mounted) new Machine("home").unmount(point);
  await Promise.all(staying.map(ended));
  rmSync(work, { recursive: true, force: true });
  if (existsSync(work)) process.stderr.write(`could not remove ${work}\n`);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.removeAllListeners("exit");
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), endMs);
  await gone;
  clearTimeout(late);
}

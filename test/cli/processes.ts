/** Commands that stay: daemons, bootstrap nodes, and runs that are killed in the middle. Each is ended with its test. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { realSystem } from "../../src/base/system.js";
import { bin } from "./given.js";

export interface Running {
  readonly child: ChildProcess;
  /** the first line on stdout; rejects where the process ends without one */
  readonly ready: Promise<string>;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; out: string; err: string }>;
  kill(signal: NodeJS.Signals): void;
}

/** Start the program with these words and let it run. */
export function begin(
  t: TestContext,
  home: string | undefined,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Running {
  const all: NodeJS.ProcessEnv = { PATH: process.env.PATH, HOME: "/nonexistent", TZ: "UTC", ...env };
  if (home !== undefined) all.BCOOPFS_HOME = home;
  const child = spawn(bin, words, { env: all, cwd: "/", stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  let line = (_text: string): void => {};
  const ready = new Promise<string>((resolve, reject) => {
    line = resolve;
    child.once("error", reject);
    child.once("close", () => reject(new Error(`bcoopfs ${words.join(" ")} ended before it was ready: ${out}${err}`)));
  });
  ready.catch(() => {});
  child.stdout?.on("data", (bytes: Buffer) => {
    out += bytes;
    const end = out.indexOf("\n");
    if (end >= 0) line(out.slice(0, end));
  });
  child.stderr?.on("data", (bytes: Buffer) => {
    err += bytes;
  });
  const ended = new Promise<Awaited<Running["ended"]>>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal, out, err }));
  });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await ended;
  });
  return { child, ready, ended, kill: (signal) => child.kill(signal) };
}

/** Wait until something is so. */
export async function until(what: () => boolean, ms: number, saying: string): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; ) {
    if (what()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (!what()) throw new Error(`not within ${ms} ms: ${saying}`);
}

/** Bytes of all files below a folder. */
export function bytesIn(folder: string): number {
  if (!existsSync(folder)) return 0;
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  return bytes;
}

/** Three nodes on ports that are free, as it seems; another try where they are not. */
export async function bootstrapNodes(t: TestContext): Promise<string[]> {
  for (let tries = 0; ; tries++) {
    const port = 20_000 + (realSystem.random(2).readUInt16LE() % 30_000);
    const nodes = begin(t, undefined, ["bootstrap", "--host", "127.0.0.1", "--port", String(port)]);
    try {
      await nodes.ready;
      return [0, 1, 2].map((i) => `127.0.0.1:${port + i}`);
    } catch (error) {
      if (tries === 4) throw error;
    }
  }
}

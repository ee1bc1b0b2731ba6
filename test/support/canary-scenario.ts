/**
 * Two homes in one network: one saves a folder full of canaries, the other keeps it for the first. Run by
 * `canary.test.ts` under `wire-tap`:   canary-scenario.js FOLDER PROGRAM
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [, , folder, program] = process.argv as unknown as [string, string, string, string];
const env = { PATH: process.env["PATH"], HOME: "/nonexistent", TZ: "UTC" };
const port = 40_000;

function bcoopfs(home: string, ...words: string[]): string {
  const all = { ...env, BCOOPFS_HOME: join(folder, home) };
  return execFileSync(program, words, { env: all, encoding: "utf8", timeout: 60_000 });
}

/** Start a long-running command and wait for its line. */
async function started(home: string, ...words: string[]): Promise<ChildProcess> {
  const all = { ...env, BCOOPFS_HOME: join(folder, home) };
  const child = spawn(program, words, { env: all, stdio: ["ignore", "pipe", "inherit"] });
  await new Promise<void>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`${words[0]} ended with ${code}`)));
    child.stdout.on("data", (text: Buffer) => text.includes("ready") && resolve());
  });
  return child;
}

async function ended(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

const names = JSON.parse(readFileSync(join(folder, "names.json"), "utf8")) as { host: string; fileset: string };
const children: ChildProcess[] = [];
try {
  // What the tap would see if something went over the wire in clear.
  const shown = createSocket("udp4");
  const control = readFileSync(join(folder, "control"));
  await new Promise((resolve) => shown.send(control, 9, "127.0.0.1", resolve));
  shown.close();

  children.push(await started("none", "bootstrap", "--host", "127.0.0.1", "--port", String(port)));
  bcoopfs("a", "init", "--host", names.host, "--phrase-file", join(folder, "phrase"));
  bcoopfs("b", "init", "--host", "keeper", "--phrase-file", join(folder, "phrase-b"));
  bcoopfs("a", "fileset", "add", names.fileset, "--root", join(folder, "source"));
  bcoopfs("a", "coop", "create", "--bootstrap", `127.0.0.1:${port}`);
  bcoopfs("a", "coop", "invite", join(folder, "invite"));
  bcoopfs("b", "join", join(folder, "invite"));
  bcoopfs("a", "snapshot");
  children.push(await started("b", "daemon"));
  process.stdout.write(bcoopfs("a", "sync"));
} finally {
  for (const child of children.reverse()) await ended(child);
}

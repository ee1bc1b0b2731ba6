/**
 * Machines together on loopback, each a process of its own: a folder of noise is saved, given to a peer, lost, recovered and
 * read back. A line for each step: seconds, MB/s of the folder, CPU seconds of the command and of the peer's daemon.
 */
import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, Machine, program, sameTree, strike, work } from "../demo/stage.js";

const fileBytes = 8 << 20;
const ticksPerSecond = 100;

/** @param words how many MB are saved; 512 where nothing is said */
export async function swarm(words: readonly string[]): Promise<number> {
  const megabytes = Number(words[0] ?? 512);
  if (!Number.isInteger(megabytes) || megabytes < 9) {
    console.error("how many MB? a whole number from 9");
    return 2;
  }
  const source = join(work, "noise");
  const files = Math.floor((megabytes * 1e6) / fileBytes);
  mkdirSync(source);
  for (let i = 0; i < files; i++) writeFileSync(join(source, `${i}`), randomFillSync(Buffer.allocUnsafe(fileBytes)));
  try {
    await play(source, files * fileBytes);
    return 0;
  } finally {
    await strike();
  }
}

async function play(source: string, bytes: number): Promise<void> {
  const port = await freePort();
  const bootstrap = `127.0.0.1:${port}`;
  const phrase = join(work, "phrase");
  const [first, peer, second] = [new Machine("first"), new Machine("peer"), new Machine("second")];
  await new Machine("none").start("bootstrap", "--host", "127.0.0.1", "--port", String(port));
  first.run("init", "--host", "first", "--phrase-file", phrase);
  peer.run("init", "--host", "peer", "--phrase-file", join(work, "phrase-of-peer"));
  first.run("coop", "create", "--bootstrap", bootstrap);
  first.run("coop", "invite", join(work, "invite"));
  peer.run("join", join(work, "invite"));
  await peer.start("daemon");

  const row = (machine: Machine, ...command: string[]): void => told(machine, peer, bytes, command);
  row(first, "snapshot", `${source}/`);
  row(first, "sync");
  const [revision] = JSON.parse(first.run("revisions", "--json")) as { id: string }[];
  rmSync(first.home, { recursive: true });
  row(second, "recover", "--phrase-file", phrase, "--bootstrap", bootstrap);
  row(second, "cat", `${revision?.id}:${source}/0`);
  row(second, "restore", `${revision?.id}:${source}`, "--target", join(work, "restored"), "-q");
  sameTree(source, join(work, "restored"), "--no-xattr-namespaces", "security.,trusted.");
  row(second, "sync");
}

/** Run one command, and print what it took. */
function told(machine: Machine, peer: Machine, bytes: number, words: readonly string[]): void {
  const times = join(work, "times");
  const before = cpuOf(peer);
  const run = spawnSync("time", ["-f", "%e %U %S", "-o", times, program, ...words], {
    env: machine.env,
    encoding: "buffer",
    maxBuffer: 64 << 20,
  });
  if (run.status !== 0) throw new Error(`bcoopfs ${words.join(" ")} ended with ${run.status}: ${run.stderr}`);
  const [seconds, user, system] = readFileSync(times, "utf8").trim().split(" ").map(Number) as [number, number, number];
  const rate = words[0] === "recover" || words[0] === "cat" ? "" : `, ${(bytes / 1e6 / seconds).toFixed(0)} MB/s`;
  const cpu = `${(user + system).toFixed(1)} CPU s, the peer ${(cpuOf(peer) - before).toFixed(1)}`;
  console.log(`${(words[0] as string).padEnd(9)}${seconds.toFixed(2)} s${rate}; ${cpu}`);
}

/** CPU seconds, user and system, of a machine's process that stays. */
function cpuOf({ pid }: Machine): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

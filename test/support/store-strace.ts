/** Faults at exact system calls, by strace: which calls on a home there are, and runs in which one of them fails. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Ended, KilledHome } from "./store-kill.js";

/** Why nothing can be injected here; undefined where it can. */
export function straceMissing(): string | undefined {
  const tried = spawnSync("strace", ["-f", "-qq", "-e", "trace=fsync", "-o", "/dev/null", "true"]);
  return tried.status === 0 ? undefined : "strace is not here or may not trace";
}

/** A call as strace tells it. */
export interface Call {
  readonly name: string;
  readonly thread: string;
  readonly args: string;
  /** the number that it gave */
  readonly result: string | undefined;
  readonly line: string;
}

/** All calls of these names in one run with a single snapshot, in order of their beginnings. */
export async function callsOf(home: KilledHome, where: string, names: readonly string[]): Promise<Call[]> {
  const log = join(where, "calls");
  const ended = await home.run({ count: 1, under: tracing(log, names, []) });
  if (ended.code !== 0) throw new Error(`a run under strace failed: ${ended.err}`);
  return readFileSync(log, "latin1")
    .split("\n")
    .flatMap((line) => {
      const [, thread, name, args] = /^(\d+) +([a-z0-9_]+)\((.*)$/.exec(line) ?? [];
      if (thread === undefined || name === undefined || args === undefined) return [];
      return [{ thread, name, args, result: /= (\d+)/.exec(line)?.[1], line }];
    });
}

/** One call: its name, the how-many-th of its thread, and what it was about. */
export interface Point {
  readonly call: string;
  readonly when: number;
  readonly about: string;
}

/** All calls of these names that a run makes on files of the home. */
export async function pointsOf(home: KilledHome, where: string, calls: readonly string[]): Promise<Point[]> {
  const seen = new Map<string, number>();
  const points = new Map<string, Point>();
  for (const { thread, name: call, args: rest } of await callsOf(home, where, calls)) {
    const when = (seen.get(`${thread} ${call}`) ?? 0) + 1;
    seen.set(`${thread} ${call}`, when);
    const at = rest.indexOf(`${home.path}/`);
    if (at < 0) continue;
    const about = /^[^">]*/.exec(rest.slice(at + home.path.length + 1))?.[0] ?? "";
    points.set(`${call} ${when}`, { call, when, about });
  }
  return [...points.values()];
}

/**
 * Run once with something done to this call: "error=EIO" or "signal=KILL". A run may differ from the one in which the
 * calls were counted, so it tells which file of the home the call was about this time; undefined where it was none.
 */
export async function runWith(
  home: KilledHome,
  log: string,
  point: Point,
  what: string,
): Promise<{ ended: Ended; about: string | undefined }> {
  const inject = ["-e", `inject=${point.call}:${what}:when=${point.when}`];
  const ended = await home.run({ count: 1, under: tracing(log, [point.call], inject) });
  const lines = readFileSync(log, "latin1").split("\n");
  const hit = lines.find((line) => line.endsWith("(INJECTED)"));
  const about = hit?.split(`${home.path}/`)[1]?.replace(/[">].*/, "");
  return { ended, about };
}

function tracing(log: string, calls: readonly string[], more: readonly string[]): string[] {
  // With a filter in the kernel a signal is not injected.
  const quick = more.some((word) => word.includes("signal=")) ? [] : ["--seccomp-bpf"];
  return ["strace", "-f", ...quick, "-qq", "-y", "-s", "24", "-o", log, "-e", `trace=${calls.join()}`, ...more];
}

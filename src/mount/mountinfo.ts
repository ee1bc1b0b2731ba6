/**
 * The system's list of mounts, and which of them are ours. Each names the process that serves it by number and time of
 * birth, so a dead one is known without touching it: a call into a mount whose server hangs would hang too.
 * @module
 */
import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { native } from "../base/native.js";

export const fsType = "fuse.bcoopfs";

export interface MountLine {
  readonly point: string;
  readonly type: string;
  readonly source: string;
}

/** All mounts that this process sees, later ones above earlier ones. */
export function mounts(): MountLine[] {
  const found: MountLine[] = [];
  for (const line of readFileSync("/proc/self/mountinfo", "latin1").split("\n")) {
    // 36 35 98:0 /root /point options optional… - type source options
    const [before, after] = line.split(" - ");
    const point = before?.split(" ")[4];
    const [type, source] = after?.split(" ") ?? [];
    if (point !== undefined && type !== undefined)
      found.push({ point: plain(point), type, source: plain(source ?? "") });
  }
  return found;
}

/** Space, tab, newline and backslash stand there as octal numbers. */
function plain(field: string): string {
  const bytes = field.replace(/\\([0-7]{3})/g, (_all, digits) => String.fromCharCode(Number.parseInt(digits, 8)));
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/** The topmost mount at a real path. */
export function mountAt(point: string): MountLine | undefined {
  return mounts().findLast((line) => line.point === point);
}

/** A process, told from any later one of the same number. */
export interface Server {
  readonly pid: number;
  /** clock ticks since the machine's start, as /proc/PID/stat has it */
  readonly born: string;
}

/** The source under which a mount of this process stands in the list. */
export function sourceOf(server: Server): string {
  return `bcoopfs:${server.pid}:${server.born}`;
}

/** Which process serves a mount; undefined where it is none of ours. */
export function serverOf(line: MountLine): Server | undefined {
  const parts = /^bcoopfs:(\d{1,10}):(\d{1,20})$/.exec(line.source);
  if (line.type !== fsType || parts === null) return undefined;
  return { pid: Number(parts[1]), born: parts[2] as string };
}

export function thisProcess(): Server {
  return { pid: process.pid, born: statusOf(process.pid)?.born ?? "0" };
}

/** Does it still run? One that has ended and only waits to be asked for its exit status does not. */
export function runs(server: Server): boolean {
  const status = statusOf(server.pid);
  return status !== undefined && status.born === server.born && !/[ZX]/.test(status.state);
}

function statusOf(pid: number): { state: string; born: string } | undefined {
  try {
    // PID (name, which may hold anything) state parent …
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] as string, born: fields[19] as string };
  } catch {
    return undefined;
  }
}

/** Is it a mount of ours whose server is gone? In a container the server may be out of sight: so the mount is asked too. */
export function isDead(line: MountLine): boolean {
  const server = serverOf(line);
  if (server === undefined || runs(server)) return false;
  try {
    native().statFs(Buffer.from(line.point));
    return false;
  } catch (error) {
    return errnoOf(error) === "ENOTCONN";
  }
}

const helpers = ["fusermount3", "fusermount"];

/** Take a mount out of the tree at once; whoever has a file in it open may go on reading. */
export async function detach(point: string): Promise<void> {
  if (detachAsRoot(point)) return;
  let failure: unknown;
  for (const helper of helpers) {
    failure = await new Promise((resolve) => execFile(helper, ["-u", "-z", "--", point], (error) => resolve(error)));
    if (failure === null) return;
  }
  throw notDetached(point, failure);
}

/** The same before anything else happens, for a process that is about to end. */
export function detachNow(point: string): void {
  if (detachAsRoot(point)) return;
  for (const helper of helpers)
    if (spawnSync(helper, ["-u", "-z", "--", point], { timeout: 3000 }).status === 0) return;
}

function detachAsRoot(point: string): boolean {
  if (process.getuid?.() !== 0) return false;
  try {
    native().detachMount(Buffer.from(point));
    return true;
  } catch (error) {
    // Root of a container may not be root enough.
    if (errnoOf(error) === "EPERM") return false;
    throw systemProblem(`cannot unmount ${point}`, error);
  }
}

function notDetached(point: string, failure: unknown): Problem {
  const said = failure instanceof Error ? failure.message.trim().split("\n").at(-1) : undefined;
  return new Problem("io", `cannot unmount ${point}: ${said ?? "fusermount failed"}`, { cause: failure });
}

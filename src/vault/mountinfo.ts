/**
 * The system's list of mounts, and which of them are ours. Each names the process that serves it by number and time of
 * birth, so a dead one is known without touching it: a call into a mount whose server hangs would hang too.
 * @module
 */
import { readFileSync } from "node:fs";
import { errnoOf } from "../base/errors.js";
import { native } from "../base/native.js";

export const fsType = "fuse.bcoopfs";

export interface MountLine {
  readonly point: string;
  /** the same as it is, latin1 of the raw bytes */
  readonly rawPoint: string;
  /** "major:minor" */
  readonly device: string;
  readonly type: string;
  readonly source: string;
  /** who mounted it, as the kernel noted it; FUSE alone tells */
  readonly user: number | undefined;
}

/** All mounts that this process sees, later ones above earlier ones. */
export function mounts(): MountLine[] {
  return mountsIn(mountinfo());
}

/** The system's own words, as latin1. */
export function mountinfo(): string {
  return readFileSync("/proc/self/mountinfo", "latin1");
}

/** The mounts that a text of proc(5)'s mountinfo (latin1) lists. */
export function mountsIn(text: string): MountLine[] {
  const found: MountLine[] = [];
  for (const line of text.split("\n")) {
    // 36 35 98:0 /root /point options optional… - type source options
    const [before, after] = line.split(" - ");
    const [, , device, , point] = before?.split(" ") ?? [];
    const [type, source, options] = after?.split(" ") ?? [];
    if (!device || !point || !type) continue;
    const user = /(?:^|,)user_id=(\d{1,10})(?:,|$)/.exec(options ?? "")?.[1];
    const rawPoint = raw(point);
    found.push({
      point: plain(rawPoint),
      rawPoint,
      device,
      type,
      source: plain(raw(source ?? "")),
      user: user === undefined ? undefined : Number(user),
    });
  }
  return found;
}

/** Space, tab, newline and backslash stand there as octal numbers. */
function raw(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_all, digits) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function plain(field: string): string {
  return Buffer.from(field, "latin1").toString("utf8");
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

/**
 * Is it ours and made by root or by `user`? Type and source are what anybody may write into his own mount, who made it
 * is what the kernel says: so nobody can pass a folder off as a mount of ours to hide it from another user's snapshot.
 */
export function isTrusted(line: MountLine, user: number): boolean {
  return serverOf(line) !== undefined && (line.user === 0 || line.user === user);
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

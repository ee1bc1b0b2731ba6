/** Real mounts for tests, always served by another process. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { realSystem } from "../../src/base/system.js";
import { detachNow } from "../../src/mount/detach.js";
import { mountAt, runs, serverOf } from "../../src/vault/mountinfo.js";
import type { Place } from "./revision.js";

export const program = fileURLToPath(new URL("./mount-server.js", import.meta.url));

/** Why tests that mount cannot run here; false where they can. */
export function cannotMount(): string | false {
  try {
    closeSync(openSync("/dev/fuse", "r+"));
  } catch (error) {
    return `/dev/fuse cannot be opened: ${(error as Error).message}`;
  }
  if (process.getuid?.() === 0 || ["fusermount3", "fusermount"].some((name) => spawnSync(name, ["-V"]).status === 0))
    return false;
  return "neither root nor fusermount";
}

/** A server in the foreground: a child of this process, so that it can be killed by its own number. */
export interface Serving {
  readonly child: ChildProcess;
  readonly point: string;
  /** exit status or signal */
  readonly ended: Promise<number | string>;
}

export async function serveIn(place: Place, point: string, ...options: string[]): Promise<Serving> {
  const child = spawn(process.execPath, [program, place.home, point, "--foreground", ...options], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | string>((resolve) => {
    child.once("exit", (status, signal) => resolve(signal ?? status ?? -1));
  });
  await new Promise<void>((resolve, reject) => {
    let said = "";
    child.stderr?.on("data", (bytes) => {
      said += bytes;
    });
    child.stdout?.once("data", () => resolve());
    child.once("exit", () => reject(new Error(`no mount: ${said}`)));
  });
  return { child, point, ended };
}

/** End a server, whatever state it is in. */
export async function endServing(serving: Serving): Promise<void> {
  if (serving.child.exitCode === null && serving.child.signalCode === null) serving.child.kill("SIGTERM");
  const late = realSystem.sleep(8000).then(() => serving.child.kill("SIGKILL"));
  await Promise.race([serving.ended, late]);
  if (mountAt(serving.point)) detachNow(serving.point);
}

/** Wait until something is so. */
export async function until(what: () => boolean, ms = 6000): Promise<boolean> {
  for (const end = performance.now() + ms; performance.now() < end; ) {
    if (what()) return true;
    await realSystem.sleep(20);
  }
  return what();
}

/** The process that serves a mountpoint. */
export function serverAt(point: string): { pid: number; born: string } {
  const line = mountAt(point);
  const server = line && serverOf(line);
  if (server === undefined) throw new Error(`nothing of ours is mounted on ${point}`);
  return server;
}

export { runs };

export function revisionFolder(point: string, fileset: string): string {
  return join(point, "hosts/box", fileset, "latest");
}

export function mountLog(place: Place): string {
  const path = join(place.home, "log/mount.log");
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

/** Nothing is left: no mount, an empty folder, no process. */
export function isClear(point: string): boolean {
  return mountAt(point) === undefined && readdirSync(point).length === 0;
}

/**
 * Taking a mount away without touching it: by the system where we are root, else by the helper that came with FUSE.
 * @module
 */
import { execFile, spawnSync } from "node:child_process";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { native } from "../base/native.js";

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

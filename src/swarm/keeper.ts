/**
 * Who of all processes in a home takes and keeps what others send: one at a time, as long as it holds this lock.
 * @module
 */
import { join } from "node:path";
import type { Home } from "../store/home.js";
import { type Lock, lockFile } from "../store/lock.js";

/** The lock, or undefined while another process (daemon, sync, recover) has it. It goes with the process. */
export function lockKeeper(home: Home): Lock | undefined {
  return lockFile(join(home.path, "swarm.lock"), false);
}

/**
 * A word to the service manager that waits for it.
 * @module
 */
import { spawn } from "node:child_process";

/**
 * Ready, as sd_notify(3) says it. Node has no datagrams of the Unix domain, so systemd's own program sends it, from a
 * process of its own (hence NotifyAccess=all in a unit whose user is not root). Nobody waits for it, and nothing depends
 * on it.
 */
export function notifyReady(env: NodeJS.ProcessEnv): void {
  if (!env.NOTIFY_SOCKET) return;
  const child = spawn("systemd-notify", ["--ready"], { env, stdio: "ignore" });
  child.on("error", () => {}); // no systemd here
  child.unref();
}

/**
 * The process that serves a mount. `mount --foreground` is one; `mount` alone starts one of its own session, without
 * any descriptor of the caller, and returns when it answers. Between the two runs a private channel that says "ready",
 * or why not, and is closed then.
 * @module
 */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { type ProblemCode, Problem } from "../base/errors.js";
import type { Vault } from "../vault/vault.js";
import { messageOf, openLog } from "../vault/text-log.js";
import { type ServeOptions, serve } from "./mount.js";

const channelMark = "BCOOPFS_MOUNT_CHANNEL";
const endings = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

type Word = { readonly ready: true } | { readonly code: ProblemCode | undefined; readonly message: string };

/**
 * Serve a vault until it is unmounted or a signal comes, then close it: the body of `mount --foreground`.
 * @param point what `checkMountpoint` gave
 * @param leave called when nothing reads any more, before the vault is closed
 * @param ready called once the file system answers
 */
export async function serveUntilEnd(
  vault: Vault,
  point: string,
  options: ServeOptions,
  leave: () => Promise<void>,
  ready: () => void,
): Promise<void> {
  let stop = (): void => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  for (const signal of endings) process.on(signal, stop);
  // Whoever started us has gone before we were ready: nobody waits for this mount.
  process.once("disconnect", stop);
  try {
    const mounted = await serve(vault, point, options, openLog(vault.home, "mount", vault.system));
    void stopped.then(() => mounted.close());
    process.off("disconnect", stop);
    tellStarter({ ready: true });
    ready();
    await mounted.unmounted;
  } finally {
    for (const signal of endings) process.off(signal, stop);
    await leave();
    await vault.close();
  }
}

/** Run the work of a foreground mount, and let whoever started this process know why it failed. Rethrows. */
export async function asServer(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    tellStarter({ code: error instanceof Problem ? error.code : undefined, message: messageOf(error) });
    throw error;
  }
}

function tellStarter(word: Word): void {
  if (process.env[channelMark] === undefined || !process.connected) return;
  process.send?.(word, () => process.connected && process.disconnect());
}

/**
 * Start this program again as a server of its own, and return when its file system answers. Throws the Problem that it
 * failed with.
 * @param words its command line, `--foreground` among them, with absolute paths: it runs in /
 * @param log a file for what it may print, appended to where it can be; without one that is thrown away
 */
export async function spawnServer(words: readonly string[], log: string | undefined): Promise<void> {
  const program = process.argv[1] as string;
  const output = openOrNone(log);
  const child = spawn(process.execPath, [...process.execArgv, program, ...words], {
    cwd: "/",
    detached: true,
    env: { ...process.env, [channelMark]: "1" },
    stdio: ["ignore", output ?? "ignore", output ?? "ignore", "ipc"],
  });
  if (output !== undefined) closeSync(output);
  try {
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("message", (word: Word) => {
        if ("ready" in word) resolve();
        else reject(word.code ? new Problem(word.code, word.message) : new Error(word.message));
      });
      child.once("exit", (status, signal) => {
        const see = output === undefined ? "" : `; see ${log}`;
        reject(new Problem("io", `the mount's process ended (${signal ?? status}) before it answered${see}`));
      });
    });
  } finally {
    child.removeAllListeners();
    if (child.connected) child.disconnect();
    child.unref();
  }
}

/** A log that cannot be opened is no reason not to mount; where there is no home, the server says so. */
function openOrNone(log: string | undefined): number | undefined {
  try {
    return log === undefined ? undefined : openSync(log, "a", 0o600);
  } catch {
    return undefined;
  }
}

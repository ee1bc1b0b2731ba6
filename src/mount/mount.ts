/**
 * Mounting and unmounting, and the promise that nothing stays behind: whoever ends the server, and in whatever way, the
 * mountpoint is an empty folder again, at the latest when the next one starts.
 *
 *   checkMountpoint → serve → (unmount elsewhere | umount(8) | close) → unmounted
 *
 * A server never touches its own mount: it would wait for itself.
 * @module
 */
import { lstatSync, readdirSync, realpathSync, type Stats } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { clearInterval, setInterval } from "node:timers";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import type { System } from "../base/system.js";
import { isDead, isTrusted, mountAt, mounts, runs, serverOf, sourceOf, thisProcess } from "../vault/mountinfo.js";
import type { Vault } from "../vault/vault.js";
import type { FuseBackend, FuseSession, SayLine } from "./backend.js";
import { detach, detachNow } from "./detach.js";
import { fuseNative } from "./fuse-native.js";
import { messageOf } from "../vault/text-log.js";
import { MountTree } from "./tree.js";

/** how often a server looks whether its mount is still there */
const watchMs = 250;
/** how long readers of a mount that is taken away may go on */
const graceMs = 2000;
const unmountMs = 5000;

export interface ServeOptions {
  /** let other users in, each with what owner and mode allow; otherwise only the user who mounts */
  readonly allowOther?: boolean;
  readonly backend?: FuseBackend;
  /** a call without answer by then gets EIO; 30 s */
  readonly timeoutMs?: number;
}

/** A mount that is being served by this process. */
export interface Mounted {
  /** resolves when it has been unmounted, by whomever, and nothing uses the vault any more */
  readonly unmounted: Promise<void>;
  /** Unmount. Readers may finish what they read for two seconds. Resolves with `unmounted`. */
  close(): Promise<void>;
}

/**
 * The real path of a folder on which may be mounted: there, empty, no mount, neither in nor around the home, no root and
 * holding none (inside a root it may be). A dead mount of ours there is cleared first.
 * @param roots of all filesets, as absolute paths
 */
export async function checkMountpoint(path: string, home: string, roots: readonly string[]): Promise<string> {
  const point = await realFolder(path);
  const line = mountAt(point);
  if (line)
    throw new Problem(
      "refused",
      `${path} is a mount already${serverOf(line) ? '; "bcoopfs umount" ends it' : "; choose an empty folder"}`,
    );
  try {
    if (readdirSync(point).length > 0)
      throw new Problem("refused", `${path} is not empty; choose an empty folder to mount on`);
  } catch (error) {
    throw systemProblem(`cannot read ${path}`, error);
  }
  const realHome = realOrPlain(home);
  if (holds(realHome, point) || holds(point, realHome))
    throw new Problem("refused", `${path} lies in or around the home ${home}; choose another folder to mount on`);
  const root = roots.find((each) => holds(point, realOrPlain(each)));
  if (root !== undefined)
    throw new Problem("refused", `${path} is or holds ${root}, which is saved; choose another folder to mount on`);
  return point;
}

/** The real path of a folder, after a dead mount of ours there is gone. */
async function realFolder(path: string): Promise<string> {
  for (let links = 0; ; links++) {
    const plain = resolve(path);
    const point = links > 0 ? real(path) : join(real(dirname(plain)), basename(plain));
    // Only now may it be looked at: a dead mount answers nothing.
    const line = mountAt(point);
    if (line && isDead(line)) await detach(point);
    const stat = statOf(path, point);
    if (stat.isDirectory()) return point;
    if (!stat.isSymbolicLink()) throw new Problem("refused", `${path} is not a folder; choose an empty folder`);
  }
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw noFolder(path, error);
  }
}

function statOf(path: string, point: string): Stats {
  try {
    return lstatSync(point);
  } catch (error) {
    throw noFolder(path, error);
  }
}

function noFolder(path: string, error: unknown): Problem {
  if (errnoOf(error) !== "ENOENT") return systemProblem(`cannot look at ${path}`, error);
  return new Problem("not-found", `there is no folder ${path}; make it first`);
}

function realOrPlain(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

function holds(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}

/** Detach mounts of ours, anywhere, whose server was killed. Returns where they were. */
export async function clearDeadMounts(): Promise<string[]> {
  const cleared: string[] = [];
  const user = process.geteuid?.() ?? 0;
  // Another user's is not even asked: it may never answer.
  for (const line of mounts())
    if (isTrusted(line, user) && isDead(line))
      try {
        await detach(line.point);
        cleared.push(line.point);
      } catch {
        // It stays for umount(8).
      }
  return cleared;
}

/**
 * Mount a vault and answer the kernel from this process. Resolves when the file system answers; the vault stays the
 * caller's to close, after `unmounted`.
 * @param point what `checkMountpoint` gave
 */
export async function serve(vault: Vault, point: string, options: ServeOptions, say: SayLine): Promise<Mounted> {
  for (const dead of await clearDeadMounts()) say(`cleared a dead mount on ${dead}`);
  const source = sourceOf(thisProcess());
  const session = await (options.backend ?? fuseNative).mount(new MountTree(vault.store, say), {
    mountpoint: point,
    source,
    allowOther: options.allowOther ?? false,
    timeoutMs: options.timeoutMs ?? 30_000,
    say,
  });
  return watch(session, point, source, say);
}

function watch(session: FuseSession, point: string, source: string, say: SayLine): Mounted {
  const mounted = (): boolean => mountAt(point)?.source === source;
  const atExit = (): void => {
    if (mounted()) detachNow(point);
  };
  process.on("exit", atExit);
  let goneAt: number | undefined;
  let looks = 0;
  const unmounted = new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      // The list of mounts can be long, and taking a mount away by force is rare.
      if (goneAt === undefined && ++looks % 4 === 0 && !mounted()) goneAt = performance.now();
      const over = goneAt !== undefined && performance.now() - goneAt > graceMs;
      if (session.alive() && !over) return;
      clearInterval(timer);
      process.off("exit", atExit);
      if (over) say("ended while files were still open");
      session.stop().then(resolve, resolve);
    }, watchMs);
  });
  return {
    unmounted,
    close: async () => {
      goneAt ??= performance.now();
      if (mounted()) await detach(point).catch((error) => say(messageOf(error)));
      await unmounted;
    },
  };
}

/**
 * Take away a mount of ours that another process serves, and wait until that process has ended, five seconds at most.
 * Problem("not-found") where nothing is mounted, "refused" where something else is.
 */
export async function unmount(path: string, system: System): Promise<void> {
  const line = mountBelow(path);
  if (line === undefined) throw new Problem("not-found", `nothing is mounted on ${path}`);
  const server = serverOf(line);
  if (server === undefined)
    throw new Problem("refused", `${path} is a mount of ${line.type}, not of bcoopfs; umount(8) ends it`);
  await detach(line.point);
  for (let waited = 0; runs(server); waited += 50) {
    if (waited >= unmountMs)
      throw new Problem("busy", `${path} is unmounted, but process ${server.pid} that served it has not ended yet`);
    await system.sleep(50);
  }
}

/** The mount that somebody means by a path, found without touching it. */
function mountBelow(path: string): MountLineOrNone {
  const plain = resolve(path);
  const above = realOrPlain(dirname(plain));
  return mountAt(join(above, basename(plain))) ?? mountAt(plain) ?? mountAt(realOrPlain(plain));
}
type MountLineOrNone = ReturnType<typeof mountAt>;

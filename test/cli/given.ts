/**
 * Drives the real program, as a shell or cron would: words in, exit status, stdout and stderr out.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

export const bin = fileURLToPath(new URL("../../../bin/bcoopfs", import.meta.url));
export const isRoot = process.getuid?.() === 0;
export const full = process.env.BCOOPFS_FULL === "1";
export const nobody = 65_534;

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
  /** lines of stderr */
  readonly said: readonly string[];
}

export interface RunOptions {
  readonly cwd?: string;
  /** added to an environment that names no home but the test's */
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly input?: string;
  /** told of each piece of stderr as it comes */
  readonly onErr?: (text: string) => void;
  /** given the process, to send it signals */
  readonly began?: (kill: (signal: NodeJS.Signals) => void) => void;
}

/** Run the program with these words. A run that takes longer than two minutes is a hang, and fails. */
export function run(home: string | undefined, words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const env: NodeJS.ProcessEnv = { PATH: process.env["PATH"], HOME: "/nonexistent", TZ: "UTC", ...options.env };
  if (home !== undefined) env["BCOOPFS_HOME"] = home;
  return new Promise((resolve, reject) => {
    const identity = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid };
    const child = spawn(bin, words, { env, cwd: options.cwd ?? "/", stdio: "pipe", timeout: 120_000, ...identity });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (bytes: Buffer) => out.push(bytes));
    child.stderr.on("data", (bytes: Buffer) => {
      err.push(bytes);
      options.onErr?.(bytes.toString());
    });
    child.on("error", reject);
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
    options.began?.((signal) => child.kill(signal));
    child.on("close", (code, signal) => {
      const errText = Buffer.concat(err).toString();
      const said = errText === "" ? [] : errText.replace(/\n$/, "").split("\n");
      resolve({ code, signal, out: Buffer.concat(out).toString(), err: errText, said });
    });
  });
}

export interface Place {
  readonly top: string;
  readonly home: string;
  /** run with this home */
  run(...words: string[]): Promise<Ran>;
  /** the same; anything but exit 0 fails the test */
  ok(...words: string[]): Promise<Ran>;
  /** the same, and its one JSON document */
  json(...words: string[]): Promise<unknown>;
  /** put files below `top`: name → text; a name that ends in a slash is a folder */
  put(tree: Readonly<Record<string, string>>): void;
}

/** A temporary folder with a vault in it, which has nothing saved yet. @param vault false: no vault either */
export async function place(t: TestContext, vault = true): Promise<Place> {
  const top = realpathSync(mkdtempSync(join(tmpdir(), "bcoopfs-cli-")));
  chmodSync(top, 0o755);
  t.after(() => rmSync(top, { recursive: true, force: true }));
  const home = join(top, "home");
  const ok = async (...words: string[]): Promise<Ran> => {
    const ran = await run(home, words, { cwd: top });
    assert.equal(ran.code, 0, `bcoopfs ${words.join(" ")}: exit ${ran.code}: ${ran.err}`);
    return ran;
  };
  if (vault) await ok("init", "--host", "here", "--phrase-file", join(top, "phrase"));
  return {
    top,
    home,
    run: (...words) => run(home, words, { cwd: top }),
    ok,
    json: async (...words) => JSON.parse((await ok(...words, "--json")).out),
    put: (tree) => {
      for (const [name, text] of Object.entries(tree)) {
        const path = join(top, name);
        mkdirSync(name.endsWith("/") ? path : dirname(path), { recursive: true });
        if (!name.endsWith("/")) writeFileSync(path, text);
      }
    },
  };
}

/** It ended with this exit status and said one line on stderr that matches; nothing on stdout. */
export function refused(ran: Ran, code: number, says: RegExp): void {
  assert.equal(ran.code, code, ran.err);
  assert.equal(ran.out, "");
  assert.equal(ran.said.length, 1, ran.err);
  assert.match(ran.said[0] ?? "", /^bcoopfs: /);
  assert.match(ran.said[0] ?? "", says);
}

/** Give a folder and all in it to an ordinary user. */
export function giveAway(folder: string): void {
  execFileSync("chown", ["-R", `${nobody}:${nobody}`, folder]);
}

/** The names and kinds of an object's fields: a date, an id, a size are told apart from other texts and numbers. */
export function shapeOf(value: unknown): unknown {
  if (value === null) return "null";
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value === "object")
    return Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, shapeOf(item)]));
  if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0 ? "count" : "number";
  if (typeof value !== "string") return typeof value;
  if (/^[0-9a-f]{64}$/.test(value)) return "id";
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(value) ? "time" : "text";
}

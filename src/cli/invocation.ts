/**
 * What every command is handed, and how it comes to an open vault.
 * @module
 */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import type { PeerAccess } from "../host/peers.js";
import type { Vault } from "../vault/vault.js";
import type { Output } from "./output.js";
import { reachOf } from "./reach.js";

export interface Invocation {
  readonly output: Output;
  readonly system: System;
  /** aborted by SIGINT and SIGTERM */
  readonly stop: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
  /** set by the command; 0 unless it says otherwise */
  exit: number;
}

/** Options that stand on many commands. */
export interface CommonOptions {
  readonly home?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Add `--home`, and `--json` and `--quiet` where they mean something. */
export function withCommon(command: Command, which: { json?: boolean; quiet?: boolean } = {}): Command {
  command.option("--home <dir>", "where this machine's state lies");
  if (which.json) command.option("--json", "print facts as JSON");
  if (which.quiet) command.option("-q, --quiet", "say nothing but errors");
  return command;
}

/** The home that this command works on. */
export function homeOf(command: Command, env: NodeJS.ProcessEnv): string {
  const named = (command.opts() as CommonOptions).home ?? (rootOf(command).opts() as CommonOptions).home;
  if (named === "") throw new Problem("usage", "--home is empty; name a folder (is a variable not set?)");
  const given = named ?? env.BCOOPFS_HOME;
  if (given) return resolve(given);
  if (process.getuid?.() === 0) return "/var/lib/bcoopfs";
  return join(env.XDG_DATA_HOME || join(homedir(), ".local", "share"), "bcoopfs");
}

function rootOf(command: Command): Command {
  return command.parent ? rootOf(command.parent) : command;
}

/** Open the vault, run, close it again whatever happens. */
export async function withVault<T>(
  command: Command,
  invocation: Invocation,
  work: (vault: Vault) => Promise<T>,
): Promise<T> {
  const { openVault } = await import("../vault/vault.js");
  const vault = await openVault(homeOf(command, invocation.env), invocation.system, (message) =>
    invocation.output.note(`bcoopfs: ${message}`),
  );
  try {
    return await work(vault);
  } finally {
    await vault.close();
  }
}

/** The same for work that reads contents: what is not here comes from peers, where the home is in a coop. */
export function withReading<T>(
  command: Command,
  invocation: Invocation,
  work: (vault: Vault) => Promise<T>,
): Promise<T> {
  return withVault(command, invocation, async (vault) => {
    const { withPeers } = await import("../host/peers.js");
    return withPeers(vault, peerAccess(vault, invocation), () => work(vault));
  });
}

/** How a command that reads meets peers, and tells that it does. */
export function peerAccess(vault: Vault, { env, output }: Invocation): PeerAccess {
  return { reach: reachOf(vault.config().coop, env), say: (line) => output.note(`bcoopfs: ${line}`) };
}

/**
 * Long work in JSON lines: the last of them is a summary, also where the work failed before it had one.
 * @param work calls what it is given just before it prints a summary of its own
 */
export async function summarised(
  json: boolean | undefined,
  { output }: Invocation,
  work: (summarising: () => void) => Promise<void>,
): Promise<void> {
  let done = false;
  try {
    await work(() => {
      done = true;
    });
  } catch (error) {
    if (json && error instanceof Problem) {
      output.json({ message_type: "error", message: error.message });
      if (!done) output.json({ message_type: "summary", error: error.message });
    }
    throw error;
  }
}

/**
 * Words as they were typed: Node gives text, which loses names that are not UTF-8, but the system still knows them.
 * A word may also be the value in `--option=value`.
 */
export function rawArguments(words: readonly string[]): (string | Buffer)[] {
  if (!words.some((word) => word.includes("\ufffd"))) return [...words];
  const typed = readFileSync("/proc/self/cmdline", "latin1")
    .split("\0")
    .map((word) => Buffer.from(word.replace(/^--[a-z0-9-]+=/, ""), "latin1"));
  return words.map((word) => {
    const at = typed.findIndex((bytes) => bytes.toString("utf8") === word);
    return typed.splice(at, at < 0 ? 0 : 1)[0] ?? word;
  });
}

export function rawArgument(word: string): string | Buffer {
  return rawArguments([word])[0] as string | Buffer;
}

/** Which exit status stands for several: the first of 1, 21, 4, 3, 20 that occurs; others as they come. */
export function worstOf(codes: readonly number[]): number {
  const failed = codes.filter((code) => code !== 0);
  return [1, 21, 4, 3, 20].find((code) => failed.includes(code)) ?? failed[0] ?? 0;
}

/**
 * What the tests of the room capture are given: a vault in a temporary folder, a way to save roots, and a look at
 * what was saved through the same View that everything else reads with.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { native } from "../../src/base/native.js";
import { realSystem } from "../../src/base/system.js";
import { derivedFilesetId } from "../../src/capture/jobs.js";
import { compileRules } from "../../src/capture/select.js";
import { type SnapshotSummary, snapshot } from "../../src/capture/snapshot.js";
import type { OnSnapshot } from "../../src/capture/tally.js";
import type { Entry } from "../../src/format/entry.js";
import type { PlacementClass } from "../../src/format/listing.js";
import { findRevision } from "../../src/vault/revisions.js";
import { createVault, openVault, type Vault } from "../../src/vault/vault.js";
import { componentsOf, MetadataCache, View } from "../../src/vault/view.js";

export const full = process.env.BCOOPFS_FULL === "1";
export const seed = Number(process.env.BCOOPFS_SEED || 1);
export const isRoot = process.getuid?.() === 0;

/** A change time this old is trusted by the next run. */
export const settled = (): Promise<void> => sleep(40);

const endings = new WeakMap<TestContext, (() => void | Promise<void>)[]>();

/** Do this when the test ends: what was begun last ends first. */
export function atEnd(t: TestContext, act: () => void | Promise<void>): void {
  const acts = endings.get(t) ?? [];
  acts.unshift(act);
  if (acts.length > 1) return;
  endings.set(t, acts);
  t.after(async () => {
    for (const next of acts) await next();
  });
}

/** A new folder, by its real path; gone with the test. */
export function folderFor(t: TestContext): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "bcoopfs-capture-")));
  chmodSync(folder, 0o755);
  atEnd(t, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A new vault at `home`, open until the test ends. */
export async function vaultAt(t: TestContext, home: string): Promise<Vault> {
  createVault(home, "tester", 32 * 1024, realSystem.random(32), realSystem);
  const vault = await openVault(home, realSystem, (message) => assertQuiet(message));
  atEnd(t, () => vault.close());
  return vault;
}

function assertQuiet(message: string): void {
  throw new Error(`recovery had something to say: ${message}`);
}

export interface SaveOptions {
  readonly name?: string;
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly oneFileSystem?: boolean;
  readonly rehash?: boolean;
  readonly placement?: PlacementClass;
  readonly on?: OnSnapshot;
  readonly stop?: AbortSignal;
}

export interface Saved extends SnapshotSummary {
  readonly view: View;
  /** what the run said it could not read */
  readonly unread: readonly string[];
  /** the entry at an absolute path; undefined where there is none */
  at(path: string | Buffer): Promise<Entry | undefined>;
  /** the entry at a path that must be there */
  need(path: string | Buffer): Promise<Entry>;
  /** the content at a path */
  bytes(path: string | Buffer): Promise<Buffer>;
  /** all paths below, latin1, folders with a slash at their end */
  paths(): Promise<string[]>;
}

export async function save(vault: Vault, roots: readonly string[], options: SaveOptions = {}): Promise<Saved> {
  const name = options.name ?? "test";
  const unread: string[] = [];
  const job = {
    fileset: derivedFilesetId(vault, name),
    name,
    roots: roots.map((root) => Buffer.from(root)),
    rules: compileRules({ roots, include: options.include ?? [], exclude: options.exclude ?? [] }),
    oneFileSystem: options.oneFileSystem ?? false,
    rehash: options.rehash ?? false,
    ...(options.placement && { placement: options.placement }),
  };
  const on = { unread: ({ says }: { says: string }) => void unread.push(says), ...options.on };
  const summary = await snapshot(vault, job, on, options.stop ?? new AbortController().signal);
  return { ...seen(vault, summary), ...summary, unread };
}

function seen(vault: Vault, { revision }: SnapshotSummary): Pick<Saved, "view" | "at" | "need" | "bytes" | "paths"> {
  const { root } = findRevision(vault.store.catalogue, revision.toString("hex"));
  const view = new View(root, new MetadataCache(vault.store.reader));
  const at = (path: string | Buffer): Promise<Entry | undefined> => view.resolve(componentsOf(Buffer.from(path)));
  const need = async (path: string | Buffer): Promise<Entry> => {
    const entry = await at(path);
    if (entry === undefined) throw new Error(`${path} is not in the revision`);
    return entry;
  };
  const below = async (folder: Entry, path: string, to: string[]): Promise<string[]> => {
    for await (const entry of view.entries(folder)) {
      const own = `${path}/${entry.name.toString("latin1")}`;
      to.push(entry.kind === "folder" ? `${own}/` : own);
      if (entry.kind === "folder") await below(entry, own, to);
    }
    return to;
  };
  return {
    view,
    at,
    need,
    bytes: async (path) => {
      const { content } = await need(path);
      return view.read(content, 0n, Number(content?.size ?? 0n));
    },
    paths: () => below(root, "", []),
  };
}

/** Names that were opened for reading while `work` ran. Each call of the addon goes through `meanwhile` first. */
export async function opening<T>(
  work: () => Promise<T>,
  meanwhile: (name: string) => void = () => {},
): Promise<{ opened: string[]; result: T }> {
  const opened: string[] = [];
  const addon = native();
  const { openFile } = addon;
  addon.openFile = (at, name) => {
    const text = Buffer.from(name).toString("latin1");
    opened.push(text);
    meanwhile(text);
    return openFile(at, name);
  };
  try {
    return { result: await work(), opened };
  } finally {
    addon.openFile = openFile;
  }
}

/** Run `work` with `meanwhile` called after each read of file contents. */
export async function reading<T>(work: () => Promise<T>, meanwhile: (reads: number) => void): Promise<T> {
  const addon = native();
  const { pread } = addon;
  let reads = 0;
  addon.pread = (...args) => {
    const got = pread(...args);
    meanwhile(++reads);
    return got;
  };
  try {
    return await work();
  } finally {
    addon.pread = pread;
  }
}

/** Is this program here? */
export function has(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Mount, and unmount with the test; false where that is not allowed. Detached by path, so nothing else is touched. */
export function mounted(t: TestContext, point: string, ...args: string[]): boolean {
  try {
    execFileSync("mount", [...args, point], { stdio: "ignore" });
  } catch {
    return false;
  }
  atEnd(t, () => native().detachMount(Buffer.from(point)));
  return true;
}

const nobody = 65_534;

/** Run `work` as an ordinary user, whoever runs the tests. */
export async function asOrdinaryUser<T>(work: () => Promise<T>): Promise<T> {
  if (!isRoot) return work();
  process.setegid?.(nobody);
  process.seteuid?.(nobody);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

/** Give a folder and all in it to the ordinary user. */
export function giveAway(folder: string): void {
  if (isRoot) execFileSync("chown", ["-R", `${nobody}:${nobody}`, folder]);
}

/** A small seeded generator (mulberry32): the same bytes for the same seed. */
export function randomBytesOf(length: number, start = seed): Buffer {
  let state = start >>> 0;
  const bytes = Buffer.allocUnsafe(Math.ceil(length / 4) * 4);
  for (let at = 0; at < bytes.length; at += 4) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    bytes.writeUInt32LE((mixed ^ (mixed >>> 14)) >>> 0, at);
  }
  return bytes.subarray(0, length);
}

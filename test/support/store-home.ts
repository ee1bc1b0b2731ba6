/** Homes for the tests of the store: made in temporary folders, opened in this process, compared row by row. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { toHex } from "../../src/base/bytes.js";
import { realSystem } from "../../src/base/system.js";
import { defaultClass } from "../../src/format/listing.js";
import type { ChunkType } from "../../src/format/keys.js";
import type { Catalogue } from "../../src/store/catalogue.js";
import { type Home, homeAt } from "../../src/store/home.js";
import type { Keyring } from "../../src/store/keyring.js";
import { Store } from "../../src/store/store.js";
import { decodeDeviceKeys, decodeVaultKeys, keyringOf } from "../../src/vault/key-files.js";
import { createVault } from "../../src/vault/vault.js";

const program = fileURLToPath(new URL("../../../bin/bcoopfs", import.meta.url));

export const full = process.env.BCOOPFS_FULL === "1";
export const seed = Number(process.env.BCOOPFS_SEED || "1");

/** Numbers of 0 to `below` - 1, the same for the same seed (mulberry32). */
export function chances(from: number): (below: number) => number {
  let state = from | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Bytes that no compressor shrinks, the same for the same numbers. */
export function noise(length: number, ...numbers: number[]): Buffer {
  const chance = chances(numbers.reduce((sum, n) => Math.imul(sum, 31) + n, 7));
  const bytes = Buffer.alloc(Math.max(4, length));
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(chance(2 ** 32), Math.min(at, bytes.length - 4));
  return bytes.subarray(0, length);
}

/** A folder that goes away with the test file; not by a hook, for those made within a test are run before others end. */
export function workFolder(where = tmpdir()): string {
  const path = mkdtempSync(join(where, "bcoopfs-store-"));
  if (workFolders.length === 0)
    process.once("exit", () => {
      for (const folder of workFolders) rmSync(folder, { recursive: true, force: true });
    });
  workFolders.push(path);
  return path;
}
const workFolders: string[] = [];

/** A new vault's home at this path. */
export function newHome(path: string): Home {
  createVault(path, "host", 16 * 1024, realSystem.random(32), realSystem);
  return homeAt(path);
}

export function keyringAt(home: Home): Keyring {
  return keyringOf(decodeVaultKeys(readFileSync(home.vaultKey)), decodeDeviceKeys(readFileSync(home.deviceKey)));
}

/** Open a store; what it says is appended to `said`. */
export function openStore(home: Home, said: string[] = []): Promise<Store> {
  return Store.open(home, keyringAt(home), realSystem, (message) => said.push(message));
}

/** Open, work, close whatever happens. */
export async function withStore<T>(
  home: Home,
  work: (store: Store) => Promise<T> | T,
  said: string[] = [],
): Promise<T> {
  const store = await openStore(home, said);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** Store chunks in one session and commit them; their ids. */
export async function storeChunks(store: Store, type: ChunkType, chunks: readonly Buffer[]): Promise<Buffer[]> {
  const session = store.session(defaultClass);
  try {
    const ids = chunks.map((bytes) => session.put(type, bytes).id);
    await session.commit(() => []);
    return ids;
  } finally {
    session.close();
  }
}

/** Every row of a catalogue as text. */
export function rowsOf(catalogue: Catalogue): string[] {
  return [...catalogue.dump()].map(({ table, key, value }) => `${table} ${toHex(key)} ${toHex(value)}`);
}

/** The index made again must equal the one that was there, row by row. */
export async function checkRebuilt(store: Store): Promise<void> {
  const before = rowsOf(store.catalogue);
  store.catalogue.walk();
  await store.rebuild();
  assert.deepEqual(rowsOf(store.catalogue), before);
  store.catalogue.walk();
}

/**
 * A copy of a home that nobody has open, standing for the home itself as it was: without the mark by which a copy knows
 * that it is one and goes on in a new log.
 */
export function copyHome(home: Home, path: string): Home {
  cpSync(home.path, path, { recursive: true, preserveTimestamps: true });
  rmSync(homeAt(path).installed, { force: true });
  return homeAt(path);
}

/** How the real program ended and what it said. */
export interface ProgramRun {
  readonly status: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/** Run the real program on a home to its end. */
export function runProgram(home: Home, ...words: string[]): ProgramRun {
  const env = { ...process.env, BCOOPFS_HOME: home.path };
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [program, ...words], {
    env,
    encoding: "utf8",
  });
  return { status, signal, out: stdout, err: stderr };
}

/** Paths of all segment files. */
export function segmentPaths(home: Home): string[] {
  return readdirSync(home.segments, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".seg"))
    .map((path) => join(home.segments, path));
}

/**
 * A home out of nothing: folders, keys, capsule and a first log, for a vault that is made here (`createVault`) and for a
 * device that joins one (`enrol`). `vault.key` comes last: a home without it is none, and whoever makes one there next
 * begins anew.
 * @module
 */
import { existsSync, lstatSync } from "node:fs";
import { dirname, join } from "node:path";
import { Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import { checkFileSystem, type Home, homeAt, makeFolder, replaceFile } from "../store/home.js";
import type { Keyring } from "../store/keyring.js";
import { lockFile } from "../store/lock.js";
import type { LogFile } from "../store/log.js";
import { beginLog } from "../store/own-logs.js";
import { type DeviceKeys, encodeDeviceKeys, encodeVaultKeys, keyringOf, type VaultKeys } from "./key-files.js";
import { leftoverOf, removeFiles } from "./leftover.js";

/** What a new home is filled with. */
export interface NewHome {
  readonly vaultKeys: VaultKeys;
  readonly deviceKeys: DeviceKeys;
  /** the capsule's parts by the name of their file */
  readonly capsule: ReadonlyMap<string, Uint8Array>;
  /** Further files and records, before the home is one. */
  readonly more?: (home: Home, log: LogFile, keyring: Keyring) => void;
}

const emptyConfig = `# bcoopfs: what is saved, and how. "bcoopfs fileset add" writes here, and so may you.
`;

const storeReadme = `This folder belongs to bcoopfs, an encrypted backup store. segments/ holds sealed data: each file is named by the
BLAKE3 hash of its bytes (b3sum prints it). Without the vault's keys nothing here can be read. To get data back,
install bcoopfs and open the home that this folder lies in, or recover with the 24-word phrase.
Do not change, rename or add files here.
`;

/** Throws unless a new home may be made at this path, which may hold what an interrupted try left. */
export function checkFreeHome(path: string): void {
  const home = homeAt(path);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat !== undefined && !stat.isDirectory())
    throw new Problem("refused", `${path} is not a folder; choose another home with --home`);
  if (existsSync(home.vaultKey))
    throw new Problem("refused", `there is a vault in ${path} already; choose another home with --home`);
  leftoverOf(home);
  let above = path;
  while (!existsSync(above)) above = dirname(above);
  checkFileSystem(above);
}

/** Make a home. Problem("busy") where another process works in it, "refused" where there is one already. */
export function makeHome(path: string, system: System, contents: NewHome): void {
  checkFreeHome(path);
  const home = homeAt(path);
  makeParents(path);
  makeFolder(home.path);
  const lock = lockFile(join(path, "lock"), false);
  if (lock === undefined) throw new Problem("busy", `another process works in ${path}; try again when it is done`);
  try {
    checkFreeHome(path);
    removeFiles(leftoverOf(home));
    fillHome(home, system, contents);
  } finally {
    lock.close();
  }
}

function fillHome(home: Home, system: System, { vaultKeys, deviceKeys, capsule: parts, more }: NewHome): void {
  const { store, segments, writers, logs, capsule, stat, log, catalogue } = home;
  for (const folder of [store, segments, writers, logs, capsule, stat, log, catalogue]) makeFolder(folder);
  replaceFile(home.storeId, `${system.random(16).toString("hex")}\n`);
  replaceFile(join(home.store, "README"), storeReadme);
  if (!existsSync(home.config)) replaceFile(home.config, emptyConfig);
  for (const [name, part] of parts) replaceFile(join(home.capsule, name), part);
  replaceFile(home.deviceKey, encodeDeviceKeys(deviceKeys));
  const keyring = keyringOf(vaultKeys, deviceKeys);
  const first = beginLog(home.logs, keyring, system, undefined);
  try {
    more?.(home, first, keyring);
  } finally {
    first.close();
  }
  replaceFile(home.vaultKey, encodeVaultKeys(vaultKeys));
}

function makeParents(path: string): void {
  const above = dirname(path);
  if (existsSync(above)) return;
  makeParents(above);
  makeFolder(above, 0o755);
}

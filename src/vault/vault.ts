/**
 * A vault on this machine: made once, opened by every command, given to every room above.
 * @module
 */
import { existsSync, lstatSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { Problem, systemProblem } from "../base/errors.js";
import type { System } from "../base/system.js";
import { sealDevicePart, sealRootPart } from "../format/capsule.js";
import { certify, rights } from "../format/certificate.js";
import { noFields } from "../format/fields.js";
import { newConstants, newEpoch, phraseKeys, vaultIdOf } from "../format/keys.js";
import { signingKeyOf } from "../format/sign.js";
import { checkFileSystem, type Home, homeAt, makeFolder, readIfThere, replaceFile } from "../store/home.js";
import { lockFile } from "../store/lock.js";
import { beginLog } from "../store/own-logs.js";
import { type Say, Store } from "../store/store.js";
import { type Config, parseConfig } from "./config.js";
import { decodeDeviceKeys, decodeVaultKeys, encodeDeviceKeys, encodeVaultKeys, keyringOf } from "./key-files.js";
import { leftoverOf, removeFiles } from "./leftover.js";

/** An open vault; `close` it. */
export interface Vault {
  readonly home: Home;
  readonly store: Store;
  readonly system: System;
  /** this device's name in revisions */
  readonly host: string;
  readonly id: Buffer;
  readonly device: Buffer;
  readonly chunkAverage: number;
  config(): Config;
  close(): Promise<void>;
}

const emptyConfig = `# bcoopfs: what is saved, and how. "bcoopfs fileset add" writes here, and so may you.
`;

const storeReadme = `This folder belongs to bcoopfs, an encrypted backup store. segments/ holds sealed data: each file is named by the
BLAKE3 hash of its bytes (b3sum prints it). Without the vault's keys nothing here can be read. To get data back,
install bcoopfs and open the home that this folder lies in, or recover with the 24-word phrase.
Do not change, rename or add files here.
`;

/** The host name up to its first dot, as a valid name. */
export function defaultHost(): string {
  const name = (hostname().split(".")[0] ?? "").replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 64);
  return /^[A-Za-z0-9]/.test(name) ? name : `host${name}`.slice(0, 64);
}

/** Throws unless a new vault may be made at this home, which may hold what an interrupted `init` left. */
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

/**
 * Make a new vault and device. `vault.key` comes last: a home without it is none, and the next `init` begins anew.
 * Problem("busy") where another process does the same.
 */
export function createVault(
  path: string,
  host: string,
  chunkAverage: number,
  entropy: Uint8Array,
  system: System,
): { vault: Buffer; device: Buffer } {
  checkFreeHome(path);
  const home = homeAt(path);
  makeParents(path);
  makeFolder(home.path);
  const lock = lockFile(join(path, "lock"), false);
  if (lock === undefined) throw new Problem("busy", `another process works in ${path}; try again when it is done`);
  try {
    checkFreeHome(path);
    removeFiles(leftoverOf(home));
    return fillHome(home, host, chunkAverage, entropy, system);
  } finally {
    lock.close();
  }
}

function fillHome(
  home: Home,
  host: string,
  chunkAverage: number,
  entropy: Uint8Array,
  system: System,
): { vault: Buffer; device: Buffer } {
  const phrase = phraseKeys(entropy);
  const root = signingKeyOf(system.random(32));
  const constants = newConstants(system.random, chunkAverage);
  const epoch = newEpoch(system.random, 0);
  const device = signingKeyOf(system.random(32));
  const certificate = certify(root, device.publicKey, rights.write | rights.administer, system.now());
  const vaultKeys = { rootPublic: root.publicKey, recoveryPublic: phrase.recoveryPublic, constants, epochs: [epoch] };
  const deviceKeys = { seed: Buffer.from(device.seed), certificate, host };

  const { store, segments, writers, logs, capsule, stat, log, catalogue } = home;
  for (const folder of [store, segments, writers, logs, capsule, stat, log, catalogue]) makeFolder(folder);
  replaceFile(home.storeId, `${system.random(16).toString("hex")}\n`);
  replaceFile(join(home.store, "README"), storeReadme);
  if (!existsSync(home.config)) replaceFile(home.config, emptyConfig);
  replaceFile(
    join(home.capsule, "root"),
    sealRootPart(phrase, 1n, { root, constants, epoch, fields: noFields }, system.random),
  );
  const hints = { epochs: [], coops: [], bootstrap: [], peers: [], fields: noFields };
  const devicePart = sealDevicePart(device, certificate, phrase.recoveryPublic, 1n, hints, system.random);
  replaceFile(join(home.capsule, device.publicKey.toString("hex")), devicePart);
  replaceFile(home.deviceKey, encodeDeviceKeys(deviceKeys));
  beginLog(home.logs, keyringOf(vaultKeys, deviceKeys), system, undefined).close();
  replaceFile(home.vaultKey, encodeVaultKeys(vaultKeys));
  return { vault: vaultIdOf(root.publicKey), device: device.publicKey };
}

function makeParents(path: string): void {
  const above = dirname(path);
  if (existsSync(above)) return;
  makeParents(above);
  makeFolder(above, 0o755);
}

/** Open the vault of a home. Problem("no-vault") where there is none. */
export async function openVault(path: string, system: System, say: Say): Promise<Vault> {
  const home = homeAt(path);
  const vaultText = readIfThere(home.vaultKey);
  if (vaultText === undefined)
    throw new Problem("no-vault", `no vault in ${path}; make one with "bcoopfs init", or name its home with --home`);
  const deviceText = readIfThere(home.deviceKey);
  if (deviceText === undefined)
    throw new Problem("damaged", `${home.deviceKey} is missing; put it back from a copy of the home`);
  const deviceKeys = decodeDeviceKeys(deviceText);
  const keyring = keyringOf(decodeVaultKeys(vaultText), deviceKeys);
  const store = await Store.open(home, keyring, system, say);
  return {
    home,
    store,
    system,
    host: deviceKeys.host,
    id: keyring.vault,
    device: keyring.device.publicKey,
    chunkAverage: keyring.constants.chunkAverage,
    config: () => readConfig(home),
    close: () => store.close(),
  };
}

/** config.toml of a home; a missing one is empty. */
export function readConfig(home: Home): Config {
  const text = readIfThere(home.config);
  try {
    return parseConfig(text?.toString("utf8") ?? "");
  } catch (error) {
    throw error instanceof Problem ? error : systemProblem("cannot read config.toml", error);
  }
}

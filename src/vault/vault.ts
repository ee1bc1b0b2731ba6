/**
 * A vault on this machine: made once, opened by every command, given to every room above.
 * @module
 */
import { hostname } from "node:os";
import { Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import { sealDevicePart, sealRootPart } from "../format/capsule.js";
import { certify, rights } from "../format/certificate.js";
import { noFields } from "../format/fields.js";
import { newConstants, newEpoch, phraseKeys, vaultIdOf } from "../format/keys.js";
import { signingKeyOf } from "../format/sign.js";
import { type Home, homeAt, readIfThere } from "../store/home.js";
import { type Say, Store } from "../store/store.js";
import type { Config } from "./config.js";
import { readConfig } from "./config-file.js";
import { decodeDeviceKeys, decodeVaultKeys, keyringOf } from "./key-files.js";
import { makeHome } from "./new-home.js";

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

/** The host name up to its first dot, as a valid name. */
export function defaultHost(): string {
  const name = (hostname().split(".")[0] ?? "").replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 64);
  return /^[A-Za-z0-9]/.test(name) ? name : `host${name}`.slice(0, 64);
}

/**
 * Make a new vault and its first device. Problem("busy") where another process works in the home, "refused" where there
 * is a vault already.
 */
export function createVault(
  path: string,
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
  const hints = { epochs: [], coops: [], bootstrap: [], peers: [], fields: noFields };
  makeHome(path, system, {
    vaultKeys: { rootPublic: root.publicKey, recoveryPublic: phrase.recoveryPublic, constants, epochs: [epoch] },
    deviceKeys: { seed: Buffer.from(device.seed), certificate, host },
    capsule: new Map([
      ["root", sealRootPart(phrase, 1n, { root, constants, epoch, fields: noFields }, system.random)],
      [
        device.publicKey.toString("hex"),
        sealDevicePart(device, certificate, phrase.recoveryPublic, 1n, hints, system.random),
      ],
    ]),
  });
  return { vault: vaultIdOf(root.publicKey), device: device.publicKey };
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

/**
 * The two files from which a machine works day to day, 0600 in the home: `vault.key` (what every device of the vault
 * knows) and `device.key` (this installation's own).
 * @module
 */
import { sameBytes, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { type Certificate, checkCertificate, readCertificate, writeCertificate } from "../format/certificate.js";
import {
  type Constants,
  type Epoch,
  readConstants,
  readEpoch,
  vaultIdOf,
  writeConstants,
  writeEpoch,
} from "../format/keys.js";
import { signingKeyOf } from "../format/sign.js";
import type { Keyring } from "../store/keyring.js";
import { armour, unarmour } from "./armour.js";

const vaultLine = "bcoopfs vault key 1";
const deviceLine = "bcoopfs device key 1";

export interface VaultKeys {
  readonly rootPublic: Buffer;
  /** device parts of the capsule are sealed to it */
  readonly recoveryPublic: Buffer;
  readonly constants: Constants;
  /** ascending; the last one is used for new data */
  readonly epochs: readonly Epoch[];
}

export interface DeviceKeys {
  readonly seed: Buffer;
  readonly certificate: Certificate;
  /** the name under which this device's revisions stand */
  readonly host: string;
}

export function encodeVaultKeys(keys: VaultKeys): string {
  const to = new Writer(512).raw(keys.rootPublic).raw(keys.recoveryPublic);
  writeConstants(to, keys.constants);
  to.varint(keys.epochs.length);
  for (const epoch of keys.epochs) writeEpoch(to, epoch);
  return armour(vaultLine, to.finish());
}

export function decodeVaultKeys(text: Buffer): VaultKeys {
  const from = unarmour(text, vaultLine, "vault.key");
  const rootPublic = Buffer.from(from.raw(32));
  const recoveryPublic = Buffer.from(from.raw(32));
  const constants = readConstants(from);
  const epochs = Array.from({ length: from.count(65_536, 129) }, () => readEpoch(from));
  if (epochs.length === 0) from.fail("no epoch");
  from.end();
  return { rootPublic, recoveryPublic, constants, epochs };
}

export function encodeDeviceKeys(keys: DeviceKeys): string {
  const to = new Writer(256).raw(keys.seed);
  writeCertificate(to, keys.certificate);
  return armour(deviceLine, to.text(keys.host).finish());
}

export function decodeDeviceKeys(text: Buffer): DeviceKeys {
  const from = unarmour(text, deviceLine, "device.key");
  const seed = Buffer.from(from.raw(32));
  const certificate = readCertificate(from);
  const host = from.text(format.labelBytes);
  from.end();
  return { seed, certificate, host };
}

/** Put both together; throws where the device is not certified by this vault. */
export function keyringOf(vault: VaultKeys, device: DeviceKeys): Keyring {
  checkCertificate(device.certificate, vault.rootPublic);
  const key = signingKeyOf(device.seed);
  if (!sameBytes(key.publicKey, device.certificate.device))
    throw new Problem("damaged", "device.key and its certificate do not belong together");
  return {
    vault: vaultIdOf(vault.rootPublic),
    rootPublic: vault.rootPublic,
    constants: vault.constants,
    epochs: new Map(vault.epochs.map((epoch) => [epoch.number, epoch])),
    epoch: vault.epochs.at(-1) as Epoch,
    device: key,
    certificate: device.certificate,
  };
}

/**
 * The two files from which a machine works day to day, 0600 in the home: `vault.key` (what every device of the vault
 * knows) and `device.key` (this installation's own). One line that names the format, one of hex that ends in a
 * checksum, so that a damaged file is named and never used.
 * @module
 */
import { Reader, sameBytes, toHex, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { type Certificate, checkCertificate, readCertificate, writeCertificate } from "../format/certificate.js";
import { hashOf } from "../format/hash.js";
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

const vaultLine = "bcoopfs vault key 1";
const deviceLine = "bcoopfs device key 1";
const checkBytes = 8;

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

function armour(line: string, body: Buffer): string {
  return `${line}\n${toHex(body)}${toHex(hashOf(body).subarray(0, checkBytes))}\n`;
}

function unarmour(text: Buffer, line: string, file: string): Reader {
  const damaged = new Problem("damaged", `${file} is damaged; put it back from a copy of the home`);
  const [head, hex = "", rest] = text.toString("latin1").split("\n");
  if (head !== line || rest !== "" || !/^([0-9a-f]{2})+$/.test(hex)) throw damaged;
  const bytes = Buffer.from(hex, "hex");
  const body = bytes.subarray(0, Math.max(0, bytes.length - checkBytes));
  if (!sameBytes(hashOf(body).subarray(0, checkBytes), bytes.subarray(body.length))) throw damaged;
  return new Reader(body, file);
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

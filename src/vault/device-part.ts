/**
 * What this device adds to its vault's capsule, sealed anew whenever it changes: to the recovery key, so that neither
 * this machine nor a peer can open it, and behind a higher version, so that peers replace what they have.
 * @module
 */
import { join } from "node:path";
import { toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import { type DeviceSecrets, readDevicePart, sealDevicePart } from "../format/capsule.js";
import { noFields } from "../format/fields.js";
import { type Home, readIfThere, replaceFile } from "../store/home.js";
import type { Keyring } from "../store/keyring.js";
import { decodeVaultKeys } from "./key-files.js";

/** How the others of this device's coop are found again after a total loss. */
export type CoopHints = Pick<DeviceSecrets, "coops" | "bootstrap" | "peers">;

export function sealOwnPart(home: Home, keyring: Keyring, hints: CoopHints, system: System): void {
  const path = join(home.capsule, toHex(keyring.device.publicKey));
  const vaultKey = readIfThere(home.vaultKey);
  if (vaultKey === undefined) throw new Problem("no-vault", `no vault in ${home.path}`);
  const { recoveryPublic, epochs } = decodeVaultKeys(vaultKey);
  const part = sealDevicePart(
    keyring.device,
    keyring.certificate,
    recoveryPublic,
    nextVersion(versionAt(path, keyring), system.now()),
    { epochs, ...hints, fields: noFields },
    system.random,
  );
  replaceFile(path, part);
}

/**
 * Not counted up but told by the clock: where the part was lost, or the home was copied or put back, nobody here knows how
 * often it was sealed, and two parts of one version would be kept by some peers the one and by some the other.
 */
function nextVersion(last: bigint | undefined, now: bigint): bigint {
  return last !== undefined && last >= now ? last + 1n : now;
}

function versionAt(path: string, keyring: Keyring): bigint | undefined {
  const bytes = readIfThere(path);
  try {
    return bytes && readDevicePart(bytes, keyring.rootPublic).version;
  } catch (error) {
    if (error instanceof Problem && error.code === "format") return undefined;
    throw error;
  }
}

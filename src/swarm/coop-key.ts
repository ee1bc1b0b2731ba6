/**
 * The file `coop/key` (0600): which coop this home is in, the keys of it that are known, and an invite that waits for an
 * admin's device. A home without it is in no coop, whatever else lies in the folder, so it is written last.
 * @module
 */
import { join } from "node:path";
import { sameBytes, Writer } from "../base/bytes.js";
import { choice, format } from "../base/limits.js";
import type { System } from "../base/system.js";
import { coopEpochId, coopKeyBytes } from "../format/coop.js";
import { noFields, readFields, writeFields } from "../format/fields.js";
import { decodeInvite, encodeInvite, type Invite } from "../format/invite.js";
import { readMaybe, writeMaybe } from "../format/coop.js";
import { type Home, makeFolder, readIfThere, replaceFile } from "../store/home.js";
import type { Keyring } from "../store/keyring.js";
import type { Ledger } from "../store/ledger.js";
import type { Config } from "../vault/config.js";
import { armour, unarmour } from "../vault/armour.js";

const line = "bcoopfs coop 1";
/** What a coop needs of a vault; a `Vault` is one. */
export interface CoopOwner {
  readonly home: Home;
  readonly system: System;
  /** this device's name */
  readonly host: string;
  readonly store: { readonly keyring: Keyring; readonly ledger?: Pick<Ledger, "forgetHolders"> };
  config(): Config;
}

/** marks what the capsule was last sealed with */
export const sealMarkBytes = 16;

export interface CoopKeys {
  readonly id: Buffer;
  /** as it was told with the first key; the founding record says it better */
  readonly name: string;
  /** 32 bytes each, at least one, the newest last */
  readonly keys: readonly Buffer[];
  readonly pending: Invite | undefined;
  /** of what the device's part of the capsule says of this coop; zeros where it says nothing yet */
  readonly sealed: Buffer;
}

export function encodeCoopKeys({ id, name, keys, pending, sealed }: CoopKeys): string {
  const to = new Writer(512).raw(id).text(name).varint(keys.length);
  for (const key of keys) to.raw(key);
  writeMaybe(to, pending, (invite) => to.text(encodeInvite(invite)));
  writeFields(to.raw(sealed), noFields);
  return armour(line, to.finish());
}

export function decodeCoopKeys(text: Buffer): CoopKeys {
  const from = unarmour(text, line, "coop/key");
  const id = Buffer.from(from.raw(32));
  const name = from.text(format.labelBytes);
  const keys = Array.from({ length: from.count(choice.coopKeys, coopKeyBytes) }, () =>
    Buffer.from(from.raw(coopKeyBytes)),
  );
  if (keys.length === 0) from.fail("no key");
  const pending = readMaybe(from, () => decodeInvite(from.blob(format.inviteBytes)));
  const sealed = Buffer.from(from.raw(sealMarkBytes));
  readFields(from);
  from.end();
  return { id, name, keys, pending, sealed };
}

export function coopKeyPath(home: Home): string {
  return join(home.path, "coop", "key");
}

/** What the file of this home says; undefined where there is none. Problem("damaged") where it is not whole. */
export function readCoopKeys(home: Home): CoopKeys | undefined {
  const text = readIfThere(coopKeyPath(home));
  return text && decodeCoopKeys(text);
}

export function writeCoopKeys(home: Home, keys: CoopKeys): void {
  makeFolder(join(home.path, "coop"));
  replaceFile(coopKeyPath(home), encodeCoopKeys(keys));
}

/**
 * Put a coop that the capsule told of into a home that is being made: the device is no member yet, but one of a vault
 * that has members. @param keys all that are known of it, in any order
 */
export function adoptCoop(home: Home, id: Buffer, keys: readonly Buffer[]): void {
  const distinct = keys.filter((key, at) => keys.findIndex((other) => sameBytes(other, key)) === at);
  const sealed = Buffer.alloc(sealMarkBytes);
  writeCoopKeys(home, { id, name: "", keys: distinct.slice(-choice.coopKeys), pending: undefined, sealed });
}

/** A key and the id of its epoch. */
export interface CoopKey {
  readonly id: Buffer;
  readonly key: Buffer;
}

export function coopKeyOf(key: Buffer): CoopKey {
  return { id: coopEpochId(key), key };
}

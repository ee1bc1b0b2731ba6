/**
 * Who is known: the other devices of the coop with what each holds for the other, and the devices of this vault.
 * @module
 */
import { toHex } from "../base/bytes.js";
import type { Coop } from "../swarm/coop.js";
import { allRevisions } from "../vault/revisions.js";
import type { Vault } from "../vault/vault.js";
import { presenceOf } from "./presence.js";

export interface PeerRow {
  readonly device: Buffer;
  readonly label: string;
  readonly vault: Buffer | undefined;
  /** of the same vault as this device */
  readonly own: boolean;
  /** with the daemon or a sync of this home; false also where none runs */
  readonly connected: boolean;
  /** nanoseconds since 1970 when it was last admitted; undefined: never */
  readonly seen: bigint | undefined;
  /** stores for others, as far as is known */
  readonly keeps: boolean;
  /** bytes of its objects that are here */
  readonly hosted: number;
  /** bytes of this vault's objects that it has signed for */
  readonly hosting: number;
}

export interface DeviceRow {
  readonly device: Buffer;
  /** as its newest revision calls it; empty where it has none */
  readonly host: string;
  readonly self: boolean;
  readonly revisions: number;
  readonly newest: bigint | undefined;
  readonly connected: boolean;
  readonly seen: bigint | undefined;
}

/** The other devices of a coop: its members, and those that were met; not those that were removed. */
export function peersOf(vault: Vault, coop: Coop): PeerRow[] {
  const { members, removed } = coop.state;
  const met = new Map(vault.store.ledger.peers().map(({ device, facts }) => [toHex(device), facts]));
  const connected = new Set(presenceOf(vault.home)?.connected);
  const hosted = hostedHere(vault);
  const hosting = hostedThere(vault);
  const keys = new Set([...members.keys(), ...met.keys()].filter((key) => !removed.has(key)));
  keys.delete(toHex(vault.device));
  return [...keys].map((key) => {
    const member = members.get(key);
    const facts = met.get(key);
    const owner = member?.vault ?? facts?.vault;
    return {
      device: Buffer.from(key, "hex"),
      label: member?.label || facts?.label || "",
      vault: owner,
      own: owner?.equals(vault.id) ?? false,
      connected: connected.has(key),
      seen: facts?.seen,
      keeps: facts?.keeps ?? true,
      hosted: hosted.get(key) ?? 0,
      hosting: hosting.get(key) ?? 0,
    };
  });
}

/** Bytes that lie here for each other device, by the hex of its key. */
function hostedHere(vault: Vault): Map<string, number> {
  const bytes = new Map<string, number>();
  /** two logs of a device may list the same object: it lies here once */
  const seen = new Set<string>();
  for (const { log, device } of vault.store.heads()) {
    if (device.equals(vault.device)) continue;
    const key = toHex(device);
    for (const { name, length } of vault.store.ledger.heldOf(log)) {
      const once = `${key} ${name.toString("latin1")}`;
      if (seen.has(once)) continue;
      seen.add(once);
      bytes.set(key, (bytes.get(key) ?? 0) + length);
    }
  }
  return bytes;
}

/** Bytes of this vault that others have signed for, by the hex of their keys. */
function hostedThere(vault: Vault): Map<string, number> {
  const { ledger } = vault.store;
  const lengths = new Map<string, { name: Buffer; length: number }>();
  for (const { log, scope } of vault.store.heads())
    if (scope.equals(vault.id))
      for (const { name, length } of ledger.listedBy(log)) lengths.set(name.toString("latin1"), { name, length });
  const bytes = new Map<string, number>();
  for (const { name, length } of lengths.values())
    for (const holder of ledger.holdersOf(name)) {
      const key = toHex(holder);
      bytes.set(key, (bytes.get(key) ?? 0) + length);
    }
  return bytes;
}

/** The devices of this vault, this one first. */
export function devicesOf(vault: Vault): DeviceRow[] {
  const connected = new Set(presenceOf(vault.home)?.connected);
  const met = new Map(vault.store.ledger.peers().map(({ device, facts }) => [toHex(device), facts]));
  const rows = new Map<string, { host: string; revisions: number; newest: bigint | undefined }>();
  rows.set(toHex(vault.device), { host: vault.host, revisions: 0, newest: undefined });
  for (const { device, scope } of vault.store.heads())
    if (scope.equals(vault.id) && !rows.has(toHex(device)))
      rows.set(toHex(device), { host: met.get(toHex(device))?.label ?? "", revisions: 0, newest: undefined });
  for (const { device, host, time } of allRevisions(vault.store.catalogue)) {
    const key = toHex(device);
    const row = rows.get(key);
    rows.set(key, {
      host: key === toHex(vault.device) ? vault.host : host,
      revisions: (row?.revisions ?? 0) + 1,
      newest: time,
    });
  }
  return [...rows].map(([key, row]) => ({
    device: Buffer.from(key, "hex"),
    ...row,
    self: key === toHex(vault.device),
    connected: connected.has(key),
    seen: met.get(key)?.seen,
  }));
}

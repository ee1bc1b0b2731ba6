/**
 * Who may use a coop, as its admins say: a pure fold of all chains of the coop into one state, the same for whoever has
 * the same records, in whatever order they came.
 * @module
 */
import type { Author } from "../format/author.js";
import type { Certificate } from "../format/certificate.js";
import type { EpochBody } from "../format/coop.js";
import type { LogRecord } from "../format/record.js";

/** The records that one device wrote in a coop, each after the one that it follows; the first one is its found record. */
export interface CoopChain {
  readonly author: Author;
  readonly records: readonly LogRecord[];
}

export interface Member {
  readonly device: Buffer;
  readonly vault: Buffer | undefined;
  /** one of `roles` */
  readonly role: number;
  readonly label: string;
  /** bytes that it offers to keep; 0 where nothing was said */
  readonly quota: bigint;
}

/** One key of the coop, by what is known of it without having it. */
export interface CoopEpoch {
  readonly number: number;
  readonly id: Buffer;
  /** the records that seal it to devices */
  readonly bodies: readonly EpochBody[];
}

export interface CoopState {
  readonly id: Buffer;
  /** empty as long as the founding record is not here */
  readonly name: string;
  /** by the hex of the device's key; in the order in which they were listed */
  readonly members: ReadonlyMap<string, Member>;
  /** by the hex of the device's key: the record that removed it. For ever: a device comes back under a new key */
  readonly removed: ReadonlyMap<string, Buffer>;
  /** the current one last; none as long as the founding record is not here */
  readonly epochs: readonly CoopEpoch[];
  /** hex of the public keys of redeemed invites */
  readonly usedTokens: ReadonlySet<string>;
  /** what the next statement carries */
  readonly nextSerial: bigint;
}

export function foldCoop(id: Buffer, chains: readonly CoopChain[]): CoopState {
  throw new Error(`not written yet: ${id.length} ${chains.length}`);
}

/** May this device say who belongs to the coop? @param certificate checked, where it has one */
export function isAdmin(_state: CoopState, _device: Uint8Array, _certificate?: Certificate): boolean {
  return false;
}

/** May this device use the coop: listed, or certified by the vault of a listed one, and not removed? */
export function admits(_state: CoopState, _device: Uint8Array, _certificate?: Certificate): boolean {
  return false;
}

/**
 * The coop that a home is in: its chains and keys on the disk, and what an admin's device says in it.
 * @module
 */
import type { Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import type { Certificate } from "../format/certificate.js";
import type { Invite, Redeem } from "../format/invite.js";
import type { Head } from "../format/message.js";
import type { Home } from "../store/home.js";
import type { Keyring } from "../store/keyring.js";
import type { Config } from "../vault/config.js";
import type { CoopState, Member } from "./members.js";

/** What a coop needs of a vault; a `Vault` is one. */
export interface CoopOwner {
  readonly home: Home;
  readonly system: System;
  readonly host: string;
  readonly store: { readonly keyring: Keyring };
  config(): Config;
}

export interface NewCoop {
  readonly name: string;
  /** HOST:PORT; none: what config.toml says, else the public DHT */
  readonly bootstrap?: readonly string[];
  readonly listen?: string;
}

/** Found a coop with this device as its admin. Problem("refused") where the home is in one. */
export function createCoop(_owner: CoopOwner, _draft: NewCoop): Coop {
  throw new Error("not written yet");
}

/**
 * Keep an invite, whose file this is, until the first admin's device is met; needs nobody online. Problem("usage") for
 * a file that is none, "refused" where it has expired or the home is in a coop.
 */
export function joinCoop(_owner: CoopOwner, _file: Uint8Array): Coop {
  throw new Error("not written yet");
}

/** Records that came from somebody: how many were new, and why one was not taken. */
export interface CoopAccepted {
  readonly added: number;
  readonly refused: string | undefined;
}

export class Coop {
  readonly id: Buffer;

  private constructor(id: Buffer) {
    this.id = id;
  }

  /** The coop of this home; undefined where it is in none. */
  static open(_owner: CoopOwner): Coop | undefined {
    return undefined;
  }

  get name(): string {
    throw new Error("not written yet");
  }

  get state(): CoopState {
    throw new Error("not written yet");
  }

  /** An invite that waits for an admin's device. */
  get pending(): Invite | undefined {
    throw new Error("not written yet");
  }

  /** May this device say who belongs to the coop? */
  get administers(): boolean {
    throw new Error("not written yet");
  }

  /** Where to meet: the topic of the newest key, then those of up to three before it. */
  topics(): Buffer[] {
    throw new Error("not written yet");
  }

  /** Called whenever the state or the keys have changed, by this process or another; the result calls it off. */
  onChange(_changed: () => void): () => void {
    throw new Error("not written yet");
  }

  /** Take in what another process of this home has written. True where that changed something. */
  refresh(): boolean {
    throw new Error("not written yet");
  }

  /** The ends of all chains; a chain that branched has more than one. */
  heads(): Head[] {
    throw new Error("not written yet");
  }

  /** All records that whoever sent these heads lacks, in rows that fit one message each. */
  recordsAfter(_heads: readonly Head[]): { log: Buffer; records: Buffer[] }[] {
    throw new Error("not written yet");
  }

  /** Take records of any chains, in any order; what is not sound or not an admin's is left out. Throws only for this disk. */
  accept(_records: readonly Uint8Array[]): CoopAccepted {
    throw new Error("not written yet");
  }

  /** The text of a new invite. Problem("refused") where this device is no admin. */
  invite(_options: { role?: number; bootstrap?: readonly string[] } = {}): string {
    throw new Error("not written yet");
  }

  /** Turn an invite that a device shows into its membership. A Problem says why not. */
  redeem(
    _redeem: Redeem,
    _handshakeHash: Uint8Array,
    _device: Uint8Array,
    _certificate: Certificate | undefined,
  ): Problem | undefined {
    throw new Error("not written yet");
  }

  /**
   * Take a device out, and turn the key. @param which its label, its key in hex, or the beginning of that
   * Problem("refused") where this device is no admin, "not-found", "ambiguous".
   */
  remove(_which: string): Member {
    throw new Error("not written yet");
  }
}

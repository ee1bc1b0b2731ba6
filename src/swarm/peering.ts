/**
 * The links of one process: it meets others under the coop's topics, admits them, and lets logs, parts, objects and
 * receipts flow. One per process; the keeper among them (who holds `swarm.lock`) is the only one that takes and keeps.
 * @module
 */
import type { System } from "../base/system.js";
import type { SigningKey } from "../format/sign.js";
import type { Say } from "../store/store.js";
import type { Vault } from "../vault/vault.js";
import type { OnPeerEvent } from "./events.js";
import type { Network } from "./network.js";

/** Until coop.ts and store/source.ts are here. */
type Coop = object;
interface Source {
  range(object: { name: Buffer; length: number }, offset: number, length: number): Promise<Buffer>;
  holds(names: readonly Buffer[]): Promise<boolean[]>;
  close(): Promise<void>;
}

/**
 * What this process is to others.
 * - keeper: takes and keeps logs, parts and objects of all members, and signs receipts. The caller holds `swarm.lock`
 * - reader: only asks for ranges of objects
 * - recovering: has the phrase's slot key and no coop; takes all of its own vault that peers have. Holds `swarm.lock`
 */
export type PeeringRole = "keeper" | "reader" | "recovering";

export interface PeeringOptions {
  readonly vault: Vault;
  /** undefined only for `recovering` */
  readonly coop: Coop | undefined;
  readonly network: Network;
  readonly system: System;
  readonly role: PeeringRole;
  /** of `recovering` */
  readonly recovery?: { readonly slot: SigningKey; readonly topic: Buffer };
  readonly say: Say;
  readonly events: OnPeerEvent;
  /** how long a read waits for anybody who has the bytes; 15 s */
  readonly patienceMs?: number;
}

/** One admitted link, for status. */
export interface PeerStatus {
  readonly device: Buffer;
  readonly vault: Buffer | undefined;
  readonly keeps: boolean;
  readonly recovering: Buffer | undefined;
  /** bytes of objects that came and went over this link */
  readonly received: number;
  readonly sent: number;
  /** objects of this device's logs that the peer has not signed for; undefined for one that keeps nothing */
  readonly unreceipted: number | undefined;
}

export interface PeeringStatus {
  readonly peers: readonly PeerStatus[];
  /** links not admitted yet */
  readonly knocking: number;
  /** objects that are wanted here and not here */
  readonly wanted: number;
  readonly receiving: number;
  readonly diskFull: boolean;
}

/** How a wait for the exchange to be done ended. */
export interface Settled {
  /** nothing is wanted here that a connected peer could give */
  readonly taken: boolean;
  /** connected keepers; each has signed for all that this device lists, or not */
  readonly keepers: number;
  readonly receipted: number;
}

/** The open peering of a process; `close` it before the vault. */
export class Peering {
  readonly #options: PeeringOptions;

  private constructor(options: PeeringOptions) {
    this.#options = options;
  }

  /** Join the topics and take links from now on. Never waits: who is there comes as events. */
  static start(options: PeeringOptions): Peering {
    return new Peering(options);
  }

  /** Ranges of objects from whoever holds them; waits up to `patienceMs` for the first who does. */
  get source(): Source {
    throw new Error(`not written yet for ${this.#options.role}`);
  }

  status(): PeeringStatus {
    return { peers: [], knocking: 0, wanted: 0, receiving: 0, diskFull: false };
  }

  /** Look now whether another process of this home has committed something, and at all topics again. */
  refresh(): void {
    this.#options.network.refresh();
  }

  /**
   * Resolves when nothing is wanted that a connected peer could give and every connected keeper has signed for all
   * objects of this device, or when nothing of that has moved for `stillMs`; also when no keeper came within `stillMs`.
   */
  async settled(stillMs: number, stop?: AbortSignal): Promise<Settled> {
    await this.#options.system.sleep(stop?.aborted ? 0 : stillMs);
    return { taken: true, keepers: 0, receipted: 0 };
  }

  /** Say goodbye, end all links, stop all timers; what was half received is kept for the next time. */
  async close(): Promise<void> {
    await this.#options.network.close();
  }
}

/**
 * The links of one process: it meets others under the coop's topics, admits them, and lets logs, parts, objects and
 * receipts flow. One per process; the keeper among them (who holds `swarm.lock`) is the only one that takes and keeps.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { swarm } from "../base/limits.js";
import type { System } from "../base/system.js";
import { noFields } from "../format/fields.js";
import { type SigningKey, signingKeyOf } from "../format/sign.js";
import type { Source } from "../store/source.js";
import type { Say } from "../store/store.js";
import type { Vault } from "../vault/vault.js";
import { Admission, stillAdmitted } from "./admission.js";
import type { Coop, RefuseReason } from "./coop.js";
import type { CoopState } from "./members.js";
import type { OnPeerEvent, PeerEvent } from "./events.js";
import { Links, type LinksOwner } from "./links.js";
import type { Connection, Network } from "./network.js";
import type { Peer, Room } from "./room.js";
import { type PeeringStatus, peerStatuses, type PeerStatus } from "./peer-status.js";
import { type Settled, settled } from "./settle.js";
import { Space } from "./space.js";
import { Flow } from "./flow.js";
import { type Topic, Topics } from "./topics.js";

export type { PeeringStatus, PeerStatus, Settled };

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

/** Refusals by a device that could have let this one in: what others say tells less. */
const verdicts: ReadonlySet<RefuseReason> = new Set<RefuseReason>([
  "removed",
  "inviteExpired",
  "inviteUsed",
  "inviteInvalid",
]);

/** The open peering of a process; `close` it before the vault. */
export class Peering {
  readonly #options: PeeringOptions;
  readonly #room: Room;
  readonly #links: Links;
  readonly #space: Space;
  readonly #flow: Flow;
  readonly #topics: Topics;
  readonly #offCoop: () => void;
  #cancelPoll = (): void => {};
  #cancelCoop = (): void => {};
  #accepted: { readonly of: CoopState | undefined; readonly vaults: ReadonlySet<string> } = {
    of: undefined,
    vaults: new Set(),
  };
  #traffic = "";
  /** bytes of objects that came and went over links that have ended */
  readonly #gone: [received: number, sent: number] = [0, 0];
  /** what went wrong at the last look, so that it is said once */
  #trouble: string | undefined;
  #closed = false;

  private constructor(options: PeeringOptions) {
    this.#options = options;
    const { coop, network, system, role, patienceMs = swarm.readPatienceMs } = options;
    const isFull = (full: boolean): void => this.#emit({ type: full ? "disk-full" : "disk-free" });
    this.#space = new Space(system, isFull, () => this.#flow.again());
    this.#links = new Links(this.#linksOwner());
    this.#room = this.#makeRoom(role);
    const owner = {
      partsChanged: () => this.#joinTopics(),
      bye: (peer: Peer) => this.#links.drop(peer, undefined),
    };
    this.#flow = new Flow(this.#room, owner, patienceMs);
    this.#topics = new Topics(network);
    this.#offCoop = coop?.onChange(() => this.#coopChanged()) ?? (() => {});
    network.onConnection((connection) => this.#links.take(connection));
    this.#joinTopics();
    this.#poll();
  }

  /** Join the topics and take links from now on. Never waits: who is there comes as events. */
  static start(options: PeeringOptions): Peering {
    return new Peering(options);
  }

  #makeRoom(role: PeeringRole): Room {
    const { vault, system, say } = this.#options;
    return {
      vault,
      store: vault.store,
      system,
      space: this.#space,
      takes: role !== "reader",
      gives: role === "keeper",
      emit: (event) => this.#emit(event),
      say,
      peers: () => this.#links.peers(),
      accepts: (scope) => this.#accepts(scope),
      shows: (peer, scope) =>
        peer.remote.recovering === undefined ? this.#accepts(scope) : sameBytes(peer.remote.recovering, scope),
      hasNews: (peer) => this.#flow.hasNews(peer),
      trouble: (peer, error) => this.#links.trouble(peer, error),
    };
  }

  /** Is this vault ours, or that of somebody who may use the coop? */
  #accepts(scope: Buffer): boolean {
    if (sameBytes(scope, this.#options.vault.id)) return true;
    const state = this.#options.coop?.state;
    if (state === undefined) return false;
    if (this.#accepted.of !== state) this.#accepted = { of: state, vaults: vaultsOf(state) };
    return this.#accepted.vaults.has(toHex(scope));
  }

  #linksOwner(): LinksOwner {
    const { system, say } = this.#options;
    return {
      system,
      recovers: this.#options.role === "recovering",
      admission: (connection) => this.#admission(connection),
      avoid: ({ remoteKey }) => this.#options.network.avoid(remoteKey),
      up: (peer) => this.#up(peer),
      message: (peer, bytes) => this.#flow.message(peer, bytes),
      drained: (peer) => this.#flow.drained(peer),
      down: (peer, why) => this.#down(peer, why),
      refused: ({ device, by, why, silent, reason }) => {
        const judged = reason !== undefined && verdicts.has(reason);
        if (!silent) this.#emit({ type: "refused", device, by, why, judged });
      },
      misbehaved: (device, why, seconds) => this.#emit({ type: "misbehaved", device, why, seconds }),
      say,
    };
  }

  #admission(connection: Connection): Admission {
    const { vault, coop, system, role, recovery } = this.#options;
    const rootParts = (slotPublic: Buffer): Buffer | undefined => this.#flow.parts.vaultOfSlot(slotPublic);
    const common = { connection, system, coop, keeps: role === "keeper", rootParts };
    if (recovery === undefined) return new Admission({ ...common, ...vault.store.keyring, label: vault.host });
    // Under the recovery topic anybody may be met, and the slot key is all that a holder asks for: it is nobody there.
    const device = signingKeyOf(system.random(32));
    const nobody = { device, certificate: undefined, rootPublic: undefined, label: "" };
    return new Admission({ ...common, ...nobody, recovery: { slot: recovery.slot } });
  }

  #up(peer: Peer): void {
    const { device, remote } = peer;
    const { vault, label, keeps, recovering } = remote;
    this.#emit({ type: "peer-up", device, vault, keeps, recovering });
    if (this.#room.gives && recovering === undefined)
      this.#tolerant(() => {
        const seen = this.#room.system.now();
        this.#room.store.ledger.notePeer(device, { vault, label, keeps, seen, fields: noFields });
      });
    this.#flow.peerUp(peer);
  }

  #down(peer: Peer, why: string | undefined): void {
    this.#gone[0] += peer.received;
    this.#gone[1] += peer.sent;
    this.#flow.peerDown(peer);
    this.#emit({ type: "peer-down", device: peer.device, why });
  }

  /** This machine's own trouble is said, once, and stops nothing else. */
  #tolerant(work: () => void): void {
    try {
      work();
      this.#trouble = undefined;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!this.#space.isFull(error) && this.#trouble !== error.message) this.#options.say(error.message);
      this.#trouble = error.message;
    }
  }

  /** Not from within whoever changed it, who may be in the middle of a link's admission. */
  #coopChanged(): void {
    this.#cancelCoop();
    this.#cancelCoop = this.#room.system.after(0, () => {
      const coop = this.#options.coop as Coop;
      this.#emit({ type: "coop-changed" });
      this.#links.coopChanged((remote) => stillAdmitted(coop, remote));
      this.#joinTopics();
      this.#flow.again();
    });
  }

  /** Join what is to be joined now, and leave what is not any more. */
  #joinTopics(): void {
    const { coop, role, recovery } = this.#options;
    const announce = role === "keeper";
    const parts = announce ? this.#flow.parts.topics() : [];
    const all: Topic[] = parts.map((topic) => ({ topic, announce, lookup: false }));
    if (recovery !== undefined) all.push({ topic: recovery.topic, announce: false, lookup: true });
    for (const topic of coop?.topics() ?? []) all.push({ topic, announce, lookup: true });
    this.#topics.set(all);
  }

  #poll(): void {
    this.#cancelPoll = this.#room.system.after(swarm.pollMs, () => this.#poll());
    this.#look();
    const now = this.#room.system.now();
    for (const peer of [...this.#room.peers()]) {
      const since = this.#flow.waitingSince(peer);
      if (since !== undefined && now - since > BigInt(swarm.deadSeconds) * 1_000_000_000n)
        this.#links.drop(peer, "it answers nothing any more");
    }
    const [received, sent] = this.#bytes();
    if (`${received} ${sent}` !== this.#traffic) this.#emit({ type: "traffic", received, sent });
    this.#traffic = `${received} ${sent}`;
  }

  #look(): void {
    this.#tolerant(() => {
      this.#options.coop?.refresh();
      if (this.#options.role !== "reader") this.#flow.look();
    });
  }

  #bytes(): [number, number] {
    let [received, sent] = this.#gone;
    for (const peer of this.#room.peers()) {
      received += peer.received;
      sent += peer.sent;
    }
    return [received, sent];
  }

  #emit(event: PeerEvent): void {
    if (!this.#closed) this.#options.events(event);
  }

  /** Ranges of objects from whoever holds them; waits up to `patienceMs` for the first who does. */
  get source(): Source {
    return this.#flow.reading;
  }

  status(): PeeringStatus {
    return {
      peers: peerStatuses(this.#room),
      knocking: this.#links.knocking,
      wanted: this.#room.store.ledger.wantedCount(),
      receiving: this.#flow.receiving,
      diskFull: this.#space.full,
    };
  }

  /** Look now whether another process of this home has committed something, and at all topics again. */
  refresh(): void {
    this.#look();
    this.#options.network.refresh();
  }

  /**
   * Resolves when nothing is wanted that a connected peer could give and every connected keeper has signed for all
   * objects of this device, or when nothing of that has moved for `stillMs`; also when no keeper came within `stillMs`.
   */
  settled(stillMs: number, stop?: AbortSignal): Promise<Settled> {
    const looked = { room: this.#room, flow: this.#flow, isOver: () => this.#closed };
    return settled(looked, stillMs, stop);
  }

  /** Say goodbye, end all links, stop all timers; what was half received is kept for the next time. */
  async close(): Promise<void> {
    if (this.#closed) return;
    for (const peer of [...this.#room.peers()]) peer.send({ type: "bye" });
    this.#closed = true;
    this.#offCoop();
    this.#cancelPoll();
    this.#cancelCoop();
    this.#space.close();
    await this.#flow.close();
    this.#links.close();
    await this.#options.network.close();
  }
}

/** The vaults of all who may use the coop, by hex. */
function vaultsOf({ members, removed }: CoopState): Set<string> {
  const staying = [...members].filter(([hex]) => !removed.has(hex));
  return new Set(staying.flatMap(([, { vault }]) => (vault ? [toHex(vault)] : [])));
}

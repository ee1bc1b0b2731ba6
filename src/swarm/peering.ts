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
import { objectKinds } from "../format/listing.js";
import { decodeRoom, type Head, type RoomMessage } from "../format/message.js";
import type { SigningKey } from "../format/sign.js";
import type { Wanted } from "../store/ledger.js";
import type { Source } from "../store/source.js";
import type { Say } from "../store/store.js";
import type { Vault } from "../vault/vault.js";
import { Admission, stillAdmitted } from "./admission.js";
import type { Coop } from "./coop.js";
import type { CoopState } from "./members.js";
import type { OnPeerEvent, PeerEvent } from "./events.js";
import type { AskAnswer } from "./asks.js";
import { Exchange } from "./exchange.js";
import { Heads } from "./heads.js";
import { Links, type LinksOwner } from "./links.js";
import { Learning } from "./learning.js";
import type { Connection, Network } from "./network.js";
import { Parts } from "./parts.js";
import { Reading } from "./reading.js";
import { Receipts } from "./receipts.js";
import type { Peer, Room } from "./room.js";
import { isQuestion, Serving } from "./serve.js";
import { type PeeringStatus, peerStatuses, type PeerStatus } from "./peer-status.js";
import { type Settled, settled } from "./settle.js";
import { Space } from "./space.js";
import { type Topic, Topics } from "./topics.js";
import { Transfer } from "./transfer.js";
import { violation } from "./violation.js";

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

/** The open peering of a process; `close` it before the vault. */
export class Peering {
  readonly #options: PeeringOptions;
  readonly #room: Room;
  readonly #links: Links;
  readonly #space: Space;
  readonly #heads: Heads;
  readonly #exchange: Exchange;
  readonly #parts: Parts;
  readonly #receipts: Receipts;
  readonly #transfer: Transfer;
  readonly #serving: Serving;
  readonly #reading: Reading;
  readonly #learning: Learning;
  readonly #topics: Topics;
  readonly #offCoop: () => void;
  #cancelPoll = (): void => {};
  #cancelCoop = (): void => {};
  /** of a state of the coop: it is asked for with every message */
  #accepted: { readonly of: CoopState | undefined; readonly vaults: ReadonlySet<string> } = {
    of: undefined,
    vaults: new Set(),
  };
  #progress = 0;
  #traffic = "";
  /** bytes of objects that came and went over links that have ended */
  readonly #gone: [received: number, sent: number] = [0, 0];
  /** logs of which objects have come since peers were told */
  readonly #news = new Map<string, Buffer>();
  #cancelNews: (() => void) | undefined;
  #closed = false;

  private constructor(options: PeeringOptions) {
    this.#options = options;
    const { vault, coop, network, system, say } = options;
    this.#space = new Space(
      system,
      (full) => this.#emit({ type: full ? "disk-full" : "disk-free" }),
      () => this.#again(),
    );
    this.#links = new Links(this.#linksOwner());
    this.#room = {
      vault,
      store: vault.store,
      system,
      space: this.#space,
      takes: options.role !== "reader",
      gives: options.role === "keeper",
      emit: (event) => this.#emit(event),
      say,
      peers: () => this.#links.peers(),
      accepts: (scope) => this.#accepts(scope),
      shows: (peer, scope) =>
        peer.remote.recovering === undefined ? this.#accepts(scope) : sameBytes(peer.remote.recovering, scope),
      hasNews: (peer) => this.#hasNews(peer),
      trouble: (peer, error) => this.#links.trouble(peer, error),
    };
    const room = this.#room;
    this.#heads = new Heads(room, (head) => this.#grown(head));
    this.#exchange = new Exchange(room, this.#heads);
    this.#parts = new Parts(room, () => this.#joinTopics());
    this.#receipts = new Receipts(room, this.#heads);
    this.#transfer = new Transfer(room, (object) => this.#arrived(object));
    this.#serving = new Serving(
      room,
      {
        records: (peer, question) => this.#exchange.answer(peer, question),
        part: (peer, question) => this.#parts.answer(peer, question),
        vaultOf: (log) => this.#heads.get(log)?.scope,
      },
      (name) => vault.store.ledger.missing(name),
    );
    this.#reading = new Reading(room, options.patienceMs ?? swarm.readPatienceMs);
    this.#learning = new Learning(room);
    this.#topics = new Topics(network);
    this.#offCoop = coop?.onChange(() => this.#coopChanged()) ?? (() => {});
    network.onConnection((connection) => this.#links.take(connection));
    this.#joinTopics();
    this.#transfer.again();
    this.#poll();
  }

  /** Join the topics and take links from now on. Never waits: who is there comes as events. */
  static start(options: PeeringOptions): Peering {
    return new Peering(options);
  }

  /** Ranges of objects from whoever holds them; waits up to `patienceMs` for the first who does. */
  get source(): Source {
    return this.#reading;
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
      message: (peer, bytes) => this.#message(peer, bytes),
      drained: (peer) => this.#drained(peer),
      down: (peer, why) => this.#down(peer, why),
      refused: ({ device, by, why, silent }) => {
        if (!silent) this.#emit({ type: "refused", device, by, why });
      },
      misbehaved: (device, why, seconds) => this.#emit({ type: "misbehaved", device, why, seconds }),
      say,
    };
  }

  #admission(connection: Connection): Admission {
    const { vault, coop, system, role, recovery } = this.#options;
    const { device, certificate, rootPublic } = vault.store.keyring;
    return new Admission({
      connection,
      system,
      device,
      certificate,
      rootPublic,
      label: vault.host,
      keeps: role === "keeper",
      coop,
      rootParts: (slotPublic) => this.#parts.vaultOfSlot(slotPublic),
      ...(recovery && { recovery: { slot: recovery.slot } }),
    });
  }

  #up(peer: Peer): void {
    const { device, remote } = peer;
    const { vault, label, keeps, recovering } = remote;
    this.#emit({ type: "peer-up", device, vault, keeps, recovering });
    if (this.#room.takes && recovering === undefined) {
      const seen = this.#room.system.now();
      this.#unlessFull(() => this.#room.store.ledger.notePeer(device, { vault, label, keeps, seen, fields: noFields }));
    }
    this.#parts.peerUp(peer);
    this.#exchange.peerUp(peer);
    this.#receipts.peerUp(peer);
    this.#transfer.again();
    this.#reading.changed();
  }

  #unlessFull(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!this.#space.isFull(error)) throw error;
    }
  }

  #down(peer: Peer, why: string | undefined): void {
    this.#gone[0] += peer.received;
    this.#gone[1] += peer.sent;
    this.#serving.peerDown(peer);
    this.#parts.peerDown(peer);
    this.#receipts.peerDown(peer);
    this.#exchange.peerDown(peer);
    peer.asks.close();
    this.#transfer.peerDown(peer);
    this.#reading.changed();
    this.#emit({ type: "peer-down", device: peer.device, why });
  }

  #drained(peer: Peer): void {
    this.#serving.drained(peer);
    this.#heads.drained(peer);
    this.#parts.drained(peer);
    this.#receipts.drained(peer);
    this.#transfer.kick();
    this.#reading.changed();
  }

  #message(peer: Peer, bytes: Buffer): void {
    const message = decoded(bytes);
    if (message.type !== "unknown" && !isQuestion(message)) this.#progress++;
    if (isQuestion(message)) this.#serving.ask(peer, message);
    else if (message.type === "heads") this.#exchange.onHeads(peer, message);
    else if (message.type === "records") this.#exchange.onRecords(peer, message);
    else if (message.type === "fork") this.#exchange.onFork(peer, message);
    else if (message.type === "parts") this.#parts.onParts(peer, message);
    else if (message.type === "part") this.#parts.onPart(peer, message);
    else if (message.type === "receipt") this.#receipts.onReceipt(peer, message);
    else if (message.type === "bye") this.#links.drop(peer, undefined);
    else if (message.type !== "unknown") this.#onAnswer(peer, message);
  }

  #onAnswer(peer: Peer, message: AskAnswer): void {
    peer.asks.onAnswer(message);
    // There is credit again.
    this.#transfer.kick();
    this.#reading.changed();
  }

  #hasNews(peer: Peer): void {
    this.#progress++;
    peer.holds.forgetAbsent();
    this.#transfer.again();
    this.#reading.changed();
  }

  #grown({ scope, log, device, seq }: Head): void {
    this.#progress++;
    this.#emit({ type: "log-grown", vault: scope, log, device, seq });
    this.#receipts.add(log);
    this.#transfer.again();
  }

  #arrived({ name, length, kind }: Wanted): void {
    const { ledger } = this.#room.store;
    this.#emit({ type: "object-arrived", name, length, kind });
    for (const log of ledger.listers(name)) {
      this.#receipts.add(log, name);
      this.#news.set(toHex(log), log);
    }
    this.#cancelNews ??= this.#room.system.after(swarm.statementMs, () => {
      this.#cancelNews = undefined;
      this.#heads.news(this.#news.values());
      this.#news.clear();
    });
    if (kind === objectKinds.metadataSegment) this.#learning.begin();
  }

  /** There is room on the disk again. */
  #again(): void {
    this.#exchange.again();
    this.#parts.again();
    this.#transfer.again();
  }

  /** Not from within whoever changed it, who may be in the middle of a link's admission. */
  #coopChanged(): void {
    this.#cancelCoop();
    this.#cancelCoop = this.#room.system.after(0, () => {
      const coop = this.#options.coop as Coop;
      this.#progress++;
      this.#emit({ type: "coop-changed" });
      this.#links.coopChanged((remote) => stillAdmitted(coop, remote));
      this.#joinTopics();
      this.#exchange.again();
      this.#parts.again();
    });
  }

  /** Join what is to be joined now, and leave what is not any more. */
  #joinTopics(): void {
    const { coop, role, recovery } = this.#options;
    const announce = role === "keeper";
    const all: Topic[] = announce ? this.#parts.topics().map((topic) => ({ topic, announce, lookup: false })) : [];
    if (recovery !== undefined) all.push({ topic: recovery.topic, announce: false, lookup: true });
    for (const topic of coop?.topics() ?? []) all.push({ topic, announce, lookup: true });
    this.#topics.set(all);
  }

  #poll(): void {
    this.#cancelPoll = this.#room.system.after(swarm.pollMs, () => this.#poll());
    this.#look();
    const now = this.#room.system.now();
    for (const peer of [...this.#room.peers()]) {
      const since = peer.asks.waitingSince;
      if (since !== undefined && now - since > BigInt(swarm.deadSeconds) * 1_000_000_000n)
        this.#links.drop(peer, "it answers nothing any more");
    }
    const [received, sent] = this.#bytes();
    if (`${received} ${sent}` !== this.#traffic) this.#emit({ type: "traffic", received, sent });
    this.#traffic = `${received} ${sent}`;
  }

  #look(): void {
    this.#options.coop?.refresh();
    if (this.#options.role === "reader") return;
    this.#unlessFull(() => this.#heads.look());
    this.#parts.look();
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

  status(): PeeringStatus {
    return {
      peers: peerStatuses(this.#room),
      knocking: this.#links.knocking,
      wanted: this.#room.store.ledger.wantedCount(),
      receiving: this.#transfer.receiving,
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
    const isTaken = (): boolean => this.#exchange.isDone && this.#parts.isDone && this.#transfer.isDone;
    const progress = (): number => this.#progress;
    const isOver = (): boolean => this.#closed;
    return settled({ room: this.#room, gives: this.#room.gives, isTaken, progress, isOver }, stillMs, stop);
  }

  /** Say goodbye, end all links, stop all timers; what was half received is kept for the next time. */
  async close(): Promise<void> {
    if (this.#closed) return;
    for (const peer of [...this.#room.peers()]) peer.send({ type: "bye" });
    this.#closed = true;
    this.#offCoop();
    this.#cancelPoll();
    this.#cancelCoop();
    this.#cancelNews?.();
    this.#transfer.close();
    this.#receipts.close();
    this.#exchange.close();
    this.#space.close();
    await this.#reading.close();
    await this.#learning.close();
    this.#links.close();
    await this.#options.network.close();
  }
}

/** The vaults of all who may use the coop, by hex. */
function vaultsOf({ members, removed }: CoopState): Set<string> {
  const staying = [...members].filter(([hex]) => !removed.has(hex));
  return new Set(staying.flatMap(([, { vault }]) => (vault ? [toHex(vault)] : [])));
}

/** Throws a violation for what nobody who speaks the protocol sends. */
function decoded(bytes: Buffer): RoomMessage | { readonly type: "unknown" } {
  try {
    return decodeRoom(bytes);
  } catch (error) {
    if (error instanceof Problem && error.code === "format") violation(error.message);
    throw error;
  }
}

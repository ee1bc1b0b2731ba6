/**
 * What flows between this side and all peers: logs, parts, objects and receipts, and how each sets off the others. A log
 * that grew is told to all and may list what is wanted; an object that came is signed for, and told to those who asked
 * for it in vain; an answer leaves credit for the next question.
 * @module
 */
import { toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { swarm } from "../base/limits.js";
import { objectKinds } from "../format/listing.js";
import { decodeRoom, type Head, type RoomMessage } from "../format/message.js";
import type { Wanted } from "../store/ledger.js";
import type { AskAnswer } from "./asks.js";
import { Exchange } from "./exchange.js";
import { Heads } from "./heads.js";
import { Learning } from "./learning.js";
import { Parts } from "./parts.js";
import { Reading } from "./reading.js";
import { Receipts } from "./receipts.js";
import type { Peer, Room } from "./room.js";
import { isQuestion, Serving } from "./serve.js";
import { Transfer } from "./transfer.js";
import { violation } from "./violation.js";

/** What its owner is told. */
export interface FlowOwner {
  /** a root part is here that was not */
  partsChanged(): void;
  /** a peer says goodbye */
  bye(peer: Peer): void;
}

export class Flow {
  readonly parts: Parts;
  readonly reading: Reading;
  readonly #room: Room;
  readonly #owner: FlowOwner;
  readonly #heads: Heads;
  readonly #exchange: Exchange;
  readonly #receipts: Receipts;
  readonly #transfer: Transfer;
  readonly #serving: Serving;
  readonly #learning: Learning;
  /** logs of which objects have come since peers were told */
  readonly #news = new Map<string, Buffer>();
  #cancelNews: (() => void) | undefined;
  #progress = 0;

  constructor(room: Room, owner: FlowOwner, patienceMs: number) {
    this.#room = room;
    this.#owner = owner;
    this.#heads = new Heads(room, (head) => this.#grown(head));
    this.#exchange = new Exchange(room, this.#heads);
    this.parts = new Parts(room, () => owner.partsChanged());
    this.#receipts = new Receipts(room, this.#heads);
    this.#transfer = new Transfer(room, (object) => this.#arrived(object));
    this.#serving = new Serving(room, {
      records: (peer, question) => this.#exchange.answer(peer, question),
      part: (peer, question) => this.parts.answer(peer, question),
      receipts: (peer, question) => this.#receipts.answer(peer, question),
      vaultOf: (log) => this.#heads.get(log)?.scope,
      damaged: (name) => this.#damaged(name),
    });
    this.reading = new Reading(room, patienceMs);
    this.#learning = new Learning(room);
    this.#transfer.again();
    if (room.takes) this.#learning.begin();
  }

  /** Nothing more is wanted that anybody who is connected has. */
  get isDone(): boolean {
    return this.#exchange.isDone && this.parts.isDone && this.#transfer.isDone;
  }

  /** changes whenever anything has moved */
  get progress(): number {
    return this.#progress;
  }

  get receiving(): number {
    return this.#transfer.receiving;
  }

  /** When the oldest question that a peer has not answered was asked; undefined where there is none. */
  waitingSince(peer: Peer): bigint | undefined {
    const all = [peer.asks.waitingSince, this.#exchange.waitingSince(peer), this.parts.waitingSince(peer)];
    return all.reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a));
  }

  peerUp(peer: Peer): void {
    this.parts.peerUp(peer);
    this.#exchange.peerUp(peer);
    this.#receipts.peerUp(peer);
    this.#transfer.again();
    this.reading.changed();
  }

  peerDown(peer: Peer): void {
    this.#serving.peerDown(peer);
    this.parts.peerDown(peer);
    this.#receipts.peerDown(peer);
    this.#exchange.peerDown(peer);
    peer.asks.close();
    this.#transfer.peerDown(peer);
    this.reading.changed();
  }

  drained(peer: Peer): void {
    this.#serving.drained(peer);
    this.#heads.drained(peer);
    this.parts.drained(peer);
    this.#receipts.drained(peer);
    this.#transfer.kick();
    this.reading.changed();
  }

  message(peer: Peer, bytes: Buffer): void {
    const message = decoded(bytes);
    if (isQuestion(message)) this.#serving.ask(peer, message);
    else if (message.type === "bye") this.#owner.bye(peer);
    else if (message.type !== "unknown") {
      this.#progress++;
      this.#told(peer, message);
    }
  }

  #told(peer: Peer, message: Exclude<RoomMessage, { type: `ask${string}` | "bye" }>): void {
    if (message.type === "heads") this.#exchange.onHeads(peer, message);
    else if (message.type === "records") this.#exchange.onRecords(peer, message);
    else if (message.type === "fork") this.#exchange.onFork(peer, message);
    else if (message.type === "parts") this.parts.onParts(peer, message);
    else if (message.type === "part") this.parts.onPart(peer, message);
    else if (message.type === "receipt") this.#receipts.onReceipt(peer, message);
    else this.#onAnswer(peer, message);
  }

  #onAnswer(peer: Peer, message: AskAnswer): void {
    peer.asks.onAnswer(message);
    // There is credit again.
    this.#transfer.kick();
    this.reading.changed();
  }

  /** A peer has told something new: what it did not have it may have now. */
  hasNews(peer: Peer): void {
    peer.holds.forgetAbsent();
    this.#transfer.again();
    this.reading.changed();
  }

  #grown(head: Head): void {
    const { scope, log, device, seq } = head;
    this.#progress++;
    this.#room.emit({ type: "log-grown", vault: scope, log, device, seq });
    this.#receipts.grown(head);
    this.#transfer.again();
  }

  #arrived({ name, length, kind }: Wanted): void {
    this.#progress++;
    this.#room.emit({ type: "object-arrived", name, length, kind });
    for (const log of this.#room.store.ledger.listers(name)) {
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

  /** It is not here any more: nobody shall count on it, and where others hold it, it comes again. */
  #damaged(name: Buffer): void {
    const { store, takes, space, say } = this.#room;
    say(`object ${toHex(name).slice(0, 16)} is damaged on this disk; it is fetched again from whoever holds it`);
    if (!takes) return;
    try {
      store.ledger.missing(name);
    } catch (error) {
      if (!space.isFull(error)) throw error;
    }
    for (const log of store.ledger.listers(name)) this.#receipts.restate(log);
    this.#transfer.again();
  }

  /** What another process of this home has committed. */
  look(): void {
    this.#heads.poll();
    this.parts.look();
  }

  /** There is room on the disk again, or the coop has changed. */
  again(): void {
    this.#exchange.again();
    this.parts.again();
    this.#transfer.again();
  }

  async close(): Promise<void> {
    this.#cancelNews?.();
    this.#transfer.close();
    this.#receipts.close();
    this.#exchange.close();
    await this.reading.close();
    await this.#learning.close();
  }
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

/**
 * The room: what two devices that have admitted each other share, seen from one side. A `Peer` is the other side of
 * one link; a `Room` is what all parts of the exchange are given.
 *
 * A handler that throws a `Violation` says that the other side broke the protocol: its link is cut and it is kept out
 * for a while. Anything else that it throws is this side's own trouble, and the other side is not blamed for it.
 * @module
 */
import type { System } from "../base/system.js";
import { encodeRoom, type RoomMessage } from "../format/message.js";
import type { Store } from "../store/store.js";
import type { Vault } from "../vault/vault.js";
import type { Remote } from "./admission.js";
import { Asks } from "./asks.js";
import type { OnPeerEvent } from "./events.js";
import { HeldNames } from "./held-names.js";
import type { Space } from "./space.js";

/** What a peer needs of its link. */
export interface RoomLink {
  readonly open: boolean;
  /** false: what is sent from now on piles up until the link has drained */
  sendRoom(bytes: Buffer): boolean;
}

/** The other side of one admitted link. */
export class Peer {
  /** grows with each link: the order in which peers are asked */
  readonly number: number;
  readonly remote: Remote;
  readonly asks: Asks;
  /** It takes and keeps what it is given, and so has what others want. */
  readonly isKeeper: boolean;
  /** what it said that it holds, and does not hold */
  readonly holds = new HeldNames();
  /** bytes of objects */
  received = 0;
  sent = 0;
  readonly #link: RoomLink;
  #blocked = false;

  /** @param recovers this side recovers its vault: whoever is there gives */
  constructor(
    number: number,
    remote: Remote,
    link: RoomLink,
    { system, recovers }: { system: System; recovers: boolean },
  ) {
    this.number = number;
    this.remote = remote;
    this.isKeeper = remote.keeps && (recovers || remote.recovering === undefined);
    this.#link = link;
    this.asks = new Asks(this, system);
  }

  get device(): Buffer {
    return this.remote.device;
  }

  get open(): boolean {
    return this.#link.open;
  }

  /** More waits to be sent than is good: nothing that can wait is sent until the link has drained. */
  get blocked(): boolean {
    return this.#blocked;
  }

  drained(): void {
    this.#blocked = false;
  }

  send(message: RoomMessage): void {
    if (!this.#link.open) return;
    if (!this.#link.sendRoom(encodeRoom(message))) this.#blocked = true;
  }
}

/** What the parts of the exchange are given. */
export interface Room {
  readonly vault: Vault;
  readonly store: Store;
  readonly system: System;
  readonly space: Space;
  /** takes logs, parts and objects; else it only asks for ranges */
  readonly takes: boolean;
  /** tells what it has, and signs for it */
  readonly gives: boolean;
  readonly emit: OnPeerEvent;
  say(message: string): void;
  /** admitted links that are open, oldest first */
  peers(): Iterable<Peer>;
  /** Is this vault ours, or a member's? */
  accepts(vault: Buffer): boolean;
  /** May this peer see what belongs to this vault? */
  shows(peer: Peer, vault: Buffer): boolean;
  /** A peer has told something new: what it did not have it may have now. */
  hasNews(peer: Peer): void;
  /** Something went wrong in what is done for a peer: its link ends. */
  trouble(peer: Peer, error: unknown): void;
}

/**
 * One object on its way here: pulled leaf by leaf, in order, from one peer at a time, every leaf proven before it is
 * written. The peer may change at any moment; what is written stays, here and over restarts.
 *
 *   begin → [ from(peer) → leaves … → lost(why) ]… → whole: hashed and moved to its place → done
 *                                                  ↘ failed: this machine's own trouble
 * @module
 */
import { swarm } from "../base/limits.js";
import type { System } from "../base/system.js";
import { leafCount } from "../format/leaves.js";
import type { Incoming } from "../store/incoming.js";
import type { Wanted } from "../store/ledger.js";
import { bytesOf, type LeavesAnswer, type Stretch, stretchesOf } from "./asks.js";
import type { Peer } from "./room.js";

/** What its owner does about it. */
export interface PullOwner {
  /** the peer does not have it, gives nothing any more, or is gone: another one is to be chosen */
  lost(pull: Pull, peer: Peer, why: "none" | "stalled" | "closed"): void;
  done(pull: Pull): void;
  failed(pull: Pull, error: unknown): void;
}

export class Pull {
  readonly wanted: Wanted;
  readonly #incoming: Incoming;
  readonly #system: System;
  readonly #owner: PullOwner;
  #peer: Peer | undefined;
  /** how to drop what is asked for and not here, by first leaf */
  readonly #asked = new Map<number, () => void>();
  /** arrived before those in front of them */
  readonly #early = new Map<number, Buffer>();
  /** the next leaf to ask for */
  #ahead = 0;
  #over = false;
  #cancelStall = (): void => {};

  constructor(wanted: Wanted, incoming: Incoming, system: System, owner: PullOwner) {
    this.wanted = wanted;
    this.#incoming = incoming;
    this.#system = system;
    this.#owner = owner;
  }

  /** who gives it now */
  get peer(): Peer | undefined {
    return this.#peer;
  }

  get isWhole(): boolean {
    return this.#incoming.isWhole;
  }

  /** Go on from this peer, where the last one stopped. */
  from(peer: Peer): void {
    this.#leave();
    this.#peer = peer;
    this.#ahead = this.#incoming.next;
    this.#progress();
    this.pump();
  }

  /** Ask for as much as there is credit for. */
  pump(): void {
    const peer = this.#peer;
    if (peer === undefined || this.#over || peer.blocked) return;
    const total = leafCount(this.wanted.length);
    while (this.#ahead < total && this.#asked.size < swarm.pullRequests) {
      const [stretch] = stretchesOf(this.wanted, this.#ahead, total) as [Stretch];
      if (!peer.asks.mayAsk(bytesOf(this.wanted, stretch), "pull")) return;
      this.#ahead += stretch.count;
      const drop = peer.asks.leaves(this.wanted, stretch, "pull", (answer) => this.#onAnswer(peer, stretch, answer));
      this.#asked.set(stretch.first, drop);
    }
  }

  #onAnswer(peer: Peer, stretch: Stretch, answer: LeavesAnswer): void {
    this.#asked.delete(stretch.first);
    if (typeof answer === "string") {
      this.#lose(peer, answer);
      return;
    }
    this.#progress();
    try {
      this.#early.set(stretch.first, answer);
      for (let next = this.#early.get(this.#incoming.next); next; next = this.#early.get(this.#incoming.next)) {
        this.#early.delete(this.#incoming.next);
        this.#incoming.write(this.#incoming.next, next);
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#incoming.isWhole) void this.finish();
    else this.pump();
  }

  /** All leaves are here: have the object at its place. */
  async finish(): Promise<void> {
    this.#leave();
    try {
      await this.#incoming.finish();
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#over) return;
    this.#over = true;
    this.#owner.done(this);
  }

  #progress(): void {
    this.#cancelStall();
    this.#cancelStall = this.#system.after(swarm.stallSeconds * 1000, () => {
      if (this.#peer !== undefined) this.#lose(this.#peer, "stalled");
    });
  }

  #lose(peer: Peer, why: "none" | "stalled" | "closed"): void {
    if (this.#over || peer !== this.#peer) return;
    this.#leave();
    this.#owner.lost(this, peer, why);
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.pause();
    this.#owner.failed(this, error);
  }

  /** Away from the present peer; what it still sends is dropped. */
  #leave(): void {
    this.#cancelStall();
    for (const drop of this.#asked.values()) drop();
    this.#asked.clear();
    this.#early.clear();
    this.#peer = undefined;
  }

  /** Let go of the object; what is here of it is kept. */
  pause(): void {
    if (this.#over) return;
    this.#over = true;
    this.#leave();
    this.#incoming.pause();
  }
}

/**
 * How far each log is known: here, and at every peer by its own word. What grows here is told to all who may see it and
 * do not know it yet, so records wander from peer to peer; a link that is full is told when it has drained.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import { swarm, wire } from "../base/limits.js";
import type { Head } from "../format/message.js";
import type { Peer, Room } from "./room.js";
import { violation } from "./violation.js";

/** What one peer said, and is to be told. */
interface Standing {
  readonly said: Map<string, Head>;
  readonly untold: Set<string>;
  /** it was told all that was known here when the link began, and has told all itself */
  toldAll: boolean;
  complete: boolean;
}

export class Heads {
  readonly #room: Room;
  readonly #grown: (head: Head) => void;
  readonly #here = new Map<string, Head>();
  /** how many logs of a vault are here */
  readonly #logs = new Map<string, number>();
  readonly #standings = new Map<Peer, Standing>();
  /** of the last look */
  #seen = "";
  #polls = 0;

  /** @param grown called for each log that reaches further than before, or is frozen now */
  constructor(room: Room, grown: (head: Head) => void) {
    this.#room = room;
    this.#grown = grown;
    for (const head of room.store.heads()) this.#set(head);
  }

  /** How far a log is known here. */
  get(log: Buffer): Head | undefined {
    return this.#here.get(toHex(log));
  }

  of(vault: Buffer): Head[] {
    return [...this.#here.values()].filter(({ scope }) => sameBytes(scope, vault));
  }

  count(vault: Buffer): number {
    return this.#logs.get(toHex(vault)) ?? 0;
  }

  /** Take in what this process, or another one of this home, has committed since the last look. */
  look(): void {
    const { store } = this.#room;
    store.refresh();
    this.#seen = store.seen;
    this.#polls = 0;
    for (const head of store.heads()) this.note(head);
  }

  /**
   * The same as it is done all the time. No other process writes to logs of others, so where the own ones have not grown
   * all files are looked at now and then only: for what has become of them on this disk.
   */
  poll(): void {
    const { store } = this.#room;
    store.refresh();
    if (store.seen !== this.#seen || ++this.#polls >= swarm.pollsOfAll) this.look();
  }

  note(head: Head): void {
    const before = this.get(head.log);
    if (before !== undefined && sameHead(before, head)) return;
    this.#set(head);
    this.#grown(head);
    this.#tell(head, false);
  }

  #set(head: Head): void {
    const key = toHex(head.log);
    if (!this.#here.has(key)) this.#logs.set(toHex(head.scope), this.count(head.scope) + 1);
    this.#here.set(key, head);
  }

  peerUp(peer: Peer): void {
    const untold = new Set(this.#tells(peer) ? this.#here.keys() : []);
    this.#standings.set(peer, { said: new Map(), untold, toldAll: !this.#tells(peer), complete: false });
    this.drained(peer);
  }

  /** Whoever keeps is told, and whoever recovers; who only asks for ranges is not. */
  #tells(peer: Peer): boolean {
    return this.#room.gives && (peer.isKeeper || peer.remote.recovering !== undefined);
  }

  peerDown(peer: Peer): void {
    this.#standings.delete(peer);
  }

  /** Objects of these logs are here that were not: who asked for them in vain asks again. */
  news(logs: Iterable<Buffer>): void {
    for (const log of logs) {
      const head = this.get(log);
      if (head !== undefined) this.#tell(head, true);
    }
  }

  /** @param anyway also to those who know the log as far as we do */
  #tell(mine: Head, anyway: boolean): void {
    for (const [peer, { said, untold }] of this.#standings) {
      if (!this.#tells(peer)) continue;
      const theirs = said.get(toHex(mine.log));
      // Who is ahead of us on the way there hears of the end of it.
      const knows = theirs !== undefined && (sameHead(theirs, mine) || (theirs.seq > mine.seq && !mine.frozen));
      if (knows && !anyway) continue;
      untold.add(toHex(mine.log));
      this.drained(peer);
    }
  }

  /** Tell what has not been told, as far as the link takes it. */
  drained(peer: Peer): void {
    const standing = this.#standings.get(peer);
    if (standing === undefined) return;
    const { untold } = standing;
    while ((untold.size > 0 || !standing.toldAll) && peer.open && !peer.blocked) {
      const keys = [...untold].slice(0, wire.headsPerMessage);
      for (const key of keys) untold.delete(key);
      const heads = keys.map((key) => this.#here.get(key) as Head).filter(({ scope }) => this.#room.shows(peer, scope));
      const more = untold.size > 0;
      if (heads.length > 0 || !standing.toldAll) peer.send({ type: "heads", heads, more });
      if (!more) standing.toldAll = true;
    }
  }

  /** A peer says how far it knows a log; vaults that are nobody's here are passed over. False for those. */
  hear(peer: Peer, head: Head): boolean {
    const said = this.#standings.get(peer)?.said;
    if (said === undefined || !this.#room.accepts(head.scope)) return false;
    const mine = this.get(head.log);
    if (mine !== undefined && !sameBytes(mine.scope, head.scope)) violation("it names another vault for a log");
    said.set(toHex(head.log), head);
    if (said.size > swarm.headsPerPeer) violation("it names more logs than anybody has");
    return true;
  }

  /** It has told all for now. */
  heardAll(peer: Peer): void {
    const standing = this.#standings.get(peer);
    if (standing !== undefined) standing.complete = true;
  }

  hasHeardAll(peer: Peer): boolean {
    return this.#standings.get(peer)?.complete === true;
  }

  said(peer: Peer, log: Buffer): Head | undefined {
    return this.#standings.get(peer)?.said.get(toHex(log));
  }

  /** It has less of the log than it said: it is not asked again before it says more. */
  unsay(peer: Peer, log: Buffer): void {
    this.#standings.get(peer)?.said.delete(toHex(log));
  }

  /** Who said what of a log, in the order of links. */
  *sayers(log: Buffer): Generator<{ peer: Peer; theirs: Head }> {
    const key = toHex(log);
    for (const [peer, { said }] of this.#standings) {
      const theirs = said.get(key);
      if (theirs !== undefined) yield { peer, theirs };
    }
  }

  /** All logs that any peer spoke of. */
  spokenOf(): Buffer[] {
    const logs = new Map<string, Buffer>();
    for (const { said } of this.#standings.values()) for (const [key, { log }] of said) logs.set(key, log);
    return [...logs.values()];
  }
}

function sameHead(a: Head, b: Head): boolean {
  return a.seq === b.seq && a.frozen === b.frozen && sameBytes(a.id, b.id);
}

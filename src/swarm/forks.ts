/**
 * Logs with two branches: two valid records of one device at one place. The log is frozen wherever that is seen: nothing
 * is added to it any more, all that either branch lists stays held, and the two records that prove it go to everybody.
 * The device itself goes on in a new log.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import { swarm } from "../base/limits.js";
import type { Head, RoomMessage } from "../format/message.js";
import type { Heads } from "./heads.js";
import type { Peer, Room } from "./room.js";
import { violation } from "./violation.js";

export class Forks {
  readonly #room: Room;
  readonly #heads: Heads;
  /** proof that concerns a part of a log that is not here yet, the log by hex: whatever branch comes, one of them is of another */
  readonly #early = new Map<string, Buffer[]>();
  #earlyCount = 0;
  /** frozen logs that were proved to a peer, by hex */
  readonly #proved = new Map<Peer, Set<string>>();

  constructor(room: Room, heads: Heads) {
    this.#room = room;
    this.#heads = heads;
  }

  peerUp(peer: Peer): void {
    this.#proved.set(peer, new Set());
  }

  peerDown(peer: Peer): void {
    this.#proved.delete(peer);
  }

  onFork(peer: Peer, { log, record }: Extract<RoomMessage, { type: "fork" }>): void {
    if (!peer.isKeeper) violation("it may ask, and not give");
    const head = this.#heads.get(log);
    if (head === undefined) this.#keepForLater(log, record);
    else if (!head.frozen && this.#room.accepts(head.scope)) this.weigh(head, record, peer);
  }

  #keepForLater(log: Buffer, record: Buffer): void {
    const key = toHex(log);
    const records = this.#early.get(key) ?? [];
    if (this.#earlyCount >= swarm.earlyProofs || records.some((known) => sameBytes(known, record))) return;
    this.#early.set(key, [...records, record]);
    this.#earlyCount++;
  }

  /** More of a log is here: does what was said of it earlier hold? */
  grown(head: Head): void {
    const records = this.#early.get(toHex(head.log)) ?? [];
    this.#early.delete(toHex(head.log));
    this.#earlyCount -= records.length;
    for (const record of records) this.weigh(head, record, undefined);
  }

  /** Does this record prove that the log has two branches? @param peer who sent it, just now */
  weigh(head: Head, record: Buffer, peer: Peer | undefined): void {
    const result = this.#room.store.acceptFork(head.log, record);
    if (result.outcome === "fork") this.found(head);
    else if (result.outcome === "gap") this.#keepForLater(head.log, record);
    else if (result.outcome === "refused" && peer !== undefined) violation(result.why);
  }

  /** A log has been frozen here just now. */
  found({ log, device }: Head): void {
    const own = this.#room.store.isOwn(log);
    this.#room.emit({ type: "fork", log, device, own });
    // The store has begun a new log, where this was the newest one.
    if (own)
      this.#room.say(
        `log ${toHex(log).slice(0, 16)} of this device has two branches: this home was copied or put back to an earlier state, and went on; it goes on in a new log`,
      );
    this.#heads.look();
    for (const peer of this.#proved.keys()) this.prove(peer, log);
  }

  /** Send the proof that a log is frozen, once, to a peer that does not know it. */
  prove(peer: Peer, log: Buffer): void {
    const head = this.#heads.get(log);
    const proved = this.#proved.get(peer);
    if (head?.frozen !== true || proved === undefined || !this.#room.gives || proved.has(toHex(log))) return;
    if (this.#heads.said(peer, log)?.frozen === true || !this.#room.shows(peer, head.scope)) return;
    proved.add(toHex(log));
    for (const record of this.#room.store.evidenceOf(log)) peer.send({ type: "fork", log, record });
  }
}

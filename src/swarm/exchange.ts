/**
 * Logs, both ways: each side says how far it knows every log, and asks for what the other has more of. Never more than
 * one question per log is open, so nothing comes twice; who does not answer in time is passed over. What grows here is
 * told to all others, so records wander from peer to peer.
 *
 * What contradicts itself is kept out by proof alone: records without the right signature cut the link that they came
 * over; two valid records at one place freeze the log on every side, and the proof is passed on.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { swarm, wire } from "../base/limits.js";
import type { Head, RoomMessage } from "../format/message.js";
import { decodeRecord, type LogRecord } from "../format/record.js";
import type { Accepted } from "../store/others.js";
import type { Peer, Room } from "./room.js";
import { violation } from "./violation.js";

type Of<T extends RoomMessage["type"]> = Extract<RoomMessage, { type: T }>;

/** A question for records that has no answer yet. */
interface Ask {
  readonly from: bigint;
  /** records of our own log that came before these and are not taken yet */
  readonly tail: readonly Buffer[];
  /** for the time until others are asked too */
  cancel(): void;
}

/** What one peer said, was asked and is to be told. */
interface Standing {
  readonly heads: Map<string, Head>;
  readonly asked: Map<string, Ask>;
  /** to be asked for when fewer questions are open */
  readonly queue: Set<string>;
  readonly untold: Set<string>;
  /** frozen logs that were proved to it */
  readonly proved: Set<string>;
}

export class Exchange {
  readonly #room: Room;
  readonly #grown: (head: Head) => void;
  readonly #heads = new Map<string, Head>();
  /** how many logs of a vault are known here */
  readonly #logs = new Map<string, number>();
  readonly #standings = new Map<Peer, Standing>();
  /** logs of which records are awaited, and from whom */
  readonly #awaited = new Map<string, Peer>();
  /** proof of a fork further on than the log is known here */
  readonly #early = new Map<string, Buffer>();
  readonly #told = new Set<string>();

  /** @param grown called for each log that reaches further than before, or is frozen now */
  constructor(room: Room, grown: (head: Head) => void) {
    this.#room = room;
    this.#grown = grown;
    for (const head of room.store.heads()) this.#set(head);
  }

  head(log: Buffer): Head | undefined {
    return this.#heads.get(toHex(log));
  }

  headsOf(vault: Buffer): Head[] {
    return [...this.#heads.values()].filter(({ scope }) => sameBytes(scope, vault));
  }

  /** No records are awaited from anybody. */
  get isDone(): boolean {
    return this.#awaited.size === 0;
  }

  /** What this process, or another one of this home, has committed since the last look is told to all. */
  look(): void {
    this.#room.store.refresh();
    for (const head of this.#room.store.heads()) this.#note(head);
  }

  #note(head: Head): void {
    const key = toHex(head.log);
    const before = this.#heads.get(key);
    if (before !== undefined && sameHead(before, head)) return;
    this.#set(head);
    this.#grown(head);
    this.#tell(key, false);
  }

  #set(head: Head): void {
    const scope = toHex(head.scope);
    if (!this.#heads.has(toHex(head.log))) this.#logs.set(scope, (this.#logs.get(scope) ?? 0) + 1);
    this.#heads.set(toHex(head.log), head);
  }

  peerUp(peer: Peer): void {
    const standing: Standing = {
      heads: new Map(),
      asked: new Map(),
      queue: new Set(),
      untold: new Set(),
      proved: new Set(),
    };
    this.#standings.set(peer, standing);
    if (!this.#room.gives || !(peer.isKeeper || peer.remote.recovering !== undefined)) return;
    for (const key of this.#heads.keys()) standing.untold.add(key);
    this.drained(peer);
  }

  peerDown(peer: Peer): void {
    const standing = this.#standings.get(peer);
    this.#standings.delete(peer);
    for (const [key, ask] of standing?.asked ?? []) {
      ask.cancel();
      if (this.#awaited.get(key) === peer) this.#awaited.delete(key);
      this.#consider(key);
    }
  }

  /** Objects of these logs are here that were not: who asked for them in vain asks again. */
  news(logs: Iterable<Buffer>): void {
    for (const log of logs) this.#tell(toHex(log), true);
  }

  /** @param anyway also to those who know the log as far as we do */
  #tell(key: string, anyway: boolean): void {
    if (!this.#room.gives) return;
    const mine = this.#heads.get(key) as Head;
    for (const [peer, { heads, untold }] of this.#standings) {
      if (!peer.isKeeper && peer.remote.recovering === undefined) continue;
      const theirs = heads.get(key);
      // Who is ahead of us on the way there hears of the end of it.
      if (!anyway && theirs !== undefined && (sameHead(theirs, mine) || (theirs.seq > mine.seq && !mine.frozen)))
        continue;
      untold.add(key);
      this.drained(peer);
    }
  }

  /** Tell what has not been told, as far as the link takes it. */
  drained(peer: Peer): void {
    const untold = this.#standings.get(peer)?.untold;
    while (untold !== undefined && untold.size > 0 && peer.open && !peer.blocked) {
      const keys = [...untold].slice(0, wire.headsPerMessage);
      for (const key of keys) untold.delete(key);
      const heads = keys
        .map((key) => this.#heads.get(key) as Head)
        .filter(({ scope }) => this.#room.shows(peer, scope));
      if (heads.length > 0) peer.send({ type: "heads", heads, more: untold.size > 0 });
    }
  }

  onHeads(peer: Peer, { heads }: Of<"heads">): void {
    const standing = this.#mayGive(peer);
    for (const head of heads) {
      if (!this.#room.accepts(head.scope)) continue;
      const key = toHex(head.log);
      const mine = this.#heads.get(key);
      if (mine !== undefined && !sameBytes(mine.scope, head.scope)) violation("it names another vault for a log");
      standing.heads.set(key, head);
      if (standing.heads.size > swarm.headsPerPeer) violation("it names more logs than anybody has");
      if (mine?.frozen === true && !head.frozen) this.#prove(peer, key);
      if (mine === undefined) this.#sayOther(head);
      this.#consider(key);
    }
    if (heads.length > 0) this.#room.hasNews(peer);
  }

  #mayGive(peer: Peer): Standing {
    const standing = this.#standings.get(peer);
    if (standing === undefined || !peer.isKeeper) return violation("it may ask, and not give");
    return standing;
  }

  /** Another log of this very device: a copied home, or one that was put back and has forgotten it. */
  #sayOther(head: Head): void {
    const key = toHex(head.log);
    if (!sameBytes(head.device, this.#room.vault.device) || this.#told.has(key)) return;
    this.#told.add(key);
    this.#room.emit({ type: "other-installation", log: head.log });
    this.#room.say(
      `another installation writes as this device: log ${key.slice(0, 16)} is not in this home; one home of a device, and one only, may run`,
    );
  }

  /** Ask for more of a log, where somebody has more and nobody is being asked. */
  #consider(key: string): void {
    if (this.#awaited.has(key) || !this.#room.takes || this.#room.space.paused) return;
    const mine = this.#heads.get(key);
    let best: { peer: Peer; theirs: Head } | undefined;
    for (const [peer, { heads, asked }] of this.#standings) {
      const theirs = heads.get(key);
      if (theirs === undefined || asked.has(key) || wantedFrom(mine, theirs) === undefined) continue;
      if (best === undefined || theirs.seq > best.theirs.seq) best = { peer, theirs };
    }
    if (best === undefined) return;
    const { peer, theirs } = best;
    if (mine === undefined && (this.#logs.get(toHex(theirs.scope)) ?? 0) >= swarm.logsPerVault) return;
    const { asked, queue } = this.#standings.get(peer) as Standing;
    if (asked.size >= swarm.recordAsks) queue.add(key);
    else this.#ask(peer, theirs.log, wantedFrom(mine, theirs) as bigint, []);
  }

  #ask(peer: Peer, log: Buffer, from: bigint, tail: readonly Buffer[]): void {
    const key = toHex(log);
    const cancel = this.#room.system.after(swarm.stallSeconds * 1000, () => {
      if (this.#awaited.get(key) === peer) this.#awaited.delete(key);
      this.#consider(key);
    });
    this.#awaited.set(key, peer);
    this.#standings.get(peer)?.asked.set(key, { from, tail, cancel });
    peer.send({ type: "askRecords", log, from });
  }

  answer(peer: Peer, { log, from }: Of<"askRecords">): void {
    const key = toHex(log);
    const head = this.#heads.get(key);
    const shown = head !== undefined && this.#room.shows(peer, head.scope);
    const records = shown
      ? this.#room.store.recordsOf(log, from, wire.recordBytesPerMessage).slice(0, wire.recordsPerMessage)
      : [];
    peer.send({ type: "records", log, records });
    if (head?.frozen === true && shown) this.#prove(peer, key);
  }

  onRecords(peer: Peer, { log, records }: Of<"records">): void {
    const standing = this.#mayGive(peer);
    const key = toHex(log);
    const ask = standing.asked.get(key) ?? violation("it sent records that nobody asked for");
    standing.asked.delete(key);
    ask.cancel();
    if (this.#awaited.get(key) === peer) this.#awaited.delete(key);
    const theirs = standing.heads.get(key);
    try {
      if (theirs === undefined || !this.#room.accepts(theirs.scope)) return;
      const first = records[0] && this.#first(records[0], log, ask.from);
      // Less than it said: it is not asked again before it says more.
      if (first === undefined) standing.heads.delete(key);
      else if (this.#room.store.isOwn(log)) this.#takeOwn(peer, theirs, ask, first, records);
      else this.#take(peer, theirs, ask, records);
    } catch (error) {
      if (!this.#room.space.isFull(error)) throw error;
    } finally {
      this.#consider(key);
      const [next] = standing.queue;
      if (next !== undefined) {
        standing.queue.delete(next);
        this.#consider(next);
      }
    }
  }

  /** The first of the records that were asked for; undefined for one that only a newer version reads. */
  #first(bytes: Buffer, log: Buffer, seq: bigint): LogRecord | undefined {
    try {
      const record = decodeRecord(bytes);
      if (record.seq !== seq || !sameBytes(record.log, log)) violation("it sent other records than those asked for");
      return record;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return error.code === "unsupported" ? undefined : violation(error.message);
    }
  }

  #take(peer: Peer, theirs: Head, ask: Ask, records: readonly Buffer[]): void {
    const { store } = this.#room;
    const forget = (): unknown => this.#standings.get(peer)?.heads.delete(toHex(theirs.log));
    const result = store.acceptRecords(theirs.log, records, (vault) => this.#room.accepts(vault));
    if (result.outcome === "accepted") {
      this.#room.space.wrote();
      this.#note(result.head);
      this.#tryEarly(result.head);
    } else if (result.outcome === "gap" && result.head !== undefined && ask.from > result.head.seq)
      // Its records do not follow ours: one of both that stand in the same place shows why.
      this.#ask(peer, theirs.log, result.head.seq, []);
    else if (result.outcome === "fork") this.#forked(theirs, result);
    else if (result.outcome === "refused" && this.#room.accepts(theirs.scope)) violation(result.why);
    else forget();
  }

  /** A peer knows more of a log of our own than we do: our home was put back to an earlier state. */
  #takeOwn(peer: Peer, theirs: Head, ask: Ask, first: LogRecord, records: readonly Buffer[]): void {
    const { store } = this.#room;
    const { log } = theirs;
    const mine = this.#heads.get(toHex(log)) as Head;
    if (ask.from <= mine.seq) {
      this.#tryFork(peer, theirs, records[0] as Buffer);
      return;
    }
    if (ask.tail.length === 0 && !sameBytes(first.previous, mine.id)) {
      this.#ask(peer, log, mine.seq, []);
      return;
    }
    const tail = [...ask.tail, ...records];
    const bytes = tail.reduce((sum, { length }) => sum + length, 0);
    const next = ask.from + BigInt(records.length);
    if (next <= theirs.seq && bytes < swarm.ownTailBytes) {
      this.#ask(peer, log, next, tail);
      return;
    }
    store.acceptOwnTail(log, tail);
    this.#room.emit({ type: "own-log-ahead", log, records: tail.length });
    this.look();
  }

  onFork(peer: Peer, { log, record }: Of<"fork">): void {
    this.#mayGive(peer);
    const head = this.#heads.get(toHex(log));
    if (head !== undefined && this.#room.accepts(head.scope)) this.#tryFork(peer, head, record);
    else if (this.#early.size < swarm.logsPerVault) this.#early.set(toHex(log), record);
  }

  /** Does this record prove that the log has two branches? */
  #tryFork(peer: Peer | undefined, head: Head, record: Buffer): void {
    const key = toHex(head.log);
    const result = this.#room.store.acceptFork(head.log, record);
    if (result.outcome === "fork") this.#forked(head, result);
    else if (result.outcome === "gap") this.#early.set(key, record);
    else if (result.outcome === "refused" && peer !== undefined) violation(result.why);
    else if (peer !== undefined) this.#standings.get(peer)?.heads.delete(key);
  }

  #tryEarly(head: Head): void {
    const record = this.#early.get(toHex(head.log));
    if (record === undefined) return;
    this.#early.delete(toHex(head.log));
    this.#tryFork(undefined, head, record);
  }

  /** The log is frozen here from now on; all others get the proof. */
  #forked({ log, device }: Head, _proof: Extract<Accepted, { outcome: "fork" }>): void {
    const own = this.#room.store.isOwn(log);
    this.#room.emit({ type: "fork", log, device, own });
    if (own)
      this.#room.store.beginAnew(
        `the log ${toHex(log).slice(0, 16)} of this device has two branches: this home was copied or put back to an earlier state; the device goes on in a new log`,
      );
    this.look();
    for (const peer of this.#standings.keys()) this.#prove(peer, toHex(log));
  }

  #prove(peer: Peer, key: string): void {
    const standing = this.#standings.get(peer);
    const head = this.#heads.get(key);
    if (standing === undefined || head === undefined || !this.#room.gives || standing.proved.has(key)) return;
    if (standing.heads.get(key)?.frozen === true || !this.#room.shows(peer, head.scope)) return;
    standing.proved.add(key);
    for (const record of this.#room.store.evidenceOf(head.log)) peer.send({ type: "fork", log: head.log, record });
  }

  /** There is room on the disk again, or a vault has become a member's: all logs are looked at. */
  again(): void {
    const keys = new Set([...this.#standings.values()].flatMap(({ heads }) => [...heads.keys()]));
    for (const key of keys) this.#consider(key);
  }

  close(): void {
    for (const { asked } of this.#standings.values()) for (const { cancel } of asked.values()) cancel();
    this.#standings.clear();
  }
}

function sameHead(a: Head, b: Head): boolean {
  return a.seq === b.seq && a.frozen === b.frozen && sameBytes(a.id, b.id);
}

/** The first record that is missing here, or the one that tells which branch the other side is on. */
function wantedFrom(mine: Head | undefined, theirs: Head): bigint | undefined {
  if (mine === undefined) return 0n;
  if (mine.frozen) return undefined;
  if (theirs.seq > mine.seq) return mine.seq + 1n;
  return theirs.seq === mine.seq && !sameBytes(theirs.id, mine.id) ? mine.seq : undefined;
}

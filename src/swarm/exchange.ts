/**
 * Logs, both ways: each side says how far it knows every log, and asks for what the other has more of. Never more than
 * one question per log is open, so nothing comes twice; who does not answer in time is passed over.
 *
 * What contradicts itself is kept out by proof alone: records without the right signature cut the link that they came
 * over; two valid records at one place freeze the log on every side. A log of this device's own that others know further,
 * or otherwise, is taken like any other; the store then goes on in a new one.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { swarm, wire } from "../base/limits.js";
import type { Head, RoomMessage } from "../format/message.js";
import { decodeRecord } from "../format/record.js";
import { Forks } from "./forks.js";
import { middleOf, type Parting, partingBefore, partOf } from "./parting.js";
import type { Heads } from "./heads.js";
import type { Peer, Room } from "./room.js";
import { violation } from "./violation.js";

type Of<T extends RoomMessage["type"]> = Extract<RoomMessage, { type: T }>;

/** A question for records that has no answer yet. */
interface Ask {
  readonly from: bigint;
  /** what is known of where a log of our own parts from the peer's */
  readonly parting: Parting | undefined;
  /** ns */
  readonly since: bigint;
  /** ends the time until others are asked too */
  cancel(): void;
}

/** What one peer is asked. */
interface Asked {
  readonly open: Map<string, Ask>;
  /** logs to be asked for when fewer questions are open */
  readonly queue: Map<string, Buffer>;
}

export class Exchange {
  readonly #room: Room;
  readonly #heads: Heads;
  readonly #forks: Forks;
  readonly #asked = new Map<Peer, Asked>();
  /** logs of which records are awaited, and from whom */
  readonly #awaited = new Map<string, Peer>();
  /** own logs, by hex, of which somebody has proved two branches, while it is looked for where they part */
  readonly #proofs = new Map<string, Buffer>();

  constructor(room: Room, heads: Heads) {
    this.#room = room;
    this.#heads = heads;
    this.#forks = new Forks(room, heads);
  }

  /** No records are awaited from anybody, and every peer that keeps has said how far it knows what it knows. */
  get isDone(): boolean {
    if (this.#awaited.size > 0) return false;
    for (const peer of this.#asked.keys()) if (peer.isKeeper && !this.#heads.hasHeardAll(peer)) return false;
    return true;
  }

  /** When the oldest question that a peer has not answered was asked; undefined where there is none. */
  waitingSince(peer: Peer): bigint | undefined {
    const [oldest] = this.#asked.get(peer)?.open.values() ?? [];
    return oldest?.since;
  }

  peerUp(peer: Peer): void {
    this.#asked.set(peer, { open: new Map(), queue: new Map() });
    this.#forks.peerUp(peer);
    this.#heads.peerUp(peer);
  }

  peerDown(peer: Peer): void {
    const { open } = this.#asked.get(peer) as Asked;
    this.#asked.delete(peer);
    this.#forks.peerDown(peer);
    this.#heads.peerDown(peer);
    for (const [key, ask] of open) {
      ask.cancel();
      if (this.#awaited.get(key) !== peer) continue;
      this.#awaited.delete(key);
      this.#consider(Buffer.from(key, "hex"));
    }
  }

  onHeads(peer: Peer, { heads, more }: Of<"heads">): void {
    if (!peer.isKeeper) violation("it may ask, and not give");
    for (const head of heads) {
      if (!this.#heads.hear(peer, head)) continue;
      const mine = this.#heads.get(head.log);
      if (mine?.frozen === true) this.#forks.prove(peer, head.log);
      if (wantedFrom(mine, head) !== undefined) this.#consider(head.log);
    }
    if (!more) this.#heads.heardAll(peer);
    if (heads.length > 0) this.#room.hasNews(peer);
  }

  /** Proof that a log of ours has two branches waits until it is known where they part: what is older is not told again. */
  onFork(peer: Peer, message: Of<"fork">): void {
    const { log, record } = message;
    const { store, takes } = this.#room;
    const isOpen = takes && peer.isKeeper && store.isOwn(log) && this.#heads.get(log)?.frozen === false;
    const parting = isOpen ? partingBefore(store, log, record) : undefined;
    const key = toHex(log);
    const { open } = this.#asked.get(peer) as Asked;
    if (parting === undefined || (open.has(key) && !this.#awaited.has(key))) this.#forks.onFork(peer, message);
    else {
      this.#proofs.set(key, record);
      if (!this.#awaited.has(key)) this.#ask(peer, log, middleOf(parting), parting);
    }
  }

  /** Nobody told where the branches part: then the proof is all that there is. */
  #weighProof(log: Buffer): void {
    const proof = this.#proofs.get(toHex(log));
    const head = this.#heads.get(log);
    this.#proofs.delete(toHex(log));
    if (proof !== undefined && head !== undefined) this.#forks.weigh(head, proof, undefined);
  }

  /** Another log of this very device: of a copy of this home, or forgotten when the home was put back. */
  #sayOther({ device, log }: Head): void {
    const key = toHex(log);
    if (!sameBytes(device, this.#room.vault.device)) return;
    this.#room.emit({ type: "other-installation", log });
    this.#room.say(
      `another installation writes as this device: log ${key.slice(0, 16)} is not of this home; if this home is a copy, remove it and let the machine recover as a device of its own`,
    );
  }

  /** Ask for more of a log, where somebody has more and nobody is being asked. */
  #consider(log: Buffer): void {
    const key = toHex(log);
    if (this.#awaited.has(key) || !this.#room.takes || this.#room.space.paused) return;
    this.#weighProof(log);
    const mine = this.#heads.get(log);
    let best: { peer: Peer; theirs: Head } | undefined;
    const busy: Asked[] = [];
    for (const { peer, theirs } of this.#heads.sayers(log)) {
      const asked = this.#asked.get(peer) as Asked;
      if (asked.open.has(key) || wantedFrom(mine, theirs) === undefined) continue;
      if (mine === undefined && this.#heads.count(theirs.scope) >= swarm.logsPerVault) return;
      if (asked.open.size >= swarm.recordAsks) busy.push(asked);
      else if (best === undefined || theirs.seq > best.theirs.seq) best = { peer, theirs };
    }
    // Whoever claims most may be the one that gives nothing: another that is free is asked meanwhile.
    if (best === undefined) for (const { queue } of busy) queue.set(key, log);
    else this.#ask(best.peer, log, wantedFrom(mine, best.theirs) as bigint, undefined);
  }

  #ask(peer: Peer, log: Buffer, from: bigint, parting: Parting | undefined): void {
    const key = toHex(log);
    const cancel = this.#room.system.after(swarm.stallSeconds * 1000, () => {
      if (this.#awaited.get(key) === peer) this.#awaited.delete(key);
      this.#consider(log);
    });
    this.#awaited.set(key, peer);
    this.#asked.get(peer)?.open.set(key, { from, parting, since: this.#room.system.now(), cancel });
    peer.send({ type: "askRecords", log, from });
  }

  answer(peer: Peer, { log, from }: Of<"askRecords">): void {
    const head = this.#heads.get(log);
    const shown = head !== undefined && this.#room.shows(peer, head.scope);
    const most = wire.recordBytesPerMessage;
    const records = shown ? this.#room.store.recordsOf(log, from, most).slice(0, wire.recordsPerMessage) : [];
    peer.send({ type: "records", log, records });
    this.#forks.prove(peer, log);
  }

  onRecords(peer: Peer, { log, records }: Of<"records">): void {
    const key = toHex(log);
    const asked = this.#asked.get(peer);
    const ask = asked?.open.get(key);
    if (asked === undefined || ask === undefined) violation("it sent records that nobody asked for");
    asked.open.delete(key);
    ask.cancel();
    if (this.#awaited.get(key) === peer) this.#awaited.delete(key);
    try {
      this.#take(peer, log, ask, records);
    } catch (error) {
      if (!this.#room.space.isFull(error)) throw error;
    }
    this.#consider(log);
    const [next] = asked.queue.values();
    if (next === undefined) return;
    asked.queue.delete(toHex(next));
    this.#consider(next);
  }

  #take(peer: Peer, log: Buffer, ask: Ask, records: readonly Buffer[]): void {
    const { store } = this.#room;
    const theirs = this.#heads.said(peer, log);
    if (theirs === undefined || !this.#room.accepts(theirs.scope)) return;
    if (records[0] === undefined || !isReadable(records[0], log, ask.from)) {
      this.#heads.unsay(peer, log);
      return;
    }
    if (store.isOwn(log)) {
      const step = partOf(store, log, records[0], ask.parting);
      if (step === "nowhere") {
        if (!this.#proofs.has(toHex(log))) violation("its records contradict each other");
        return;
      }
      if (typeof step === "object") {
        this.#ask(peer, log, middleOf(step), step);
        return;
      }
      // The very record by which the branches part: what is in ours alone is told again, and no more than that.
      if (step === "found") {
        this.#forks.weigh(theirs, records[0], peer);
        return;
      }
    }
    const isNew = this.#heads.get(log) === undefined;
    const result = store.acceptRecords(log, records, (vault) => this.#room.accepts(vault));
    if (result.outcome === "accepted") {
      this.#room.space.wrote();
      // This home was put back to an earlier state: the store goes on in a new log, which is not told of here.
      if (store.isOwn(log)) {
        this.#room.emit({ type: "own-log-ahead", log, records: records.length });
        this.#heads.look();
      } else {
        if (isNew) this.#sayOther(result.head);
        this.#heads.note(result.head);
      }
      this.#forks.grown(result.head);
    } else if (result.outcome === "fork") this.#forks.found(theirs);
    else if (result.outcome === "refused" && this.#room.accepts(theirs.scope)) violation(result.why);
    else this.#heads.unsay(peer, log);
  }

  /** There is room on the disk again, or the coop has changed: all logs are looked at. */
  again(): void {
    for (const log of this.#heads.spokenOf()) this.#consider(log);
  }

  close(): void {
    for (const { open } of this.#asked.values()) for (const { cancel } of open.values()) cancel();
  }
}

/** The first record that is missing here, or the one that tells which branch the other side is on. */
function wantedFrom(mine: Head | undefined, theirs: Head): bigint | undefined {
  if (mine === undefined) return 0n;
  if (mine.frozen) return undefined;
  if (theirs.seq > mine.seq) return mine.seq + 1n;
  return theirs.seq === mine.seq && !sameBytes(theirs.id, mine.id) ? mine.seq : undefined;
}

/** Are these the records that were asked for? False where only a newer version reads them. */
function isReadable(first: Buffer, log: Buffer, seq: bigint): boolean {
  try {
    const record = decodeRecord(first);
    if (record.seq !== seq || !sameBytes(record.log, log)) violation("it sent other records than those asked for");
    return true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return error.code === "unsupported" ? false : violation(error.message);
  }
}

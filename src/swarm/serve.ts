/**
 * What this side answers: one question after the other for each peer, and none while what was answered has not been
 * sent. A peer that asks faster than it takes the answers is cut. Nothing is shown to a peer that may not see it.
 * @module
 */
import { Problem } from "../base/errors.js";
import { noLeavesReasons, type RoomMessage } from "../format/message.js";
import { swarm } from "../base/limits.js";
import { LeafServer, objectLength } from "../store/objects.js";
import type { Peer, Room } from "./room.js";
import { violation } from "./violation.js";

export type Question = Extract<RoomMessage, { type: `ask${string}` }>;
type Of<T extends Question["type"]> = Extract<Question, { type: T }>;

export function isQuestion(message: { readonly type: string }): message is Question {
  return message.type.startsWith("ask");
}

/** Who knows of logs, parts and receipts, and what to do about damage. */
export interface Answers {
  records(peer: Peer, question: Of<"askRecords">): void;
  part(peer: Peer, question: Of<"askPart">): void;
  receipts(peer: Peer, question: Of<"askReceipts">): void;
  vaultOf(log: Buffer): Buffer | undefined;
  /** told once of an object whose file here is not what its name says */
  damaged(name: Buffer): void;
}

export class Serving {
  readonly #room: Room;
  readonly #answers: Answers;
  readonly #leaves: LeafServer;
  readonly #waiting = new Map<Peer, Question[]>();
  readonly #busy = new Set<Peer>();
  /** whose logs list an object */
  readonly #vaults = new Map<string, readonly Buffer[]>();
  readonly #said = new Set<string>();

  constructor(room: Room, answers: Answers) {
    this.#room = room;
    this.#answers = answers;
    this.#leaves = new LeafServer(room.vault.home, room.system, (name) => answers.damaged(name));
  }

  ask(peer: Peer, question: Question): void {
    const waiting = this.#waiting.get(peer) ?? [];
    this.#waiting.set(peer, waiting);
    const isLarge = question.type === "askLeaves" || question.type === "askHeld";
    if (waiting.length >= (isLarge ? swarm.questions : swarm.plainQuestions))
      violation("it asks more than it takes answers for");
    waiting.push(question);
    void this.#serve(peer);
  }

  drained(peer: Peer): void {
    void this.#serve(peer);
  }

  peerDown(peer: Peer): void {
    this.#waiting.delete(peer);
  }

  async #serve(peer: Peer): Promise<void> {
    if (this.#busy.has(peer)) return;
    this.#busy.add(peer);
    try {
      while (peer.open && !peer.blocked) {
        const question = this.#waiting.get(peer)?.shift();
        if (question === undefined) break;
        await this.#answer(peer, question);
      }
    } catch (error) {
      this.#room.trouble(peer, error);
    } finally {
      this.#busy.delete(peer);
    }
  }

  #answer(peer: Peer, question: Question): void | Promise<void> {
    if (question.type === "askLeaves") return this.#sendLeaves(peer, question);
    if (question.type === "askHeld") return this.#sendHeld(peer, question);
    if (question.type === "askRecords") return this.#answers.records(peer, question);
    if (question.type === "askReceipts") return this.#answers.receipts(peer, question);
    return this.#answers.part(peer, question);
  }

  async #sendLeaves(peer: Peer, { request, name, length, first, count }: Of<"askLeaves">): Promise<void> {
    let reason: number = noLeavesReasons.missing;
    try {
      const found = this.#shows(peer, name) ? await this.#leaves.read(name, length, first, count) : undefined;
      if (found !== undefined) {
        peer.sent += found.bytes.length;
        peer.send({ type: "leaves", request, first, ...found });
        return;
      }
    } catch (error) {
      // A sector that does not read is no fault of who asks, and others may hold the object.
      if (!(error instanceof Problem)) throw error;
      this.#sayOnce(error.message);
      reason = noLeavesReasons.damaged;
    }
    peer.send({ type: "noLeaves", request, reason });
  }

  #sayOnce(message: string): void {
    if (this.#said.has(message)) return;
    if (this.#said.size >= swarm.saidOnce) this.#said.clear();
    this.#said.add(message);
    this.#room.say(message);
  }

  #sendHeld(peer: Peer, { request, names }: Of<"askHeld">): void {
    const bits = Buffer.alloc(Math.ceil(names.length / 8));
    names.forEach((name, i) => {
      if (objectLength(this.#room.vault.home, name) !== undefined && this.#shows(peer, name))
        bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
    });
    peer.send({ type: "held", request, bits });
  }

  /** Is the object listed by any log that this peer may see? To whom it is not shown, it is not here. */
  #shows(peer: Peer, name: Buffer): boolean {
    const key = name.toString("latin1");
    const isShown = (vault: Buffer): boolean => this.#room.shows(peer, vault);
    if (this.#vaults.get(key)?.some(isShown) === true) return true;
    // Asked of every log: so it is remembered, and asked again only where it is not enough.
    const vaults = this.#room.store.ledger.listers(name).flatMap((log) => this.#answers.vaultOf(log) ?? []);
    if (this.#vaults.size >= swarm.heldNames) this.#vaults.clear();
    if (vaults.length > 0) this.#vaults.set(key, vaults);
    return vaults.some(isShown);
  }
}

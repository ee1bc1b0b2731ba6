/**
 * What has been asked of one peer and not been answered yet: ranges of objects, and which objects it holds. The stream
 * holds nobody back, so what may arrive at any moment is bounded by what was asked for: the credit of the link. Every
 * range is verified here, before anybody else sees it.
 * @module
 */
import { Problem } from "../base/errors.js";
import { format, swarm, wire } from "../base/limits.js";
import type { System } from "../base/system.js";
import { leafCount, verifyLeaves } from "../format/leaves.js";
import type { RoomMessage } from "../format/message.js";
import type { ObjectId } from "../store/source.js";
import type { HeldNames } from "./held-names.js";
import { violation } from "./violation.js";

/** The side that is asked. */
export interface Asked {
  readonly holds: HeldNames;
  /** bytes of objects that came from it */
  received: number;
  send(message: RoomMessage): void;
}

/** Verified bytes; "none": the peer does not have them; "closed": the link ended. */
export type LeavesAnswer = Buffer | "none" | "closed";
/** One flag for each name; undefined: the link ended. */
export type HeldAnswer = readonly boolean[] | undefined;

/** Pulled for keeping, or read because somebody waits: reads may use what pulls must leave free. */
export type Purpose = "pull" | "read";

interface LeavesAsk {
  readonly object: ObjectId;
  readonly first: number;
  readonly bytes: number;
  readonly purpose: Purpose;
  readonly since: bigint;
  /** undefined: nobody wants it any more */
  answer: ((answer: LeavesAnswer) => void) | undefined;
}

interface HeldAsk {
  readonly names: readonly Buffer[];
  readonly answer: (answer: HeldAnswer) => void;
}

/** What answers questions of this kind. */
export type AskAnswer = Extract<RoomMessage, { type: "leaves" | "noLeaves" | "held" }>;
type Of<T extends RoomMessage["type"]> = Extract<RoomMessage, { type: T }>;

/** Leaves of one request. */
export interface Stretch {
  readonly first: number;
  readonly count: number;
}

/** The requests that fetch the leaves from `from` up to and without `to` of an object. */
export function stretchesOf(object: ObjectId, from = 0, to = leafCount(object.length)): Stretch[] {
  const stretches: Stretch[] = [];
  for (let first = from; first < to; first += wire.leavesPerRequest)
    stretches.push({ first, count: Math.min(wire.leavesPerRequest, to - first) });
  return stretches;
}

export function bytesOf(object: ObjectId, { first, count }: Stretch): number {
  return Math.min(object.length, (first + count) * format.leafBytes) - first * format.leafBytes;
}

export class Asks {
  readonly #peer: Asked;
  readonly #system: System;
  readonly #leaves = new Map<number, LeavesAsk>();
  /** several questions in one */
  readonly #held = new Map<number, { readonly asks: readonly HeldAsk[]; readonly since: bigint }>();
  #heldNext: HeldAsk[] = [];
  #last = 0;
  #bytes = 0;
  #pulls = 0;

  constructor(peer: Asked, system: System) {
    this.#peer = peer;
    this.#system = system;
  }

  /** bytes asked for and not here */
  get bytes(): number {
    return this.#bytes;
  }

  /** Is there credit for so many bytes more? */
  mayAsk(bytes: number, purpose: Purpose): boolean {
    if (this.#bytes + bytes > swarm.linkCreditBytes || this.#leaves.size >= swarm.leavesRequests) return false;
    return purpose === "read" || this.#pulls < swarm.pullRequests;
  }

  /**
   * Ask for leaves of an object; `mayAsk` first. `answer` is called once, with bytes that are proven to be the object's.
   * The result calls it off: the answer, when it comes, is dropped.
   */
  leaves(object: ObjectId, stretch: Stretch, purpose: Purpose, answer: (answer: LeavesAnswer) => void): () => void {
    const request = this.#number();
    const bytes = bytesOf(object, stretch);
    const ask: LeavesAsk = { object, first: stretch.first, bytes, purpose, since: this.#system.now(), answer };
    this.#leaves.set(request, ask);
    this.#bytes += bytes;
    if (purpose === "pull") this.#pulls++;
    this.#peer.send({ type: "askLeaves", request, name: object.name, length: object.length, ...stretch });
    return () => {
      ask.answer = undefined;
    };
  }

  /** Ask which of at most 1,024 objects the peer holds; what it says is remembered in `peer.holds`. */
  held(names: readonly Buffer[], answer: (answer: HeldAnswer) => void): void {
    if (names.length > wire.names) throw new RangeError(`expected at most ${wire.names} names, got ${names.length}`);
    this.#heldNext.push({ names, answer });
    this.#sendHeld();
  }

  /** Few questions at a time, and in each as many names as there are by then. */
  #sendHeld(): void {
    while (this.#heldNext.length > 0 && this.#held.size < swarm.heldRequests) {
      let count = 0;
      const fits = this.#heldNext.findIndex(({ names }) => {
        count += names.length;
        return count > wire.names;
      });
      const asks = this.#heldNext.splice(0, fits < 0 ? this.#heldNext.length : fits);
      const request = this.#number();
      this.#held.set(request, { asks, since: this.#system.now() });
      this.#peer.send({ type: "askHeld", request, names: asks.flatMap(({ names }) => names) });
    }
  }

  #number(): number {
    this.#last = this.#last === 0xffff_ffff ? 1 : this.#last + 1;
    return this.#last;
  }

  /** The answer to a question of ours; a violation where none was asked. */
  onAnswer(message: AskAnswer): void {
    if (message.type === "leaves") this.#onLeaves(message);
    else if (message.type === "noLeaves") this.#onNoLeaves(message);
    else this.#onHeld(message);
  }

  #onLeaves({ request, first, proof, bytes }: Of<"leaves">): void {
    const ask = this.#taken(request);
    if (first !== ask.first || bytes.length !== ask.bytes) violation("it sent other leaves than those asked for");
    try {
      verifyLeaves(ask.object.name, ask.object.length, first, bytes, proof);
    } catch (error) {
      if (error instanceof Problem) violation(error.message);
      throw error;
    }
    this.#peer.received += bytes.length;
    ask.answer?.(bytes);
  }

  #onNoLeaves({ request }: Of<"noLeaves">): void {
    const ask = this.#taken(request);
    this.#peer.holds.refuse(ask.object, this.#system.now());
    ask.answer?.("none");
  }

  #onHeld({ request, bits }: Of<"held">): void {
    const { asks } = this.#held.get(request) ?? violation("it answered what was not asked");
    this.#held.delete(request);
    const total = asks.reduce((sum, { names }) => sum + names.length, 0);
    if (bits.length !== Math.ceil(total / 8)) violation("it answered for another number of objects");
    const now = this.#system.now();
    let at = 0;
    const answers = asks.map(({ names, answer }) => {
      const flags = names.map((name) => {
        const held = (((bits[at >> 3] as number) >> (at & 7)) & 1) === 1;
        at++;
        this.#peer.holds.set(name, held, now);
        return held;
      });
      return { answer, flags };
    });
    this.#sendHeld();
    for (const { answer, flags } of answers) answer(flags);
  }

  #taken(request: number): LeavesAsk {
    const ask = this.#leaves.get(request) ?? violation("it answered what was not asked");
    this.#leaves.delete(request);
    this.#bytes -= ask.bytes;
    if (ask.purpose === "pull") this.#pulls--;
    return ask;
  }

  /** When the oldest question that has no answer was asked; undefined where there is none. */
  get waitingSince(): bigint | undefined {
    const [leaves, held] = [this.#leaves, this.#held].map((asks) => asks.values().next().value?.since);
    return leaves === undefined || (held !== undefined && held < leaves) ? held : leaves;
  }

  /** The link has ended: nothing will be answered. */
  close(): void {
    const leaves = [...this.#leaves.values()];
    const held = [...[...this.#held.values()].flatMap(({ asks }) => asks), ...this.#heldNext];
    this.#leaves.clear();
    this.#held.clear();
    this.#heldNext = [];
    this.#bytes = 0;
    this.#pulls = 0;
    for (const { answer } of leaves) answer?.("closed");
    for (const { answer } of held) answer(undefined);
  }
}

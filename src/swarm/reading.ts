/**
 * Ranges of objects for somebody who waits: the `Source` that the store asks for what is not here. Each stretch is asked
 * of a peer that says it holds the object, after two seconds of a second one too, and what comes first and is true
 * counts. While nobody has it the read waits, so long that a machine that restarts would be back; then it fails.
 * @module
 */
import { toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { format, swarm, wire } from "../base/limits.js";
import { leafCount } from "../format/leaves.js";
import type { ObjectId, Source } from "../store/source.js";
import { bytesOf, type LeavesAnswer, type Stretch, stretchesOf } from "./asks.js";
import type { Peer, Room } from "./room.js";

export class Reading implements Source {
  readonly #room: Room;
  readonly #patienceMs: number;
  /** in the order in which they were asked for */
  readonly #waiting = new Set<Wait>();
  /** who is being asked whether it holds an object: "peer name" */
  readonly #asking = new Set<string>();
  #closed = false;

  /** @param patienceMs how long one waits for bytes that nobody gives */
  constructor(room: Room, patienceMs: number) {
    this.#room = room;
    this.#patienceMs = patienceMs;
  }

  /** A link came or went, an answer arrived, a peer has news: what waits is looked at again. */
  changed(): void {
    for (const wait of [...this.#waiting]) if (this.#waiting.has(wait)) wait.advance();
  }

  async range(object: ObjectId, offset: number, length: number): Promise<Buffer> {
    if (offset < 0 || length < 0 || offset + length > object.length)
      throw new Problem("damaged", `a range beyond the end of object ${hexStart(object.name)} was asked for`);
    if (length === 0) return Buffer.alloc(0);
    const first = Math.floor(offset / format.leafBytes);
    const end = Math.min(leafCount(object.length), Math.ceil((offset + length) / format.leafBytes));
    const stretches = stretchesOf(object, first, end);
    const pieces = await Promise.all(stretches.map((stretch) => this.#stretch(object, stretch)));
    const from = offset - first * format.leafBytes;
    return Buffer.concat(pieces).subarray(from, from + length);
  }

  #stretch(object: ObjectId, stretch: Stretch): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const wait: Wait = new Read(this.#room, object, stretch, this.#patienceMs, {
        holder: (but) => this.#holder(object, bytesOf(object, stretch), but),
        done: (result) => {
          this.#waiting.delete(wait);
          if (result instanceof Problem) reject(result);
          else resolve(result);
        },
      });
      this.#begin(wait);
    });
  }

  #begin(wait: Wait): void {
    this.#waiting.add(wait);
    if (this.#closed) wait.fail(closedProblem());
    else wait.advance();
  }

  /**
   * A peer that holds it, is not among those asked, and has credit left; "busy" where only credit is missing. Whoever has
   * not been asked whether it holds it is asked; who did not hold it a moment ago is asked again.
   */
  #holder(object: ObjectId, bytes: number, but: ReadonlyMap<Peer, unknown>): Peer | "busy" | undefined {
    const recently = this.#room.system.now() - BigInt(swarm.lookAgainMs) * 1_000_000n;
    let found: Peer | undefined;
    let busy = false;
    for (const peer of this.#room.peers()) {
      if (!peer.isKeeper || but.has(peer)) continue;
      if (peer.holds.has(object.name)) {
        if (!peer.holds.gives(object, recently)) continue;
        if (!peer.asks.mayAsk(bytes, "read")) busy = true;
        else if (found === undefined || peer.asks.bytes < found.asks.bytes) found = peer;
      } else if (!peer.holds.lacks(object.name, recently)) this.#askHeld(peer, object.name);
    }
    return found ?? (busy ? "busy" : undefined);
  }

  #askHeld(peer: Peer, name: Buffer): void {
    const key = `${peer.number} ${toHex(name)}`;
    if (this.#asking.has(key)) return;
    this.#asking.add(key);
    peer.asks.held([name], () => {
      this.#asking.delete(key);
      this.changed();
    });
  }

  async holds(names: readonly Buffer[]): Promise<boolean[]> {
    const held = names.map(() => false);
    const peers = await this.#keepers();
    const ask = async (peer: Peer, at: number): Promise<void> => {
      const flags = await this.#heldOf(peer, names.slice(at, at + wire.names));
      flags?.forEach((flag, i) => {
        if (flag) held[at + i] = true;
      });
    };
    // One page after the other: a peer cuts whoever asks too much at once.
    for (let at = 0; at < names.length; at += wire.names) await Promise.all(peers.map((peer) => ask(peer, at)));
    return held;
  }

  /** What one peer answers; undefined when it does not in time. */
  #heldOf(peer: Peer, names: readonly Buffer[]): Promise<readonly boolean[] | undefined> {
    if (!peer.open) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const cancel = this.#room.system.after(this.#patienceMs, () => resolve(undefined));
      peer.asks.held(names, (flags) => {
        cancel();
        resolve(flags);
      });
    });
  }

  /** All peers that keep; waits for the first one. */
  #keepers(): Promise<Peer[]> {
    const now = (): Peer[] => [...this.#room.peers()].filter((peer) => peer.isKeeper);
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.#waiting.delete(wait);
        resolve(now());
      };
      const cancel = this.#room.system.after(this.#patienceMs, done);
      const wait: Wait = { advance: () => now().length > 0 && done(), fail: done };
      this.#begin(wait);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const wait of [...this.#waiting]) wait.fail(closedProblem());
  }
}

/** Something that waits for peers. */
interface Wait {
  /** asks whoever may be asked now */
  advance(): void;
  fail(problem: Problem): void;
}

interface ReadNeeds {
  holder(but: ReadonlyMap<Peer, unknown>): Peer | "busy" | undefined;
  done(result: Buffer | Problem): void;
}

/** One stretch that somebody waits for. */
class Read implements Wait {
  readonly #room: Room;
  readonly #object: ObjectId;
  readonly #stretch: Stretch;
  readonly #patienceMs: number;
  readonly #needs: ReadNeeds;
  /** who has been asked and has not answered, and how to drop the answer */
  readonly #asked = new Map<Peer, () => void>();
  /** the one that was asked last keeps us waiting: another is asked too */
  #hedging = false;
  /** somebody was asked: from the first time on patience runs */
  #begun = false;
  #over = false;
  #cancelHedge = (): void => {};
  #cancelPatience = (): void => {};
  #cancelLook = (): void => {};

  constructor(room: Room, object: ObjectId, stretch: Stretch, patienceMs: number, needs: ReadNeeds) {
    this.#room = room;
    this.#object = object;
    this.#stretch = stretch;
    this.#patienceMs = patienceMs;
    this.#needs = needs;
    this.#wait();
  }

  advance(): void {
    if (this.#over || (this.#asked.size > 0 && !this.#hedging)) return;
    this.#lookAgain();
    const peer = this.#needs.holder(this.#asked);
    // Behind others that wait for the same link: it gives, so patience is not what is missing.
    if (peer === "busy" && this.#asked.size === 0) this.#wait();
    if (peer === undefined || peer === "busy") return;
    if (!this.#begun) this.#wait();
    this.#begun = true;
    this.#hedge();
    this.#asked.set(
      peer,
      peer.asks.leaves(this.#object, this.#stretch, "read", (answer) => this.#onAnswer(peer, answer)),
    );
  }

  #onAnswer(peer: Peer, answer: LeavesAnswer): void {
    this.#asked.delete(peer);
    if (typeof answer === "string") this.advance();
    else this.#end(answer);
  }

  fail(problem: Problem): void {
    this.#end(problem);
  }

  #end(result: Buffer | Problem): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelHedge();
    this.#cancelPatience();
    this.#cancelLook();
    for (const drop of this.#asked.values()) drop();
    this.#needs.done(result);
  }

  #hedge(): void {
    this.#hedging = false;
    this.#cancelHedge();
    this.#cancelHedge = this.#room.system.after(swarm.hedgeMs, () => {
      this.#hedging = true;
      this.advance();
    });
  }

  #wait(): void {
    this.#cancelPatience();
    this.#cancelPatience = this.#room.system.after(this.#patienceMs, () =>
      this.fail(nobodyHas(this.#object, this.#patienceMs)),
    );
  }

  /** Who did not hold it may do so soon, and not everybody tells. */
  #lookAgain(): void {
    this.#cancelLook();
    this.#cancelLook = this.#room.system.after(swarm.lookAgainMs, () => this.advance());
  }
}

const hexStart = (name: Buffer): string => `${toHex(name).slice(0, 16)}…`;

function nobodyHas(object: ObjectId, ms: number): Problem {
  const seconds = Math.round(ms / 1000);
  return new Problem(
    "missing",
    `nobody reachable gave object ${hexStart(object.name)} within ${seconds} s; try again later`,
  );
}

const closedProblem = (): Problem => new Problem("missing", "the links to peers are closed");

/**
 * A connection of the simulated network: two ends, each a stream of whole messages, in order and complete until something
 * ends it, as a Hyperswarm connection is. What is written takes time to be sent and to arrive; where two devices do not
 * hear each other it waits, and after a while both ends fail.
 */
import { EventEmitter } from "node:events";
import type { FramedStream } from "../../src/swarm/network.js";
import type { SimClock } from "./clock.js";

/** What a connection asks of the world that it is in. */
export interface SimWorld {
  readonly clock: SimClock;
  readonly highWater: number;
  readonly bytesPerMs: number;
  readonly deadAfterMs: number;
  latency(): number;
  separated(one: string, other: string): boolean;
}

/** null: the end of what one side has to say */
type Sent = Buffer | null;

export class SimStream extends EventEmitter implements FramedStream {
  userData: unknown = null;
  destroyed = false;
  /** the process that held it has died: nothing reaches it, and nothing comes from it */
  gone = false;
  /** whose end it is */
  readonly owner: string;
  readonly #world: SimWorld;
  readonly #name: string;
  #other: SimStream | undefined;
  #inbox: Sent[] = [];
  /** what arrived while the two devices did not hear each other */
  #delayed: Sent[] = [];
  #flowing = false;
  #pumping = false;
  #destroying = false;
  #ended = false;
  #otherEnded = false;
  #draining = false;
  #lineFreeAt = 0;
  #lastArrival = 0;

  /** Both ends of a new connection; the number tells connections apart in the story. */
  static pair(world: SimWorld, one: string, other: string, number: number): [SimStream, SimStream] {
    const ends: [SimStream, SimStream] = [
      new SimStream(world, one, `${one}>${other}#${number}`),
      new SimStream(world, other, `${other}>${one}#${number}`),
    ];
    ends[0].#other = ends[1];
    ends[1].#other = ends[0];
    return ends;
  }

  private constructor(world: SimWorld, owner: string, name: string) {
    super();
    this.#world = world;
    this.owner = owner;
    this.#name = name;
  }

  get alive(): boolean {
    return !this.gone && !this.#destroying;
  }

  write(message: Buffer): boolean {
    if (!this.alive || this.#ended) return false;
    this.#send(Buffer.from(message));
    const free = this.#unsent() < this.#world.highWater;
    if (!free) this.#drainLater();
    return free;
  }

  pause(): void {
    this.#flowing = false;
  }

  resume(): void {
    if (this.#flowing) return;
    this.#flowing = true;
    this.#later(0, "flows", () => this.#pump());
  }

  override on(event: string, handler: (...given: never[]) => void): this {
    super.on(event, handler as (...given: unknown[]) => void);
    if (event === "data") this.resume();
    return this;
  }

  end(): void {
    if (!this.alive || this.#ended) return;
    this.#ended = true;
    this.#send(null);
    this.#finish();
  }

  destroy(error?: Error): void {
    const other = this.#other;
    if (!this.alive) return;
    this.#close(error);
    if (other) this.#later(this.#world.latency(), "reset", () => other.#reset(), true);
  }

  /** The process is killed. @param silent as with a pulled plug: the other side is not told */
  kill(silent: boolean): void {
    const other = this.#other;
    const wasAlive = this.alive;
    this.gone = true;
    if (!wasAlive || !other) return;
    if (silent) other.failIfDeaf("no word from it");
    else this.#later(this.#world.latency(), "killed", () => other.#reset(), true);
  }

  /** To be called when the two devices hear each other no longer: after a while, if that stays so, this end fails. */
  failIfDeaf(why: string): void {
    const other = this.#other;
    this.#later(this.#world.deadAfterMs, why, () => {
      if (other?.gone || this.#deaf())
        this.#close(Object.assign(new Error("connection timed out"), { code: "ETIMEDOUT" }));
    });
  }

  /** To be called when they hear each other again: what waited arrives. */
  hear(): void {
    const delayed = this.#delayed;
    this.#delayed = [];
    for (const message of delayed) this.#later(this.#world.latency(), "late", () => this.#take(message));
  }

  #deaf(): boolean {
    return this.#other !== undefined && this.#world.separated(this.owner, this.#other.owner);
  }

  /** Bytes that the line has not taken yet. */
  #unsent(): number {
    return Math.max(0, this.#lineFreeAt - this.#world.clock.ms) * this.#world.bytesPerMs;
  }

  #send(message: Sent): void {
    const { clock, bytesPerMs } = this.#world;
    const other = this.#other as SimStream;
    const length = message?.length ?? 0;
    this.#lineFreeAt = Math.max(clock.ms, this.#lineFreeAt) + length / bytesPerMs;
    this.#lastArrival = Math.max(this.#lastArrival, this.#lineFreeAt + this.#world.latency());
    clock.after(this.#lastArrival - clock.ms, `${this.#name} ${message ? length : "end"}`, () => {
      // What a destroyed end had not sent yet is lost; what was on its way still arrives, if before the reset.
      if (other.#deaf()) other.#delayed.push(message);
      else other.#take(message);
    });
  }

  #drainLater(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#later(this.#unsent() / this.#world.bytesPerMs, "drained", () => {
      this.#draining = false;
      if (this.#unsent() >= this.#world.highWater) this.#drainLater();
      else if (this.alive) this.emit("drain");
    });
  }

  #take(message: Sent): void {
    if (!this.alive) return;
    this.#inbox.push(message);
    this.#pump();
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#flowing && this.alive && this.#inbox.length > 0) {
        const message = this.#inbox.shift() as Sent;
        if (message) this.emit("data", message);
        else {
          this.#otherEnded = true;
          this.emit("end");
          this.#finish();
        }
      }
    } finally {
      this.#pumping = false;
    }
  }

  /** Both sides have said all: the connection is over. */
  #finish(): void {
    if (this.#ended && this.#otherEnded && this.alive) this.#close();
  }

  #reset(): void {
    if (!this.#deaf()) this.#close(Object.assign(new Error("connection reset by peer"), { code: "ECONNRESET" }));
  }

  #close(error?: Error): void {
    if (!this.alive) return;
    this.#destroying = true;
    this.#inbox = [];
    this.#delayed = [];
    this.#later(0, error ? `failed: ${error.message}` : "closed", () => {
      this.destroyed = true;
      if (error) this.emit("error", error);
      this.emit("close");
    });
  }

  /** @param afterwards also when this end's process is dead by then */
  #later(ms: number, what: string, run: () => void, afterwards = false): void {
    this.#world.clock.after(ms, `${this.#name} ${what}`, () => {
      if (afterwards || !this.gone) run();
    });
  }
}

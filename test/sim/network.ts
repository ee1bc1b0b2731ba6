/**
 * A network in memory on simulated time: topics, delays, latencies, partitions and sudden deaths. Each `open` is one
 * process with a fresh key, as in the real one; devices are called by name, and may have several processes.
 *
 * As in the real one, two that dial each other at once may both see a connection that dies at once, with "Duplicate
 * connection" or a reset, beside the one that stays; a side may see a connection that the other never had; and what is
 * on its way when a side goes away is lost.
 */
import type { Connection, Joining, Network } from "../../src/swarm/network.js";
import type { SimClock } from "./clock.js";
import { SimStream, type SimWorld } from "./stream.js";

export interface SimNetworkOptions {
  /** between the ends of a connection, one way; 1 to 40 */
  readonly latencyMs?: readonly [number, number];
  /** until a topic's others are found; 20 to 1500 */
  readonly discoveryMs?: readonly [number, number];
  /** bytes that `write` takes before it gives false; 16 KiB */
  readonly highWater?: number;
  /** what a connection carries each way; 12,500, which is 100 Mbit/s */
  readonly bytesPerMs?: number;
  /** how long a connection to nobody takes to fail; 15,000 */
  readonly deadAfterMs?: number;
  /** a device of so many connections looks for no more of them, and is found nevertheless; all that it finds */
  readonly enough?: (name: string) => number;
}

const avoidedMs = 600_000;
/** as the real network looks again after a join; then every 30 to 60 s */
const looksMs = [500, 2000, 8000];
const backoffsMs = [1000, 5000, 15_000, 60_000];

export class SimNetwork implements SimWorld {
  readonly clock: SimClock;
  readonly highWater: number;
  readonly bytesPerMs: number;
  readonly deadAfterMs: number;
  readonly #latencyMs: readonly [number, number];
  readonly #discoveryMs: readonly [number, number];
  readonly #enough: (name: string) => number;
  readonly #nodes = new Set<SimNode>();
  readonly #ends = new Set<SimStream>();
  #groups: Map<string, number> | undefined;
  #connections = 0;

  constructor(clock: SimClock, options: SimNetworkOptions = {}) {
    this.clock = clock;
    this.highWater = options.highWater ?? 16 * 1024;
    this.bytesPerMs = options.bytesPerMs ?? 12_500;
    this.deadAfterMs = options.deadAfterMs ?? 15_000;
    this.#latencyMs = options.latencyMs ?? [1, 40];
    this.#enough = options.enough ?? (() => Number.POSITIVE_INFINITY);
    this.#discoveryMs = options.discoveryMs ?? [20, 1500];
  }

  /** The network as one process of the device called `name` sees it. */
  open(name: string): Network {
    const node = new SimNode(this, name);
    this.#nodes.add(node);
    return node;
  }

  /** A connection without any topic, for tests of links: both ends at once, the one that dialled first. */
  pair(one: string, other: string): [Connection, Connection] {
    return this.connect(one, this.clock.bytes(32), other, this.clock.bytes(32));
  }

  /** From now on only devices of one group hear each other; a device in no group hears nobody. */
  partition(groups: readonly (readonly string[])[]): void {
    this.#groups = new Map(groups.flatMap((names, group) => names.map((name) => [name, group] as const)));
    this.clock.note(`partition ${groups.map((names) => names.join(",")).join(" | ")}`);
    for (const end of this.#ends) end.failIfDeaf("hears nothing");
  }

  /** Everybody hears everybody again. */
  heal(): void {
    this.#groups = undefined;
    this.clock.note("heal");
    for (const end of this.#ends) end.hear();
  }

  /** All networks of this device are gone at once, as with kill -9. @param silent as with a pulled plug: others notice late */
  kill(name: string, silent = false): void {
    this.clock.note(`kill ${name}`);
    for (const node of this.#nodes) if (node.name === name) this.forget(node);
    for (const end of this.#ends) if (end.owner === name) end.kill(silent);
  }

  /** Connections that both sides have now: "ann bob", in alphabetical order. */
  get connections(): string[] {
    const pairs = [...this.#nodes].flatMap((node) =>
      [...node.links.values()]
        .filter(({ to, stream }) => stream.alive && node.name < to.name && to.links.get(node)?.stream.alive)
        .map(({ to }) => `${node.name} ${to.name}`),
    );
    return pairs.sort();
  }

  latency(): number {
    return this.clock.between(...this.#latencyMs);
  }

  discovery(): number {
    return this.clock.between(...this.#discoveryMs);
  }

  separated(one: string, other: string): boolean {
    if (!this.#groups || one === other) return false;
    const group = this.#groups.get(one);
    return group === undefined || group !== this.#groups.get(other);
  }

  forget(node: SimNode): void {
    node.closed = true;
    this.#nodes.delete(node);
  }

  connect(one: string, oneKey: Buffer, other: string, otherKey: Buffer): [Connection, Connection] {
    const ends = SimStream.pair(this, one, other, ++this.#connections);
    for (const end of ends) {
      this.#ends.add(end);
      end.on("close", () => this.#ends.delete(end));
    }
    const handshakeHash = this.clock.bytes(64);
    return [
      { initiator: true, localKey: oneKey, remoteKey: otherKey, handshakeHash, stream: ends[0] },
      { initiator: false, localKey: otherKey, remoteKey: oneKey, handshakeHash, stream: ends[1] },
    ];
  }

  /** One process looks who is there under a topic, and dials whom it does not know yet. */
  look(node: SimNode, topic: string): void {
    if (node.closed || !node.topics.get(topic)?.lookup) return;
    const found = [...this.#nodes].filter(
      (other) => other !== node && other.topics.get(topic)?.announce && !this.separated(node.name, other.name),
    );
    const enough = this.#enough(node.name);
    if (found.length > enough) this.#shuffle(found);
    for (const other of found) if (node.links.size + node.dialling.size < enough) this.#dial(node, other);
  }

  #shuffle(nodes: SimNode[]): void {
    for (let at = nodes.length - 1; at > 0; at--) {
      const from = Math.floor(this.clock.between(0, at + 1));
      [nodes[at], nodes[from]] = [nodes[from] as SimNode, nodes[at] as SimNode];
    }
  }

  #dial(from: SimNode, to: SimNode): void {
    if (from.links.has(to) || from.dialling.has(to) || from.avoids(to) || to.avoids(from)) return;
    from.dialling.add(to);
    this.clock.after(2 * this.latency(), `${from.name} dials ${to.name}`, () => this.#arrive(from, to));
  }

  #arrive(from: SimNode, to: SimNode): void {
    if (from.closed || to.closed || this.separated(from.name, to.name) || from.links.has(to)) {
      from.dialling.delete(to);
      return;
    }
    if (to.dialling.has(from) && to.key.compare(from.key) > 0) {
      // Both dial, and the other one's call is the one that stays. This one may have seen a connection nevertheless.
      from.dialling.delete(to);
      if (this.clock.between(0, 2) < 1) return;
      const [mine, theirs] = this.connect(from.name, from.key, to.name, to.key);
      from.enter(to, mine);
      theirs.stream.destroy();
      return;
    }
    const stale = to.links.get(from);
    if (stale) {
      stale.stream.on("close", () => this.#accept(from, to));
      stale.stream.destroy(new Error("Duplicate connection"));
    } else this.#accept(from, to);
  }

  #accept(from: SimNode, to: SimNode): void {
    if (to.closed || to.links.has(from)) {
      from.dialling.delete(to);
      return;
    }
    const [mine, theirs] = this.connect(from.name, from.key, to.name, to.key);
    // The other side may end it before this one has heard of it.
    mine.stream.on("error", () => {});
    to.enter(from, theirs);
    this.clock.after(this.latency(), `${from.name} reached ${to.name}`, () => {
      from.dialling.delete(to);
      // Where it was ended before, this side never sees it.
      if (from.closed || from.links.has(to) || !(mine.stream as SimStream).alive) mine.stream.destroy();
      else from.enter(to, mine);
    });
  }
}

/** One process on the network. */
class SimNode implements Network {
  readonly name: string;
  readonly key: Buffer;
  readonly topics = new Map<string, Joining>();
  readonly links = new Map<SimNode, { readonly to: SimNode; readonly stream: SimStream }>();
  readonly dialling = new Set<SimNode>();
  closed = false;
  readonly #hub: SimNetwork;
  readonly #avoided = new Map<string, number>();
  readonly #attempts = new Map<SimNode, number>();
  #handler: (connection: Connection) => void = ({ stream }) => stream.destroy();

  constructor(hub: SimNetwork, name: string) {
    this.#hub = hub;
    this.name = name;
    this.key = hub.clock.bytes(32);
  }

  join(topic: Buffer, how: Joining): void {
    if (this.closed) return;
    const name = topic.toString("hex");
    const known = this.topics.has(name);
    this.topics.set(name, how);
    this.#later(this.#hub.discovery(), "looks", () => this.#hub.look(this, name));
    if (!known) this.#lookAgain(name, 0);
  }

  leave(topic: Buffer): void {
    this.topics.delete(topic.toString("hex"));
  }

  onConnection(handler: (connection: Connection) => void): void {
    this.#handler = handler;
  }

  avoid(remoteKey: Buffer): void {
    this.#avoided.set(remoteKey.toString("hex"), this.#hub.clock.ms + avoidedMs);
  }

  avoids(other: SimNode): boolean {
    return (this.#avoided.get(other.key.toString("hex")) ?? 0) > this.#hub.clock.ms;
  }

  refresh(): void {
    for (const topic of this.topics.keys())
      this.#later(this.#hub.discovery(), "looks", () => this.#hub.look(this, topic));
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.#hub.forget(this);
    this.topics.clear();
    await new Promise<void>((resolve) => {
      const over = (): void => {
        if (this.links.size === 0) resolve();
      };
      for (const { stream } of this.links.values()) {
        stream.on("close", over);
        stream.end();
      }
      this.#hub.clock.after(1000, `${this.name} closes`, () => {
        for (const { stream } of this.links.values()) stream.destroy();
        this.links.clear();
        resolve();
      });
      over();
    });
  }

  /** A connection is here: hand it on. */
  enter(to: SimNode, connection: Connection): void {
    const stream = connection.stream as SimStream;
    const began = this.#hub.clock.ms;
    this.links.set(to, { to, stream });
    stream.on("close", () => {
      if (this.links.get(to)?.stream === stream) this.links.delete(to);
      if (this.closed || !connection.initiator) return;
      const attempts = this.#hub.clock.ms - began >= 15_000 ? 0 : (this.#attempts.get(to) ?? 0);
      this.#attempts.set(to, attempts + 1);
      const backoff = backoffsMs[attempts];
      if (backoff !== undefined)
        this.#later(backoff, "looks", () => {
          for (const topic of this.topics.keys()) this.#hub.look(this, topic);
        });
    });
    this.#handler(connection);
  }

  #lookAgain(topic: string, times: number): void {
    const ms = looksMs[times] ?? this.#hub.clock.between(30_000, 60_000);
    this.#later(ms, "looks", () => {
      if (!this.topics.has(topic)) return;
      this.#hub.look(this, topic);
      this.#lookAgain(topic, times + 1);
    });
  }

  #later(ms: number, what: string, run: () => void): void {
    this.#hub.clock.after(ms, `${this.name} ${what}`, () => {
      if (!this.closed) run();
    });
  }
}

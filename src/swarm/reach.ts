/**
 * The real network: Hyperswarm on a HyperDHT of our own, for a bare Hyperswarm dials the public one. The one door to both
 * packages, and what their users must know is dealt with here:
 *
 *   peers that join in the same instant miss each other   all topics are looked at again, soon and then for ever
 *   a rejected key is banned for ever                     the ban is lifted; who is to be avoided expires and is bounded
 *   inbound is unlimited                                  the firewall hook counts
 *   closing waits for nodes that are dead                 it is raced, and then forced
 *   a socket that cannot be bound leaves the process up   what still runs is ended by hand
 *
 * Each network has a key pair of its own: several processes of one home may be connected at once, and who is behind a key
 * is for admission to find out.
 * @module
 */
import HyperDHT from "hyperdht";
import Hyperswarm, { type PeerInfo, type Session } from "hyperswarm";
import { errnoOf, Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import { type Address, addressOf, isLoopback, listenAddressOf } from "./addresses.js";
import type { Connection, FramedStream, Joining, Network } from "./network.js";

export interface ReachOptions {
  /** HOST:PORT of DHT nodes, by IPv4 address or name; undefined: those of the public DHT */
  readonly bootstrap: readonly string[] | undefined;
  /** HOST[:PORT] to bind to; without it any free port, on 127.0.0.1 where all of `bootstrap` is there */
  readonly listen?: string | undefined;
}

/** connections in all, dialled and taken; how many of them may be strangers is for the owner to say */
const connectionsMost = 160;
/** Dead keys stand in the DHT for up to 20 minutes, and each costs a dial some seconds. */
const dialsAtOnce = 16;
/** handshakes taken in one burst, and how many a second fill it up again */
const handshakesAtOnce = 128;
const handshakesPerSecond = 16;
const backoffsMs = [1000, 5000, 15_000, 60_000] as const;
/**
 * When a topic is looked at again after a join, and from then on, up to twice as much. Nodes of one's own forget everybody
 * when they are started anew, and cost nothing; those of the public DHT are others' machines.
 */
const looksMs = [500, 2000, 8000];
const lookMs = { own: 10_000, public: 30_000 };
const avoidedMs = 600_000;
const avoidedMost = 4096;
/** what a polite end, leaving the DHT and an end by force may take: 3 s in all */
const politeMs = 800;
const leaveMs = 1200;
const forceMs = 800;

/** A Hyperswarm connection. */
interface Stream extends FramedStream {
  readonly isInitiator: boolean;
  readonly publicKey: Buffer;
  readonly remotePublicKey: Buffer;
  readonly handshakeHash: Buffer;
}

interface Topic {
  readonly topic: Buffer;
  readonly session: Session;
  how: { readonly server: boolean; readonly client: boolean };
  cancel: () => void;
}

/**
 * Be on the network. Waits for nobody: who is there comes as connections, when they come.
 * Problems: "usage" for an address or name that is none, or is not of this machine; "io" for a port that is taken.
 */
export async function openNetwork(options: ReachOptions, system: System): Promise<Network> {
  const bootstrap = options.bootstrap && (await Promise.all(options.bootstrap.map((text) => addressOf("node", text))));
  const listen = options.listen === undefined ? undefined : await listenAddressOf(options.listen);
  const local = bootstrap !== undefined && bootstrap.length > 0 && bootstrap.every(({ host }) => isLoopback(host));
  const { host, port } = listen ?? { host: local ? "127.0.0.1" : "0.0.0.0", port: 0 };
  const dht = new HyperDHT({
    ...(bootstrap && { bootstrap: bootstrap.map(textOf) }),
    host,
    port: port === 0 ? [0, 0] : [port, port + 1],
    anyPort: port === 0,
  });
  await bind(dht, { host, port });
  return new Reach(dht, bootstrap ? lookMs.own : lookMs.public, system);
}

class Reach implements Network {
  readonly #dht: HyperDHT;
  readonly #swarm: Hyperswarm;
  readonly #system: System;
  readonly #lookMs: number;
  readonly #topics = new Map<string, Topic>();
  readonly #streams = new Set<Stream>();
  /** key → when it may be spoken with again; the first is the oldest */
  readonly #avoided = new Map<string, bigint>();
  #handshakes = handshakesAtOnce;
  #countedAt: bigint;
  #handler: (connection: Connection) => void = ({ stream }) => stream.destroy();
  #closing: Promise<void> | undefined;

  constructor(dht: HyperDHT, lookMs: number, system: System) {
    this.#dht = dht;
    this.#lookMs = lookMs;
    this.#system = system;
    this.#countedAt = system.now();
    this.#swarm = new Hyperswarm({
      dht,
      keyPair: HyperDHT.keyPair(system.random(32)),
      maxPeers: connectionsMost,
      maxParallel: dialsAtOnce,
      backoffs: backoffsMs,
      jitter: 500,
      firewall: (key, payload) => this.#refuses(key, payload !== null),
    });
    this.#swarm.on("connection", (stream: Stream) => this.#take(stream));
    this.#swarm.on("ban", (peer: PeerInfo) => {
      peer.ban(false);
      this.#swarm.peers.delete(peer.publicKey.toString("hex"));
    });
    for (const emitter of [dht, this.#swarm]) emitter.on("error", () => {});
  }

  join(topic: Buffer, { announce, lookup }: Joining): void {
    if (this.#closing) return;
    if (!announce && !lookup) {
      this.leave(topic);
      return;
    }
    const name = topic.toString("hex");
    const how = { server: announce, client: lookup };
    let joined = this.#topics.get(name);
    if (joined) {
      joined.cancel();
      joined.how = how;
      look(joined);
    } else {
      joined = { topic: Buffer.from(topic), session: this.#swarm.join(topic, how), how, cancel: () => {} };
      this.#topics.set(name, joined);
    }
    this.#lookAgain(joined, 0);
  }

  leave(topic: Buffer): void {
    const name = topic.toString("hex");
    this.#topics.get(name)?.cancel();
    if (this.#topics.delete(name)) this.#swarm.leave(topic).catch(() => {});
  }

  onConnection(handler: (connection: Connection) => void): void {
    this.#handler = handler;
  }

  avoid(remoteKey: Buffer): void {
    const name = remoteKey.toString("hex");
    this.#avoided.delete(name);
    this.#avoided.set(name, this.#system.now() + BigInt(avoidedMs) * 1_000_000n);
    for (const oldest of this.#avoided.keys()) {
      if (this.#avoided.size <= avoidedMost) break;
      this.#avoided.delete(oldest);
    }
  }

  refresh(): void {
    for (const joined of this.#topics.values()) look(joined);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Again after a while, for as long as the topic is joined: whoever joins at the same time is not found at first. */
  #lookAgain(joined: Topic, times: number): void {
    const ms = looksMs[times] ?? this.#lookMs;
    const jitter = this.#system.random(2).readUInt16BE() / 65_536;
    joined.cancel = this.#system.after(ms * (1 + jitter), () => {
      look(joined);
      this.#lookAgain(joined, times + 1);
    });
  }

  /** Asked by Hyperswarm before it dials, and before it answers who dials. */
  #refuses(remoteKey: Buffer, inbound: boolean): boolean {
    if (this.#closing || this.#avoids(remoteKey) || this.#streams.size >= connectionsMost) return true;
    if (!inbound) return false;
    const now = this.#system.now();
    const filled = this.#handshakes + (Number(now - this.#countedAt) / 1e9) * handshakesPerSecond;
    this.#handshakes = Math.max(0, Math.min(handshakesAtOnce, filled));
    this.#countedAt = now;
    if (this.#handshakes < 1) return true;
    this.#handshakes--;
    return false;
  }

  #avoids(remoteKey: Buffer): boolean {
    const name = remoteKey.toString("hex");
    const until = this.#avoided.get(name);
    if (until === undefined) return false;
    if (until > this.#system.now()) return true;
    this.#avoided.delete(name);
    return false;
  }

  #take(stream: Stream): void {
    // Without a listener an error ends the process; "Duplicate connection" is one that is no fault of anybody.
    stream.on("error", () => {});
    this.#streams.add(stream);
    stream.on("close", () => this.#streams.delete(stream));
    const { isInitiator: initiator, publicKey: localKey, remotePublicKey: remoteKey, handshakeHash } = stream;
    if (this.#closing || this.#avoids(remoteKey)) {
      stream.destroy();
      return;
    }
    try {
      this.#handler({ initiator, localKey, remoteKey, handshakeHash, stream });
    } catch (error) {
      stream.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #close(): Promise<void> {
    for (const { cancel } of this.#topics.values()) cancel();
    this.#topics.clear();
    // What was written still goes out; meanwhile the topics are left.
    const ends = [...this.#streams].map((stream) => ended(stream));
    const left = this.#swarm.clear();
    const anybody = this.#dht.toArray().length > 0;
    await within(Promise.all(anybody ? [left, ...ends] : ends), politeMs, this.#system);
    const gone = this.#swarm.destroy();
    if (anybody && (await within(gone, leaveMs, this.#system))) return;
    for (const stream of this.#swarm._allConnections) stream.destroy();
    this.#swarm.server._clearAll();
    const forced = this.#dht.destroy({ force: true });
    await within(Promise.allSettled([gone, forced, left]), forceMs, this.#system);
  }
}

export interface Bootstrap {
  /** of the three nodes, as they stand in a bootstrap list */
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

/**
 * Three persistent DHT nodes on `host` and the ports `port`, `port` + 1, `port` + 2: fewer do not work, for a peer behind
 * a firewall needs three of them to learn what its address looks like from outside.
 * @param host an IPv4 address of this machine. Problems: "usage" for one that is not, "io" for a port that is taken
 */
export async function startBootstrap(host: string, port: number, system: System): Promise<Bootstrap> {
  const places = [0, 1, 2].map((more) => ({ host, port: port + more }));
  const nodes = places.map((place) =>
    HyperDHT.bootstrapper(place.port, host, { host, bootstrap: places.filter((one) => one !== place).map(textOf) }),
  );
  const close = async (): Promise<void> => {
    await within(Promise.allSettled(nodes.map((node) => node.destroy({ force: true }))), 2 * forceMs, system);
  };
  const bound = await Promise.allSettled(nodes.map((node, i) => bind(node, places[i] as Address)));
  const failed = bound.find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") {
    await close();
    throw failed.reason;
  }
  for (const node of nodes) node.on("error", () => {});
  await Promise.all(nodes.map((node) => node.fullyBootstrapped()));
  return { addresses: places.map(textOf), close };
}

async function bind(dht: HyperDHT, address: Address): Promise<void> {
  try {
    await dht.bind();
  } catch (error) {
    await dht.destroy({ force: true }).catch(() => {});
    await dht.io.networkInterfaces.destroy(); // which alone would keep the process running
    throw bindProblem(error, address);
  }
}

function bindProblem(error: unknown, address: Address): Problem {
  const where = address.port === 0 ? address.host : textOf(address);
  switch (errnoOf(error)) {
    case "EADDRINUSE":
      return new Problem("io", `${where}: another program uses this port; stop it or choose another port`, {
        cause: error,
      });
    case "EADDRNOTAVAIL":
      return new Problem("usage", `${where}: this machine has no such address; "ip -4 address" lists those it has`, {
        cause: error,
      });
    case "EACCES":
      return new Problem("usage", `${where}: the system keeps this port for root; choose one above 1023`, {
        cause: error,
      });
    default:
      return new Problem("io", `cannot bind to ${where}: ${(error as Error).message}`, { cause: error });
  }
}

const textOf = ({ host, port }: Address): string => `${host}:${port}`;

function look({ session, how }: Topic): void {
  session.refresh(how).catch(() => {});
}

function ended(stream: Stream): Promise<void> {
  return new Promise((resolve) => {
    stream.on("close", resolve);
    stream.end();
  });
}

/** Whether the work is over within this time, well or badly. */
function within(work: Promise<unknown>, ms: number, system: System): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = system.after(ms, () => resolve(false));
    const over = (): void => {
      cancel();
      resolve(true);
    };
    work.then(over, over);
  });
}

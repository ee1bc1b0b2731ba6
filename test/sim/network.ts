/**
 * A network in memory on simulated time: topics, delays, latencies, partitions and sudden deaths.
 */
import type { Connection, Network } from "../../src/swarm/network.js";
import type { SimClock } from "./clock.js";

export interface SimNetworkOptions {
  /** between the ends of a connection, one way; 1 to 40 */
  readonly latencyMs?: readonly [number, number];
  /** until a topic's others are found; 20 to 1500 */
  readonly discoveryMs?: readonly [number, number];
  /** bytes that `write` takes before it gives false; 16 KiB */
  readonly highWater?: number;
  /** how long a connection to nobody takes to fail; 15,000 */
  readonly deadAfterMs?: number;
}

export class SimNetwork {
  readonly clock: SimClock;
  constructor(clock: SimClock, _options: SimNetworkOptions = {}) {
    this.clock = clock;
  }

  /** The network as one process of the device called `name` sees it. */
  open(_name: string): Network {
    throw new Error("not written yet");
  }

  /** A connection without any topic, for tests of links: both ends at once. */
  pair(_one: string, _other: string): [Connection, Connection] {
    throw new Error("not written yet");
  }

  /** From now on only devices of one group hear each other; a device in no group hears nobody. */
  partition(_groups: readonly (readonly string[])[]): void {}

  /** Everybody hears everybody again. */
  heal(): void {}

  /** All networks of this device are gone at once, as with kill -9. @param silent as with a pulled plug: others notice late */
  kill(_name: string, _silent = false): void {}

  /** connections open now, between devices: "a b" */
  get connections(): string[] {
    return [];
  }
}

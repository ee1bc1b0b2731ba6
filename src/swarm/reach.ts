/**
 * The real network: Hyperswarm on a HyperDHT of our own. The one door to both packages.
 * @module
 */
import HyperDHT from "hyperdht";
import Hyperswarm from "hyperswarm";
import type { System } from "../base/system.js";
import type { Network } from "./network.js";

export interface ReachOptions {
  /** HOST:PORT of DHT nodes; undefined: those of the public DHT */
  readonly bootstrap: readonly string[] | undefined;
  /** HOST[:PORT] to bind to; without it any free port, on 127.0.0.1 where all of `bootstrap` is there */
  readonly listen?: string | undefined;
}

/** Problems: "usage" for an address or name that is none, or that this machine cannot bind to. */
export async function openNetwork(options: ReachOptions, system: System): Promise<Network> {
  throw new Error(`not written yet ${options.listen} ${system.now()} ${Hyperswarm.name}`);
}

export interface Bootstrap {
  /** of the three nodes, as they stand in a bootstrap list */
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

/** Three persistent DHT nodes on `host` and the ports `port`, `port` + 1, `port` + 2: fewer do not work. */
export async function startBootstrap(host: string, port: number, system: System): Promise<Bootstrap> {
  throw new Error(`not written yet ${host} ${port} ${system.now()} ${HyperDHT.name}`);
}

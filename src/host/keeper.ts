/**
 * The process of a home that takes and keeps: it holds the lock, and is a full peer as long as it is open. Daemon and
 * sync are this with different endings.
 * @module
 */
import { Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import type { Say } from "../store/store.js";
import { Coop } from "../swarm/coop.js";
import type { OnPeerEvent } from "../swarm/events.js";
import { lockKeeper } from "../swarm/keeper.js";
import type { Network } from "../swarm/network.js";
import { Peering } from "../swarm/peering.js";
import { openNetwork, type ReachOptions } from "../swarm/reach.js";
import type { Vault } from "../vault/vault.js";
import { inTime } from "./peers.js";

/** Who ends it waits at most this long for goodbyes. */
const closeMs = 3000;

export interface KeeperOptions {
  readonly reach: ReachOptions;
  readonly say: Say;
  readonly events: OnPeerEvent;
  /** the network, where it is not the real one */
  readonly open?: (reach: ReachOptions, system: System) => Promise<Network>;
}

export interface Keeper {
  readonly coop: Coop;
  readonly peering: Peering;
  close(): Promise<void>;
}

/** The coop of a home. Problem("not-found") where it is in none. */
export function coopOf(vault: Vault): Coop {
  const coop = Coop.open(vault);
  if (coop === undefined)
    throw new Problem(
      "not-found",
      'this machine is in no coop; make one with "bcoopfs coop create", or join one with "bcoopfs join"',
    );
  return coop;
}

/** Become the keeper of a home; undefined where another process is it. */
export async function openKeeper(vault: Vault, coop: Coop, options: KeeperOptions): Promise<Keeper | undefined> {
  const { system } = vault;
  const lock = lockKeeper(vault.home);
  if (lock === undefined) return undefined;
  let network: Network | undefined;
  try {
    const { reach, say, events, open = openNetwork } = options;
    network = await open(reach, system);
    const peering = Peering.start({ vault, coop, network, system, role: "keeper", say, events });
    return {
      coop,
      peering,
      close: async () => {
        await inTime(peering.close(), closeMs, system);
        lock.close();
      },
    };
  } catch (error) {
    await network?.close();
    lock.close();
    throw error;
  }
}

/**
 * The process of a home that takes and keeps: it holds the lock, and is a full peer as long as it is open. Daemon and
 * sync are this with different endings.
 * @module
 */
import { Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import type { SigningKey } from "../format/sign.js";
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

/** How a machine that has just been recovered is let in where it is not known yet: by the phrase alone. */
export interface Recovery {
  readonly slot: SigningKey;
  readonly topic: Buffer;
}

export interface KeeperOptions {
  readonly reach: ReachOptions;
  readonly say: Say;
  readonly events: OnPeerEvent;
  /** the network, where it is not the real one */
  readonly open?: (reach: ReachOptions, system: System) => Promise<Network>;
}

export interface Keeper {
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

/**
 * Become the keeper of a home; undefined where another process is it.
 * @param as a member of a coop, or one that only takes what belongs to its own vault
 */
export async function openKeeper(
  vault: Vault,
  as: Coop | Recovery,
  options: KeeperOptions,
): Promise<Keeper | undefined> {
  const { system } = vault;
  const lock = lockKeeper(vault.home);
  if (lock === undefined) return undefined;
  let network: Network | undefined;
  try {
    const { reach, say, events, open = openNetwork } = options;
    network = await open(reach, system);
    const common = { vault, network, system, say, events };
    const peering =
      as instanceof Coop
        ? Peering.start({ ...common, coop: as, role: "keeper" })
        : Peering.start({ ...common, coop: undefined, role: "recovering", recovery: as });
    return {
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

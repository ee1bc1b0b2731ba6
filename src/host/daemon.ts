/**
 * One process that stays: it keeps what peers of the coop give, gives what they ask for, and sends what other processes
 * of this home have saved within about a second.
 * @module
 */
import { Problem } from "../base/errors.js";
import type { Coop } from "../swarm/coop.js";
import type { PeerEvent } from "../swarm/events.js";
import type { Vault } from "../vault/vault.js";
import { coopOf, type KeeperOptions, openKeeper } from "./keeper.js";
import { endPresence, tellPresence } from "./presence.js";

export interface DaemonOptions extends KeeperOptions {
  readonly stop: AbortSignal;
  /** called once it takes links */
  readonly ready: (coop: Coop) => void;
}

/**
 * Serve until `stop`. Problems: "not-found" where the home is in no coop, "busy" where another process exchanges with
 * peers for it.
 */
export async function runDaemon(vault: Vault, options: DaemonOptions): Promise<void> {
  const coop = coopOf(vault);
  const told = new Presences(vault);
  const keeper = await openKeeper(vault, coop, {
    ...options,
    events: (event) => {
      told.hear(event);
      options.events(event);
    },
  });
  if (keeper === undefined)
    throw new Problem("busy", "another bcoopfs process (daemon, sync or recover) exchanges with peers for this home");
  try {
    told.tell();
    options.ready(coop);
    await aborted(options.stop);
  } finally {
    endPresence(vault.home);
    await keeper.close();
  }
}

/** Keeps the file that tells who is connected and keeps for others. */
export class Presences {
  readonly #vault: Vault;
  /** links of a device: it may have several processes */
  readonly #links = new Map<string, number>();
  /** devices of which one process at least keeps for others; the rest only ask */
  readonly #keepers = new Set<string>();

  constructor(vault: Vault) {
    this.#vault = vault;
  }

  hear(event: PeerEvent): void {
    if (event.type !== "peer-up" && event.type !== "peer-down") return;
    const key = event.device.toString("hex");
    if (event.type === "peer-up" && event.keeps) this.#keepers.add(key);
    const links = (this.#links.get(key) ?? 0) + (event.type === "peer-up" ? 1 : -1);
    if (links > 0) this.#links.set(key, links);
    else {
      this.#links.delete(key);
      this.#keepers.delete(key);
    }
    this.tell();
  }

  tell(): void {
    tellPresence(
      this.#vault.home,
      [...this.#keepers].map((hex) => Buffer.from(hex, "hex")),
    );
  }
}

function aborted(stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) resolve();
    else stop.addEventListener("abort", () => resolve(), { once: true });
  });
}

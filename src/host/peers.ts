/**
 * Bytes that are not here, from peers: whatever reads a vault goes on as if they were. Nobody is asked before something
 * is missing, so a command that finds all on this machine opens no socket; and a home in no coop has nobody to ask.
 * @module
 */
import { Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import type { Source } from "../store/source.js";
import { Coop } from "../swarm/coop.js";
import type { Network } from "../swarm/network.js";
import { Peering } from "../swarm/peering.js";
import { openNetwork, type ReachOptions } from "../swarm/reach.js";
import type { Vault } from "../vault/vault.js";

/** Who waits for a goodbye shall not wait long. */
const closeMs = 2000;

/** How peers are met, and whom to tell. */
export interface PeerAccess {
  readonly reach: ReachOptions;
  /** one line, for a person */
  readonly say: (line: string) => void;
  /** the network, where it is not the real one */
  readonly open?: (reach: ReachOptions, system: System) => Promise<Network>;
}

/** Run `work` with a store that fetches what is missing from peers; all links are closed again. */
export async function withPeers<T>(vault: Vault, access: PeerAccess, work: () => Promise<T>): Promise<T> {
  const leave = joinPeers(vault, access);
  try {
    return await work();
  } finally {
    await leave();
  }
}

/** The same for work that ends elsewhere. The result ends it; within 3 s, whatever the network does. */
export function joinPeers(vault: Vault, access: PeerAccess): () => Promise<void> {
  const coop = coopIfAny(vault, access);
  if (coop === undefined) return async () => {};
  const source = new PeerSource(vault, coop, access);
  vault.store.source = source;
  return async () => {
    vault.store.source = undefined;
    await source.close();
  };
}

/** A damaged key of the coop keeps nobody from reading what is here. */
function coopIfAny(vault: Vault, { say }: PeerAccess): Coop | undefined {
  try {
    return Coop.open(vault);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say(`nothing is read from peers: ${error.message}`);
    return undefined;
  }
}

/** A source that opens its links when it is first asked. */
class PeerSource implements Source {
  readonly #vault: Vault;
  readonly #coop: Coop;
  readonly #access: PeerAccess;
  #peering: Promise<Peering> | undefined;
  #closed = false;

  constructor(vault: Vault, coop: Coop, access: PeerAccess) {
    this.#vault = vault;
    this.#coop = coop;
    this.#access = access;
  }

  async #source(): Promise<Source> {
    this.#peering ??= this.#open();
    const peering = this.#peering;
    try {
      return (await peering).source;
    } catch (error) {
      // A mount stays for days: what hindered it now, an address that is not there yet, need not hinder it then.
      if (this.#peering === peering) this.#peering = undefined;
      throw error;
    }
  }

  async #open(): Promise<Peering> {
    const { reach, say, open = openNetwork } = this.#access;
    const { system } = this.#vault;
    say("fetching from peers…");
    // The port of config.toml is the keeper's, who runs beside this.
    const network = await open({ ...reach, listen: reach.listen?.split(":")[0] }, system);
    if (this.#closed) {
      void network.close();
      throw new Problem("missing", "the links to peers are closed");
    }
    return Peering.start({
      vault: this.#vault,
      coop: this.#coop,
      network,
      system,
      role: "reader",
      say,
      events: () => {},
    });
  }

  async range(...ask: Parameters<Source["range"]>): Promise<Buffer> {
    return (await this.#source()).range(...ask);
  }

  async holds(names: readonly Buffer[]): Promise<boolean[]> {
    return names.length === 0 ? [] : (await this.#source()).holds(names);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const peering = this.#peering;
    if (peering === undefined) return;
    const closed = peering.then((open) => open.close()).catch(() => {});
    await inTime(closed, closeMs, this.#vault.system);
  }
}

/** Wait for something, but not longer than this. */
export async function inTime(work: Promise<unknown>, ms: number, system: System): Promise<void> {
  let cancel = (): void => {};
  const enough = new Promise<void>((resolve) => {
    cancel = system.after(ms, resolve);
  });
  await Promise.race([work, enough]);
  cancel();
}

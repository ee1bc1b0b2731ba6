/**
 * Bring what is here and what peers have together, and say how far that came. Where a daemon runs on the same home, it
 * does the work and this only watches.
 *
 *   sync          until nothing is left to do with the peers that are there
 *   sync --wait   until every revision has its copies, or nothing has moved for so long
 * @module
 */
import { Problem } from "../base/errors.js";
import { sameBytes } from "../base/bytes.js";
import type { Coop } from "../swarm/coop.js";
import type { PeerEvent } from "../swarm/events.js";
import type { Vault } from "../vault/vault.js";
import { type Copies, CopyCounter, countCopies } from "./copies.js";
import { Presences } from "./daemon.js";
import type { Settled } from "../swarm/peering.js";
import { coopOf, type Keeper, type KeeperOptions, openKeeper } from "./keeper.js";
import { endPresence, presenceOf } from "./presence.js";

/** How long a sync looks for somebody. */
const lookMs = 15_000;
/** Nothing has moved for so long: the peers that are there have given and taken all they will. */
const stillMs = 10_000;
/** Those that are known but not there yet have so long, from the start on; who was not met for so long is not waited for. */
const othersMs = 2500;
const awayDays = 3n;
/** Where all that answer refuse this machine, others have so long to come. */
const refusedMs = 3000;
/** Between two looks at how far it is. */
const stepMs = 250;

export interface SyncOptions extends KeeperOptions {
  readonly stop: AbortSignal;
  /** undefined: until the peers that are there are done; else until copies are there, or for so long nothing moved */
  readonly waitMs: number | undefined;
  /** looks and stillness, where they are others than for people */
  readonly lookMs?: number;
  readonly progress: (now: SyncProgress) => void;
}

export interface SyncProgress {
  readonly peers: number;
  readonly sent: number;
  readonly received: number;
  /** objects that are wanted here and not here */
  readonly wanted: number;
  readonly copies: Copies;
}

export interface SyncSummary extends SyncProgress {
  /** a daemon did the work: what it sent and received is not known here */
  readonly watched: boolean;
}

/** Problems: "not-found" where the home is in no coop, or nobody was reached; "interrupted". */
export async function sync(vault: Vault, options: SyncOptions): Promise<SyncSummary> {
  const coop = coopOf(vault);
  const run = new Run(vault, options);
  for (;;) {
    const keeper = await openKeeper(vault, coop, { ...options, events: (event) => run.hear(event) });
    if (keeper !== undefined) return exchange(vault, keeper, coop, options, run);
    const watched = await watch(vault, options, run);
    if (watched !== undefined) return { ...watched, watched: true };
    // Whoever did the work has ended.
    await vault.system.sleep(stepMs);
  }
}

/** As the keeper of the home. */
async function exchange(
  vault: Vault,
  keeper: Keeper,
  coop: Coop,
  options: SyncOptions,
  run: Run,
): Promise<SyncSummary> {
  try {
    run.presences.tell();
    const ticking = tick(vault, options, () => run.now());
    try {
      if (options.waitMs === undefined) await settle(vault, keeper, options, run.met, coop);
      else await untilCopied(vault, keeper, coop, options, options.waitMs, run);
    } finally {
      ticking();
    }
    checkStop(options.stop);
    return { ...run.now(), copies: countCopies(vault), watched: false };
  } finally {
    endPresence(vault.home);
    await keeper.close();
  }
}

/** What one run has heard and counted so far. */
class Run {
  readonly met = new Meetings();
  readonly presences: Presences;
  readonly #vault: Vault;
  readonly #options: SyncOptions;
  readonly #counter: CopyCounter;
  #sent = 0;
  #received = 0;

  constructor(vault: Vault, options: SyncOptions) {
    this.presences = new Presences(vault);
    this.#vault = vault;
    this.#options = options;
    this.#counter = new CopyCounter(vault);
  }

  hear(event: PeerEvent): void {
    this.presences.hear(event);
    this.met.hear(event);
    if (event.type === "traffic") [this.#sent, this.#received] = [event.sent, event.received];
    this.#options.events(event);
  }

  now(peers = this.met.peers.size): SyncProgress {
    const { copies } = this.#counter;
    const wanted = this.#vault.store.ledger.wantedCount();
    return { peers, sent: this.#sent, received: this.#received, wanted, copies };
  }
}

/** Whom a run has met, and who has sent it away for good. */
class Meetings {
  /** hex of the keys of devices that keep for others */
  readonly peers = new Set<string>();
  /** why, in the words of the last one that could have let it in, else of the last one */
  refused: string | undefined;
  /** by a device that could have let it in */
  judged = false;

  hear(event: PeerEvent): void {
    if (event.type === "peer-up" && event.keeps) this.peers.add(event.device.toString("hex"));
    if (event.type !== "refused" || event.by === "us" || (this.judged && !event.judged)) return;
    this.refused = event.why;
    this.judged ||= event.judged;
  }
}

/** Exchange with the peers that are there, and give those that are known a moment to come. */
async function settle(vault: Vault, keeper: Keeper, options: SyncOptions, met: Meetings, coop: Coop): Promise<void> {
  const { system } = vault;
  const began = system.now();
  const sinceMs = (): number => Number((system.now() - began) / 1_000_000n);
  const isShut = (): boolean => isRefused(met, coop);
  const enough = new AbortController();
  const stop = (): void => enough.abort();
  options.stop.addEventListener("abort", stop);
  const look = (): void => {
    if (isShut()) stop();
    else cancel = system.after(stepMs, look);
  };
  let cancel = system.after(refusedMs, look);
  try {
    await keeper.peering.settled(options.lookMs ?? lookMs, enough.signal);
    const others = expected(vault, coop);
    while (!options.stop.aborted && met.peers.size > 0 && met.peers.size < others && sinceMs() < othersMs) {
      await system.sleep(stepMs);
      await keeper.peering.settled(stillMs, enough.signal);
    }
  } finally {
    cancel();
    options.stop.removeEventListener("abort", stop);
  }
  if (met.peers.size === 0 && !options.stop.aborted) throw nobody(options, coop, met.refused);
}

/** How many other machines of the coop may be there. */
function expected(vault: Vault, coop: Coop): number {
  const since = vault.system.now() - awayDays * 86_400_000_000_000n;
  const away = new Set(
    vault.store.ledger.peers().flatMap(({ device, facts }) => (facts.seen < since ? [device.toString("hex")] : [])),
  );
  return [...coop.state.members.entries()].filter(
    ([key, { device }]) => !sameBytes(device, vault.device) && !away.has(key),
  ).length;
}

function nobody({ reach, lookMs: looked = lookMs }: SyncOptions, coop: Coop, refused: string | undefined): Problem {
  if (refused !== undefined)
    return new Problem("not-found", `the machines of the coop that were reached did not let this one in: ${refused}`);
  const where = reach.bootstrap === undefined ? "the public DHT" : `bootstrap nodes ${reach.bootstrap.join(", ")}`;
  const waits = coop.pending === undefined ? "" : "; the invite waits for one of an admin's machines";
  return new Problem(
    "not-found",
    `no other machine of the coop was reached within ${Math.round(looked / 1000)} s through ${where}${waits}`,
  );
}

/** Was it sent away by all that it met? While it waits to be let in, only an admin's machine can say so. */
function isRefused(met: Meetings, coop: Coop): boolean {
  return met.peers.size === 0 && met.refused !== undefined && (coop.pending === undefined || met.judged);
}

/** Until every revision has its copies and nothing is wanted, or nothing has moved for `waitMs`. */
async function untilCopied(
  vault: Vault,
  keeper: Keeper,
  coop: Coop,
  options: SyncOptions,
  waitMs: number,
  run: Run,
): Promise<void> {
  const { system } = vault;
  const { met } = run;
  const began = system.now();
  const sinceMs = (): number => Number((system.now() - began) / 1_000_000n);
  const isCopied = (): boolean => {
    const { copies } = run.now();
    return copies.whole === copies.revisions;
  };
  const isDone = (): boolean => isCopied() && run.now().wanted === 0;
  let last = "";
  for (let still = 0; still < waitMs && !options.stop.aborted; still += stepMs) {
    vault.store.refresh();
    if (isCopied() && met.peers.size > 0) {
      // What those who are there know has to be heard, and what this machine has signed has to reach them. What is wanted
      // of a machine that is away is nothing to wait for.
      const { taken } = await settledWithin(vault, keeper, options, othersMs);
      if (isDone() || (taken && isCopied())) return;
      still += othersMs;
    }
    // Nobody is there, and nobody is needed.
    if (isDone() && coop.pending === undefined && sinceMs() >= (options.lookMs ?? lookMs)) return;
    if (sinceMs() >= refusedMs && isRefused(met, coop)) break;
    const { copies, wanted, sent, received } = run.now();
    const state = [copies.revisions, copies.whole, copies.safe, wanted, sent, received].join();
    if (state !== last) still = 0;
    last = state;
    await system.sleep(stepMs);
  }
  const isOut = coop.pending !== undefined || isRefused(met, coop);
  if (met.peers.size === 0 && isOut && !options.stop.aborted)
    throw nobody({ ...options, lookMs: sinceMs() }, coop, met.refused);
}

async function settledWithin(vault: Vault, keeper: Keeper, options: SyncOptions, ms: number): Promise<Settled> {
  const enough = new AbortController();
  const stop = (): void => enough.abort();
  const cancel = vault.system.after(ms, stop);
  options.stop.addEventListener("abort", stop);
  try {
    return await keeper.peering.settled(stillMs, enough.signal);
  } finally {
    cancel();
    options.stop.removeEventListener("abort", stop);
  }
}

/**
 * Another process is at work: look at what it has done until it has done all, or nothing moves. Undefined where it has
 * ended before that.
 */
async function watch(vault: Vault, options: SyncOptions, run: Run): Promise<SyncProgress | undefined> {
  const waitMs = options.waitMs ?? options.lookMs ?? stillMs;
  let last = "";
  let seen = 0;
  for (let still = 0, steps = 0; ; still += stepMs, steps++) {
    checkStop(options.stop);
    vault.store.refresh();
    const presence = presenceOf(vault.home);
    if (presence === undefined) return undefined;
    const peers = presence.connected.length;
    seen = Math.max(seen, peers);
    const progress = run.now(seen);
    if (steps % 4 === 3) options.progress(progress);
    const { copies, wanted } = progress;
    const fewest = least(vault, copies);
    const enough = options.waitMs === undefined ? seen > 0 && fewest >= peers : copies.whole === copies.revisions;
    // What does not come while nothing moves is with nobody who is there.
    if (enough && (wanted === 0 || still >= stillMs)) return progress;
    const state = [copies.revisions, copies.whole, copies.safe, wanted, fewest].join();
    if (state !== last) still = 0;
    last = state;
    if (still >= waitMs) {
      if (seen === 0 && options.waitMs === undefined) throw nobody(options, coopOf(vault), undefined);
      return progress;
    }
    await vault.system.sleep(stepMs);
  }
}

/** The copies of the revision that has fewest. */
function least(vault: Vault, copies: Copies): number {
  let fewest = Number.MAX_SAFE_INTEGER;
  for (const { id } of vault.store.catalogue.revisions()) fewest = Math.min(fewest, copies.of(id));
  return fewest;
}

/** Tell how far it is, now and then. The result ends it. */
function tick(vault: Vault, { progress }: SyncOptions, now: () => SyncProgress): () => void {
  let cancel = (): void => {};
  const step = (): void => {
    progress(now());
    cancel = vault.system.after(1000, step);
  };
  cancel = vault.system.after(1000, step);
  return () => cancel();
}

function checkStop(stop: AbortSignal): void {
  if (stop.aborted)
    throw new Problem("interrupted", "interrupted; what was exchanged is kept, and the next run goes on");
}

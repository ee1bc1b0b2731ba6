/**
 * When a run of `sync` is done: nothing is wanted here that a connected peer could give, and every connected keeper has
 * signed for all that this device lists. Or nothing of that has moved for so long that waiting on is no use.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import type { Store } from "../store/store.js";
import type { Flow } from "./flow.js";
import type { Peer, Room } from "./room.js";

/** How a wait for the exchange to be done ended. */
export interface Settled {
  /** nothing is wanted here that a connected peer could give */
  readonly taken: boolean;
  /** connected devices that keep for others, and those of them that have signed for all that this device lists */
  readonly keepers: number;
  readonly receipted: number;
}

/** Between two looks. */
const lookMs = 100;

export function* ownNames(store: Store): Generator<Buffer> {
  for (const { log } of store.heads())
    if (store.isOwn(log)) for (const { name } of store.ledger.listedBy(log)) yield name;
}

/** Has this device signed for every object that our logs list, and for the last record of each? */
function hasReceipted(store: Store, device: Buffer): boolean {
  for (const { log, seq, frozen } of store.heads()) {
    if (!store.isOwn(log) || frozen) continue;
    const signed = store.ledger.headReceipts(log).find((receipt) => sameBytes(receipt.device, device));
    if (signed === undefined || signed.seq < seq) return false;
  }
  for (const name of ownNames(store))
    if (!store.ledger.holdersOf(name).some((holder) => sameBytes(holder, device))) return false;
  return true;
}

/** What the wait looks at. */
export interface Exchanging {
  readonly room: Room;
  readonly flow: Pick<Flow, "isDone" | "progress">;
  /** the links are closed: nothing will move any more */
  isOver(): boolean;
}

export function settled({ room, flow, isOver }: Exchanging, stillMs: number, stop?: AbortSignal): Promise<Settled> {
  const { system, store, gives } = room;
  /** devices that had signed for all when `progress` was this */
  let checked = -1;
  let complete = new Set<string>();
  const keepers = (): Peer[] => [...room.peers()].filter((peer) => peer.isKeeper);
  const state = (): Settled => {
    const devices = new Map(keepers().map(({ device }) => [toHex(device), device]));
    if (gives && checked !== flow.progress) {
      checked = flow.progress;
      complete = new Set([...devices].flatMap(([hex, device]) => (hasReceipted(store, device) ? [hex] : [])));
    }
    const receipted = gives ? [...devices.keys()].filter((hex) => complete.has(hex)).length : devices.size;
    return { taken: flow.isDone, keepers: devices.size, receipted };
  };
  return new Promise((resolve) => {
    let last = flow.progress;
    let since = system.now();
    let found: Settled = { taken: false, keepers: 0, receipted: 0 };
    const look = (): void => {
      if (isOver()) {
        resolve({ ...found, keepers: 0, receipted: 0 });
        return;
      }
      const now = system.now();
      if (flow.progress !== last) {
        last = flow.progress;
        since = now;
      }
      found = state();
      const done = found.taken && found.keepers > 0 && found.receipted === found.keepers;
      if (done || stop?.aborted === true || now - since >= BigInt(stillMs) * 1_000_000n) resolve(found);
      else system.after(lookMs, look);
    };
    look();
  });
}

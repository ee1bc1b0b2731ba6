/**
 * How things stand with each peer, for whoever asks.
 * @module
 */
import { toHex } from "../base/bytes.js";
import type { Store } from "../store/store.js";
import type { Room } from "./room.js";
import { ownNames } from "./settle.js";

/** One admitted link, for status. */
export interface PeerStatus {
  readonly device: Buffer;
  readonly vault: Buffer | undefined;
  readonly label: string;
  readonly keeps: boolean;
  readonly recovering: Buffer | undefined;
  /** bytes of objects that came and went over this link */
  readonly received: number;
  readonly sent: number;
  /** objects of this device's logs that the peer has not signed for; undefined for one that keeps nothing */
  readonly unreceipted: number | undefined;
}

export interface PeeringStatus {
  readonly peers: readonly PeerStatus[];
  /** links not admitted yet */
  readonly knocking: number;
  /** objects that are wanted here and not here */
  readonly wanted: number;
  readonly receiving: number;
  readonly diskFull: boolean;
}

export function peerStatuses(room: Room): PeerStatus[] {
  const peers = [...room.peers()];
  const keepers = peers.filter((peer) => peer.isKeeper).map(({ device }) => device);
  const missing = unreceipted(room.store, room.gives ? keepers : []);
  return peers.map((peer) => ({
    device: peer.device,
    vault: peer.remote.vault,
    label: peer.remote.label,
    keeps: peer.remote.keeps,
    recovering: peer.remote.recovering,
    received: peer.received,
    sent: peer.sent,
    unreceipted: peer.isKeeper ? missing.get(toHex(peer.device)) : undefined,
  }));
}

/** How many of this device's objects each of these devices has not signed for; by hex, in one pass. */
function unreceipted(store: Store, devices: readonly Buffer[]): Map<string, number> {
  const missing = new Map(devices.map((device) => [toHex(device), 0]));
  if (devices.length === 0) return missing;
  for (const name of ownNames(store)) {
    const holders = new Set(store.ledger.holdersOf(name).map(toHex));
    for (const [device, count] of missing) if (!holders.has(device)) missing.set(device, count + 1);
  }
  return missing;
}

/**
 * The proof that somebody knows the coop's key, made anew for each connection: a keyed hash over what only this
 * connection has. It can be neither replayed on another connection (handshake hash), nor sent back to its maker (role),
 * nor used for another epoch. It says who may knock; who somebody is, is proven by `linkScope` under a signature.
 * @module
 */
import { blake2b } from "@noble/hashes/blake2.js";
import { derive } from "./hash.js";

export const capabilityBytes = 32;

/** One connection as both of its sides see it. */
export interface LinkKeys {
  readonly initiatorKey: Uint8Array;
  readonly responderKey: Uint8Array;
  readonly handshakeHash: Uint8Array;
}

/** What one side of a connection signs to say who it is. @param initiator is the signer the side that dialled? */
export function linkScope(initiator: boolean, link: LinkKeys): Buffer {
  return Buffer.concat([Buffer.from([initiator ? 1 : 0]), link.initiatorKey, link.responderKey, link.handshakeHash]);
}

/**
 * The capability of the side that dialled, or of the other.
 * @param coopKey 32 bytes, of the epoch with this id
 */
export function capabilityOf(coopKey: Uint8Array, epochId: Uint8Array, initiator: boolean, link: LinkKeys): Buffer {
  const scope = Buffer.concat([Buffer.from("bcoopfs v1 capability", "latin1"), linkScope(initiator, link), epochId]);
  return Buffer.from(blake2b(scope, { key: derive("coop capability", coopKey), dkLen: capabilityBytes }));
}

/**
 * The knock: the first thing that each side says. It proves that the knocker holds a key of the coop, or the slot key of
 * a vault's phrase, on this connection and in this direction only; to a stranger it is noise.
 *
 * Besides its newest key a member proves all older ones that it knows, so that two who missed different turns of the key
 * still know each other. The older ones stand in field 1 of the knock: { epoch id 16 ‖ capability 32 } …
 * @module
 */
import { sameBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { choice } from "../base/limits.js";
import { capabilityBytes, capabilityOf, type LinkKeys, linkScope } from "../format/capability.js";
import { epochIdBytes } from "../format/coop.js";
import { noFields } from "../format/fields.js";
import { decodeKnock, encodeKnock, type Knock, protocolVersions } from "../format/message.js";
import { type SigningKey, sign, verify } from "../format/sign.js";
import type { CoopKey } from "./coop-key.js";
import type { Connection } from "./network.js";

const olderField = 1;
const proofBytes = epochIdBytes + capabilityBytes;
const slotDomain = "recover";

/** Both ends of a connection, by role. */
export function linkKeysOf({ initiator, localKey, remoteKey, handshakeHash }: Omit<Connection, "stream">): LinkKeys {
  return {
    initiatorKey: initiator ? localKey : remoteKey,
    responderKey: initiator ? remoteKey : localKey,
    handshakeHash,
  };
}

/** @param keys at least one, the newest first */
export function memberKnock(keys: readonly CoopKey[], initiator: boolean, link: LinkKeys): Buffer {
  const proofs = keys.map(({ id, key }) => ({ epochId: id, capability: capabilityOf(key, id, initiator, link) }));
  const [newest, ...older] = proofs.slice(0, choice.coopKeys);
  if (newest === undefined) throw new RangeError("expected a key of the coop");
  const bytes = Buffer.concat(older.flatMap(({ epochId, capability }) => [epochId, capability]));
  const fields = older.length === 0 ? noFields : [{ number: olderField, bytes }];
  return encodeKnock({ ...protocolVersions, purpose: "member", ...newest, slot: undefined, fields });
}

/** @param random the fields that only a member can fill */
export function recoveryKnock(
  slot: SigningKey,
  initiator: boolean,
  link: LinkKeys,
  random: (length: number) => Buffer,
): Buffer {
  const proof = sign(slot, slotDomain, linkScope(initiator, link));
  return encodeKnock({
    ...protocolVersions,
    purpose: "recover",
    epochId: random(epochIdBytes),
    capability: random(capabilityBytes),
    slot: { publicKey: slot.publicKey, proof },
    fields: noFields,
  });
}

/** A knock that could be read; undefined for anything else. */
export function readKnock(bytes: Uint8Array): Knock | undefined {
  try {
    return decodeKnock(bytes);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** What a member's knock shows to somebody with these keys. */
export interface Shown {
  /** epoch ids of our keys that the other side knows too, the newest first */
  readonly proven: readonly Buffer[];
  /** It knows our newest key. */
  readonly isCurrent: boolean;
  /** It knows no newer key than we do, and our newest not: it was away. */
  readonly isBehind: boolean;
}

/** @param initiator did the knocker dial? undefined where it has shown nothing: a stranger */
export function shownBy(knock: Knock, keys: readonly CoopKey[], initiator: boolean, link: LinkKeys): Shown | undefined {
  const older = knock.fields.find(({ number }) => number === olderField)?.bytes ?? Buffer.alloc(0);
  const proofs = [{ epochId: knock.epochId, capability: knock.capability }];
  for (let at = 0; at + proofBytes <= older.length && proofs.length < choice.coopKeys; at += proofBytes)
    proofs.push({
      epochId: older.subarray(at, at + epochIdBytes),
      capability: older.subarray(at + epochIdBytes, at + proofBytes),
    });
  const proven = keys
    .filter(({ id, key }) => {
      const proof = proofs.find(({ epochId }) => sameBytes(epochId, id));
      return proof !== undefined && sameBytes(proof.capability, capabilityOf(key, id, initiator, link));
    })
    .map(({ id }) => id);
  if (proven.length === 0) return undefined;
  const newest = keys[0] as CoopKey;
  const isCurrent = proven.some((id) => sameBytes(id, newest.id));
  return { proven, isCurrent, isBehind: !isCurrent && keys.some(({ id }) => sameBytes(id, knock.epochId)) };
}

/** Did the holder of this slot key knock, on this connection? */
export function isSlotProven(knock: Knock, initiator: boolean, link: LinkKeys): boolean {
  const { slot } = knock;
  return slot !== undefined && verify(slot.publicKey, slotDomain, linkScope(initiator, link), slot.proof);
}

/** The protocol version that both speak; undefined where there is none. */
export function commonVersion({ low, high }: Knock): number | undefined {
  const common = Math.min(high, protocolVersions.high);
  return common >= Math.max(low, protocolVersions.low) ? common : undefined;
}

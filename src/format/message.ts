/**
 * What goes over a link, as bytes: the knock, the messages at the door (who is there, the coop's chains, joining), and
 * those in the room (logs, parts of capsules, leaves of objects, receipts). Pure codecs: what a message means, and
 * whether its sender may send it, is judged where it is handled. docs/protocol.md says when each is sent.
 *
 * A decoder throws nothing but a Problem, whatever arrives, and keeps no view of what it was given.
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { format, wire } from "../base/limits.js";
import { capabilityBytes } from "./capability.js";
import type { Certificate } from "./certificate.js";
import { epochIdBytes, readMaybe, readStanding, writeMaybe, writeStanding } from "./coop.js";
import { type Fields, readFields, writeFields } from "./fields.js";
import { type Redeem, readRedeem, writeRedeem } from "./invite.js";
import {
  type Codec,
  codecOf,
  type Form,
  type Message,
  readBytes,
  readFlag,
  readRow,
  take,
  type Unknown,
  writeBytes,
  writeRow,
} from "./message-form.js";
import { signatureBytes } from "./sign.js";

/** The versions of the protocol that this program speaks. */
export const protocolVersions = { low: 1, high: 1 } as const;

/** Why a side refuses another. Sent as a number; ones that a version does not know are a refusal all the same. */
export const refuseReasons = {
  /** no version that both speak */
  version: 1,
  notMember: 2,
  /** was a member, and was removed */
  removed: 3,
  /** an invite was shown to a device that is no admin's: try another member */
  noAdmin: 4,
  inviteExpired: 5,
  inviteUsed: 6,
  inviteInvalid: 7,
  /** a recovering machine, and nothing of its vault is here */
  unknownVault: 8,
  /** too many links; come back later */
  busy: 9,
} as const;

/** Why leaves that were asked for do not come. */
export const noLeavesReasons = {
  /** the object is not here, or not in this length */
  missing: 1,
  /** it is, and its bytes here are not what its name says */
  damaged: 2,
  /** not for this asker */
  refused: 3,
  /** ask again later */
  busy: 4,
} as const;

/** The first thing that each side says: a stranger learns nothing from it. */
export interface Knock {
  /** versions of the protocol that the sender speaks, from low to high */
  readonly low: number;
  readonly high: number;
  readonly purpose: "member" | "recover";
  /** which of the coop's keys the capability is made with; of a recovering machine any bytes, as is the capability */
  readonly epochId: Buffer;
  readonly capability: Buffer;
  /** of a recovering machine, and only of one: the slot key of its vault, and its signature */
  readonly slot: { readonly publicKey: Buffer; readonly proof: Buffer } | undefined;
  readonly fields: Fields;
}

const purposes = { member: 1, recover: 2 } as const;

export function encodeKnock(knock: Knock): Buffer {
  if ((knock.purpose === "recover") !== (knock.slot !== undefined))
    throw new RangeError("expected a slot key of a recovering machine, and only of one");
  const to = new Writer(256).varint(knock.low).varint(knock.high).u8(purposes[knock.purpose]);
  to.raw(knock.epochId).raw(knock.capability);
  writeMaybe(to, knock.slot, ({ publicKey, proof }) => to.raw(publicKey).raw(proof));
  writeFields(to, knock.fields);
  if (to.length > wire.knockBytes)
    throw new RangeError(`expected a knock of at most ${wire.knockBytes} bytes, got ${to.length}`);
  return to.finish();
}

export function decodeKnock(bytes: Uint8Array): Knock {
  const from = new Reader(bytes, "knock");
  if (bytes.length > wire.knockBytes) from.fail("too long");
  const low = from.varint(0xffff);
  const high = from.varint(0xffff);
  if (low > high) from.fail("versions that end before they begin");
  const number = from.u8();
  if (number !== purposes.member && number !== purposes.recover) from.fail("an unknown purpose");
  const purpose = number === purposes.recover ? "recover" : "member";
  const epochId = take(from, epochIdBytes);
  const capability = take(from, capabilityBytes);
  const slot = readMaybe(from, () => ({ publicKey: take(from), proof: take(from, signatureBytes) }));
  if ((purpose === "recover") !== (slot !== undefined))
    from.fail("a slot key where none belongs, or none where one does");
  const fields = readFields(from);
  from.end();
  return { low, high, purpose, epochId, capability, slot, fields };
}

/** How far a side knows a log. */
export interface Head {
  /** the vault of the log, or the coop */
  readonly scope: Buffer;
  readonly log: Buffer;
  readonly device: Buffer;
  readonly seq: bigint;
  /** of the record with this number */
  readonly id: Buffer;
  /** two branches are known: nothing is added any more */
  readonly frozen: boolean;
}

function writeHeads(to: Writer, heads: readonly Head[]): void {
  writeRow(to, heads, wire.headsPerMessage, ({ scope, log, device, seq, id, frozen }) =>
    to
      .raw(scope)
      .raw(log)
      .raw(device)
      .u64(seq)
      .raw(id)
      .u8(frozen ? 1 : 0),
  );
}

function readHeads(from: Reader): Head[] {
  return readRow(from, wire.headsPerMessage, 137, () => ({
    scope: take(from),
    log: take(from),
    device: take(from),
    seq: from.u64(),
    id: take(from),
    frozen: readFlag(from),
  }));
}

/** Whole records of one log, with their signatures, in order. */
interface Records {
  readonly log: Buffer;
  readonly records: readonly Buffer[];
}

function recordsForm<M extends Message & Records>(number: number): Form<M> {
  const most = wire.recordBytesPerMessage;
  return {
    number,
    write: (to, { log, records }) => {
      const sum = records.reduce((bytes, record) => bytes + record.length, 0);
      if (sum > most) throw new RangeError(`expected records of at most ${most} bytes in a message, got ${sum}`);
      to.raw(log);
      writeRow(to, records, wire.recordsPerMessage, (record) => writeBytes(to, record, format.recordBytes));
    },
    read: (from) => {
      let sum = 0;
      const log = take(from);
      const records = readRow(from, wire.recordsPerMessage, 1, () => {
        const record = from.blob(format.recordBytes);
        sum += record.length;
        if (sum > most) from.fail("too many bytes of records");
        return Buffer.from(record);
      });
      return { log, records } as unknown as ReturnType<Form<M>["read"]>;
    },
  };
}

function bare<M extends Message>(number: number): Form<M> {
  return { number, write: () => {}, read: () => ({}) as ReturnType<Form<M>["read"]> };
}

/** Who the sender is. */
export interface Identity extends Message {
  readonly type: "identity";
  readonly device: Buffer;
  /** both or neither: that the device belongs to a vault */
  readonly certificate: Certificate | undefined;
  readonly rootPublic: Buffer | undefined;
  /** by the device over this connection */
  readonly proof: Buffer;
  /** stores for others; false of a process that only asks */
  readonly keeps: boolean;
}

/** Before both sides have admitted each other. */
export type DoorMessage =
  | Identity
  | (Message & { readonly type: "coopHeads"; readonly heads: readonly Head[] })
  | (Message & Records & { readonly type: "coopRecords" })
  | (Message & { readonly type: "coopDone" })
  | (Message & { readonly type: "redeem"; readonly redeem: Redeem })
  | (Message & { readonly type: "admit" })
  | (Message & { readonly type: "refuse"; readonly reason: number });

const door: Codec<DoorMessage> = codecOf<DoorMessage>("door message", {
  identity: {
    number: 2,
    write: (to, message) => {
      to.raw(message.device);
      writeStanding(to, message);
      to.raw(message.proof).u8(message.keeps ? 1 : 0);
    },
    read: (from) => {
      const device = take(from);
      const standing = readStanding(from);
      return { device, ...standing, proof: take(from, signatureBytes), keeps: readFlag(from) };
    },
  },
  coopHeads: {
    number: 4,
    write: (to, { heads }) => writeHeads(to, heads),
    read: (from) => ({ heads: readHeads(from) }),
  },
  coopRecords: recordsForm(6),
  coopDone: bare(8),
  redeem: {
    number: 10,
    write: (to, { redeem }) => writeRedeem(to, redeem),
    read: (from) => ({ redeem: readRedeem(from) }),
  },
  admit: bare(12),
  refuse: {
    number: 14,
    write: (to, { reason }) => to.u8(reason),
    read: (from) => ({ reason: from.u8() }),
  },
});

export const encodeDoor = (message: DoorMessage): Buffer => door.encode(message);
export const decodeDoor = (bytes: Uint8Array): DoorMessage | Unknown => door.decode(bytes);

/** A part of a vault's capsule, and how new it is. */
export interface PartHead {
  readonly vault: Buffer;
  /** zeros for the root part */
  readonly device: Buffer;
  readonly version: bigint;
}

/** An answer to a question names its number; numbers are the asker's. */
interface Answer {
  readonly request: number;
}

/** Between two sides that have admitted each other. */
export type RoomMessage =
  | (Message & {
      readonly type: "heads";
      readonly heads: readonly Head[];
      /** another message of them follows */
      readonly more: boolean;
    })
  | (Message & { readonly type: "askRecords"; readonly log: Buffer; readonly from: bigint })
  | (Message & Records & { readonly type: "records" })
  | (Message & {
      readonly type: "fork";
      readonly log: Buffer;
      /** one that contradicts a record which the other side has */
      readonly record: Buffer;
    })
  | (Message & { readonly type: "parts"; readonly parts: readonly PartHead[] })
  | (Message & { readonly type: "askPart"; readonly vault: Buffer; readonly device: Buffer })
  | (Message & {
      readonly type: "part";
      readonly vault: Buffer;
      readonly device: Buffer;
      readonly bytes: Buffer;
    })
  | (Message &
      Answer & {
        readonly type: "askLeaves";
        readonly name: Buffer;
        /** of the whole object */
        readonly length: number;
        readonly first: number;
        /** 1 to 4 */
        readonly count: number;
      })
  | (Message &
      Answer & {
        readonly type: "leaves";
        readonly first: number;
        /** as `proofOf` gives it */
        readonly proof: readonly Buffer[];
        readonly bytes: Buffer;
      })
  | (Message & Answer & { readonly type: "noLeaves"; readonly reason: number })
  | (Message & Answer & { readonly type: "askHeld"; readonly names: readonly Buffer[] })
  | (Message &
      Answer & {
        readonly type: "held";
        /** one for each name asked for, the first in the lowest bit of the first byte; the rest of the last byte zero */
        readonly bits: Buffer;
      })
  | (Message & { readonly type: "receipt"; readonly bytes: Buffer })
  | (Message & { readonly type: "bye" })
  | (Message & { readonly type: "askReceipts"; readonly log: Buffer });

const requests = 0xffff_ffff;

const room: Codec<RoomMessage> = codecOf<RoomMessage>("room message", {
  heads: {
    number: 2,
    write: (to, { heads, more }) => {
      writeHeads(to, heads);
      to.u8(more ? 1 : 0);
    },
    read: (from) => ({ heads: readHeads(from), more: readFlag(from) }),
  },
  askRecords: {
    number: 4,
    write: (to, { log, from }) => to.raw(log).u64(from),
    read: (from) => ({ log: take(from), from: from.u64() }),
  },
  records: recordsForm(6),
  fork: {
    number: 8,
    write: (to, { log, record }) => writeBytes(to.raw(log), record, format.recordBytes),
    read: (from) => ({ log: take(from), record: readBytes(from, format.recordBytes) }),
  },
  parts: {
    number: 10,
    write: (to, { parts }) =>
      writeRow(to, parts, wire.partsPerMessage, ({ vault, device, version }) => to.raw(vault).raw(device).u64(version)),
    read: (from) => ({
      parts: readRow(from, wire.partsPerMessage, 72, () => ({
        vault: take(from),
        device: take(from),
        version: from.u64(),
      })),
    }),
  },
  askPart: {
    number: 12,
    write: (to, { vault, device }) => to.raw(vault).raw(device),
    read: (from) => ({ vault: take(from), device: take(from) }),
  },
  part: {
    number: 14,
    write: (to, { vault, device, bytes }) => writeBytes(to.raw(vault).raw(device), bytes, wire.partBytes),
    read: (from) => ({ vault: take(from), device: take(from), bytes: readBytes(from, wire.partBytes) }),
  },
  askLeaves: {
    number: 16,
    write: (to, { request, name, length, first, count }) => {
      if (count < 1 || count > wire.leavesPerRequest)
        throw new RangeError(`expected 1 to ${wire.leavesPerRequest} leaves, got ${count}`);
      to.varint(request).raw(name).varint(length).varint(first).u8(count);
    },
    read: (from) => {
      const request = from.varint(requests);
      const ask = { request, name: take(from), length: from.varint(), first: from.varint(), count: from.u8() };
      if (ask.count < 1 || ask.count > wire.leavesPerRequest) from.fail("too many leaves at once, or none");
      return ask;
    },
  },
  leaves: {
    number: 18,
    write: (to, { request, first, proof, bytes }) => {
      to.varint(request).varint(first);
      writeRow(to, proof, wire.proofValues, (value) => to.raw(value));
      writeBytes(to, bytes, wire.leavesPerRequest * format.leafBytes);
    },
    read: (from) => ({
      request: from.varint(requests),
      first: from.varint(),
      proof: readRow(from, wire.proofValues, 32, () => take(from)),
      bytes: readBytes(from, wire.leavesPerRequest * format.leafBytes),
    }),
  },
  noLeaves: {
    number: 20,
    write: (to, { request, reason }) => to.varint(request).u8(reason),
    read: (from) => ({ request: from.varint(requests), reason: from.u8() }),
  },
  askHeld: {
    number: 22,
    write: (to, { request, names }) => writeRow(to.varint(request), names, wire.names, (name) => to.raw(name)),
    read: (from) => ({ request: from.varint(requests), names: readRow(from, wire.names, 32, () => take(from)) }),
  },
  held: {
    number: 24,
    write: (to, { request, bits }) => writeBytes(to.varint(request), bits, wire.names / 8),
    read: (from) => ({ request: from.varint(requests), bits: readBytes(from, wire.names / 8) }),
  },
  receipt: {
    number: 26,
    write: (to, { bytes }) => writeBytes(to, bytes, wire.receiptBytes),
    read: (from) => ({ bytes: readBytes(from, wire.receiptBytes) }),
  },
  bye: bare(28),
  askReceipts: {
    number: 30,
    write: (to, { log }) => to.raw(log),
    read: (from) => ({ log: take(from) }),
  },
});

export const encodeRoom = (message: RoomMessage): Buffer => room.encode(message);
export const decodeRoom = (bytes: Uint8Array): RoomMessage | Unknown => room.decode(bytes);

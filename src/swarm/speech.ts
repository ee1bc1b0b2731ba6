/**
 * How an admin's device speaks in a coop: statements in, signed records of its own chain out. Who speaks for the first
 * time begins a chain; who is an admin by its vault alone first lists itself, so that it stays one when the device is
 * removed that it owes it to.
 * @module
 */
import { compareBytes, sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import { type EpochBody, encodeEpoch, encodeFound, encodeMember, encodeRemove } from "../format/coop.js";
import { coopEpochId, epochIdBytes, type MemberBody, type RemoveBody, roles, sealEpoch } from "../format/coop.js";
import { noFields } from "../format/fields.js";
import { format } from "../base/limits.js";
import { type LogRecord, recordTypes, signRecord } from "../format/record.js";
import type { Keyring } from "../store/keyring.js";
import type { Chain, ChainBook } from "./chains.js";
import { tipsOf } from "./coop-records.js";
import type { CoopState } from "./members.js";
import { mostSerial, mostTips, serialAt, tipsFields } from "./statements.js";

/** Something to be said; it gets its serial when it is. */
export type ToSay =
  | ({ readonly what: "member" } & Omit<MemberBody, "serial" | "fields">)
  | ({ readonly what: "remove" } & Omit<RemoveBody, "serial">)
  | ({ readonly what: "epoch" } & Omit<EpochBody, "serial" | "fields">);

export interface Speaker {
  readonly keyring: Keyring;
  /** what this device is called in the coop */
  readonly label: string;
  readonly system: System;
}

/** The record that begins a chain. @param coop undefined of the one that founds it, which is given the coop's name and key */
export function foundRecord(
  speaker: Speaker,
  coop: Buffer | undefined,
  name: string,
  key: Buffer | undefined,
): LogRecord {
  const { keyring, system } = speaker;
  const { certificate, rootPublic } = keyring;
  const clear = encodeFound({
    device: keyring.device.publicKey,
    certificate,
    rootPublic,
    random: system.random(16),
    name,
    epochId: key ? coopEpochId(key) : Buffer.alloc(epochIdBytes),
    fields: noFields,
  });
  const head = { vault: coop, log: undefined, seq: 0n, previous: undefined, time: system.now() };
  return signRecord({ type: recordTypes.found, ...head, clear }, keyring.device);
}

/** The records that say all this, to be appended to this device's chain; the first may begin it. */
export function speak(speaker: Speaker, book: ChainBook, state: CoopState, sayings: readonly ToSay[]): LogRecord[] {
  const { keyring, system } = speaker;
  const records: LogRecord[] = [];
  const tip = ownTip(book, keyring.device.publicKey);
  const chain = tip && book.chains.get(toHex(tip.log));
  let last = tip ?? foundRecord(speaker, state.id, "", undefined);
  if (tip === undefined) records.push(last);
  const spoken = chain && tip ? serialAt(state.id, chain.records, tip) : -1n;
  let serial = spoken >= state.nextSerial ? spoken + 1n : state.nextSerial;
  if (serial + BigInt(sayings.length) >= mostSerial)
    throw new Problem("refused", "an admin has used up the numbers of this coop's log; found a new coop");
  const listed = state.members.get(toHex(keyring.device.publicKey));
  for (const saying of listed?.role === roles.admin ? sayings : [itself(speaker), ...sayings]) {
    const now = system.now();
    const time = now > last.time ? now : last.time + 1n;
    const place = { vault: state.id, log: last.log, seq: last.seq + 1n, previous: last.id, time };
    last = signRecord({ ...bodyOf(saying, serial++), ...place }, keyring.device);
    records.push(last);
  }
  return records;
}

/** That the speaker is an admin, and what it is called. */
export function itself({ keyring, label }: Speaker): ToSay {
  const { device, vault } = keyring;
  return { what: "member", device: device.publicKey, vault, role: roles.admin, label, quota: 0n, token: undefined };
}

/** Where this device goes on: the end of its longest chain. */
function ownTip(book: ChainBook, device: Buffer): LogRecord | undefined {
  const own = [...book.chains.values()].filter(({ author }) => sameBytes(author.device, device));
  const longer = (a: LogRecord, b: LogRecord): LogRecord =>
    a.seq > b.seq || (a.seq === b.seq && compareBytes(a.id, b.id) < 0) ? a : b;
  const tips = own.flatMap(tipsOf);
  return tips.length === 0 ? undefined : tips.reduce(longer);
}

function bodyOf(saying: ToSay, serial: bigint): { readonly type: number; readonly clear: Buffer } {
  switch (saying.what) {
    case "member":
      return { type: recordTypes.member, clear: encodeMember({ ...saying, serial, fields: noFields }) };
    case "remove":
      return { type: recordTypes.remove, clear: encodeRemove({ ...saying, serial }) };
    case "epoch":
      return { type: recordTypes.epoch, clear: encodeEpoch({ ...saying, serial, fields: noFields }) };
  }
}

/** That a device is out, and that of its chains only what is here counts. */
export function removalOf(book: ChainBook, device: Buffer): ToSay {
  const chains = [...book.chains.values()].filter(({ author }) => sameBytes(author.device, device));
  const tips = chains.flatMap((chain: Chain) => tipsOf(chain)).slice(0, mostTips);
  const upTo = new Map<string, { log: Buffer; seq: bigint }>();
  for (const { log, seq } of tips) if ((upTo.get(toHex(log))?.seq ?? -1n) < seq) upTo.set(toHex(log), { log, seq });
  return { what: "remove", device, chains: [...upTo.values()], fields: tipsFields(tips.map(({ id }) => id)) };
}

/** A key, sealed to these devices. @param number of its epoch */
export function epochOf(key: Buffer, number: number, devices: readonly Buffer[], system: System): ToSay[] {
  const sayings: ToSay[] = [];
  for (let at = 0; at < devices.length || at === 0; at += format.coopBoxes) {
    const { ephemeral, boxes } = sealEpoch(key, devices.slice(at, at + format.coopBoxes), (length) =>
      system.random(length),
    );
    sayings.push({ what: "epoch", number, id: coopEpochId(key), ephemeral, boxes });
  }
  return sayings;
}

/** Devices that speak in a coop, without homes: for the tests of the fold. */
import { toHex } from "../../src/base/bytes.js";
import { encodeMember, encodeRemove, roles } from "../../src/format/coop.js";
import { noFields } from "../../src/format/fields.js";
import { type LogRecord, recordTypes, signRecord } from "../../src/format/record.js";
import type { SigningKey } from "../../src/format/sign.js";
import type { Keyring } from "../../src/store/keyring.js";
import { type Chain, ChainBook } from "../../src/swarm/chains.js";
import { takeIn, tipsOf } from "../../src/swarm/coop-records.js";
import { type CoopState, foldCoop } from "../../src/swarm/members.js";
import { epochOf, foundRecord, itself, removalOf, speak, type ToSay } from "../../src/swarm/speech.js";
import type { TestDevice, World } from "./coop-given.js";

/** A device with what it knows of the coop. */
export class Voice {
  readonly keyring: Keyring;
  readonly label: string;
  readonly system: World;
  readonly coop: Buffer;
  book: ChainBook;
  waiting: readonly LogRecord[] = [];

  constructor(of: TestDevice, coop: Buffer) {
    this.keyring = of.keyring;
    this.label = of.host;
    this.system = of.system;
    this.coop = coop;
    this.book = new ChainBook(coop);
  }

  /** The founder, who has said who it is. */
  static founder(of: TestDevice): Voice {
    const speaker = { keyring: of.keyring, label: of.host, system: of.system };
    const founding = foundRecord(speaker, undefined, "barn", of.system.random(32));
    const voice = new Voice(of, founding.id);
    voice.book.enter(founding);
    voice.say(itself(voice));
    return voice;
  }

  get key(): Buffer {
    return this.keyring.device.publicKey;
  }

  get hex(): string {
    return toHex(this.key);
  }

  get state(): CoopState {
    return foldCoop(this.coop, this.chains);
  }

  get chains(): Chain[] {
    return [...this.book.chains.values()];
  }

  get records(): LogRecord[] {
    return this.chains.flatMap(({ records }) => records);
  }

  say(...sayings: ToSay[]): LogRecord[] {
    const records = speak(this, this.book, this.state, sayings);
    for (const record of records) this.book.enter(record);
    return records;
  }

  list(
    who: { readonly key: Buffer; readonly keyring: Keyring },
    role: number = roles.member,
    token?: Buffer,
  ): LogRecord[] {
    const { key, keyring } = who;
    return this.say({ what: "member", device: key, vault: keyring.vault, role, label: "", quota: 0n, token });
  }

  remove(who: { readonly key: Buffer }): LogRecord[] {
    return this.say(removalOf(this.book, who.key));
  }

  turn(): LogRecord[] {
    const { epochs, members } = this.state;
    const devices = [...members.values()].map(({ device }) => device);
    return this.say(...epochOf(this.system.random(32), (epochs.at(-1)?.number ?? 0) + 1, devices, this.system));
  }

  /** Take all that the other has. */
  hear(other: Voice): void {
    this.take(other.records);
  }

  take(records: readonly LogRecord[]): void {
    const { kept, waiting, fault } = takeIn(this.coop, this.book, [...records, ...this.waiting]);
    if (fault !== undefined) throw new Error(fault);
    for (const record of kept) this.book.enter(record);
    this.waiting = waiting;
  }

  /** A statement with any serial, behind any record of a chain of this device. */
  forge(behind: LogRecord, serial: bigint, saying: Forged): LogRecord {
    return forge(this.keyring.device, this.coop, behind, serial, saying);
  }

  /** A chain of this device in this coop. */
  begin(): LogRecord {
    return foundRecord(this, this.coop, "", undefined);
  }

  /** The end of the chain that this device has here. */
  get tip(): LogRecord | undefined {
    return this.chains.filter(({ author }) => author.device.equals(this.key)).flatMap(tipsOf)[0];
  }
}

export type Forged =
  | {
      readonly what: "member";
      readonly device: Buffer;
      readonly vault?: Buffer;
      readonly role?: number;
      readonly token?: Buffer;
    }
  | { readonly what: "remove"; readonly device: Buffer; readonly chains?: readonly { log: Buffer; seq: bigint }[] }
  | { readonly what: "raw"; readonly type: number; readonly clear: Buffer };

export function forge(key: SigningKey, coop: Buffer, behind: LogRecord, serial: bigint, saying: Forged): LogRecord {
  const place = { vault: coop, log: behind.log, seq: behind.seq + 1n, previous: behind.id, time: behind.time + 1n };
  return signRecord({ ...bodyOf(serial, saying), ...place }, key);
}

function bodyOf(serial: bigint, saying: Forged): { type: number; clear: Buffer } {
  if (saying.what === "raw") return saying;
  if (saying.what === "remove") {
    const { device, chains = [] } = saying;
    return { type: recordTypes.remove, clear: encodeRemove({ serial, device, chains, fields: noFields }) };
  }
  const { device, vault, role = roles.member, token } = saying;
  const body = { serial, device, vault, role, label: "forged", quota: 0n, token, fields: noFields };
  return { type: recordTypes.member, clear: encodeMember(body) };
}

/** A state in a form that can be compared and shown. */
export function shown(state: CoopState): unknown {
  const { name, members, removed, epochs, usedTokens, nextSerial, admins } = state;
  return {
    name,
    members: [...members].map(([key, { role, label, vault }]) => [
      key.slice(0, 8),
      role,
      label,
      vault && toHex(vault).slice(0, 8),
    ]),
    removed: [...removed].map(([key, { serial }]) => [key.slice(0, 8), serial]),
    epochs: epochs.map(({ number, id, bodies }) => [number, toHex(id), bodies.map(({ serial }) => serial).sort()]),
    usedTokens: [...usedTokens].sort(),
    nextSerial,
    admins: [...admins.keys()].map((key) => key.slice(0, 8)),
  };
}

/**
 * A device joins a vault that exists: out of an opened capsule comes a home with a fresh device key, certified by the
 * root key, and a log that inherits what the vault's other logs hold. The root key lives in memory only, as long as
 * this takes. Nothing of it is a vault until `vault.key`, the last file, is there; cut short, it can be run again.
 * @module
 */
import { toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import type { System } from "../base/system.js";
import {
  type DeviceSecrets,
  openDevicePart,
  openRootPart,
  readDevicePart,
  readRootPart,
  sealDevicePart,
} from "../format/capsule.js";
import { certify, rights } from "../format/certificate.js";
import { noFields } from "../format/fields.js";
import type { Constants, Epoch, PhraseKeys } from "../format/keys.js";
import { type LogRecord, recordTypes, sealRecord } from "../format/record.js";
import { encodeSucceed, type LogUpTo, signSucceed } from "../format/root-signed.js";
import { type SigningKey, signingKeyOf } from "../format/sign.js";
import type { Home } from "../store/home.js";
import type { Keyring } from "../store/keyring.js";
import type { LogFile } from "../store/log.js";
import { makeHome } from "./new-home.js";

/** All that the phrase opens in the parts of a vault's capsule: their union. */
export interface OpenedCapsule {
  readonly vault: Buffer;
  readonly rootPublic: Buffer;
  readonly recoveryPublic: Buffer;
  /** certifies devices; `forget` it */
  readonly root: SigningKey;
  readonly constants: Constants;
  /** ascending by number */
  readonly epochs: readonly Epoch[];
  readonly coops: DeviceSecrets["coops"];
  readonly bootstrap: readonly string[];
  readonly peers: readonly Buffer[];
  /** the parts as they came, by the name of their file */
  readonly parts: ReadonlyMap<string, Buffer>;
}

/**
 * Open a capsule. A device part that is not of this vault, or does not open, adds nothing: peers may hand out anything.
 * Problem("format") where the root part is none, "phrase" where it is another vault's.
 */
export function openCapsule(phrase: PhraseKeys, rootPart: Buffer, deviceParts: Iterable<Buffer>): OpenedCapsule {
  const head = readRootPart(rootPart);
  const { root, constants, epoch } = openRootPart(phrase, head);
  const epochs = new Map([[epoch.number, epoch]]);
  const coops = new Map<string, DeviceSecrets["coops"][number]>();
  const bootstrap = new Set<string>();
  const peers = new Map<string, Buffer>();
  const parts = new Map([["root", rootPart]]);
  const opened = [...deviceParts].flatMap((bytes) => deviceSecrets(phrase, head.rootPublic, bytes) ?? []);
  // The device that came last knows best where the others are: its coop, its nodes and its peers come first.
  for (const part of opened.sort((a, b) => Number(b.issued - a.issued))) {
    parts.set(toHex(part.device), part.bytes);
    for (const one of part.secrets.epochs) if (!epochs.has(one.number)) epochs.set(one.number, one);
    for (const coop of part.secrets.coops) coops.set(toHex(coop.id) + toHex(coop.key), coop);
    for (const address of part.secrets.bootstrap) bootstrap.add(address);
    for (const peer of part.secrets.peers) peers.set(toHex(peer), peer);
  }
  return {
    vault: head.vault,
    rootPublic: head.rootPublic,
    recoveryPublic: head.recoveryPublic,
    root,
    constants,
    epochs: [...epochs.values()].sort((a, b) => a.number - b.number),
    coops: [...coops.values()],
    bootstrap: [...bootstrap],
    peers: [...peers.values()],
    parts,
  };
}

function deviceSecrets(
  phrase: PhraseKeys,
  rootPublic: Buffer,
  bytes: Buffer,
): { device: Buffer; issued: bigint; bytes: Buffer; secrets: DeviceSecrets } | undefined {
  try {
    const part = readDevicePart(bytes, rootPublic);
    const { device, issued } = part.certificate;
    return { device, issued, bytes, secrets: openDevicePart(phrase, part) };
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** What the new device is to be. */
export interface Enrolment {
  readonly host: string;
  /** the logs of the vault and how far they are known; all are inherited */
  readonly inherits: readonly LogUpTo[];
  /** larger than that of any statement of the root key so far */
  readonly serial: bigint;
  /** for the next recovery: where others are met, and who they are */
  readonly bootstrap: readonly string[];
  /** Further files, before the home is one. */
  readonly more?: (home: Home) => void;
}

/** Logs that one statement can name, and one record hold. */
const logsPerRecord = 1024;

/**
 * Make the home of a new device of this vault, and forget the root key. Problem("refused") where there is a vault,
 * "busy" where another process works in the home.
 */
export function enrol(path: string, capsule: OpenedCapsule, enrolment: Enrolment, system: System): { device: Buffer } {
  const device = signingKeyOf(system.random(32));
  const now = system.now();
  const certificate = certify(capsule.root, device.publicKey, rights.write | rights.administer, now);
  const secrets: DeviceSecrets = {
    epochs: capsule.epochs,
    coops: capsule.coops,
    bootstrap: enrolment.bootstrap,
    peers: capsule.peers,
    fields: noFields,
  };
  const own = sealDevicePart(device, certificate, capsule.recoveryPublic, 1n, secrets, system.random);
  const statements = succession(enrolment).map(({ serial, logs }) =>
    encodeSucceed(signSucceed(capsule.root, { vault: capsule.vault, serial, certificate, logs, fields: noFields })),
  );
  capsule.root.seed.fill(0);
  makeHome(path, system, {
    vaultKeys: {
      rootPublic: capsule.rootPublic,
      recoveryPublic: capsule.recoveryPublic,
      constants: capsule.constants,
      epochs: capsule.epochs,
    },
    deviceKeys: { seed: Buffer.from(device.seed), certificate, host: enrolment.host },
    capsule: new Map([...capsule.parts, [toHex(device.publicKey), own]]),
    more: (home, log, keyring) => {
      appendStatements(log, keyring, statements, system);
      enrolment.more?.(home);
    },
  });
  return { device: device.publicKey };
}

function succession({ inherits, serial }: Enrolment): { serial: bigint; logs: LogUpTo[] }[] {
  const parts: { serial: bigint; logs: LogUpTo[] }[] = [];
  for (let at = 0; at < inherits.length; at += logsPerRecord)
    parts.push({ serial: serial + BigInt(parts.length), logs: inherits.slice(at, at + logsPerRecord) });
  // Also a device that inherits nothing is one that the root key has spoken for.
  return parts.length > 0 ? parts : [{ serial, logs: [] }];
}

function appendStatements(log: LogFile, keyring: Keyring, statements: readonly Buffer[], system: System): void {
  log.underLock(log.first, (head) => {
    const records: LogRecord[] = [];
    let last = head.record;
    for (const clear of statements) {
      const now = system.now();
      last = sealRecord(
        {
          type: recordTypes.succeed,
          vault: keyring.vault,
          log: log.id,
          seq: last.seq + 1n,
          previous: last.id,
          time: now > last.time ? now : last.time + 1n,
          clear,
          secret: Buffer.alloc(0),
        },
        keyring.epoch,
        keyring.device,
        system.random,
      );
      records.push(last);
    }
    log.append(head, records);
  });
}

/** The name itself, or where another device has it, the first of NAME-2, NAME-3 … that none has. */
export function freeHost(wanted: string, taken: ReadonlySet<string>): string {
  for (let n = 1; ; n++) {
    const end = n === 1 ? "" : `-${n}`;
    const name = `${wanted.slice(0, format.labelBytes - end.length)}${end}`;
    if (!taken.has(name)) return name;
  }
}

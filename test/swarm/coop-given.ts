/** Vaults, devices and homes for the tests of coops: small ones, with a clock and chance of their own. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { realSystem, type System } from "../../src/base/system.js";
import { sealRootPart } from "../../src/format/capsule.js";
import { certify, rights } from "../../src/format/certificate.js";
import { noFields } from "../../src/format/fields.js";
import {
  type Constants,
  type Epoch,
  newConstants,
  newEpoch,
  type PhraseKeys,
  phraseKeys,
  vaultIdOf,
} from "../../src/format/keys.js";
import { type SigningKey, signingKeyOf } from "../../src/format/sign.js";
import { type Home, homeAt } from "../../src/store/home.js";
import type { Keyring } from "../../src/store/keyring.js";
import { Admission, type AdmissionOptions, type Moves, type Outcome } from "../../src/swarm/admission.js";
import { Coop } from "../../src/swarm/coop.js";
import type { CoopOwner } from "../../src/swarm/coop-key.js";
import { createCoop, joinCoop } from "../../src/swarm/new-coop.js";
import { Violation } from "../../src/swarm/violation.js";
import { readConfig } from "../../src/vault/config-file.js";
import { encodeDeviceKeys, encodeVaultKeys } from "../../src/vault/key-files.js";
import { chances, seed, workFolder } from "../support/store-home.js";

/** Chance and a clock that only tests move; it also ticks by itself, so that times grow. */
export class World implements System {
  #now = 1_700_000_000_000_000_000n;
  readonly #chance: (below: number) => number;
  readonly folder = workFolder();
  #homes = 0;

  constructor(more = 0) {
    this.#chance = chances(seed * 1000 + more);
  }

  now = (): bigint => (this.#now += 1000n);
  random = (length: number): Buffer => {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; at++) bytes[at] = this.#chance(256);
    return bytes;
  };
  below = (limit: number): number => this.#chance(limit);
  sleep = realSystem.sleep;
  turn = realSystem.turn;
  after = realSystem.after;
  sync = realSystem.sync;

  pass(seconds: number): void {
    this.#now += BigInt(seconds) * 1_000_000_000n;
  }

  vault(): TestVault {
    const root = signingKeyOf(this.random(32));
    const phrase = phraseKeys(this.random(32));
    const constants = newConstants(this.random, 16384);
    const epoch = newEpoch(this.random, 0);
    const rootPart = sealRootPart(phrase, 1n, { root, constants, epoch, fields: noFields }, this.random);
    return { root, phrase, id: vaultIdOf(root.publicKey), constants, epoch, rootPart };
  }

  /** A device with a home, of a vault of its own unless one is given. */
  device(
    host: string,
    vault = this.vault(),
    mayDo: number = rights.write | rights.administer,
    folder = this.folder,
  ): TestDevice {
    return new TestDevice(this, host, vault, mayDo, join(folder, `${this.#homes++}-${host}`));
  }
}

export interface TestVault {
  readonly root: SigningKey;
  readonly phrase: PhraseKeys;
  readonly id: Buffer;
  readonly constants: Constants;
  readonly epoch: Epoch;
  readonly rootPart: Buffer;
}

export class TestDevice implements CoopOwner {
  readonly home: Home;
  readonly keyring: Keyring;
  readonly store: { readonly keyring: Keyring };
  readonly system: World;
  readonly host: string;
  readonly vault: TestVault;

  constructor(world: World, host: string, vault: TestVault, mayDo: number, path: string) {
    this.system = world;
    this.host = host;
    this.vault = vault;
    this.home = homeAt(path);
    const device = signingKeyOf(world.random(32));
    const certificate = certify(vault.root, device.publicKey, mayDo, world.now());
    const { constants, epoch, root } = vault;
    const rootPublic = root.publicKey;
    this.keyring = { vault: vault.id, rootPublic, constants, epochs: new Map(), epoch, device, certificate };
    this.store = { keyring: this.keyring };
    mkdirSync(this.home.capsule, { recursive: true });
    const { recoveryPublic } = vault.phrase;
    writeFileSync(join(this.home.capsule, "root"), vault.rootPart);
    writeFileSync(this.home.vaultKey, encodeVaultKeys({ rootPublic, recoveryPublic, constants, epochs: [epoch] }));
    writeFileSync(this.home.deviceKey, encodeDeviceKeys({ seed: Buffer.from(device.seed), certificate, host }));
  }

  config = () => readConfig(this.home);

  get key(): Buffer {
    return this.keyring.device.publicKey;
  }

  found(name = "barn"): Coop {
    return createCoop(this, { name });
  }

  join(invite: string): Coop {
    return joinCoop(this, Buffer.from(invite));
  }

  /** As another process sees it, or this one after a restart. */
  coop(): Coop {
    const coop = Coop.open(this);
    if (coop === undefined) throw new Error(`${this.host} is in no coop`);
    return coop;
  }
}

/** One end of a link: a device and the coop that its process has open. */
export interface End extends Partial<AdmissionOptions> {
  readonly of: TestDevice;
  readonly coop: Coop | undefined;
}

export const end = (of: TestDevice, coop: Coop | undefined, more: Partial<AdmissionOptions> = {}): End => ({
  ...more,
  of,
  coop,
});

/** An admission of this end on a connection of these keys. */
export function admissionOf(
  one: End,
  initiator: boolean,
  keys: { local: Buffer; remote: Buffer; hash: Buffer },
): Admission {
  const { of, ...more } = one;
  const { device, certificate, rootPublic } = of.keyring;
  return new Admission({
    connection: { initiator, localKey: keys.local, remoteKey: keys.remote, handshakeHash: keys.hash },
    system: of.system,
    device,
    certificate,
    rootPublic,
    label: of.host,
    keeps: true,
    rootParts: () => undefined,
    ...more,
    coop: one.coop,
  });
}

/** A message on its way: changed, or dropped where nothing comes back. */
export type Tap = (message: Buffer, from: "a" | "b", isKnock: boolean) => Buffer[];

export interface Met {
  readonly a: Outcome | undefined;
  readonly b: Outcome | undefined;
  readonly admissionA: Admission;
  readonly admissionB: Admission;
  /** everything that was sent, in order */
  readonly sent: readonly { readonly from: "a" | "b"; readonly bytes: Buffer }[];
}

/** Let two ends meet, until nothing is said any more. `a` dials. */
export function meet(a: End, b: End, tap: Tap = (message) => [message]): Met {
  const world = a.of.system;
  const [keyA, keyB, hash] = [world.random(32), world.random(32), world.random(64)];
  const admissionA = admissionOf(a, true, { local: keyA, remote: keyB, hash });
  const admissionB = admissionOf(b, false, { local: keyB, remote: keyA, hash });
  const sent: { from: "a" | "b"; bytes: Buffer }[] = [];
  const queue: { from: "a" | "b"; bytes: Buffer; isKnock: boolean }[] = [];
  const put = (from: "a" | "b", bytes: Buffer, isKnock: boolean): void => {
    sent.push({ from, bytes });
    for (const each of tap(bytes, from, isKnock)) queue.push({ from, bytes: each, isKnock });
  };
  put("a", admissionA.knock, true);
  put("b", admissionB.knock, true);
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { from, bytes, isKnock } = next;
    const to = from === "a" ? admissionB : admissionA;
    let moves: Moves;
    try {
      moves = isKnock ? to.onKnock(bytes) : to.onDoor(bytes);
    } catch (error) {
      // After admission: the link ends here.
      if (error instanceof Violation) break;
      throw error;
    }
    for (const message of moves.send) put(from === "a" ? "b" : "a", message, false);
  }
  return { a: admissionA.outcome, b: admissionB.outcome, admissionA, admissionB, sent };
}

/** Both admit each other, or this fails with what was said instead. */
export function admitted(met: Met): void {
  for (const outcome of [met.a, met.b])
    if (outcome?.kind !== "admitted") throw new Error(`not admitted: a ${said(met.a)}, b ${said(met.b)}`);
}

function said(outcome: Outcome | undefined): string {
  return outcome === undefined ? "waits" : outcome.kind === "admitted" ? "admits" : `${outcome.by}: ${outcome.why}`;
}

/**
 * A coop of many devices of many vaults in one process: the product's own code from the vault to the links, on simulated
 * time and a network in memory, with homes that are real folders. What happens follows from the seed alone; all of it is
 * told to the clock, so that two worlds of one seed can be compared, and a failure shows what came before it.
 */
import { cpSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toHex } from "../../src/base/bytes.js";
import { roles } from "../../src/format/coop.js";
import { phraseKeys } from "../../src/format/keys.js";
import { createCoop, joinCoop } from "../../src/swarm/new-coop.js";
import { adoptCoop } from "../../src/swarm/coop-key.js";
import { recover } from "../../src/swarm/recover.js";
import { patience } from "../../src/swarm/seek.js";
import { enrol, openCapsule } from "../../src/vault/enrol.js";
import { createVault } from "../../src/vault/vault.js";
import { type Home, homeAt, readIfThere } from "../../src/store/home.js";
import { SimClock } from "./clock.js";
import { SimNetwork, type SimNetworkOptions } from "./network.js";
import { Device } from "./world-device.js";

/** What memory should have free before homes are kept in it. */
const memoryBytes = 4n * 1024n ** 3n;

/** Something that is to happen at its time. */
interface Plan {
  readonly at: number;
  readonly order: number;
  readonly what: () => Promise<void> | void;
}

export class World {
  readonly clock: SimClock;
  readonly net: SimNetwork;
  readonly folder: string;
  /** how many links a device looks for */
  readonly enough: (name: string) => number;
  readonly devices: Device[] = [];
  /** what must not happen, and did */
  readonly troubles: string[] = [];
  /** by hex of the key */
  readonly #names = new Map<string, string>();
  readonly #keys = new Map<Device, string>();
  #plans: Plan[] = [];
  #order = 0;

  constructor(seed: number, options: SimNetworkOptions = {}) {
    this.clock = new SimClock(seed);
    this.enough = options.enough ?? (() => Number.POSITIVE_INFINITY);
    this.net = new SimNetwork(this.clock, options);
    this.folder = mkdtempSync(join(fastFolder(), "bcoopfs-world-"));
  }

  /** A whole number below this. */
  below(end: number): number {
    return Math.floor(this.clock.between(0, end));
  }

  /** Does something of this probability happen? */
  chance(probability: number): boolean {
    return this.clock.between(0, 1) < probability;
  }

  one<T>(all: readonly T[]): T {
    return all[this.below(all.length)] as T;
  }

  shuffled<T>(all: readonly T[]): T[] {
    const left = [...all];
    const out: T[] = [];
    while (left.length > 0) out.push(...left.splice(this.below(left.length), 1));
    return out;
  }

  trouble(what: string): void {
    this.clock.note(`TROUBLE ${what}`);
    this.troubles.push(`at ${this.clock.ms.toFixed(3)} ms: ${what}`);
  }

  // ----------------------------------------------------------------------------------------------- who there is

  #device(name: string, path: string, entropy: Buffer): Device {
    const device = new Device(this, name, path, entropy);
    this.devices.push(device);
    return device;
  }

  /** The first device of a vault of its own; not open yet. */
  newVault(name: string): Device {
    const path = join(this.folder, name);
    const entropy = this.clock.bytes(32);
    createVault(path, name, 16 * 1024, entropy, this.clock.system(`${name} init`));
    return this.#device(name, path, entropy);
  }

  /**
   * One more device of an open device's vault, made of its capsule and logs as a recovery makes one, and in its coop.
   * What the two tell each other is what peers would tell.
   */
  newDevice(of: Device, name: string): Device {
    const path = join(this.folder, name);
    const { home, store } = of.vault;
    const phrase = phraseKeys(of.entropy);
    const part = (file: string): Buffer => readIfThere(join(home.capsule, file)) as Buffer;
    const own = store.heads().filter(({ scope }) => scope.equals(of.vault.id));
    const parts = [...new Set(own.map(({ device }) => toHex(device)))];
    const capsule = openCapsule(
      phrase,
      part("root"),
      parts.flatMap((file) => part(file) ?? []),
    );
    const id = capsule.coops[0]?.id;
    const keys = capsule.coops.filter((coop) => id?.equals(coop.id)).map(({ key }) => key);
    const system = this.clock.system(`${name} init`);
    enrol(
      path,
      capsule,
      {
        host: name,
        inherits: own.map(({ log, seq }) => ({ log, seq })),
        serial: system.now(),
        bootstrap: [],
        more: (made) => id && adoptCoop(made, id, keys),
      },
      system,
    );
    this.clock.note(`${name} is a new device of the vault of ${of.name}`);
    return this.#device(name, path, of.entropy);
  }

  /** A machine that has nothing but the phrase of a vault finds it among its peers; not started yet. */
  async recover(of: Device, name: string): Promise<Device> {
    const path = join(this.folder, name);
    const system = this.clock.system(`${name} recover`);
    const say = (what: string): void => this.clock.note(`${name} recovers: ${what}`);
    const options = {
      home: path,
      phrase: phraseKeys(of.entropy),
      host: name,
      bootstrap: undefined,
      network: async () => this.net.open(name),
      patience,
      system,
      stop: new AbortController().signal,
      say,
      on: ({ type }: { type: string }) => say(type),
    };
    const { vault } = await this.clock.settled(recover(options));
    await this.clock.still(vault.close());
    return this.#device(name, path, of.entropy);
  }

  /**
   * A second home that is byte for byte that of a device which is not open.
   * @param whole with the mark by which a copy knows that it is one, as when a whole disk was copied
   */
  copy(of: Device, name: string, whole: boolean): Device {
    const path = join(this.folder, name);
    cpSync(of.path, path, { recursive: true, preserveTimestamps: true });
    // The mark is the file's own inode, which only a copy of the whole disk brings along.
    if (whole) rmSync(join(path, "installed"));
    this.clock.note(`${name} is a copy of ${of.name}`);
    const device = this.#device(name, path, of.entropy);
    device.saved.push(...of.saved);
    return device;
  }

  /** Found the coop on a device that is open. */
  found(device: Device): void {
    device.coop = createCoop(device.vault, { name: "barn" });
    this.clock.note(`${device.name} founds the coop`);
  }

  /** An open device takes an invite of an open admin's device. */
  invite(by: Device, device: Device, asAdmin = false): void {
    if (by.coop === undefined) throw new Error(`${by.name} is in no coop`);
    const role = asAdmin ? roles.admin : roles.member;
    device.coop = joinCoop(device.vault, Buffer.from(by.coop.invite({ role })));
    this.clock.note(`${by.name} invites ${device.name}`);
  }

  /** What a key is called. */
  nameOf(device: Buffer): string {
    return this.#names.get(toHex(device)) ?? toHex(device).slice(0, 8);
  }

  isHostile(device: Buffer): boolean {
    return this.#of(device)?.hostile ?? true;
  }

  isLost(device: Buffer): boolean {
    return this.#of(device)?.isLost ?? false;
  }

  #of(device: Buffer): Device | undefined {
    const name = this.#names.get(toHex(device));
    return this.devices.find((one) => one.name === name);
  }

  /** Learn what the key of an open device is. */
  meet(device: Device): void {
    const key = toHex(device.vault.device);
    this.#names.set(key, this.#names.get(key) ?? device.name);
    this.#keys.set(device, key);
  }

  /** The homes of those who have this key: more than one where a home was copied. */
  homesOf(device: Buffer): Home[] {
    const key = toHex(device);
    return this.devices.filter((one) => this.#keys.get(one) === key).map(({ path }) => homeAt(path));
  }

  /** In the order in which they were made. */
  get up(): Device[] {
    return this.devices.filter(({ isUp }) => isUp);
  }

  // --------------------------------------------------------------------------------------------------- time

  /** Have something happen after `ms` of `live`; others wait for its end. */
  plan(ms: number, what: () => Promise<void> | void): void {
    this.#plans.push({ at: this.clock.ms + ms, order: this.#order++, what });
    this.#plans.sort((a, b) => a.at - b.at || a.order - b.order);
  }

  /** Live through the next `ms` milliseconds, and what is planned in them. */
  async live(ms: number): Promise<void> {
    const end = this.clock.ms + ms;
    for (let next = this.#plans[0]; next !== undefined && next.at <= end; next = this.#plans[0]) {
      this.#plans.shift();
      if (next.at > this.clock.ms) await this.clock.run(next.at - this.clock.ms);
      await next.what();
    }
    if (end > this.clock.ms) await this.clock.run(end - this.clock.ms);
  }

  /** Live until nothing is planned any more. */
  async livePlans(): Promise<void> {
    for (let last = this.#plans.at(-1); last !== undefined; last = this.#plans.at(-1))
      await this.live(Math.max(0, last.at - this.clock.ms));
  }

  /** Live until nothing is wrong any more, looking every so often; fails after `ms` with what is. */
  async liveUntil(wrong: () => string | undefined, ms: number, what: string): Promise<void> {
    const end = this.clock.ms + ms;
    for (let every = 500; ; every = Math.min(4000, every * 1.5)) {
      const why = wrong();
      if (why === undefined) return;
      if (this.clock.ms >= end) throw new Error(`not within ${ms} ms: ${what}: ${why}`);
      await this.live(every);
    }
  }

  /** Everything is over: what is still open is closed, and the folder goes. */
  async end(): Promise<void> {
    for (const device of this.devices) await device.crash().catch(() => {});
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** An error that says how to have it again, and what happened before. */
  failure(error: unknown, lines = 40): Error {
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const story = this.clock.story.slice(-lines).join("\n");
    return new Error(`seed ${this.clock.seed}: ${why}\nthe last that happened:\n${story}`, { cause: error });
  }
}

/** Memory where there is plenty of it: homes are written to all the time. */
function fastFolder(): string {
  try {
    const { bavail, bsize } = statfsSync("/dev/shm", { bigint: true });
    if (bavail * bsize >= memoryBytes) return "/dev/shm";
  } catch {
    // There is no such folder.
  }
  return tmpdir();
}

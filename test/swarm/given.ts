/**
 * What the tests of the room swarm are given: a simulated world with real homes in temporary folders, in one coop, and
 * an impostor who is admitted like anybody and then says what it likes.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { native } from "../../src/base/native.js";
import { toHex } from "../../src/base/bytes.js";
import type { System } from "../../src/base/system.js";
import { phraseKeys } from "../../src/format/keys.js";
import { defaultClass } from "../../src/format/listing.js";
import { type Head, decodeRoom, encodeRoom, type RoomMessage } from "../../src/format/message.js";
import { readIfThere } from "../../src/store/home.js";
import { LeafServer, objectLength } from "../../src/store/objects.js";
import { Admission } from "../../src/swarm/admission.js";
import { Coop } from "../../src/swarm/coop.js";
import type { PeerEvent } from "../../src/swarm/events.js";
import { Link } from "../../src/swarm/link.js";
import type { Connection, Network } from "../../src/swarm/network.js";
import { createCoop, joinCoop } from "../../src/swarm/new-coop.js";
import { Peering, type PeeringRole } from "../../src/swarm/peering.js";
import { enrol, openCapsule } from "../../src/vault/enrol.js";
import { createVault, openVault, type Vault } from "../../src/vault/vault.js";
import { SimClock, type SimSystem } from "../sim/clock.js";
import { SimNetwork, type SimNetworkOptions } from "../sim/network.js";
import { full, noise, seed } from "../support/store-home.js";

export { full, noise, seed };

/** One device of the world. */
export class Machine {
  readonly name: string;
  readonly path: string;
  readonly entropy: Buffer;
  readonly world: World;
  system: SimSystem;
  vault!: Vault;
  coop: Coop | undefined;
  peering: Peering | undefined;
  #leaves: LeafServer | undefined;
  readonly events: PeerEvent[] = [];
  readonly said: string[] = [];

  constructor(world: World, name: string, path: string, entropy: Buffer) {
    this.world = world;
    this.name = name;
    this.path = path;
    this.entropy = entropy;
    this.system = world.clock.system(name);
  }

  /** Into the coop of another device of the same vault, with the key that recovery would find in the capsule. */
  async joinAs(other: Machine): Promise<void> {
    const key = readIfThere(join(other.vault.home.path, "coop", "key")) as Buffer;
    mkdirSync(join(this.path, "coop"), { recursive: true });
    writeFileSync(join(this.path, "coop", "key"), key, { mode: 0o600 });
    this.coop = Coop.open(this.vault);
  }

  async open(): Promise<this> {
    this.vault = await this.world.clock.settled(openVault(this.path, this.system, (line) => this.said.push(line)));
    this.coop = Coop.open(this.vault);
    return this;
  }

  start(role: PeeringRole = "keeper", more: { patienceMs?: number } = {}): Peering {
    const { vault, coop, system } = this;
    const network = this.world.net.open(this.name);
    const recovery =
      role === "recovering"
        ? { slot: phraseKeys(this.entropy).slot, topic: phraseKeys(this.entropy).topic }
        : undefined;
    this.peering = Peering.start({
      vault,
      coop: role === "recovering" ? undefined : coop,
      network,
      system,
      role,
      ...(recovery && { recovery }),
      say: (line) => this.said.push(line),
      events: (event) => this.events.push(event),
      ...more,
    });
    return this.peering;
  }

  /** The process ends politely, and begins again. */
  async restart(role: PeeringRole = "keeper"): Promise<Peering> {
    await this.close();
    await this.open();
    return this.start(role);
  }

  async close(): Promise<void> {
    const { clock } = this.world;
    if (this.peering) await clock.settled(this.peering.close());
    this.peering = undefined;
    await clock.settled(this.vault.close());
  }

  /** The process is gone in the middle of whatever it did; its home is opened again. */
  async die(): Promise<void> {
    this.world.net.kill(this.name);
    this.system.stop();
    this.peering = undefined;
    await this.world.clock.still(this.vault.close());
    // What a process holds open goes with it.
    for (const fd of readdirSync("/proc/self/fd"))
      if (pathOf(fd).startsWith(join(this.path, "store", "incoming"))) closeSync(Number(fd));
    this.system = this.world.clock.system(this.name);
    await this.open();
  }

  /** Store chunks that no other has, as segments with a record; the ids. */
  async store(count: number, bytes: number, seed: number): Promise<Buffer[]> {
    const session = this.vault.store.session(defaultClass);
    try {
      const ids = Array.from({ length: count }, (_, i) => session.put("data", noise(bytes, seed, i)).id);
      await this.world.clock.settled(session.commit(() => []));
      return ids;
    } finally {
      session.close();
    }
  }

  /** Names of all objects that this device's logs list. */
  listed(): Buffer[] {
    return this.ownHeads().flatMap(({ log }) => [...this.vault.store.ledger.listedBy(log)].map(({ name }) => name));
  }

  /** Are all of these here? */
  has(names: readonly Buffer[]): boolean {
    return names.every((name) => objectLength(this.vault.home, name) !== undefined);
  }

  /** Logs that this device writes, and how far they are. */
  ownHeads(): Head[] {
    return this.vault.store.heads().filter(({ log }) => this.vault.store.isOwn(log));
  }

  /** Has it all logs of a device as far as that one? */
  follows(other: Machine | readonly Head[]): boolean {
    const heads = other instanceof Machine ? other.ownHeads() : other;
    const mine = new Map(this.vault.store.heads().map((head) => [toHex(head.log), head]));
    return heads.every(({ log, seq }) => mine.get(toHex(log))?.seq === seq);
  }

  /** Leaves of an object that is here, as they are given away. */
  leaves(name: Buffer, length: number, first: number, count: number): ReturnType<LeafServer["read"]> {
    this.#leaves ??= new LeafServer(this.vault.home, this.system);
    return this.#leaves.read(name, length, first, count);
  }

  happened(type: PeerEvent["type"]): PeerEvent[] {
    return this.events.filter((event) => event.type === type);
  }
}

export class World {
  readonly clock: SimClock;
  readonly net: SimNetwork;
  readonly folder: string;
  readonly machines: Machine[] = [];
  /** done before the folder goes */
  readonly ends: (() => void)[] = [];

  constructor(t: TestContext, seed = 1, options: SimNetworkOptions = {}) {
    this.clock = new SimClock(seed);
    this.net = new SimNetwork(this.clock, options);
    this.folder = mkdtempSync(join(workPlace(), "bcoopfs-swarm-"));
    t.after(() => this.end());
  }

  /** All homes are closed, and gone: an open one takes a lot of address space. */
  async end(): Promise<void> {
    for (const machine of this.machines.splice(0)) await machine.close().catch(() => {});
    for (const end of this.ends.splice(0)) end();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A device of a vault of its own. */
  async machine(name: string, path = join(this.folder, name)): Promise<Machine> {
    const machine = new Machine(this, name, path, this.clock.bytes(32));
    createVault(path, name, 16 * 1024, machine.entropy, machine.system);
    this.machines.push(machine);
    return machine.open();
  }

  /** A further device of a machine's vault; in its coop where it is in one. */
  async device(of: Machine, name: string): Promise<Machine> {
    const path = join(this.folder, name);
    const machine = new Machine(this, name, path, of.entropy);
    const part = (file: string): Buffer => readIfThere(join(of.vault.home.capsule, file)) as Buffer;
    const capsule = openCapsule(phraseKeys(of.entropy), part("root"), [part(toHex(of.vault.device))]);
    const inherits = of.vault.store.heads().map(({ log, seq }) => ({ log, seq }));
    enrol(path, capsule, { host: name, inherits, serial: 1n, bootstrap: [] }, machine.system);
    this.machines.push(machine);
    return machine.open();
  }

  /** The first founds a coop, the others join it; nobody has started yet. */
  async coop(...machines: readonly Machine[]): Promise<void> {
    const [first, ...others] = machines as [Machine, ...Machine[]];
    first.coop = createCoop(first.vault, { name: "barn" });
    for (const other of others) other.coop = joinCoop(other.vault, Buffer.from(first.coop.invite()));
    if (others.length === 0) return;
    // The invites are redeemed where they meet.
    for (const machine of machines) machine.start();
    await this.clock.until(
      () => machines.every(({ coop }) => (coop as Coop).state.members.size === machines.length),
      120_000,
      "all are members",
    );
    for (const machine of machines) {
      await this.clock.settled((machine.peering as Peering).close());
      machine.peering = undefined;
      machine.events.length = 0;
    }
  }

  async until(holds: () => boolean, what: string, ms = 120_000): Promise<void> {
    await this.clock.until(holds, ms, what);
  }

  /** A folder on a file system of this many MiB, and how to give it more; undefined where mounting is not allowed. */
  smallFolder(name: string, size: number): { path: string; grow(size: number): void } | undefined {
    const path = join(this.folder, name);
    mkdirSync(path);
    const mount = (options: string): void =>
      void execFileSync("mount", ["-t", "tmpfs", "-o", options, "none", path], { stdio: "ignore" });
    try {
      mount(`size=${size}m`);
    } catch {
      return undefined;
    }
    this.ends.push(() => native().detachMount(Buffer.from(path)));
    return { path, grow: (more) => mount(`remount,size=${more}m`) };
  }
}

/** In memory where there is plenty: what is tried here is no disk, and a thousand syncs take their time. */
function workPlace(): string {
  const memory = "/dev/shm";
  if (!existsSync(memory)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize > 2 ** 30 ? memory : tmpdir();
}

function pathOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}

/** What an impostor is made of: the open home of a member that no other process uses. */
export interface Mask {
  /** on the network */
  readonly name: string;
  readonly vault: Vault;
  readonly coop: Coop | undefined;
  readonly system: System;
  readonly world: { readonly net: SimNetwork };
}

/** Links of somebody who is admitted like anybody, and says what it likes. */
export class Impostor {
  readonly machine: Mask;
  readonly network: Network;
  readonly heard: (RoomMessage | { readonly type: "unknown" })[] = [];
  readonly links: Link[] = [];
  /** why links were closed */
  readonly ends: (string | undefined)[] = [];
  /** the answer to a message, as soon as it comes */
  onMessage: (message: RoomMessage, say: (answer: RoomMessage) => void) => void = () => {};
  /** what it says first, on each link */
  onOpen: (say: (message: RoomMessage) => void) => void = () => {};
  keeps = true;

  constructor(machine: Mask) {
    this.machine = machine;
    this.network = machine.world.net.open(machine.name);
    this.network.onConnection((connection) => this.#take(connection));
    for (const topic of (machine.coop as Coop).topics()) this.network.join(topic, { announce: true, lookup: true });
  }

  get isIn(): boolean {
    return this.links.some(({ roomOpen }) => roomOpen);
  }

  #take(connection: Connection): void {
    const { vault, coop, system } = this.machine;
    const { device, certificate, rootPublic } = vault.store.keyring;
    const admission = new Admission({
      connection,
      system,
      device,
      certificate,
      rootPublic,
      label: "",
      keeps: this.keeps,
      coop,
      rootParts: () => undefined,
    });
    const act = ({ send, outcome }: ReturnType<Admission["onKnock"]>): void => {
      for (const bytes of send) link.sendDoor(bytes);
      if (outcome?.kind === "admitted") link.openRoom();
      else if (outcome) link.close(outcome.why);
    };
    const link = Link.attach(
      connection,
      admission.knock,
      {
        onKnock: (bytes) => act(admission.onKnock(bytes)),
        onDoor: (bytes) => act(admission.onDoor(bytes)),
        onRoomOpen: () => this.onOpen((message) => link.sendRoom(encodeRoom(message))),
        onRoom: (bytes) => {
          const message = decodeRoom(Buffer.from(bytes));
          this.heard.push(message);
          if (message.type !== "unknown") this.onMessage(message, (answer) => link.sendRoom(encodeRoom(answer)));
        },
        onDrain: () => {},
        onClose: (why) => this.ends.push(why),
      },
      system,
    );
    this.links.push(link);
  }

  say(message: RoomMessage): void {
    this.sayBytes(encodeRoom(message));
  }

  sayBytes(bytes: Buffer): void {
    for (const link of this.links) if (link.roomOpen) link.sendRoom(bytes);
  }
}

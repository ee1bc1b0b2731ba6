/**
 * One device of a simulated world: a home, and the process in it that keeps the links. The process may end politely, or
 * be killed in the middle of whatever it did: then nothing of it lives on but its files, as the kernel would leave them.
 */
import {
  appendFileSync,
  closeSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { toHex } from "../../src/base/bytes.js";
import { type Keeper, openKeeper } from "../../src/host/keeper.js";
import type { Head } from "../../src/format/message.js";
import { decodeRevision } from "../../src/format/revision.js";
import { Coop } from "../../src/swarm/coop.js";
import type { PeerEvent } from "../../src/swarm/events.js";
import { openVault, type Vault } from "../../src/vault/vault.js";
import { noise } from "../support/store-home.js";
import { sketch } from "../support/revision.js";
import type { SimSystem } from "./clock.js";
import type { World } from "./world.js";

/** A revision that was acknowledged: its tree, which may be told again under another id, and what is in its one file. */
export interface Saved {
  readonly revision: Buffer;
  readonly tree: string;
  readonly content: Buffer;
}

/** Ids of the trees of all revisions that a device knows. */
export function treesOf({ store }: Vault): Set<string> {
  return new Set([...store.catalogue.revisions()].map(({ body }) => treeOf(body)));
}

const treeOf = (body: Buffer): string => toHex(decodeRevision(body).root.tree?.id ?? Buffer.alloc(0));

export class Device {
  readonly world: World;
  readonly name: string;
  readonly path: string;
  /** of the vault's phrase */
  readonly entropy: Buffer;
  /** revisions that this home has acknowledged */
  readonly saved: Saved[] = [];
  /** what it said to whoever sat before it */
  readonly said: string[] = [];
  /** devices that it cut for what they did, by hex of the key */
  readonly cut = new Map<string, string>();
  /** a key of it is in the hands of somebody who means harm, so it may well be cut by others */
  hostile = false;
  /** it was removed from the coop: what it saves is its own affair */
  isOut = false;
  isLost = false;
  coop: Coop | undefined;
  keeper: Keeper | undefined;
  /** saves that have begun and not ended */
  saving = 0;
  /** how far its clock is off, ms */
  readonly #skewMs: number;
  #system: SimSystem | undefined;
  #vault: Vault | undefined;
  #saves = 0;
  /** how many links there are with a device, by hex of its key */
  readonly #links = new Map<string, number>();

  constructor(world: World, name: string, path: string, entropy: Buffer) {
    this.world = world;
    this.name = name;
    this.path = path;
    this.entropy = entropy;
    this.#skewMs = world.clock.between(-120_000, 120_000);
  }

  get isOpen(): boolean {
    return this.#vault !== undefined;
  }

  /** it is a peer now */
  get isUp(): boolean {
    return this.keeper !== undefined;
  }

  get vault(): Vault {
    if (this.#vault === undefined) throw new Error(`${this.name} is not open`);
    return this.#vault;
  }

  get system(): SimSystem {
    if (this.#system === undefined) throw new Error(`${this.name} is not open`);
    return this.#system;
  }

  ownHeads(): Head[] {
    const { store } = this.vault;
    return store.heads().filter(({ log }) => store.isOwn(log));
  }

  /** Devices that it has admitted, and that have admitted it. */
  peers(): Buffer[] {
    return this.isUp ? [...this.#links.keys()].map((hex) => Buffer.from(hex, "hex")) : [];
  }

  // -------------------------------------------------------------------------------------------------- its life

  async open(): Promise<void> {
    const { clock } = this.world;
    this.#system = clock.system(this.name, this.#skewMs);
    this.saving = 0;
    this.#vault = await clock.settled(openVault(this.path, this.system, (line) => this.#hear(line)));
    this.coop = Coop.open(this.vault);
    this.world.meet(this);
    clock.note(`${this.name} is open`);
  }

  /** Be a peer from now on. Only where it is in a coop. */
  async start(): Promise<void> {
    const { clock, net } = this.world;
    if (!this.isOpen) await this.open();
    if (this.coop === undefined) throw new Error(`${this.name} is in no coop`);
    this.#links.clear();
    this.keeper = await clock.settled(
      openKeeper(this.vault, this.coop, {
        reach: { bootstrap: undefined },
        say: (line) => this.#hear(line),
        events: (event) => this.#happened(event),
        open: async () => net.open(this.name),
      }),
    );
    if (this.keeper === undefined) throw new Error(`another process is the keeper of ${this.name}`);
    clock.note(`${this.name} starts`);
  }

  /** Its process ends as it should. */
  async stop(): Promise<void> {
    if (!this.isOpen) return;
    const { clock } = this.world;
    await clock.until(() => this.saving === 0, 60_000, `${this.name} has saved`);
    if (this.keeper) await clock.settled(this.keeper.close());
    this.keeper = undefined;
    this.coop = undefined;
    await clock.still(this.vault.close());
    this.#vault = undefined;
    this.system.stop();
    clock.note(`${this.name} has stopped`);
  }

  /**
   * Its process is killed. Nothing of it runs any more, and the system closes its files, which drops its locks.
   * @param how.silent as with a pulled plug: others notice late
   * @param how.torn in the middle of writing to some of its files
   */
  async crash(how: { silent?: boolean; torn?: boolean } = {}): Promise<void> {
    if (this.#vault === undefined) return;
    const { clock, net } = this.world;
    net.kill(this.name, how.silent);
    this.system.stop();
    const { catalogue } = this.#vault.store;
    this.#vault = undefined;
    this.keeper = undefined;
    this.coop = undefined;
    // A catalogue cannot be let go of within a process but by closing it, which writes nothing; it is not sealed.
    await clock.still(catalogue.close());
    closeFilesIn(this.path);
    if (how.torn) this.#tear();
    clock.note(`${this.name} is killed`);
  }

  /** Its disk is gone, and nobody will ever hear of it again. */
  async lose(): Promise<void> {
    await this.crash();
    rmSync(this.path, { recursive: true });
    this.isLost = true;
    this.world.clock.note(`${this.name} is lost`);
  }

  /** Leave the first bytes of another record at the end of logs, and of another leaf behind what was received. */
  #tear(): void {
    for (const path of filesIn(this.path)) {
      const name = path.slice(this.path.length);
      const isLog = /^\/logs\/([0-9a-f]{64}\/)?[0-9a-f]{64}$/.test(name);
      const isIncoming = name.startsWith("/store/incoming/");
      if ((!isLog && !isIncoming) || !this.world.chance(0.2)) continue;
      const bytes = readFileSync(path);
      const length = isLog ? bytes.readUInt32LE() : bytes.length;
      if (length > 0) appendFileSync(path, bytes.subarray(0, 1 + this.world.below(Math.min(length, 3000))));
    }
  }

  // ------------------------------------------------------------------------------------------------- what it does

  /** Save a small tree. Resolves when it is acknowledged; never, where the process is killed before. */
  async save(): Promise<void> {
    const { vault, world } = this;
    this.saving++;
    const number = this.#saves++;
    const content = noise(1 + world.below(20_000), world.below(2 ** 30), number);
    const root = {
      below: {
        [`file ${number}`]: { pieces: [content] },
        folder: { below: { [this.name]: { pieces: [noise(300, number)] } } },
      },
    };
    const revision = await sketch(vault, root, { fileset: this.name });
    const tree = treeOf(vault.store.catalogue.revision(revision)?.body as Buffer);
    if (!this.isOut) this.saved.push({ revision, tree, content });
    this.saving--;
    world.clock.note(`${this.name} saved ${toHex(revision).slice(0, 8)}, tree ${tree.slice(0, 8)}`);
  }

  /** Begin to save, where it is open then; nobody waits for it. */
  saveSoon(ms: number): void {
    const begin = (): void => {
      if (!this.isOpen) return;
      this.save().catch((error: Error) => this.world.trouble(`${this.name} cannot save: ${error.stack}`));
    };
    this.world.plan(ms, begin);
  }

  #hear(line: string): void {
    this.said.push(line);
    this.world.clock.note(`${this.name} says: ${line}`);
    if (/by an error of this side/.test(line)) this.world.trouble(`${this.name}: ${line}`);
  }

  #happened(event: PeerEvent): void {
    const { clock } = this.world;
    if (event.type === "traffic") return;
    if (event.type === "peer-up" || event.type === "peer-down") {
      const key = toHex(event.device);
      const links = (this.#links.get(key) ?? 0) + (event.type === "peer-up" ? 1 : -1);
      if (links > 0) this.#links.set(key, links);
      else this.#links.delete(key);
    }
    const named = "device" in event && event.device ? ` ${this.world.nameOf(event.device)}` : "";
    const why = "why" in event && event.why !== undefined ? `: ${event.why}` : "";
    clock.note(`${this.name} ${event.type}${named}${why}`);
    if (event.type !== "misbehaved") return;
    this.cut.set(toHex(event.device), event.why);
    if (!this.world.isHostile(event.device)) this.world.trouble(`${this.name} cut${named}${why}`);
  }
}

/** Close what this process has open below a folder, as the system does when a process ends; lmdb closes its own. */
function closeFilesIn(folder: string): void {
  for (const name of readdirSync("/proc/self/fd")) {
    let path: string;
    try {
      path = readlinkSync(`/proc/self/fd/${name}`);
    } catch {
      continue; // the one that listed the folder
    }
    if (!path.startsWith(`${folder}/`)) continue;
    if (path.startsWith(`${folder}/catalogue/`)) throw new Error(`lmdb has ${path} open`);
    closeSync(Number(name));
  }
}

/** All files below a folder, by path, in order; none where there is no folder. */
export function filesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names
    .sort()
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

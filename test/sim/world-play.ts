/**
 * The life of a coop, from its founding on: everything that can happen to its devices happens to some of them, at
 * moments that the seed gives. After each act the world comes to rest, and then all that has to be true is looked at.
 */
import { cpSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { toHex } from "../../src/base/bytes.js";
import { objectFile } from "../../src/store/objects.js";
import { type Device, filesIn } from "./world-device.js";
import { babbler, type Foe, liar, Stranger, twoFaced } from "./world-foes.js";
import { flawsOf, Seen, unrest } from "./world-truth.js";
import { World } from "./world.js";

export interface Cast {
  /** how many devices each vault has */
  readonly vaults: readonly number[];
  /** members that lie, that babble, and that sign two histories; each a vault of its own */
  readonly foes: number;
}

export interface PlayOptions extends Cast {
  readonly seed: number;
  /** revisions that are saved in each act */
  readonly saves: number;
  /** processes that are killed in each act */
  readonly kills: number;
  /** how long an act lasts before peace is made, ms */
  readonly actMs: number;
  /** links that each looks for, but for admins and foes, who want all; with fewer what is new wanders further */
  readonly links?: number;
  /** how many acts; all of them */
  readonly acts?: number;
  /** told after each act */
  readonly tell?: (line: string) => void;
}

const admins = /^[ab]1$/;
/** How long the world may take to come to rest. */
const restMs = 300_000;

export class Play {
  readonly world: World;
  readonly #options: PlayOptions;
  readonly #seen = new Seen();
  /** devices by vault; the first of the first vault founds the coop, the second vault's is an admin too */
  readonly #vaults: Device[][] = [];
  readonly #wicked: Device[] = [];
  readonly #foes: Foe[] = [];
  readonly #strangers: Stranger[] = [];
  /** devices that are to be away for long */
  readonly #away = new Set<Device>();
  /** who was removed, and what it held when all knew of it */
  #spurned: Foe | undefined;
  #removed: { readonly device: Device; readonly held: ReadonlySet<string> } | undefined;
  #began = performance.now();

  constructor(options: PlayOptions) {
    const { links = Number.POSITIVE_INFINITY } = options;
    this.world = new World(options.seed, {
      enough: (name) => (admins.test(name) || /^(foe|stranger)/.test(name) ? Number.POSITIVE_INFINITY : links),
    });
    this.#options = options;
  }

  /** Play all acts; the hash of everything that happened. */
  async run(): Promise<string> {
    try {
      const acts = [this.#joining, this.#parting, this.#leaving, this.#copying, this.#losing];
      for (const act of acts.slice(0, this.#options.acts)) await act.call(this);
      for (const foe of [...this.#foes, ...this.#strangers]) await foe.end();
      for (const { name, vault } of this.#wicked.slice(1))
        if (!this.#up.some(({ cut }) => cut.has(toHex(vault.device)))) this.world.trouble(`nobody has cut ${name}`);
      await this.#rest("the end");
      return this.world.clock.digest;
    } catch (error) {
      throw this.world.failure(error);
    } finally {
      await this.world.end();
    }
  }

  get #honest(): Device[] {
    return this.world.devices.filter(({ hostile, isOut, isLost }) => !hostile && !isOut && !isLost);
  }

  get #up(): Device[] {
    return this.#honest.filter(({ isUp }) => isUp);
  }

  // ---------------------------------------------------------------------------------------------------- acts

  /** The coop is founded; vaults are invited one by one, then further devices of them come; all begin to save. */
  async #joining(): Promise<void> {
    const { world } = this;
    const { vaults, foes } = this.#options;
    for (let i = 0; i < vaults.length; i++) this.#vaults.push([world.newVault(`${letter(i)}1`)]);
    for (let i = 0; i < foes; i++) this.#wicked.push(world.newVault(`foe${i + 1}`));
    for (const device of this.#wicked) device.hostile = true;
    const [founder, second] = this.#vaults.flat() as [Device, Device];
    await founder.open();
    world.found(founder);
    await founder.start();
    for (const device of [...this.#vaults.flat().slice(1), ...this.#wicked])
      world.plan(world.below(4000), async () => {
        await device.open();
        world.invite(founder, device, device === second);
        await device.start();
      });
    await world.live(4000);
    await this.#rest("one device of each vault is in the coop");
    for (const [i, size] of vaults.entries())
      for (let n = 2; n <= size; n++)
        world.plan(world.below(5000), async () => {
          const device = world.newDevice(world.one(this.#vaults[i] as Device[]), `${letter(i)}${n}`);
          this.#vaults[i]?.push(device);
          await device.start();
        });
    this.#saves(5000);
    await world.live(5000);
    await this.#rest("all devices are in the coop");
  }

  /** The world falls apart into three; on each side devices save and die; foes are at work. */
  async #parting(): Promise<void> {
    const { world } = this;
    const { actMs } = this.#options;
    const [one, other, third] = this.#wicked;
    const forged: Buffer[] = [];
    for (const device of this.#wicked) {
      await device.stop();
      await device.open();
    }
    const absent = this.#bystander;
    if (absent) {
      this.#away.add(absent);
      await absent.stop();
    }
    const names = world.shuffled(this.#honest.map(({ name }) => name));
    const [first, second] = [1 + world.below(names.length / 2), 1 + world.below(names.length / 2 - 1)];
    const groups = [names.slice(0, first), names.slice(first, first + second), names.slice(first + second)];
    if (one) {
      const faces: [string, string] = [`${one.name}`, `${one.name}'`];
      groups[0]?.push(faces[0]);
      groups[2]?.push(faces[1]);
      const foe = twoFaced(one, faces);
      this.#foes.push(foe);
      forged.push(foe.log);
    }
    if (other) {
      world.one(groups).push(other.name);
      this.#foes.push(liar(other));
    }
    if (third) {
      world.one(groups).push(third.name);
      this.#foes.push(babbler(third));
    }
    world.one(groups).push("stranger");
    this.#strangers.push(new Stranger(world, "stranger", this.#vaults[0]?.[0] as Device));
    world.net.partition(groups);
    this.#saves(actMs);
    this.#kills(actMs);
    await world.live(actMs);
    this.#heal();
    await this.#rest("three parts of the world are one again");
    // It meets both sides of what has two branches, and knew neither.
    this.#away.clear();
    await absent?.start();
    await this.#rest("one that was away meanwhile has come back");
    for (const log of forged)
      for (const device of this.#up)
        if (!device.vault.store.heads().some((head) => head.frozen && head.log.equals(log)))
          world.trouble(`${device.name} has not frozen a log of which two branches were shown`);
    this.#lookAtTroubles();
  }

  /** Some go away for long. Meanwhile one is removed, the key of the coop turns, and life goes on. */
  async #leaving(): Promise<void> {
    const { world } = this;
    const { actMs } = this.#options;
    const admin = this.#vaults[1]?.[0] as Device;
    const others = world.shuffled(this.#up.filter((device) => device !== admin));
    const target = others.find((device) => this.#vaults.some((vault) => vault.length > 1 && vault.includes(device)));
    if (target === undefined) return;
    for (const device of others.filter((other) => other !== target).slice(0, Math.ceil(others.length / 10))) {
      this.#away.add(device);
      if (world.chance(0.5)) await device.stop();
      else await device.crash({ silent: world.chance(0.5), torn: true });
    }
    admin.coop?.remove(toHex(target.vault.device));
    world.clock.note(`${admin.name} removes ${target.name}`);
    target.isOut = true;
    this.#removed = { device: target, held: new Set() };
    await world.liveUntil(
      () => this.#up.find((device) => device.peers().some((key) => key.equals(target.vault.device)))?.name,
      30_000,
      "nobody has a link with who was removed",
    );
    this.#removed = { device: target, held: new Set(filesIn(target.vault.home.objects)) };
    target.saveSoon(0);
    this.#saves(actMs);
    this.#kills(actMs);
    await world.live(actMs);
    await this.#rest("life goes on without some");
    this.#lookAtRemoved();
    // Who comes back has not heard of it, and would give to the one who was removed until it has.
    await target.stop();
    for (const device of this.#away) await device.start();
    this.#away.clear();
    await this.#rest("those who were away are back");
    await target.open();
    this.#spurned = babbler(target);
    this.#foes.push(this.#spurned);
  }

  /** Homes are copied, and run twice; homes are put back to what they once were. */
  async #copying(): Promise<void> {
    const { world } = this;
    const { actMs } = this.#options;
    const [plain, whole, early, earlier] = world.shuffled(this.#up) as Device[];
    for (const device of [plain, whole, early, earlier]) await device?.stop();
    const copies: Device[] = [];
    if (plain) copies.push(world.copy(plain, `${plain.name}c`, false));
    if (whole) copies.push(world.copy(whole, `${whole.name}w`, true));
    for (const copy of copies) this.#away.add(copy);
    for (const device of [early, earlier]) if (device) keepAside(device);
    for (const device of [plain, whole, early, earlier]) await device?.start();
    this.#saves(actMs / 2);
    for (const device of [plain, whole, early, earlier]) device?.saveSoon(world.below(actMs / 2));
    await world.live(actMs / 2);
    await this.#rest("what was saved since is known to all");
    // Put back to what it was: one as from a backup, the other as a disk image, which saves before it meets anybody.
    for (const [device, image] of [
      [early, false],
      [earlier, true],
    ] as const) {
      if (device === undefined) continue;
      await device.stop();
      putBack(device, image);
      world.clock.note(`${device.name} is put back`);
      await device.open();
      device.saveSoon(0);
      await world.live(100);
      await device.start();
    }
    for (const copy of copies) {
      this.#away.delete(copy);
      await copy.open();
      copy.saveSoon(0);
      await world.live(100);
      await copy.start();
    }
    for (const device of [plain, whole, ...copies]) device?.saveSoon(world.below(actMs / 2));
    this.#saves(actMs / 2);
    await world.live(actMs / 2);
    await this.#rest("copies and what was put back have gone on");
    this.#lookAtRemoved();
  }

  /** The disks of some are lost; with the phrases of their vaults all of it comes back from the others. */
  async #losing(): Promise<void> {
    const { world } = this;
    // A machine that has only the phrase knows no more than the first that it meets, were it one that was removed.
    await this.#spurned?.end();
    for (let i = 0; i < 2; i++) {
      const lost = this.#bystander;
      if (lost === undefined) return;
      await lost.lose();
      world.plan(world.below(3000), async () => {
        const device = await world.recover(lost, `${lost.name}r`);
        await device.start();
      });
    }
    this.#saves(4000);
    await world.live(4000);
    await this.#rest("what was lost has been recovered");
    this.#lookAtRemoved();
  }

  // --------------------------------------------------------------------------------------------------- parts

  /** One that is up, and no admin. */
  get #bystander(): Device | undefined {
    const up = this.#up.filter(({ name }) => !admins.test(name));
    return up.length > 0 ? this.world.one(up) : undefined;
  }

  #saves(ms: number): void {
    const { world } = this;
    const all = this.#honest;
    for (let i = 0; i < this.#options.saves; i++) world.one(all).saveSoon(world.below(ms));
  }

  #kills(ms: number): void {
    const { world } = this;
    for (let i = 0; i < this.#options.kills; i++) {
      const at = world.below(ms);
      world.plan(at, async () => {
        const up = this.#up;
        const device = world.one(up);
        // One that saves, more often than not: in the middle of it.
        const victim = world.chance(0.6) ? (up.find(({ saving }) => saving > 0) ?? device) : device;
        if (world.chance(0.2)) await victim.stop();
        else await victim.crash({ silent: world.chance(0.3), torn: world.chance(0.5) });
        world.plan(world.below(ms / 2), () => (victim.isOpen || this.#away.has(victim) ? undefined : victim.start()));
      });
    }
  }

  /** Everybody hears everybody again, and some notice at once. */
  #heal(): void {
    this.world.net.heal();
    for (const device of this.#up) if (this.world.chance(0.5)) device.keeper?.peering.refresh();
  }

  async #rest(what: string): Promise<void> {
    const { world } = this;
    await world.livePlans();
    // Who wants all looks around, so that nobody is alone for long.
    for (const device of this.#up) if (!Number.isFinite(world.enough(device.name))) device.keeper?.peering.refresh();
    await world.liveUntil(() => this.#asleep() ?? unrest(this.#up), restMs, what);
    const { ms } = world.clock;
    for (const flaw of await flawsOf(world, this.#up, this.#seen)) world.trouble(flaw);
    for (const { heard } of this.#strangers) for (const word of heard) world.trouble(`a stranger heard: ${word}`);
    this.#lookAtTroubles();
    this.#options.tell?.(
      `${what}: ${(ms / 1000).toFixed(1)} s of theirs, ${((performance.now() - this.#began) / 1000).toFixed(1)} s of ours`,
    );
  }

  #asleep(): string | undefined {
    return this.#honest.find((device) => !device.isUp && !this.#away.has(device))?.name;
  }

  #lookAtTroubles(): void {
    if (this.world.troubles.length > 0) throw new Error(this.world.troubles.slice(0, 10).join("\n"));
  }

  /** Who was removed has had nothing since, has no link, and nothing that it did since is known to anybody. */
  #lookAtRemoved(): void {
    const removed = this.#removed;
    if (removed === undefined) return;
    const { device, held } = removed;
    const { world } = this;
    for (const word of this.#spurned?.heard ?? []) world.trouble(`${device.name} was removed, and is told ${word}`);
    for (const path of filesIn(device.vault.home.objects))
      if (!held.has(path)) world.trouble(`${device.name} was removed and has got ${path}`);
    for (const other of this.#up)
      if (other.peers().some((key) => key.equals(device.vault.device)))
        world.trouble(`${other.name} has a link with ${device.name}, which was removed`);
    for (const { log, seq } of device.ownHeads())
      for (const other of this.#up) {
        const head = other.vault.store.heads().find((one) => one.log.equals(log));
        if (head && head.seq >= seq)
          world.trouble(`${other.name} knows what ${device.name} has said since it was removed`);
        for (const { name, seq: listed } of device.vault.store.ledger.listedBy(log))
          if (head && listed > head.seq && objectFile(other.vault.home, name))
            world.trouble(`${other.name} holds what ${device.name} has stored since it was removed`);
      }
    this.#lookAtTroubles();
  }
}

const letter = (i: number): string => String.fromCharCode("a".charCodeAt(0) + i);

function keepAside(device: Device): void {
  cpSync(device.path, `${device.path}.early`, { recursive: true, preserveTimestamps: true });
}

/** @param image with the mark by which a home knows that it was put back */
function putBack(device: Device, image: boolean): void {
  rmSync(device.path, { recursive: true });
  renameSync(`${device.path}.early`, device.path);
  if (image) rmSync(join(device.path, "installed"));
}

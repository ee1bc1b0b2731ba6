/**
 * What has to be true of a world at rest: whoever may use the coop knows and holds the same, all of it is what it is
 * called and signed by whom it should be, nobody counts a copy that is not there, and nobody who is out has a link.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { sameBytes, toHex } from "../../src/base/bytes.js";
import { hashOf, keyedHash } from "../../src/format/hash.js";
import { idKeyOf } from "../../src/format/keys.js";
import type { Head } from "../../src/format/message.js";
import { decodeRecord } from "../../src/format/record.js";
import { LogFile } from "../../src/store/log.js";
import { objectFile } from "../../src/store/objects.js";
import { NameHasher } from "../../src/format/leaves.js";
import type { Coop } from "../../src/swarm/coop.js";
import { type Device, filesIn, treesOf } from "./world-device.js";
import type { World } from "./world.js";

const logName = /^[0-9a-f]{64}$/;

/** Files that have been looked through; what has not changed since is not looked through again. */
export class Seen {
  readonly #files = new Set<string>();
  readonly #logs = new Set<string>();

  /** The flaw of an object's file: bytes that are not what it is called. */
  object(path: string): string | undefined {
    const { ino, mtimeNs, size } = statSync(path, { bigint: true });
    const key = `${path} ${ino} ${mtimeNs} ${size}`;
    if (this.#files.has(key)) return undefined;
    const name = basename(path, ".seg");
    const hasher = new NameHasher();
    hasher.update(readFileSync(path));
    if (toHex(hasher.finish().name) !== name) return `${path} is not what it is called`;
    this.#files.add(key);
    return undefined;
  }

  /** The flaw of a log's file: something in it that does not follow, or was not signed by its device. */
  log(path: string): string | undefined {
    const bytes = readFileSync(path);
    const key = toHex(hashOf(bytes));
    if (this.#logs.has(key)) return undefined;
    const file = LogFile.open(path);
    try {
      let { end } = file.first;
      for (const next of file.after(file.first)) end = next.end;
      if (end !== bytes.length) return `${path} reads to ${end} of ${bytes.length}`;
    } finally {
      file.close();
    }
    this.#logs.add(key);
    return undefined;
  }
}

/** Vaults of members, by hex, as this device knows them. */
export function vaultsOf(device: Device): Set<string> {
  const { members } = (device.coop as Coop).state;
  return new Set([...members.values()].flatMap(({ vault }) => (vault ? [toHex(vault)] : [])));
}

/** The first thing that these devices do not have in common yet, or still want; undefined when they are at rest. */
export function unrest(devices: readonly Device[]): string | undefined {
  const [first] = devices as [Device];
  const members = JSON.stringify([...(first.coop as Coop).state.members.keys()].sort());
  const key = (first.coop as Coop).keys[0]?.id;
  const vaults = vaultsOf(first);
  const logs = new Map<string, { head: Head; by: Device }>();
  const known: Map<string, Head>[] = [];
  for (const device of devices) {
    const coop = device.coop as Coop;
    if (JSON.stringify([...coop.state.members.keys()].sort()) !== members)
      return `${device.name} and ${first.name} have other members`;
    if (!key || !coop.keys[0]?.id.equals(key)) return `${device.name} and ${first.name} have other keys`;
    if (device.saving > 0) return `${device.name} saves`;
    const wanted = device.vault.store.ledger.wantedCount();
    if (wanted > 0) return `${device.name} wants ${wanted} objects`;
    const heads = device.vault.store.heads().filter(({ scope }) => vaults.has(toHex(scope)));
    known.push(new Map(heads.map((head) => [toHex(head.log), head])));
    for (const head of heads) logs.set(toHex(head.log), { head, by: device });
  }
  for (const [hex, { head, by }] of logs)
    for (const [i, device] of devices.entries()) {
      const mine = known[i]?.get(hex);
      const log = `log ${hex.slice(0, 8)} of ${first.world.nameOf(head.device)}`;
      if (mine === undefined) return `${device.name} does not know ${log} (${by.name} does)`;
      if (mine.frozen !== head.frozen) return `${log} is frozen at ${(head.frozen ? by : device).name} only`;
      if (!head.frozen && !sameBytes(mine.id, head.id))
        return `${log}: ${device.name} is at ${mine.seq}, ${by.name} at ${head.seq}`;
    }
  return unlinked(devices) ?? unlikeParts(devices) ?? uncounted(devices);
}

/** Everybody can be reached from everybody over links, and who looks for all has a link with all. */
function unlinked(devices: readonly Device[]): string | undefined {
  const keys = devices.map((device) => toHex(device.vault.device));
  const peers = devices.map((device) => new Set(device.peers().map(toHex)));
  const reached = new Set([0]);
  for (const i of reached)
    for (const [j, key] of keys.entries()) if (peers[i]?.has(key) || keys[i] === key) reached.add(j);
  for (const [i, device] of devices.entries()) {
    if (!reached.has(i)) return `${device.name} cannot be reached from ${devices[0]?.name}`;
    if (Number.isFinite(device.world.enough(device.name))) continue;
    const lacking = devices.find((_, j) => keys[j] !== keys[i] && !peers[i]?.has(keys[j] as string));
    if (lacking) return `${device.name} has no link with ${lacking.name}`;
  }
  return undefined;
}

/** Parts of capsules by "vault/device"; a device's own is its own to say, and nobody else's. */
function partsOf(device: Device, vaults: ReadonlySet<string>): Map<string, string> {
  const parts = new Map<string, string>();
  const { home, id, device: key } = device.vault;
  const add = (vault: string, folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (!entry.isFile() || entry.name === toHex(key)) continue;
      parts.set(`${vault}/${entry.name}`, toHex(hashOf(readFileSync(join(folder, entry.name)))));
    }
  };
  add(toHex(id), home.capsule);
  for (const entry of readdirSync(home.capsule, { withFileTypes: true }))
    if (entry.isDirectory() && vaults.has(entry.name)) add(entry.name, join(home.capsule, entry.name));
  return parts;
}

function unlikeParts(devices: readonly Device[]): string | undefined {
  const vaults = vaultsOf(devices[0] as Device);
  const all = new Map<string, { hash: string; by: Device }>();
  const each = devices.map((device) => partsOf(device, vaults));
  for (const [i, parts] of each.entries())
    for (const [key, hash] of parts) all.set(key, { hash, by: devices[i] as Device });
  for (const [key, { hash, by }] of all)
    for (const [i, device] of devices.entries()) {
      if (key.endsWith(toHex(device.vault.device))) continue;
      const [vault, name] = key.split("/") as [string, string];
      const mine = each[i]?.get(key);
      const part = `part ${device.world.nameOf(Buffer.from(name, "hex"))} of vault ${vault.slice(0, 8)}`;
      if (mine === undefined) return `${device.name} has no ${part} (${by.name} has)`;
      if (mine !== hash) return `${device.name} and ${by.name} have other bytes of ${part}`;
    }
  return undefined;
}

/** Every peer has signed for everything that a device lists. */
function uncounted(devices: readonly Device[]): string | undefined {
  for (const device of devices) {
    const { ledger } = device.vault.store;
    const peers = new Set(device.peers().map(toHex));
    const linked = devices.filter((other) => peers.has(toHex(other.vault.device)));
    for (const { log, frozen } of device.ownHeads())
      for (const { name } of frozen ? [] : ledger.listedBy(log)) {
        const holders = new Set(ledger.holdersOf(name).map(toHex));
        // Two homes that sign with one key take back what the other has signed.
        for (const other of linked)
          if (other.world.homesOf(other.vault.device).length === 1 && !holders.has(toHex(other.vault.device)))
            return `${device.name} has no receipt of ${other.name} for ${toHex(name).slice(0, 8)}`;
      }
  }
  return undefined;
}

/** All flaws of these devices, which are at rest. */
export async function flawsOf(world: World, devices: readonly Device[], seen: Seen): Promise<string[]> {
  const flaws: string[] = [];
  for (const device of devices) {
    for (const flaw of flawsOfFiles(device, seen)) flaws.push(`${device.name}: ${flaw}`);
    for (const flaw of flawsOfCopies(world, device)) flaws.push(`${device.name}: ${flaw}`);
    for (const flaw of flawsOfForks(device)) flaws.push(`${device.name}: ${flaw}`);
  }
  flaws.push(...(await losses(world, devices)));
  return flaws;
}

/** Files of the store and of logs: all that is listed, nothing else, and each what it is called. */
function* flawsOfFiles(device: Device, seen: Seen): Generator<string> {
  const { home, store } = device.vault;
  const listed = new Set<string>();
  for (const { log, frozen } of store.heads())
    for (const { name, length } of store.ledger.listedBy(log)) {
      listed.add(toHex(name));
      const file = objectFile(home, name);
      if (file?.length !== length)
        yield `${toHex(name).slice(0, 8)} is listed${frozen ? " by a frozen log" : ""}, and ${file ? "of another length" : "not here"}`;
    }
  for (const folder of [home.segments, home.objects])
    for (const path of filesIn(folder)) {
      if (!listed.has(basename(path, ".seg"))) yield `no log lists ${path}`;
      const flaw = seen.object(path);
      if (flaw) yield flaw;
    }
  for (const folder of [home.incoming, home.writers]) for (const path of filesIn(folder)) yield `${path} is left over`;
  for (const path of filesIn(home.logs)) {
    const flaw = logName.test(basename(path)) ? seen.log(path) : undefined;
    if (flaw) yield flaw;
  }
}

/** Who is counted as a holder holds; what those do who mean harm, or are gone for ever, nobody can know. */
function* flawsOfCopies(world: World, device: Device): Generator<string> {
  const { store } = device.vault;
  for (const { log, scope } of store.heads()) {
    if (!sameBytes(scope, device.vault.id)) continue;
    for (const { name, length } of store.ledger.listedBy(log))
      for (const holder of store.ledger.holdersOf(name)) {
        if (world.isHostile(holder) || world.isLost(holder)) continue;
        const homes = world.homesOf(holder);
        if (!homes.some((home) => objectFile(home, name)?.length === length))
          yield `${world.nameOf(holder)} is counted as a holder of ${toHex(name).slice(0, 8)}`;
      }
  }
}

/** A frozen log is proved by two records of its device at one place. */
function* flawsOfForks(device: Device): Generator<string> {
  const { store } = device.vault;
  for (const { log, frozen } of store.heads()) {
    if (!frozen) continue;
    const proof = store.evidenceOf(log).map(decodeRecord);
    const [one, other] = proof;
    const holds = one && other && !sameBytes(one.id, other.id) && (one.seq === other.seq || other.seq === one.seq + 1n);
    if (!holds) yield `log ${toHex(log).slice(0, 8)} is frozen without proof`;
  }
}

/**
 * What was acknowledged is known, and can be read, on every device of the vault. Only of a log with two branches a device
 * may not know what stands in the one that it did not take; then others keep that.
 */
async function losses(world: World, devices: readonly Device[]): Promise<string[]> {
  const flaws: string[] = [];
  for (const device of devices) {
    const trees = treesOf(device.vault);
    for (const writer of world.devices) {
      if (!device.entropy.equals(writer.entropy)) continue;
      for (const saved of writer.saved) {
        const what = `tree ${saved.tree.slice(0, 8)}, saved by ${writer.name}`;
        if (trees.has(saved.tree)) {
          const flaw = await misread(device, saved.content);
          if (flaw) flaws.push(`${device.name} reads ${what}: ${flaw}`);
        } else if (!isKept(saved.revision, devices)) flaws.push(`${device.name} does not know ${what}`);
      }
    }
  }
  return flaws;
}

async function misread(device: Device, content: Buffer): Promise<string | undefined> {
  const { store } = device.vault;
  const id = keyedHash(idKeyOf(store.keyring.constants, "data"), content);
  try {
    const bytes = await device.world.clock.settled(store.reader.chunk("data", id));
    return bytes.equals(content) ? undefined : "other bytes";
  } catch (error) {
    return (error as Error).message;
  }
}

/** Does any of these devices hold the record of this id, in a log that has two branches? */
function isKept(record: Buffer, devices: readonly Device[]): boolean {
  return devices.some(({ vault: { store } }) =>
    store
      .heads()
      .filter(({ frozen }) => frozen)
      .flatMap(({ log }) => store.recordsOf(log, 0n, Number.POSITIVE_INFINITY))
      .some((bytes) => decodeRecord(bytes).id.equals(record)),
  );
}

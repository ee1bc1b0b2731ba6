/**
 * Parts of capsules, both ways: what peers keep for each other so that the phrase alone brings a vault back. Each is
 * checked against the vault's root key before it is stored, and stored only when its version is higher than that of the
 * one that is here. Own parts lie in `capsule/`, those of other vaults in `capsule/<vault>/`, named `root` or by device.
 * @module
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { isZero, sameBytes, toHex } from "../base/bytes.js";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { swarm, wire } from "../base/limits.js";
import { readDevicePart, readRootPart } from "../format/capsule.js";
import type { PartHead, RoomMessage } from "../format/message.js";
import { makeFolder, readIfThere, replaceFile } from "../store/home.js";
import type { Peer, Room } from "./room.js";
import { violation } from "./violation.js";

type Of<T extends RoomMessage["type"]> = Extract<RoomMessage, { type: T }>;

const rootDevice = Buffer.alloc(32);

/** A part that is here. */
interface Held extends PartHead {
  /** of the file, to see whether another process has replaced it */
  readonly stamp: string;
  /** of a root part */
  readonly root:
    | {
        readonly rootPublic: Buffer;
        /** undefined where it has not signed for this vault: it may be another vault's */
        readonly slotPublic: Buffer | undefined;
        readonly topic: Buffer | undefined;
      }
    | undefined;
}

/** What one peer offered that is newer than what is here, and is to be asked for one after the other. */
interface Offers {
  readonly wanted: Map<string, PartHead>;
  asked: PartHead | undefined;
  /** when, in ns */
  since: bigint;
  readonly untold: Map<string, PartHead>;
}

const keyOf = (vault: Buffer, device: Buffer): string => toHex(vault) + toHex(device);

export class Parts {
  readonly #room: Room;
  readonly #changed: () => void;
  readonly #held = new Map<string, Held>();
  readonly #offers = new Map<Peer, Offers>();

  /** @param changed called when a part is here that was not */
  constructor(room: Room, changed: () => void) {
    this.#room = room;
    this.#changed = changed;
    this.#load(room.vault.id);
    for (const name of namesIn(room.vault.home.capsule))
      if (/^[0-9a-f]{64}$/.test(name) && statSync(join(room.vault.home.capsule, name)).isDirectory())
        this.#load(Buffer.from(name, "hex"));
  }

  /** Where a machine that has nothing but a phrase looks for peers: of each vault whose root part is here. */
  topics(): Buffer[] {
    const accepted = [...this.#held.values()].filter(({ vault }) => this.#room.accepts(vault));
    return accepted.flatMap(({ root }) => (root?.topic === undefined ? [] : [root.topic]));
  }

  /** The vault whose root part names this slot key. */
  vaultOfSlot(slotPublic: Buffer): Buffer | undefined {
    for (const { vault, root } of this.#held.values())
      if (root?.slotPublic !== undefined && sameBytes(root.slotPublic, slotPublic)) return vault;
    return undefined;
  }

  /** Nothing newer was offered that is not here. */
  get isDone(): boolean {
    return [...this.#offers.values()].every(
      ({ wanted, asked }) => asked === undefined && ![...wanted.values()].some((part) => this.#mayAsk(part)),
    );
  }

  #folder(vault: Buffer): string {
    const { capsule } = this.#room.vault.home;
    return sameBytes(vault, this.#room.vault.id) ? capsule : join(capsule, toHex(vault));
  }

  #path(vault: Buffer, device: Buffer): string {
    return join(this.#folder(vault), isZero(device) ? "root" : toHex(device));
  }

  /** What another process of this home has written of the own vault's parts. */
  look(): void {
    if (this.#load(this.#room.vault.id)) this.#changed();
  }

  /** Read what is new in the folder of a vault, the root part first. */
  #load(vault: Buffer): boolean {
    const names = namesIn(this.#folder(vault)).filter((name) => name === "root" || /^[0-9a-f]{64}$/.test(name));
    let changed = false;
    for (const name of names.sort((a, b) => Number(b === "root") - Number(a === "root"))) {
      const device = name === "root" ? rootDevice : Buffer.from(name, "hex");
      const path = this.#path(vault, device);
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat === undefined || !stat.isFile()) continue;
      const stamp = `${stat.ino} ${stat.mtimeMs} ${stat.size}`;
      if (this.#held.get(keyOf(vault, device))?.stamp === stamp) continue;
      const bytes = readIfThere(path);
      if (bytes === undefined) continue;
      try {
        this.#keep(this.#check(vault, device, bytes), stamp);
        changed = true;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        // Not ours to mend: it is neither offered nor counted, and a good one takes its place.
      }
    }
    return changed;
  }

  #keep(part: Omit<Held, "stamp">, stamp: string): void {
    const key = keyOf(part.vault, part.device);
    this.#held.set(key, { ...part, stamp });
    for (const [peer, { untold }] of this.#offers) {
      if (this.#room.gives) untold.set(key, part);
      this.drained(peer);
    }
  }

  /** Throws Problem("format") where it is not a part of this vault. */
  #check(vault: Buffer, device: Buffer, bytes: Buffer): Omit<Held, "stamp"> {
    if (isZero(device)) {
      const { version, rootPublic, topic, ...part } = readRootPart(bytes);
      if (!sameBytes(part.vault, vault)) throw new Problem("format", "not a root part of this vault");
      const slotPublic = part.isSlotProven ? part.slotPublic : undefined;
      return { vault, device, version, root: { rootPublic, slotPublic, topic } };
    }
    const rootPublic = this.#rootPublic(vault);
    if (rootPublic === undefined) throw new Problem("format", "a device part without a root part");
    const { certificate, version } = readDevicePart(bytes, rootPublic);
    if (!sameBytes(certificate.device, device)) throw new Problem("format", "a part of another device");
    return { vault, device, version, root: undefined };
  }

  #rootPublic(vault: Buffer): Buffer | undefined {
    if (sameBytes(vault, this.#room.vault.id)) return this.#room.store.keyring.rootPublic;
    return this.#held.get(keyOf(vault, rootDevice))?.root?.rootPublic;
  }

  peerUp(peer: Peer): void {
    const untold = new Map<string, PartHead>();
    if (this.#room.gives && (peer.isKeeper || peer.remote.recovering !== undefined))
      for (const [key, part] of this.#held) untold.set(key, part);
    this.#offers.set(peer, { wanted: new Map(), asked: undefined, since: 0n, untold });
    this.drained(peer);
  }

  /** When the question that a peer has not answered was asked; undefined where there is none. */
  waitingSince(peer: Peer): bigint | undefined {
    const offers = this.#offers.get(peer);
    return offers?.asked && offers.since;
  }

  peerDown(peer: Peer): void {
    this.#offers.delete(peer);
  }

  drained(peer: Peer): void {
    const untold = this.#offers.get(peer)?.untold;
    while (untold !== undefined && untold.size > 0 && peer.open && !peer.blocked) {
      const keys = [...untold.keys()].slice(0, wire.partsPerMessage);
      const parts = keys.map((key) => untold.get(key) as PartHead).filter(({ vault }) => this.#room.shows(peer, vault));
      for (const key of keys) untold.delete(key);
      if (parts.length > 0)
        peer.send({ type: "parts", parts: parts.map(({ vault, device, version }) => ({ vault, device, version })) });
    }
  }

  onParts(peer: Peer, { parts }: Of<"parts">): void {
    const offers = this.#offers.get(peer);
    if (!peer.isKeeper || offers === undefined) violation("it may ask, and not give");
    if (!this.#room.takes) return;
    for (const part of parts) if (this.#wants(part)) offers.wanted.set(keyOf(part.vault, part.device), part);
    if (offers.wanted.size > swarm.headsPerPeer) violation("it offers more parts than anybody has");
    this.#ask(peer, offers);
  }

  #wants({ vault, device, version }: PartHead): boolean {
    if (!this.#room.accepts(vault)) return false;
    const mine = this.#held.get(keyOf(vault, device));
    if (mine !== undefined) return version > mine.version;
    return isZero(device) || this.#countOf(vault) < swarm.partsPerVault;
  }

  #countOf(vault: Buffer): number {
    let count = 0;
    for (const part of this.#held.values()) if (sameBytes(part.vault, vault)) count++;
    return count;
  }

  /** One at a time, and no device part before there is a root key to check it with. */
  #ask(peer: Peer, offers: Offers): void {
    if (offers.asked !== undefined || this.#room.space.paused) return;
    for (const [key, part] of offers.wanted)
      if (!this.#wants(part)) offers.wanted.delete(key);
      else if (this.#mayAsk(part)) {
        offers.wanted.delete(key);
        offers.asked = part;
        offers.since = this.#room.system.now();
        peer.send({ type: "askPart", vault: part.vault, device: part.device });
        return;
      }
  }

  #mayAsk({ vault, device }: PartHead): boolean {
    return isZero(device) || this.#rootPublic(vault) !== undefined;
  }

  answer(peer: Peer, { vault, device }: Of<"askPart">): void {
    const shown = this.#held.has(keyOf(vault, device)) && this.#room.shows(peer, vault);
    const bytes = (shown && readIfThere(this.#path(vault, device))) || Buffer.alloc(0);
    peer.send({ type: "part", vault, device, bytes });
  }

  onPart(peer: Peer, { vault, device, bytes }: Of<"part">): void {
    const offers = this.#offers.get(peer);
    const asked = offers?.asked;
    if (offers === undefined || asked === undefined || !samePart(asked, { vault, device }))
      violation("it sent a part that nobody asked for");
    offers.asked = undefined;
    try {
      if (bytes.length > 0 && this.#wants(asked)) this.#take(vault, device, bytes);
    } catch (error) {
      if (!this.#room.space.isFull(error)) throw error;
      offers.wanted.set(keyOf(vault, device), asked);
    }
    for (const [other, waiting] of this.#offers) this.#ask(other, waiting);
  }

  #take(vault: Buffer, device: Buffer, bytes: Buffer): void {
    let part: Omit<Held, "stamp">;
    try {
      part = this.#check(vault, device, bytes);
    } catch (error) {
      // A part of a newer version is for newer programs.
      if (error instanceof Problem && error.code === "unsupported") return;
      if (error instanceof Problem) violation(error.message);
      throw error;
    }
    const mine = this.#held.get(keyOf(vault, device));
    if (mine !== undefined && part.version <= mine.version) return;
    const path = this.#path(vault, device);
    makeFolder(this.#folder(vault));
    replaceFile(path, bytes);
    const { ino, mtimeMs, size } = statSync(path);
    this.#keep(part, `${ino} ${mtimeMs} ${size}`);
    this.#room.space.wrote();
    this.#room.emit({ type: "part-arrived", vault, device: isZero(device) ? undefined : device });
    this.#changed();
  }

  /** There is room on the disk again. */
  again(): void {
    for (const [peer, offers] of this.#offers) this.#ask(peer, offers);
  }
}

function samePart(a: PartHead, b: Omit<PartHead, "version">): boolean {
  return sameBytes(a.vault, b.vault) && sameBytes(a.device, b.device);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw systemProblem(`cannot read ${folder}`, error);
  }
}

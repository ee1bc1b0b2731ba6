/**
 * Gathering: what a machine that has nothing but the phrase asks of each peer, and what it makes of the answers. Pure:
 * messages in, messages out. Nothing is believed: a root part must open with the phrase, a device part be certified by
 * the root key, a log be signed from its genesis on. What peers tell apart from each other is kept apart, so that a
 * stale or a forked history is seen as one.
 *
 *   parts → askPart (root first: it says which vault) → part        heads → askRecords → records, until all is here
 * @module
 */
import { toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { type DevicePart, openRootPart, readDevicePart, readRootPart } from "../format/capsule.js";
import type { PhraseKeys } from "../format/keys.js";
import type { Head, PartHead, RoomMessage } from "../format/message.js";
import type { LogRecord } from "../format/record.js";
import { type OpenedCapsule, openCapsule } from "../vault/enrol.js";
import { Branches } from "./branches.js";

const rootDevice = Buffer.alloc(32);
/** Logs of one vault that are looked at, bytes of all their records, and what one peer may tell of. */
const logsAtMost = 4096;
const toldAtMost = 4096;
const bytesAtMost = 512 * 1024 * 1024;
/** Peers whose word is remembered, though it was not shown to be true. */
const peersAtMost = 128;

/** What one peer has told, and what it still owes. */
interface PeerView {
  readonly parts: Map<string, PartHead>;
  readonly heads: Map<string, Head>;
  /** logs whose history there is another one than ours: how far it was read from its genesis on */
  readonly fromStart: Map<string, bigint>;
  /** logs of which it gives nothing that counts */
  readonly done: Set<string>;
  /** parts and logs that it was asked for and has not given; of a log the first record asked for */
  readonly asked: Map<string, bigint>;
  /** it has told of parts or logs at all */
  tells: boolean;
}

export class Gathering {
  readonly #phrase: PhraseKeys;
  readonly #peers = new Map<string, PeerView>();
  readonly #logs = new Map<string, Branches>();
  readonly #devices = new Map<string, { bytes: Buffer; part: DevicePart }>();
  #root: { bytes: Buffer; vault: Buffer; rootPublic: Buffer; version: bigint } | undefined;
  #bytes = 0;
  #news = 0;

  constructor(phrase: PhraseKeys) {
    this.#phrase = phrase;
  }

  /** Grows whenever somebody told something that is true and that nobody had told before; what is only claimed is no news. */
  get news(): number {
    return this.#news;
  }

  /** Is the root part here? Without it nothing can be made of anything. */
  get hasRoot(): boolean {
    return this.#root !== undefined;
  }

  /** How many peers told of this vault. @param counts as for `seenBy` */
  peers(counts: (peer: string) => boolean = () => true): number {
    return [...this.#peers].filter(([peer, { tells }]) => tells && counts(peer)).length;
  }

  /** Is a peer that is still connected expected to answer? */
  get waiting(): boolean {
    return [...this.#peers.values()].some(({ asked }) => asked.size > 0);
  }

  get devices(): number {
    return this.#devices.size;
  }

  get records(): number {
    return [...this.#logs.values()].reduce((sum, log) => sum + log.longest.length, 0);
  }

  /** A peer that left owes nothing any more; what it told stays. @param peer names one link */
  gone(peer: string): void {
    const view = this.#peers.get(peer);
    if (view === undefined) return;
    view.asked.clear();
    view.parts.clear();
    // Anybody may come, under another name each time, and leave a claim behind.
    if (this.#peers.size > peersAtMost && !this.isTrue(peer)) this.#peers.delete(peer);
  }

  /** Has anything that this peer told of a log turned out to be so? */
  isTrue(peer: string): boolean {
    const heads = this.#peers.get(peer)?.heads ?? [];
    return [...heads].some(([key, { seq, id }]) => this.#logs.get(key)?.has(seq, id));
  }

  /** What a peer says, and what to say to it. */
  heard(peer: string, message: RoomMessage): RoomMessage[] {
    const view = this.#view(peer);
    if (message.type === "parts") {
      for (const part of message.parts) keep(view.parts, toHex(part.device), part);
      view.tells ||= message.parts.length > 0;
    } else if (message.type === "heads") {
      for (const head of message.heads) keep(view.heads, toHex(head.log), head);
      view.tells ||= message.heads.length > 0;
    } else if (message.type === "part") this.#part(view, message.device, message.bytes);
    else if (message.type === "records") this.#records(view, message.log, message.records);
    else if (message.type === "fork") {
      if (this.#logs.get(toHex(message.log))?.take([message.record]) === "news") this.#news++;
    } else return [];
    return this.#asksOf(view);
  }

  #view(peer: string): PeerView {
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const view = {
      parts: new Map(),
      heads: new Map(),
      fromStart: new Map(),
      done: new Set<string>(),
      asked: new Map(),
      tells: false,
    };
    this.#peers.set(peer, view);
    return view;
  }

  #part(view: PeerView, device: Buffer, bytes: Buffer): void {
    const key = toHex(device);
    // Not again from this peer: what it gave is good or not.
    view.asked.delete(key);
    view.parts.delete(key);
    try {
      if (device.equals(rootDevice)) {
        const { vault, rootPublic, version } = this.#openRoot(bytes);
        if (this.#root === undefined || version > this.#root.version)
          this.#root = { bytes, vault, rootPublic, version };
        else return;
      } else {
        if (this.#root === undefined) return;
        const part = readDevicePart(bytes, this.#root.rootPublic);
        const known = this.#devices.get(key);
        if (known !== undefined && known.part.version >= part.version) return;
        this.#devices.set(toHex(part.certificate.device), { bytes, part });
      }
      this.#news++;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  }

  /** A root part that the phrase opens; of the one vault that was found first. */
  #openRoot(bytes: Buffer): { vault: Buffer; rootPublic: Buffer; version: bigint } {
    const part = readRootPart(bytes);
    openRootPart(this.#phrase, part).root.seed.fill(0);
    if (this.#root !== undefined && !part.vault.equals(this.#root.vault))
      throw new Problem("format", "a root part of another vault");
    return part;
  }

  #records(view: PeerView, log: Buffer, records: readonly Buffer[]): void {
    const key = toHex(log);
    const from = view.asked.get(key);
    const vault = this.#root?.vault;
    if (from === undefined || vault === undefined) return;
    view.asked.delete(key);
    const branches = this.#logs.get(key) ?? new Branches(log, vault);
    const isFull = this.#bytes > bytesAtMost || (!this.#logs.has(key) && this.#logs.size >= logsAtMost);
    const outcome = isFull ? "refused" : branches.take(records);
    if (outcome === "news") {
      // Only what a device of the vault has begun takes up a place.
      this.#logs.set(key, branches);
      this.#news++;
      for (const record of records) this.#bytes += record.length;
    }
    const walked = view.fromStart.get(key);
    if (walked !== undefined) view.fromStart.set(key, walked + BigInt(records.length));
    else if (outcome === "gap") view.fromStart.set(key, 0n);
    // Whoever answers without end shall not be asked without end.
    const further = walked === undefined ? BigInt(branches.longest.length) > from : records.length > 0;
    const again = walked === undefined && outcome === "gap";
    if (outcome === "refused" || (walked !== undefined && outcome === "gap") || !(further || again)) view.done.add(key);
  }

  /** What is to be asked of a peer now: the root part before all else, then parts, and one range of each log. */
  #asksOf(view: PeerView): RoomMessage[] {
    const asks: RoomMessage[] = [];
    const root = view.parts.get(toHex(rootDevice));
    if (root !== undefined && (this.#root === undefined || root.version > this.#root.version))
      this.#askPart(view, root, asks);
    const found = this.#root;
    if (found === undefined) return asks;
    for (const part of view.parts.values()) {
      const known = this.#devices.get(toHex(part.device));
      const older = known === undefined || part.version > known.part.version;
      if (!part.device.equals(rootDevice) && part.vault.equals(found.vault) && older) this.#askPart(view, part, asks);
    }
    for (const [key, head] of view.heads) {
      if (!head.scope.equals(found.vault) || view.asked.has(key) || view.done.has(key)) continue;
      const branches = this.#logs.get(key);
      if (branches?.has(head.seq, head.id)) continue;
      const known = BigInt(branches?.longest.length ?? 0);
      if (known > head.seq && !view.fromStart.has(key)) view.fromStart.set(key, 0n);
      const from = view.fromStart.get(key) ?? known;
      view.asked.set(key, from);
      asks.push({ type: "askRecords", log: head.log, from });
    }
    return asks;
  }

  #askPart(view: PeerView, part: PartHead, asks: RoomMessage[]): void {
    const key = toHex(part.device);
    if (view.asked.has(key)) return;
    view.asked.set(key, 0n);
    asks.push({ type: "askPart", vault: part.vault, device: part.device });
  }

  /** What the phrase opens. Only where `hasRoot`. */
  capsule(): OpenedCapsule {
    if (this.#root === undefined) throw new Error("no root part was gathered");
    return openCapsule(
      this.#phrase,
      this.#root.bytes,
      [...this.#devices.values()].map(({ bytes }) => bytes),
    );
  }

  /** The logs of which at least the genesis is here. */
  logs(): Branches[] {
    return [...this.#logs.values()].filter(({ longest }) => longest.length > 0);
  }

  /**
   * How many peers know a log up to this record, on its branch.
   * @param counts leaves out peers that nobody vouches for; by the name that `heard` was given
   */
  seenBy(record: Pick<LogRecord, "log" | "seq" | "id">, counts: (peer: string) => boolean = () => true): number {
    const branches = this.#logs.get(toHex(record.log));
    if (branches === undefined) return 0;
    return [...this.#peers].filter(([peer, { heads }]) => {
      const head = heads.get(toHex(record.log));
      return counts(peer) && head !== undefined && branches.leadsThrough(head, record);
    }).length;
  }
}

/** A bounded map: what goes beyond is somebody's who only wants to fill it. */
function keep<T>(map: Map<string, T>, key: string, value: T): void {
  if (map.size < toldAtMost || map.has(key)) map.set(key, value);
}

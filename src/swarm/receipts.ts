/**
 * Receipts, both ways. A keeper signs for what is durably on its disk, to the devices of the vault that it belongs to:
 * all of it when a link begins, then what comes. What others sign for this vault's logs goes to the ledger, where
 * copies are counted by it; no word of anybody counts that is not signed.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { swarm, wire } from "../base/limits.js";
import { noFields } from "../format/fields.js";
import type { Head, RoomMessage } from "../format/message.js";
import { checkReceipt, decodeReceipt, encodeReceipt, type Receipt, signReceipt } from "../format/receipt.js";
import type { Heads } from "./heads.js";
import type { Peer, Room } from "./room.js";
import { violation } from "./violation.js";

/** A page that waits for its link. */
type Page = { readonly log: Buffer; readonly names: readonly Buffer[]; readonly all: boolean };

export class Receipts {
  readonly #room: Room;
  readonly #heads: Heads;
  /** what has come since the last statement, by log */
  readonly #fresh = new Map<string, { readonly log: Buffer; readonly names: Buffer[] }>();
  /** what is still to be said: logs to be stated in full, then pages */
  readonly #full = new Map<Peer, Buffer[]>();
  readonly #pages = new Map<Peer, Page[]>();
  /** logs of which a peer has signed for more than we know, by hex, and up to which record it knew them */
  readonly #ahead = new Map<Peer, Map<string, bigint>>();
  /** logs that a peer asked to be stated again, too soon after the last time */
  readonly #later = new Map<Peer, { readonly logs: Map<string, Buffer>; cancel(): void }>();
  /** of the last statement, in ns: each has a later one, whatever the clock does */
  #last = 0n;
  #cancel: (() => void) | undefined;

  constructor(room: Room, heads: Heads) {
    this.#room = room;
    this.#heads = heads;
  }

  #signsFor(peer: Peer): boolean {
    return this.#room.gives && peer.isKeeper && peer.remote.vault !== undefined;
  }

  peerUp(peer: Peer): void {
    if (!this.#signsFor(peer)) return;
    const logs = this.#heads.of(peer.remote.vault as Buffer).map(({ log }) => log);
    // Nobody needs to hear that we have our own.
    this.#full.set(
      peer,
      logs.filter((log) => !this.#room.store.isOwn(log)),
    );
    this.#pages.set(peer, []);
    this.drained(peer);
  }

  peerDown(peer: Peer): void {
    this.#full.delete(peer);
    this.#pages.delete(peer);
    this.#ahead.delete(peer);
    this.#later.get(peer)?.cancel();
    this.#later.delete(peer);
  }

  /** A log is known as far as whoever signed for more of it: now that can be counted, so it is asked for once more. */
  grown({ log, seq }: Head): void {
    this.add(log);
    const key = toHex(log);
    for (const [peer, logs] of this.#ahead) {
      const known = logs.get(key);
      if (known === undefined || known > seq) continue;
      logs.delete(key);
      peer.send({ type: "askReceipts", log });
    }
  }

  answer(peer: Peer, { log }: Extract<RoomMessage, { type: "askReceipts" }>): void {
    const scope = this.#heads.get(log)?.scope;
    const full = this.#full.get(peer);
    if (scope === undefined || full === undefined || !sameBytes(scope, peer.remote.vault as Buffer)) return;
    if (this.#room.store.isOwn(log) || full.some((other) => sameBytes(other, log))) return;
    const later = this.#later.get(peer);
    if (later !== undefined) {
      later.logs.set(toHex(log), log);
      return;
    }
    this.#rest(peer);
    full.push(log);
    this.drained(peer);
  }

  /** A statement in full looks at every object of a log: who asks for them again and again gets them now and then. */
  #rest(peer: Peer): void {
    const logs = new Map<string, Buffer>();
    const cancel = this.#room.system.after(swarm.restateMs, () => {
      this.#later.delete(peer);
      if (logs.size === 0) return;
      this.#rest(peer);
      this.#full.get(peer)?.push(...logs.values());
      this.drained(peer);
    });
    this.#later.set(peer, { logs, cancel });
  }

  /** A log is known further, or an object of it is on the disk. */
  add(log: Buffer, name?: Buffer): void {
    if (!this.#room.gives || this.#room.store.isOwn(log)) return;
    const key = toHex(log);
    const fresh = this.#fresh.get(key) ?? { log, names: [] };
    this.#fresh.set(key, fresh);
    if (name !== undefined) fresh.names.push(name);
    this.#cancel ??= this.#room.system.after(swarm.statementMs, () => {
      this.#cancel = undefined;
      this.#flush();
    });
  }

  /** Something of a log is not here any more: say anew what is. */
  restate(log: Buffer): void {
    const scope = this.#heads.get(log)?.scope;
    if (scope === undefined || this.#room.store.isOwn(log)) return;
    for (const [peer, full] of this.#full) {
      if (!sameBytes(scope, peer.remote.vault as Buffer)) continue;
      full.push(log);
      this.drained(peer);
    }
  }

  #flush(): void {
    for (const { log, names } of this.#fresh.values()) {
      const head = this.#heads.get(log);
      for (const [peer, pages] of this.#pages)
        if (head !== undefined && sameBytes(head.scope, peer.remote.vault as Buffer))
          pages.push(...pagesOf(log, names, false));
    }
    this.#fresh.clear();
    for (const peer of [...this.#pages.keys()]) this.drained(peer);
  }

  drained(peer: Peer): void {
    const pages = this.#pages.get(peer);
    const full = this.#full.get(peer);
    if (pages === undefined || full === undefined) return;
    while (peer.open && !peer.blocked) {
      // In full first: what comes since is added to that, never taken away by it.
      if (pages.length === 0 || full.length > 0) {
        const log = full.shift();
        if (log === undefined) return;
        const names = this.#room.store.ledger.heldOf(log).map(({ name }) => name);
        // What waits of an earlier statement may name what is not here any more.
        const others = pages.filter((page) => !sameBytes(page.log, log));
        pages.splice(0, pages.length, ...pagesOf(log, names, true), ...others);
      }
      const page = pages.shift();
      if (page !== undefined) this.#send(peer, page);
    }
  }

  #send(peer: Peer, { log, names, all }: Page): void {
    const head = this.#heads.get(log);
    if (head === undefined) return;
    const { device } = this.#room.store.keyring;
    const now = this.#room.system.now();
    this.#last = now > this.#last ? now : this.#last + 1n;
    const receipt = signReceipt(device, {
      vault: head.scope,
      log,
      seq: head.seq,
      id: head.id,
      time: this.#last,
      all,
      names,
      fields: noFields,
    });
    peer.send({ type: "receipt", bytes: encodeReceipt(receipt) });
  }

  onReceipt(peer: Peer, { bytes }: Extract<RoomMessage, { type: "receipt" }>): void {
    if (!peer.isKeeper) violation("it may ask, and not give");
    try {
      const receipt = decodeReceipt(bytes);
      if (!sameBytes(receipt.holder, peer.device)) violation("it sent the receipt of another device");
      if (!sameBytes(receipt.vault, this.#room.vault.id)) violation("it sent a receipt for another vault");
      checkReceipt(receipt);
      // While it recovers by the phrase anybody may pose as a peer: only what members sign counts.
      if (!this.#room.gives) return;
      this.#seeAhead(peer, receipt);
      if (!this.#room.store.ledger.addReceipt(receipt)) return;
      this.#room.emit({ type: "receipt", device: peer.device, log: receipt.log, names: receipt.names.length });
    } catch (error) {
      if (error instanceof Problem && error.code === "format") violation(error.message);
      if (!this.#room.space.isFull(error)) throw error;
    }
  }

  /** Of what a log lists beyond the records that are here, nothing can be counted yet. */
  #seeAhead(peer: Peer, { log, seq }: Pick<Receipt, "log" | "seq">): void {
    const mine = this.#heads.get(log);
    if (mine !== undefined && (seq <= mine.seq || mine.frozen)) return;
    const logs = this.#ahead.get(peer) ?? new Map<string, bigint>();
    if (logs.size < swarm.logsPerVault) logs.set(toHex(log), seq);
    this.#ahead.set(peer, logs);
  }

  close(): void {
    this.#cancel?.();
    for (const { cancel } of this.#later.values()) cancel();
  }
}

/** At least one page, though there be no names: it says how far the log is known. */
function pagesOf(log: Buffer, names: readonly Buffer[], all: boolean): Page[] {
  const pages: Page[] = [];
  for (let at = 0; at === 0 || at < names.length; at += wire.names)
    pages.push({ log, names: names.slice(at, at + wire.names), all: all && at === 0 });
  return pages;
}

/**
 * The coop that a home is in: its chains and keys on the disk, what an admin's device says in it, and what comes from
 * others. All processes of a home share it: who writes does so under the lock of the chains, after it has read what the
 * others wrote, and `refresh` brings the rest in.
 *
 *   coop/<chain id>   records, see chains.ts      coop/key   which coop, its keys, a waiting invite, see coop-key.ts
 *
 * After each change the keys are learned that were sealed to this device, a waiting invite is dropped once it has done
 * its work, and the device's part of the capsule is sealed anew where it says less than there is to say.
 * @module
 */
import { join } from "node:path";
import { sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { choice } from "../base/limits.js";
import type { Certificate } from "../format/certificate.js";
import { coopTopic, roles } from "../format/coop.js";
import { checkRedeem, encodeInvite, type Invite, makeInvite, type Redeem } from "../format/invite.js";
import type { Head, refuseReasons } from "../format/message.js";
import type { LogRecord } from "../format/record.js";
import { makeFolder } from "../store/home.js";
import type { Keyring } from "../store/keyring.js";
import { type ChainBook, Chains, recordIn } from "./chains.js";
import { type CoopKey, type CoopKeys, type CoopOwner, readCoopKeys } from "./coop-key.js";
import { headsOf, mayMatter, newest, type Row, recordsAfter, takeIn } from "./coop-records.js";
import { HeldKeys } from "./held-keys.js";
import { admits, type CoopState, foldCoop, isAdmin, type Member } from "./members.js";
import { epochOf, removalOf, speak, type ToSay } from "./speech.js";
import { memberNamed, noAdmin } from "./who.js";

/** What came of records from somebody. */
export interface CoopAccepted {
  /** how many were new and are kept */
  readonly added: number;
  /** how many were new and say nothing, as far as can be seen now */
  readonly useless: number;
  /** why none was taken: the sender broke the rules */
  readonly fault: string | undefined;
  /** of all of them, kept or not */
  readonly ids: readonly { readonly id: Buffer }[];
}

export type RefuseReason = keyof typeof refuseReasons;

export class Coop {
  readonly id: Buffer;
  readonly #owner: CoopOwner;
  readonly #chains: Chains;
  readonly #held: HeldKeys;
  readonly #listeners = new Set<() => void>();
  #state: CoopState;
  #ends: { readonly book: ChainBook; readonly size: number; readonly heads: readonly Head[] } | undefined;
  /** records that came before what makes them count */
  #waiting: readonly LogRecord[] = [];

  private constructor(owner: CoopOwner, keys: CoopKeys) {
    this.id = keys.id;
    this.#owner = owner;
    this.#held = new HeldKeys(owner, keys);
    this.#chains = Chains.open(join(owner.home.path, "coop"), keys.id);
    this.#state = this.#fold();
  }

  /** The coop of this home; undefined where it is in none. Problem("damaged") where `coop/key` is. */
  static open(owner: CoopOwner): Coop | undefined {
    const keys = readCoopKeys(owner.home);
    if (keys === undefined) return undefined;
    const coop = new Coop(owner, keys);
    coop.#settle();
    return coop;
  }

  /** Begin with these keys and records; for `createCoop` and `joinCoop`. */
  static begin(owner: CoopOwner, keys: CoopKeys, records: readonly LogRecord[], sayings: readonly ToSay[]): Coop {
    makeFolder(join(owner.home.path, "coop"));
    const coop = new Coop(owner, keys);
    coop.#chains.underLock(() => {
      coop.#chains.append(records);
      coop.#state = coop.#fold();
      coop.#say(sayings);
      coop.#held.write();
    });
    coop.#settle();
    return coop;
  }

  get name(): string {
    return this.#state.name || this.#held.name;
  }

  get state(): CoopState {
    return this.#state;
  }

  /** An invite that waits for an admin's device. */
  get pending(): Invite | undefined {
    return this.#held.pending;
  }

  get #me(): Keyring {
    return this.#owner.store.keyring;
  }

  /** Is this device known to be in? */
  get isMember(): boolean {
    return admits(this.#state, this.#me.device.publicKey, this.#me.certificate);
  }

  /** May this device say who belongs to the coop? */
  get administers(): boolean {
    return isAdmin(this.#state, this.#me.device.publicKey, this.#me.certificate);
  }

  /** The keys that are known, the newest first. */
  get keys(): readonly CoopKey[] {
    return this.#held.all;
  }

  /** Where to meet: the topic of the newest key, then those of the ones before it. */
  topics(): Buffer[] {
    return this.keys.slice(0, choice.coopTopics).map(({ key }) => coopTopic(key));
  }

  /** Called whenever members or keys have changed, by this process or another; the result calls it off. */
  onChange(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => void this.#listeners.delete(changed);
  }

  /** Take in what other processes of this home have written. True where there was something. */
  refresh(): boolean {
    const grown = this.#chains.refresh();
    if (!this.#held.reload() && !grown) return false;
    this.#state = this.#fold();
    this.#settle();
    this.#changed();
    return true;
  }

  /** The ends of all chains; a chain that branched has more than one. */
  heads(): Head[] {
    const { book } = this.#chains;
    // A book only grows; every link asks for this with every change.
    if (this.#ends?.book !== book || this.#ends.size !== book.size)
      this.#ends = { book, size: book.size, heads: headsOf(this.id, book) };
    return [...this.#ends.heads];
  }

  /** All records that whoever sent these heads lacks, in rows that fit one message each. */
  recordsAfter(heads: readonly Pick<Head, "id">[]): Row[] {
    return recordsAfter(this.#chains.book, this.#state, heads);
  }

  /** Take records of any chains, in any order. Throws only for this disk. */
  accept(records: readonly Uint8Array[]): CoopAccepted {
    const ids: LogRecord[] = [];
    for (const bytes of records) {
      const record = recordIn(bytes);
      if (record === undefined || !sameBytes(record.vault, this.id))
        return { added: 0, useless: 0, fault: "something that is no record of this coop", ids };
      ids.push(record);
    }
    const fresh = ids.filter(({ id }) => this.#chains.book.record(toHex(id)) === undefined);
    if (fresh.length === 0) return { added: 0, useless: 0, fault: undefined, ids };
    if (!mayMatter(this.#chains.book, this.#state, fresh, this.#waiting)) {
      this.#waiting = newest([...this.#waiting, ...fresh]);
      return { added: 0, useless: fresh.length, fault: undefined, ids };
    }
    // What a full disk does not take is offered again at the next meeting.
    let accepted: CoopAccepted = { added: 0, useless: 0, fault: undefined, ids };
    unlessFull(() => {
      accepted = this.#change(() => this.#takeIn(ids, fresh));
    });
    return accepted;
  }

  /** Under the lock. */
  #takeIn(ids: readonly LogRecord[], fresh: readonly LogRecord[]): CoopAccepted {
    let taken = takeIn(this.id, this.#chains.book, [...fresh, ...this.#waiting]);
    // Those that waited are somebody else's.
    if (taken.fault !== undefined) taken = takeIn(this.id, this.#chains.book, fresh);
    const { kept, waiting, fault } = taken;
    if (fault !== undefined) return { added: 0, useless: 0, fault, ids };
    this.#chains.append(kept);
    this.#waiting = waiting;
    if (kept.length > 0) {
      this.#state = this.#fold();
      this.#closeGaps();
    }
    const keeps = new Set(kept);
    const added = fresh.filter((record) => keeps.has(record)).length;
    return { added, useless: fresh.length - added, fault, ids };
  }

  /** The text of a new invite, good for a week. Problem("refused") where this device is no admin. */
  invite(options: { readonly role?: number; readonly bootstrap?: readonly string[] } = {}): string {
    this.#mustAdminister("invite anybody");
    const { device, certificate, rootPublic } = this.#me;
    // An invite is checked against the list of members, so who makes it has to stand there.
    if (!this.#isListedAdmin(device.publicKey)) this.#change(() => this.#say([]));
    const { system } = this.#owner;
    const invite = makeInvite(
      device,
      {
        coop: this.id,
        key: this.#held.newest.key,
        name: this.name,
        expires: system.now() + BigInt(choice.inviteSeconds) * 1_000_000_000n,
        role: options.role ?? roles.member,
        adminCertificate: certificate,
        adminRootPublic: rootPublic,
        bootstrap: options.bootstrap ?? this.#owner.config().coop.bootstrap ?? [],
      },
      (length) => system.random(length),
    );
    return encodeInvite(invite);
  }

  /**
   * Make a member of a device that shows an invite. Gives the reason where it is refused.
   * @param certificate checked, where the device has one
   */
  redeem(
    redeem: Redeem,
    handshakeHash: Uint8Array,
    device: Buffer,
    certificate: Certificate | undefined,
  ): RefuseReason | undefined {
    if (!this.administers) return "noAdmin";
    const now = this.#owner.system.now();
    try {
      checkRedeem(redeem, this.id, handshakeHash, device, now);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return redeem.expires <= now ? "inviteExpired" : "inviteInvalid";
    }
    return this.#change(() => {
      const state = this.#state;
      if (state.removed.has(toHex(device))) return "removed";
      if (state.members.has(toHex(device))) return undefined;
      if (!this.#isListedAdmin(redeem.admin)) return "inviteInvalid";
      if (state.usedTokens.has(toHex(redeem.token))) return "inviteUsed";
      const { label, role, token } = redeem;
      this.#say([{ what: "member", device, vault: certificate?.vault, role, label, quota: 0n, token }]);
      return undefined;
    });
  }

  /**
   * See to it that a device which may use the coop is listed, and can learn the newest key; does nothing where this
   * device is no admin. @param proven ids of keys that the device has shown to know
   */
  welcome(device: Buffer, certificate: Certificate | undefined, label: string, proven: readonly Buffer[]): void {
    if (!this.administers || !admits(this.#state, device, certificate)) return;
    unlessFull(() => this.#change(() => this.#welcome(device, certificate, label, proven)));
  }

  /** Under the lock. */
  #welcome(device: Buffer, certificate: Certificate | undefined, label: string, proven: readonly Buffer[]): void {
    const sayings: ToSay[] = [];
    const isListed = this.#state.members.has(toHex(device));
    if (!isListed && this.#devicesOf(certificate?.vault) >= choice.coopDevicesPerVault) return;
    if (!isListed)
      sayings.push({
        what: "member",
        device,
        vault: certificate?.vault,
        role: roles.member,
        label,
        quota: 0n,
        token: undefined,
      });
    const epoch = this.#state.epochs.at(-1);
    const key = epoch && this.#held.of(epoch.id);
    const boxed = epoch?.bodies.some(({ boxes }) => boxes.some((box) => box.device.equals(device)));
    if (epoch && key && epoch.number > 0 && !boxed && !proven.some((id) => id.equals(epoch.id)))
      sayings.push(...epochOf(key, epoch.number, [device], this.#owner.system));
    if (sayings.length > 0) this.#say(sayings);
  }

  /**
   * Take a device out for ever, and turn the key. @param which its label, its key in hex, or the beginning of that
   * Problem("refused") where this device may not, "not-found" or "ambiguous".
   */
  remove(which: string): Member {
    this.#mustAdminister("remove anybody");
    return this.#change(() => {
      const member = memberNamed(this.#state, which);
      const { device } = member;
      if (device.equals(this.#me.device.publicKey))
        throw new Problem("refused", "a device cannot remove itself; let another admin's device do it");
      // An admin stays behind in any case: who says this stands in the list, or is put there before.
      const stay = [...this.#state.members.values()].filter((one) => !one.device.equals(device));
      this.#say([removalOf(this.#chains.book, device), ...this.#nextKey(stay)]);
      return member;
    });
  }

  #devicesOf(vault: Buffer | undefined): number {
    if (vault === undefined) return 0;
    return [...this.#state.members.values()].filter((member) => member.vault?.equals(vault)).length;
  }

  #isListedAdmin(device: Uint8Array): boolean {
    return this.#state.members.get(toHex(device))?.role === roles.admin;
  }

  #mustAdminister(what: string): void {
    if (!this.administers) throw noAdmin(this, what);
  }

  /** Under the lock, with the newest state; whoever listens hears of it. */
  #change<T>(work: () => T): T {
    const before = this.#chains.book.size;
    try {
      return this.#chains.underLock(() => {
        if (this.#chains.book.size !== before) this.#state = this.#fold();
        return work();
      });
    } finally {
      if (this.#chains.book.size !== before) {
        this.#state = this.#fold();
        this.#settle();
        this.#changed();
      }
    }
  }

  /** Under the lock: say it, on the disk. */
  #say(sayings: readonly ToSay[]): void {
    const { system, host } = this.#owner;
    const speaker = { keyring: this.#me, label: host, system };
    this.#chains.append(speak(speaker, this.#chains.book, this.#state, sayings));
    this.#state = this.#fold();
  }

  /** A fresh key for those who stay. */
  #nextKey(stay: readonly Member[]): ToSay[] {
    const { system } = this.#owner;
    const number = (this.#state.epochs.at(-1)?.number ?? 0) + 1;
    const devices = [this.#me.device.publicKey, ...stay.map(({ device }) => device)];
    return epochOf(system.random(32), number, devices, system);
  }

  /**
   * Under the lock: where two admins spoke unaware of each other, the newest key may have been given to a device that
   * the other removed. Then an admin turns it once more.
   */
  #closeGaps(): void {
    if (!this.administers) return;
    const { removed, epochs, members } = this.#state;
    const newest = epochs.at(-1);
    if (newest === undefined) return;
    const late = [...removed.values()].some(
      ({ device, serial }) =>
        serial > newest.serial || newest.bodies.some(({ boxes }) => boxes.some((box) => box.device.equals(device))),
    );
    if (late) this.#say(this.#nextKey([...members.values()]));
  }

  #fold(): CoopState {
    return foldCoop(this.id, [...this.#chains.book.chains.values()]);
  }

  /** What follows from the state, see held-keys.ts. Outside of the lock; another process may do the same. */
  #settle(): void {
    const out = [...this.#state.removed.values()].map(({ device }) => device);
    // What somebody holds who is out is no copy: nobody will give it back.
    unlessFull(() => this.#owner.store.ledger?.forgetHolders(out));
    if (!this.#held.isSettled(this.#state))
      unlessFull(() => this.#chains.underLock(() => this.#held.settle(this.#state)));
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** A full disk keeps nobody from reading what is there, from others too; what was not written is made up for later. */
function unlessFull(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "no-space") throw error;
  }
}

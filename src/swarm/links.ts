/**
 * The links of one process, from the connection to the end: how many there may be, how long admission may take, who is
 * kept out. Whoever takes the connections of strangers bounds them before it knows anything about them.
 *
 *   connection → knock, admission (at the door) → admitted by both → room → end
 *                    ↘ refused, or too late          ↘ at fault: cut, and kept out for a while
 * @module
 */
import { sameBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { swarm } from "../base/limits.js";
import type { System } from "../base/system.js";
import type { Admission, Moves, Outcome, Remote } from "./admission.js";
import { KeptOut } from "./kept-out.js";
import { Link } from "./link.js";
import type { Connection } from "./network.js";
import { Peer } from "./room.js";
import { Violation } from "./violation.js";

/** What is done with what happens on links. */
export interface LinksOwner {
  readonly system: System;
  /** the other side gives what we keep, though it is there for one vault only: we recover it */
  readonly recovers: boolean;
  admission(connection: Connection): Admission;
  /** not to be dialled for a while, nor heard */
  avoid(connection: Connection): void;
  up(peer: Peer): void;
  message(peer: Peer, bytes: Buffer): void;
  drained(peer: Peer): void;
  down(peer: Peer, why: string | undefined): void;
  refused(outcome: Extract<Outcome, { kind: "refused" }>): void;
  misbehaved(device: Buffer, why: string, seconds: number): void;
  say(message: string): void;
}

interface Entry {
  readonly connection: Connection;
  readonly admission: Admission;
  link: Link | undefined;
  remote: Remote | undefined;
  peer: Peer | undefined;
  inTime(): void;
}

const late = "it was not admitted in time";

export class Links {
  readonly #owner: LinksOwner;
  readonly #entries = new Set<Entry>();
  readonly #keptOut = new KeptOut();
  #number = 0;
  #closed = false;

  constructor(owner: LinksOwner) {
    this.#owner = owner;
  }

  /** Admitted links that are open, oldest first. */
  *peers(): Generator<Peer> {
    for (const { peer } of this.#entries) if (peer?.open === true) yield peer;
  }

  /** links that are not admitted yet */
  get knocking(): number {
    let count = 0;
    for (const { peer } of this.#entries) if (peer === undefined) count++;
    return count;
  }

  take(connection: Connection): void {
    if (this.knocking >= swarm.linksKnocking) this.#makeRoom();
    if (this.#closed || this.#entries.size >= swarm.links || this.knocking >= swarm.linksKnocking) {
      // Somebody has to hear that it is reset meanwhile, or the process ends of it.
      connection.stream.on("error", () => {});
      connection.stream.destroy();
      return;
    }
    const admission = this.#owner.admission(connection);
    const entry: Entry = {
      connection,
      admission,
      link: undefined,
      remote: undefined,
      peer: undefined,
      inTime: () => {},
    };
    this.#entries.add(entry);
    const handlers = {
      onKnock: (bytes: Buffer) => this.#act(entry, admission.onKnock(bytes)),
      onDoor: (bytes: Buffer) => this.#act(entry, admission.onDoor(bytes)),
      onRoomOpen: () => this.#opened(entry),
      onRoom: (bytes: Buffer) => this.#received(entry, bytes),
      onDrain: () => this.#drained(entry),
      onClose: (why: string | undefined) => this.#ended(entry, why),
    };
    const link = Link.attach(connection, admission.knock, handlers, this.#owner.system);
    entry.link = link;
    entry.inTime = link.closeAfter(swarm.admissionSeconds * 1000, late);
  }

  /**
   * A member that knocks now needs a moment only: the oldest that has shown no key gives way to it, else the oldest. Also
   * who was removed has a key to show.
   */
  #makeRoom(): void {
    const knocking = [...this.#entries].filter(({ peer }) => peer === undefined);
    const entry = knocking.find(({ admission }) => !admission.isProven) ?? knocking[0];
    if (entry === undefined) return;
    this.#entries.delete(entry);
    entry.link?.close("there were too many others");
    entry.connection.stream.destroy();
  }

  #act(entry: Entry, { send, outcome }: Moves): void {
    for (const message of send) entry.link?.sendDoor(message);
    if (outcome === undefined) return;
    if (outcome.kind === "refused" && entry.remote !== undefined) this.#fault(entry, new Violation(outcome.why));
    if (entry.remote !== undefined) return;
    if (outcome.kind === "refused") {
      this.#owner.refused(outcome);
      if (outcome.silent) this.#owner.avoid(entry.connection);
      entry.link?.close(outcome.why);
      return;
    }
    const { remote } = outcome;
    const why = this.#tooMuch(remote);
    if (why !== undefined) {
      this.#owner.refused({ kind: "refused", by: "us", device: remote.device, why, silent: false });
      entry.link?.close(why);
      return;
    }
    entry.remote = remote;
    entry.link?.openRoom();
  }

  /** Why somebody who would be admitted is not, now. */
  #tooMuch({ device }: Remote): string | undefined {
    if (this.#keptOut.has(device, this.#owner.system.now())) return "it has misbehaved and is kept out for a while";
    let count = 0;
    for (const { remote } of this.#entries) if (remote !== undefined && sameBytes(remote.device, device)) count++;
    return count >= swarm.linksPerDevice ? "there are too many links with this device" : undefined;
  }

  #opened(entry: Entry): void {
    const { link, remote } = entry;
    if (link === undefined || remote === undefined || entry.peer !== undefined) return;
    entry.inTime();
    const peer = new Peer(++this.#number, remote, link, this.#owner);
    entry.peer = peer;
    this.#guarded(entry, () => this.#owner.up(peer));
  }

  #received(entry: Entry, bytes: Buffer): void {
    const { peer } = entry;
    if (peer !== undefined) this.#guarded(entry, () => this.#owner.message(peer, bytes));
  }

  #drained(entry: Entry): void {
    const { peer } = entry;
    if (peer === undefined) return;
    peer.drained();
    this.#guarded(entry, () => this.#owner.drained(peer));
  }

  #guarded(entry: Entry, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fault(entry, error);
    }
  }

  /** Something went wrong on this link: it ends, and nothing else does. */
  trouble(peer: Peer, error: unknown): void {
    for (const entry of this.#entries) if (entry.peer === peer) this.#fault(entry, error);
  }

  #fault(entry: Entry, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    const { link, remote } = entry;
    if (link?.open !== true) return;
    if (error instanceof Violation && remote !== undefined) {
      const seconds = this.#keptOut.add(remote.device, this.#owner.system.now());
      this.#owner.misbehaved(remote.device, why, seconds);
      this.#owner.avoid(entry.connection);
    } else if (!(error instanceof Problem && error.code === "unsupported"))
      this.#owner.say(`a link was ended by an error of this side: ${why}`);
    link.close(why);
  }

  /** End one that answers nothing any more. */
  drop(peer: Peer, why: string | undefined): void {
    for (const entry of this.#entries) if (entry.peer === peer) entry.link?.close(why);
  }

  /** The coop has changed: who is not to be spoken with any more is cut at once, all others are told. */
  coopChanged(stays: (remote: Remote) => boolean): void {
    for (const entry of [...this.#entries]) {
      const { admission, remote, link } = entry;
      if (remote !== undefined && !stays(remote)) link?.close("it does not belong to the coop any more");
      else if (link !== undefined) this.#guarded(entry, () => this.#act(entry, admission.onCoopChanged()));
    }
  }

  #ended(entry: Entry, why: string | undefined): void {
    if (why === late && !entry.admission.isProven) this.#owner.avoid(entry.connection);
    if (!this.#entries.delete(entry)) return;
    entry.inTime();
    const { peer } = entry;
    if (peer === undefined) return;
    this.#owner.down(peer, why);
  }

  close(): void {
    this.#closed = true;
    for (const { link } of [...this.#entries]) link?.close();
  }
}

/**
 * What is wanted here comes here: a few objects at a time, in the order of the ledger, each from a peer that says it
 * holds it. A slow, silent or lying peer costs its own time only; what nobody holds is passed over and looked at again
 * when somebody has news. A full disk ends the taking for a while, and nothing else.
 * @module
 */
import { toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { swarm, wire } from "../base/limits.js";
import { Incoming } from "../store/incoming.js";
import type { Wanted } from "../store/ledger.js";
import { objectLength } from "../store/objects.js";
import { Pull, type PullOwner } from "./pull.js";
import type { Peer, Room } from "./room.js";

export class Transfer {
  readonly #room: Room;
  readonly #arrived: (object: Wanted) => void;
  readonly #pulls = new Map<string, Pull>();
  /** the part of the wanted objects that is looked at now */
  #window: Wanted[] = [];
  /** wanted objects behind the window begin behind this one; undefined: the window begins with the first */
  #behind: Wanted | undefined;
  /** the last look went to the end and found nothing that anybody gives */
  #exhausted = false;
  /** something changed since this pass over all that is wanted began at the first */
  #again = true;
  /** grows with each window */
  #windows = 0;
  /** who is being asked what it holds of a window */
  readonly #asking = new Set<Peer>();
  /** who has been asked about all of this window */
  readonly #asked = new Set<Peer>();
  /** who gave nothing for long, and what could not be kept: not before this time (ns) */
  readonly #resting = new Map<Peer | string, bigint>();
  #soon = false;
  /** when this pass began (ns) */
  #restarted = 0n;
  #cancelRestart: (() => void) | undefined;
  readonly #cancels = new Set<() => void>();
  #cancelAgain = (): void => {};
  #closed = false;

  /** @param arrived called for each object that is at its place and in the ledger */
  constructor(room: Room, arrived: (object: Wanted) => void) {
    this.#room = room;
    this.#arrived = arrived;
  }

  get receiving(): number {
    return this.#pulls.size;
  }

  /** Nothing is on its way, and nothing is wanted that a connected peer gives. */
  get isDone(): boolean {
    const looking = this.#again || !this.#exhausted || this.#asking.size > 0;
    return !looking && this.#pulls.size === 0 && this.#resting.size === 0;
  }

  /** More may be wanted, or somebody may have more: look at all of it again, from the first. */
  again(): void {
    this.#again = true;
    this.#restartSoon();
  }

  peerDown(peer: Peer): void {
    this.#asking.delete(peer);
    this.#resting.delete(peer);
    this.again();
  }

  /** There may be credit again. */
  kick(): void {
    if (this.#soon || this.#closed) return;
    this.#soon = true;
    this.#later(0, () => {
      this.#soon = false;
      this.#lookIfAble();
    });
  }

  /** What this machine's disk refuses meanwhile is tried again: nobody stands behind a timer who could hear of it. */
  #lookIfAble(): void {
    try {
      this.#look();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#again = true;
      if (this.#room.space.isFull(error)) return;
      this.#room.say(error.message);
      this.#later(swarm.wantedAgainMs, () => this.kick());
    }
  }

  #later(ms: number, run: () => void): () => void {
    const cancel = this.#room.system.after(ms, () => {
      this.#cancels.delete(cancel);
      if (!this.#closed) run();
    });
    this.#cancels.add(cancel);
    return () => {
      this.#cancels.delete(cancel);
      cancel();
    };
  }

  #look(): void {
    if (this.#closed || !this.#room.takes || this.#room.space.paused) return;
    for (const pull of this.#pulls.values()) {
      if (pull.peer === undefined && !pull.isWhole) this.#continue(pull);
      else pull.pump();
    }
    if (this.#again && this.#mayRestart()) this.#restart();
    else if (this.#again) this.#restartSoon();
    while (!this.#exhausted && this.#pulls.size < swarm.objectsAtOnce) {
      if (this.#askAround()) return;
      if (!this.#fill() && !this.#nextWindow()) break;
    }
  }

  /** What happens within a moment is one reason to look: a look asks the disk for every object. */
  #restartSoon(): void {
    if (this.#mayRestart()) this.kick();
    else
      this.#cancelRestart ??= this.#later(swarm.wantedMs, () => {
        this.#cancelRestart = undefined;
        this.kick();
      });
  }

  #mayRestart(): boolean {
    const since = this.#room.system.now() - this.#restarted;
    // A clock that was put back holds up nothing.
    return since >= BigInt(swarm.wantedMs) * 1_000_000n || since < 0n;
  }

  #restart(): void {
    this.#restarted = this.#room.system.now();
    this.#again = false;
    this.#exhausted = false;
    this.#cancelAgain();
    this.#show(this.#room.store.ledger.wanted(swarm.wantedWindow), undefined);
  }

  #show(window: Wanted[], behind: Wanted | undefined): void {
    this.#window = window;
    this.#behind = behind;
    this.#windows++;
    this.#asked.clear();
  }

  /** The next part of what is wanted; false at the end. */
  #nextWindow(): boolean {
    const last = this.#window.at(-1) ?? this.#behind;
    this.#show(last === undefined ? [] : this.#room.store.ledger.wanted(swarm.wantedWindow, last), last);
    if (this.#window.length > 0) return true;
    this.#exhausted = true;
    // Not everybody tells when it has more than it said.
    this.#cancelAgain();
    if (this.#room.store.ledger.wantedCount() > this.#pulls.size)
      this.#cancelAgain = this.#later(swarm.wantedAgainMs, () => this.again());
    return false;
  }

  /** Ask every peer what it holds of the window, as far as that is not known. True while that is worth waiting for. */
  #askAround(): boolean {
    const since = this.#room.system.now() - BigInt(swarm.wantedAgainMs) * 1_000_000n;
    const number = this.#windows;
    for (const peer of this.#givers()) {
      if (this.#asking.has(peer) || this.#asked.has(peer)) continue;
      this.#asked.add(peer);
      const unknown = this.#window.filter(({ name }) => !peer.holds.has(name) && !peer.holds.lacks(name, since));
      if (unknown.length === 0) continue;
      this.#asking.add(peer);
      const names = unknown.slice(0, wire.names).map(({ name }) => name);
      peer.asks.held(names, (flags) => {
        this.#asking.delete(peer);
        if (number !== this.#windows) {
          this.#asked.delete(peer);
          if (flags?.includes(true)) return this.again();
        }
        this.kick();
      });
    }
    // One that does not answer holds up nobody: what others hold comes meanwhile.
    return this.#asking.size > 0 && !this.#window.some((wanted) => this.#isFree(wanted));
  }

  /** Could it be begun now? */
  #isFree(wanted: Wanted): boolean {
    const key = toHex(wanted.name);
    return !this.#pulls.has(key) && !this.#rests(key) && this.#giverOf(wanted) !== undefined;
  }

  #rests(what: Peer | string): boolean {
    return (this.#resting.get(what) ?? 0n) > this.#room.system.now();
  }

  *#givers(): Generator<Peer> {
    for (const peer of this.#room.peers()) if (peer.isKeeper && !this.#rests(peer)) yield peer;
  }

  /** Begin what can be begun. True when something was, or when only hands are missing. */
  #fill(): boolean {
    let begun = false;
    for (const wanted of this.#window) {
      if (this.#pulls.size >= swarm.objectsAtOnce) return true;
      const key = toHex(wanted.name);
      if (this.#pulls.has(key) || this.#rests(key)) continue;
      const giver = this.#giverOf(wanted);
      if (giver !== undefined && this.#begin(key, wanted, giver)) begun = true;
      if (this.#room.space.paused) return true;
    }
    return begun;
  }

  /** Who holds it and has the least on its hands. */
  #giverOf(wanted: Wanted): Peer | undefined {
    const since = this.#room.system.now() - BigInt(swarm.wantedAgainMs) * 1_000_000n;
    let found: Peer | undefined;
    for (const peer of this.#givers())
      if (peer.holds.gives(wanted, since) && (found === undefined || this.#load(peer) < this.#load(found)))
        found = peer;
    return found;
  }

  #load(peer: Peer): number {
    return [...this.#pulls.values()].filter((pull) => pull.peer === peer).length;
  }

  #begin(key: string, wanted: Wanted, giver: Peer): boolean {
    let incoming: Incoming | undefined;
    try {
      incoming = Incoming.begin(this.#room.vault.home, this.#room.system, wanted);
    } catch (error) {
      this.#trouble(key, error);
      return false;
    }
    if (incoming === undefined) {
      // It is here already, and the ledger is behind, or another process receives it.
      if (objectLength(this.#room.vault.home, wanted.name) === wanted.length) this.#keep(wanted);
      else this.#rest(key);
      return false;
    }
    const pull = new Pull(wanted, incoming, this.#room.system, this.#owner);
    this.#pulls.set(key, pull);
    if (incoming.isWhole) void pull.finish();
    else pull.from(giver);
    return true;
  }

  readonly #owner: PullOwner = {
    lost: (pull, peer, why) => {
      if (why === "stalled") this.#rest(peer);
      this.#continue(pull);
    },
    done: (pull) => {
      this.#pulls.delete(toHex(pull.wanted.name));
      this.#keep(pull.wanted);
      this.kick();
    },
    failed: (pull, error) => {
      this.#pulls.delete(toHex(pull.wanted.name));
      this.#trouble(toHex(pull.wanted.name), error);
    },
  };

  /** It is at its place. */
  #keep(wanted: Wanted): void {
    try {
      this.#room.store.ledger.arrived(wanted.name);
      this.#room.space.wrote();
      this.#window = this.#window.filter(({ name }) => !name.equals(wanted.name));
      this.#arrived(wanted);
    } catch (error) {
      this.#trouble(toHex(wanted.name), error);
    }
  }

  /** From whoever else holds it; where nobody does, it waits for its turn like all others. */
  #continue(pull: Pull): void {
    const giver = this.#giverOf(pull.wanted);
    if (giver !== undefined) pull.from(giver);
    else {
      pull.pause();
      this.#pulls.delete(toHex(pull.wanted.name));
      this.kick();
    }
  }

  /** This machine's own trouble with an object: a full disk stops all, anything else this one for a while. */
  #trouble(key: string, error: unknown): void {
    if (this.#room.space.isFull(error)) {
      for (const pull of this.#pulls.values()) if (!pull.isWhole) pull.pause();
      for (const [name, pull] of this.#pulls) if (!pull.isWhole) this.#pulls.delete(name);
      this.#again = true;
      return;
    }
    if (!(error instanceof Problem)) throw error;
    this.#room.say(error.message);
    this.#rest(key);
    this.kick();
  }

  #rest(what: Peer | string): void {
    const ms = swarm.stallSeconds * 1000;
    this.#resting.set(what, this.#room.system.now() + BigInt(ms) * 1_000_000n);
    this.#later(ms, () => {
      this.#resting.delete(what);
      this.again();
    });
  }

  close(): void {
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
    for (const pull of this.#pulls.values()) pull.pause();
    this.#pulls.clear();
  }
}

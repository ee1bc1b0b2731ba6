/**
 * Seeking a vault with the phrase alone: meet whoever holds its capsule under the recovery topic, prove the slot key,
 * and let a `Gathering` ask until everybody who was reached has told all.
 *
 *   join → link → knock (slot proof) → admitted → room: gathering → quiet for a while → done
 * @module
 */
import { toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import type { PhraseKeys } from "../format/keys.js";
import { decodeRoom, encodeRoom } from "../format/message.js";
import { signingKeyOf } from "../format/sign.js";
import { Admission, type Moves } from "./admission.js";
import { Gathering } from "./gather.js";
import { Link } from "./link.js";
import type { Connection, Network } from "./network.js";

/** How long a seeker waits for what. */
export interface Patience {
  /** for the first peer that has the root part */
  readonly lookMs: number;
  /** without news, before it is thought that everybody has told all */
  readonly quietMs: number;
  /** for answers that are still owed, from the first peer on, where nothing new comes any more */
  readonly gatherMs: number;
  /** in all, from the first peer on */
  readonly mostMs: number;
}

export const patience: Patience = { lookMs: 60_000, quietMs: 1500, gatherMs: 20_000, mostMs: 600_000 };

/** Between two looks whether it is done. */
const stepMs = 100;
/** As long as nobody is there the network is asked again this often: somebody is waiting for it. */
const lookAgainMs = 5000;
/** From the connection to both sides having admitted each other. */
const admissionMs = 10_000;
const linksAtMost = 64;

export interface Sought {
  readonly gathering: Gathering;
  /** devices that were spoken with, whatever they knew */
  readonly asked: number;
}

/**
 * Ask all peers that can be met. Ends with what was gathered, with or without a root part in it; closes all links, and
 * leaves the network to the caller. Problem("interrupted") when `stop` says so.
 * @param progress called whenever there is news
 */
export async function seek(
  network: Network,
  phrase: PhraseKeys,
  system: System,
  wait: Patience,
  stop: AbortSignal,
  progress: (gathering: Gathering) => void,
): Promise<Sought> {
  const seeker = new Seeker(phrase, system);
  network.onConnection((connection) => seeker.meet(connection, () => network.avoid(connection.remoteKey)));
  network.join(phrase.topic, { announce: false, lookup: true });
  const { gathering } = seeker;
  let news = -1;
  let waited = 0;
  let gathered = 0;
  let quiet = 0;
  try {
    for (;;) {
      if (stop.aborted) throw new Problem("interrupted", "interrupted; nothing was changed on this machine");
      if (gathering.news !== news) {
        news = gathering.news;
        quiet = 0;
        progress(gathering);
      }
      const isQuiet = gathering.hasRoot && quiet >= wait.quietMs;
      const told = isQuiet && !gathering.waiting && !seeker.greeting;
      const enough = (isQuiet && gathered >= wait.gatherMs) || gathered >= wait.mostMs;
      if (told || enough || (!gathering.hasRoot && waited >= wait.lookMs)) break;
      await system.sleep(stepMs);
      waited += stepMs;
      quiet += stepMs;
      if (!gathering.hasRoot && waited % lookAgainMs === 0) network.refresh();
      if (gathering.hasRoot) gathered += stepMs;
    }
  } finally {
    network.leave(phrase.topic);
    seeker.close();
  }
  return { gathering, asked: seeker.asked };
}

class Seeker {
  readonly gathering: Gathering;
  readonly #phrase: PhraseKeys;
  readonly #system: System;
  /** of this run only: a recovering machine is nobody yet */
  readonly #device;
  /** oldest first; whether what was told over it has turned out to be true */
  readonly #links = new Map<Link, () => boolean>();
  readonly #asked = new Set<string>();
  #greeting = 0;

  constructor(phrase: PhraseKeys, system: System) {
    this.gathering = new Gathering(phrase);
    this.#phrase = phrase;
    this.#system = system;
    this.#device = signingKeyOf(system.random(32));
  }

  /** Is there a link on which it is not yet known who is at the other end? */
  get greeting(): boolean {
    return this.#greeting > 0;
  }

  get asked(): number {
    return this.#asked.size;
  }

  meet(connection: Connection, avoid: () => void): void {
    if (this.#links.size >= linksAtMost && !this.#makeRoom()) {
      connection.stream.destroy();
      return;
    }
    const admission = new Admission({
      connection,
      system: this.#system,
      device: this.#device,
      certificate: undefined,
      rootPublic: undefined,
      label: "",
      keeps: false,
      coop: undefined,
      rootParts: () => undefined,
      recovery: { slot: this.#phrase.slot },
    });
    let peer: string | undefined;
    let greeted = false;
    let inTime = (): void => {};
    const greet = (): void => {
      if (!greeted) this.#greeting--;
      greeted = true;
      inTime();
    };
    let decided = false;
    // Somebody who speaks the protocol and keeps nothing of this vault says nothing more than a knock.
    let knocked = false;
    const move = ({ send, outcome }: Moves): void => {
      for (const bytes of send) link.sendDoor(bytes);
      if (outcome === undefined || decided) return;
      decided = true;
      if (outcome.kind === "refused") {
        // Others that recover, too, have nothing to give.
        knocked = !outcome.silent;
        avoid();
        link.close(outcome.why);
      } else {
        peer = toHex(outcome.remote.device);
        this.#asked.add(peer);
        knocked = false;
        link.openRoom();
      }
    };
    this.#greeting++;
    const link = Link.attach(
      connection,
      admission.knock,
      {
        onKnock: (knock) => {
          knocked = true;
          move(admission.onKnock(knock));
        },
        onDoor: (message) => move(admission.onDoor(message)),
        onRoomOpen: greet,
        onRoom: (bytes) => {
          const message = decodeRoom(bytes);
          if (message.type === "bye") link.close();
          else if (peer !== undefined && message.type !== "unknown")
            for (const ask of this.gathering.heard(peer, message)) link.sendRoom(encodeRoom(ask));
        },
        onDrain: () => {},
        onClose: () => {
          greet();
          if (knocked) this.#asked.add(toHex(connection.remoteKey));
          this.#links.delete(link);
          if (peer !== undefined) this.gathering.gone(peer);
        },
      },
      this.#system,
    );
    inTime = link.closeAfter(admissionMs, "it did not say who it is in time");
    this.#links.set(link, () => peer !== undefined && this.gathering.isTrue(peer));
  }

  /** Anybody may be there who says nothing, or nothing true: the oldest of them gives way. */
  #makeRoom(): boolean {
    for (const [link, isTrue] of this.#links) {
      if (isTrue()) continue;
      this.#links.delete(link);
      link.close("others are waiting");
      return true;
    }
    return false;
  }

  close(): void {
    for (const link of this.#links.keys()) link.close();
  }
}

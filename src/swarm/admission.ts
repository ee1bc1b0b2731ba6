/**
 * How two ends of a link find out who they are to each other, from the knock to admitted or refused.
 * @module
 */
import type { System } from "../base/system.js";
import type { Certificate } from "../format/certificate.js";
import type { SigningKey } from "../format/sign.js";
import type { Coop } from "./coop.js";
import type { Connection } from "./network.js";

/** Who was admitted. */
export interface Remote {
  readonly device: Buffer;
  readonly vault: Buffer | undefined;
  readonly certificate: Certificate | undefined;
  /** its label in the coop, where it has one */
  readonly label: string;
  /** stores for others; false of a process that only asks */
  readonly keeps: boolean;
  /** the only vault that this link is about, where one of both sides recovers it */
  readonly recovering: Buffer | undefined;
  readonly admin: boolean;
}

export type Outcome =
  | { readonly kind: "admitted"; readonly remote: Remote }
  | {
      readonly kind: "refused";
      readonly by: "us" | "them";
      /** the device, where it was proven */
      readonly device: Buffer | undefined;
      /** one line */
      readonly why: string;
      /** a stranger: nothing was said to it, and nobody needs to hear of it */
      readonly silent: boolean;
    };

/** What a step of admission leads to. Send first, then act on the outcome: open the room, or close. */
export interface Moves {
  /** door messages, in order */
  readonly send: readonly Buffer[];
  readonly outcome?: Outcome;
}

export interface AdmissionOptions {
  readonly connection: Omit<Connection, "stream">;
  readonly system: System;
  /** this device, and that it belongs to a vault */
  readonly device: SigningKey;
  readonly certificate: Certificate | undefined;
  readonly rootPublic: Buffer | undefined;
  /** what it would like to be called */
  readonly label: string;
  /** stores for others */
  readonly keeps: boolean;
  /** undefined only of a recovering machine */
  readonly coop: Coop | undefined;
  /** the vault of whose root part this is the slot key, where that part is here */
  readonly rootParts: (slotPublic: Buffer) => Buffer | undefined;
  /** of a recovering machine */
  readonly recovery?: { readonly slot: SigningKey };
}

export class Admission {
  /** what to knock with */
  readonly knock: Buffer = Buffer.alloc(0);

  constructor(_options: AdmissionOptions) {
    throw new Error("not written yet");
  }

  /** undefined as long as it is open */
  get outcome(): Outcome | undefined {
    return undefined;
  }

  onKnock(_bytes: Buffer): Moves {
    return { send: [] };
  }

  onDoor(_bytes: Buffer): Moves {
    return { send: [] };
  }

  /**
   * The coop has changed while the link was open: what the other side is told of it. Also after admission: heads and
   * records of the coop go on over the door, and `onDoor` takes them.
   */
  onCoopChanged(): Moves {
    return { send: [] };
  }
}

/** Is somebody who was admitted still to be spoken with? To be asked whenever the coop has changed. */
export function stillAdmitted(_coop: Coop, _remote: Remote): boolean {
  return true;
}

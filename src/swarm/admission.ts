/**
 * How the two ends of a link find out who they are to each other: a state machine on the messages of the door. It takes
 * what came, gives what to send, and ends in an outcome; it opens no room and closes no link.
 *
 *              onKnock          onIdentity            onHeads            onDone            onAdmit
 *   knocking ──────────▶ naming ──────────▶ comparing ───────▶ taking ───────────▶ deciding ───────▶ admitted
 *      │                   │  │                                onRecords ↺           ▲    onRecords ↺
 *      │                   │  └──────────────── of a recovery ───────────────────────┘
 *      ▼ stranger: silent  ▼ #refuse: a reason is sent; #breach: nothing is       onRefuse, from anywhere: refused
 *
 * A member's side sends: knock; when the other's knock holds, its identity; when the other's identity holds, the heads
 * of the coop's chains and, with an invite, its redeem; when the other's heads came, the records that it lacks and done;
 * when the other is done, admit or refuse, and before that what the decision added to the chains.
 *
 * Who knocks with older keys only was away, or was removed: it has to say first who it is. Records prove themselves, so
 * they are taken from whoever holds a key, and only then is decided who that is. They are given to whoever holds the
 * newest key, or is a member as far as is known; to others when that is decided. In a recovery one side shows the slot
 * key of a vault and the other holds that vault's root part; they exchange identities and admit each other, no more.
 *
 * Everything is checked before the next message is looked at. A Problem is thrown for this disk only.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { choice, wire } from "../base/limits.js";
import type { System } from "../base/system.js";
import type { LinkKeys } from "../format/capability.js";
import type { Certificate } from "../format/certificate.js";
import { type Redeem, redeemOf } from "../format/invite.js";
import {
  type DoorMessage,
  decodeDoor,
  encodeDoor,
  type Head,
  type Identity,
  type Knock,
  protocolVersions,
  refuseReasons,
} from "../format/message.js";
import type { SigningKey } from "../format/sign.js";
import type { Coop, RefuseReason } from "./coop.js";
import { identityOf, isProvenIdentity, labelOf, type Self } from "./identity.js";
import { commonVersion, isSlotProven, linkKeysOf, memberKnock, readKnock, recoveryKnock, shownBy } from "./knock.js";
import { admits, isAdmin } from "./members.js";
import type { Connection } from "./network.js";
import { violation } from "./violation.js";
import { nameOf, saidBy } from "./who.js";

/** Who was admitted. */
export interface Remote {
  readonly device: Buffer;
  readonly vault: Buffer | undefined;
  readonly certificate: Certificate | undefined;
  /** what it is called in the coop, or would like to be; may be empty */
  readonly label: string;
  /** stores for others; false of a process that only asks */
  readonly keeps: boolean;
  /** it recovers this vault, and this link is about no other; never set on the side that recovers */
  readonly recovering: Buffer | undefined;
  readonly admin: boolean;
}

export type Outcome =
  | { readonly kind: "admitted"; readonly remote: Remote }
  | {
      readonly kind: "refused";
      readonly by: "us" | "them";
      readonly reason?: RefuseReason | undefined;
      /** the device, where it was proven */
      readonly device: Buffer | undefined;
      /** one line */
      readonly why: string;
      /** a stranger, or this device itself: nothing was said, and nobody needs to hear of it */
      readonly silent: boolean;
    };

/** What a step of admission leads to: send first, then open the room or close. */
export interface Moves {
  /** door messages, in order */
  readonly send: readonly Buffer[];
  readonly outcome: Outcome | undefined;
}

export interface AdmissionOptions extends Self {
  readonly connection: Omit<Connection, "stream">;
  readonly system: System;
  /** undefined only of a recovering machine */
  readonly coop: Coop | undefined;
  /** the vault of whose root part this is the slot key, where that part is here */
  readonly rootParts: (slotPublic: Buffer) => Buffer | undefined;
  /** of a recovering machine: the slot key of its phrase */
  readonly recovery?: { readonly slot: SigningKey };
}

type Stage = "knocking" | "naming" | "comparing" | "taking" | "deciding" | "admitted" | "refused";

/** Messages of types unknown to this version that are passed over. */
const mostUnknown = 64;
/** Records that an admitted side may send and nobody can use. */
const mostUseless = 1024;

export class Admission {
  /** what to knock with */
  readonly knock: Buffer;
  readonly #options: AdmissionOptions;
  readonly #link: LinkKeys;
  #stage: Stage = "knocking";
  #outcome: Outcome | undefined;
  #send: Buffer[] = [];
  /** epoch ids of our keys that the other side knows too */
  #proven: readonly Buffer[] = [];
  /** the vault that the other side recovers */
  #serves: Buffer | undefined;
  #isNamed = false;
  /** the other side knows our newest key */
  #isCurrent = false;
  /** it is told nothing of the coop before it is known for a member */
  #holdsBack = false;
  #remote: Identity | undefined;
  /** records of the coop that the other side has, and all before them */
  #has: Pick<Head, "id">[] = [];
  #redeem: Redeem | undefined;
  #records: Buffer[] = [];
  #recordBytes = 0;
  #recordCount = 0;
  #unknown = 0;
  #useless = 0;
  #inStep = false;

  constructor(options: AdmissionOptions) {
    const { connection, coop, recovery, system } = options;
    this.#options = options;
    this.#link = linkKeysOf(connection);
    if (recovery !== undefined)
      this.knock = recoveryKnock(recovery.slot, connection.initiator, this.#link, (length) => system.random(length));
    else if (coop !== undefined) this.knock = memberKnock(coop.keys, connection.initiator, this.#link);
    else throw new RangeError("expected a coop, or the slot key of a recovery");
  }

  /** undefined as long as it is open */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  /** Has the other side shown a key? As long as it has not, it is a stranger. */
  get isProven(): boolean {
    return this.#proven.length > 0 || this.#serves !== undefined || this.#remote !== undefined;
  }

  onKnock(bytes: Uint8Array): Moves {
    return this.#step(() => (this.#stage === "knocking" ? this.#onKnock(bytes) : this.#breach("a second knock")));
  }

  /** A message of the door; after admission too. Throws a Violation where it breaks the rules after that. */
  onDoor(bytes: Uint8Array): Moves {
    return this.#step(() => this.#onDoor(bytes));
  }

  /** The coop has changed: what there is to tell the other side, where it is far enough to be told. */
  onCoopChanged(): Moves {
    // In the midst of a step of its own it is that step which has changed the coop, and which tells.
    return this.#inStep ? { send: [], outcome: undefined } : this.#step(() => undefined);
  }

  #step(step: () => undefined): Moves {
    this.#inStep = true;
    try {
      // After a refusal nothing is looked at any more.
      if (this.#stage !== "refused") step();
      if (this.#stage === "deciding" || this.#stage === "admitted") this.#give();
    } finally {
      this.#inStep = false;
    }
    const send = this.#send;
    this.#send = [];
    return { send, outcome: this.#outcome };
  }

  #say(message: DoorMessage): void {
    this.#send.push(encodeDoor(message));
  }

  // ------------------------------------------------------------------------------------------------ step by step

  #onDoor(bytes: Uint8Array): undefined {
    const stage = this.#stage;
    if (stage === "knocking") return this.#breach("a message before the knock");
    const message = readMessage(bytes);
    if (message === undefined) return this.#breach("bytes that are no message");
    const { type } = message;
    if (type === "unknown")
      return ++this.#unknown > mostUnknown ? this.#breach("too many unknown messages") : undefined;
    if (type === "coopRecords" && (stage === "taking" || stage === "deciding" || stage === "admitted"))
      return this.#onRecords(message.records);
    if (type === "refuse" && stage !== "admitted") return this.#onRefuse(message.reason);
    if (type === "identity" && stage === "naming") return this.#onIdentity(message);
    if (type === "coopHeads" && stage === "comparing") return this.#onHeads(message.heads);
    if (type === "redeem" && stage === "taking" && !this.#redeem) this.#redeem = message.redeem;
    else if (type === "coopDone" && stage === "taking") return this.#onDone();
    else if (type === "admit" && stage === "deciding") return this.#onAdmit();
    else return this.#breach(`"${type}" out of order`);
  }

  #onKnock(bytes: Uint8Array): undefined {
    const { connection, coop, recovery, rootParts } = this.#options;
    const knock = readKnock(bytes);
    if (knock === undefined) return this.#stranger("no knock of this protocol");
    const theirs = !connection.initiator;
    if (recovery !== undefined) {
      // It cannot be checked: who finds us here holds the root part, or does not, which its bytes will show.
      if (knock.purpose === "recover") return this.#stranger("it recovers too");
    } else if (knock.slot !== undefined) {
      const vault = rootParts(knock.slot.publicKey);
      if (vault === undefined || !isSlotProven(knock, theirs, this.#link))
        return this.#stranger("a phrase of no vault that is kept here");
      this.#serves = vault;
    } else {
      const shown = shownBy(knock, coop?.keys ?? [], theirs, this.#link);
      if (shown === undefined) return this.#stranger("it shows no key of this coop");
      this.#proven = shown.proven;
      this.#isCurrent = shown.isCurrent;
      this.#stage = "naming";
      if (!this.#speaksWith(knock)) return;
      if (!shown.isBehind) this.#nameSelf();
      return;
    }
    this.#stage = "naming";
    if (this.#speaksWith(knock) && this.#serves !== undefined) this.#nameSelf();
  }

  #speaksWith(knock: Knock): boolean {
    if (commonVersion(knock) !== undefined) return true;
    const range = (low: number, high: number): string => (low === high ? `${low}` : `${low} to ${high}`);
    const mine = range(protocolVersions.low, protocolVersions.high);
    this.#refuse(
      "version",
      `it speaks protocol ${range(knock.low, knock.high)}, this program ${mine}; use a newer bcoopfs on the older side`,
    );
    return false;
  }

  #nameSelf(): void {
    if (!this.#isNamed) this.#say(identityOf(this.#options, this.#options.connection.initiator, this.#link));
    this.#isNamed = true;
  }

  #onIdentity(identity: Identity): undefined {
    const { connection, device, coop, label } = this.#options;
    if (!isProvenIdentity(identity, !connection.initiator, this.#link))
      return this.#breach("an identity that is not proven");
    this.#remote = identity;
    // Another process of this home, or a copy of it.
    if (sameBytes(identity.device, device.publicKey)) return this.#stranger("it is this device itself");
    if (coop === undefined || this.#serves !== undefined) {
      this.#nameSelf();
      this.#say({ type: "admit" });
      this.#stage = "deciding";
      return;
    }
    if (coop.state.removed.has(toHex(identity.device))) return this.#refuse("removed");
    this.#nameSelf();
    // Of whose ends are not named what is here already comes again, and no harm is done.
    this.#say({ type: "coopHeads", heads: coop.heads().slice(0, wire.headsPerMessage) });
    const { pending } = coop;
    if (pending !== undefined) {
      const redeem = redeemOf(pending, connection.handshakeHash, device.publicKey, label);
      this.#say({ type: "redeem", redeem });
    }
    this.#stage = "comparing";
  }

  #onHeads(heads: readonly Head[]): undefined {
    const coop = this.#options.coop as Coop;
    if (heads.some(({ scope }) => !sameBytes(scope, coop.id))) return this.#breach("heads of another coop");
    this.#has = [...heads];
    const { device, certificate } = this.#remote as Identity;
    // Who was removed has older keys only, and may come under a name that nobody knows.
    this.#holdsBack = !this.#isCurrent && !admits(coop.state, device, certificate);
    if (!this.#holdsBack) this.#giveAll();
    this.#stage = "taking";
  }

  #giveAll(): void {
    this.#give();
    this.#say({ type: "coopDone" });
  }

  /** All records of the coop that the other side lacks. */
  #give(): void {
    const { coop } = this.#options;
    if (coop === undefined || this.#serves !== undefined) return;
    for (const { log, records } of coop.recordsAfter(this.#has)) this.#say({ type: "coopRecords", log, records });
    this.#has = coop.heads();
  }

  #onRecords(records: readonly Buffer[]): undefined {
    if (this.#options.coop === undefined || this.#serves !== undefined) return this.#breach("records in a recovery");
    this.#records.push(...records);
    if (this.#stage !== "taking") return this.#takeIn();
    this.#recordCount += records.length;
    for (const { length } of records) this.#recordBytes += length;
    if (this.#recordCount > choice.coopRecords || this.#recordBytes > choice.coopBytes)
      return this.#breach("more records than a coop may have");
  }

  #takeIn(): undefined {
    const records = this.#records;
    this.#records = [];
    const coop = this.#options.coop as Coop;
    const { fault, useless, ids } = coop.accept(records);
    if (fault !== undefined) return this.#breach(fault);
    this.#has.push(...ids);
    if (this.#stage === "taking") return;
    this.#useless += useless;
    if (this.#useless > mostUseless) return this.#breach("records that nobody can use");
  }

  #onDone(): undefined {
    if (this.#records.length > 0) this.#takeIn();
    if (this.#outcome !== undefined) return;
    const coop = this.#options.coop as Coop;
    const { device, certificate } = this.#remote as Identity;
    if (!admits(coop.state, device, certificate)) {
      const reason = this.#whyNot(coop);
      if (reason !== undefined) return this.#refuse(reason);
    }
    coop.welcome(device, certificate, labelOf(this.#remote as Identity), this.#proven);
    // The decision may have added to the chains.
    if (this.#holdsBack) this.#giveAll();
    else this.#give();
    this.#say({ type: "admit" });
    this.#stage = "deciding";
  }

  /** Of a device that is not in the list: the invite that it shows may put it there. */
  #whyNot(coop: Coop): RefuseReason | undefined {
    const { device, certificate } = this.#remote as Identity;
    if (coop.state.removed.has(toHex(device))) return "removed";
    if (this.#redeem === undefined) return "notMember";
    return coop.redeem(this.#redeem, this.#options.connection.handshakeHash, device, certificate);
  }

  #onAdmit(): undefined {
    const { device, certificate, keeps } = this.#remote as Identity;
    const state = this.#serves === undefined ? this.#options.coop?.state : undefined;
    const remote: Remote = {
      device,
      vault: certificate?.vault,
      certificate,
      label: state?.members.get(toHex(device))?.label || labelOf(this.#remote as Identity),
      keeps,
      recovering: this.#serves,
      admin: state !== undefined && isAdmin(state, device, certificate),
    };
    this.#end({ kind: "admitted", remote });
  }

  // ------------------------------------------------------------------------------------------------- how it ends

  #onRefuse(code: number): undefined {
    const reason = (Object.keys(refuseReasons) as RefuseReason[]).find((name) => refuseReasons[name] === code);
    const device = this.#remote?.device;
    this.#end({ kind: "refused", by: "them", reason, device, why: saidBy("them", reason), silent: false });
  }

  /** Say why, to somebody who has shown a key. */
  #refuse(reason: RefuseReason, why = saidBy("us", reason)): undefined {
    this.#say({ type: "refuse", reason: refuseReasons[reason] });
    this.#end({ kind: "refused", by: "us", reason, device: this.#remote?.device, why, silent: false });
  }

  /** The other side does not keep to the protocol: there is nothing to say to it. */
  #breach(what: string): undefined {
    const { isProven } = this;
    const remote = this.#remote;
    if (this.#stage === "admitted") violation(`it sent ${what}`);
    const who = remote ? nameOf({ label: labelOf(remote), device: remote.device }) : "somebody";
    const why = `${who} sent ${what}`;
    this.#end({ kind: "refused", by: "us", reason: undefined, device: remote?.device, why, silent: !isProven });
  }

  #stranger(why: string): undefined {
    this.#end({ kind: "refused", by: "us", reason: undefined, device: this.#remote?.device, why, silent: true });
  }

  #end(outcome: Outcome): undefined {
    this.#stage = outcome.kind;
    this.#outcome = outcome;
  }
}

function readMessage(bytes: Uint8Array): ReturnType<typeof decodeDoor> | undefined {
  try {
    return decodeDoor(bytes);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** Is somebody who was admitted still to be spoken with? To be asked whenever the coop has changed. */
export function stillAdmitted(coop: Coop, remote: Remote): boolean {
  return remote.recovering !== undefined || admits(coop.state, remote.device, remote.certificate);
}

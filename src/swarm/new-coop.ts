/**
 * How a home comes into a coop: it founds one, or keeps an invite to one.
 * @module
 */
import { join } from "node:path";
import { sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { isName } from "../base/units.js";
import { readRootPart } from "../format/capsule.js";
import { decodeInvite } from "../format/invite.js";
import { readIfThere } from "../store/home.js";
import { setCoop } from "../vault/config-coop.js";
import { editConfig } from "../vault/config-file.js";
import type { CoopConfig } from "../vault/config.js";
import { Coop } from "./coop.js";
import { type CoopOwner, readCoopKeys, sealMarkBytes } from "./coop-key.js";
import { foundRecord, itself } from "./speech.js";
import { shown } from "./who.js";

export interface NewCoop {
  readonly name: string;
  /** HOST:PORT; written into config.toml where given */
  readonly bootstrap?: readonly string[];
  /** HOST or HOST:PORT; written into config.toml where given */
  readonly listen?: string;
}

/** Found a coop with this device as its admin. Problem("refused") where the home is in one, "usage" for a bad name. */
export function createCoop(owner: CoopOwner, { name, bootstrap, listen }: NewCoop): Coop {
  if (!isName(name))
    throw new Problem("usage", `coop name ${JSON.stringify(name)}: 1–64 of A-Z a-z 0-9 . _ -, first a letter or digit`);
  const present = Coop.open(owner);
  if (present !== undefined && !isLeft(present, owner)) throw alreadyIn(present);
  mustBeFindable(owner);
  const { system, host } = owner;
  const { keyring } = owner.store;
  configure(owner, { ...(bootstrap?.length ? { bootstrap } : {}), ...(listen ? { listen } : {}) });
  const key = system.random(32);
  const speaker = { keyring, label: host, system };
  const founding = foundRecord(speaker, undefined, name, key);
  const keys = { id: founding.id, name, keys: [key], pending: undefined, sealed: Buffer.alloc(sealMarkBytes) };
  return Coop.begin(owner, keys, [founding], [itself(speaker)]);
}

/**
 * Keep an invite, whose file this is, until the first admin's device is met; needs nobody online. Problem("usage") for
 * a file that is none, "refused" where it has expired or the home is in a coop.
 */
export function joinCoop(owner: CoopOwner, file: Uint8Array): Coop {
  const invite = decodeInvite(file);
  const present = Coop.open(owner);
  if (present?.isMember) throw alreadyIn(present);
  const isFree = present === undefined || present.pending !== undefined || isLeft(present, owner);
  if (!isFree && !sameBytes(present.id, invite.coop)) throw alreadyIn(present);
  const { system } = owner;
  if (invite.expires <= system.now())
    throw new Problem("refused", "the coop key file has expired; ask an admin of the coop for a new one");
  mustBeFindable(owner);
  const own = owner.config().coop.bootstrap;
  if (own === undefined && invite.bootstrap.length > 0) configure(owner, { bootstrap: invite.bootstrap });
  const known = readCoopKeys(owner.home);
  const older =
    known && sameBytes(known.id, invite.coop) ? known.keys.filter((key) => !sameBytes(key, invite.key)) : [];
  const keys = {
    id: invite.coop,
    name: invite.name,
    keys: [...older, invite.key],
    pending: invite,
    sealed: Buffer.alloc(sealMarkBytes),
  };
  return Coop.begin(owner, keys, [], []);
}

/**
 * Is nothing left of this coop for this home: it was removed, or has the key out of its capsule alone and has met nobody,
 * because the others may be gone, or may have gone on in another one?
 */
function isLeft({ pending, state }: Coop, { store }: CoopOwner): boolean {
  const isAlone = pending === undefined && state.members.size === 0;
  return isAlone || state.removed.has(toHex(store.keyring.device.publicKey));
}

/**
 * Peers find a capsule by what its root part shows of the phrase. Without that everything would look safe on them, and no
 * phrase would ever bring it back.
 */
function mustBeFindable({ home }: CoopOwner): void {
  const bytes = readIfThere(join(home.capsule, "root"));
  const part = bytes && readRootPart(bytes);
  if (part === undefined)
    throw new Problem("damaged", `${join(home.capsule, "root")} is missing; put it back from a copy of the home`);
  if (!part.isSlotProven || part.topic === undefined)
    throw new Problem(
      "refused",
      'this vault was made before there were coops: peers could not find it by its recovery phrase; make a new one in another home with "bcoopfs init" and save your folders there',
    );
}

function configure(owner: CoopOwner, settings: CoopConfig): void {
  if (Object.keys(settings).length > 0) editConfig(owner.home, (text) => setCoop(text, settings));
}

function alreadyIn(coop: Coop): Problem {
  const waits = coop.isMember ? "" : " (it waits for one of its admins)";
  return new Problem("refused", `this home is in the coop "${shown(coop.name)}" already${waits}`);
}

/**
 * The keys of the coop that this home knows, and what follows from them: what the file `coop/key` and the device's part
 * of the capsule say. `settle` brings both up to the state of the coop; nothing is lost where that is cut short, for the
 * next time it is made up for.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { choice } from "../base/limits.js";
import { openEpochBox } from "../format/coop.js";
import { hashOf } from "../format/hash.js";
import type { Invite } from "../format/invite.js";
import { type CoopHints, sealOwnPart } from "../vault/device-part.js";
import {
  type CoopKey,
  type CoopKeys,
  type CoopOwner,
  coopKeyOf,
  encodeCoopKeys,
  readCoopKeys,
  sealMarkBytes,
  writeCoopKeys,
} from "./coop-key.js";
import { admits, type CoopState } from "./members.js";

/** Peers that the capsule names: a few will do, and a new member does not change them. */
const peersTold = 16;

export class HeldKeys {
  readonly #owner: CoopOwner;
  #file: CoopKeys;
  /** the same keys, the newest first, with their ids, which take a while to find */
  #keys: readonly CoopKey[];

  constructor(owner: CoopOwner, file: CoopKeys) {
    this.#owner = owner;
    this.#file = file;
    this.#keys = file.keys.map(coopKeyOf).reverse();
  }

  get name(): string {
    return this.#file.name;
  }

  get pending(): Invite | undefined {
    return this.#file.pending;
  }

  /** The newest first. */
  get all(): readonly CoopKey[] {
    return this.#keys;
  }

  get newest(): CoopKey {
    return this.#keys[0] as CoopKey;
  }

  /** The key of an epoch, where it is known. */
  of(epoch: Uint8Array): Buffer | undefined {
    return this.#keys.find(({ id }) => sameBytes(id, epoch))?.key;
  }

  /** Take in what another process has written. True where that is something else. */
  reload(): boolean {
    const file = readCoopKeys(this.#owner.home);
    // Another coop: that is for the next process that opens it.
    if (file === undefined || !sameBytes(file.id, this.#file.id)) return false;
    if (encodeCoopKeys(file) === encodeCoopKeys(this.#file)) return false;
    this.#hold(file);
    return true;
  }

  /** For a new coop: the file comes last. */
  write(): void {
    writeCoopKeys(this.#owner.home, this.#file);
  }

  /** Is there nothing to do for `settle`? */
  isSettled(state: CoopState): boolean {
    const { keys, pending, sealed } = this.#file;
    if (pending !== undefined && this.#isIn(state)) return false;
    const learned = this.#learned(state);
    if (learned.length !== keys.length || !learned.every((key, at) => sameBytes(key, keys[at] as Buffer))) return false;
    const hints = this.#hints(state);
    return hints === undefined || sameBytes(hints.mark, sealed);
  }

  /**
   * Learn the keys that were sealed to this device, drop an invite that has done its work, seal the part of the capsule
   * anew where it says less than there is to say. Under the lock of the chains.
   */
  settle(state: CoopState): void {
    const { home, system, store } = this.#owner;
    this.reload();
    const pending = this.#isIn(state) ? undefined : this.#file.pending;
    this.#hold({ ...this.#file, keys: this.#learned(state), pending });
    this.write();
    const hints = this.#hints(state);
    if (hints === undefined || sameBytes(hints.mark, this.#file.sealed)) return;
    sealOwnPart(home, store.keyring, hints, system);
    this.#hold({ ...this.#file, sealed: hints.mark });
    this.write();
  }

  #hold(file: CoopKeys): void {
    this.#file = file;
    this.#keys = file.keys.map(coopKeyOf).reverse();
  }

  #isIn(state: CoopState): boolean {
    const { device, certificate } = this.#owner.store.keyring;
    return admits(state, device.publicKey, certificate);
  }

  /** All known keys, the newest last: those that the state does not know of come from an invite and are the oldest. */
  #learned(state: CoopState): Buffer[] {
    const { device } = this.#owner.store.keyring;
    const known = new Map([...this.#keys].reverse().map(({ id, key }) => [toHex(id), key]));
    const inOrder: Buffer[] = [];
    for (const { id, bodies } of state.epochs.slice(-choice.coopKeys)) {
      let key = known.get(toHex(id));
      for (const body of key ? [] : bodies) key ??= openEpochBox(body, device);
      if (key) inOrder.push(key);
      known.delete(toHex(id));
    }
    return [...known.values(), ...inOrder].slice(-choice.coopKeys);
  }

  /** What the capsule should say, and a mark of it; undefined where config.toml cannot be read just now. */
  #hints(state: CoopState): (CoopHints & { readonly mark: Buffer }) | undefined {
    const bootstrap = bootstrapOf(this.#owner);
    if (bootstrap === undefined) return undefined;
    const own = this.#owner.store.keyring.device.publicKey;
    const others = [...state.members.values()].filter(({ device }) => !device.equals(own));
    const peers = others.slice(0, peersTold).map(({ device }) => device);
    const { id, key } = this.newest;
    const said = Buffer.concat([id, ...peers, Buffer.from(bootstrap.join("\n"))]);
    const mark = hashOf(said).subarray(0, sealMarkBytes);
    return { coops: [{ id: this.#file.id, key }], bootstrap, peers, mark };
  }
}

function bootstrapOf(owner: CoopOwner): readonly string[] | undefined {
  try {
    return owner.config().coop.bootstrap ?? [];
  } catch (error) {
    if (error instanceof Problem && error.code === "config") return undefined;
    throw error;
  }
}

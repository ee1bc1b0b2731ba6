/**
 * Members of a coop in the words of people: who is meant, and who may do what this device may not.
 * @module
 */
import { toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { escapeForTerminal } from "../base/units.js";
import { roles } from "../format/coop.js";
import type { refuseReasons } from "../format/message.js";
import type { CoopState, Member } from "./members.js";

const shownDigits = 12;
/** A shorter beginning of a key names nobody. */
const leastDigits = 4;

/** What others chose, for one line on a screen. */
export function shown(text: string): string {
  return escapeForTerminal(Buffer.from(text));
}

/** Label and the beginning of the key. */
export function nameOf({ label, device }: { readonly label: string; readonly device: Buffer }): string {
  const digits = toHex(device).slice(0, shownDigits);
  return label === "" ? digits : `${shown(label)} (${digits})`;
}

/**
 * The member with this label, or whose key begins like this. A whole key is taken even where nobody has it: so a device
 * that is known by its vault only can be kept out. Problem("not-found"), "ambiguous".
 */
export function memberNamed(state: CoopState, which: string): Member {
  const hex = which.toLowerCase();
  const isHex = /^[0-9a-f]+$/.test(hex) && hex.length >= leastDigits && hex.length <= 64;
  const all = [...state.members.values()];
  const labelled = all.filter(({ label }) => label === which);
  const found = labelled.length > 0 ? labelled : all.filter(({ device }) => isHex && toHex(device).startsWith(hex));
  if (found.length === 1) return found[0] as Member;
  if (found.length > 1)
    throw new Problem(
      "ambiguous",
      `"${which}" means ${found.length} devices: ${found.map(nameOf).join(", ")}; give more of the key`,
    );
  if (isHex && hex.length === 64) {
    if (state.removed.has(hex))
      throw new Problem("not-found", `device ${hex.slice(0, shownDigits)} is removed already`);
    return { device: Buffer.from(hex, "hex"), vault: undefined, role: roles.member, label: "", quota: 0n };
  }
  const removed = [...state.removed.keys()].some((key) => isHex && key.startsWith(hex));
  throw new Problem(
    "not-found",
    removed
      ? `device ${hex} is removed already`
      : `no device "${which}" in the coop; "bcoopfs coop members" shows all of them`,
  );
}

/** That only an admin's device may do this, and who those are. */
export function noAdmin(coop: { readonly name: string; readonly state: CoopState }, what: string): Problem {
  const admins = [...coop.state.members.values()].filter(({ role }) => role === roles.admin);
  const who =
    admins.length === 0
      ? "no admin's device was met yet"
      : `these can: ${admins.slice(0, 4).map(nameOf).join(", ")}${admins.length > 4 ? " …" : ""}`;
  return new Problem("refused", `this device is no admin of the coop "${shown(coop.name)}" and cannot ${what}; ${who}`);
}

/** Why somebody was refused, in one line: what `by` says of the other. */
export function saidBy(by: "us" | "them", reason: keyof typeof refuseReasons | undefined): string {
  const [it, this_] = by === "us" ? ["it", "this device"] : ["this device", "it"];
  switch (reason) {
    case "version":
      return "there is no version of the protocol that both speak; use a newer bcoopfs on the older side";
    case "notMember":
      return `${it} is not in the coop, as far as ${this_} knows`;
    case "removed":
      return `${it} was removed from the coop`;
    case "noAdmin":
      return `${this_} is no admin's device and cannot take an invite; one that is has to be met`;
    case "inviteExpired":
      return "the invite has expired; ask an admin of the coop for a new one";
    case "inviteUsed":
      return "the invite was used by another device; ask an admin of the coop for a new one";
    case "inviteInvalid":
      return "the invite is not one of an admin of this coop; ask for a new one";
    case "unknownVault":
      return `${this_} keeps nothing of that vault`;
    case "busy":
      return `${this_} has too many links; it is tried again later`;
    case undefined:
      return "for a reason that this version does not know";
  }
}

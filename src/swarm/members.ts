/**
 * Who may use a coop, as its admins say: a pure fold of all its chains into one state, the same for whoever has the
 * same records, in whatever order they came. Hostile chains change nothing and never throw.
 *
 * Statements are heard by serial, then by the id of the record; one counts if its author is an admin at that point:
 *   - the founder, and each device listed as an admin, until it is removed;
 *   - a device certified, with the right to administer, by the vault of such a device.
 * An invite counts once. A removed device comes back under a new key only.
 *
 * A removal says which records of the removed device still count; what else it ever signed says nothing, however early
 * it claims to be. So two admins who remove each other cannot both be heard, and neither can win by dating back: the
 * one who has been an admin for longer is. A removal that is heard stays so, whoever is removed afterwards.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import { type Certificate, rights } from "../format/certificate.js";
import { type EpochBody, type MemberBody, roles } from "../format/coop.js";
import type { LogRecord } from "../format/record.js";
import type { Author } from "../format/author.js";
import { type CoopChain, type Sayings, type Statement, sayingsOf } from "./statements.js";

export interface Member {
  readonly device: Buffer;
  readonly vault: Buffer | undefined;
  /** one of `roles` */
  readonly role: number;
  readonly label: string;
  /** bytes that it offers to keep; 0 where nothing was said */
  readonly quota: bigint;
}

export interface Removal {
  readonly device: Buffer;
  readonly serial: bigint;
  /** its records that still count, by the hex of their ids */
  readonly standing: ReadonlySet<string>;
}

/** One key of the coop, by what is known of it without having it. */
export interface CoopEpoch {
  readonly number: number;
  readonly id: Buffer;
  /** of the first record that tells of it */
  readonly serial: bigint;
  /** the records that seal it to devices; none of the first key */
  readonly bodies: readonly EpochBody[];
}

export interface CoopState {
  readonly id: Buffer;
  /** empty as long as the founding record is not here */
  readonly name: string;
  /** by the hex of the device's key; in the order in which they were listed */
  readonly members: ReadonlyMap<string, Member>;
  /** by the hex of the device's key */
  readonly removed: ReadonlyMap<string, Removal>;
  /** the current one last; none as long as the founding record is not here */
  readonly epochs: readonly CoopEpoch[];
  /** hex of the public keys of redeemed invites */
  readonly usedTokens: ReadonlySet<string>;
  /** what the next statement carries */
  readonly nextSerial: bigint;
  /** every device that ever was listed as an admin, with its vault, by the hex of its key; the longest-standing first */
  readonly admins: ReadonlyMap<string, Buffer | undefined>;
}

/** A serial may be this much larger than all before it: nobody uses up the numbers. */
const serialStep = 1n << 32n;
/** Removals are weighed against each other this often; what is left then is heard as it stands. */
const rounds = 32;

export function foldCoop(id: Buffer, chains: readonly CoopChain[]): CoopState {
  const sayings = sayingsOf(id, chains);
  const heard = new Map<string, Removal>();
  const gone = new Set<string>();
  for (let round = 0; ; round++) {
    const { state, open } = foldOnce(id, sayings, heard, gone);
    if (open.length === 0) return state;
    const first = open.reduce((a, b) => (b.rank < a.rank ? b : a));
    for (const { statement, rank } of open)
      if (round >= rounds || (rank === first.rank && statement.device === first.statement.device))
        hear(statement, sayings, heard, gone);
  }
}

/** Let a removal count. One device is removed once. */
function hear(statement: Statement, sayings: Sayings, heard: Map<string, Removal>, gone: Set<string>): void {
  if (statement.said.what !== "remove") return;
  const { body } = statement.said;
  const device = toHex(body.device);
  if (gone.has(device)) return;
  gone.add(device);
  heard.set(statement.id, {
    device: body.device,
    serial: statement.serial,
    standing: sayings.standing(body.device, body),
  });
}

/** A removal by an admin that has not been weighed yet. */
interface OpenRemoval {
  readonly statement: Statement;
  /** how many were admins before its author */
  readonly rank: number;
}

/** A state in the making. */
interface Draft {
  readonly members: Map<string, Member>;
  readonly removed: Map<string, Removal>;
  readonly epochs: Map<string, { number: number; id: Buffer; serial: bigint; order: number; bodies: EpochBody[] }>;
  readonly usedTokens: Set<string>;
  readonly admins: Map<string, Buffer | undefined>;
  newest: number;
}

/** @param heard removals that count, by record @param gone the devices that they remove */
function foldOnce(
  id: Buffer,
  { founding, statements }: Sayings,
  heard: ReadonlyMap<string, Removal>,
  gone: ReadonlySet<string>,
): { state: CoopState; open: OpenRemoval[] } {
  const draft: Draft = {
    members: new Map(),
    removed: new Map(),
    epochs: new Map(),
    usedTokens: new Set(),
    admins: new Map(),
    newest: 0,
  };
  const open: OpenRemoval[] = [];
  const cuts = new Map([...heard.values()].map((removal) => [toHex(removal.device), removal.standing]));
  let serial = 0n;
  if (founding !== undefined) found(draft, founding);
  for (const statement of founding === undefined ? [] : statements) {
    const removal = heard.get(statement.id);
    if (removal === undefined) {
      if (statement.serial > serial + serialStep) continue;
      if (cuts.get(statement.device)?.has(statement.id) === false) continue;
      if (!mayAdminister(draft, statement.author.device, statement.author.certificate)) continue;
    }
    const { said } = statement;
    if (said.what === "member" && !list(draft, said.body)) continue;
    if (said.what === "epoch" && !turn(draft, said.body)) continue;
    if (removal !== undefined) remove(draft, removal);
    else if (said.what === "remove" && !gone.has(toHex(said.body.device)))
      open.push({ statement, rank: rankOf(draft, statement.author) });
    if (statement.serial > serial) serial = statement.serial;
  }
  return { state: finished(id, founding?.body.name ?? "", draft, serial + 1n), open };
}

function found(draft: Draft, { body, author }: NonNullable<Sayings["founding"]>): void {
  const device = toHex(author.device);
  const vault = author.certificate?.vault;
  draft.members.set(device, { device: author.device, vault, role: roles.admin, label: "", quota: 0n });
  draft.admins.set(device, vault);
  draft.epochs.set(toHex(body.epochId), { number: 0, id: body.epochId, serial: 0n, order: 0, bodies: [] });
}

/** The rule of authority, for a state as well as for one in the making. */
function mayAdminister(
  state: { readonly members: ReadonlyMap<string, Member>; readonly removed: ReadonlyMap<string, Removal> },
  device: Uint8Array,
  certificate: Certificate | undefined,
): boolean {
  const key = toHex(device);
  if (state.removed.has(key)) return false;
  if (state.members.get(key)?.role === roles.admin) return true;
  if (certificate === undefined || (certificate.rights & rights.administer) === 0) return false;
  for (const { role, vault } of state.members.values())
    if (role === roles.admin && vault !== undefined && sameBytes(vault, certificate.vault)) return true;
  return false;
}

function rankOf(draft: Draft, { device, certificate }: Author): number {
  const key = toHex(device);
  let rank = 0;
  for (const [admin, vault] of draft.admins) {
    if (admin === key || (certificate !== undefined && vault !== undefined && sameBytes(vault, certificate.vault)))
      return rank;
    rank++;
  }
  return rank;
}

function list(draft: Draft, body: MemberBody): boolean {
  const device = toHex(body.device);
  const token = body.token && toHex(body.token);
  if (draft.removed.has(device) || (token !== undefined && draft.usedTokens.has(token))) return false;
  const { vault, label, quota } = body;
  // An admin stays one until it is removed: a removal says what still counts, a lesser role would not.
  const role = Math.max(body.role, draft.members.get(device)?.role ?? roles.member);
  draft.members.set(device, { device: body.device, vault, role, label, quota });
  if (token !== undefined) draft.usedTokens.add(token);
  if (role === roles.admin && !draft.admins.has(device)) draft.admins.set(device, vault);
  return true;
}

function remove(draft: Draft, removal: Removal): void {
  const device = toHex(removal.device);
  draft.members.delete(device);
  draft.removed.set(device, removal);
}

/** A new key, or one that is known already, sealed to more devices. */
function turn(draft: Draft, body: EpochBody): boolean {
  const known = draft.epochs.get(toHex(body.id));
  if (known !== undefined) {
    if (known.number !== body.number) return false;
    known.bodies.push(body);
    return true;
  }
  if (body.number < 1 || body.number > draft.newest + 1) return false;
  const { number, id, serial } = body;
  draft.newest = Math.max(draft.newest, number);
  draft.epochs.set(toHex(id), { number, id, serial, order: draft.epochs.size, bodies: [body] });
  return true;
}

function finished(id: Buffer, name: string, draft: Draft, nextSerial: bigint): CoopState {
  const { members, removed, usedTokens, admins } = draft;
  const epochs = [...draft.epochs.values()].sort((a, b) => a.number - b.number || a.order - b.order);
  return { id, name, members, removed, epochs, usedTokens, nextSerial, admins };
}

/** May this device say who belongs to the coop? @param certificate checked, where it has one */
export function isAdmin(state: CoopState, device: Uint8Array, certificate?: Certificate): boolean {
  return mayAdminister(state, device, certificate);
}

/** May this device use the coop: listed, or certified by the vault of one that is, and not removed? */
export function admits(state: CoopState, device: Uint8Array, certificate?: Certificate): boolean {
  const key = toHex(device);
  if (state.removed.has(key)) return false;
  if (state.members.has(key)) return true;
  if (certificate === undefined) return false;
  for (const { vault } of state.members.values())
    if (vault !== undefined && sameBytes(vault, certificate.vault)) return true;
  return false;
}

/** Could this record, of this author, say anything? What could not is not worth a place on the disk. */
export function isHeard(state: CoopState, author: Author, record: LogRecord): boolean {
  const device = toHex(author.device);
  const removal = state.removed.get(device);
  if (removal !== undefined) return removal.standing.has(toHex(record.id));
  if (state.admins.has(device)) return true;
  const { certificate } = author;
  if (certificate === undefined || (certificate.rights & rights.administer) === 0) return false;
  for (const vault of state.admins.values())
    if (vault !== undefined && sameBytes(vault, certificate.vault)) return true;
  return false;
}

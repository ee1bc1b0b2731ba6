/**
 * Who may use a coop, as its admins say: a pure fold of all its chains into one state, the same for whoever has the
 * same records, in whatever order they came. Hostile chains change nothing and never throw.
 *
 * Statements are heard by serial, then by the id of the record; one counts if its author is an admin at that point:
 *   - the founder, and each device listed as an admin;
 *   - a device certified, with the right to administer, by the vault of such a device that is not removed.
 * An invite counts once. A removed device comes back under a new key only.
 *
 * A removal names the records of the removed device that still count. What else it ever signed says nothing, however
 * early it claims to be, back to the point at which the remover became an admin itself. Removals are weighed by how long
 * their authors have been admins, the longest first, and one that was heard stays heard: so of two who remove each other
 * the one who has been an admin for longer stays, and no dating back helps. Of the devices of one vault the one
 * certified last goes first: it had the phrase.
 *
 * Because no removal reaches further back than its author, what is left out by it could never have changed anything that
 * was weighed before: records that say nothing may be thrown away (`isHeard`), and the state stays the same.
 * @module
 */
import { sameBytes, toHex } from "../base/bytes.js";
import { type Certificate, rights } from "../format/certificate.js";
import { type EpochBody, type MemberBody, type RemoveBody, roles } from "../format/coop.js";
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
  /** the records of the device that are worth keeping, by the hex of their ids */
  readonly kept: ReadonlySet<string>;
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
  /** every device that was ever listed as an admin, by the hex of its key; the first one first */
  readonly admins: ReadonlyMap<string, Admin>;
  /** records of removed devices that removed others, and what they rest on, by the hex of their ids */
  readonly pinned: ReadonlySet<string>;
}

interface Admin {
  readonly vault: Buffer | undefined;
  /** which statement made it one; -1 for the founder */
  readonly since: number;
}

/** Removals are weighed against each other this often; what is left then is heard as it stands. */
const rounds = 64;

/** A removal that counts. */
interface Heard {
  readonly statement: Statement;
  readonly device: Buffer;
  /** the removed device's statements after this one count only if they stand */
  readonly since: number;
  readonly standing: ReadonlySet<string>;
}

/** Removals that count: by the record that says so, and by the device that is removed. */
interface Hearing {
  readonly byRecord: Map<string, Heard>;
  readonly byDevice: Map<string, Heard>;
}

/** What an author's word rests on. */
interface Authority {
  /** how many were admins before */
  readonly rank: number;
  readonly since: number;
}

/** A removal by an admin that has not been weighed yet. */
interface Open extends Authority {
  readonly statement: Statement;
  readonly body: RemoveBody;
}

export function foldCoop(id: Buffer, chains: readonly CoopChain[]): CoopState {
  const sayings = sayingsOf(id, chains);
  const hearing: Hearing = { byRecord: new Map(), byDevice: new Map() };
  for (let round = 1; ; round++) {
    const { state, open } = foldOnce(id, sayings, hearing);
    const [first] = open.sort(byStanding);
    if (first === undefined) return state;
    for (const one of open) if (round > rounds || byStanding(one, first) === 0) hear(one, sayings, hearing);
  }
}

/** Who has been an admin for longer first; of one vault's devices the one certified last. */
function byStanding(a: Open, b: Open): number {
  if (a.rank !== b.rank) return a.rank - b.rank;
  const [one, other] = [a.statement, b.statement];
  const issued = ({ author }: Statement): bigint => author.certificate?.issued ?? 0n;
  if (issued(one) !== issued(other)) return issued(one) > issued(other) ? -1 : 1;
  return one.device < other.device ? -1 : one.device > other.device ? 1 : 0;
}

/** Let a removal count. One device is removed once. */
function hear({ statement, body, since }: Open, sayings: Sayings, { byRecord, byDevice }: Hearing): void {
  const device = toHex(body.device);
  if (byDevice.has(device)) return;
  const heard = { statement, device: body.device, since, standing: sayings.standing(body.device, body) };
  byRecord.set(statement.id, heard);
  byDevice.set(device, heard);
}

/** A state in the making. */
interface Draft {
  readonly members: Map<string, Member>;
  /** by device; `kept` grows while its statements are heard */
  readonly removed: Map<string, { device: Buffer; serial: bigint; kept: Set<string> }>;
  readonly epochs: Map<string, { number: number; id: Buffer; serial: bigint; order: number; bodies: EpochBody[] }>;
  readonly usedTokens: Set<string>;
  readonly admins: Map<string, Admin>;
  newest: number;
}

/** One hearing of all statements, with the removals that count so far. Gives those that are open yet. */
function foldOnce(id: Buffer, sayings: Sayings, { byRecord, byDevice }: Hearing): { state: CoopState; open: Open[] } {
  const { founding, statements } = sayings;
  const draft: Draft = {
    members: new Map(),
    removed: new Map(),
    epochs: new Map(),
    usedTokens: new Set(),
    admins: new Map(),
    newest: 0,
  };
  const open: Open[] = [];
  const late: Statement[] = [];
  let serial = 0n;
  if (founding !== undefined) found(draft, founding);
  for (const [at, statement] of (founding ? statements : []).entries()) {
    const removal = byRecord.get(statement.id);
    const cut = byDevice.get(statement.device);
    const stands = cut === undefined || at <= cut.since || cut.standing.has(statement.id);
    const authority = authorityOf(draft, statement.device, statement.author.certificate);
    if (removal === undefined && (!stands || authority === undefined)) continue;
    const { said } = statement;
    if (said.what === "member" && !list(draft, said.body, at)) continue;
    if (said.what === "epoch" && !turn(draft, said.body)) continue;
    if (removal !== undefined) remove(draft, removal);
    else if (said.what === "remove" && authority !== undefined && !byDevice.has(toHex(said.body.device)))
      open.push({ statement, body: said.body, ...authority });
    if (cut !== undefined) late.push(statement);
    if (statement.serial > serial) serial = statement.serial;
  }
  const pinned = new Set<string>();
  // Of removed devices: what was heard of them, be it within or beyond what the removal lets stand.
  for (const statement of late) for (const one of sayings.upTo(statement)) pinned.add(one);
  return { state: finished(id, founding?.body.name ?? "", draft, serial + 1n, pinned), open };
}

function found(draft: Draft, { body, author }: NonNullable<Sayings["founding"]>): void {
  const device = toHex(author.device);
  const vault = author.certificate?.vault;
  draft.members.set(device, { device: author.device, vault, role: roles.admin, label: "", quota: 0n });
  draft.admins.set(device, { vault, since: -1 });
  draft.epochs.set(toHex(body.epochId), { number: 0, id: body.epochId, serial: 0n, order: 0, bodies: [] });
}

/**
 * The first admin that a device speaks as: itself, or one of its vault that is in. Whether the device was removed itself
 * is asked by what stands of it.
 */
function authorityOf(
  { admins, removed }: { readonly admins: ReadonlyMap<string, Admin>; readonly removed: ReadonlyMap<string, unknown> },
  device: string,
  certificate: Certificate | undefined,
): Authority | undefined {
  const vault = certificate && (certificate.rights & rights.administer) !== 0 ? certificate.vault : undefined;
  let rank = 0;
  for (const [admin, its] of admins) {
    const sameVault = vault !== undefined && its.vault !== undefined && sameBytes(its.vault, vault);
    if (admin === device || (sameVault && !removed.has(admin))) return { rank, since: its.since };
    rank++;
  }
  return undefined;
}

function list(draft: Draft, body: MemberBody, at: number): boolean {
  const device = toHex(body.device);
  const token = body.token && toHex(body.token);
  if (draft.removed.has(device) || (token !== undefined && draft.usedTokens.has(token))) return false;
  const known = draft.members.get(device);
  const { label, quota } = body;
  // What was said first of vault and role stays: a removal says what still counts, a change of these would not.
  const vault = known?.vault ?? body.vault;
  const role = Math.max(body.role, known?.role ?? roles.member);
  draft.members.set(device, { device: body.device, vault, role, label, quota });
  if (token !== undefined) draft.usedTokens.add(token);
  if (role === roles.admin && !draft.admins.has(device)) draft.admins.set(device, { vault, since: at });
  return true;
}

function remove(draft: Draft, { device, statement, standing }: Heard): void {
  const key = toHex(device);
  draft.members.delete(key);
  draft.removed.set(key, { device, serial: statement.serial, kept: new Set(standing) });
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

function finished(id: Buffer, name: string, draft: Draft, nextSerial: bigint, pinned: Set<string>): CoopState {
  const { members, removed, usedTokens, admins } = draft;
  const epochs = [...draft.epochs.values()].sort((a, b) => a.number - b.number || a.order - b.order);
  return { id, name, members, removed, epochs, usedTokens, nextSerial, admins, pinned };
}

/** May this device say who belongs to the coop? @param certificate checked, where it has one */
export function isAdmin(state: CoopState, device: Uint8Array, certificate?: Certificate): boolean {
  const key = toHex(device);
  return !state.removed.has(key) && authorityOf(state, key, certificate) !== undefined;
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
  if (sameBytes(record.id, state.id)) return true;
  if (removal !== undefined) {
    const id = toHex(record.id);
    return removal.kept.has(id) || state.pinned.has(id);
  }
  return wasAdmin(state, author);
}

/** Was an author an admin at any time, by the list or by its vault? */
export function wasAdmin({ admins }: CoopState, { device, certificate }: Author): boolean {
  if (admins.has(toHex(device))) return true;
  if (certificate === undefined || (certificate.rights & rights.administer) === 0) return false;
  for (const { vault } of admins.values()) if (vault !== undefined && sameBytes(vault, certificate.vault)) return true;
  return false;
}

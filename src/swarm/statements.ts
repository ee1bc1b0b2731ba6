/**
 * What the chains of a coop say, put into the one order in which it is heard: by serial, then by the id of the record.
 * Nothing here asks whether somebody may say it; that is for `members.ts`. Whatever stands in the chains, nothing here
 * throws: what does not hang together or cannot be read says nothing.
 *
 * A chain is hash-linked, and still may branch: an admin's home that was put back to an earlier state writes a second
 * record behind the same one. Both branches are heard, so that all members come to the same state once they have met.
 * @module
 */
import { compareBytes, sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import type { Author } from "../format/author.js";
import {
  decodeEpoch,
  decodeFound,
  decodeMember,
  decodeRemove,
  type EpochBody,
  type FoundBody,
  type MemberBody,
  type RemoveBody,
} from "../format/coop.js";
import type { Fields } from "../format/fields.js";
import { follows, type LogRecord, recordTypes } from "../format/record.js";

/** The records that one device wrote in a coop, in any order. The one of number 0 says whose they are. */
export interface CoopChain {
  readonly author: Author;
  readonly records: readonly LogRecord[];
}

export type Said =
  | { readonly what: "member"; readonly body: MemberBody }
  | { readonly what: "remove"; readonly body: RemoveBody }
  | { readonly what: "epoch"; readonly body: EpochBody };

/** One statement of a device about the coop. */
export interface Statement {
  readonly said: Said;
  readonly serial: bigint;
  readonly record: LogRecord;
  /** hex of the record's id */
  readonly id: string;
  readonly author: Author;
  /** hex of the author's key */
  readonly device: string;
}

/** A record within its chain. */
interface Link {
  readonly record: LogRecord;
  readonly before: Link | undefined;
  /** the largest serial from the beginning of the chain to here; -1 where nothing was said */
  readonly serial: bigint;
}

/** The chains of one coop, sorted out. */
export interface Sayings {
  /** of the chain whose id is the coop's */
  readonly founding: { readonly body: FoundBody; readonly author: Author } | undefined;
  /** in the order in which they are heard */
  readonly statements: readonly Statement[];
  /** The records of a device that a removal lets stand, by the hex of their ids. */
  standing(device: Uint8Array, removal: RemoveBody): Set<string>;
  /** A record and all that it rests on, by the hex of their ids. */
  upTo(statement: Statement): string[];
}

/** What carries a larger one says nothing, so that there is always a next one. */
export const mostSerial = 1n << 63n;

/** Field of a remove record: the ids of the last records that count, one behind the other; at most 128. */
const tipsField = 1;
export const mostTips = format.extensionBytes / 32;

/** The numbers in a removal tell two branches of a chain not apart; the ids do. */
export function tipsFields(ids: readonly Uint8Array[]): Fields {
  return ids.length === 0 ? [] : [{ number: tipsField, bytes: Buffer.concat(ids.slice(0, mostTips)) }];
}

function tipsOf(body: RemoveBody): ReadonlySet<string> | undefined {
  const bytes = body.fields.find(({ number }) => number === tipsField)?.bytes;
  if (bytes === undefined || bytes.length % 32 !== 0) return undefined;
  const hex = toHex(bytes);
  return new Set(hex.match(/.{64}/g) ?? []);
}

/** A record is decoded once, however often the fold is made again. */
const decoded = new WeakMap<LogRecord, { readonly id: string; readonly said: Said | undefined }>();

function saidIn(record: LogRecord): { readonly id: string; readonly said: Said | undefined } {
  const known = decoded.get(record);
  if (known !== undefined) return known;
  const fresh = { id: toHex(record.id), said: decodeSaid(record) };
  decoded.set(record, fresh);
  return fresh;
}

function decodeSaid({ type, clear }: LogRecord): Said | undefined {
  try {
    if (type === recordTypes.member) return { what: "member", body: decodeMember(clear) };
    if (type === recordTypes.remove) return { what: "remove", body: decodeRemove(clear) };
    if (type === recordTypes.epoch) return { what: "epoch", body: decodeEpoch(clear) };
    return undefined;
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** Sort out the chains of a coop; those of another say nothing. */
export function sayingsOf(coop: Uint8Array, chains: readonly CoopChain[]): Sayings {
  const merged = new Map<string, CoopChain>();
  for (const { author, records } of chains) {
    const first = records.find((record) => record.type === recordTypes.found && sameBytes(record.vault, coop));
    if (first === undefined) continue;
    const known = merged.get(toHex(first.log));
    merged.set(toHex(first.log), { author, records: known ? [...known.records, ...records] : records });
  }
  let founding: Sayings["founding"];
  const statements: Statement[] = [];
  const byDevice = new Map<string, Map<string, Link>[]>();
  for (const [log, { author, records }] of merged) {
    const links = linksOf(coop, log, records);
    const device = toHex(author.device);
    byDevice.set(device, [...(byDevice.get(device) ?? []), links]);
    for (const [id, { record, before, serial }] of links) {
      const { said } = saidIn(record);
      // Who speaks again with a number that is not larger tries to be heard earlier than it spoke.
      if (said !== undefined && before !== undefined && serial > before.serial)
        statements.push({ said, serial, record, id, author, device });
      if (before === undefined && sameBytes(record.log, coop)) founding = foundingOf(record, author);
    }
  }
  statements.sort((a, b) => (a.serial < b.serial ? -1 : a.serial > b.serial ? 1 : a.id < b.id ? -1 : 1));
  return {
    founding,
    statements,
    standing: (device, removal) => standing(byDevice.get(toHex(device)) ?? [], removal),
    upTo: ({ device, id }) =>
      upTo(
        byDevice
          .get(device)
          ?.find((links) => links.has(id))
          ?.get(id),
      ),
  };
}

function foundingOf(record: LogRecord, author: Author): Sayings["founding"] {
  try {
    return { body: decodeFound(record.clear), author };
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** Records that hang together from the first one on, by the hex of their ids; each behind the one that it follows. */
function linksOf(coop: Uint8Array, log: string, records: readonly LogRecord[]): Map<string, Link> {
  const links = new Map<string, Link>();
  const inOrder = [...records].sort((a, b) => (a.seq < b.seq ? -1 : a.seq > b.seq ? 1 : compareBytes(a.id, b.id)));
  for (const record of inOrder) {
    const { id, said } = saidIn(record);
    if (links.has(id) || !sameBytes(record.vault, coop)) continue;
    const before = links.get(toHex(record.previous));
    if (before === undefined ? id !== log : !follows(before.record, record)) continue;
    const spoken = before?.serial ?? -1n;
    const own = said === undefined || said.body.serial > mostSerial ? -1n : said.body.serial;
    const serial = own > spoken ? own : spoken;
    links.set(id, { record, before, serial });
  }
  return links;
}

function standing(chains: readonly ReadonlyMap<string, Link>[], removal: RemoveBody): Set<string> {
  const stands = new Set<string>();
  const tips = tipsOf(removal);
  for (const links of chains)
    for (const [id, link] of links) {
      const { log, seq } = link.record;
      const named = tips?.has(id) ?? removal.chains.some((chain) => sameBytes(chain.log, log) && chain.seq >= seq);
      for (let at = named ? link : undefined; at !== undefined; at = at.before) {
        const each = toHex(at.record.id);
        if (stands.has(each)) break;
        stands.add(each);
      }
    }
  return stands;
}

function upTo(link: Link | undefined): string[] {
  const ids: string[] = [];
  for (let at = link; at !== undefined; at = at.before) ids.push(toHex(at.record.id));
  return ids;
}

/** The largest serial on the way to a record of a chain: what follows it must carry a larger one. */
export function serialAt(coop: Uint8Array, records: readonly LogRecord[], tip: LogRecord): bigint {
  return linksOf(coop, toHex(tip.log), records).get(toHex(tip.id))?.serial ?? -1n;
}

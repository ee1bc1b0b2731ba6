/**
 * Mend what this machine can mend by itself. A segment whose bytes are no longer those of its name is set aside, what
 * can still be opened in it is stored anew, and what cannot is struck from the index, so that the next snapshot reads
 * all files again and stores what is still there. Nothing is deleted, and no loss is hidden.
 *
 *   logs → verify every listed segment → set the damaged aside → store anew what opens → index from what is left → no stat sheets
 * @module
 */
import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { Problem, systemProblem } from "../base/errors.js";
import { Pace } from "../base/pace.js";
import { noFields } from "../format/fields.js";
import { keyedHash } from "../format/hash.js";
import { idKeyOf } from "../format/keys.js";
import { encodeRelease, namesPerRecord } from "../format/listing.js";
import { decodeHeader, frameOffsets, headerBytes, SegmentReader, trailerBytes } from "../format/segment.js";
import { decodeTableObject, type Table } from "../format/table.js";
import type { SegmentRow } from "../store/catalogue.js";
import { makeFolder } from "../store/home.js";
import { objectFile, verifyObject } from "../store/objects.js";
import { isOthers } from "../store/presence.js";
import type { Session } from "../store/session.js";
import type { Vault } from "../vault/vault.js";
import { dropStatSheets, type RebuildSummary, rebuildIndex } from "./rebuild.js";

/** What a repair found and did with one segment. */
export interface Mended {
  readonly name: Buffer;
  /** where the damaged file is now; undefined where there was none */
  readonly aside: string | undefined;
  /** chunks that could be stored anew, and those that could not */
  readonly saved: number;
  readonly lost: number;
  /** how many others hold it: then nothing of it is lost or stored anew, it comes back from them */
  readonly peers: number;
}

export interface RepairSummary extends RebuildSummary {
  /** damaged logs that were cut, and gone on from in a new one */
  readonly logs: number;
  readonly mended: readonly Mended[];
}

/** Problem("busy") where another process uses the home. @param on told of each segment that was not as it should be */
export async function repair(vault: Vault, signal: AbortSignal, on: (mended: Mended) => void): Promise<RepairSummary> {
  const pace = new Pace(vault.system, signal, () => {});
  const mended: Mended[] = [];
  const logs = await vault.store.mendLogs();
  for (const row of [...vault.store.catalogue.segments()]) {
    await pace.rest();
    if (isWhole(vault, row)) continue;
    const written = isOthers(vault.store.catalogue, row.listing.name) ? 1 : 0;
    const peers = Math.max(written, vault.store.ledger.copiesOf(row.listing.name));
    // Not here is no damage where others have it.
    if (peers > 0 && objectFile(vault.home, row.listing.name) === undefined) continue;
    const aside = setAside(vault, row.listing.name);
    if (peers > 0) vault.store.ledger.missing(row.listing.name);
    const done =
      peers > 0 ? { name: row.listing.name, aside, saved: 0, lost: 0, peers } : await salvage(vault, row, aside);
    mended.push(done);
    on(done);
  }
  // What was stored anew is listed; the old places are no longer wanted. Files set aside stay for whoever can read more.
  const gone = mended.filter(({ peers }) => peers === 0);
  for (let at = 0; at < gone.length; at += namesPerRecord) {
    const names = gone.slice(at, at + namesPerRecord).map(({ name }) => name);
    const clear = encodeRelease({ names, fields: noFields });
    vault.store.commit([], [{ type: "release", clear, secret: Buffer.alloc(0) }]);
  }
  const rebuilt = await rebuildIndex(vault);
  if (gone.length > 0) dropStatSheets(vault.home.stat);
  return { ...rebuilt, logs, mended };
}

function isWhole(vault: Vault, row: SegmentRow): boolean {
  try {
    verifyObject(vault.home, row.listing.name, row.listing.length);
    return true;
  } catch (error) {
    if (error instanceof Problem && ["damaged", "missing", "io"].includes(error.code)) return false;
    throw error;
  }
}

/** Out of the store's way, but kept. undefined where there is no such file. */
function setAside(vault: Vault, name: Buffer): string | undefined {
  const folder = join(vault.home.store, "damaged");
  const aside = join(folder, `${name.toString("hex")}.seg`);
  try {
    const file = objectFile(vault.home, name);
    if (file === undefined) return undefined;
    makeFolder(folder);
    renameSync(file.path, aside);
    return aside;
  } catch (error) {
    throw systemProblem(`cannot set the damaged segment ${name.toString("hex")} aside`, error);
  }
}

async function salvage(vault: Vault, row: SegmentRow, aside: string | undefined): Promise<Mended> {
  const name = row.listing.name;
  const bytes = aside === undefined ? Buffer.alloc(0) : readFileSync(aside);
  const reader = readerOf(vault, row, bytes);
  const table = (await tableOf(vault, row)) ?? (reader && footerTable(reader, bytes));
  let saved = 0;
  let lost = 0;
  // Placed as before: whoever relied on the old place relies on the new one.
  const session = vault.store.session(row.listing.class);
  try {
    const offsets = table ? frameOffsets(table) : [];
    for (const [number, frame] of (table?.frames ?? []).entries()) {
      const kept = reader ? storeAnew(vault, session, reader, number, frame, bytes, offsets[number] as number) : 0;
      saved += kept;
      lost += frame.chunks.length - kept;
      await session.drain();
    }
    await session.commit(() => []);
  } finally {
    session.close();
  }
  return { name, aside, saved, lost, peers: 0 };
}

function readerOf(vault: Vault, row: SegmentRow, bytes: Buffer): SegmentReader | undefined {
  try {
    const header = decodeHeader(bytes.subarray(0, headerBytes));
    const epoch = vault.store.keyring.epochs.get(header.epoch);
    return epoch && header.salt.equals(row.listing.salt) ? new SegmentReader(header, epoch) : undefined;
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

function footerTable(reader: SegmentReader, bytes: Buffer): Table | undefined {
  try {
    const place = reader.footerPlace(bytes.subarray(bytes.length - trailerBytes), bytes.length);
    return reader.table(bytes.subarray(place.offset, place.offset + place.bytes), place);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** The second copy of a data segment's table, from a metadata segment. */
async function tableOf(vault: Vault, row: SegmentRow): Promise<Table | undefined> {
  const place = vault.store.catalogue.tablePlace(row.listing.salt);
  if (place === undefined) return undefined;
  try {
    const object = decodeTableObject(await vault.store.reader.chunk("table", place.table));
    return object.salt.equals(row.listing.salt) ? object.table : undefined;
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** Store the chunks of one frame that still are what their ids say; how many there were. */
function storeAnew(
  vault: Vault,
  session: Session,
  reader: SegmentReader,
  number: number,
  frame: Table["frames"][number],
  bytes: Buffer,
  offset: number,
): number {
  let raw: Buffer;
  try {
    raw = reader.frame(number, frame.rawBytes, bytes.subarray(offset, offset + frame.boxBytes)).raw;
  } catch (error) {
    if (error instanceof Problem) return 0;
    throw error;
  }
  let at = 0;
  let kept = 0;
  for (const { type, id, length } of frame.chunks) {
    const chunk = raw.subarray(at, at + length);
    at += length;
    if (!keyedHash(idKeyOf(vault.store.keyring.constants, type), chunk).equals(id)) continue;
    session.put(type, chunk);
    kept++;
  }
  return kept;
}

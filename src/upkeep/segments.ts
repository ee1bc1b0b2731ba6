/**
 * Every listed segment: is it there, does it open, and does the index say of it what its own table says?
 * @module
 */
import { sameBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import type { Pace } from "../base/pace.js";
import { formatSize } from "../base/units.js";
import { isSegment, type Listing, objectKinds } from "../format/listing.js";
import { frameOffsets, type SegmentReader } from "../format/segment.js";
import type { Table } from "../format/table.js";
import type { ChunkPlace, SegmentRow } from "../store/catalogue.js";
import { objectLength } from "../store/objects.js";
import { presenceOf } from "../store/presence.js";
import { hexStart, segmentFiles } from "../store/segments.js";
import { readTableOf } from "../store/tables.js";
import { isLoss } from "../vault/view.js";
import type { Vault } from "../vault/vault.js";
import type { Findings } from "./findings.js";
import { type Recorded, remedy } from "./history.js";

/** A segment with its table open. */
export interface OpenSegment {
  readonly listing: Listing;
  readonly reader: SegmentReader;
  readonly table: Table;
}

/** What is known to be lost, or to be elsewhere, for whoever looks which paths that concerns. */
export class Losses {
  /** numbers of segments that are missing or do not open */
  readonly segments = new Map<number, string>();
  /** numbers of segments that are not here but with others */
  readonly far = new Set<number>();
  /** the index does not know what is in some of those */
  farUnknown = false;
  /** ids of single chunks, as latin1 */
  readonly chunks = new Set<string>();
}

/** Presence, length, header and footer of a listed segment; what is wrong, where it has not all of them. */
export function openListed(vault: Vault, listing: Listing): OpenSegment | string {
  const length = objectLength(vault.home, listing.name);
  if (length === undefined) return "its file is missing";
  if (length !== listing.length) return `its file has ${length} bytes, not ${listing.length}`;
  try {
    return { listing, ...readTableOf(vault.home, listing.name, listing.length, vault.store.keyring.epochs) };
  } catch (error) {
    if (!isLoss(error)) throw error;
    return error.message;
  }
}

/** Compare all listed segments with the disk and the index, and the index with them. */
export async function checkSegments(vault: Vault, recorded: Recorded, pace: Pace, findings: Findings): Promise<Losses> {
  const check = new SegmentCheck(vault, findings);
  findings.phase("segments", recorded.listings.size);
  for (const listing of recorded.listings.values()) {
    if (!isSegment(listing.kind)) continue;
    findings.segments++;
    findings.bytes += BigInt(listing.length);
    await check.segment(listing, pace);
    findings.done++;
  }
  findings.phase("index", 0);
  check.unlistedRows(recorded);
  await check.rows(recorded, pace);
  noteLeftOver(vault, recorded, findings);
  if (findings.farSegments > 0)
    findings.note(
      `${findings.farSegments === 1 ? "1 segment is" : `${findings.farSegments} segments are`} only on peers (${formatSize(findings.farBytes)}); what is in them was not looked at`,
    );
  return check.losses;
}

class SegmentCheck {
  readonly #vault: Vault;
  readonly #findings: Findings;
  readonly #last: number;
  #confirmed = 0;
  readonly losses = new Losses();

  constructor(vault: Vault, findings: Findings) {
    this.#vault = vault;
    this.#findings = findings;
    this.#last = Math.max(0, ...[...vault.store.catalogue.segments()].map(({ number }) => number));
  }

  async segment(listing: Listing, pace: Pace): Promise<void> {
    const row = this.#vault.store.catalogue.segmentByName(listing.name);
    const open = openListed(this.#vault, listing);
    const where = hexStart(listing.name);
    if (typeof open === "string" && presenceOf(this.#vault.store, listing) === "peers") {
      this.#isFar(listing, row);
      return;
    }
    if (row === undefined) this.#findings.found("index", where, `a listed segment is not in the index; ${remedy}`);
    if (typeof open === "string") {
      this.#findings.found("segment", where, open);
      if (row) this.losses.segments.set(row.number, "is missing or does not open");
      return;
    }
    if (row === undefined) return;
    const differs = rowDiffers(row, open);
    if (differs !== undefined) this.#findings.found("index", where, `${differs}; ${remedy}`);
    await this.#chunks(row, open, pace);
  }

  /** Others hold it, and have signed that: nothing is lost, and nothing is looked at. */
  #isFar(listing: Listing, row: SegmentRow | undefined): void {
    this.#findings.farSegments++;
    this.#findings.farBytes += BigInt(listing.length);
    if (row === undefined || row.frames.length === 0) this.losses.farUnknown = true;
    if (row) this.losses.far.add(row.number);
  }

  async #chunks(row: SegmentRow, open: OpenSegment, pace: Pace): Promise<void> {
    let absent = 0;
    let wrong = 0;
    for (const [frame, { chunks }] of open.table.frames.entries()) {
      let offset = 0;
      for (const { type, id, length } of chunks) {
        const place = chunkPlace(this.#vault, id);
        if (place === undefined) absent++;
        else if (place.segment === row.number) {
          if (place.frame === frame && place.offset === offset && place.length === length && place.type === type)
            this.#confirmed++;
          else wrong++;
        }
        offset += length;
      }
      if (pace.due(chunks.length)) await pace.rest();
    }
    const where = hexStart(row.listing.name);
    if (absent > 0) this.#findings.found("index", where, `${absent} of its chunks are not in the index; ${remedy}`);
    if (wrong > 0) this.#findings.found("index", where, `the index misplaces ${wrong} of its chunks; ${remedy}`);
  }

  /** Segments that only the index knows. */
  unlistedRows(recorded: Recorded): void {
    const { catalogue } = this.#vault.store;
    for (const { number, listing, log, seq } of catalogue.segments())
      if (
        number <= this.#last &&
        catalogue.rank(log, seq) === 0 &&
        !recorded.listings.has(listing.name.toString("hex"))
      )
        this.#findings.found("index", hexStart(listing.name), `the index knows a segment that no log lists; ${remedy}`);
  }

  /** Rows that no table has confirmed: counted first, and looked for one by one only where the count is wrong. */
  async rows(recorded: Recorded, pace: Pace): Promise<void> {
    let far = 0;
    for (const { key } of this.#chunkRows()) {
      this.#findings.chunks++;
      if (this.losses.far.size > 0 && this.losses.far.has(chunkPlace(this.#vault, key)?.segment ?? 0)) far++;
    }
    if (this.#findings.chunks === this.#confirmed + far) return;
    const held = new Set<string>();
    for (const listing of recorded.listings.values()) {
      const open = !isSegment(listing.kind) ? "" : openListed(this.#vault, listing);
      if (typeof open !== "string")
        for (const { chunks } of open.table.frames) for (const { id } of chunks) held.add(id.toString("latin1"));
      if (pace.due(100)) await pace.rest();
    }
    let stray = 0;
    for (const { key } of this.#chunkRows()) {
      const place = chunkPlace(this.#vault, key);
      const { segments, far } = this.losses;
      const lost = place !== undefined && (segments.has(place.segment) || far.has(place.segment));
      if (!held.has(key.toString("latin1")) && !lost && (place?.segment ?? 0) <= this.#last) stray++;
    }
    if (stray > 0)
      this.#findings.found("index", "catalogue", `${stray} of its chunks are in no segment that is listed; ${remedy}`);
  }

  *#chunkRows(): Generator<{ table: string; key: Buffer }> {
    let begun = false;
    for (const row of this.#vault.store.catalogue.dump()) {
      if (row.table === "chunks") yield row;
      else if (begun) return;
      begun ||= row.table === "chunks";
    }
  }
}

/** Where the index has a chunk; undefined also for a row that cannot be read. */
export function chunkPlace(vault: Vault, id: Buffer): ChunkPlace | undefined {
  try {
    return vault.store.catalogue.chunk(id);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** How a row differs from its segment; undefined where it does not. */
function rowDiffers(row: SegmentRow, { listing, reader, table }: OpenSegment): string | undefined {
  const same = (a: Listing, b: Listing): boolean =>
    a.length === b.length &&
    a.kind === b.kind &&
    a.adopted === b.adopted &&
    a.class.copies === b.class.copies &&
    a.class.minimum === b.class.minimum &&
    a.class.importance === b.class.importance;
  if (!same(row.listing, listing)) return "the index has another length, kind or class for it than its listing";
  const kind = objectKinds[reader.header.kind === "data" ? "dataSegment" : "metadataSegment"];
  if (kind !== listing.kind) return "it is listed as another kind than it is";
  if (row.frames.length === 0 && table.frames.length > 0) return "it could not be read when the index was made";
  const offsets = frameOffsets(table);
  const frames =
    row.frames.length === table.frames.length &&
    table.frames.every(({ boxBytes, rawBytes }, i) => {
      const known = row.frames[i];
      return known?.offset === offsets[i] && known?.boxBytes === boxBytes && known.rawBytes === rawBytes;
    });
  if (!frames || !sameBytes(row.listing.salt, reader.header.salt) || row.epoch !== reader.header.epoch)
    return "the index has other frames for it than its table";
  return undefined;
}

function noteLeftOver(vault: Vault, recorded: Recorded, findings: Findings): void {
  let files = 0;
  let first: Buffer | undefined;
  for (const name of segmentFiles(vault.home)) {
    if (recorded.listings.has(name.toString("hex"))) continue;
    files++;
    first ??= name;
  }
  if (first === undefined) return;
  const what = files === 1 ? "1 segment file that" : `${files} segment files that`;
  findings.note(
    `${what} no record lists (${hexStart(first)}); a run that writes now, or one that was cut off, left it`,
  );
}

/**
 * Records into the catalogue: one function for every commit, every start and every rebuild, so that an index made
 * again is the index that was. Idempotent: what has been applied is not applied twice.
 * @module
 */
import { Problem } from "../base/errors.js";
import {
  covers,
  decodeListings,
  decodeRelease,
  decodeTablePlaces,
  isSegment,
  type Listing,
} from "../format/listing.js";
import type { Epoch } from "../format/keys.js";
import { type LogRecord, openRecord, recordTypes } from "../format/record.js";
import { frameOffsets } from "../format/segment.js";
import type { Table } from "../format/table.js";
import type { Catalogue } from "./catalogue.js";
import type { LogFile, StoredRecord } from "./log.js";

/** What the segments' files say. */
export interface Shelf {
  /** what is in a listed segment; undefined where its file is missing or damaged */
  tableOf(listing: Listing): { epoch: number; table: Table } | undefined;
  /** Is its file here, and as long as it should be? */
  isWhole(listing: Listing): boolean;
}

/** Records applied in one transaction, so that it stays short. */
const batch = 16;

/** Where in a log the catalogue stands; undefined where the log does not hold the record that was applied last. */
export function placeIn(catalogue: Catalogue, log: LogFile): StoredRecord | undefined {
  const applied = catalogue.applied(log.id);
  return applied === undefined ? log.first : log.at(applied.start, applied.end, applied.id);
}

/** Apply what the catalogue has not seen of a log, up to its head: what stands behind that may not be on the disk yet. */
export function applyLog(
  catalogue: Catalogue,
  log: LogFile,
  head: StoredRecord,
  epochs: ReadonlyMap<number, Epoch>,
  shelf: Shelf,
): void {
  const applied = catalogue.applied(log.id);
  let more = applied === undefined || applied.end !== head.end || !applied.id.equals(head.record.id);
  while (more)
    more = catalogue.write(() => {
      const from = placeIn(catalogue, log);
      if (from === undefined)
        throw new Problem(
          "damaged",
          `the catalogue is ahead of the log ${log.path}; run "bcoopfs repair --rebuild-index"`,
        );
      let last = from;
      let count = 0;
      for (const next of log.after(from)) {
        if (next.end > head.end) break;
        applyRecord(catalogue, log, next.record, epochs, shelf);
        catalogue.setApplied({ log: log.id, seq: next.record.seq, id: next.record.id, start: last.end, end: next.end });
        last = next;
        if (++count === batch) return true;
      }
      if (count === 0 && catalogue.applied(log.id) === undefined)
        catalogue.setApplied({ log: log.id, seq: 0n, id: log.genesis.id, start: 0, end: log.start });
      return false;
    });
}

function applyRecord(
  catalogue: Catalogue,
  log: LogFile,
  record: LogRecord,
  epochs: ReadonlyMap<number, Epoch>,
  shelf: Shelf,
): void {
  const secret = (): Buffer => {
    const epoch = epochs.get(record.epoch);
    if (epoch === undefined) throw new Problem("damaged", `the keys of epoch ${record.epoch} are not here`);
    return openRecord(record, epoch);
  };
  if (record.type === recordTypes.list) {
    for (const listing of decodeListings(record.clear).listings) applyListing(catalogue, listing, shelf);
    const tables = secret();
    // A writer may have nothing to say of tables: its segments are found by their footers.
    if (tables.length > 0) for (const place of decodeTablePlaces(tables).places) catalogue.addTablePlace(place);
  } else if (record.type === recordTypes.release) {
    for (const name of decodeRelease(record.clear).names) applyRelease(catalogue, name, shelf);
  } else if (record.type === recordTypes.revision) {
    const { id, seq, time } = record;
    catalogue.addRevision({ id, log: log.id, seq, device: log.device, time, body: secret() });
  }
}

/**
 * A chunk that stands in several segments is taken from the first, or from the one that is placed better. A segment
 * whose file is gone or cut short gives its chunks up to the next one that holds them: so what was stored again is found.
 */
function applyListing(catalogue: Catalogue, listing: Listing, shelf: Shelf): void {
  if (!isSegment(listing.kind) || catalogue.segmentByName(listing.name)) return;
  const found = shelf.tableOf(listing);
  if (found === undefined) {
    catalogue.addSegment({ listing, epoch: 0, frames: [] });
    return;
  }
  const { epoch, table } = found;
  const offsets = frameOffsets(table);
  const frames = table.frames.map(({ boxBytes, rawBytes }, i) => ({
    offset: offsets[i] as number,
    boxBytes,
    rawBytes,
  }));
  const segment = catalogue.addSegment({ listing, epoch, frames });
  const whole = new Map<number, boolean>();
  const holdsWell = (number: number): boolean => {
    const row = catalogue.segment(number);
    if (row === undefined) return false;
    const there = whole.get(number) ?? shelf.isWhole(row.listing);
    whole.set(number, there);
    return there && !(covers(listing.class, row.listing.class) && !covers(row.listing.class, listing.class));
  };
  putChunks(catalogue, segment, table, (id) => {
    const there = catalogue.chunk(id);
    return there === undefined || !holdsWell(there.segment);
  });
}

/** What a released segment held is to be found in the next one that holds it too. */
function applyRelease(catalogue: Catalogue, name: Buffer, shelf: Shelf): void {
  const struck = new Set(catalogue.removeSegment(name).map((id) => id.toString("latin1")));
  for (const { number, listing } of catalogue.segments()) {
    if (struck.size === 0) return;
    const found = shelf.tableOf(listing);
    if (found) putChunks(catalogue, number, found.table, (id) => struck.delete(id.toString("latin1")));
  }
}

/** Rows for the chunks of a segment's table that are wanted there. */
function putChunks(catalogue: Catalogue, segment: number, table: Table, wanted: (id: Buffer) => boolean): void {
  table.frames.forEach((frame, number) => {
    let offset = 0;
    for (const { type, id, length } of frame.chunks) {
      if (wanted(id)) catalogue.putChunk(id, { segment, frame: number, offset, length, type });
      offset += length;
    }
  });
}

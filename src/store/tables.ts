/**
 * What is in a segment whose file is here, as its own footer tells.
 * @module
 */
import { Problem } from "../base/errors.js";
import type { Epoch } from "../format/keys.js";
import { decodeHeader, headerBytes, SegmentReader, trailerBytes } from "../format/segment.js";
import type { Table } from "../format/table.js";
import type { Home } from "./home.js";
import { readObject } from "./objects.js";
import { hexStart } from "./segments.js";

/** Open a segment's header and footer. Problem("damaged" or "missing") where they do not read. */
export function readTableOf(
  home: Home,
  name: Uint8Array,
  length: number,
  epochs: ReadonlyMap<number, Epoch>,
): { reader: SegmentReader; table: Table } {
  const header = decodeHeader(readObject(home, name, 0, headerBytes));
  const epoch = epochs.get(header.epoch);
  if (epoch === undefined)
    throw new Problem(
      "damaged",
      `segment ${hexStart(name)} was sealed in epoch ${header.epoch}, whose keys are not here`,
    );
  const reader = new SegmentReader(header, epoch);
  const place = reader.footerPlace(readObject(home, name, length - trailerBytes, trailerBytes), length);
  return { reader, table: reader.table(readObject(home, name, place.offset, place.bytes), place) };
}

/**
 * Stored bytes, read again: each segment named anew, every frame opened, every chunk hashed.
 * @module
 */
import { sameBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import type { Pace } from "../base/pace.js";
import { keyedHash } from "../format/hash.js";
import { idKeyOf } from "../format/keys.js";
import { NameHasher } from "../format/leaves.js";
import { headerBytes } from "../format/segment.js";
import type { FrameRow } from "../format/table.js";
import { readObject } from "../store/objects.js";
import { presenceOf } from "../store/presence.js";
import { hexStart } from "../store/segments.js";
import { isLoss } from "../vault/view.js";
import type { Vault } from "../vault/vault.js";
import type { Findings } from "./findings.js";
import { chunkPlace, type Losses, openListed, type OpenSegment } from "./segments.js";
import type { Recorded } from "./history.js";
import { isSegment, type Listing } from "../format/listing.js";

/** How much is read: nothing, all, a share of all bytes (0 to 1), or so many bytes. */
export type ReadData = false | "all" | { readonly share: number } | { readonly bytes: bigint };

/** Read listed segments whole, from a random one on, until the wanted amount is reached. */
export async function checkData(
  vault: Vault,
  recorded: Recorded,
  readData: ReadData,
  losses: Losses,
  pace: Pace,
  findings: Findings,
): Promise<void> {
  const wanted = bytesOf(readData, findings.bytes);
  const segments = [...recorded.listings.values()].filter(
    (listing) => isSegment(listing.kind) && presenceOf(vault.store, listing) !== "peers",
  );
  if (wanted === 0n || segments.length === 0) return;
  findings.phase("data", segments.length);
  const start = vault.system.random(4).readUInt32LE() % segments.length;
  for (let i = 0; i < segments.length && findings.readBytes < wanted; i++) {
    const listing = segments[(start + i) % segments.length] as Listing;
    const open = openListed(vault, listing);
    // What does not open has been told already.
    if (typeof open !== "string") await readWhole(vault, open, losses, pace, findings);
    findings.readSegments++;
    findings.readBytes += BigInt(listing.length);
    findings.done++;
  }
}

function bytesOf(readData: ReadData, all: bigint): bigint {
  if (readData === false) return 0n;
  if (readData === "all") return all;
  if ("bytes" in readData) return readData.bytes;
  return (all * BigInt(Math.ceil(Math.min(1, Math.max(0, readData.share)) * 1e6))) / 1_000_000n;
}

async function readWhole(
  vault: Vault,
  open: OpenSegment,
  losses: Losses,
  pace: Pace,
  findings: Findings,
): Promise<void> {
  const { name, length } = open.listing;
  const where = hexStart(name);
  const hasher = new NameHasher();
  let at = 0;
  const next = (bytes: number): Buffer => {
    const piece = readObject(vault.home, name, at, bytes);
    at += bytes;
    hasher.update(piece);
    return piece;
  };
  try {
    next(headerBytes);
    for (const [number, frame] of open.table.frames.entries()) {
      const says = frameTrouble(vault, open, number, frame, next(frame.boxBytes));
      if (says !== undefined) {
        findings.found("segment", where, says);
        loseFrame(vault, open, frame, losses);
      }
      if (pace.due(1, frame.boxBytes + frame.rawBytes)) await pace.rest();
    }
    next(length - at);
  } catch (error) {
    if (!isLoss(error)) throw error;
    findings.found("segment", where, error.message);
    const row = vault.store.catalogue.segmentByName(name);
    if (row) losses.segments.set(row.number, "cannot be read");
    return;
  }
  if (!hasher.finish().name.equals(name))
    findings.found("segment", where, "its bytes do not match its name: the file was changed or the disk is failing");
}

/** What is wrong with one frame; undefined where every chunk in it is what its id says. */
function frameTrouble(
  vault: Vault,
  open: OpenSegment,
  number: number,
  frame: FrameRow,
  box: Buffer,
): string | undefined {
  let raw: Buffer;
  try {
    ({ raw } = open.reader.frame(number, frame.rawBytes, box));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return error.message;
  }
  let at = 0;
  for (const { type, id, length } of frame.chunks) {
    const bytes = raw.subarray(at, at + length);
    at += length;
    if (!sameBytes(keyedHash(idKeyOf(vault.store.keyring.constants, type), bytes), id))
      return `frame ${number} holds a chunk that is not what its id says (${hexStart(id)})`;
  }
  return undefined;
}

function loseFrame(vault: Vault, open: OpenSegment, frame: FrameRow, losses: Losses): void {
  const number = vault.store.catalogue.segmentByName(open.listing.name)?.number;
  for (const { id } of frame.chunks)
    if (chunkPlace(vault, id)?.segment === number) losses.chunks.add(id.toString("latin1"));
}

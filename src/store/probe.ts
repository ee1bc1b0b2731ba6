/**
 * Is a catalogue's file sound? LMDB follows page numbers blindly: a damaged file may kill the process that maps it, or
 * lose rows without a word. So a file that is not as it was when last known good is first walked by a
 * child process, and set aside when the child does not come back well.
 * @module
 */
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { choice } from "../base/limits.js";
import { NameHasher } from "../format/leaves.js";
import { schema } from "./catalogue.js";
import { type Home, readIfThere } from "./home.js";
import { hasRoom } from "./lmdb-guard.js";

/** A walk that takes longer than this and the second below together will never end: pages that lead in a circle. */
const probeLeastMs = 600_000;
const probeBytesPerMs = 2000;
const pieceBytes = 1 << 20;
/** What making a small catalogue takes. */
const remakeBytes = 1 << 20;
const looking = "cannot look through the catalogue";

/** How the child ends where it could not look, and where the rows are not of this version; chosen beside Node's own exits. */
export const unable = 75;
export const otherVersion = 76;

/** By which somebody ends a process that has done nothing wrong; a bad page ends it by others. */
const stopped: ReadonlySet<string> = new Set(["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGKILL"]);

/**
 * What the seal holds for the file as it is now: its hash while that is cheap to make at every start, and what the
 * system says of it beyond: nobody writes to a file without leaving a new change time.
 */
function sealOf(home: Home): string {
  const path = `${home.catalogue}/data.mdb`;
  const { size, ino, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  if (size > choice.sealHashBytes) return `${schema} ${size} ${ino} ${mtimeNs} ${ctimeNs}\n`;
  const hasher = new NameHasher();
  const fd = openSync(path, "r");
  try {
    const piece = Buffer.allocUnsafe(pieceBytes);
    for (let n = readSync(fd, piece); n > 0; n = readSync(fd, piece)) hasher.update(piece.subarray(0, n));
  } finally {
    closeSync(fd);
  }
  return `${schema} ${hasher.finish().name.toString("hex")}\n`;
}

/** Remember the file as good: called after the catalogue was closed in order. */
export function sealCatalogue(home: Home): void {
  try {
    writeFileSync(home.catalogueSeal, sealOf(home), { mode: 0o600 });
  } catch {
    // The next start probes, that is all.
  }
}

/**
 * "sound" where the file is as we left it, or where a child process could read all of it and found all rows; "other"
 * where another version has written it.
 * @param alone nobody else has it open: where there is room, it is then replaced by a copy of what the child could
 *   reach, because LMDB's own list of free pages may be damaged too, and would have it overwrite good ones
 */
export function catalogueState(home: Home, alone: boolean): "sound" | "missing" | "damaged" | "other" {
  try {
    if (!statSync(home.catalogue).isDirectory()) return "damaged";
    const stat = statSync(`${home.catalogue}/data.mdb`);
    if (!stat.isFile()) return "damaged";
    // Whoever was about to make it died before its first write.
    if (stat.size === 0) return "missing";
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return "missing";
    throw systemProblem("cannot reach the catalogue", error);
  }
  try {
    if (readIfThere(home.catalogueSeal)?.toString("latin1") === sealOf(home)) return "sound";
  } catch {
    // Ask the child.
  }
  // Of its own name: the child of an earlier start may have outlived it.
  const copy = `${home.catalogue}/copy-${process.pid}`;
  if (alone) removeCopies(home);
  const copies = alone && hasRoom(home.catalogue, 2 * statSync(`${home.catalogue}/data.mdb`).size + remakeBytes);
  const state = childReads(home, copies ? copy : undefined);
  if (state === "sound" && copies) renameSync(`${copy}/data.mdb`, `${home.catalogue}/data.mdb`);
  if (copies) removeCopies(home);
  return state;
}

function removeCopies(home: Home): void {
  for (const name of readdirSync(home.catalogue))
    if (name.startsWith("copy-")) rmSync(`${home.catalogue}/${name}`, { recursive: true, force: true });
}

function childReads(home: Home, copy: string | undefined): "sound" | "damaged" | "other" {
  const probe = fileURLToPath(new URL("./probe-child.js", import.meta.url));
  const words = [probe, home.catalogue, ...(copy === undefined ? [] : [copy])];
  const timeout = probeLeastMs + Math.ceil(statSync(`${home.catalogue}/data.mdb`).size / probeBytesPerMs);
  const child = spawnSync(process.execPath, words, { stdio: "ignore", timeout });
  if (child.status === 0) return "sound";
  if (child.status === otherVersion) return "other";
  // A child that could not be started, or was stopped, has said nothing of the file.
  const late = errnoOf(child.error) === "ETIMEDOUT";
  if (child.error !== undefined && !late) throw systemProblem(looking, child.error);
  if (child.signal !== null && stopped.has(child.signal) && !late)
    throw new Problem("interrupted", "interrupted while the catalogue was being looked through");
  if (child.status === unable)
    throw new Problem("io", `${looking}; is the disk full, or are too many files open? Then run it again`);
  return "damaged";
}

/** Make room for one of this version. */
export function removeCatalogue(home: Home): void {
  try {
    rmSync(home.catalogue, { recursive: true, force: true });
    rmSync(home.catalogueSeal, { recursive: true, force: true });
  } catch (error) {
    throw systemProblem("cannot remove the catalogue of another version", error);
  }
}

/** Move a damaged catalogue out of the way; the newest such copy is kept for whoever wants to look. */
export function setCatalogueAside(home: Home): string {
  const aside = `${home.catalogue}.damaged`;
  if (!hasRoom(home.catalogue, remakeBytes))
    throw new Problem(
      "no-space",
      "the catalogue is damaged and cannot be made again: the disk is full; free some space and run it again",
    );
  try {
    rmSync(aside, { recursive: true, force: true });
    renameSync(home.catalogue, aside);
    rmSync(home.catalogueSeal, { recursive: true, force: true });
  } catch (error) {
    throw systemProblem(`cannot set the damaged catalogue aside as ${aside}`, error);
  }
  return aside;
}

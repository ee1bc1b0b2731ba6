/**
 * The revisions that this vault keeps, and how people name them.
 *
 *   ID                     64 hex digits, or a unique prefix of at least four
 *   FILESET@latest         the newest complete one
 *   FILESET@TIME           the newest at or before that time
 *   HOST/FILESET@…         where several devices have a fileset of that name
 * @module
 */
import { compareBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { didYouMean, formatTimeUtc, isName, type LocalToUtc, parseTimeSpan, systemLocalToUtc } from "../base/units.js";
import { decodeRevision, type RevisionBody } from "../format/revision.js";
import type { Catalogue, RevisionRow } from "../store/catalogue.js";
import { componentsOf } from "./view.js";

/** One revision as everybody above sees it. */
export interface Revision extends RevisionBody {
  readonly id: Buffer;
  /** nanoseconds since 1970; strictly growing within a device */
  readonly time: bigint;
  readonly device: Buffer;
  /** that tells of it */
  readonly log: Buffer;
}

export function revisionOf(row: RevisionRow): Revision {
  return { ...decodeRevision(row.body), id: row.id, time: row.time, device: row.device, log: row.log };
}

/** Which of two revisions is older, below 0 where it is the first: by their times, the same on every machine. */
export function byAge(a: Revision, b: Revision): number {
  return a.time === b.time ? compareBytes(a.id, b.id) : a.time < b.time ? -1 : 1;
}

/** Decoded once for as long as a catalogue is open; one command asks several times. */
const decoded = new WeakMap<Catalogue, Map<string, Revision>>();

/** All revisions of the vault's devices, oldest first by their times. */
export function* allRevisions(catalogue: Catalogue): Generator<Revision> {
  const known = decoded.get(catalogue) ?? new Map<string, Revision>();
  decoded.set(catalogue, known);
  for (const row of catalogue.revisions()) {
    const id = row.id.toString("latin1");
    const revision = known.get(id) ?? revisionOf(row);
    known.set(id, revision);
    yield revision;
  }
}

/**
 * The newest revision of a fileset that this installation of a device has made. Another one of the same device, of which
 * its home was copied, has its own. @param complete leave partial ones out
 */
export function newestOf(
  catalogue: Catalogue,
  fileset: Buffer,
  device: Buffer,
  complete: boolean,
): Revision | undefined {
  let newest: Revision | undefined;
  for (const revision of allRevisions(catalogue))
    if (revision.fileset.equals(fileset) && revision.device.equals(device) && (revision.complete || !complete))
      if (catalogue.applied(revision.log)?.own) newest = revision;
  return newest;
}

/** A revision and, behind the first ":/", a path in it. */
export interface Reference {
  readonly revision: string;
  /** components of the path; undefined where none was given */
  readonly path: readonly Buffer[] | undefined;
}

/** Split `REV[:PATH]`; a path always begins with "/". @param text bytes where the path is not UTF-8 */
export function parseReference(text: string | Uint8Array): Reference {
  const bytes = Buffer.from(text as string);
  const at = bytes.indexOf(":/");
  if (at < 0) return { revision: bytes.toString("utf8"), path: undefined };
  return { revision: bytes.toString("utf8", 0, at), path: componentsOf(bytes.subarray(at + 1)) };
}

/** Find the revision that a text names. Problems: "not-found", "ambiguous", "usage". */
export function findRevision(catalogue: Catalogue, text: string, toUtc: LocalToUtc = systemLocalToUtc): Revision {
  const at = text.lastIndexOf("@");
  return at >= 0 ? findByTime(catalogue, text.slice(0, at), text.slice(at + 1), toUtc) : findById(catalogue, text);
}

function findById(catalogue: Catalogue, text: string): Revision {
  const hex = text.toLowerCase();
  if (!/^[0-9a-f]{4,64}$/.test(hex)) {
    const hint = isName(text) ? `; for the newest of a fileset write ${text}@latest` : "";
    throw new Problem(
      "usage",
      `"${text}" names no revision: give an id (at least 4 hex digits), FILESET@latest or FILESET@TIME${hint}`,
    );
  }
  const found: Buffer[] = [];
  for (const id of catalogue.revisionIdsFrom(Buffer.from(hex.slice(0, hex.length & ~1), "hex")))
    if (id.toString("hex").startsWith(hex)) found.push(id);
  if (found.length > 1)
    throw new Problem("ambiguous", `${text} is the beginning of ${found.length} revision ids; give more digits`);
  const row = found[0] && catalogue.revision(found[0]);
  if (row === undefined) throw new Problem("not-found", `no revision ${text}; "bcoopfs revisions" lists them`);
  return revisionOf(row);
}

function findByTime(catalogue: Catalogue, name: string, when: string, toUtc: LocalToUtc): Revision {
  const slash = name.indexOf("/");
  const host = slash < 0 ? undefined : name.slice(0, slash);
  const fileset = name.slice(slash + 1);
  const latest = when === "latest";
  const until = latest ? undefined : parseTimeSpan(when, toUtc).last;
  let newest: Revision | undefined;
  const hosts = new Set<string>();
  const names = new Set<string>();
  for (const revision of allRevisions(catalogue)) {
    names.add(revision.filesetName);
    if (revision.filesetName !== fileset || (host !== undefined && revision.host !== host)) continue;
    hosts.add(revision.host);
    if (until === undefined ? revision.complete : revision.time <= until) newest = revision;
  }
  if (hosts.size > 1)
    throw new Problem(
      "ambiguous",
      `several hosts have a fileset ${fileset} (${[...hosts].join(", ")}); write HOST/${fileset}@${when}`,
    );
  if (newest) return newest;
  if (hosts.size === 0) {
    const near = didYouMean(fileset, names);
    throw new Problem(
      "not-found",
      `no revision of a fileset ${name}${near ? `; did you mean ${near}?` : '; "bcoopfs revisions" lists them'}`,
    );
  }
  throw new Problem(
    "not-found",
    latest
      ? `fileset ${name} has no complete revision yet; name a partial one by its id`
      : `fileset ${name} has no revision at or before ${when}`,
  );
}

/** Folder names in the mount: whole seconds, further ones of the same second with .2, .3 … by age. */
export function folderNames(revisions: readonly Revision[]): Map<string, Revision> {
  const named = new Map<string, Revision>();
  for (const revision of revisions) {
    const base = `${formatTimeUtc(revision.time).slice(0, -11)}Z`;
    let name = base;
    for (let n = 2; named.has(name); n++) name = `${base}.${n}`;
    named.set(name, revision);
  }
  return named;
}

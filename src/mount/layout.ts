/**
 * The upper part of the mount, made from the list of revisions alone:
 *
 *   hosts/<host>/<fileset>/<2026-11-20T08:15:30Z>   every revision, further ones of a second with .2, .3
 *   hosts/<host>/<fileset>/latest                   a link to the newest complete one
 *   ids/<64 hex digits>                             the same by id
 *
 * It is made anew when a record has been applied to the catalogue, by this process or another, and never by the clock.
 * @module
 */
import { isName } from "../base/units.js";
import type { Catalogue } from "../store/catalogue.js";
import { folderNames, type Revision, revisionOf } from "../vault/revisions.js";

/** A place above the revisions. Times are when what it lists last changed: the newest revision in it. */
export type Place =
  | { readonly kind: "folder"; readonly time: bigint; readonly places: ReadonlyMap<string, Place> }
  | { readonly kind: "link"; readonly time: bigint; readonly target: string }
  | { readonly kind: "revision"; readonly revision: Revision };

/** The current layout of a catalogue. */
export class Layout {
  readonly #catalogue: Catalogue;
  #stamp: Buffer | undefined;
  #version = 0;
  #root: Place = folderOf(new Map(), 0n);
  #known = new Map<string, Revision>();

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  /** Grows by one when the list of revisions may have changed. Looks at the catalogue, a few microseconds. */
  version(): number {
    const stamp = this.#catalogue.revisionsStamp();
    if (!this.#stamp?.equals(stamp)) {
      this.#make();
      this.#stamp = stamp;
      this.#version++;
    }
    return this.#version;
  }

  /** The place at a path of names; undefined where there is none (any more). As of the last call of `version`. */
  at(path: readonly string[]): Place | undefined {
    let place: Place | undefined = this.#root;
    for (const name of path) place = place?.kind === "folder" ? place.places.get(name) : undefined;
    return place;
  }

  #make(): void {
    const known = new Map<string, Revision>();
    for (const row of this.#catalogue.revisions()) {
      const id = row.id.toString("hex");
      known.set(id, this.#known.get(id) ?? revisionOf(row));
    }
    this.#known = known;
    const ids = new Map<string, Place>();
    for (const [id, revision] of known) ids.set(id, { kind: "revision", revision });
    const revisions = [...known.values()];
    const top = new Map<string, Place>([
      ["hosts", hostsOf(revisions)],
      ["ids", folderOf(ids, newest(revisions))],
    ]);
    this.#root = folderOf(top, newest(revisions));
  }
}

function hostsOf(revisions: readonly Revision[]): Place {
  const hosts = new Map<string, Place>();
  // A name that is none can only come from a device gone wrong; by its id the revision is still there.
  const named = revisions.filter(({ host, filesetName }) => isName(host) && isName(filesetName));
  for (const [host, ofHost] of groups(named, (revision) => revision.host)) {
    const filesets = new Map<string, Place>();
    for (const [name, ofFileset] of groups(ofHost, (revision) => revision.filesetName))
      filesets.set(name, filesetOf(ofFileset));
    hosts.set(host, folderOf(filesets, newest(ofHost)));
  }
  return folderOf(hosts, newest(named));
}

function filesetOf(revisions: readonly Revision[]): Place {
  const places = new Map<string, Place>();
  let latest: Place | undefined;
  for (const [name, revision] of folderNames(revisions)) {
    places.set(name, { kind: "revision", revision });
    if (revision.complete) latest = { kind: "link", time: revision.time, target: name };
  }
  if (latest) places.set("latest", latest);
  return folderOf(places, newest(revisions));
}

function folderOf(places: ReadonlyMap<string, Place>, time: bigint): Place {
  const sorted = [...places].sort(([a], [b]) => (a < b ? -1 : 1));
  return { kind: "folder", time, places: new Map(sorted) };
}

function groups(revisions: readonly Revision[], keyOf: (revision: Revision) => string): Map<string, Revision[]> {
  const found = new Map<string, Revision[]>();
  for (const revision of revisions) {
    const key = keyOf(revision);
    const group = found.get(key);
    if (group) group.push(revision);
    else found.set(key, [revision]);
  }
  return found;
}

function newest(revisions: readonly Revision[]): bigint {
  let time = 0n;
  for (const revision of revisions) if (revision.time > time) time = revision.time;
  return time;
}

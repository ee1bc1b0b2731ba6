/**
 * From a revision back to files: look at the target, check that all is at hand, write, put it on the disk, report.
 *
 *   target new or empty → plan (nothing missing) → tree into the target → one sync of its file system → summary
 *
 * Nothing is written before the first two are done. While the target is filled nobody else may enter it.
 * @module
 */
import { fsyncSync } from "node:fs";
import { Problem } from "../base/errors.js";
import { escapeForTerminal } from "../base/units.js";
import { native } from "../base/native.js";
import { type Entry, entryFlags } from "../format/entry.js";
import type { Vault } from "../vault/vault.js";
import type { View } from "../vault/view.js";
import { pathOf, type Place, placeOf } from "../vault/place.js";
import type { RestoreEvent, RestoreSummary } from "./events.js";
import { Pace } from "../base/pace.js";
import { planRestore } from "./plan.js";
import { checkTarget, openTarget, type Target } from "./target.js";
import { TreeWriter } from "./write.js";

export interface RestoreOptions {
  /** false: everything belongs to whoever restores */
  readonly includeOwner: boolean;
  /** calls the restore off; what was written stays */
  readonly signal?: AbortSignal;
}

/**
 * Restore a revision, or what is at `from` in it, into a folder that is new or empty.
 * @param from components of a path in the revision: a folder's contents, or a single entry, go straight into the
 *   target, and the target takes over the folder's attributes. Undefined: all of it, by absolute paths
 * @throws Problem "refused" (target), "not-found", "missing" (nothing was written); "no-space", "io", "interrupted"
 *   (some was); and after all that could be restored was, "damaged" or "io". The "done" event comes before those two
 */
export async function restore(
  vault: Vault,
  view: View,
  from: readonly Uint8Array[] | undefined,
  target: string,
  options: RestoreOptions,
  on: (event: RestoreEvent) => void,
): Promise<RestoreSummary> {
  const place = placeOf(from ?? []);
  const start = await startOf(view, from, place);
  checkTarget(vault.home, target);
  const planning = new Pace(vault.system, options.signal, () => {});
  const plan = await planRestore(vault, view, start, place, planning);
  on({ type: "planned", entries: plan.entries, bytes: plan.bytes });

  const opened = openTarget(vault.home, target);
  let writer: TreeWriter | undefined;
  const pace = new Pace(vault.system, options.signal, () => {
    if (writer) on({ type: "progress", entries: writer.entries, bytes: writer.bytes });
  });
  const ownAttributes = from !== undefined && start.kind === "folder";
  try {
    writer = new TreeWriter({
      view,
      folders: opened.folders,
      pace,
      includeOwner: options.includeOwner,
      temporary: Buffer.from(`.bcoopfs-${vault.system.random(8).toString("hex")}`),
      inherits: opened.close(ownAttributes),
      isFull: opened.isFull,
      on,
    });
    await fill(writer, opened, start, place, ownAttributes);
  } catch (error) {
    opened.reopen();
    throw error;
  } finally {
    opened.folders.close();
  }
  return report(writer, opened, on);
}

async function startOf(view: View, from: readonly Uint8Array[] | undefined, place: Place): Promise<Entry> {
  const start = from === undefined ? view.root : await view.resolve(from);
  const path = escapeForTerminal(pathOf(place));
  if (start === undefined) throw new Problem("not-found", `${path} is not in this revision; "bcoopfs ls" lists it`);
  if (start.flags & entryFlags.neverReadable) {
    const errno = native().errnoName(start.errno);
    throw new Problem("not-found", `${path} could not be read when this revision was saved (${errno}); try another`);
  }
  return start;
}

async function fill(
  writer: TreeWriter,
  opened: Target,
  start: Entry,
  place: Place,
  ownAttributes: boolean,
): Promise<void> {
  const { top } = opened.folders;
  if (start.kind !== "folder") await writer.entry(top, start, place);
  else await writer.contents(top, start, place);
  await writer.finish();
  await opened.sync();
  if (ownAttributes) await writer.finishFolder(top, start, place);
  else opened.reopen();
  fsyncSync(opened.folders.fd(top));
}

function report(writer: TreeWriter, opened: Target, on: (event: RestoreEvent) => void): RestoreSummary {
  const { files, folders, others, linked, bytes, leftOut, damaged, failed } = writer;
  const summary = { files, folders, others, linked, bytes, leftOut, damaged, failed };
  on({ type: "done", summary });
  const where = escapeForTerminal(opened.path);
  if (damaged > 0)
    throw new Problem(
      "damaged",
      `${counted(damaged)} could not be restored, because what was stored is damaged or not to be had now; everything else is in ${where}`,
    );
  if (failed > 0)
    throw new Problem("io", `${counted(failed)} could not be written to ${where}; everything else is there`);
  return summary;
}

function counted(n: number): string {
  return n === 1 ? "1 entry" : `${n} entries`;
}

/**
 * Before anything is touched: can all that a restore needs be had? Every id that the tree mentions must lie in a segment
 * that is here with its full length, or that somebody has who can be reached. Nothing is read but folders and lists.
 * @module
 */
import { Problem } from "../base/errors.js";
import { escapeForTerminal } from "../base/units.js";
import { type Entry, entryFlags } from "../format/entry.js";
import { Reachable } from "../store/presence.js";
import type { Vault } from "../vault/vault.js";
import { isLoss, type View } from "../vault/view.js";
import { linkKey } from "../vault/link-key.js";
import { pathOf, type Place } from "../vault/place.js";
import type { Pace } from "../base/pace.js";

/** What a restore will write. */
export interface Plan {
  readonly entries: number;
  /** of file contents, holes not counted, each file once however many names it has */
  readonly bytes: bigint;
}

const shown = 5;

/** Walk `start` and everything below it. Problem("missing") names what cannot be had. */
export async function planRestore(vault: Vault, view: View, start: Entry, place: Place, pace: Pace): Promise<Plan> {
  const planner = new Planner(vault, view, pace);
  await planner.entry(start, place);
  planner.judge();
  return planner;
}

class Planner implements Plan {
  readonly #vault: Vault;
  readonly #view: View;
  readonly #pace: Pace;
  readonly #reachable: Reachable;
  readonly #linked = new Set<string>();
  readonly #paths: string[] = [];
  #missing = 0;
  #folders = 0;
  entries = 0;
  bytes = 0n;

  constructor(vault: Vault, view: View, pace: Pace) {
    this.#vault = vault;
    this.#view = view;
    this.#pace = pace;
    this.#reachable = new Reachable(vault.store);
  }

  async entry(entry: Entry, place: Place): Promise<void> {
    this.entries++;
    if (this.#pace.due(1)) await this.#pace.rest();
    if (entry.flags & entryFlags.neverReadable) return;
    let there = true;
    for (const { value } of entry.xattrs) if (!Buffer.isBuffer(value)) there = (await this.#content(value)) && there;
    const key = linkKey(entry);
    const known = key !== undefined && this.#linked.has(key);
    if (key !== undefined) this.#linked.add(key);
    if (entry.content && !known) there = (await this.#content(entry.content, true)) && there;
    if (!there) this.#miss(entry, place);
    if (entry.kind === "folder") await this.#folder(entry, place);
  }

  async #folder(folder: Entry, place: Place): Promise<void> {
    let missing = false;
    const broken = (problem: Problem): void => {
      // What is damaged is met again, and told, when it is written; what is missing stops us here.
      missing ||= problem.code === "missing";
    };
    for await (const batch of this.#view.entryBatches(folder, undefined, broken))
      for (const entry of batch) await this.entry(entry, { above: place, name: entry.name });
    if (missing) this.#miss(folder, place);
  }

  /** Is every piece there? Lists that are damaged count as there: the file is told of when it is written. */
  async #content(content: NonNullable<Entry["content"]>, counted = false): Promise<boolean> {
    let there = true;
    try {
      for await (const piece of this.#view.pieces(content)) {
        if (piece.id === undefined) continue;
        const has = this.#has(piece.id);
        if (!(typeof has === "boolean" ? has : await has)) there = false;
        if (counted) this.bytes += piece.size;
        if (this.#pace.due(1)) await this.#pace.rest();
      }
    } catch (error) {
      if (!isLoss(error)) throw error;
      if (error.code === "missing") return false;
    }
    return there;
  }

  /** Nothing is waited for where the index says that it is here. */
  #has(id: Buffer): boolean | Promise<boolean> {
    const { catalogue, reader } = this.#vault.store;
    const place = catalogue.chunk(id);
    const segment = place && catalogue.segment(place.segment);
    const known = segment && this.#reachable.isKnown(segment);
    if (known !== undefined) return known;
    return reader.segmentOf(id).then((found) => found !== undefined && this.#reachable.has(found));
  }

  #miss(entry: Entry, place: Place): void {
    if (entry.kind === "folder") this.#folders++;
    else this.#missing++;
    const what = escapeForTerminal(pathOf(place));
    if (this.#paths.length < shown) this.#paths.push(entry.kind === "folder" ? `all below ${what}` : what);
  }

  judge(): void {
    const count = this.#missing + this.#folders;
    if (count === 0) return;
    const files = this.#missing === 1 ? "1 file" : `${this.#missing} files`;
    const folders = this.#folders === 1 ? "1 folder" : `${this.#folders} folders`;
    const what = [this.#missing > 0 ? files : "", this.#folders > 0 ? folders : ""].filter(Boolean).join(" and ");
    const rest = count > this.#paths.length ? " …" : "";
    const where =
      this.#vault.store.source === undefined ? "not in the store" : "neither here nor with a peer that can be reached";
    throw new Problem(
      "missing",
      `nothing was written: the data of ${what} is ${where} (${this.#paths.join(", ")}${rest}); run "bcoopfs check"`,
    );
  }
}

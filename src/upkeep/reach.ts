/**
 * From every revision down: is all that it mentions there? Folders and lists are read and verified, each once however
 * many revisions share it; of file contents only the index is asked.
 * @module
 */
import { Problem } from "../base/errors.js";
import type { Pace } from "../base/pace.js";
import { escapeForTerminal, formatTimeUtc } from "../base/units.js";
import { decodeList } from "../format/content.js";
import { type ContentRef, type Entry, entryFlags } from "../format/entry.js";
import type { ChunkType } from "../format/keys.js";
import { decodeTree, isGround } from "../format/tree.js";
import { hexStart } from "../store/segments.js";
import { pathOf, type Place } from "../vault/place.js";
import { type Revision, revisionOf } from "../vault/revisions.js";
import type { Vault } from "../vault/vault.js";
import { isLoss } from "../vault/view.js";
import type { Findings } from "./findings.js";
import type { Losses } from "./segments.js";

/** Walk all revisions, newest first, so that what is lost is named where it is missed most. */
export async function checkRevisions(vault: Vault, losses: Losses, pace: Pace, findings: Findings): Promise<void> {
  const rows = [...vault.store.catalogue.revisions()].reverse();
  findings.phase("revisions", rows.length);
  const walk = new Walk(vault, losses, pace, findings);
  for (const row of rows) {
    try {
      await walk.revision(revisionOf(row));
    } catch (error) {
      if (!isLoss(error)) throw error;
      findings.found("revision", hexStart(row.id), error.message);
    }
    findings.revisions++;
    findings.done++;
  }
  if (walk.far > 0)
    findings.note(
      `${walk.far === 1 ? "1 folder or list is" : `${walk.far} folders and lists are`} only on peers; what is below them was not looked at`,
    );
}

/** A chunk of a folder that is still to be read. */
interface Step {
  readonly id: Buffer;
  readonly level: number;
  readonly entries: number;
  readonly place: Place;
}

class Walk {
  readonly #vault: Vault;
  readonly #losses: Losses;
  readonly #pace: Pace;
  readonly #findings: Findings;
  /** folders and lists that have been read, as latin1; file contents are not remembered */
  readonly #seen = new Set<string>();
  #name = "";
  /** folders and lists that others have */
  far = 0;

  constructor(vault: Vault, losses: Losses, pace: Pace, findings: Findings) {
    this.#vault = vault;
    this.#losses = losses;
    this.#pace = pace;
    this.#findings = findings;
  }

  async revision(revision: Revision): Promise<void> {
    const time = `${formatTimeUtc(revision.time).slice(0, 19)}Z`;
    this.#name = `${revision.host}/${revision.filesetName}@${time}`;
    for (const [what, content] of [
      ["its user and group names", revision.names],
      ["its report", revision.report],
    ] as const) {
      const trouble = content && (await this.#content(content));
      if (trouble) this.#findings.found("revision", this.#name, `${what} cannot be had: ${trouble}`);
    }
    const steps: Step[] = [];
    await this.#entry(revision.root, undefined, steps);
    for (let step = steps.pop(); step; step = steps.pop()) {
      try {
        await this.#folder(step, steps);
      } catch (error) {
        if (!isLoss(error)) throw error;
        this.#tell("folder", step.place, `a part of this folder, and what is below, is lost: ${error.message}`);
      }
    }
  }

  #tell(what: "folder" | "file", place: Place, says: string): void {
    this.#findings.damagedPaths++;
    this.#findings.found(what, `${this.#name}:${escapeForTerminal(pathOf(place))}`, says);
  }

  async #folder(step: Step, steps: Step[]): Promise<void> {
    const bytes = await this.#read("tree", step.id);
    if (bytes === undefined) return;
    const chunk = decodeTree(bytes);
    if (chunk.level !== step.level) throw new Problem("damaged", "its level is not what the folder above says");
    const below: Step[] = [];
    let entries = 0;
    if (isGround(chunk)) {
      entries = chunk.entries.length;
      for (const entry of chunk.entries) await this.#entry(entry, { above: step.place, name: entry.name }, below);
    } else
      for (const branch of chunk.branches) {
        entries += branch.entries;
        below.push({ id: branch.id, level: chunk.level - 1, entries: branch.entries, place: step.place });
      }
    // The last one pushed is read first: keep the order in which things were stored.
    for (const next of below.reverse()) steps.push(next);
    if (entries !== step.entries)
      throw new Problem("damaged", "it has more or fewer entries than the folder above says");
  }

  async #entry(entry: Entry, place: Place, steps: Step[]): Promise<void> {
    if (this.#pace.due(1)) await this.#pace.rest();
    if (entry.tree) steps.push({ ...entry.tree, place });
    let trouble: string | undefined;
    if (entry.content && !(entry.flags & entryFlags.neverReadable)) trouble = await this.#content(entry.content);
    for (const { value } of entry.xattrs) if (!Buffer.isBuffer(value)) trouble ??= await this.#content(value);
    if (trouble) this.#tell("file", place, trouble);
  }

  /** The first thing that is wrong with some content; undefined where all of it is there. */
  async #content({ id, level, size }: ContentRef): Promise<string | undefined> {
    if (level === 0) return this.#piece(id, size);
    try {
      const bytes = await this.#read("list", id);
      if (bytes === undefined) return undefined;
      const list = decodeList(bytes);
      if (list.level !== level) return "a list of its contents has another level than the one above says";
      let sum = 0n;
      let trouble: string | undefined;
      for (const item of list.items) {
        sum += item.size;
        if (item.id && !trouble) trouble = await this.#content({ id: item.id, level: level - 1, size: item.size });
        if (this.#pace.due(1)) await this.#pace.rest();
      }
      return trouble ?? (sum === size ? undefined : "a list of its contents does not add up to its length");
    } catch (error) {
      if (!isLoss(error)) throw error;
      return error.message;
    }
  }

  #piece(id: Buffer, size: bigint): string | undefined {
    const place = this.#vault.store.catalogue.chunk(id);
    if (place === undefined)
      return this.#losses.farUnknown ? undefined : `a chunk of it is not in the store (${hexStart(id)})`;
    const segment = this.#losses.segments.get(place.segment);
    if (segment !== undefined) {
      const name = this.#vault.store.catalogue.segment(place.segment)?.listing.name ?? id;
      return `a chunk of it is in segment ${hexStart(name)}, which ${segment}`;
    }
    if (this.#losses.chunks.has(id.toString("latin1"))) return `a chunk of it is damaged (${hexStart(id)})`;
    if (place.type !== "data" || BigInt(place.length) !== size)
      return `the index has another kind or length for a chunk of it (${hexStart(id)})`;
    return undefined;
  }

  /** A verified metadata chunk; undefined where it has been read before, or only others have it. */
  async #read(type: ChunkType, id: Buffer): Promise<Buffer | undefined> {
    const key = id.toString("latin1");
    if (this.#seen.has(key)) return undefined;
    this.#seen.add(key);
    const bytes = await this.#chunk(type, id);
    if (bytes === undefined) {
      this.far++;
      return undefined;
    }
    this.#findings.metadataChunks++;
    if (this.#pace.due(1, bytes.length)) await this.#pace.rest();
    return bytes;
  }

  /** undefined where it is not here and there is reason to believe that others have it. */
  async #chunk(type: ChunkType, id: Buffer): Promise<Buffer | undefined> {
    try {
      return await this.#vault.store.reader.chunk(type, id);
    } catch (error) {
      if (!(error instanceof Problem && error.code === "missing")) throw error;
      const place = this.#vault.store.catalogue.chunk(id);
      if (place ? this.#losses.far.has(place.segment) : this.#losses.farUnknown) return undefined;
      throw error;
    }
  }
}

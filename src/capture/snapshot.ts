/**
 * One revision of one fileset: scan → contents → frames → segment → log record → catalogue, each once and in this
 * order. When `snapshot` returns, the revision is on the disk; until then nobody sees it.
 * @module
 */
import { join } from "node:path";
import { Problem } from "../base/errors.js";
import { choice } from "../base/limits.js";
import { defaultClass, type PlacementClass } from "../format/listing.js";
import { encodeRevision, type RevisionBody } from "../format/revision.js";
import type { ContentRef, Entry } from "../format/entry.js";
import { derive } from "../format/hash.js";
import { rootsField } from "../format/revision-fields.js";
import { Splitter, splitterKeys } from "../format/split.js";
import { type Lock, lockFile } from "../store/lock.js";
import type { Session } from "../store/session.js";
import { newestOf, type Revision } from "../vault/revisions.js";
import type { Vault } from "../vault/vault.js";
import { componentsOf, MetadataCache, View } from "../vault/view.js";
import { ContentReader } from "./contents.js";
import { FileCapture } from "./file.js";
import { HeldContents } from "./held.js";
import { OwnState } from "./own.js";
import { Owners } from "./owners.js";
import type { Rules } from "./select.js";
import { Sheet, SheetWriter } from "./sheet.js";
import { type OnSnapshot, Tally } from "./tally.js";
import { type RootNode, Walk } from "./walk.js";

/** What to save. */
export interface SnapshotJob {
  /** 16 bytes */
  readonly fileset: Buffer;
  readonly name: string;
  /** real absolute paths */
  readonly roots: readonly Buffer[];
  readonly rules: Rules;
  readonly oneFileSystem: boolean;
  /** read every file, whatever its times say */
  readonly rehash: boolean;
  /** how many copies its segments want; the default class where none is given */
  readonly placement?: PlacementClass;
}

export interface SnapshotSummary {
  readonly revision: Buffer;
  readonly body: RevisionBody;
  /** bytes that the store grew by */
  readonly storedBytes: number;
  readonly seconds: number;
  /** the previous revision could not be read everywhere */
  readonly damaged: boolean;
}

/**
 * Save one fileset. @param stop when aborted, what is stored so far is kept for the next run
 * Problems: "busy" when the same fileset is running, "interrupted", "not-found" when no root is there, "no-space", "io".
 */
export async function snapshot(
  vault: Vault,
  job: SnapshotJob,
  on: OnSnapshot,
  stop: AbortSignal,
): Promise<SnapshotSummary> {
  const sheetPath = join(vault.home.stat, job.fileset.toString("hex"));
  const lock = lockFile(`${sheetPath}.lock`, false);
  if (lock === undefined)
    throw new Problem("busy", `fileset ${job.name} is being saved by another process; wait for it to end`);
  try {
    return await new Run(vault, job, on, stop, sheetPath).save();
  } finally {
    (lock satisfies Lock).close();
  }
}

class Run {
  readonly #vault: Vault;
  readonly #job: SnapshotJob;
  readonly #stop: AbortSignal;
  readonly #tally: Tally;
  readonly #owners = new Owners();
  readonly #placement: PlacementClass;
  readonly #session: Session;
  readonly #contents: ContentReader;
  readonly #sheetPath: string;
  readonly #sheet: SheetWriter;
  readonly #started: bigint;
  readonly #previous: Revision | undefined;
  #interimAt: bigint;

  constructor(vault: Vault, job: SnapshotJob, on: OnSnapshot, stop: AbortSignal, sheetPath: string) {
    this.#vault = vault;
    this.#job = job;
    this.#stop = stop;
    this.#tally = new Tally(on);
    this.#sheetPath = sheetPath;
    this.#started = vault.system.now();
    this.#interimAt = this.#started;
    this.#previous = newestOf(vault.store.catalogue, job.fileset, vault.device, false);
    this.#placement = job.placement ?? defaultClass;
    this.#session = vault.store.session(this.#placement);
    this.#contents = new ContentReader(
      this.#session,
      new Splitter(splitterKeys(vault.store.keyring.constants.splitterKey), vault.chunkAverage),
    );
    this.#sheet = new SheetWriter(sheetPath);
  }

  async save(): Promise<SnapshotSummary> {
    let finished = false;
    try {
      await this.#pause();
      const root = await this.#root();
      const body = (grown: number): RevisionBody => ({ ...draft, storedBytes: BigInt(grown) });
      const draft = this.#body(root);
      const records = await this.#session.commit((grown) => [
        { type: "revision", clear: Buffer.alloc(0), secret: encodeRevision(body(grown)) },
      ]);
      const revision = records.at(-1)?.id as Buffer;
      finished = true;
      this.#sheet.finish(revision);
      const seconds = Number(this.#vault.system.now() - this.#started) / 1e9;
      const { grown } = this.#session;
      return { revision, body: body(grown), storedBytes: grown, seconds, damaged: this.#tally.damaged };
    } catch (error) {
      if (error instanceof Problem && error.code === "interrupted") await this.#session.commit(() => []);
      throw error;
    } finally {
      if (!finished) this.#sheet.abandon();
      this.#session.close();
    }
  }

  readonly #pause = async (): Promise<void> => {
    await this.#vault.system.turn();
    if (this.#stop.aborted)
      throw new Problem("interrupted", "interrupted; what was stored is kept and the next run goes on from it");
    await this.#session.drain();
    const due = this.#interimAt + BigInt(choice.interimSeconds) * 1_000_000_000n;
    if (
      this.#session.uncommitted < choice.interimBytes &&
      (this.#session.uncommitted === 0 || this.#vault.system.now() < due)
    )
      return;
    await this.#session.commit(() => []);
    this.#interimAt = this.#vault.system.now();
  };

  /** The entry of "/", with all roots below it. */
  async #root(): Promise<Entry> {
    const { store } = this.#vault;
    const previous =
      this.#previous && new View(this.#previous.root, new MetadataCache(store.reader), this.#previous.rootHint);
    const held = new HeldContents(store, this.#session, this.#placement, previous);
    const walk = new Walk({
      rules: this.#job.rules,
      oneFileSystem: this.#job.oneFileSystem,
      own: OwnState.here(this.#vault.home),
      previous,
      before: this.#previous && Sheet.open(this.#sheetPath, this.#previous.id),
      sheet: this.#sheet,
      contents: this.#contents,
      files: new FileCapture(this.#contents, held, this.#vault.system, this.#job.rehash),
      owners: this.#owners,
      tally: this.#tally,
      markKey: derive("tree mark", store.keyring.constants.splitterKey),
      putTree: (bytes) => this.#session.put("tree", bytes).id,
      pause: this.#pause,
      lost: (problem) => this.#tally.lost(problem),
    });
    const root = await walk.revision(rootNodes(this.#job.roots), previous?.root);
    if (root === undefined || walk.rootsRead === 0)
      throw new Problem(
        "not-found",
        `nothing of fileset ${this.#job.name} could be read, so nothing was saved; mount or create its folders, or change its roots`,
      );
    return root;
  }

  #body(root: Entry): Omit<RevisionBody, "storedBytes"> {
    const tally = this.#tally;
    return {
      fileset: this.#job.fileset,
      filesetName: this.#job.name,
      host: this.#vault.host,
      started: this.#started,
      complete: tally.errors === 0,
      root,
      rootHint: root.tree && this.#session.saltOf(root.tree.id),
      files: tally.files,
      folders: tally.folders,
      others: tally.others,
      bytes: tally.bytes,
      changedFiles: tally.changedFiles,
      newBytes: tally.newBytes,
      errors: tally.errors,
      names: this.#contents.bytes(this.#owners.encode()),
      report: this.#report(),
      fields: rootsField(this.#job.roots),
    };
  }

  #report(): ContentRef | undefined {
    if (this.#tally.report.length === 0) return undefined;
    return this.#contents.bytes(Buffer.from(`${this.#tally.report.map(({ says }) => says).join("\n")}\n`));
  }
}

/** Roots as the folders that lead to them; one that lies within another is covered by it. */
export function rootNodes(roots: readonly Buffer[]): RootNode {
  interface Growing {
    isRoot: boolean;
    children: Map<string, Growing>;
  }
  const top: Growing = { isRoot: false, children: new Map() };
  for (const root of roots) {
    let node = top;
    for (const name of componentsOf(root)) {
      if (node.isRoot) break;
      const key = name.toString("latin1");
      const next = node.children.get(key) ?? { isRoot: false, children: new Map() };
      node.children.set(key, next);
      node = next;
    }
    if (!node.isRoot) {
      node.isRoot = true;
      node.children.clear();
    }
  }
  return top;
}

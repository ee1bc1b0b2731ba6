/**
 * A home whose writers die, and what must be true of it afterwards: every acknowledged revision is there and whole, an
 * unfinished one is not to be seen, the next run works, and nobody has to help.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { realSystem } from "../../src/base/system.js";
import { rootsIn } from "../../src/format/revision-fields.js";
import { allRevisions, type Revision } from "../../src/vault/revisions.js";
import { openVault, type Vault } from "../../src/vault/vault.js";
import { checkRebuilt, newHome } from "./store-home.js";
import { flawOf, treeAt, treeIn, writeTree } from "./store-tree.js";

const runs = fileURLToPath(new URL("./store-runs.js", import.meta.url));
const program = fileURLToPath(new URL("../../../bin/bcoopfs", import.meta.url));

/** How a child ended and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
  /** ids of revisions that it acknowledged */
  readonly acknowledged: readonly string[];
  readonly ms: number;
}

export interface StartOptions {
  /** put before the command, e.g. strace */
  readonly under?: readonly string[];
  /** the real program instead of several runs in one process */
  readonly real?: boolean;
  /** generations in one process */
  readonly count?: number;
}

export class KilledHome {
  readonly path: string;
  readonly folder: string;
  readonly seed: number;
  /** ids of all revisions that were ever acknowledged */
  readonly acknowledged = new Set<string>();
  readonly #verified = new Set<string>();
  /** reading the tree itself was made to fail: revisions may say that they are partial */
  partial = false;
  generation = 0;

  /**
   * @param where a folder for home and tree
   * @param options.beside the home of another, where this is to be one more fileset in it
   * @param options.tree another folder for the tree
   */
  constructor(where: string, seed: number, options: { beside?: KilledHome; tree?: string } = {}) {
    const { beside } = options;
    this.path = beside?.path ?? join(where, "home");
    this.folder = options.tree ?? join(where, "tree");
    this.seed = seed;
    if (beside === undefined) newHome(this.path);
    writeTree(this.folder, treeAt(seed, 0));
  }

  /** The real program on this home, while others go on. */
  async read(...words: string[]): Promise<{ code: number | null; said: string; value: string }> {
    const child = spawn(process.execPath, [program, ...words], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, BCOOPFS_HOME: this.path },
    });
    let value = "";
    let said = "";
    child.stdout.on("data", (piece) => {
      value += piece;
    });
    child.stderr.on("data", (piece) => {
      said += piece;
    });
    const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
    return { code, said, value };
  }

  /**
   * Run a writer to its end. @param heard is given the child and what it has said so far, from its start on and again
   * whenever it says more
   */
  async run(options: StartOptions = {}, heard: (child: ChildProcess, out: string) => void = () => {}): Promise<Ended> {
    const count = options.real ? 1 : (options.count ?? 3);
    const first = this.generation + 1;
    this.generation += count;
    let words: string[];
    if (options.real) {
      writeTree(this.folder, treeAt(this.seed, first));
      words = [process.execPath, program, "snapshot", `${this.folder}/`, "--json", "-q"];
    } else words = [process.execPath, runs, this.folder, String(this.seed), String(first), String(count)];
    words = [...(options.under ?? []), ...words];
    const began = performance.now();
    const child = spawn(words[0] as string, words.slice(1), {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, BCOOPFS_HOME: this.path },
    });
    let out = "";
    let err = "";
    heard(child, out);
    child.stdout.on("data", (piece) => {
      out += piece;
      heard(child, out);
    });
    child.stderr.on("data", (piece) => {
      err += piece;
    });
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
      child.on("close", (code, signal) => resolve([code, signal])),
    );
    const acknowledged = acknowledgedIn(out);
    for (const id of acknowledged) this.acknowledged.add(id);
    return { code, signal, out, err, acknowledged, ms: performance.now() - began };
  }

  /** Kill a writer `delayMs` after it has said this; with nothing to wait for, after its start. */
  async kill(delayMs: number, after = "", options: StartOptions = {}): Promise<Ended> {
    let set = false;
    return this.run(options, (child, out) => {
      if (set || !out.includes(after)) return;
      set = true;
      setTimeout(() => {
        try {
          process.kill(-(child.pid as number), "SIGKILL");
        } catch {
          // It has ended already.
        }
      }, delayMs);
    });
  }

  /** Open the vault as the next run would. @returns what recovery said */
  async open<T>(work: (vault: Vault) => Promise<T>): Promise<{ said: string[]; value: T }> {
    const said: string[] = [];
    const vault = await openVault(this.path, realSystem, (message) => said.push(message));
    try {
      return { said, value: await work(vault) };
    } finally {
      await vault.close();
    }
  }

  /**
   * Every acknowledged revision is there; the newest, and all that were not read before, hold one whole generation.
   * @param all read every revision again, and make the index again
   */
  async verify(all = false): Promise<string[]> {
    const { said } = await this.open(async (vault) => {
      const everything = [...allRevisions(vault.store.catalogue)];
      const ids = new Set(everything.map(idOf));
      const revisions = everything.filter(({ fields }) => rootsIn(fields)?.[0]?.toString() === this.folder);
      for (const id of this.acknowledged) assert.ok(ids.has(id), `acknowledged revision ${id} is gone`);
      for (const revision of revisions) {
        const id = idOf(revision);
        if (!all && this.#verified.has(id) && revision !== revisions.at(-1)) continue;
        const tree = await treeIn(vault, revision, this.folder);
        if (revision.complete) assert.equal(flawOf(this.seed, tree), undefined);
        else assert.ok(this.partial, "a revision is not complete");
        this.#verified.add(id);
      }
      if (all) await checkRebuilt(vault.store);
    });
    return said;
  }
}

function idOf(revision: Revision): string {
  return revision.id.toString("hex");
}

/** Ids in the whole lines of what a writer printed. */
function acknowledgedIn(out: string): string[] {
  const lines = out.split("\n").slice(0, -1);
  return lines
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { message_type: string; revision: string | null })
    .flatMap(({ message_type, revision }) => (message_type === "summary" && revision !== null ? [revision] : []));
}

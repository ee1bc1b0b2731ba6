/**
 * From what the user named to what is saved: filesets of config.toml, and paths, which are filesets of their own.
 * @module
 */
import { readFileSync, realpathSync } from "node:fs";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { didYouMean, isName } from "../base/units.js";
import { derive, hashOf } from "../format/hash.js";
import { rootsIn } from "../format/revision-fields.js";
import type { FilesetConfig } from "../vault/config.js";
import { allRevisions } from "../vault/revisions.js";
import type { Vault } from "../vault/vault.js";
import { filesetNameOfPath } from "./name.js";
import { compileRules, parseExcludeFile } from "./select.js";
import type { SnapshotJob } from "./snapshot.js";

/** The jobs for these words: none given means all enabled filesets. All words are checked before any job begins. */
export function jobsFor(vault: Vault, words: readonly string[], rehash: boolean): SnapshotJob[] {
  const config = vault.config();
  if (words.length === 0)
    return [...config.filesets.values()]
      .filter((fileset) => fileset.enabled)
      .map((fileset) => jobOf(vault, fileset, rehash));
  return words.map((word) => {
    if (word.includes("/")) return pathJob(vault, word, rehash);
    const fileset = config.filesets.get(word);
    if (fileset) return jobOf(vault, fileset, rehash);
    const near = didYouMean(word, config.filesets.keys());
    const hint = near
      ? `did you mean ${near}?`
      : isName(word)
        ? `to save a path of that name write ./${word}`
        : `to save a path write ${word}/`;
    throw new Problem("unknown-fileset", `no fileset ${word} in config.toml; ${hint}`);
  });
}

/** The real path of a root. Problem("not-found") where there is none. */
export function realRoot(path: string): Buffer {
  try {
    return realpathSync.native(path, { encoding: "buffer" });
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR")
      throw new Problem("not-found", `there is no ${path}`);
    throw systemProblem(`cannot reach ${path}`, error);
  }
}

/** The id of a fileset that config.toml gives none: by device and name, so that the history stays with the name. */
export function derivedFilesetId(vault: Vault, name: string): Buffer {
  return derive("fileset id", vault.device, Buffer.from(name)).subarray(0, 16);
}

/** The id under which this device has saved a fileset of this name before, if it has. */
export function usedFilesetId(vault: Vault, name: string): Buffer | undefined {
  let id: Buffer | undefined;
  for (const revision of allRevisions(vault.store.catalogue))
    if (revision.filesetName === name && revision.device.equals(vault.device)) id = revision.fileset;
  return id;
}

function jobOf(vault: Vault, fileset: FilesetConfig, rehash: boolean): SnapshotJob {
  const roots = fileset.roots.map(realRoot);
  return {
    fileset: fileset.id === undefined ? derivedFilesetId(vault, fileset.name) : Buffer.from(fileset.id, "hex"),
    name: fileset.name,
    roots,
    rules: compileRules({ roots, include: fileset.include, exclude: [...fileset.exclude, ...fromFile(fileset)] }),
    oneFileSystem: fileset.oneFileSystem,
    rehash,
  };
}

function fromFile({ excludeFile, name }: FilesetConfig): string[] {
  if (excludeFile === undefined) return [];
  try {
    return parseExcludeFile(readFileSync(excludeFile, "utf8"), excludeFile);
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(
      "config",
      `the exclude_file ${excludeFile} of fileset ${name} cannot be read (${errnoOf(error) ?? error})`,
    );
  }
}

function pathJob(vault: Vault, word: string, rehash: boolean): SnapshotJob {
  const root = realRoot(word);
  const hash = (bytes: Uint8Array): string => hashOf(bytes).toString("hex");
  const plain = filesetNameOfPath(root, hash);
  const configured = vault.config().filesets.get(plain);
  if (configured && configured.roots.length === 1 && realOrUndefined(configured.roots[0] as string)?.equals(root))
    return jobOf(vault, configured, rehash);
  const taken = configured !== undefined || usedForOther(vault, plain, root);
  const name = taken ? filesetNameOfPath(root, hash, true) : plain;
  const rules = compileRules({ roots: [root] });
  return {
    fileset: usedFilesetId(vault, name) ?? derivedFilesetId(vault, name),
    name,
    roots: [root],
    rules,
    oneFileSystem: false,
    rehash,
  };
}

function realOrUndefined(path: string): Buffer | undefined {
  try {
    return realRoot(path);
  } catch {
    return undefined;
  }
}

/** Has this device saved something else under this name? */
function usedForOther(vault: Vault, name: string, root: Buffer): boolean {
  let other = false;
  for (const revision of allRevisions(vault.store.catalogue)) {
    if (revision.filesetName !== name || !revision.device.equals(vault.device)) continue;
    const roots = rootsIn(revision.fields);
    other = roots !== undefined && !(roots.length === 1 && (roots[0] as Buffer).equals(root));
  }
  return other;
}

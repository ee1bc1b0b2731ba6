/**
 * From what the user named to what is saved: filesets of config.toml, and paths, which are filesets of their own.
 * @module
 */
import { lstatSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { didYouMean, escapeForTerminal, isName } from "../base/units.js";
import { derive, hashOf } from "../format/hash.js";
import { rootsIn } from "../format/revision-fields.js";
import type { FilesetConfig } from "../vault/config.js";
import { allRevisions } from "../vault/revisions.js";
import type { Vault } from "../vault/vault.js";
import { filesetNameOfPath } from "./name.js";
import { compileRules, parseExcludeFile } from "./select.js";
import type { SnapshotJob } from "./snapshot.js";

/** A job before its roots are looked at. */
export interface PlannedJob {
  readonly name: string;
  /** Problems: "not-found" and "config", which concern this fileset alone. */
  prepare(): SnapshotJob;
}

/**
 * The jobs for these words: none given means all enabled filesets, and what is given twice is saved once. All words
 * are checked before any job begins; the roots of a fileset when its turn comes, so that a disk that is missing fails
 * one fileset and not the others.
 * @param words bytes where a path is not UTF-8
 */
export function jobsFor(vault: Vault, words: readonly (string | Buffer)[], rehash: boolean): PlannedJob[] {
  const config = vault.config();
  const planned = (fileset: FilesetConfig): PlannedJob => ({
    name: fileset.name,
    prepare: () => jobOf(vault, fileset, rehash),
  });
  if (words.length === 0) return [...config.filesets.values()].filter(({ enabled }) => enabled).map(planned);
  const jobs = words.map((word) => {
    // "." and ".." can be nothing but paths.
    if (word.includes("/") || [".", ".."].includes(word.toString())) {
      const job = pathJob(vault, word, rehash);
      return { name: job.name, prepare: () => job };
    }
    const fileset = config.filesets.get(word.toString());
    if (fileset) return planned(fileset);
    const shown = shownPath(word);
    if (shown === "") throw new Problem("usage", "an empty word names nothing to save; is a variable not set?");
    const near = didYouMean(shown, config.filesets.keys());
    const hint = near
      ? `did you mean ${near}?`
      : isName(shown)
        ? `to save a path of that name write ./${shown}`
        : `to save a path write ${shown}/`;
    throw new Problem("unknown-fileset", `no fileset ${shown} in config.toml; ${hint}`);
  });
  return [...new Map(jobs.map((job) => [job.name, job])).values()];
}

/** The real path of a root. Problem("not-found") where there is none. */
export function realRoot(path: string | Buffer): Buffer {
  try {
    return realpathSync.native(path, { encoding: "buffer" });
  } catch (error) {
    if (isAbsent(error)) throw new Problem("not-found", `there is no ${shownPath(path)}`);
    throw systemProblem(`cannot reach ${shownPath(path)}`, error);
  }
}

/**
 * The real path of a root that config.toml names. One that is missing now keeps its place below the deepest folder that
 * is there: the run reports it and carries its earlier state forward. A link that leads nowhere has no such place.
 */
function configuredRoot(path: string): Buffer {
  const missing: string[] = [];
  for (let at = resolve(path); ; at = dirname(at)) {
    try {
      const real = realpathSync.native(at, { encoding: "buffer" });
      const below = missing.map((name) => Buffer.from(`/${name}`));
      return real.length === 1 && below.length > 0 ? Buffer.concat(below) : Buffer.concat([real, ...below]);
    } catch (error) {
      if (!isAbsent(error)) throw systemProblem(`cannot reach ${shownPath(path)}`, error);
      if (lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink())
        throw new Problem("not-found", `root ${shownPath(path)} is a link to what is not there; mount or mend it`);
      missing.unshift(basename(at));
    }
  }
}

function isAbsent(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === "ENOENT" || errno === "ENOTDIR";
}

function shownPath(path: string | Uint8Array): string {
  return escapeForTerminal(Buffer.from(path as string));
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
  const roots = fileset.roots.map(configuredRoot);
  const more = fileset.excludeFile === undefined ? [] : readExcludeFile(fileset.excludeFile);
  return {
    fileset: fileset.id === undefined ? derivedFilesetId(vault, fileset.name) : Buffer.from(fileset.id, "hex"),
    name: fileset.name,
    roots,
    rules: compileRules({ roots, include: fileset.include, exclude: [...fileset.exclude, ...more] }),
    oneFileSystem: fileset.oneFileSystem,
    rehash,
  };
}

/** The patterns of an exclude file. Problem("config") where it cannot be read or one of them is bad. */
export function readExcludeFile(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new Problem("config", `the exclude file ${shownPath(path)} cannot be read (${errnoOf(error) ?? error})`);
  }
  return parseExcludeFile(text, path);
}

function pathJob(vault: Vault, word: string | Buffer, rehash: boolean): SnapshotJob {
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

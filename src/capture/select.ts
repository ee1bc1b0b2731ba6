/**
 * Which entries of a walk are captured: include first, then exclude, and exclude wins. Patterns are those of
 * vault/pattern.
 *
 * - Exclude, as in .gitignore: at each folder on the way down the last matching rule decides; an excluded folder is not
 *   entered, so nothing below it can be taken back.
 * - Include, where given: only what a rule covers is captured. A rule covers what it matches and all below it; the
 *   last covering rule decides. Folders are walked where something below them may still be included.
 * - A root was named, so it is captured whatever the rules say: they decide only about what lies below it. Where roots
 *   lie within each other, a path counts from the deepest one, but `a/b` may begin at any of them.
 * @module
 */
import { Problem } from "../base/errors.js";
import type { Part, Pattern } from "../vault/pattern.js";
import { faultInPatterns, mayMatchLonger, PathParts, parsePattern, partMatches, partsMatch } from "../vault/pattern.js";

/** What `decide` says of one path. */
export interface Decision {
  readonly captured: boolean;
  /** The pattern that decided, as it was written; for what lies in a covered folder, the pattern that met the folder. */
  readonly rule?: string;
  /** The list that decided. `include` without a rule: no include pattern covers the path. */
  readonly list?: "include" | "exclude";
  /** A folder that is itself not included: walk it, and keep it only where something below it is captured. */
  readonly onTheWay?: true;
}

/** Compiled rules of one fileset. Remembers the folders of the last path, so a walk costs one step for each entry. */
export interface Rules {
  /**
   * @param path absolute source path: one `/` between names and none at the end (but for `/` itself)
   * @param isFolder a directory; false for a symbolic link to one
   */
  decide(path: Uint8Array, isFolder: boolean): Decision;
}

export interface RuleTexts {
  /** Absolute, real paths; bytes where they are not UTF-8. */
  readonly roots: readonly (string | Uint8Array)[];
  /** Absent or empty: everything is included. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
}

const slash = 0x2f;

/**
 * The patterns of an exclude file: one a line, blank lines and lines beginning with `#` left out, spaces at the end
 * dropped unless escaped (all as git reads .gitignore). Throws Problem("config") that names `fileName` and the line.
 */
export function parseExcludeFile(text: string, fileName = "exclude file"): string[] {
  const patterns: string[] = [];
  for (const [i, raw] of text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .entries()) {
    if (raw.startsWith("#")) continue;
    const line = dropTrailingSpaces(raw.endsWith("\r") ? raw.slice(0, -1) : raw);
    if (line === "") continue;
    const fault = faultInPatterns([line], "exclude");
    if (fault) throw new Problem("config", `${fileName}:${i + 1}: bad pattern ${JSON.stringify(line)}: ${fault.why}`);
    patterns.push(line);
  }
  return patterns;
}

/** Compile once, decide often. A bad pattern or a relative root is a Problem("config"). */
export function compileRules(texts: RuleTexts): Rules {
  const include = texts.include?.length ? compileList(texts.include, "include") : undefined;
  const exclude = compileList(texts.exclude ?? [], "exclude");
  const roots = texts.roots.map(toRoot);
  const path = new PathParts();
  const levels: Level[] = [topLevel(roots)]; // of "/" and of each folder above the last path
  let known = new Uint8Array(0); // the path of the deepest of them

  /** What holds for the part at `depth`, from what holds for its folder. */
  function step(above: Level, depth: number, isFolder: boolean): Level {
    const end = path.end(depth);
    const inRoot = above.roots.length > 0;
    const included = include && inRoot ? Math.max(above.included, include.lastMatch(path, depth, above, isFolder)) : -1;
    if (roots.some((root) => root.depth === depth + 1 && path.startsWith(root.bytes, end)))
      return { end, roots: [...above.roots, depth + 1], isRoot: true, excluded: -1, takenBack: -1, included };
    let excluded = above.excluded;
    let takenBack = -1;
    if (inRoot && excluded < 0) {
      const match = exclude.lastMatch(path, depth, above, isFolder);
      if (match >= 0 && exclude.isNegated(match)) takenBack = match;
      else excluded = match;
    }
    return { end, roots: above.roots, isRoot: false, excluded, takenBack, included };
  }

  function decideLevel(level: Level, depth: number, isFolder: boolean): Decision {
    if (level.isRoot) return captured;
    if (level.roots.length === 0) {
      const above = isFolder && roots.some((root) => root.depth > depth + 1 && path.isStartOf(root.bytes));
      return above ? { captured: true, onTheWay: true } : notCaptured;
    }
    if (level.excluded >= 0) return exclude.decision(level.excluded, false);
    if (include) {
      const positive = level.included >= 0 && !include.isNegated(level.included);
      if (!positive) {
        if (isFolder && include.mayMatchBelow(path, depth, level)) return onTheWay;
        return level.included >= 0 ? include.decision(level.included, false) : notIncluded;
      }
      if (level.takenBack < 0) return include.decision(level.included, true);
    }
    return level.takenBack >= 0 ? exclude.decision(level.takenBack, true) : captured;
  }

  return {
    decide(bytes, isFolder) {
      path.set(bytes);
      const depth = path.count - 1;
      levels.length = 1 + sharedFolders(levels, known, bytes, depth);
      if (depth < 0) return decideLevel(levels[0] as Level, -1, isFolder);
      if (levels.length <= depth) {
        for (let d = levels.length - 1; d < depth; d++) levels.push(step(levels[d] as Level, d, true));
        known = copyOf(bytes.subarray(0, path.end(depth - 1)));
      }
      return decideLevel(step(levels[depth] as Level, depth, isFolder), depth, isFolder);
    },
  };
}

// ---------------------------------------------------------------------------------------------- what a walk knows

/** What the rules say of one folder or file; rule numbers are places in their list, -1 for none. */
interface Level {
  /** Length of its path. */
  readonly end: number;
  /** How many parts each root at or above it has; empty outside of all roots. */
  readonly roots: readonly number[];
  readonly isRoot: boolean;
  /** The exclude rule that met it or a folder between it and its deepest root. */
  readonly excluded: number;
  /** The `!` rule of the exclude list that met it. */
  readonly takenBack: number;
  /** The last include rule that covers it. */
  readonly included: number;
}

interface Root {
  readonly bytes: Uint8Array;
  readonly depth: number;
}

const captured: Decision = { captured: true };
const notCaptured: Decision = { captured: false };
const notIncluded: Decision = { captured: false, list: "include" };
const onTheWay: Decision = { captured: true, list: "include", onTheWay: true };

function toRoot(given: string | Uint8Array): Root {
  const all = typeof given === "string" ? new TextEncoder().encode(given) : given;
  const bytes = all.length > 1 && all[all.length - 1] === slash ? all.subarray(0, -1) : all;
  if (bytes[0] !== slash) throw new Problem("config", `root ${JSON.stringify(String(given))} is not an absolute path`);
  const parts = new PathParts();
  parts.set(bytes);
  return { bytes: copyOf(bytes), depth: parts.count };
}

/** A true copy: the slice of a Buffer would share its memory, and callers reuse theirs. */
function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

function topLevel(roots: readonly Root[]): Level {
  const isRoot = roots.some((root) => root.depth === 0);
  return { end: 0, roots: isRoot ? [0] : [], isRoot, excluded: -1, takenBack: -1, included: -1 };
}

/** How many of the known folders (the top one not counted) are also folders of this path. */
function sharedFolders(levels: readonly Level[], known: Uint8Array, path: Uint8Array, depth: number): number {
  let same = 0;
  while (same < known.length && known[same] === path[same]) same++;
  let n = Math.min(levels.length - 1, depth);
  while (n > 0) {
    const end = (levels[n] as Level).end;
    if (end <= same && path[end] === slash) break;
    n--;
  }
  return Math.max(n, 0);
}

// --------------------------------------------------------------------------------------------- one list of rules

interface RuleList {
  /** The highest number of a rule that matches the path's first `depth + 1` parts, or -1. */
  lastMatch(path: PathParts, depth: number, above: Level, isFolder: boolean): number;
  /** Whether a rule without `!` that counts for more than the covering one may match something below the folder. */
  mayMatchBelow(path: PathParts, depth: number, level: Level): boolean;
  isNegated(rule: number): boolean;
  decision(rule: number, captured: boolean): Decision;
}

/**
 * Rules that are one plain name are found by its hash and rules like `*.o` by their last byte, so that hundreds of
 * them cost no more than one; the others are asked one after the other, last first.
 */
function compileList(texts: readonly string[], list: "include" | "exclude"): RuleList {
  const fault = faultInPatterns(texts, list);
  if (fault) throw new Problem("config", `${list} pattern ${JSON.stringify(texts[fault.index])}: ${fault.why}`);
  const patterns = texts.map((text) => parsePattern(text) as Pattern);
  const decisions = texts.map((rule) => [{ captured: false, rule, list } as const, { captured: true, rule, list }]);
  const byName = new Map<number, number[]>();
  const bySuffix: number[][] = Array.from({ length: 256 }, () => []);
  const others: number[] = [];
  for (const [i, { floating, parts }] of patterns.entries()) {
    const { kind, bytes } = parts[0] as Part;
    if (floating && kind === "literal") {
      const key = hashOf(bytes, 0, bytes.length);
      byName.set(key, [i, ...(byName.get(key) ?? [])]);
    } else if (floating && kind === "suffix") bySuffix[bytes[bytes.length - 1] as number]?.unshift(i);
    else others.unshift(i);
  }

  function matches(rule: number, path: PathParts, depth: number, above: Level, isFolder: boolean): boolean {
    const { foldersOnly, floating, absolute, parts } = patterns[rule] as Pattern;
    if (foldersOnly && !isFolder) return false;
    if (floating) return partMatches(parts[0] as Part, path.bytes, path.start(depth), path.end(depth));
    if (absolute) return partsMatch(parts, path, 0, depth + 1);
    for (const root of above.roots) if (partsMatch(parts, path, root, depth + 1)) return true;
    return false;
  }

  return {
    lastMatch(path, depth, above, isFolder) {
      const { bytes } = path;
      const end = path.end(depth);
      const named = byName.size > 0 ? byName.get(hashOf(bytes, path.start(depth), end)) : undefined;
      let best = -1;
      for (const rules of [named, bySuffix[bytes[end - 1] as number], others])
        for (const rule of rules ?? []) {
          if (rule <= best) break;
          if (matches(rule, path, depth, above, isFolder)) best = rule;
        }
      return best;
    },
    mayMatchBelow(path, depth, level) {
      for (let rule = patterns.length - 1; rule > level.included; rule--) {
        const { negated, floating, absolute, parts } = patterns[rule] as Pattern;
        if (negated) continue;
        if (floating) return true;
        for (const from of absolute ? [0] : level.roots) if (mayMatchLonger(parts, path, from, depth + 1)) return true;
      }
      return false;
    },
    isNegated: (rule) => patterns[rule]?.negated === true,
    decision: (rule, isCaptured) => decisions[rule]?.[isCaptured ? 1 : 0] as Decision,
  };
}

function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0;
  for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0;
  return hash;
}

/** As git does: spaces at the end go, unless the first of them is escaped. */
function dropTrailingSpaces(line: string): string {
  let end = line.length;
  for (let i = 0; i < line.length; i++) {
    if (line[i] === "\\") {
      i++;
      end = line.length;
    } else if (line[i] !== " ") end = line.length;
    else if (end === line.length) end = i;
  }
  return line.slice(0, end);
}

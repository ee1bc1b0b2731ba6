/**
 * The rules of the house: which floor may import which, which file is the one door of a dependency, and where clock
 * and chance may be touched. `findViolations` is pure: source texts in, broken rules out.
 * @module
 */
import { importsOf, type Token, tokenize } from "./imports.js";

/** Floors from below; rooms that share a line never import each other. */
export const floors: readonly (readonly string[])[] = [
  ["base"],
  ["format"],
  ["store"],
  ["vault"],
  ["capture", "recall", "mount", "upkeep", "swarm"],
  ["host"],
  ["cli"],
];

/** Who may import a dependency. A place is a file, or a folder when it ends in "/"; all are below src/. */
export interface Door {
  readonly dependency: RegExp;
  readonly places: readonly string[];
  /** Places that may `import type` only. */
  readonly types?: readonly string[];
  /** One file in all, whichever of the places it is. */
  readonly single?: boolean;
}

export const doors: readonly Door[] = [
  { dependency: /^lmdb$/, places: ["store/catalogue.ts"] },
  { dependency: /^(hyperswarm|hyperdht)$/, places: ["swarm/reach.ts"] },
  { dependency: /^protomux$/, places: ["swarm/link.ts"] },
  { dependency: /^(@noble\/[^/]+|@scure\/bip39)$/, places: ["format/"] },
  { dependency: /^commander$/, places: ["cli/main.ts"], types: ["cli/commands/", "cli/invocation.ts"] },
  { dependency: /^fuse-native$/, places: ["mount/fuse-native.ts"] },
  { dependency: /^zstd-napi$/, places: ["format/zstd.ts"] },
  { dependency: /^toml-eslint-parser$/, places: ["vault/"], single: true },
  { dependency: /^node:crypto$/, places: ["base/system.ts", "format/"] },
  { dependency: /\.node$/, places: ["base/native.ts"] },
  // What would lead past this very check.
  { dependency: /^node:module$/, places: ["base/native.ts", "format/zstd.ts", "mount/fuse-native.ts"] },
  { dependency: /^node:timers(\/promises)?$/, places: ["base/system.ts", "host/", "cli/", "mount/"] },
];

/** Clock, chance and timers reach the code as a `System`; only these places may touch the global ones. */
export const globalsAllowed: readonly string[] = ["base/system.ts", "host/", "cli/", "mount/"];

const globals: readonly { readonly name: string; readonly tokens: readonly string[] }[] = [
  { name: "Date.now", tokens: ["Date", ".", "now"] },
  { name: "new Date()", tokens: ["Date", "(", ")"] },
  { name: "Math.random", tokens: ["Math", ".", "random"] },
  { name: "performance.now", tokens: ["performance", ".", "now"] },
  { name: "process.hrtime", tokens: ["process", ".", "hrtime"] },
  { name: "crypto.getRandomValues", tokens: ["crypto", ".", "getRandomValues"] },
  { name: "crypto.randomUUID", tokens: ["crypto", ".", "randomUUID"] },
  { name: "setTimeout", tokens: ["setTimeout"] },
  { name: "setInterval", tokens: ["setInterval"] },
];

/** A file of more lines is two ideas; from `longLines` on it is only told. */
export const maxLines = 500;
export const longLines = 300;

export type Kind =
  | "floor" // an import upward or sideways
  | "place" // a file that stands on no floor, or an import that leaves src/
  | "cycle"
  | "door" // a dependency imported past its door
  | "undeclared" // imported, but not in "dependencies"
  | "unused" // in "dependencies", but imported by nothing
  | "computed" // an import whose target cannot be read
  | "global" // clock, chance or timer taken from the global object
  | "long";

export interface Violation {
  readonly kind: Kind;
  /** The offender: a path below src/, or the dependency for `unused`. */
  readonly where: string;
  readonly what: string;
}

/** The npm package or node: module that a specifier names: "@noble/hashes/blake3.js" → "@noble/hashes". */
function dependencyOf(target: string): string {
  if (target.startsWith("node:")) return target;
  return target
    .split("/")
    .slice(0, target.startsWith("@") ? 2 : 1)
    .join("/");
}

/** "store/log.ts" and "../base/bytes.js" → "base/bytes.ts"; undefined when it leaves src/. */
function resolve(from: string, target: string): string | undefined {
  const parts = from.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "..") {
      if (parts.pop() === undefined) return undefined;
    } else if (part !== ".") parts.push(part);
  }
  return parts.join("/").replace(/\.js$/, ".ts");
}

const isAt = (path: string, places: readonly string[]): boolean =>
  places.some((place) => (place.endsWith("/") ? path.startsWith(place) : path === place));

/**
 * All broken rules.
 *
 * @param files source texts by path below src/, with forward slashes: "base/errors.ts"
 * @param dependencies the names under "dependencies" in package.json
 */
export function findViolations(files: ReadonlyMap<string, string>, dependencies: readonly string[]): Violation[] {
  const found: Violation[] = [];
  const report = (kind: Kind, where: string, what: string): void => void found.push({ kind, where, what });
  const edges = new Map<string, string[]>();
  const importers = new Map<string, Set<string>>();

  for (const [path, text] of files) {
    const floor = floorOf(path);
    const targets: string[] = [];
    edges.set(path, targets);
    if (floor < 0) report("place", path, "stands in no folder of the house");
    const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
    if (lines > maxLines) report("long", path, `${lines} lines, more than ${maxLines}`);

    const tokens = tokenize(text);
    for (const { target, typeOnly, line } of importsOf(tokens)) {
      const where = `${path}:${line}`;
      if (target === undefined) {
        if (!isAt(path, ["base/native.ts"])) report("computed", where, "imports a name that is computed");
        continue;
      }
      const door = doors.find(({ dependency }) =>
        dependency.test(target.startsWith(".") ? target : dependencyOf(target)),
      );
      if (door && !isAt(path, door.places) && !(typeOnly && isAt(path, door.types ?? [])))
        report("door", where, `imports ${target}, whose door is ${door.places.join(", ")}`);
      if (target.startsWith(".")) {
        const to = resolve(path, target);
        if (to === undefined) {
          if (!/^(\.\.\/)+package\.json$/.test(target) && !door)
            report("place", where, `imports ${target}, which is not in src/`);
          continue;
        }
        if (files.has(to)) targets.push(to);
        const toFloor = floorOf(to);
        if (floor >= 0 && toFloor >= floor && roomOf(to) !== roomOf(path))
          report("floor", where, `imports ${to}, which is ${toFloor > floor ? "above" : "beside"} it`);
      } else if (!target.startsWith("node:")) {
        const dependency = dependencyOf(target);
        if (!dependencies.includes(dependency)) report("undeclared", where, `imports ${target}, not in "dependencies"`);
        importers.set(dependency, (importers.get(dependency) ?? new Set()).add(path));
      }
    }

    for (const [i, token] of tokens.entries()) {
      // The addon is loaded by createRequire or process.dlopen, so its name stands in a plain string.
      if (
        token.kind === "string" &&
        /\.node$/.test(token.text) &&
        !isAt(path, ["base/native.ts"]) &&
        !importHere(tokens, i)
      )
        report("door", `${path}:${token.line}`, `names ${token.text}: only base/native.ts loads the addon`);
      if (token.kind !== "word" || isAt(path, globalsAllowed)) continue;
      for (const { name, tokens: words } of globals)
        if (words.every((word, k) => isCode(tokens[i + k], word)) && isGlobal(tokens, i, words.length))
          report("global", `${path}:${token.line}`, `uses ${name}; take it from System`);
    }
  }

  for (const loop of loopsOf(edges)) report("cycle", loop[0]!, `imports itself: ${[...loop, loop[0]].join(" → ")}`);
  for (const door of doors.filter(({ single }) => single))
    for (const [dependency, who] of importers)
      if (door.dependency.test(dependency) && who.size > 1)
        report("door", [...who].sort()[1]!, `is a second importer of ${dependency} beside ${[...who].sort()[0]}`);
  for (const dependency of dependencies)
    if (!importers.has(dependency)) report("unused", dependency, 'stands in "dependencies", but nothing imports it');
  return found;
}

const roomOf = (path: string): string => path.split("/")[0]!;
const floorOf = (path: string): number =>
  path.includes("/") ? floors.findIndex((rooms) => rooms.includes(roomOf(path))) : -1;
const isCode = (token: Token | undefined, text: string): boolean => token?.text === text && token.kind !== "string";

/** Whether the string at `i` is the target of an import, which the doors have judged already. */
function importHere(tokens: readonly Token[], i: number): boolean {
  return (
    ["from", "import"].some((word) => isCode(tokens[i - 1], word)) ||
    ["import", "require"].some((word) => isCode(tokens[i - 2], word))
  );
}

/** Neither a member of something else (`system.setTimeout`) nor a key (`setTimeout: …`). */
function isGlobal(tokens: readonly Token[], i: number, length: number): boolean {
  if (isCode(tokens[i - 1], ".")) return isCode(tokens[i - 2], "globalThis");
  return !isCode(tokens[i + length], ":") || length > 1;
}

/** Shortest loops, until every knot of files that import each other is named. */
function loopsOf(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const loops: string[][] = [];
  const knotted = new Set<string>();
  for (const start of [...edges.keys()].sort()) {
    if (knotted.has(start)) continue;
    const cameFrom = new Map<string, string>();
    const queue = [start];
    for (let at = queue.shift(); at !== undefined && !cameFrom.has(start); at = queue.shift())
      for (const to of edges.get(at) ?? [])
        if (!cameFrom.has(to)) {
          cameFrom.set(to, at);
          queue.push(to);
        }
    if (!cameFrom.has(start)) continue;
    const loop = [start];
    for (let at = cameFrom.get(start)!; at !== start; at = cameFrom.get(at)!) loop.push(at);
    loops.push([start, ...loop.slice(1).reverse()]);
    for (const path of loop) knotted.add(path);
  }
  return loops;
}

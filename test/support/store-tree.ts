/** A small tree that changes from generation to generation, known from two numbers alone. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Entry } from "../../src/format/entry.js";
import type { Revision } from "../../src/vault/revisions.js";
import type { Vault } from "../../src/vault/vault.js";
import { componentsOf, MetadataCache, View } from "../../src/vault/view.js";
import { chances, noise } from "./store-home.js";

export type Tree = ReadonlyMap<string, Buffer>;

const names = ["a", "b", "large", "sub/c", "sub/d", "sub/deep/e", "sub/deep/f", "other/g", "other/h", "empty"];

/** What generation `generation` looks like. Some files come and go, some stay for long. */
export function treeAt(seed: number, generation: number): Tree {
  const tree = new Map<string, Buffer>([["generation", Buffer.from(`${generation}\n`)]]);
  for (const [i, name] of names.entries()) {
    const every = 1 + (i % 4);
    const version = Math.floor(generation / every);
    const chance = chances(seed * 7919 + i * 104729 + version * 31);
    if (chance(8) === 0) continue;
    const most = name === "large" ? 90_000 : name === "empty" ? 1 : 6_000;
    tree.set(name, noise(chance(most), seed, i, version));
  }
  return tree;
}

/** Make a folder hold exactly this tree; files that are right stay untouched. */
export function writeTree(folder: string, tree: Tree): void {
  mkdirSync(folder, { recursive: true });
  for (const name of names) if (!tree.has(name)) rmSync(join(folder, name), { force: true });
  for (const [name, bytes] of tree) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    if (!readOrNothing(path)?.equals(bytes)) writeFileSync(path, bytes);
  }
}

function readOrNothing(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/** The tree that a revision of `folder` holds: every file read whole. */
export async function treeIn(vault: Vault, revision: Revision, folder: string): Promise<Tree> {
  const view = new View(revision.root, new MetadataCache(vault.store.reader));
  const root = await view.resolve(componentsOf(Buffer.from(folder)));
  const tree = new Map<string, Buffer>();
  const read = async (entry: Entry, path: string): Promise<void> => {
    for await (const child of view.entries(entry)) {
      const name = path + child.name.toString();
      if (child.kind === "folder") await read(child, `${name}/`);
      else tree.set(name, await view.read(child.content, 0n, Number(child.size)));
    }
  };
  if (root) await read(root, "");
  return tree;
}

/** What is wrong with the tree of a revision; undefined where it is one generation, whole. */
export function flawOf(seed: number, found: Tree): string | undefined {
  const generation = Number(found.get("generation")?.toString() ?? Number.NaN);
  if (!Number.isInteger(generation)) return "it has no generation";
  const expected = treeAt(seed, generation);
  if ([...found.keys()].sort().join() !== [...expected.keys()].sort().join())
    return `generation ${generation} should hold ${[...expected.keys()]} and holds ${[...found.keys()]}`;
  for (const [name, bytes] of expected)
    if (!found.get(name)?.equals(bytes)) return `generation ${generation} has wrong bytes in ${name}`;
  return undefined;
}

/**
 * Which ids a chunk of metadata mentions, in order: what hints are given for, and what a mark for collection follows.
 * @module
 */
import { Problem } from "../base/errors.js";
import { decodeList } from "./content.js";
import type { Entry } from "./entry.js";
import type { ChunkType } from "./keys.js";
import { decodeTree, isGround } from "./tree.js";

/** An id that a chunk refers to, and what it is. */
export interface Mention {
  readonly type: ChunkType;
  readonly id: Buffer;
}

function typeAt(level: number): ChunkType {
  return level === 0 ? "data" : "list";
}

export function entryMentions(entry: Entry): Mention[] {
  const found: Mention[] = [];
  if (entry.content) found.push({ type: typeAt(entry.content.level), id: entry.content.id });
  if (entry.tree) found.push({ type: "tree", id: entry.tree.id });
  for (const { value } of entry.xattrs)
    if (!Buffer.isBuffer(value)) found.push({ type: typeAt(value.level), id: value.id });
  return found;
}

/** Strictly decodes the chunk; Problem("format") where it is not what its type says. */
export function mentionsOf(type: ChunkType, bytes: Uint8Array): Mention[] {
  if (type === "data" || type === "table") return [];
  if (type === "list") {
    const { level, items } = decodeList(bytes);
    return items.flatMap((item) => (item.id ? [{ type: typeAt(level - 1), id: item.id }] : []));
  }
  if (type !== "tree") throw new Problem("format", "unknown chunk type");
  const chunk = decodeTree(bytes);
  if (isGround(chunk)) return chunk.entries.flatMap(entryMentions);
  return chunk.branches.map(({ id }) => ({ type: "tree", id }));
}

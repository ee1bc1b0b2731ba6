/**
 * Which entries of a revision are names of one file. A restore links them, a mount gives them one inode number, and
 * both must agree: whoever copies from the mount takes one number for one content.
 * @module
 */
import type { Entry } from "../format/entry.js";

/**
 * What entries must share to be names of one file; undefined for a single name. Content is part of it: a file that
 * changed while its names were saved is restored as what was read under each name.
 */
export function linkKey(entry: Entry): string | undefined {
  if (entry.links < 2) return undefined;
  const content = entry.content?.id ?? entry.target ?? Buffer.alloc(0);
  return `${entry.group}:${entry.kind}:${entry.major}:${entry.minor}:${content.toString("latin1")}`;
}

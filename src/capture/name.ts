/**
 * The name of a fileset that was given as a path on the command line and so has no name of its own. The same path
 * gives the same name on every run: that is how its revisions make one history.
 * @module
 */

/** Bytes → lower-case hex digits, at least 8. */
export type HexHash = (bytes: Uint8Array) => string;

const longestName = 64;
const cutLength = 50;

/**
 * `/srv/My docs` → `srv-My-docs`: the path without its leading `/`, runs of other bytes than A-Za-z0-9._- as `-`,
 * then without what stands before the first letter or digit. `/` → `root`; a path with no letter or digit at all
 * → `path`. Where the name is longer than 64 bytes, or with `taken` (another path holds the plain name), it is cut to
 * 50 bytes + `-` + the first 8 hex digits of the path's hash.
 * @param path absolute, as realpath gives it; trailing slashes do not count
 */
export function filesetNameOfPath(path: Uint8Array, hash: HexHash, taken = false): string {
  if (path[0] !== slash) throw new Error("filesetNameOfPath wants an absolute path");
  let end = path.length;
  while (end > 1 && path[end - 1] === slash) end--;
  const plain = plainName(path.subarray(0, end));
  if (plain.length <= longestName && !taken) return plain;
  const digits = hash(path.subarray(0, end)).slice(0, 8);
  if (!/^[0-9a-f]{8}$/.test(digits)) throw new Error("filesetNameOfPath wants a hash of hex digits");
  return `${plain.slice(0, cutLength)}-${digits}`;
}

const slash = 0x2f;

function plainName(path: Uint8Array): string {
  if (path.length === 1) return "root";
  const latin1 = Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString("latin1");
  return latin1.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "") || "path";
}

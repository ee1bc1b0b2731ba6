/**
 * Where a walk through a revision stands, as a path that is only put together when somebody wants to read it.
 * @module
 */

/** A path as a chain: folders share what is above them, so a million of them cost little. Undefined is the root. */
export type Place = { readonly above: Place; readonly name: Buffer } | undefined;

/** The absolute path in the revision. */
export function pathOf(place: Place): Buffer {
  const names: Buffer[] = [];
  for (let at = place; at !== undefined; at = at.above) names.push(at.name);
  if (names.length === 0) return Buffer.from("/");
  return Buffer.concat(names.reverse().flatMap((name) => [slash, name]));
}

const slash = Buffer.from("/");

/** The chain of a path's components. */
export function placeOf(path: readonly Uint8Array[]): Place {
  let place: Place;
  for (const name of path) place = { above: place, name: Buffer.from(name) };
  return place;
}

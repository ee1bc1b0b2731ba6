/**
 * Names of users and groups, once per revision: numbers alone mean nothing on another machine.
 *
 *   users count ‖ { uid varint ‖ name text } … ‖ groups count ‖ { gid varint ‖ name text } …   ascending by number
 * @module
 */
import { Writer } from "../base/bytes.js";
import { readIfThere } from "../store/home.js";

/** number → name of the lines "name:password:number:…" of passwd(5) and group(5); the first name of a number counts. */
export function namesIn(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split("\n")) {
    const [name, , digits] = line.split(":");
    if (!name || name.length > 255 || !digits || !/^\d{1,10}$/.test(digits)) continue;
    const number = Number(digits);
    if (!names.has(number)) names.set(number, name);
  }
  return names;
}

/** The numbers that a revision uses, with the names that this machine has for them. */
export class Owners {
  readonly #uids = new Set<number>();
  readonly #gids = new Set<number>();

  see(uid: number, gid: number): void {
    this.#uids.add(uid);
    this.#gids.add(gid);
  }

  /** @param folder where passwd and group lie */
  encode(folder = "/etc"): Buffer {
    const to = new Writer(256);
    for (const [file, used] of [
      ["passwd", this.#uids],
      ["group", this.#gids],
    ] as const) {
      const names = namesIn(readIfThere(`${folder}/${file}`)?.toString("utf8") ?? "");
      const known = [...used].filter((number) => names.has(number)).sort((a, b) => a - b);
      to.varint(known.length);
      for (const number of known) to.varint(number).text(names.get(number) as string);
    }
    return to.finish();
  }
}

/** Several devices of one vault, and devices of others: homes that know each other's logs as far as a test lets them. */
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { realSystem } from "../../src/base/system.js";
import { phraseKeys } from "../../src/format/keys.js";
import type { LogUpTo } from "../../src/format/root-signed.js";
import type { SigningKey } from "../../src/format/sign.js";
import type { Catalogue } from "../../src/store/catalogue.js";
import { type Home, homeAt } from "../../src/store/home.js";
import { objectPath } from "../../src/store/objects.js";
import { segmentPath } from "../../src/store/segments.js";
import type { Store } from "../../src/store/store.js";
import type { Accepted } from "../../src/store/taking.js";
import { enrol, openCapsule } from "../../src/vault/enrol.js";
import { createVault } from "../../src/vault/vault.js";
import { noise } from "./store-home.js";

/** The entropy of a vault's phrase, by a number. */
const entropyOf = (vault: number): Buffer => noise(32, vault, 77);

/** The home of a vault's first device. */
export function firstDevice(path: string, vault = 1): Home {
  createVault(path, "first", 16 * 1024, entropyOf(vault), realSystem);
  return homeAt(path);
}

/** The home of a further device of the same vault. @param inherits logs of others that count as its own */
export function furtherDevice(of: Home, path: string, inherits: readonly LogUpTo[] = [], vault = 1): Home {
  const capsule = openCapsule(phraseKeys(entropyOf(vault)), readFileSync(join(of.capsule, "root")), []);
  enrol(path, capsule, { host: "further", inherits, serial: 1n, bootstrap: [] }, realSystem);
  return homeAt(path);
}

/** The root key of a vault, as its phrase opens it. */
export function rootOf(of: Home, vault = 1): SigningKey {
  return openCapsule(phraseKeys(entropyOf(vault)), readFileSync(join(of.capsule, "root")), []).root;
}

/** Records of one log from a number on, as one store gives them to another. */
export function give(from: Store, to: Store, log: Buffer, seq = 0n, maxBytes = 200_000): Accepted {
  return to.acceptRecords(log, from.recordsOf(log, seq, maxBytes), () => true);
}

/** Everything that one store knows of any log, to another. */
export function giveAll(from: Store, to: Store): void {
  for (const { log, seq } of from.heads())
    for (;;) {
      const next = (to.heads().find((head) => head.log.equals(log))?.seq ?? -1n) + 1n;
      if (next > seq || give(from, to, log, next).outcome !== "accepted") break;
    }
}

/** Objects that one store has and another wants, as files. How many. */
export function giveObjects(from: Store, to: Store, which: (name: Buffer) => boolean = () => true): number {
  let count = 0;
  for (const { name } of to.ledger.wanted(1e6)) {
    const at = [segmentPath(from.home, name), objectPath(from.home, name)].find(exists);
    if (at === undefined || !which(name)) continue;
    const path = objectPath(to.home, name);
    mkdirSync(dirname(path), { recursive: true });
    copyFileSync(at, path);
    to.ledger.arrived(name);
    count++;
  }
  return count;
}

function exists(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Every row of a catalogue as text, segments by name: their numbers follow from the order in which logs came. */
export function rowsByName(catalogue: Catalogue): string[] {
  const names = new Map<number, string>();
  for (const { number, listing } of catalogue.segments()) names.set(number, listing.name.toString("hex"));
  const rows: string[] = [];
  for (const { table, key, value } of catalogue.dump()) {
    const [k, v] = [key.toString("hex"), value.toString("hex")];
    if (table === "meta") {
      const text = key.toString();
      if (text !== "sum" && text !== "count:segments") rows.push(`${table} ${text} ${v}`);
    } else if (table === "chunks")
      rows.push(`${table} ${k} ${names.get(value.readUInt32LE())} ${value.subarray(4).toString("hex")}`);
    else if (table === "segments") rows.push(`${table} ${names.get(key.readUInt32BE())} ${v}`);
    else if (table === "names" || table === "salts") rows.push(`${table} ${k} ${names.get(value.readUInt32BE())}`);
    else rows.push(`${table} ${k} ${v}`);
  }
  return rows.sort();
}

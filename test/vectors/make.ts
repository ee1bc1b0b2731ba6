/**
 * Makes the vectors of the formats: node dist/test/vectors/make.js [--write]
 *
 * All that is random in them comes from fixed seeds. Without --write it only says which files would change: those of
 * a released format never may, because what it wrote must be read for ever.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { coopFiles, coopPlains } from "./coop.js";
import { cutFiles } from "./cuts.js";
import { plainFileOf, plains } from "./plain.js";
import { sealedFiles } from "./sealed.js";
import type { VectorFile } from "./shape.js";

/** Where the frozen files lie, seen from the compiled tests. */
export const folder = new URL("../../../test/vectors/", import.meta.url);

/** All that is encoded and neither sealed nor signed. */
export const allPlains = [...plains, ...coopPlains];

export function makeAll(): VectorFile[] {
  return [...allPlains.map(plainFileOf), ...sealedFiles(), ...coopFiles(), ...cutFiles()];
}

/** The text of a file as it is frozen. */
export function textOf(file: VectorFile): string {
  return `${JSON.stringify(file, null, 1)}\n`;
}

export function frozen(format: string): string | undefined {
  try {
    return readFileSync(new URL(`${format}.json`, folder), "utf8");
  } catch {
    return undefined;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const write = process.argv.includes("--write");
  for (const file of makeAll()) {
    const text = textOf(file);
    if (frozen(file.format) === text) continue;
    console.log(`${file.format}.json ${write ? "written" : "differs"}`);
    if (write) writeFileSync(new URL(`${file.format}.json`, folder), text);
  }
}

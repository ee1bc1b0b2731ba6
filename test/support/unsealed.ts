/**
 * The program with its sealing switched off, for the one question whether a search for canaries would find them if it
 * were. There is no such switch in the program: a copy of the compiled code gets another `seal` and `open`.
 */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const top = fileURLToPath(new URL("../../../", import.meta.url));

const openly = `export const nonceBytes = 24;
export const tagBytes = 16;
export const boxOverhead = nonceBytes + tagBytes;
export function seal(_key, nonce, _context, plain) {
  return Buffer.concat([nonce, plain, Buffer.alloc(tagBytes)]);
}
export function open(_key, _context, box) {
  return Buffer.from(box.subarray(nonceBytes, box.length - tagBytes));
}
`;

/** Make it in this folder, which must not exist. Returns the path of its command. */
export function unsealedProgram(folder: string): string {
  mkdirSync(join(folder, "dist"), { recursive: true });
  for (const name of ["bin", "package.json", "dist/src"])
    cpSync(join(top, name), join(folder, name), { recursive: true });
  for (const name of ["node_modules", "native"]) symlinkSync(join(top, name), join(folder, name));
  writeFileSync(join(folder, "dist/src/format/aead.js"), openly);
  return join(folder, "bin/bcoopfs");
}

/**
 * Is a catalogue's file sound? LMDB follows page numbers blindly: a damaged file may kill the process that maps it.
 * So a file that is not exactly as it was when last known good is first walked by a child process, and set aside when
 * the child does not come back well.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Home } from "./home.js";

const probeTimeoutMs = 600_000;

/** Size and change time tell whether anybody but us has touched the file since we closed it. */
function sealOf(home: Home): string {
  const stat = statSync(`${home.catalogue}/data.mdb`, { bigint: true });
  return `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}\n`;
}

/** Remember the file as good: called after the catalogue was closed in order. */
export function sealCatalogue(home: Home): void {
  try {
    writeFileSync(home.catalogueSeal, sealOf(home), { mode: 0o600 });
  } catch {
    // The next start probes, that is all.
  }
}

/** True where the file is as we left it, or where a child process could read all of it. */
export function catalogueIsSound(home: Home): boolean {
  if (!existsSync(`${home.catalogue}/data.mdb`)) return true;
  try {
    if (readFileSync(home.catalogueSeal, "utf8") === sealOf(home)) return true;
  } catch {
    // No seal: ask the child.
  }
  const child = spawnSync(
    process.execPath,
    [fileURLToPath(new URL("./probe-child.js", import.meta.url)), home.catalogue],
    {
      stdio: "ignore",
      timeout: probeTimeoutMs,
    },
  );
  return child.status === 0;
}

/** Move a damaged catalogue out of the way; the newest such copy is kept for whoever wants to look. */
export function setCatalogueAside(home: Home): string {
  const aside = `${home.catalogue}.damaged`;
  rmSync(aside, { recursive: true, force: true });
  renameSync(home.catalogue, aside);
  rmSync(home.catalogueSeal, { force: true });
  return aside;
}

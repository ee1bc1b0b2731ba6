/** The whole way: every kind of entry that a file system holds is saved, restored, and compared entry by entry. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { snapshot } from "../../src/capture/snapshot.js";
import { compileRules } from "../../src/capture/select.js";
import { restore } from "../../src/recall/restore.js";
import { check } from "../../src/upkeep/check.js";
import { findRevision } from "../../src/vault/revisions.js";
import { componentsOf } from "../../src/vault/view.js";
import { testVault, viewOf } from "../support/recall-revision.js";

const tool = (name: string): string => fileURLToPath(new URL(`../../../test/tools/${name}`, import.meta.url));

function run(name: string, ...args: string[]): string {
  const ran = spawnSync("python3", [tool(name), ...args], { encoding: "utf8", maxBuffer: 1 << 26 });
  assert.equal(ran.status, 0, `${name}: ${ran.error ?? ""}\n${ran.stdout}\n${ran.stderr}`);
  return ran.stderr;
}

test("a tree of every kind of entry comes back as it was", async (t) => {
  if (spawnSync("python3", ["--version"]).status !== 0) return t.skip("no python3");
  // In memory where there is such a place: a disk that others write to as well makes this slow.
  const it = await testVault(existsSync("/dev/shm") ? "/dev/shm" : undefined);
  try {
    const source = join(it.path, "source");
    const target = join(it.path, "target");
    run("hostile-tree", source, "--files", "60", "--seed", process.env.BCOOPFS_SEED ?? "1");
    const job = {
      fileset: Buffer.alloc(16, 7),
      name: "hostile",
      roots: [Buffer.from(source)],
      rules: compileRules({ roots: [source] }),
      oneFileSystem: false,
      rehash: false,
    };
    const { revision } = await snapshot(it.vault, job, {}, new AbortController().signal);
    const view = viewOf(it.vault, findRevision(it.vault.store.catalogue, revision.toString("hex")));
    const path = componentsOf(Buffer.from(source));
    const summary = await restore(it.vault, view, path, target, { includeOwner: true }, () => {});
    const ordinary = process.geteuid?.() !== 0;
    const left = ordinary ? ["unreadable when saved"] : [];
    assert.deepEqual([...summary.leftOut.keys()], left);
    if (ordinary) spawnSync("rm", [join(source, "modes/file-00000")]);
    t.diagnostic(run("same-tree", source, target, ...(ordinary ? ["--no-mtime"] : [])));
    const { findings, shown } = await check(it.vault, { readData: "all" }, () => {});
    assert.deepEqual([findings, shown], [0, []]);
  } finally {
    await it.end();
  }
});

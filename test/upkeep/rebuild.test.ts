/** The index made again is the index that was. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { realSystem } from "../../src/base/system.js";
import { segmentPath } from "../../src/store/segments.js";
import { check } from "../../src/upkeep/check.js";
import { rebuildIndex } from "../../src/upkeep/rebuild.js";
import { openVault } from "../../src/vault/vault.js";
import { commitRevision, file, folder, type TestVault, testVault } from "../support/recall-revision.js";

const random = realSystem.random;
let it: TestVault;

beforeEach(async () => {
  it = await testVault();
  const kept = random(70_000);
  for (let i = 0; i < 5; i++) {
    const names = Object.fromEntries(Array.from({ length: 300 }, (_, j) => [`n${j}`, file(`${j % (i + 3)}`)]));
    await commitRevision(
      it.vault,
      folder({ kept: file([kept]), [`new${i}`]: file([random(9000)]), names: folder(names) }),
      {
        fileset: i % 2 ? "docs" : "mail",
      },
    );
  }
});
afterEach(() => it.end());

const dump = (): string[] =>
  [...it.vault.store.catalogue.dump()].map(
    ({ table, key, value }) => `${table} ${key.toString("hex")} ${value.toString("hex")}`,
  );

test("rebuilt index equals the old one, row by row", async () => {
  const before = dump();
  const summary = await rebuildIndex(it.vault);
  assert.deepEqual(dump(), before);
  assert.equal(summary.revisions, 5);
  assert.equal(summary.segments, [...it.vault.store.catalogue.segments()].length);
  assert.equal(summary.chunks, before.filter((row) => row.startsWith("chunks ")).length);
  assert.deepEqual(summary.unreadable, []);
  assert.ok(summary.seconds >= 0);
});

test("the same from no catalogue at all, and again after more was written", async () => {
  const before = dump();
  await it.reopen(() => rmSync(join(it.home, "catalogue"), { recursive: true }));
  assert.deepEqual(dump(), before);
  await commitRevision(it.vault, folder({ more: file("more") }));
  const after = dump();
  await rebuildIndex(it.vault);
  assert.deepEqual(dump(), after);
});

test("a segment that cannot be read is named, and the next snapshots read everything", async () => {
  const [lost] = [...it.vault.store.catalogue.segments()];
  rmSync(segmentPath(it.vault.home, lost!.listing.name));
  for (const name of ["0707", "0707.lock"]) writeFileSync(join(it.home, "stat", name), "");
  const summary = await rebuildIndex(it.vault);
  assert.deepEqual(
    summary.unreadable.map((name) => name.toString("hex")),
    [lost!.listing.name.toString("hex")],
  );
  assert.deepEqual(readdirSync(join(it.home, "stat")), ["0707.lock"]);
  assert.equal(summary.revisions, 5);
  const { findings } = await check(it.vault, { readData: false }, () => {});
  assert.ok(findings > 0);
});

test("stat sheets stay where all segments were read", async () => {
  writeFileSync(join(it.home, "stat", "0707"), "");
  await rebuildIndex(it.vault);
  assert.ok(existsSync(join(it.home, "stat", "0707")));
});

test("not while another process uses the home", async () => {
  const other = await openVault(it.home, realSystem, () => {});
  const before = dump();
  await assert.rejects(rebuildIndex(it.vault), (error) => error instanceof Problem && error.code === "busy");
  assert.deepEqual(dump(), before);
  await other.close();
});

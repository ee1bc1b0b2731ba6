/** What the store has lost is saved again while its source is there; what it wants of its copies is said by the job. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { native } from "../../src/base/native.js";
import { importances } from "../../src/format/listing.js";
import { decodeHeader } from "../../src/format/segment.js";
import type { Vault } from "../../src/vault/vault.js";
import { folderFor, opening, randomBytesOf, save, settled, vaultAt } from "./given.js";

async function given(t: TestContext): Promise<{ src: string; vault: Vault }> {
  const top = folderFor(t);
  const src = join(top, "src");
  mkdirSync(src);
  return { src, vault: await vaultAt(t, join(top, "home")) };
}

/** Remove the segments that hold file contents. */
function loseData({ home }: Vault): number {
  let lost = 0;
  for (const name of readdirSync(home.segments, { recursive: true, encoding: "utf8" })) {
    const path = join(home.segments, name);
    if (!name.endsWith(".seg") || decodeHeader(readFileSync(path)).kind !== "data") continue;
    rmSync(path);
    lost++;
  }
  return lost;
}

test("unchanged files whose contents are lost are read again, and no others", async (t) => {
  const { src, vault } = await given(t);
  const contents: Record<string, Buffer> = {
    small: Buffer.from("one chunk"),
    large: randomBytesOf(1 << 20),
    empty: Buffer.alloc(0),
  };
  for (const [name, bytes] of Object.entries(contents)) writeFileSync(join(src, name), bytes);
  await settled();
  await save(vault, [src]);
  assert.ok(loseData(vault) > 0);
  writeFileSync(join(src, "later"), "in a segment of its own");
  await settled();
  const mended = await opening(() => save(vault, [src]));
  assert.deepEqual(mended.opened, ["large", "later", "small"]);
  for (const [name, bytes] of Object.entries(contents))
    assert.deepEqual(await mended.result.bytes(join(src, name)), bytes, name);
  assert.deepEqual((await opening(() => save(vault, [src]))).opened, []);
});

test("a job says how its segments are to be placed; what is placed worse is stored again", async (t) => {
  const { src, vault } = await given(t);
  writeFileSync(join(src, "f"), "something");
  await settled();
  const classes = (): string[] =>
    [...vault.store.catalogue.segments()].map(({ listing }) => `${listing.class.copies} ${listing.class.importance}`);
  await save(vault, [src]);
  assert.deepEqual([...new Set(classes())], [`2 ${importances.normal}`]);
  const placement = { copies: 4, minimum: 2, importance: importances.critical };
  const better = await opening(() => save(vault, [src], { placement }));
  assert.deepEqual(better.opened, ["f"]);
  assert.ok(classes().includes(`4 ${importances.critical}`));
  assert.deepEqual((await opening(() => save(vault, [src]))).opened, []);
});

test("what is read of a large file leaves the page cache, small files stay", async (t) => {
  const { src, vault } = await given(t);
  writeFileSync(join(src, "large"), randomBytesOf(20 << 20));
  writeFileSync(join(src, "small"), randomBytesOf(1 << 20));
  const addon = native();
  const { adviseDontNeed } = addon;
  const ranges: bigint[][] = [];
  addon.adviseDontNeed = (fd, offset, length) => {
    ranges.push([offset, length]);
    adviseDontNeed(fd, offset, length);
  };
  try {
    await save(vault, [src]);
  } finally {
    addon.adviseDontNeed = adviseDontNeed;
  }
  assert.deepEqual(ranges.at(-1), [0n, 0n]);
  const steps = ranges.slice(0, -1);
  assert.equal(steps.length, 2);
  let end = 0n;
  for (const [offset, length] of steps as [bigint, bigint][]) {
    assert.equal(offset, end);
    assert.ok(length >= 8n << 20n && length < 10n << 20n);
    end += length;
  }
});

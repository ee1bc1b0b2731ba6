/** What a process keeps of decoded folders is bounded by entries: a walk of millions needs no more than one of thousands. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { choice } from "../../src/base/limits.js";
import { encodeTree } from "../../src/format/tree.js";
import type { ChunkReader } from "../../src/store/reader.js";
import { MetadataCache } from "../../src/vault/view.js";
import { plainFile } from "../format/given.js";

function cacheOf(entriesPerChunk: number): { cache: MetadataCache; loads: () => number } {
  let loads = 0;
  const entries = Array.from({ length: entriesPerChunk }, (_, i) => plainFile(String(i).padStart(6, "0")));
  const bytes = encodeTree({ level: 0, entries });
  const chunk = async (): Promise<Buffer> => {
    loads++;
    return bytes;
  };
  return { cache: new MetadataCache({ chunk } as unknown as ChunkReader), loads: () => loads };
}

const id = (n: number): Buffer => Buffer.alloc(32, `${n}.`);

test("what was used last stays, up to the bound", async () => {
  const { cache, loads } = cacheOf(100);
  const fit = Math.floor(choice.decodedEntries / 100);
  for (let n = 0; n < fit; n++) await cache.tree(id(n), 0);
  for (let n = 0; n < fit; n++) await cache.tree(id(n), 0);
  assert.equal(loads(), fit);
  await cache.tree(id(fit), 0);
  for (let n = 1; n <= fit; n++) await cache.tree(id(n), 0);
  assert.equal(loads(), fit + 1);
  await cache.tree(id(0), 0);
  assert.equal(loads(), fit + 2);
});

test("one chunk larger than the bound is held until the next", async () => {
  const { cache, loads } = cacheOf(choice.decodedEntries + 1);
  for (const n of [0, 0, 1, 1, 0]) await cache.tree(id(n), 0);
  assert.equal(loads(), 3);
});

test("asked for twice at once, it is counted once", async () => {
  const { cache, loads } = cacheOf(100);
  for (let n = 0; n < 3; n++) await Promise.all([cache.tree(id(n), 0), cache.tree(id(n), 0)]);
  const before = loads();
  const fit = Math.floor(choice.decodedEntries / 100);
  for (let n = 3; n < fit; n++) await cache.tree(id(n), 0);
  for (let n = 0; n < fit; n++) await cache.tree(id(n), 0);
  assert.equal(loads(), before + fit - 3);
});

/** Nothing leaves the reader whose hash is not its id: damage in any byte is told, and wrong bytes never come. */
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { realSystem } from "../../src/base/system.js";
import { ChunkReader } from "../../src/store/reader.js";
import { segmentPath } from "../../src/store/segments.js";
import type { Store } from "../../src/store/store.js";
import { chances, full, newHome, noise, seed, storeChunks, withStore, workFolder } from "../support/store-home.js";

const where = workFolder();
const home = newHome(join(where, "home"));
const chunks = [noise(4000, seed), Buffer.alloc(3000, 7), noise(1, seed), Buffer.from("text ".repeat(500))];

const is =
  (...codes: string[]) =>
  (error: unknown): boolean =>
    error instanceof Problem && codes.includes(error.code) && !error.message.includes("\n");

function freshReader(store: Store): ChunkReader {
  return new ChunkReader(home, store.keyring, store.catalogue, realSystem);
}

function fileOf(store: Store, id: Buffer): { path: string; bytes: Buffer } {
  const row = store.catalogue.segment(store.catalogue.chunk(id)?.segment as number);
  const path = segmentPath(home, row?.listing.name as Buffer);
  return { path, bytes: readFileSync(path) };
}

test("what was stored comes back, cached or not", async () => {
  await withStore(home, async (store) => {
    const ids = await storeChunks(store, "data", chunks);
    for (let round = 0; round < 2; round++)
      for (const [i, id] of ids.entries())
        assert.ok((await store.reader.chunk("data", id)).equals(chunks[i] as Buffer));
    await assert.rejects(store.reader.chunk("data", Buffer.alloc(32)), is("missing"));
    await assert.rejects(store.reader.chunk("tree", ids[0] as Buffer), is("damaged"));
  });
});

test("a changed byte anywhere in a segment is damage or does not matter, never wrong bytes", async (t) => {
  await withStore(home, async (store) => {
    const ids = await storeChunks(store, "data", chunks);
    const { path, bytes } = fileOf(store, ids[0] as Buffer);
    const row = store.catalogue.segment(store.catalogue.chunk(ids[0] as Buffer)?.segment as number);
    const last = row?.frames.at(-1);
    const end = (last?.offset ?? 0) + (last?.boxBytes ?? 0);
    const chance = chances(seed);
    let told = 0;
    for (let at = 0; at < bytes.length; at += at < end ? (full ? 1 : 1 + chance(40)) : 1 + chance(4000)) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ (1 << chance(8));
      writeFileSync(path, changed);
      const reader = freshReader(store);
      let failed = 0;
      for (const [i, id] of ids.entries())
        try {
          assert.ok((await reader.chunk("data", id)).equals(chunks[i] as Buffer), `byte ${at}`);
        } catch (error) {
          assert.ok(is("damaged")(error), `byte ${at}: ${error}`);
          failed++;
        }
      if (at < end) assert.ok(failed > 0, `byte ${at} of a frame or the header`);
      told += failed;
    }
    t.diagnostic(`${told} refusals`);
    for (const length of [0, 100, 112, 113, end - 1]) {
      writeFileSync(path, bytes.subarray(0, length));
      await assert.rejects(freshReader(store).chunk("data", ids[2] as Buffer), is("damaged"), `cut to ${length}`);
    }
    writeFileSync(path, bytes);
    assert.ok((await freshReader(store).chunk("data", ids[0] as Buffer)).equals(chunks[0] as Buffer));
  });
});

test("an index that names another place is damage that says how it is mended", async () => {
  await withStore(home, async (store) => {
    const [id] = (await storeChunks(store, "data", [noise(2000, seed, 5)])) as [Buffer];
    const place = store.catalogue.chunk(id);
    assert.ok(place);
    const wrong = [
      { ...place, offset: place.offset + 1 },
      { ...place, length: place.length - 1 },
      { ...place, length: place.length + 1 },
      { ...place, frame: place.frame + 1 },
      { ...place, segment: 999 },
      { ...place, offset: 2 ** 31 },
    ];
    for (const other of wrong) {
      store.catalogue.write(() => store.catalogue.putChunk(id, other));
      await assert.rejects(
        freshReader(store).chunk("data", id),
        (error) => is("damaged")(error) && (error as Error).message.includes("repair --rebuild-index"),
      );
    }
    await store.rebuild();
    assert.equal((await store.reader.chunk("data", id)).length, 2000);
  });
});

test("a missing segment is missing, also when it was there a moment ago", async () => {
  await withStore(home, async (store) => {
    const [id] = (await storeChunks(store, "data", [noise(2000, seed, 6)])) as [Buffer];
    await store.reader.chunk("data", id);
    const { path } = fileOf(store, id);
    rmSync(path);
    await assert.rejects(freshReader(store).chunk("data", id), is("missing"));
  });
});

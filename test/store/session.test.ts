/** A writing run: what is there is not stored again, hints are right, and before the commit nothing is to be seen. */
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { defaultClass, importances, type PlacementClass } from "../../src/format/listing.js";
import { encodeList } from "../../src/format/content.js";
import { decodeHeader, headerBytes } from "../../src/format/segment.js";
import { readObject } from "../../src/store/objects.js";
import { segmentPath } from "../../src/store/segments.js";
import { Session } from "../../src/store/session.js";
import type { Store } from "../../src/store/store.js";
import {
  checkRebuilt,
  copyHome,
  newHome,
  noise,
  rowsOf,
  runProgram,
  seed,
  segmentPaths,
  storeChunks,
  withStore,
  workFolder,
} from "../support/store-home.js";

const where = workFolder();
let homes = 0;
const fresh = (): ReturnType<typeof newHome> => newHome(join(where, `home-${homes++}`));

/** A content list that mentions one chunk. */
const list = (id: Buffer): Buffer => encodeList({ level: 1, items: [{ id, size: 40_000n }] });

function saltOnDisk(store: Store, id: Buffer): Buffer {
  const place = store.catalogue.chunk(id);
  const row = store.catalogue.segment(place?.segment as number);
  return decodeHeader(readObject(store.home, row?.listing.name as Buffer, 0, headerBytes)).salt;
}

test("a chunk is stored once, within a session and across them", async () => {
  await withStore(fresh(), async (store) => {
    const bytes = noise(9000, seed);
    const session = store.session(defaultClass);
    const one = session.put("data", bytes);
    assert.ok(one.fresh);
    assert.deepEqual(session.put("data", bytes), { id: one.id, fresh: false });
    assert.ok(session.has(one.id));
    assert.ok(!session.idOf("tree", bytes).equals(one.id), "an id is of one type");
    assert.equal(store.catalogue.chunk(one.id), undefined, "not before the commit");
    await session.commit(() => []);
    assert.equal(session.put("data", bytes).fresh, false);
    session.close();
    const files = segmentPaths(store.home).length;
    const later = store.session(defaultClass);
    assert.equal(later.put("data", bytes).fresh, false);
    await later.commit(() => []);
    later.close();
    assert.equal(segmentPaths(store.home).length, files);
    assert.ok((await store.reader.chunk("data", one.id)).equals(bytes));
    await checkRebuilt(store);
  });
});

test("what is wanted in a better place is stored again and found there", async () => {
  await withStore(fresh(), async (store) => {
    const bytes = noise(9000, seed);
    const [id] = (await storeChunks(store, "data", [bytes])) as [Buffer];
    const before = store.catalogue.chunk(id)?.segment;
    const better: PlacementClass = { copies: 3, minimum: 2, importance: importances.critical };
    for (const placement of [better, defaultClass, better]) {
      const session = store.session(placement);
      session.put("data", bytes);
      await session.commit(() => []);
      session.close();
    }
    const after = store.catalogue.chunk(id)?.segment as number;
    assert.notEqual(after, before);
    assert.deepEqual(store.catalogue.segment(after)?.listing.class, better);
    assert.ok((await store.reader.chunk("data", id)).equals(bytes));
    await checkRebuilt(store);
  });
});

test("the salt that a session tells is that of the segment in which the chunk ends", async () => {
  await withStore(fresh(), async (store) => {
    const session = store.session(defaultClass);
    const told = new Map<Buffer, Buffer>();
    for (let i = 0; i < 40; i++) {
      const soft = i % 3 === 0 ? Buffer.alloc(40_000, i) : noise(40_000, seed, i);
      const { id } = session.put("data", soft);
      told.set(id, session.saltOf(id) as Buffer);
      const above = session.put("list", list(id)).id;
      told.set(above, session.saltOf(above) as Buffer);
      if (i % 13 === 12) await session.commit(() => []);
    }
    await session.commit(() => []);
    for (const [id, salt] of told) {
      assert.ok(salt.equals(saltOnDisk(store, id)));
      assert.ok(session.saltOf(id)?.equals(salt));
    }
    assert.equal(session.saltOf(Buffer.alloc(32)), undefined);
    session.close();
  });
});

test("a session that ends without a commit leaves nothing", async () => {
  const home = fresh();
  await withStore(home, async (store) => {
    const before = rowsOf(store.catalogue);
    const session = store.session(defaultClass);
    const { id } = session.put("data", noise(700_000, seed));
    session.put("list", list(id));
    assert.ok(readdirSync(home.writers).length >= 3);
    session.close();
    assert.deepEqual(readdirSync(home.writers), []);
    assert.deepEqual(segmentPaths(home), []);
    assert.deepEqual(rowsOf(store.catalogue), before);
    await assert.rejects(
      store.reader.chunk("data", id),
      (error) => error instanceof Problem && error.code === "missing",
    );
  });
  await withStore(home, (store) => assert.equal([...store.catalogue.segments()].length, 0));
});

/** Put more than a segment holds, so that some of it is sealed. */
async function putMuch(session: Session): Promise<Buffer[]> {
  const ids: Buffer[] = [];
  for (let i = 0; i < 36; i++) {
    ids.push(session.put("data", noise(1 << 20, seed, i)).id);
    await session.drain();
  }
  return ids;
}

test("what a dead session had sealed is found by the next start, and the rest of it removed", async () => {
  const home = fresh();
  const better: PlacementClass = { copies: 5, minimum: 2, importance: importances.bulk };
  let ids: Buffer[] = [];
  const image = await withStore(home, async (store) => {
    const session = store.session(better);
    ids = await putMuch(session);
    assert.equal(segmentPaths(home).length, 1);
    // A living session is left alone by whoever starts beside it.
    const names = readdirSync(home.writers);
    assert.equal(runProgram(home, "status").status, 0);
    assert.deepEqual(readdirSync(home.writers), names);
    const copied = copyHome(home, join(where, "image"));
    session.close();
    return copied;
  });
  assert.ok(readdirSync(image.writers).length >= 2);
  const said: string[] = [];
  await withStore(
    image,
    async (store) => {
      assert.deepEqual(readdirSync(image.writers), []);
      const rows = [...store.catalogue.segments()];
      assert.deepEqual(
        rows.map(({ listing }) => listing.class),
        [better],
      );
      const found = ids.filter((id) => store.catalogue.chunk(id) !== undefined);
      assert.ok(found.length > 30 && found.length < 36);
      for (const id of found) await store.reader.chunk("data", id);
      const session = store.session(better);
      assert.equal(session.put("data", noise(1 << 20, seed, 0)).fresh, false);
      session.close();
      await checkRebuilt(store);
    },
    said,
  );
  assert.deepEqual(said, []);
});

test("a commit that fails leaves word of what was sealed", async () => {
  const home = fresh();
  let ids: Buffer[] = [];
  await withStore(home, async (store) => {
    const { keyring, system, catalogue } = store;
    const failing = {
      home,
      keyring,
      system,
      catalogue,
      holds: (number: number, wanted: PlacementClass) => store.holds(number, wanted),
      commit: () => {
        throw new Problem("io", "cannot append to the log");
      },
    };
    const session = new Session(failing, defaultClass);
    ids = [session.put("data", noise(5000, seed)).id, session.put("list", list(Buffer.alloc(32))).id];
    await assert.rejects(
      session.commit(() => []),
      (error) => error instanceof Problem && error.code === "io",
    );
    session.close();
    assert.equal(segmentPaths(home).length, 2);
    for (const id of ids) assert.equal(catalogue.chunk(id), undefined);
  });
  await withStore(home, async (store) => {
    for (const [i, id] of ids.entries()) await store.reader.chunk(i === 0 ? "data" : "list", id);
    assert.deepEqual(readdirSync(home.writers), []);
    await checkRebuilt(store);
  });
});

test("a segment that is gone gives nothing for granted: its chunks are stored again and found again", async () => {
  const home = fresh();
  await withStore(home, async (store) => {
    const chunks = [noise(5000, seed, 1), noise(5000, seed, 2)];
    const ids = await storeChunks(store, "data", chunks);
    const name = store.catalogue.segment(store.catalogue.chunk(ids[0] as Buffer)?.segment as number)?.listing.name;
    rmSync(segmentPath(home, name as Buffer));
    const session = store.session(defaultClass);
    assert.equal(session.has(ids[0] as Buffer), false);
    session.close();
    await storeChunks(store, "data", chunks);
    for (const [i, id] of ids.entries()) assert.ok((await store.reader.chunk("data", id)).equals(chunks[i] as Buffer));
  });
});

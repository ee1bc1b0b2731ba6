/** Segment files: nothing under its own name before every byte is on the disk, and every byte of it counts. */
import assert from "node:assert/strict";
import { fstatSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { realSystem } from "../../src/base/system.js";
import { hashOf } from "../../src/format/hash.js";
import { objectLength, readObject, verifyObject } from "../../src/store/objects.js";
import { hexStart, SegmentFile, segmentFiles, segmentPath } from "../../src/store/segments.js";
import { readTableOf } from "../../src/store/tables.js";
import {
  chances,
  full,
  keyringAt,
  newHome,
  noise,
  seed,
  segmentPaths,
  storeChunks,
  withStore,
  workFolder,
} from "../support/store-home.js";

const where = workFolder();
const home = newHome(join(where, "home"));

function problem(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Problem && error.code === code && !error.message.includes("\n");
}

test("written, finished, read by ranges, verified", async () => {
  const bytes = noise(200_000, seed);
  const name = hashOf(bytes);
  const file = new SegmentFile(join(home.writers, "a"), realSystem);
  assert.throws(() => new SegmentFile(join(home.writers, "a"), realSystem), problem("io"));
  for (let at = 0; at < bytes.length; at += 70_000) file.write(bytes.subarray(at, at + 70_000));
  assert.equal(objectLength(home, name), undefined);
  assert.throws(() => readObject(home, name, 0, 1), problem("missing"));
  let before = 0;
  await file.finish(home, name, () => {
    before++;
    assert.equal(objectLength(home, name), undefined);
  });
  assert.equal(before, 1);
  assert.deepEqual([...segmentFiles(home)], [name]);
  assert.equal(objectLength(home, name), bytes.length);
  assert.equal(statSync(segmentPath(home, name)).mode & 0o777, 0o600);
  assert.ok(readObject(home, name, 1000, 500).equals(bytes.subarray(1000, 1500)));
  assert.equal(readObject(home, name, bytes.length - 10, 100).length, 10);
  assert.equal(readObject(home, name, bytes.length + 10, 100).length, 0);
  verifyObject(home, name, bytes.length);
  for (const length of [0, bytes.length - 1, bytes.length + 1])
    assert.throws(() => verifyObject(home, name, length), problem("damaged"));
  file.abandon();
  assert.equal(objectLength(home, name), bytes.length);
  rmSync(segmentPath(home, name));
});

test("a segment that cannot take its name is abandoned, and no other descriptor is closed for it", async () => {
  const name = hashOf(Buffer.from("x"));
  mkdirSync(segmentPath(home, name), { recursive: true });
  const file = new SegmentFile(join(home.writers, "b"), realSystem);
  file.write(Buffer.from("x"));
  await assert.rejects(
    file.finish(home, name, () => {}),
    problem("io"),
  );
  // Numbers are given anew: one of these has the one that the file had.
  const others = Array.from({ length: 8 }, () => openSync(home.config, "r"));
  file.abandon();
  file.abandon();
  for (const fd of others) fstatSync(fd);
  assert.equal(statSync(join(home.writers, "b"), { throwIfNoEntry: false }), undefined);
  rmSync(segmentPath(home, name), { recursive: true });
});

test("every byte of a segment counts, for its name and where it is read, for its table", async () => {
  await withStore(home, (store) => storeChunks(store, "data", [noise(3000, seed), Buffer.alloc(5000, 1)]));
  const chance = chances(seed);
  const { epochs } = keyringAt(home);
  for (const path of segmentPaths(home)) {
    const bytes = readFileSync(path);
    const name = Buffer.from(path.slice(-68, -4), "hex");
    verifyObject(home, name, bytes.length);
    const { table } = readTableOf(home, name, bytes.length, epochs);
    for (let i = 0; i < (full ? 3000 : 150); i++) {
      const at = i < 112 ? i : chance(bytes.length);
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ (1 << chance(8));
      writeFileSync(path, changed);
      assert.throws(() => verifyObject(home, name, bytes.length), problem("damaged"), `byte ${at}`);
      try {
        assert.deepEqual(readTableOf(home, name, bytes.length, epochs).table, table);
      } catch (error) {
        assert.ok(error instanceof Problem, `byte ${at}: ${error}`);
      }
    }
    for (const length of [0, 50, 112, 113, bytes.length - 65_536, bytes.length - 1]) {
      writeFileSync(path, bytes.subarray(0, length));
      assert.throws(() => readTableOf(home, name, bytes.length, epochs), Problem, `cut to ${length}`);
      assert.throws(() => readTableOf(home, name, length, epochs), Problem, `cut to ${length}`);
    }
    writeFileSync(path, bytes);
  }
});

test("names for people are short", () => assert.equal(hexStart(Buffer.alloc(32, 0xab)), "abababababababab…"));

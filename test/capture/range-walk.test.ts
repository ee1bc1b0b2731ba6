/** The formats suffice for recovery: from the phrase, a capsule, a log and ranges of objects comes every file back. */
import assert from "node:assert/strict";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { realSystem } from "../../src/base/system.js";
import { openRootPart, readRootPart } from "../../src/format/capsule.js";
import { phraseKeys } from "../../src/format/keys.js";
import { homeAt } from "../../src/store/home.js";
import { segmentPath } from "../../src/store/segments.js";
import { createVault, openVault } from "../../src/vault/vault.js";
import { RangeWalk } from "../support/range-walk.js";
import { noise } from "../support/store-home.js";
import { folderFor, save, seed } from "./given.js";

test("files of the newest revision, by the log and by ranges alone", async (t) => {
  const folder = folderFor(t);
  const root = join(folder, "root");
  const entropy = realSystem.random(32);
  const home = homeAt(join(folder, "home"));
  createVault(home.path, "host", 16 * 1024, entropy, realSystem);
  mkdirSync(join(root, "a/b"), { recursive: true });
  mkdirSync(join(root, "many"));
  const files = new Map<string, Buffer>([
    ["a/b/large", noise(900_000, seed, 1)],
    ["a/b/small", Buffer.from("small\n")],
    ["a/changed", noise(50_000, seed, 2)],
    ["a/empty", Buffer.alloc(0)],
    ["many/0299", noise(3000, seed, 3)],
  ]);
  for (let i = 0; i < 300; i++) files.set(`many/${String(i).padStart(4, "0")}`, noise(200, seed, i));
  const vault = await openVault(home.path, realSystem, () => {});
  try {
    for (const [path, bytes] of files) writeFileSync(join(root, path), bytes);
    await save(vault, [root]);
    files.set("a/changed", noise(60_000, seed, 4)).set("a/new", Buffer.from("new\n"));
    for (const path of ["a/changed", "a/new"]) writeFileSync(join(root, path), files.get(path) as Buffer);
    await save(vault, [root]);
  } finally {
    await vault.close();
  }
  // What is left is what peers keep: capsule, logs, objects by name.
  for (const gone of [home.catalogue, home.vaultKey, home.deviceKey, home.stat]) rmSync(gone, { recursive: true });
  const { constants, epoch } = openRootPart(
    phraseKeys(entropy),
    readRootPart(readFileSync(join(home.capsule, "root"))),
  );
  const [log] = readdirSync(home.logs);
  const bytes = readFileSync(join(home.logs, log as string));
  let got = 0;
  const read = (name: Buffer, offset: number, length: number): Buffer => {
    const fd = openSync(segmentPath(home, name), "r");
    try {
      const range = Buffer.alloc(length);
      assert.equal(readSync(fd, range, 0, length, offset), length);
      got += length;
      return range;
    } finally {
      closeSync(fd);
    }
  };
  const above = root.split("/").slice(1);
  for (const tablesFrom of ["table objects", "footers"] as const) {
    const walk = new RangeWalk(constants, [epoch], bytes, read, tablesFrom);
    assert.equal(walk.revisions.length, 2);
    assert.ok(walk.listings.size >= 4, "both runs have data and metadata segments");
    for (const path of ["a/b/large", "a/b/small", "a/changed", "a/new", "a/empty", "many/0000", "many/0299"])
      assert.ok(
        walk.file([...above, ...path.split("/")]).equals(files.get(path) as Buffer),
        `${path} by ${tablesFrom}`,
      );
    got = 0;
    walk.file([...above, "a", "new"]);
    const stored = [...walk.listings.values()].reduce(
      (sum, { name }) => sum + statSync(segmentPath(home, name)).size,
      0,
    );
    assert.ok(got < stored / 2, `${got} of ${stored} bytes read for a file of four`);
    for (const { name, length } of walk.listings.values()) assert.equal(statSync(segmentPath(home, name)).size, length);
  }
});

/**
 * The catalogue is only an index: whatever becomes of its files, the next command makes it again, says so in one line,
 * needs nobody, loses nothing and never dies of it. Each case runs the real program.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Home, homeAt } from "../../src/store/home.js";
import {
  chances,
  checkRebuilt,
  copyHome,
  full,
  rowsOf,
  runProgram,
  seed,
  withStore,
  workFolder,
} from "../support/store-home.js";
import { KilledHome } from "../support/store-kill.js";

const page = 4096;

const where = workFolder();
mkdirSync(join(where, "first"));
const first = new KilledHome(join(where, "first"), seed);
const begun = await first.run({ count: 8 });
assert.equal(begun.code, 0, begun.err);
const whole = await withStore(homeAt(first.path), (store) => rowsOf(store.catalogue));

let copies = 0;

/** Damage a copy of the home, use it, and look whether all is as it was. Gives what the first command said. */
async function survives(damage: (data: string, home: Home) => void, why: string): Promise<string> {
  const path = join(where, `copy-${copies++}`);
  const home = copyHome(homeAt(first.path), path);
  damage(join(home.catalogue, "data.mdb"), home);
  try {
    const found = runProgram(home, "revisions", "--json");
    assert.equal(found.status, 0, `${why}: exit ${found.status} ${found.signal} ${found.err}`);
    assert.ok(found.err.split("\n").length <= 2, `${why}: ${found.err}`);
    const ids = (JSON.parse(found.out) as { id: string }[]).map(({ id }) => id);
    assert.deepEqual(ids, [...first.acknowledged], why);
    const said: string[] = [];
    await withStore(
      home,
      (store) => {
        assert.deepEqual(rowsOf(store.catalogue), whole, why);
        store.catalogue.walk();
      },
      said,
    );
    assert.deepEqual(said, [], why);
    return found.err;
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

const made = /^bcoopfs: the catalogue was (damaged|missing) and is being made again from segments and logs/;

test("a catalogue that is cut short, at any page and between", async () => {
  const { size } = statSync(join(first.path, "catalogue/data.mdb"));
  const chance = chances(seed);
  const sizes = [0, 1, page, 2 * page + 1, size >> 1, size - page];
  if (full) sizes.push(100, page - 1, page + 1, 2 * page, 3 * page, size - 1);
  if (full) for (let at = 4 * page; at < size; at += page) sizes.push(at, at + chance(page));
  for (const size of sizes) {
    const line = await survives((data) => truncateSync(data, size), `cut to ${size}`);
    // Pages at the end may be ones that nothing uses any more.
    if (size <= 3 * page || line !== "") assert.match(line, made, `cut to ${size}`);
  }
});

const cases: readonly [why: string, damage: (data: string, home: Home) => void][] = [
  ["all zeros", (data) => writeFileSync(data, Buffer.alloc(statSync(data).size))],
  ["a text", (data) => writeFileSync(data, "This was a database once.\n".repeat(1000))],
  ["noise", (data, home) => writeFileSync(data, noiseOf(statSync(data).size, home))],
  ["missing", (data) => rmSync(data)],
  ["missing, with its folder", (_, home) => rmSync(home.catalogue, { recursive: true })],
  [
    "a folder in its place",
    (data) => {
      rmSync(data);
      mkdirSync(data);
    },
  ],
  [
    "a file in the place of its folder",
    (_, home) => {
      rmSync(home.catalogue, { recursive: true });
      writeFileSync(home.catalogue, "x");
    },
  ],
  [
    "both header pages zero",
    (data) => writeFileSync(data, Buffer.concat([Buffer.alloc(2 * page), readFileSync(data).subarray(2 * page)])),
  ],
];

for (const [why, damage] of cases)
  test(`a catalogue that is ${why}`, async () => assert.match(await survives(damage, why), made));

function noiseOf(length: number, home: Home): Buffer {
  const chance = chances(home.path.length + seed);
  return Buffer.from(Uint8Array.from({ length }, () => chance(256)));
}

test("what does not matter is not told", async () => {
  assert.equal(await survives((_, home) => rmSync(join(home.catalogue, "lock.mdb")), "no lock file"), "");
  assert.equal(
    await survives((_, home) => writeFileSync(join(home.catalogue, "lock.mdb"), "x"), "a short lock file"),
    "",
  );
  assert.equal(
    await survives(
      (_, home) => writeFileSync(join(home.catalogue, "lock.mdb"), "lock\n".repeat(9000)),
      "a text as lock file",
    ),
    "",
  );
  assert.equal(await survives((_, home) => rmSync(home.catalogueSeal), "no seal"), "");
  assert.equal(await survives((_, home) => writeFileSync(home.catalogueSeal, "x"), "another seal"), "");
  assert.equal(await survives(() => {}, "a copy"), "");
});

test("flipped bytes and swapped pages, anywhere", async (t) => {
  const chance = chances(seed * 17);
  const told = { unharmed: 0, remade: 0 };
  for (let i = 0; i < (full ? 300 : 10); i++) {
    const swap = i % 4 === 3;
    const line = await survives(
      (data) => {
        const bytes = readFileSync(data);
        if (swap) {
          const pages = bytes.length / page;
          const [a, b] = [chance(pages), chance(pages)];
          const held = Buffer.from(bytes.subarray(a * page, (a + 1) * page));
          bytes.copyWithin(a * page, b * page, (b + 1) * page);
          held.copy(bytes, b * page);
        } else
          for (let flips = 1 + chance(4); flips > 0; flips--) {
            const at = chance(bytes.length);
            bytes[at] = (bytes[at] as number) ^ (1 << chance(8));
          }
        writeFileSync(data, bytes);
      },
      `${swap ? "swap" : "flip"} ${i}`,
    );
    if (line === "") told.unharmed++;
    else told.remade++;
  }
  t.diagnostic(JSON.stringify(told));
});

test("damage that nobody reads does no harm later either", async () => {
  const chance = chances(seed * 23);
  for (let i = 0; i < (full ? 60 : 2); i++) {
    const folder = join(where, `later-${i}`);
    mkdirSync(folder);
    const home = new KilledHome(folder, seed + i);
    assert.equal((await home.run({ count: 5 })).code, 0);
    const data = join(home.path, "catalogue/data.mdb");
    const bytes = readFileSync(data);
    for (let flips = 0; flips < 6; flips++) {
      const at = chance(bytes.length);
      bytes[at] = (bytes[at] as number) ^ (1 << chance(8));
    }
    writeFileSync(data, bytes);
    const more = await home.run({ count: 6 });
    assert.equal(more.code, 0, `exit ${more.code} ${more.signal} ${more.err}`);
    await home.verify(true);
    assert.deepEqual(await home.verify(true), []);
    rmSync(folder, { recursive: true });
  }
});

test("a damaged catalogue is kept aside, and the index made again is the index that was", async () => {
  const home = copyHome(homeAt(first.path), join(where, "aside"));
  truncateSync(join(home.catalogue, "data.mdb"), 5000);
  assert.match(runProgram(home, "status").err, /kept as .*catalogue\.damaged\n$/);
  assert.equal(statSync(join(home.path, "catalogue.damaged/data.mdb")).size, 5000);
  await withStore(home, checkRebuilt);
});

test("files of the home are readable by nobody else", () => {
  for (const file of ["catalogue/data.mdb", "catalogue/lock.mdb", "catalogue.seal", "lock", "vault.key", "device.key"])
    assert.equal(statSync(join(first.path, file)).mode & 0o777, 0o600, file);
  assert.equal(statSync(join(first.path, "catalogue")).mode & 0o777, 0o700);
  assert.ok(existsSync(join(first.path, "store/README")));
});

/** A full disk ends the run with one line that says what to do; what was stored reads on, and space brings it back. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { homeAt } from "../../src/store/home.js";
import { firstDevice, furtherDevice, give, giveAll, rowsByName } from "../support/store-devices.js";
import { chances, full, noise, runProgram, seed, storeChunks, withStore, workFolder } from "../support/store-home.js";
import { KilledHome } from "../support/store-kill.js";

let mounted = false;
after(() => {
  if (mounted) spawnSync("umount", [disk]);
});
const where = workFolder();
const disk = join(where, "disk");
mkdirSync(disk);
mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=20m", "tmpfs", disk]).status === 0;
const skip = mounted ? false : "a file system cannot be mounted here";

const fullLine = /^bcoopfs: [^\n]*the disk is full; free some space[^\n]*\n$/;

test("a tree that does not fit", { skip }, async () => {
  const folder = join(disk, "fits-not");
  mkdirSync(folder);
  const home = new KilledHome(folder, seed);
  assert.equal((await home.run()).code, 0);
  const large = join(where, "large");
  mkdirSync(large);
  for (let i = 0; i < 60; i++) writeFileSync(join(large, `${i}`), noise(1 << 20, seed, i));
  for (let round = 0; round < 2; round++) {
    const run = runProgram(homeAt(home.path), "snapshot", `${large}/`);
    assert.deepEqual([run.status, run.signal, run.out], [1, null, ""], run.err);
    assert.match(run.err, fullLine);
    assert.deepEqual(await home.verify(true), []);
  }
  rmSync(large, { recursive: true });
  // Nothing of the attempt is left that another run needs the room for.
  assert.equal((await home.run()).code, 0);
  assert.deepEqual(await home.verify(true), []);
  rmSync(folder, { recursive: true });
});

test("a disk that others have filled, to any degree", { skip }, async (t) => {
  const folder = join(disk, "filled");
  mkdirSync(folder);
  const home = new KilledHome(folder, seed + 1, { tree: join(where, "tree-1") });
  assert.equal((await home.run({ count: 6 })).code, 0);
  const chance = chances(seed);
  const ballast = join(disk, "ballast");
  const count = { done: 0, full: 0 };
  for (let i = 0; i < (full ? 80 : 12); i++) {
    const { bavail, bsize } = statfsSync(disk);
    const leave = [0, 4096, 8192][i] ?? chance(3 << 20);
    writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - leave)));
    const run = await home.run({ real: i % 2 === 0, count: 1 });
    if (run.code === 0) count.done++;
    else {
      count.full++;
      assert.deepEqual([run.code, run.signal], [1, null], `${leave} bytes left: ${run.err}`);
      // Where records wait for room in the catalogue, opening says so too.
      const lines = run.err.split("\n").filter((line) => line !== "");
      assert.ok(lines.length >= 1 && lines.length <= 2, run.err);
      for (const line of lines) assert.match(line, /^bcoopfs: .*the disk is full.*free some space/, run.err);
    }
    const listed = runProgram(homeAt(home.path), "revisions", "--json");
    assert.equal(listed.status, 0, `${leave} bytes left: ${listed.err}`);
    const newest = (JSON.parse(listed.out) as { id: string }[]).at(-1)?.id as string;
    assert.equal(runProgram(homeAt(home.path), "ls", newest).status, 0);
    await home.verify();
    if (i % 3 === 2) {
      rmSync(ballast);
      assert.equal((await home.run({ count: 1 })).code, 0);
      assert.deepEqual(await home.verify(true), []);
    } else rmSync(ballast);
  }
  t.diagnostic(JSON.stringify(count));
  assert.ok(count.full > 0);
  rmSync(folder, { recursive: true });
});

test("a disk without a free byte still reads, also without a lock file or seal", { skip }, async () => {
  const folder = join(disk, "reads");
  mkdirSync(folder);
  const home = new KilledHome(folder, seed + 2, { tree: join(where, "tree-2") });
  assert.equal((await home.run({ count: 3 })).code, 0);
  const at = homeAt(home.path);
  const fill = (): void => {
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(join(disk, "ballast"), Buffer.alloc(bavail * bsize));
  };
  rmSync(at.catalogueSeal);
  fill();
  const listed = runProgram(at, "revisions", "--json");
  assert.deepEqual([listed.status, listed.err], [0, ""]);
  assert.equal((JSON.parse(listed.out) as unknown[]).length, home.acknowledged.size);
  rmSync(join(disk, "ballast"));
  rmSync(join(at.catalogue, "lock.mdb"));
  fill();
  const refused = runProgram(at, "revisions");
  assert.deepEqual([refused.status, refused.signal], [1, null]);
  assert.match(refused.err, /^bcoopfs: [^\n]*is the disk full[^\n]*\n$/);
  rmSync(join(disk, "ballast"));
  assert.deepEqual(await home.verify(true), []);
});

test("a copy on a full disk reads, and whoever writes to it when there is room goes on in a new log", {
  skip,
}, async () => {
  const folder = join(disk, "copied");
  mkdirSync(folder);
  const home = firstDevice(join(where, "copied"));
  const [id] = (await withStore(home, (store) => storeChunks(store, "data", [noise(3000, seed)]))) as [Buffer];
  const copy = homeAt(join(folder, "home"));
  cpSync(home.path, copy.path, { recursive: true, preserveTimestamps: true });
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(join(disk, "ballast"), Buffer.alloc(bavail * bsize));
  const [log] = readdirSync(copy.logs) as [string];
  const before = readFileSync(join(copy.logs, log));
  const said: string[] = [];
  await withStore(
    copy,
    async (store) => {
      assert.equal(said.length, 1);
      assert.match(said[0] as string, /the disk is full/);
      assert.ok((await store.reader.chunk("data", id)).equals(noise(3000, seed)));
      assert.throws(() => store.commit([], [{ type: "note", clear: Buffer.alloc(0), secret: Buffer.from("x") }]));
      rmSync(join(disk, "ballast"));
      await storeChunks(store, "data", [noise(3000, seed, 2)]);
    },
    said,
  );
  assert.match(said.at(-1) as string, /^this home was copied/);
  assert.ok(readFileSync(join(copy.logs, log)).equals(before));
  assert.equal(readdirSync(copy.logs).length, 2);
  rmSync(folder, { recursive: true });
});

test("others' logs on a full disk: what does not fit is not taken, what is here is given, and later the rest comes", {
  skip,
}, async () => {
  const folder = join(disk, "taking");
  mkdirSync(folder);
  const one = firstDevice(join(where, "giving"));
  const home = furtherDevice(one, join(folder, "home"));
  await withStore(one, async (source) => {
    for (let i = 0; i < 40; i++) {
      const note = { type: "note", clear: Buffer.alloc(0), secret: noise(60_000, seed, i) } as const;
      source.commit([], [note]);
    }
    const [head] = source.heads() as [ReturnType<typeof source.heads>[number]];
    const { log } = head;
    const said: string[] = [];
    await withStore(
      home,
      async (store) => {
        give(source, store, log);
        const { bavail, bsize } = statfsSync(disk);
        writeFileSync(join(disk, "ballast"), Buffer.alloc(bavail * bsize - (1 << 20)));
        const seqOf = (): bigint => store.heads().find((each) => each.log.equals(log))?.seq ?? -1n;
        let refused: unknown;
        for (let rounds = 0; rounds < 40 && refused === undefined; rounds++)
          try {
            const before = seqOf();
            assert.equal(give(source, store, log, before + 1n).outcome, "accepted");
          } catch (error) {
            refused = error;
          }
        assert.ok(refused instanceof Problem && refused.code === "no-space", String(refused));
        const kept = seqOf();
        assert.ok(kept > 0n && kept < head.seq);
        assert.ok(
          store
            .recordsOf(log, 0n, 1e9)
            .every((bytes, i) => bytes.equals(source.recordsOf(log, BigInt(i), 1)[0] as Buffer)),
        );
        rmSync(join(disk, "ballast"));
        giveAll(source, store);
        assert.equal(seqOf(), head.seq);
        const before = rowsByName(store.catalogue);
        await store.rebuild();
        assert.deepEqual(rowsByName(store.catalogue), before);
      },
      said,
    );
    assert.deepEqual(said, []);
  });
  rmSync(folder, { recursive: true });
});

/** Several processes at work on one home: all that is acknowledged is there, and the index is that of the logs. */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { homeAt } from "../../src/store/home.js";
import { lockFile } from "../../src/store/lock.js";
import { allRevisions } from "../../src/vault/revisions.js";
import { chances, full, runProgram, seed, workFolder } from "../support/store-home.js";
import { KilledHome } from "../support/store-kill.js";

const where = workFolder();

test("filesets side by side, with readers, some of them killed", async (t) => {
  const chance = chances(seed);
  const folder = join(where, "side");
  mkdirSync(folder);
  const first = new KilledHome(folder, seed);
  assert.equal((await first.run({ count: 1 })).code, 0);
  const all = [first, ...[1, 2, 3].map((i) => new KilledHome(join(folder, `${i}`), seed + i, { beside: first }))];
  const count = { runs: 0, deaths: 0, reads: 0 };
  for (let round = 0; round < (full ? 25 : 3); round++) {
    const work = all.map(async (home, i) => {
      const dies = i === round % 5;
      const ended = dies ? await home.kill(100 + chance(400), "ready") : await home.run({ real: i === 3 });
      if (ended.signal === "SIGKILL") count.deaths++;
      else assert.deepEqual([ended.code, ended.err], [0, ""]);
      count.runs++;
    });
    const readers = [0, 1].map(async () => {
      const seen = new Set([...all].flatMap((home) => [...home.acknowledged]));
      const { said, value } = await first.read("revisions", "--json");
      assert.equal(said, "");
      const ids = (JSON.parse(value) as { id: string }[]).map(({ id }) => id);
      for (const id of seen) assert.ok(ids.includes(id));
      count.reads++;
    });
    await Promise.all([...work, ...readers]);
    for (const home of all) await home.verify(round % 5 === 4);
  }
  for (const home of all) assert.deepEqual(await home.verify(true), []);
  t.diagnostic(JSON.stringify(count));
});

test("the same fileset twice: the second ends at once and says why", async () => {
  const folder = join(where, "twice");
  mkdirSync(folder);
  const home = new KilledHome(folder, seed);
  assert.equal((await home.run({ count: 1 })).code, 0);
  const { value } = await home.open(async (vault) =>
    [...allRevisions(vault.store.catalogue)][0]?.fileset.toString("hex"),
  );
  const at = homeAt(home.path);
  const lock = lockFile(join(at.stat, `${value}.lock`), false);
  assert.ok(lock);
  const began = performance.now();
  const second = runProgram(at, "snapshot", `${home.folder}/`);
  assert.deepEqual([second.status, second.out], [11, ""]);
  assert.match(second.err, /^bcoopfs: fileset [^\n]* is being saved by another process[^\n]*\n$/);
  assert.ok(performance.now() - began < 10_000);
  lock.close();
  assert.equal(runProgram(at, "snapshot", `${home.folder}/`).status, 0);
});

/**
 * Kill -9 at random times: over the whole of a run, over recovery after an earlier death, and over the real program.
 * BCOOPFS_FULL=1 kills two thousand times and more.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { chances, full, seed, workFolder } from "../support/store-home.js";
import { type Ended, KilledHome } from "../support/store-kill.js";

const kills = full ? 2200 : 60;
const homes = 2;
/** deaths in one home before a new one begins */
const perHome = full ? 110 : 30;

test(`no acknowledged revision is lost in ${kills} deaths`, async (t) => {
  const where = workFolder();
  const count: Count = { deaths: 0, ended: 0, whole: 0 };
  const worker = async (number: number): Promise<void> => {
    const chance = chances(seed * 1000 + number);
    for (let round = 0; count.deaths < kills; round++) {
      const folder = join(where, `${number}-${round}`);
      mkdirSync(folder);
      await oneHome(new KilledHome(folder, seed + number * 1000 + round), chance, count);
    }
  };
  await Promise.all(Array.from({ length: homes }, (_, number) => worker(number)));
  t.diagnostic(`${count.deaths} deaths, ${count.ended} runs ended before theirs, ${count.whole} whole verifications`);
});

interface Count {
  deaths: number;
  ended: number;
  whole: number;
}

async function oneHome(home: KilledHome, chance: (below: number) => number, count: Count): Promise<void> {
  // How long the parts take: one snapshot among several, and the real program from its start.
  const marks: number[] = [];
  const measured = await home.run({ count: 4 }, (_, out) => {
    for (let n = out.split("begin").length - 1; marks.length < n; ) marks.push(performance.now());
  });
  assert.equal(measured.code, 0, measured.err);
  assert.equal(measured.acknowledged.length, 4);
  const oneMs = ((marks[3] as number) - (marks[1] as number)) / 2;
  const real = await home.run({ real: true });
  assert.equal(real.code, 0, real.err);
  for (let i = 0; i < perHome && count.deaths < kills; i++) {
    const ended = await death(home, chance, oneMs, real.ms);
    assert.equal(ended.err, "", "a run said something");
    if (ended.signal === "SIGKILL") count.deaths++;
    else {
      count.ended++;
      assert.equal(ended.code, 0);
    }
    // Not after each, so that deaths fall into the recovery from the death before.
    if (chance(4) === 0) assert.deepEqual(await home.verify(), []);
    if (chance(50) === 0) {
      await home.verify(true);
      count.whole++;
    }
  }
  const last = await home.run({ count: 1 });
  assert.equal(last.code, 0, last.err);
  assert.deepEqual(await home.verify(true), []);
  count.whole++;
}

/** Most fall into the work of a snapshot, one in five into recovery from the last one, one in ten into the real program. */
function death(home: KilledHome, chance: (below: number) => number, oneMs: number, realMs: number): Promise<Ended> {
  const kind = chance(10);
  if (kind === 0) return home.kill(chance(Math.ceil(realMs * 1.5)), "", { real: true });
  if (kind <= 2) return home.kill(chance(Math.ceil(realMs)), "ready");
  return home.kill(chance(Math.ceil(oneMs * 1000)) / 1000, `begin ${home.generation + 2 + chance(2)}\n`);
}

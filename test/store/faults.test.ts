/**
 * A system call fails, or the process dies in it: each call that a snapshot makes on its home, one at a time. Nothing
 * is acknowledged that a later run does not find, one line says what happened, and the next run goes on.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { chances, full, seed, workFolder } from "../support/store-home.js";
import { type Ended, KilledHome } from "../support/store-kill.js";
import { type Point, pointsOf, runWith, straceMissing } from "../support/store-strace.js";

const skip = straceMissing() ?? false;

/** What a call of this name may fail with. */
const errors: Readonly<Record<string, readonly string[]>> = {
  fdatasync: ["EIO", "ENOSPC"],
  fsync: ["EIO", "ENOSPC"],
  rename: ["EIO", "ENOSPC"],
  pwrite64: ["ENOSPC", "EIO"],
  pwritev: ["ENOSPC", "EIO"],
  writev: ["ENOSPC", "EIO"],
  write: ["ENOSPC", "EIO"],
  ftruncate: ["EIO"],
  mkdir: ["ENOSPC", "EMFILE"],
  unlink: ["EIO"],
  openat: ["EMFILE", "EIO", "EACCES"],
  mmap: ["ENOMEM"],
  pread64: ["EIO"],
};
const deadly = [...Object.keys(errors).filter((call) => call !== "pread64"), "close", "fcntl"];

/** A share of a list, spread over it, by the seed. */
function share<T>(all: readonly T[], count: number, chance: (below: number) => number): T[] {
  if (full || all.length <= count) return [...all];
  const step = all.length / count;
  return Array.from({ length: count }, (_, i) => all[Math.floor((i + chance(1000) / 1000) * step)] as T);
}

test("no fault is acknowledged", { skip }, async (t) => {
  const wrong: string[] = [];
  const count = { faults: 0, hit: 0, harmless: 0, crashes: 0 };
  await inTwo("faults", Object.keys(errors), async (home, points, where, half, chance) => {
    const faults = points.flatMap((point) => (errors[point.call] as string[]).map((errno) => ({ point, errno })));
    for (const [i, { point, errno }] of share(
      faults.filter((_, n) => n % 2 === half),
      18,
      chance,
    ).entries()) {
      const { ended, about } = await runWith(home, join(where, "log"), point, `error=${errno}`);
      if (about === undefined) {
        home.partial = true;
        continue;
      }
      count.faults++;
      const what = `${errno} at ${point.call} ${point.when} (${about}): exit ${ended.code} ${ended.signal} ${ended.err}`;
      if (ended.signal !== null) {
        // lmdb-js overruns its memory when a page cannot be written, and falls over where a file that was just seen to
        // open does not: nothing is lost, but the process may die of it.
        if (!about.startsWith("catalogue/")) wrong.push(what);
        count.crashes++;
      } else if (ended.code === 0) count.harmless++;
      else {
        count.hit++;
        if (!saidOnce(ended)) wrong.push(what);
      }
      await sound(home, what);
      if (i % 8 === 0) assert.equal((await home.run({ count: 1 })).code, 0, `the run after ${what}`);
    }
  });
  t.diagnostic(JSON.stringify(count));
  assert.deepEqual(wrong, []);
});

const childStopped = "bcoopfs: interrupted while the catalogue was being looked through\n";

test("no death in a system call loses anything", { skip }, async (t) => {
  let deaths = 0;
  await inTwo("deaths", deadly, async (home, points, where, half, chance) => {
    for (const point of share(
      points.filter((_, n) => n % 2 === half),
      14,
      chance,
    )) {
      const { ended } = await runWith(home, join(where, "log"), point, "signal=KILL");
      const what = `death at ${point.call} ${point.when} (${point.about})`;
      if (ended.signal === "SIGKILL" || ended.code === 137) deaths++;
      // The call may have been one of the child that looks through the catalogue: then it is the one that dies.
      else if (ended.code === 130 && ended.err === childStopped) deaths++;
      else assert.equal(ended.code, 0, `${what}: ${ended.err}`);
      if (ended.err !== childStopped) assert.equal(ended.err, "", what);
      if (chance(3) > 0) assert.deepEqual(await sound(home, what), [], what);
    }
  });
  t.diagnostic(`${deaths} deaths`);
});

type Half = (
  home: KilledHome,
  points: readonly Point[],
  where: string,
  half: number,
  chance: (below: number) => number,
) => Promise<void>;

/** Two homes side by side, each with half of the calls. */
async function inTwo(name: string, calls: readonly string[], work: Half): Promise<void> {
  const where = workFolder();
  await Promise.all(
    [0, 1].map(async (half) => {
      const folder = join(where, `${name}-${half}`);
      mkdirSync(folder);
      const home = new KilledHome(folder, seed + half);
      const chance = chances(seed * 31 + half);
      assert.equal((await home.run()).code, 0);
      const points = await pointsOf(home, folder, calls);
      assert.ok(points.length > 20);
      await work(home, points, folder, half, chance);
      assert.equal((await home.run()).code, 0);
      await home.verify(true);
    }),
  );
}

async function sound(home: KilledHome, what: string): Promise<string[]> {
  try {
    return await home.verify();
  } catch (error) {
    throw new Error(`after ${what}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

/** One line for people, and no trace of the program's inside. */
function saidOnce({ err }: Ended): boolean {
  // lmdb says something of its own before.
  return (
    /^(Write error: [^\n]*size \d+(mdb_[^\n]*\n)*)?bcoopfs: [^\n]+\n$/.test(err) && !err.includes("internal error")
  );
}

/**
 * A home that was put back to an earlier state, in part or whole: it goes on in a new log where it must, says so in one
 * line, and loses nothing that is still there.
 */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { homeAt } from "../../src/store/home.js";
import { LogFile } from "../../src/store/log.js";
import { checkRebuilt, seed, withStore, workFolder } from "../support/store-home.js";
import { KilledHome } from "../support/store-kill.js";

const where = workFolder();
let homes = 0;

/** A home with two acknowledged revisions, what to put back, and two more after that. */
async function grown(
  part: string,
): Promise<{ home: KilledHome; early: string[]; late: string[]; putBack: () => void }> {
  const folder = join(where, `home-${homes++}`);
  mkdirSync(folder);
  const home = new KilledHome(folder, seed);
  assert.equal((await home.run({ count: 2 })).code, 0);
  const early = [...home.acknowledged];
  const kept = join(folder, "kept");
  cpSync(join(home.path, part), kept, { recursive: true, preserveTimestamps: true });
  assert.equal((await home.run({ count: 2 })).code, 0);
  const late = [...home.acknowledged].filter((id) => !early.includes(id));
  const putBack = (): void => {
    rmSync(join(home.path, part), { recursive: true });
    cpSync(kept, join(home.path, part), { recursive: true, preserveTimestamps: true });
  };
  return { home, early, late, putBack };
}

const logsOf = (home: KilledHome): string[] => readdirSync(homeAt(home.path).logs).sort();

/** The next command goes on, in a new log where `logs` says so; everything still there reads, and later runs are silent. */
async function goesOn(
  home: KilledHome,
  still: readonly string[],
  said: RegExp | undefined,
  logs: number,
): Promise<void> {
  home.acknowledged.clear();
  for (const id of still) home.acknowledged.add(id);
  const first = await home.run({ real: true });
  assert.equal(first.code, 0, first.err);
  if (said === undefined) assert.equal(first.err, "");
  else assert.match(first.err, said);
  assert.equal(logsOf(home).length, logs);
  assert.deepEqual(await home.verify(true), []);
  const second = await home.run({ count: 2 });
  assert.deepEqual([second.code, second.err], [0, ""]);
  assert.equal(logsOf(home).length, logs);
  assert.deepEqual(await home.verify(true), []);
  await withStore(homeAt(home.path), checkRebuilt);
}

const restated = "(bcoopfs: \\d+ of the revisions [^\\n]* kept under new ids\\n)?$";
const putBackLine = new RegExp(
  `^bcoopfs: this home was put back to an earlier state[^\\n]*new log[^\\n]*\\n${restated}`,
);

test("old logs under a newer catalogue: a new log that goes on from the last record that is there", async () => {
  const { home, early, putBack } = await grown("logs");
  const [name] = logsOf(home) as [string];
  putBack();
  const ends = statSync(join(home.path, "logs", name)).size;
  await goesOn(home, early, putBackLine, 2);
  assert.equal(statSync(join(home.path, "logs", name)).size, ends, "the old log stays as it was");
  const added = logsOf(home).find((other) => other !== name) as string;
  const [old, fresh] = [name, added].map((one) => LogFile.open(join(home.path, "logs", one))) as [LogFile, LogFile];
  const head = old.underLock(old.first, (newest) => newest);
  assert.deepEqual(fresh.predecessor, { log: old.id, seq: head.record.seq, id: head.record.id });
  old.close();
  fresh.close();
});

test("the same twice: each time a log further", async () => {
  const { home, early, putBack } = await grown("logs");
  putBack();
  await goesOn(home, early, putBackLine, 2);
  const [name] = readdirSync(join(home.path, "logs"))
    .map((one) => ({ one, size: statSync(join(home.path, "logs", one)).size }))
    .sort((a, b) => b.size - a.size);
  const path = join(home.path, "logs", name?.one as string);
  truncateSync(path, (name?.size as number) - 1);
  const ids = [...home.acknowledged];
  const run = await home.run({ real: true });
  assert.equal(run.code, 0, run.err);
  assert.match(run.err, putBackLine);
  assert.equal(logsOf(home).length, 3);
  // Only the revision whose record was cut is gone.
  home.acknowledged.clear();
  for (const id of [...ids.filter((id) => early.includes(id)), ...run.acknowledged]) home.acknowledged.add(id);
  assert.deepEqual(await home.verify(true), []);
});

test("a flipped bit in the newest record: its revision is kept under a new id, and the damaged log beside the cut one", async () => {
  const { home, early, late } = await grown("logs");
  const [name] = logsOf(home) as [string];
  const path = join(home.path, "logs", name);
  const bytes = readFileSync(path);
  bytes[bytes.length - 5] = (bytes[bytes.length - 5] as number) ^ 4;
  writeFileSync(path, bytes);
  home.acknowledged.clear();
  for (const id of [...early, ...late.slice(0, -1)]) home.acknowledged.add(id);
  const run = await home.run({ real: true });
  assert.equal(run.code, 0, run.err);
  assert.match(run.err, /log is damaged[^\n]*1 of 1 newer revisions are kept under new ids\n$/);
  assert.ok(logsOf(home).includes(`${name}.cut-${bytes.length}`));
  assert.deepEqual(await home.verify(true), []);
  const { value } = await home.open(async (vault) => [...vault.store.catalogue.revisions()].length);
  assert.equal(value, early.length + late.length + run.acknowledged.length);
});

test("a log that was deleted", async () => {
  const { home } = await grown("logs");
  for (const name of logsOf(home)) rmSync(join(home.path, "logs", name));
  await goesOn(home, [], putBackLine, 1);
});

test("logs and catalogue deleted", async () => {
  const { home } = await grown("logs");
  for (const name of logsOf(home)) rmSync(join(home.path, "logs", name));
  rmSync(join(home.path, "catalogue"), { recursive: true });
  await goesOn(home, [], /^bcoopfs: this home had no log of this device[^\n]*\n$/, 1);
});

test("an old catalogue under newer logs is replayed, in the same log", async () => {
  const { home, early, late, putBack } = await grown("catalogue");
  putBack();
  await goesOn(home, [...early, ...late], undefined, 1);
});

const copiedLine = /^bcoopfs: this home was copied, moved or put back from a copy: it goes on in a new log\n$/;

test("a home put back whole from a copy: its mark is another file, so it goes on in a new log", async () => {
  const { home, early, putBack } = await grown("");
  putBack();
  await goesOn(home, early, copiedLine, 2);
});

test("a home put back whole with a disk image, mark and all: nothing to notice from within", async () => {
  const { home, early, putBack } = await grown("");
  putBack();
  // Only an image of the disk brings back the inode and birth time that the mark holds: here it is left anew.
  rmSync(homeAt(home.path).installed);
  await goesOn(home, early, undefined, 1);
});

test("old segments under newer logs: what is gone is missing, everything else reads, and new revisions are whole", async () => {
  const { home, early, late, putBack } = await grown("store");
  putBack();
  home.acknowledged.clear();
  for (const id of early) home.acknowledged.add(id);
  // Files that have changed are read again; those that have not are told as damage, not given wrong.
  const run = await home.run({ real: true });
  assert.ok(run.code === 0 || run.code === 3 || run.code === 21, `${run.code} ${run.err}`);
  const { value } = await home.open(async (vault) =>
    [...vault.store.catalogue.revisions()].map(({ id }) => id.toString("hex")),
  );
  for (const id of [...early, ...late]) assert.ok(value.includes(id));
});

test("what is no log is left alone", async () => {
  const { home, early, late } = await grown("logs");
  writeFileSync(join(home.path, "logs", `${"a".repeat(64)}.tmp`), "half");
  writeFileSync(join(home.path, "logs", "notes.txt"), "mine");
  await goesOn(home, [...early, ...late], undefined, 3);
});

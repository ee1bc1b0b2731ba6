/**
 * The order of writes is the protocol. Here it is read from the system calls of a real snapshot, because no death of a
 * process can show that a sync is missing: only a power cut could.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { seed, workFolder } from "../support/store-home.js";
import { KilledHome } from "../support/store-kill.js";
import { callsOf, type Call, straceMissing } from "../support/store-strace.js";

const skip = straceMissing() ?? false;
const calls = [
  "write",
  "writev",
  "pwrite64",
  "pwritev",
  "fdatasync",
  "fsync",
  "rename",
  "mkdir",
  "openat",
  "ftruncate",
];

test("segments, names, records, index, acknowledgement: each on the disk before the next begins", {
  skip,
}, async () => {
  const folder = join(workFolder(), "order");
  mkdirSync(folder);
  const home = new KilledHome(folder, seed);
  assert.equal((await home.run()).code, 0);
  const all = await callsOf(home, folder, calls);
  const find = (name: string, about: RegExp, from = 0): number =>
    all.findIndex((call, i) => i >= from && call.name === name && about.test(call.line));
  const last = (name: RegExp, about: RegExp): number =>
    all.findLastIndex((call) => name.test(call.name) && about.test(call.line));

  const log = /\/home\/logs\/[0-9a-f]{64}/;
  const committed = all.findLastIndex((call) => call.name === "pwrite64" && log.test(call.line));
  assert.ok(committed > 0);
  const renames = all.flatMap((call, i) => (call.name === "rename" && call.line.includes(".seg") ? [{ call, i }] : []));
  assert.ok(renames.length >= 2);
  for (const { call, i } of renames) {
    const [, temporary, folderOf] = /"([^"]+\.tmp)", "([^"]+)\/[^"/]+\.seg"/.exec(call.line) as RegExpExecArray;
    const written = all.findLastIndex(({ name, line }) => name === "pwrite64" && line.includes(`${temporary}>`));
    const synced = find("fdatasync", new RegExp(`${temporary}>`), written);
    assert.ok(written < synced && synced < i, "a segment's bytes are on the disk before it gets its name");
    const named = find("fsync", new RegExp(`${folderOf}>`), i);
    const above = find("fsync", /\/home\/store\/segments>/, i);
    assert.ok(i < named && named < committed, "its name is on the disk before a record lists it");
    assert.ok(i < above && above < committed, "and so is its folder's");
  }
  const recorded = find("fdatasync", log, committed);
  const index = find("fdatasync", /\/home\/catalogue\/data\.mdb/, committed);
  const indexWrite = all.findIndex(
    ({ name, line }, i) => i > committed && /write/.test(name) && line.includes("/catalogue/data.mdb"),
  );
  assert.ok(
    committed < recorded && recorded < indexWrite && indexWrite < index,
    "the record is on the disk before the index knows of it",
  );
  const meta = last(/pwrite64/, /\/home\/catalogue\/data\.mdb/);
  const told = all.findIndex((call) => call.name === "write" && /^1</.test(call.args) && call.line.includes("summary"));
  assert.ok(index < meta && meta < told, "the index is on the disk before anybody is told");
  assert.ok(isSynchronous(all, meta), "the last page of a commit is written through");
});

/** Was the file of this write opened for writing through? */
function isSynchronous(all: readonly Call[], at: number): boolean {
  const fd = /^(\d+)</.exec((all[at] as Call).args)?.[1];
  return all.some((call, i) => i < at && call.name === "openat" && call.line.includes("DSYNC") && call.result === fd);
}

/** A log is a chain that only grows: a torn end is cut, anything else that is wrong is told and left as it is. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Problem } from "../../src/base/errors.js";
import { realSystem } from "../../src/base/system.js";
import { openRecord } from "../../src/format/record.js";
import { LogFile, type StoredRecord } from "../../src/store/log.js";
import { beginLog, OwnLogs } from "../../src/store/own-logs.js";
import { keyringAt, newHome, workFolder } from "../support/store-home.js";
import { appendNote, noteAfter } from "../support/store-notes.js";

const where = workFolder();
const home = newHome(join(where, "home"));
const keyring = keyringAt(home);
const damaged = (error: unknown): boolean => error instanceof Problem && error.code === "damaged";

const original = join(home.logs, readdirSync(home.logs)[0] as string);
const ends: number[] = [];
{
  const log = LogFile.open(original);
  assert.ok(log.isNew);
  ends.push(log.start);
  for (let i = 1; i <= 4; i++) {
    appendNote(log, keyring, Buffer.from(`note ${i}`));
    ends.push(statSync(original).size);
  }
  assert.ok(!log.isNew);
  log.close();
}
const bytes = readFileSync(original);
mkdirSync(join(where, "copy"));

/** Open a log file with these bytes. */
function withLog<T>(contents: Uint8Array, work: (log: LogFile, path: string) => T): T {
  const path = join(where, "copy", basename(original));
  writeFileSync(path, contents);
  const log = LogFile.open(path);
  try {
    return work(log, path);
  } finally {
    log.close();
  }
}

const headOf = (log: LogFile, from = log.first): StoredRecord => log.underLock(from, (head) => head);
/** the second record, as a place to begin */
const second = withLog(bytes, (log) => [...log.after(log.first)][1] as StoredRecord);

test("records come back in order, each after the one before", () => {
  withLog(bytes, (log) => {
    const records = [...log.after(log.first)];
    assert.deepEqual(
      records.map(({ record, end }) => [record.seq, end, openRecord(record, keyring.epoch).toString()]),
      [1, 2, 3, 4].map((i) => [BigInt(i), ends[i], `note ${i}`]),
    );
    assert.equal(headOf(log).end, bytes.length);
    const [, two, three] = records as [StoredRecord, StoredRecord, StoredRecord];
    assert.ok(log.at(two.end, three.end, three.record.id)?.record.id.equals(three.record.id));
    assert.equal(log.at(two.end, three.end, two.record.id), undefined);
    assert.equal(log.at(two.end, three.end + 1, three.record.id), undefined);
    assert.equal(log.at(bytes.length, bytes.length + 9, three.record.id), undefined);
  });
});

test("a last record of which only a part is there is cut, at every length", () => {
  const before = ends[3] as number;
  for (let length = before; length < bytes.length; length++) {
    withLog(bytes.subarray(0, length), (log, path) => {
      assert.deepEqual([headOf(log, second).record.seq, statSync(path).size], [3n, before], `length ${length}`);
      if (length % 50 > 0) return;
      appendNote(log, keyring, Buffer.from("after"));
      assert.equal(headOf(log).record.seq, 4n);
    });
  }
});

test("a last record whose end never reached the disk is cut, at every length", () => {
  const before = ends[3] as number;
  for (let length = before; length < bytes.length; length++) {
    const torn = Buffer.from(bytes);
    torn.fill(0, length);
    if (torn.equals(bytes)) continue;
    withLog(torn, (log, path) => {
      assert.deepEqual([headOf(log, second).record.seq, statSync(path).size], [3n, before], `length ${length}`);
    });
  }
});

test("a changed byte in a record that others follow is damage, and nothing is cut", () => {
  for (let at = ends[2] as number; at < (ends[3] as number); at++) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ (1 + (at % 255));
    withLog(changed, (log, path) => {
      // What may be a record of a newer version is not called damaged, but it is not cut either.
      const format = at === (ends[2] as number) + 4 + 8 || at === (ends[2] as number) + 4 + 9;
      assert.throws(() => headOf(log, second), format ? Problem : damaged, `byte ${at}`);
      assert.ok(readFileSync(path).equals(changed), `byte ${at}`);
    });
  }
});

test("a missing, doubled or swapped record is damage, and nothing is cut", () => {
  const part = (i: number): Buffer => bytes.subarray(ends[i - 1], ends[i]);
  const start = bytes.subarray(0, ends[0]);
  const wrong = [
    [1, 3, 4],
    [1, 2, 4],
    [2, 3],
    [1, 3, 2, 4],
    [1, 2, 2, 3],
    [1, 2, 4, 3],
  ];
  for (const order of wrong) {
    const changed = Buffer.concat([start, ...order.map(part)]);
    withLog(changed, (log, path) => {
      assert.throws(() => headOf(log), damaged, order.join());
      assert.ok(readFileSync(path).equals(changed));
    });
  }
});

test("a record that somebody else signed is none of ours", () => {
  const stranger = keyringAt(newHome(join(where, "stranger")));
  withLog(bytes, (log, path) => {
    const head = headOf(log);
    log.append(head, [noteAfter(head.record, { ...keyring, device: stranger.device }, Buffer.from("x"))]);
    assert.equal(headOf(log).record.seq, 4n);
    assert.equal(statSync(path).size, bytes.length);
  });
});

test("a file that does not begin with its own genesis is damage", () => {
  const path = join(where, "copy", basename(original));
  for (const contents of [
    Buffer.alloc(0),
    Buffer.alloc(3),
    bytes.subarray(0, 100),
    bytes.subarray(ends[0]),
    Buffer.alloc(5000),
  ]) {
    writeFileSync(path, contents);
    assert.throws(() => LogFile.open(path), damaged);
  }
  for (let at = 4; at < (ends[0] as number); at += 7) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ 16;
    writeFileSync(path, changed);
    assert.throws(
      () => LogFile.open(path),
      (error) => error instanceof Problem,
      `byte ${at}`,
    );
  }
  copyFileSync(original, join(where, "copy", "0".repeat(64)));
  assert.throws(() => LogFile.open(join(where, "copy", "0".repeat(64))), damaged);
  assert.throws(
    () => LogFile.open(join(where, "nowhere")),
    (error) => error instanceof Problem && error.code === "io",
  );
});

test("several processes append to one log, and no record is lost", async () => {
  const path = join(where, "copy", basename(original));
  writeFileSync(path, bytes);
  const append = fileURLToPath(new URL("../support/store-append.js", import.meta.url));
  const children = await Promise.all(
    [0, 1, 2].map(async () => {
      const child = spawn(process.execPath, [append, home.path, path, "8"], { stdio: ["pipe", "pipe", "inherit"] });
      await new Promise((resolve) => child.stdout.once("data", resolve));
      return child;
    }),
  );
  const ended = children.map((child) => new Promise((resolve) => child.on("exit", resolve)));
  for (const child of children) child.stdin.end("\n");
  assert.deepEqual(await Promise.all(ended), [0, 0, 0]);
  const log = LogFile.open(path);
  const notes = [...log.after(log.first)].map(({ record }) => openRecord(record, keyring.epoch).toString());
  assert.equal(notes.length, 4 + 24);
  assert.equal(new Set(notes).size, notes.length);
  assert.equal(headOf(log).end, statSync(path).size);
  log.close();
});

test("a device's logs come oldest first, each naming the one that it goes on from", () => {
  const folder = join(where, "logs");
  mkdirSync(folder);
  const one = beginLog(folder, keyring, realSystem, undefined);
  appendNote(one, keyring, Buffer.from("x"));
  const two = beginLog(folder, keyring, realSystem, headOf(one));
  const three = beginLog(folder, keyring, realSystem, headOf(two));
  assert.ok(three.genesis.time > two.genesis.time);
  assert.deepEqual(two.predecessor, { log: one.id, seq: 1n, id: headOf(one).record.id });
  const stranger = keyringAt(newHome(join(where, "other")));
  beginLog(folder, stranger, realSystem, undefined).close();
  writeFileSync(join(folder, `${"f".repeat(64)}.tmp`), "half a log");
  const logs = new OwnLogs(folder, keyring, realSystem);
  assert.deepEqual(
    logs.files.map(({ id }) => id),
    [one.id, two.id, three.id],
  );
  for (const log of [one, two, three, logs]) log.close();
  truncateSync(join(folder, three.id.toString("hex")), 10);
  assert.throws(() => new OwnLogs(folder, keyring, realSystem), damaged);
});

test("records are found by their number, as many as fit, and none behind what is known to be on the disk", () => {
  const folder = join(where, "many");
  mkdirSync(folder);
  const log = beginLog(folder, keyring, realSystem, undefined);
  const ends = [log.start];
  for (let i = 1; i <= 300; i++) {
    appendNote(log, keyring, Buffer.alloc(1 + ((i * 37) % 900), i));
    ends.push(log.size);
  }
  const all = [log.first, ...log.after(log.first)].map(({ record }) => record);
  const ids = (records: readonly { readonly id: Buffer }[]): string[] => records.map(({ id }) => id.toString("hex"));
  // Asked in any order: the index grows as it is asked.
  for (const seq of [0, 1, 63, 64, 65, 300, 128, 5, 299, 200]) {
    for (const count of [1, 2, 40]) {
      const wanted = all.slice(seq, seq + count);
      const bytes = wanted.reduce((sum, record) => sum + record.bytes.length, 0);
      assert.deepEqual(ids(log.from(BigInt(seq), log.size, bytes)), ids(wanted), `${seq} ${count}`);
    }
    assert.equal(log.from(BigInt(seq), log.size, 0).length, 1, "at least one");
    assert.deepEqual(ids(log.from(BigInt(seq), ends[seq] as number, 1e9)), ids(all.slice(seq, seq + 1)));
    assert.deepEqual(log.from(BigInt(seq), (ends[seq] as number) - 1, 1e9), []);
  }
  for (const seq of [301n, -1n, 2n ** 63n]) assert.deepEqual(log.from(seq, log.size, 1e9), []);
  assert.deepEqual(log.from(0n, 0, 1e9), []);
  // What does not read ends what is given, wherever it stands.
  const path = join(folder, log.id.toString("hex"));
  const damagedBytes = readFileSync(path);
  const at = (ends[149] as number) + 20;
  damagedBytes[at] = (damagedBytes[at] as number) ^ 1;
  writeFileSync(path, damagedBytes);
  assert.equal(log.from(100n, damagedBytes.length, 1e9).length, 50);
  assert.deepEqual(log.from(150n, damagedBytes.length, 1e9), []);
  assert.equal(log.from(151n, damagedBytes.length, 1e9).length, 150);
  log.close();
});

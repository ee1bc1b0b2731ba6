/**
 * A copied home, and a log with two writers: whoever notices goes on in a new log, nothing that either wrote is lost,
 * and no log is written to by two.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { toHex } from "../../src/base/bytes.js";
import { defaultClass } from "../../src/format/listing.js";
import { decodeRecord } from "../../src/format/record.js";
import { decodeRevision, encodeRevision } from "../../src/format/revision.js";
import { keepBranch } from "../../src/store/branch.js";
import { type Home, homeAt } from "../../src/store/home.js";
import { whereInstalled } from "../../src/store/installed.js";
import { LogFile } from "../../src/store/log.js";
import type { Head } from "../../src/store/others.js";
import type { Store } from "../../src/store/store.js";
import { firstDevice, furtherDevice, giveAll, giveObjects, rowsByName } from "../support/store-devices.js";
import { checkRebuilt, noise, openStore, seed, storeChunks, withStore, workFolder } from "../support/store-home.js";

const where = workFolder();
let homes = 0;
const place = (): string => join(where, `home-${homes++}`);
const copied = /^this home was copied, moved or put back from a copy: it goes on in a new log$/;
const logsIn = (home: Home): string[] => readdirSync(home.logs).filter((name) => /^[0-9a-f]{64}$/.test(name));
const write = (store: Store, n: number): Promise<Buffer[]> => storeChunks(store, "data", [noise(3000, seed, n)]);

/** As cp -a does it. */
function copyOf(home: Home, path = place()): Home {
  cpSync(home.path, path, { recursive: true, preserveTimestamps: true });
  return homeAt(path);
}

async function filled(): Promise<Home> {
  const home = firstDevice(place());
  await withStore(home, (store) => write(store, 1));
  return home;
}

async function opened(home: Home): Promise<{ store: Store; said: string[] }> {
  const said: string[] = [];
  return { store: await openStore(home, said), said };
}

test("the mark is left by the first start, for nobody else to read, and names no other file", async () => {
  const home = firstDevice(place());
  assert.equal(whereInstalled(home), "unmarked");
  const { store, said } = await opened(home);
  assert.equal(whereInstalled(home), "here");
  assert.equal(statSync(home.installed).mode & 0o777, 0o600);
  await store.close();
  assert.deepEqual(said, []);
  assert.match(readFileSync(home.installed, "latin1"), /^bcoopfs installed 1\n\d+ \d+\n$/);
});

test("a home without a mark, of the version before or with one that was cut short, gets one and says nothing", async () => {
  const home = await filled();
  for (const contents of [undefined, "", "bcoopfs installed 1\n12"]) {
    rmSync(home.installed);
    if (contents !== undefined) writeFileSync(home.installed, contents);
    const { store, said } = await opened(home);
    await store.close();
    assert.deepEqual(said, []);
    assert.equal(whereInstalled(home), "here");
    assert.equal(logsIn(home).length, 1);
  }
});

test("a copy goes on in a new log, says so once, and the first home knows nothing of it", async () => {
  const home = await filled();
  const copy = copyOf(home);
  const [log] = logsIn(home) as [string];
  const before = readFileSync(join(home.logs, log));
  const { store, said } = await opened(copy);
  assert.equal(said.length, 1);
  assert.match(said[0] as string, copied);
  assert.equal(logsIn(copy).length, 2);
  await write(store, 2);
  await checkRebuilt(store);
  await store.close();
  assert.ok(
    readFileSync(join(copy.logs, log)).equals(before),
    "nothing is appended to the log that the first home writes",
  );
  const again = await opened(copy);
  assert.deepEqual(again.said, []);
  await again.store.close();
  assert.equal(logsIn(copy).length, 2);
  const first = await opened(home);
  await write(first.store, 3);
  assert.deepEqual(first.said, []);
  await first.store.close();
  // The new log names the record that it goes on from, and its times go on.
  const name = logsIn(copy).find((other) => other !== log) as string;
  const [old, fresh] = [log, name].map((one) => LogFile.open(join(copy.logs, one))) as [LogFile, LogFile];
  const head = old.underLock(old.first, (newest) => newest);
  assert.deepEqual(fresh.predecessor, { log: old.id, seq: head.record.seq, id: head.record.id });
  assert.ok(fresh.genesis.time > head.record.time);
  for (const file of [old, fresh]) file.close();
});

test("a copy of a home that has written nothing, and a copy of a copy", async () => {
  const home = firstDevice(place());
  await withStore(home, () => {});
  const copy = copyOf(home);
  const one = await opened(copy);
  await write(one.store, 1);
  await one.store.close();
  assert.deepEqual([one.said.length, logsIn(copy).length], [1, 2]);
  const two = await opened(copyOf(copy));
  await write(two.store, 2);
  assert.equal(two.said.length, 1);
  await two.store.close();
  assert.equal(logsIn(two.store.home).length, 3);
});

test("a home that is renamed stays where it was made", async () => {
  const home = await filled();
  const moved = homeAt(place());
  renameSync(home.path, moved.path);
  const { store, said } = await opened(moved);
  await store.close();
  assert.deepEqual([said, logsIn(moved).length], [[], 1]);
});

test("two that open a copy at once begin one log", async () => {
  const copy = copyOf(await filled());
  const [one, two] = await Promise.all([opened(copy), opened(copy)]);
  assert.equal(one.said.length + two.said.length, 1);
  assert.equal(logsIn(copy).length, 2);
  for (const [i, { store }] of [one, two].entries()) await write(store, 10 + i);
  for (const { store } of [one, two]) await store.close();
  await withStore(copy, checkRebuilt);
});

const holder = fileURLToPath(new URL("../support/store-open.js", import.meta.url));

async function held(home: Home): Promise<ChildProcess> {
  const child = spawn(process.execPath, [holder, home.path], { stdio: ["pipe", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  return child;
}

test("others at work hinder nobody from opening a home that is where it was made", async () => {
  const home = await filled();
  const child = await held(home);
  const { store, said } = await opened(home);
  await write(store, 2);
  await store.close();
  assert.deepEqual(said, []);
  child.stdin?.end("\n");
  await new Promise((resolve) => child.once("exit", resolve));
});

/** A home and a copy of it that, by the same mark, passes for it: both write to one log. */
async function twins(): Promise<{ home: Home; twin: Home; log: Buffer }> {
  const home = await filled();
  const twin = copyOf(home);
  rmSync(twin.installed);
  const [name] = logsIn(home) as [string];
  return { home, twin, log: Buffer.from(name, "hex") };
}

const headOf = (store: Store, log: Buffer): Head => store.heads().find((head) => head.log.equals(log)) as Head;

test("a peer knows more of our log: it is taken, and we go on in a new log behind it", async () => {
  const { home, twin, log } = await twins();
  const ahead = await opened(twin);
  const ids = [...(await write(ahead.store, 2)), ...(await write(ahead.store, 3))];
  const behind = await opened(home);
  const from = headOf(behind.store, log).seq + 1n;
  const took = behind.store.acceptOwnTail(log, ahead.store.recordsOf(log, from, 1e6));
  assert.equal(took.outcome, "accepted");
  assert.deepEqual(headOf(behind.store, log), headOf(ahead.store, log));
  assert.equal(behind.said.length, 1);
  assert.match(behind.said[0] as string, /^others know newer records [^\n]* new log$/);
  assert.equal(logsIn(home).length, 2);
  // What the tail lists is gone from here: it is wanted, and comes back.
  assert.equal(behind.store.ledger.wantedCount(), 4);
  assert.equal(giveObjects(ahead.store, behind.store), 4);
  for (const id of ids) await behind.store.reader.chunk("data", id);
  const session = behind.store.session(defaultClass);
  for (const [i] of ids.entries())
    assert.equal(session.put("data", noise(3000, seed, 2 + i)).fresh, false, "it is our own");
  session.close();
  await write(behind.store, 4);
  const { seq } = headOf(behind.store, log);
  assert.equal(headOf(ahead.store, log).seq, seq, "nothing more is written to it");
  const before = rowsByName(behind.store.catalogue);
  await behind.store.rebuild();
  assert.deepEqual(rowsByName(behind.store.catalogue), before);
  // More of the same tail later changes nothing of where we write.
  await write(ahead.store, 5);
  assert.equal(behind.store.acceptOwnTail(log, ahead.store.recordsOf(log, seq + 1n, 1e6)).outcome, "accepted");
  assert.equal(behind.said.length, 1);
  assert.equal(logsIn(home).length, 2);
  for (const { store } of [ahead, behind]) await store.close();
});

test("a tail of any length, in one piece", async () => {
  const { home, twin, log } = await twins();
  const ahead = await opened(twin);
  for (let i = 0; i < 12; i++) {
    const note = { type: "note", clear: Buffer.alloc(0), secret: noise(60_000, seed, i) } as const;
    ahead.store.commit([], [note]);
  }
  const behind = await opened(home);
  const tail = ahead.store.recordsOf(log, headOf(behind.store, log).seq + 1n, 1e9);
  assert.ok(tail.reduce((sum, { length }) => sum + length, 0) > 700_000);
  assert.equal(behind.store.acceptOwnTail(log, tail).outcome, "accepted");
  assert.deepEqual(headOf(behind.store, log), headOf(ahead.store, log));
  for (const { store } of [ahead, behind]) await store.close();
});

/** A revision whose record is all that matters; its id. */
function note(store: Store, n: number): Buffer {
  const root = { name: Buffer.alloc(0), kind: "folder", flags: 0, mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n } as const;
  const none = { size: 0n, content: undefined, tree: undefined, target: undefined, major: 0, minor: 0, errno: 0 };
  const counts = { files: 0, folders: 0, others: 0, bytes: 0n, changedFiles: 0, newBytes: 0n, storedBytes: 0n };
  const secret = encodeRevision({
    fileset: Buffer.alloc(16, n),
    filesetName: `set-${n}`,
    host: "host",
    started: 0n,
    complete: true,
    root: { ...root, ...none, links: 1, group: 0n, xattrs: [], fields: [] },
    rootHint: undefined,
    errors: 0,
    names: undefined,
    report: undefined,
    fields: [],
    ...counts,
  });
  const [record] = store.commit([], [{ type: "revision", clear: Buffer.alloc(0), secret }]);
  return record?.id as Buffer;
}

/** The names of all revisions that a store shows, each as often as it does. */
const shown = (store: Store): string[] =>
  [...store.catalogue.revisions()].map(({ body }) => decodeRevision(body).filesetName).sort();

test("our log has two branches: both are kept, we go on in a new log that tells again what ours alone told", async () => {
  const { home, twin, log } = await twins();
  const watcher = await opened(furtherDevice(home, place()));
  const [one, two] = [await opened(home), await opened(twin)];
  const { seq } = headOf(one.store, log);
  const mine = await write(one.store, 20);
  note(one.store, 1);
  const theirs = await write(two.store, 30);
  note(two.store, 2);
  giveAll(two.store, watcher.store);
  const [rival] = watcher.store.recordsOf(log, seq + 1n, 1);
  assert.equal(one.store.acceptFork(log, rival as Buffer).outcome, "fork");
  assert.deepEqual(one.said, [], "its finder says it");
  assert.equal(logsIn(home).length, 2, "one new log");
  assert.equal(headOf(one.store, log).frozen, true);
  assert.deepEqual(
    one.store.acceptRecords(log, [rival as Buffer], () => true),
    { outcome: "frozen" },
  );
  assert.deepEqual(one.store.acceptFork(log, rival as Buffer), { outcome: "frozen" });
  const proof = one.store.evidenceOf(log);
  assert.deepEqual(
    proof.map((bytes) => decodeRecord(bytes).seq),
    [seq + 1n, seq + 1n],
  );
  assert.deepEqual(shown(one.store), ["set-1"], "told twice, shown once");
  await write(one.store, 21);
  for (const id of mine) await one.store.reader.chunk("data", id);

  // The one that was copied learns of it too, and so does whoever keeps the log.
  assert.equal(proof.map((record) => two.store.acceptFork(log, record).outcome).includes("fork"), true);
  for (const id of theirs) await two.store.reader.chunk("data", id);
  assert.equal(proof.map((record) => watcher.store.acceptFork(log, record).outcome).includes("fork"), true);
  for (const { store } of [one, two]) {
    giveAll(store, watcher.store);
    giveObjects(store, watcher.store);
  }
  for (const id of [...mine, ...theirs]) await watcher.store.reader.chunk("data", id);
  assert.deepEqual([...new Set(shown(watcher.store))], ["set-1", "set-2"]);
  for (const { store } of [one, two, watcher]) {
    const [before, revisions] = [rowsByName(store.catalogue), shown(store)];
    await store.rebuild();
    assert.deepEqual(rowsByName(store.catalogue), before);
    assert.deepEqual(shown(store), revisions);
    assert.equal(headOf(store, log).frozen, true);
    await store.close();
  }
  for (const at of [home, twin]) {
    const again = await opened(at);
    assert.deepEqual(again.said, []);
    assert.equal(headOf(again.store, log).frozen, true);
    await again.store.close();
    assert.equal(logsIn(at).length, 2);
  }
});

test("a branch that lies beside the newest log when the home is opened: it goes on in a new log, and tells all again", async () => {
  const { home, twin, log } = await twins();
  const [one, two] = [await opened(home), await opened(twin)];
  const { seq } = headOf(one.store, log);
  note(one.store, 1);
  await write(two.store, 30);
  const [rival] = two.store.recordsOf(log, seq + 1n, 1);
  for (const { store } of [one, two]) await store.close();
  const name = join(home.logs, toHex(log));
  keepBranch(name, rival as Buffer);
  const { size } = statSync(name);
  const again = await opened(home);
  assert.equal(again.said.length, 1);
  assert.match(again.said[0] as string, /both branches are kept[^\n]*new log$/);
  assert.deepEqual(shown(again.store), ["set-1"]);
  await write(again.store, 22);
  await again.store.rebuild();
  assert.deepEqual(shown(again.store), ["set-1"]);
  assert.equal(statSync(name).size, size);
  await again.store.close();
});

test("what proves nothing of our own log leaves it as it is", async () => {
  const { home, log } = await twins();
  const { store, said } = await opened(home);
  const records = store.recordsOf(log, 0n, 1e6);
  for (const record of records) assert.deepEqual(store.acceptFork(log, record), { outcome: "known" });
  assert.deepEqual(
    store.acceptRecords(log, records, () => false),
    { outcome: "known" },
  );
  const forged = Buffer.from(records.at(-1) as Buffer);
  forged[forged.length - 1] = (forged[forged.length - 1] as number) ^ 1;
  assert.equal(store.acceptRecords(log, [forged], () => true).outcome, "refused");
  assert.equal(store.acceptFork(log, noise(400, 1)).outcome, "refused");
  assert.deepEqual(said, []);
  assert.equal(logsIn(home).length, 1);
  await store.close();
});

test("another process of the home that is at work goes on in the new log too", async () => {
  const { home, twin, log } = await twins();
  const [daemon, run, other] = [await opened(home), await opened(home), await opened(twin)];
  await write(other.store, 30);
  // This run has begun; now the daemon hears of the fork.
  const session = run.store.session(defaultClass);
  session.put("data", noise(3000, seed, 40));
  const head = headOf(daemon.store, log).seq;
  daemon.store.commit([], [{ type: "note", clear: Buffer.alloc(0), secret: Buffer.from("x") }]);
  const [rival] = other.store.recordsOf(log, head + 1n, 1);
  assert.equal(daemon.store.acceptFork(log, rival as Buffer).outcome, "fork");
  const size = statSync(join(home.logs, toHex(log))).size;
  await session.commit(() => []);
  session.close();
  assert.equal(statSync(join(home.logs, toHex(log))).size, size);
  assert.ok(daemon.store.refresh());
  assert.equal(daemon.store.refresh(), false);
  assert.equal(daemon.store.heads().filter(({ log: id }) => daemon.store.isOwn(id)).length, 2);
  for (const { store } of [daemon, run, other]) await store.close();
  assert.equal(logsIn(home).length, 2);
  await withStore(home, checkRebuilt);
});

test("a log of this device that is not here any more comes back as another's: nobody writes to it", async () => {
  const { home, twin, log } = await twins();
  const other = await opened(twin);
  await write(other.store, 30);
  rmSync(join(home.logs, toHex(log)));
  const { store } = await opened(home);
  const [own] = store.heads().map((head) => head.log);
  assert.ok(own && !own.equals(log));
  giveAll(other.store, store);
  assert.equal(store.isOwn(log), false);
  assert.deepEqual(headOf(store, log), headOf(other.store, log));
  await write(store, 31);
  assert.deepEqual(headOf(store, log), headOf(other.store, log));
  const before = rowsByName(store.catalogue);
  await store.rebuild();
  assert.deepEqual(rowsByName(store.catalogue), before);
  for (const each of [store, other.store]) await each.close();
});

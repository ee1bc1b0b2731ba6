/** Restore: what comes back, what is refused, and what is left when stored data or the target fail. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Problem } from "../../src/base/errors.js";
import { native } from "../../src/base/native.js";
import { realSystem } from "../../src/base/system.js";
import { entryFlags } from "../../src/format/entry.js";
import { defaultClass } from "../../src/format/listing.js";
import type { RestoreEvent, RestoreSummary } from "../../src/recall/events.js";
import { restore } from "../../src/recall/restore.js";
import { segmentPath } from "../../src/store/segments.js";
import type { Revision } from "../../src/vault/revisions.js";
import { componentsOf } from "../../src/vault/view.js";
import {
  commitRevision,
  file,
  folder,
  type Sketch,
  type TestVault,
  testVault,
  viewOf,
} from "../support/recall-revision.js";

const root = process.geteuid?.() === 0;
const random = realSystem.random;
const noise = (kib: number): Buffer[] => Array.from({ length: kib / 32 }, () => random(32 * 1024));

let it: TestVault;
let next = 0;
before(async () => {
  it = await testVault();
});
after(() => it.end());

const fresh = (): string => join(it.path, `target-${next++}`);

interface Ran {
  readonly target: string;
  readonly events: RestoreEvent[];
  readonly summary: RestoreSummary;
}

async function restored(
  revision: Revision,
  path?: string,
  target = fresh(),
  options = { includeOwner: true },
  on: (event: RestoreEvent) => void = () => {},
): Promise<Ran> {
  const events: RestoreEvent[] = [];
  const from = path === undefined ? undefined : componentsOf(Buffer.from(path, "latin1"));
  const summary = await restore(it.vault, viewOf(it.vault, revision), from, target, options, (event) => {
    events.push(event);
    on(event);
  });
  return { target, events, summary };
}

async function problem(work: Promise<unknown>, code: string, message?: RegExp): Promise<Problem> {
  let caught: unknown;
  await assert.rejects(work, (error: unknown) => {
    caught = error;
    return error instanceof Problem && error.code === code;
  });
  if (message) assert.match((caught as Problem).message, message);
  return caught as Problem;
}

/** Turn one byte of the stored chunk that holds `bytes` over. */
function spoil(bytes: Buffer, type: "data" | "tree" | "list" = "data"): void {
  const session = it.vault.store.session(defaultClass);
  const id = session.idOf(type, bytes);
  session.close();
  spoilId(id);
}

function spoilId(id: Buffer): void {
  const { catalogue } = it.vault.store;
  const place = catalogue.chunk(id);
  assert.ok(place);
  const segment = catalogue.segment(place.segment);
  assert.ok(segment);
  const path = segmentPath(it.vault.home, segment.listing.name);
  const whole = readFileSync(path);
  const at = (segment.frames[place.frame]?.offset as number) + 40;
  whole[at] = (whole[at] as number) ^ 1;
  writeFileSync(path, whole);
}

const everything = (): Sketch =>
  folder({
    srv: folder(
      {
        "plain.txt": file("hello\n", { mode: 0o640, mtimeNs: -86_400_000_000_123n }),
        empty: file(""),
        long: file(noise(96)),
        holes: file([Buffer.from("head"), 10_000_000n, Buffer.from("tail")]),
        "all-hole": file([1n << 20n]),
        "closed\n\xff": folder({ inside: file("x", { mode: 0 }) }, { mode: 0 }),
        rel: { kind: "symlink", target: Buffer.from("plain.txt"), mode: 0o777 },
        dangling: { kind: "symlink", target: Buffer.from("../no/such\n\xff", "latin1"), mode: 0o777 },
        pipe: { kind: "fifo", mode: 0o620 },
        sock: { kind: "socket", mode: 0o755 },
        one: file("linked", { links: 3, group: 7n }),
        two: file("linked", { links: 3, group: 7n }),
        "pipe-1": { kind: "fifo", mode: 0o600, links: 2, group: 8n },
        "pipe-2": { kind: "fifo", mode: 0o600, links: 2, group: 8n },
        "link-1": { kind: "symlink", target: Buffer.from("x"), mode: 0o777, links: 2, group: 9n },
        "link-2": { kind: "symlink", target: Buffer.from("x"), mode: 0o777, links: 2, group: 9n },
        setid: file("s", { mode: 0o6755 }),
      },
      { mode: 0o1751, mtimeNs: 4_000_000_000_000_000_001n },
    ),
    etc: folder({ hosts: file("127.0.0.1\n") }),
  });

function checkEverything(at: string): void {
  const mtime = (path: string): bigint => lstatSync(join(at, path), { bigint: true }).mtimeNs;
  assert.equal(readFileSync(join(at, "plain.txt"), "utf8"), "hello\n");
  assert.equal(statSync(join(at, "plain.txt")).mode & 0o7777, 0o640);
  assert.equal(mtime("plain.txt"), -86_400_000_000_123n);
  assert.equal(statSync(join(at, "empty")).size, 0);
  assert.equal(statSync(join(at, "long")).size, 96 * 1024);
  const holes = statSync(join(at, "holes"));
  assert.equal(holes.size, 10_000_008);
  assert.ok(holes.blocks <= 64, `${holes.blocks} blocks`);
  const held = readFileSync(join(at, "holes"));
  assert.equal(`${held.subarray(0, 5)}${held.subarray(-4)}`, "head\0tail");
  assert.equal(statSync(join(at, "all-hole")).size, 1 << 20);
  assert.equal(statSync(join(at, "all-hole")).blocks, 0);
  assert.equal(readlinkSync(join(at, "rel")), "plain.txt");
  assert.deepEqual(
    readlinkSync(join(at, "dangling"), { encoding: "buffer" }),
    Buffer.from("../no/such\n\xff", "latin1"),
  );
  assert.equal(mtime("dangling"), 1_600_000_000_123_456_789n);
  assert.ok(lstatSync(join(at, "pipe")).isFIFO());
  assert.equal(lstatSync(join(at, "pipe")).mode & 0o7777, 0o620);
  assert.ok(lstatSync(join(at, "sock")).isSocket());
  for (const [a, b] of [
    ["one", "two"],
    ["pipe-1", "pipe-2"],
    ["link-1", "link-2"],
  ] as const)
    assert.equal(lstatSync(join(at, a)).ino, lstatSync(join(at, b)).ino, a);
  assert.equal(lstatSync(join(at, "setid")).mode & 0o7777, 0o6755);
  const closed = Buffer.concat([Buffer.from(`${at}/`), Buffer.from("closed\n\xff", "latin1")]);
  assert.equal(lstatSync(closed).mode & 0o7777, 0);
  assert.equal(lstatSync(closed, { bigint: true }).mtimeNs, 1_600_000_000_123_456_789n);
}

test("a folder's contents come straight into the target, which takes over its attributes", async () => {
  const revision = await commitRevision(it.vault, everything());
  const { target, summary, events } = await restored(revision, "/srv", join(fresh(), "made", "on the way"));
  checkEverything(target);
  assert.equal(statSync(target).mode & 0o7777, 0o1751);
  assert.equal(statSync(target, { bigint: true }).mtimeNs, 4_000_000_000_000_000_001n);
  const { files, folders, others, linked, damaged, failed, leftOut } = summary;
  assert.deepEqual(
    { files, folders, others, linked, damaged, failed, leftOut: leftOut.size },
    { files: 8, folders: 1, others: 6, linked: 3, damaged: 0, failed: 0, leftOut: 0 },
  );
  assert.equal(summary.bytes, BigInt(6 + 96 * 1024 + 8 + 1 + 6 + 1));
  assert.equal(events[0]?.type, "planned");
  assert.equal((events[0] as { bytes: bigint }).bytes, summary.bytes);
  assert.equal(events.at(-1)?.type, "done");
});

test("a revision comes by absolute paths and leaves the target its own mode", async () => {
  const revision = await commitRevision(it.vault, everything());
  const target = fresh();
  mkdirSync(target, { mode: 0o750 });
  await restored(revision, undefined, target);
  checkEverything(join(target, "srv"));
  assert.equal(readFileSync(join(target, "etc/hosts"), "utf8"), "127.0.0.1\n");
  assert.equal(statSync(target).mode & 0o7777, 0o750);
  assert.equal(statSync(join(target, "srv"), { bigint: true }).mtimeNs, 4_000_000_000_000_000_001n);
});

test("a single file, or one name of several, comes straight into the target", async () => {
  const revision = await commitRevision(it.vault, everything());
  const { target, summary } = await restored(revision, "/srv/two");
  assert.deepEqual(readdirSync(target), ["two"]);
  assert.equal(readFileSync(join(target, "two"), "utf8"), "linked");
  assert.equal(summary.files, 1);
  const link = await restored(revision, "/srv/rel");
  assert.deepEqual(readdirSync(link.target), ["rel"]);
});

test("what is no new or empty folder is refused and stays as it was", async () => {
  const revision = await commitRevision(it.vault, everything());
  const full = fresh();
  mkdirSync(full);
  writeFileSync(join(full, "mine"), "mine");
  await problem(restored(revision, undefined, full), "refused", /not empty/);
  assert.deepEqual(readdirSync(full), ["mine"]);
  await problem(restored(revision, undefined, join(full, "mine")), "refused", /not a folder/);
  await problem(restored(revision, undefined, join(full, "mine/below")), "refused");
  symlinkSync("nowhere", join(full, "dangling"));
  await problem(restored(revision, undefined, join(full, "dangling")), "refused");
  await problem(restored(revision, undefined, join(it.home, "inside")), "refused", /home/);
  // A recursive mkdir of Node never comes back from here.
  await problem(restored(revision, undefined, "/proc/nothing/here"), "io", /cannot make/);
  await problem(restored(revision, "/srv/nothing", fresh()), "not-found", /\/srv\/nothing/);
  await problem(restored(revision, "/etc/hosts/x", fresh()), "not-found");
});

test("a target that is a symbolic link to an empty folder is that folder", async () => {
  const revision = await commitRevision(it.vault, everything());
  const real = fresh();
  mkdirSync(real);
  symlinkSync(real, `${real}-link`);
  await restored(revision, "/etc", `${real}-link`);
  assert.deepEqual(readdirSync(real), ["hosts"]);
});

test("missing data is found before anything is written", async () => {
  const lost = random(100_000);
  const sketch = folder({ a: folder({ kept: file("kept"), "lost-1": file([lost]) }), "lost-2": file([lost, 9, lost]) });
  const session = it.vault.store.session(defaultClass);
  session.put("data", lost);
  await session.commit(() => []);
  session.close();
  const revision = await commitRevision(it.vault, sketch);
  const segment = it.vault.store.catalogue.segment(it.vault.store.catalogue.chunk(session.idOf("data", lost))!.segment);
  const path = segmentPath(it.vault.home, segment!.listing.name);
  const whole = readFileSync(path);
  for (const spoiled of ["gone", "short"]) {
    if (spoiled === "gone") renameSync(path, `${path}.away`);
    else writeFileSync(path, whole.subarray(0, whole.length - 1));
    const target = join(fresh(), "deep");
    const { message } = await problem(restored(revision, undefined, target), "missing");
    assert.match(message, /2 files/);
    assert.match(message, /\/a\/lost-1, \/lost-2/);
    assert.ok(!existsSync(join(target, "..")));
    const { summary } = await restored(revision, "/a/kept");
    assert.equal(summary.files, 1);
  }
  renameSync(`${path}.away`, path);
});

test("damaged data costs the files it belongs to, and no other; nothing stands in its place", async () => {
  const bad = random(40_000);
  await commitRevision(it.vault, folder({ first: file([bad]) }), { fileset: "spoiled" });
  const good = noise(64);
  const revision = await commitRevision(
    it.vault,
    folder({
      "a-short": file([bad]),
      "b-long": file([random(1000), 4096, bad]),
      "c-good": file(good),
      "d-one": file([bad, random(10)], { links: 2, group: 1n }),
      "e-two": file([bad, random(10)], { links: 2, group: 1n }),
      "f-xattr": file("kept", { xattrs: { "user.big": bad.subarray(0, 2000) } }),
    }),
  );
  spoil(bad);
  await it.reopen();
  const target = fresh();
  const failed: string[] = [];
  let summary: RestoreSummary | undefined;
  const on = (event: RestoreEvent): void => {
    if (event.type === "failed") failed.push(`${event.path} ${event.problem.code}`);
    if (event.type === "done") summary = event.summary;
  };
  await problem(restored(revision, undefined, target, undefined, on), "damaged", /4 entries/);
  assert.deepEqual(failed, ["/a-short damaged", "/b-long damaged", "/d-one damaged", "/e-two damaged"]);
  assert.deepEqual(readdirSync(target), ["c-good", "f-xattr"]);
  assert.ok(readFileSync(join(target, "c-good")).equals(Buffer.concat(good)));
  assert.equal(summary?.damaged, 4);
  assert.equal(summary?.files, 2);
});

test("a damaged part of a folder costs that part", async () => {
  const names = Array.from({ length: 3000 }, (_, i) => `file-${String(i).padStart(5, "0")}`);
  const revision = await commitRevision(
    it.vault,
    folder({ big: folder(Object.fromEntries(names.map((name) => [name, file("")]))), after: file("still here") }),
  );
  const view = viewOf(it.vault, revision);
  const big = await view.lookup(revision.root, Buffer.from("big"));
  assert.ok(big?.tree && big.tree.level > 0);
  // Its first half goes to another frame, so that damage to one leaves the other readable.
  const { decodeTree } = await import("../../src/format/tree.js");
  const top = decodeTree(await it.vault.store.reader.chunk("tree", big.tree.id));
  if (!("branches" in top)) assert.fail("expected branches");
  const { id: middle, entries } = top.branches[Math.floor(top.branches.length / 2)]!;
  const place = it.vault.store.catalogue.chunk(middle);
  it.vault.store.catalogue.write(() =>
    it.vault.store.catalogue.putChunk(middle, { ...place!, offset: place!.offset + 1 }),
  );
  const target = fresh();
  const failed: string[] = [];
  await problem(
    restored(revision, undefined, target, undefined, (event) => {
      if (event.type === "failed") failed.push(String(event.path));
    }),
    "damaged",
    /1 entry/,
  );
  assert.deepEqual(failed, ["/big"]);
  const got = readdirSync(join(target, "big")).length;
  assert.equal(got, 3000 - entries);
  assert.equal(readFileSync(join(target, "after"), "utf8"), "still here");
  it.vault.store.catalogue.write(() => it.vault.store.catalogue.putChunk(middle, place!));
});

test("what was never readable is left out and named", async () => {
  const unreadable = { flags: entryFlags.neverReadable, errno: 13 };
  const revision = await commitRevision(
    it.vault,
    folder({
      secret: { kind: "file", size: 100n, ...unreadable },
      dark: { kind: "folder", ...unreadable },
      open: file("x"),
    }),
  );
  const { target, summary, events } = await restored(revision);
  assert.deepEqual(readdirSync(target), ["open"]);
  assert.deepEqual([...summary.leftOut], [["unreadable when saved", 2]]);
  const named = events.flatMap((event) => (event.type === "left-out" ? [`${event.path} ${event.why}`] : []));
  assert.equal(named.length, 2);
  assert.match(named.join(), /\/dark .*EACCES.*\/secret .*EACCES/);
  await problem(restored(revision, "/secret"), "not-found", /EACCES/);
});

test("what no file system holds is told and left out; the rest is restored", async () => {
  const revision = await commitRevision(
    it.vault,
    folder({
      ["n".repeat(256)]: file("a name too long"),
      ["m".repeat(300)]: folder({ x: file("x") }),
      endless: file([(1n << 63n) - 10n, Buffer.from("end")]),
      nul: { kind: "symlink", target: Buffer.from("a\0b"), mode: 0o777 },
      "a-good": file("good"),
    }),
  );
  const target = fresh();
  let summary: RestoreSummary | undefined;
  const on = (event: RestoreEvent): void => {
    if (event.type === "done") summary = event.summary;
  };
  await problem(restored(revision, undefined, target, undefined, on), "damaged");
  // A file system in memory holds even this one; what it cannot hold must not be there in part.
  const held = readdirSync(target).includes("endless");
  if (held) assert.equal(statSync(join(target, "endless"), { bigint: true }).size, (1n << 63n) - 7n);
  assert.deepEqual(readdirSync(target), held ? ["a-good", "endless"] : ["a-good"]);
  assert.equal(summary?.failed, held ? 2 : 3);
  assert.equal(summary?.damaged, 1);
});

test("paths longer than the system takes, and deeper than we hold descriptors", async () => {
  const depth = 400;
  let left: Sketch = folder({ bottom: file("deep", { links: 2, group: 5n }) });
  let right: Sketch = folder({ again: file("deep", { links: 2, group: 5n }), other: file("beside") });
  for (let i = 0; i < depth; i++) {
    left = folder({ [i === 9 ? "d".repeat(255) : "l"]: left, beside: file(`${i}`) });
    right = folder({ [`r${"r".repeat(30)}`]: right, zz: file(`${i}`) });
  }
  const revision = await commitRevision(it.vault, folder({ left, right }));
  const { target, summary } = await restored(revision);
  assert.equal(summary.files, 2 * depth + 2);
  assert.equal(summary.linked, 1);
  const find = (...tests: string[]): string => execFileSync("find", [target, ...tests], { encoding: "utf8" }).trim();
  assert.equal(find("-links", "2", "-type", "f", "-printf", "%f ").trim().split(/\s+/).sort().join(), "again,bottom");
  assert.equal(find("-printf", "x").length, 1 + 2 + 2 * depth + 2 * depth + 3);
});

test("a symbolic link planted meanwhile leads nowhere", async () => {
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`f${i}`, file(`${i}`)]));
  const revision = await commitRevision(it.vault, folder({ sub: folder({ deep: folder(many) }), z: folder(many) }));
  const outside = fresh();
  mkdirSync(outside);
  const target = fresh();
  let planted = false;
  await restored(revision, undefined, target, undefined, () => {
    if (planted || !existsSync(join(target, "sub/deep/f1"))) return;
    renameSync(join(target, "sub"), join(target, "moved"));
    symlinkSync(outside, join(target, "sub"));
    planted = true;
  });
  assert.ok(planted);
  assert.deepEqual(readdirSync(outside), []);
  assert.equal(readdirSync(join(target, "moved/deep")).length, 500);
  assert.equal(readdirSync(join(target, "z")).length, 500);
});

test("a name that is there already is never written through", async () => {
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, file(`${i}`)]));
  const long = noise(64);
  const revision = await commitRevision(
    it.vault,
    folder({ a: folder(many), "b-short": file("short"), "c-long": file(long) }),
  );
  const outside = fresh();
  writeFileSync(outside, "untouched");
  const target = fresh();
  let planted = false;
  const failed: string[] = [];
  const run = restored(revision, undefined, target, undefined, (event) => {
    if (event.type === "failed") failed.push(String(event.path));
    if (planted || event.type !== "progress") return;
    for (const name of ["b-short", "c-long"]) symlinkSync(outside, join(target, name));
    planted = true;
  });
  await problem(run, "io", /2 entries/);
  assert.deepEqual(failed, ["/b-short", "/c-long"]);
  assert.equal(readFileSync(outside, "utf8"), "untouched");
  assert.deepEqual(readdirSync(target), ["a", "b-short", "c-long"]);
});

test("called off: what was written stays, and is told", async () => {
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`f${i}`, file(`${i}`)]));
  const revision = await commitRevision(it.vault, folder(many));
  const stop = new AbortController();
  const target = fresh();
  const run = restore(
    it.vault,
    viewOf(it.vault, revision),
    undefined,
    target,
    { includeOwner: true, signal: stop.signal },
    (event) => {
      if (event.type === "progress") stop.abort();
    },
  );
  await problem(run, "interrupted");
  assert.ok(readdirSync(target).length > 0 && readdirSync(target).length < 500);
  const early = fresh();
  await problem(
    restore(
      it.vault,
      viewOf(it.vault, revision),
      undefined,
      early,
      { includeOwner: true, signal: stop.signal },
      () => {},
    ),
    "interrupted",
  );
  assert.ok(!existsSync(early));
});

test("names of one group whose contents differ are files of their own", async () => {
  const revision = await commitRevision(
    it.vault,
    folder({ a: file("before", { links: 2, group: 3n }), b: file("after", { links: 2, group: 3n }) }),
  );
  const { target } = await restored(revision);
  assert.equal(readFileSync(join(target, "a"), "utf8"), "before");
  assert.equal(readFileSync(join(target, "b"), "utf8"), "after");
});

test("extended attributes, also on what may not be written", async (t) => {
  const probe = fresh();
  writeFileSync(probe, "");
  if (spawnSync("setfattr", ["-n", "user.probe", "-v", "1", probe]).status !== 0)
    return t.skip("no user attributes here");
  const xattrs = { "user.a": Buffer.from("1"), "user.big": random(3000), "user.empty": Buffer.alloc(0) };
  const revision = await commitRevision(
    it.vault,
    folder({
      readonly: file("x", { mode: 0o400, xattrs }),
      none: file("x", { mode: 0, xattrs }),
      dir: folder({}, { mode: 0o500, xattrs }),
    }),
  );
  const { target, summary } = await restored(revision);
  assert.equal(summary.leftOut.size, 0);
  const fd = native().openFolder(-100, Buffer.from(target));
  for (const name of ["readonly", "dir", ...(root ? ["none"] : [])]) {
    const got = new Map<string, Buffer>();
    const { xattrsOf } = await import("../../src/base/native.js");
    for (const { name: key, value } of xattrsOf(native().listXattrs(fd, Buffer.from(name))))
      got.set(String(key), value);
    for (const [key, value] of Object.entries(xattrs)) assert.ok(got.get(key)?.equals(value), `${name} ${key}`);
  }
});

test("a default access list of the target is not taken over, nor one left on it", async (t) => {
  const target = fresh();
  mkdirSync(target);
  if (spawnSync("setfacl", ["-d", "-m", "u:1234:rwx", target]).status !== 0) return t.skip("no access lists here");
  const revision = await commitRevision(it.vault, folder({ d: folder({ e: folder({}), f: file("x") }), f: file("x") }));
  const acls = (path: string): string =>
    execFileSync("getfacl", ["-R", "-c", "-p", path], { encoding: "utf8" }).replace(/\s+/g, " ");
  await restored(revision, undefined, target);
  for (const name of ["d", "f"]) assert.doesNotMatch(acls(join(target, name)), /1234/, name);
  assert.match(acls(target), /default:user:1234/);
  const bare = fresh();
  mkdirSync(bare);
  execFileSync("setfacl", ["-m", "u:1234:rwx,d:u:1234:rwx", bare]);
  await restored(revision, "/d", bare);
  assert.doesNotMatch(acls(bare), /1234/);
});

test("without owners nobody gets a program that runs as somebody else", { skip: !root }, async () => {
  const revision = await commitRevision(
    it.vault,
    folder({
      theirs: file("x", { uid: 4242, gid: 4343, mode: 0o6755 }),
      ours: file("x", { mode: 0o6755 }),
    }),
  );
  const { target, summary } = await restored(revision, undefined, fresh(), { includeOwner: false });
  const theirs = statSync(join(target, "theirs"));
  assert.deepEqual([theirs.uid, theirs.gid, theirs.mode & 0o7777], [0, 0, 0o755]);
  assert.equal(statSync(join(target, "ours")).mode & 0o7777, 0o6755);
  assert.deepEqual([...summary.leftOut], [["set-id bits", 1]]);
  const owned = await restored(revision);
  const found = statSync(join(owned.target, "theirs"));
  assert.deepEqual([found.uid, found.gid, found.mode & 0o7777], [4242, 4343, 0o6755]);
});

/** Run the compiled helper as somebody who is not root. */
function asUser(target: string, revision: Revision): { code: string; leftOut: Record<string, number>; linked: number } {
  const user = 61_234;
  for (const name of readdirSync(it.path, { recursive: true, encoding: "utf8" }))
    if (name.startsWith("home")) chownSync(join(it.path, name), user, user);
  const helper = fileURLToPath(new URL("./as-user.js", import.meta.url));
  const args = [helper, it.home, revision.id.toString("hex"), target];
  const ran = spawnSync(process.execPath, args, {
    uid: user,
    gid: user,
    encoding: "utf8",
    env: { PATH: process.env.PATH },
  });
  assert.equal(ran.status, 0, ran.stderr);
  return JSON.parse(ran.stdout);
}

test("as an ordinary user: what the system does not allow is counted, and is no error", { skip: !root }, async (t) => {
  if (spawnSync(process.execPath, ["-e", ""], { uid: 61_234, gid: 61_234 }).status !== 0)
    return t.skip("node is root's");
  const revision = await commitRevision(
    it.vault,
    folder({
      null: { kind: "char", major: 1, minor: 3, mode: 0o666 },
      setid: file("x", { mode: 0o4755 }),
      trusted: file("x", { uid: 61_234, gid: 61_234, xattrs: { "trusted.x": Buffer.from("1") } }),
      dark: folder({ one: file("both", { links: 2, group: 2n }) }, { mode: 0 }),
      light: folder({ two: file("both", { links: 2, group: 2n }) }),
    }),
  );
  chmodSync(it.path, 0o755);
  const parent = mkdtempSync(join(it.path, "user-"));
  chownSync(parent, 61_234, 61_234);
  let ran: ReturnType<typeof asUser> | undefined;
  await it.reopen(() => {
    ran = asUser(join(parent, "out"), revision);
  });
  assert.ok(ran);
  const { code, leftOut, linked } = ran;
  assert.equal(code, "");
  assert.equal(linked, 1);
  assert.deepEqual(leftOut, { devices: 1, owners: 4, "set-id bits": 1, "attributes: trusted.*": 1 });
  assert.equal(statSync(join(parent, "out/setid")).mode & 0o7777, 0o755);
  assert.equal(statSync(join(parent, "out/dark")).mode & 0o7777, 0);
  assert.equal(statSync(join(parent, "out/dark/one")).ino, statSync(join(parent, "out/light/two")).ino);
  assert.equal(statSync(join(parent, "out/dark"), { bigint: true }).mtimeNs, 1_600_000_000_123_456_789n);
});

test("a full disk stops it, and says so", { skip: !root }, async (t) => {
  const small = fresh();
  mkdirSync(small);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "none", small]).status !== 0) return t.skip("cannot mount");
  try {
    const revision = await commitRevision(
      it.vault,
      folder({ a: file("small"), b: file(noise(512)), c: file("never") }),
    );
    await problem(restored(revision, undefined, join(small, "out")), "no-space", /disk is full/);
    assert.deepEqual(readdirSync(join(small, "out")), ["a"]);
  } finally {
    execFileSync("umount", [small]);
  }
});

test("leaves nothing of its own behind", async () => {
  for (const name of readdirSync(it.path, { recursive: true, encoding: "utf8" }))
    assert.doesNotMatch(name, /\.bcoopfs-/);
});

/** Whole runs: which folders a revision shows, what stands for the unreadable, and what an interruption leaves. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { dirname, join, relative } from "node:path";
import { type TestContext, test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { AT_FDCWD, native } from "../../src/base/native.js";
import { rootNodes } from "../../src/capture/snapshot.js";
import { entryFlags } from "../../src/format/entry.js";
import { rootsIn } from "../../src/format/revision-fields.js";
import { allRevisions } from "../../src/vault/revisions.js";
import type { Vault } from "../../src/vault/vault.js";
import {
  asOrdinaryUser,
  atEnd,
  folderFor,
  giveAway,
  isRoot,
  mounted,
  opening,
  randomBytesOf,
  type Saved,
  save,
  settled,
  vaultAt,
} from "./given.js";

interface Given {
  readonly top: string;
  readonly src: string;
  readonly vault: Vault;
  /** paths of a revision below `top`, those above left out */
  below(saved: Saved): Promise<string[]>;
}

/** @param tree files (text) and folders (name ends in a slash), made below `src` in this order */
async function given(t: TestContext, tree: Readonly<Record<string, string>> = {}): Promise<Given> {
  const top = folderFor(t);
  const src = join(top, "src");
  mkdirSync(src);
  put(src, tree);
  const vault = await vaultAt(t, join(top, "home"));
  await settled();
  return {
    top,
    src,
    vault,
    below: async (saved) =>
      (await saved.paths())
        .filter((path) => path.startsWith(`${top}/`) && path.length > top.length + 1)
        .map((path) => path.slice(top.length + 1)),
  };
}

function put(folder: string, tree: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(tree)) {
    mkdirSync(name.endsWith("/") ? join(folder, name) : dirname(join(folder, name)), { recursive: true });
    if (!name.endsWith("/")) writeFileSync(join(folder, name), text);
  }
}

const problem = (code: string, text?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Problem, String(error));
  assert.equal(error.code, code);
  assert.doesNotMatch(error.message, /\n/);
  if (text) assert.match(error.message, text);
  return true;
};

test("roots as folders that lead to them", () => {
  const shape = (roots: string[]): string => {
    const draw = (node: ReturnType<typeof rootNodes>): string =>
      `${node.isRoot ? "*" : ""}{${[...node.children].map(([name, child]) => name + draw(child)).join(",")}}`;
    return draw(rootNodes(roots.map((root) => Buffer.from(root))));
  };
  assert.equal(shape(["/"]), "*{}");
  assert.equal(shape(["/a/b", "/"]), "*{}");
  assert.equal(shape(["/a/b/c", "/a", "/ab"]), "{a*{},ab*{}}");
  assert.equal(shape(["/a/c", "/a/b", "/a/b/x"]), "{a{c*{},b*{}}}");
  assert.equal(shape(["/a", "/a"]), "{a*{}}");
});

test("every kind of entry, with all that a restore sets", async (t) => {
  const { src, vault } = await given(t, { f: "text", "d/": "", empty: "" });
  symlinkSync("no/such/thing", join(src, "link"));
  execFileSync("mkfifo", ["-m", "620", join(src, "fifo")]);
  const server = createServer().listen(join(src, "socket"));
  await new Promise((resolve) => server.once("listening", resolve));
  atEnd(t, () => void server.close());
  if (isRoot) {
    execFileSync("mknod", ["-m", "640", join(src, "char"), "c", "5", "300"]);
    execFileSync("mknod", [join(src, "block"), "b", "259", "1048575"]);
    chownSync(join(src, "f"), 4_000_000_000, 7);
  }
  chmodSync(join(src, "d"), 0o3751);
  utimesSync(join(src, "d"), 1, 1234567.25);
  const saved = await save(vault, [src]);
  const kind = async (name: string): Promise<string> => (await saved.need(join(src, name))).kind;
  assert.deepEqual(await Promise.all(["f", "d", "empty", "link", "fifo", "socket"].map(kind)), [
    "file",
    "folder",
    "file",
    "symlink",
    "fifo",
    "socket",
  ]);
  const d = await saved.need(join(src, "d"));
  assert.deepEqual([d.mode, d.mtimeNs, d.tree], [0o3751, 1_234_567_250_000_000n, undefined]);
  assert.equal((await saved.need(join(src, "link"))).target?.toString(), "no/such/thing");
  assert.equal((await saved.need(join(src, "fifo"))).mode, 0o620);
  if (isRoot) {
    const [char, block] = [await saved.need(join(src, "char")), await saved.need(join(src, "block"))];
    assert.deepEqual([char.kind, char.major, char.minor, char.mode], ["char", 5, 300, 0o640]);
    assert.deepEqual([block.kind, block.major, block.minor], ["block", 259, 1_048_575]);
    assert.deepEqual([(await saved.need(join(src, "f"))).uid, (await saved.need(join(src, "f"))).gid], [4e9, 7]);
  }
  const { body } = saved;
  assert.deepEqual([body.files, body.others, body.bytes, body.errors], [2, isRoot ? 5 : 3, 4n, 0]);
});

test("several roots, one within another, one a single file: each at its absolute path", async (t) => {
  const { top, src, vault, below } = await given(t, {
    "one/a": "1",
    "one/deep/b": "2",
    "two/c": "3",
    "two/not": "4",
    other: "5",
  });
  const roots = ["one", "one/deep", "two/c"].map((name) => join(src, name));
  const saved = await save(vault, roots);
  assert.deepEqual(await below(saved), [
    "src/",
    "src/one/",
    "src/one/a",
    "src/one/deep/",
    "src/one/deep/b",
    "src/two/",
    "src/two/c",
  ]);
  assert.equal((await saved.bytes(join(src, "two/c"))).toString(), "3");
  assert.deepEqual([saved.body.files, saved.body.bytes, saved.body.complete], [3, 3n, true]);
  assert.deepEqual(rootsIn(saved.body.fields)?.map(String), roots);
  // Nothing changed: nothing is opened, the single file included.
  assert.deepEqual((await opening(() => save(vault, roots))).opened, []);
  assert.ok((await saved.paths()).every((path) => `${top}/`.startsWith(path) || path.startsWith(`${top}/src/`)));
});

test("folders above a root keep their own attributes and show only what leads to roots", async (t) => {
  const { top, src, vault, below } = await given(t, { "way/root/f": "x", "way/beside": "no", "way/also/": "" });
  const way = join(src, "way");
  chmodSync(way, 0o711);
  utimesSync(way, 1, 77);
  if (isRoot) chownSync(way, 123, 456);
  const saved = await save(vault, [join(way, "root")]);
  const { mode, mtimeNs, uid, gid } = await saved.need(way);
  assert.deepEqual([mode, mtimeNs], [0o711, 77_000_000_000n]);
  if (isRoot) assert.deepEqual([uid, gid], [123, 456]);
  assert.deepEqual(await below(saved), ["src/", "src/way/", "src/way/root/", "src/way/root/f"]);
  const { body } = saved;
  assert.equal(body.root.kind, "folder");
  assert.equal(body.root.mode, 0o755);
  assert.equal(body.folders, join(top, "src/way/root").split("/").length - 1);
});

test("a folder that may be passed but not listed leads to a root all the same", async (t) => {
  const { top, src, vault } = await given(t, { "closed/root/f": "x", "closed/single": "y" });
  giveAway(top);
  if (isRoot) chownSync(join(src, "closed"), 0, 0);
  chmodSync(join(src, "closed"), isRoot ? 0o711 : 0o311);
  atEnd(t, () => chmodSync(join(src, "closed"), 0o755));
  const roots = [join(src, "closed/root"), join(src, "closed/single")];
  const saved = await asOrdinaryUser(() => save(vault, roots));
  assert.deepEqual([saved.body.complete, saved.body.files], [true, 2]);
  assert.equal((await saved.bytes(join(src, "closed/root/f"))).toString(), "x");
  assert.equal((await saved.need(join(src, "closed"))).mode, isRoot ? 0o711 : 0o311);
});

test("include and exclude: an excluded folder is not entered, one on the way is kept only where it leads somewhere", async (t) => {
  const { src, vault, below } = await given(t, {
    "keep/a.txt": "",
    "keep/b.log": "",
    "node_modules/x/y.txt": "",
    "empty/none.bin": "",
    "deep/er/c.txt": "",
    "d.txt": "",
  });
  const scanned: string[] = [];
  const addon = native();
  const { openFolder } = addon;
  addon.openFolder = (at, name) => {
    scanned.push(Buffer.from(name).toString());
    return openFolder(at, name);
  };
  let saved: Saved;
  try {
    saved = await save(vault, [src], { include: ["*.txt"], exclude: ["node_modules/"] });
  } finally {
    addon.openFolder = openFolder;
  }
  assert.deepEqual(await below(saved), [
    "src/",
    "src/d.txt",
    "src/deep/",
    "src/deep/er/",
    "src/deep/er/c.txt",
    "src/keep/",
    "src/keep/a.txt",
  ]);
  assert.ok(!scanned.includes("node_modules") && !scanned.includes("x"));
  assert.ok(scanned.includes("empty"));
  assert.equal(saved.body.folders, (await saved.paths()).filter((path) => path.endsWith("/")).length);
});

test("one file system: mounts below a root are empty folders; without it they are entered", async (t) => {
  const { src, vault, below } = await given(t, { "f/": "", "disk/hidden": "under the mount" });
  if (!mounted(t, join(src, "disk"), "-t", "tmpfs", "none")) return t.skip("may not mount here");
  writeFileSync(join(src, "disk", "inside"), "on the other disk");
  const whole = await save(vault, [src]);
  assert.deepEqual(await below(whole), ["src/", "src/disk/", "src/disk/inside", "src/f/"]);
  const one = await save(vault, [src], { oneFileSystem: true });
  assert.deepEqual(await below(one), ["src/", "src/disk/", "src/f/"]);
  assert.equal(one.body.complete, true);
  // The mount itself as a root is another matter.
  const disk = await save(vault, [join(src, "disk")], { oneFileSystem: true });
  assert.deepEqual(await below(disk), ["src/", "src/disk/", "src/disk/inside"]);
  return undefined;
});

test("the home inside a root is left out, also through a bind mount; as a root it is refused", async (t) => {
  const { top, src, vault, below } = await given(t, { f: "x", "again/": "", "store/": "" });
  assert.deepEqual(await below(await save(vault, [top])), ["src/", "src/again/", "src/f", "src/store/"]);
  const bound = mounted(t, join(src, "again"), "--bind", join(top, "home"));
  if (bound) mounted(t, join(src, "store"), "--bind", join(top, "home/store"));
  const saved = await save(vault, [top]);
  assert.deepEqual(await below(saved), bound ? ["src/", "src/f"] : ["src/", "src/again/", "src/f", "src/store/"]);
  assert.equal(saved.body.complete, true);
  for (const root of [join(top, "home"), join(top, "home/store/segments")])
    await assert.rejects(save(vault, [src, root]), problem("refused", /never saved/));
});

test("an unreadable file: its earlier version stands for it, and the revision is partial", async (t) => {
  const { top, src, vault } = await given(t, { a: "first", "sub/b": "second", c: "third" });
  giveAway(top);
  await asOrdinaryUser(async () => {
    const whole = await save(vault, [src]);
    assert.equal(whole.body.complete, true);
    appendFileSync(join(src, "a"), ", changed");
    chmodSync(join(src, "a"), 0);
    await settled();
    const partial = await save(vault, [src]);
    const a = await partial.need(join(src, "a"));
    assert.deepEqual([partial.body.complete, partial.body.errors, partial.body.files], [false, 1, 3]);
    assert.deepEqual([a.flags, a.mode], [entryFlags.carriedForward, (await whole.need(join(src, "a"))).mode]);
    assert.equal((await partial.bytes(join(src, "a"))).toString(), "first");
    assert.deepEqual(partial.unread, [`${src}/a: it could not be read: permission denied (EACCES)`]);
    const report = await partial.view.read(partial.body.report, 0n, 1000);
    assert.equal(report.toString(), `${partial.unread[0]}\n`);
    // Again, from a partial one; and then it can be read.
    assert.equal((await (await save(vault, [src])).bytes(join(src, "a"))).toString(), "first");
    chmodSync(join(src, "a"), 0o600);
    const mended = await save(vault, [src]);
    assert.equal((await mended.bytes(join(src, "a"))).toString(), "first, changed");
    assert.deepEqual([mended.body.complete, (await mended.need(join(src, "a"))).flags], [true, 0]);
  });
});

test("never readable: an entry with the reason, until it can be read", async (t) => {
  const { top, src, vault } = await given(t, { a: "secret", "sub/b": "deep secret", c: "open" });
  giveAway(top);
  await asOrdinaryUser(async () => {
    chmodSync(join(src, "a"), 0);
    chmodSync(join(src, "sub"), 0);
    for (let run = 1; run <= 2; run++) {
      const saved = await save(vault, [src]);
      for (const name of ["a", "sub"]) {
        const { flags, errno, content, tree, mode } = await saved.need(join(src, name));
        assert.deepEqual([flags, errno, content, tree, mode], [entryFlags.neverReadable, 13, undefined, undefined, 0]);
      }
      assert.deepEqual([saved.body.complete, saved.body.errors, saved.body.files], [false, 2, 1]);
    }
    chmodSync(join(src, "a"), 0o600);
    chmodSync(join(src, "sub"), 0o700);
    const saved = await save(vault, [src]);
    assert.equal((await saved.bytes(join(src, "a"))).toString(), "secret");
    assert.equal((await saved.bytes(join(src, "sub/b"))).toString(), "deep secret");
    assert.equal(saved.body.complete, true);
  });
});

test("a folder that can be listed but not entered: its names are there, with the reason", async (t) => {
  const { top, src, vault } = await given(t, { "sub/b": "x", "sub/deeper/c": "y" });
  giveAway(top);
  await asOrdinaryUser(async () => {
    chmodSync(join(src, "sub"), 0o400);
    try {
      const saved = await save(vault, [src]);
      assert.equal((await saved.need(join(src, "sub/b"))).flags, entryFlags.neverReadable);
      assert.equal((await saved.need(join(src, "sub/deeper"))).errno, 13);
      assert.equal(saved.body.errors, 2);
    } finally {
      chmodSync(join(src, "sub"), 0o700);
    }
  });
});

test("an unreadable folder: all that it held is carried forward", async (t) => {
  const { top, src, vault } = await given(t, { "sub/b": "x", "sub/deeper/c": "y", d: "z" });
  giveAway(top);
  await asOrdinaryUser(async () => {
    const whole = await save(vault, [src]);
    chmodSync(join(src, "sub"), 0);
    try {
      const saved = await save(vault, [src]);
      assert.deepEqual(await saved.paths(), await whole.paths());
      assert.equal((await saved.need(join(src, "sub"))).flags, entryFlags.carriedForward);
      assert.equal((await saved.bytes(join(src, "sub/deeper/c"))).toString(), "y");
      assert.deepEqual([saved.body.complete, saved.body.errors], [false, 1]);
      const counts = ({ body }: Saved): unknown[] => [body.files, body.folders, body.others, body.bytes];
      assert.deepEqual(counts(saved), counts(whole));
      // An exclude rule says that nobody wants to hear of it.
      assert.equal((await save(vault, [src], { exclude: ["sub/"] })).body.complete, true);
    } finally {
      chmodSync(join(src, "sub"), 0o700);
    }
  });
});

test("a folder that takes another's place between the look and the opening is saved as what it is", async (t) => {
  const { src, vault } = await given(t, { "sub/old": "1", "../other/new": "2", "last/f": "3" });
  chmodSync(join(src, "sub"), 0o700);
  chmodSync(join(src, "../other"), 0o751);
  utimesSync(join(src, "../other"), 1, 77);
  const addon = native();
  const { openFolder } = addon;
  addon.openFolder = (at, name) => {
    const text = Buffer.from(name).toString();
    if (text === "sub") {
      rmSync(join(src, "sub"), { recursive: true });
      renameSync(join(src, "../other"), join(src, "sub"));
    }
    // As if our home had been moved there.
    return text === "last" ? openFolder(AT_FDCWD, Buffer.from(vault.home.path)) : openFolder(at, name);
  };
  try {
    const saved = await save(vault, [src]);
    const sub = await saved.need(join(src, "sub"));
    assert.deepEqual([sub.mode, sub.mtimeNs], [0o751, 77_000_000_000n]);
    assert.equal((await saved.bytes(join(src, "sub/new"))).toString(), "2");
    assert.equal(await saved.at(join(src, "last")), undefined);
  } finally {
    addon.openFolder = openFolder;
  }
});

test("a root that is gone is carried forward beside others; alone it is not found and nothing is saved", async (t) => {
  const { src, vault } = await given(t, { "one/a": "1", "two/b": "2" });
  const roots = [join(src, "one"), join(src, "two")];
  const whole = await save(vault, roots);
  rmSync(join(src, "two"), { recursive: true });
  const partial = await save(vault, roots);
  assert.deepEqual(await partial.paths(), await whole.paths());
  assert.equal(partial.body.complete, false);
  assert.match(partial.unread[0] ?? "", /two: it could not be read: it vanished meanwhile \(ENOENT\)/);
  const count = [...allRevisions(vault.store.catalogue)].length;
  await assert.rejects(save(vault, [join(src, "two")]), problem("not-found", /nothing was saved/));
  await assert.rejects(save(vault, [join(src, "no/such")], { name: "new" }), problem("not-found"));
  // What takes the place of a root is not followed, and what leads to one is not either.
  symlinkSync("one", join(src, "two"));
  const linked = await save(vault, roots);
  assert.match(linked.unread[0] ?? "", /became a link/);
  assert.deepEqual(await linked.paths(), await whole.paths());
  await assert.rejects(save(vault, [join(src, "two/a")], { name: "new" }), problem("not-found"));
  assert.equal([...allRevisions(vault.store.catalogue)].length, count + 1);
});

test("what vanishes between two looks was never there; what was there before is kept and told", async (t) => {
  const { src, vault } = await given(t, { "a/gone": "", b: "b", "z/": "" });
  const addon = native();
  const { openFolder } = addon;
  addon.openFolder = (at, name) => {
    if (Buffer.from(name).toString() === "z" && existsSync(join(src, "z"))) rmdirSync(join(src, "z"));
    return openFolder(at, name);
  };
  try {
    const first = await save(vault, [src]);
    assert.deepEqual([await first.at(join(src, "z")), first.body.errors, first.body.complete], [undefined, 1, false]);
    mkdirSync(join(src, "z"));
    addon.openFolder = openFolder;
    await save(vault, [src]);
  } finally {
    addon.openFolder = openFolder;
  }
});

test("counts: new bytes are unique contents, changed files those that differ", async (t) => {
  const { src, vault } = await given(t);
  const data = randomBytesOf(200_000);
  for (const name of ["a", "b"]) writeFileSync(join(src, name), data);
  await settled();
  const first = await save(vault, [src]);
  const { body } = first;
  assert.deepEqual([body.files, body.bytes, body.changedFiles, body.newBytes], [2, 400_000n, 2, 200_000n]);
  assert.ok(first.storedBytes > 200_000 && first.storedBytes < 700_000);
  assert.equal(body.storedBytes, BigInt(first.storedBytes));
  rmSync(join(src, "a"));
  writeFileSync(join(src, "c"), "new");
  await settled();
  const second = (await save(vault, [src])).body;
  assert.deepEqual([second.files, second.bytes, second.changedFiles, second.newBytes], [2, 200_003n, 1, 3n]);
});

test("a lost or damaged sheet costs a reading and stores nothing", async (t) => {
  const { top, src, vault } = await given(t, { a: "1", b: "2" });
  await save(vault, [src]);
  const stat = join(top, "home/stat");
  const [sheet] = readdirSync(stat).filter((name) => !name.includes("."));
  for (const harm of [(path: string) => rmSync(path), (path: string) => writeFileSync(path, "no sheet")]) {
    harm(join(stat, sheet as string));
    const { opened, result } = await opening(() => save(vault, [src]));
    assert.deepEqual([opened, result.body.newBytes, result.body.changedFiles], [["a", "b"], 0n, 0]);
    assert.deepEqual((await opening(() => save(vault, [src]))).opened, []);
  }
});

test("the previous revision's metadata is gone: said once, all is read and stored anew", async (t) => {
  const { top, src, vault } = await given(t, { a: "1", "sub/b": "2" });
  await save(vault, [src]);
  rmSync(join(top, "home/store/segments"), { recursive: true });
  mkdirSync(join(top, "home/store/segments"));
  const told: string[] = [];
  const saved = await save(vault, [src], { rehash: true, on: { damage: (says) => void told.push(says) } });
  assert.equal(told.length, 1);
  assert.match(told[0] ?? "", /bcoopfs check/);
  assert.deepEqual([saved.damaged, saved.body.complete], [true, true]);
  assert.equal((await saved.bytes(join(src, "sub/b"))).toString(), "2");
});

test("interrupted: what is stored stays, and the next run does not store it again", async (t) => {
  const { src, vault } = await given(t);
  const files = 12;
  for (let i = 0; i < files; i++) writeFileSync(join(src, `f${i}`), randomBytesOf(1 << 20, 100 + i));
  await settled();
  const stop = new AbortController();
  const interrupted = opening(
    () => save(vault, [src], { stop: stop.signal }),
    (name) => name === "f9" && stop.abort(),
  );
  await assert.rejects(interrupted, problem("interrupted", /next run goes on/));
  assert.equal([...allRevisions(vault.store.catalogue)].length, 0, "no revision of it is seen");
  const stored = [...vault.store.catalogue.segments()].reduce((sum, { listing }) => sum + listing.length, 0);
  assert.ok(stored >= (files - 3) << 20);
  const saved = await save(vault, [src]);
  assert.ok(saved.body.newBytes <= BigInt(4 << 20), `${saved.body.newBytes} bytes stored again`);
  assert.equal(saved.body.bytes, BigInt(files << 20));
  // Stopped before it begins.
  await assert.rejects(save(vault, [src], { stop: AbortSignal.abort() }), problem("interrupted"));
});

test("the same fileset twice at once: the second ends at once; others go on beside it", async (t) => {
  const { src, vault } = await given(t, { "a/f": "a", "b/f": "b" });
  const { result } = await opening(async () => {
    const slow = save(vault, [join(src, "a")], { name: "a" });
    const same = assert.rejects(save(vault, [join(src, "a")], { name: "a" }), problem("busy", /fileset a /));
    const other = save(vault, [join(src, "b")], { name: "b" });
    await same;
    return Promise.all([slow, other]);
  });
  assert.deepEqual(await Promise.all(result.map((saved, i) => saved.bytes(join(src, i === 0 ? "a/f" : "b/f")))), [
    Buffer.from("a"),
    Buffer.from("b"),
  ]);
  // The lock is gone with the run, also with one that failed.
  await save(vault, [join(src, "a")], { name: "a" });
  await assert.rejects(save(vault, [join(src, "none")], { name: "a" }));
  await save(vault, [join(src, "a")], { name: "a" });
});

test("times of revisions grow, whatever the clock does", async (t) => {
  const { src, vault } = await given(t, { a: "1" });
  await save(vault, [src]);
  const { system } = vault;
  await save({ ...vault, system: { ...system, now: () => 5n } }, [src]);
  await save(vault, [src]);
  const times = [...allRevisions(vault.store.catalogue)].map(({ time }) => time);
  assert.ok(times.every((time, i) => i === 0 || time > (times[i - 1] as bigint)));
});

test('"/" as a root, with all but a few folders excluded', { skip: !existsSync("/proc/self") }, async (t) => {
  const { top, src, vault, below } = await given(t, { f: "x" });
  const above = top.split("/").slice(1, -1);
  const others = new Set(["/", ...above.map((_, i) => `/${above.slice(0, i + 1).join("/")}`)]);
  const exclude = [...others].flatMap((folder) =>
    readdirSync(folder)
      .map((name) => join(folder, name))
      .filter((path) => !others.has(path) && path !== top && !/[*?[\]\\!\s]/.test(path)),
  );
  const saved = await save(vault, ["/"], { exclude });
  assert.deepEqual(await below(saved), ["src/", "src/f"]);
  assert.equal(relative(realpathSync("/"), src).startsWith(".."), false);
});

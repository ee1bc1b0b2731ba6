/** The mount as programs see it, through the kernel. The source folder is the truth that everything is held against. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { errnoOf } from "../../src/base/errors.js";
import { native } from "../../src/base/native.js";
import { realSystem } from "../../src/base/system.js";
import { entryFlags } from "../../src/format/entry.js";
import { xattrsOf } from "../../src/base/native.js";
import { numbersOf, randomOf } from "../format/given.js";
import { cannotMount, endServing, mountLog, revisionFolder, serveIn, type Serving } from "../support/mounting.js";
import { capture, folderIn, newPlace, type Place, sketch } from "../support/revision.js";

const skip = cannotMount();
const isRoot = process.getuid?.() === 0;

let place: Place;
let source: string;
let shown: string;
let serving: Serving;
let hasXattrs = true;

before(async () => {
  if (skip) return;
  place = await newPlace();
  fs.chmodSync(place.path, 0o755);
  source = folderIn(place, "source");
  makeSource(source);
  await capture(place.vault, "real", source);
  await sketch(place.vault, oddities(), { fileset: "odd", complete: true });
  serving = await serveIn(place, folderIn(place, "mnt"), "--allow-other");
  shown = join(revisionFolder(serving.point, "real"), source);
});

after(async () => {
  if (skip) return;
  await endServing(serving);
  await place.end();
});

function makeSource(at: string): void {
  const random = randomOf("mount source");
  fs.mkdirSync(join(at, "folder/deeper"), { recursive: true });
  fs.mkdirSync(join(at, "empty"));
  fs.mkdirSync(join(at, "many"));
  for (let i = 0; i < 3000; i++) fs.writeFileSync(join(at, "many", `file ${i}`), i % 7 ? "" : `${i}`);
  fs.writeFileSync(join(at, "small"), "small\n");
  fs.writeFileSync(join(at, "large"), random(3_000_000));
  fs.writeFileSync(join(at, "folder/deeper/ä \n'\"\\"), "name");
  fs.linkSync(join(at, "small"), join(at, "folder/linked"));
  fs.symlinkSync("../small", join(at, "folder/link"));
  fs.symlinkSync("/nowhere/é", join(at, "dangling"));
  const sparse = fs.openSync(join(at, "sparse"), "w");
  fs.writeSync(sparse, random(5000), 0, 5000, 0);
  fs.writeSync(sparse, random(5000), 0, 5000, 9 * 2 ** 30 + 123);
  fs.ftruncateSync(sparse, 10 * 2 ** 30);
  fs.closeSync(sparse);
  fs.chmodSync(join(at, "large"), 0o600);
  fs.chmodSync(join(at, "empty"), 0o1777);
  fs.lutimesSync(join(at, "dangling"), 1, 1_234_567_890.5);
  fs.utimesSync(join(at, "small"), 1, 1_234_567_890.123);
  fs.mkdirSync(join(at, "private"), { mode: 0o700 });
  fs.writeFileSync(join(at, "private/open"), "x", { mode: 0o644 });
  if (isRoot) {
    spawnSync("mkfifo", [join(at, "fifo")]);
    spawnSync("mknod", [join(at, "null"), "c", "1", "3"]);
    fs.lchownSync(join(at, "dangling"), 12345, 54321);
  }
  const folder = native().openFolder(-100, Buffer.from(at));
  try {
    native().setXattr(folder, Buffer.from("small"), Buffer.from("user.short"), Buffer.from("value\0\xff", "latin1"));
    native().setXattr(folder, Buffer.from("small"), Buffer.from("user.empty"), Buffer.alloc(0));
    native().setXattr(folder, Buffer.from("small"), Buffer.from("user.long"), random(2000));
  } catch {
    hasXattrs = false;
  }
  fs.closeSync(folder);
}

function oddities(): Parameters<typeof sketch>[1] {
  const text = { pieces: [Buffer.from("x")] };
  const below = {
    ok: text,
    "bad\xff": text,
    "bad\xfe": { kind: "folder" as const, below: { inside: text } },
    "\xef\xbf\xbdhonest": text,
    link: { kind: "symlink" as const, target: Buffer.from("to\xff", "latin1") },
    old: { ...text, mtimeNs: -86_400_000_000_000n },
    far: { ...text, mtimeNs: 9_000_000_000_000_000_000n },
    unread: { size: 7n, flags: entryFlags.neverReadable, errno: 13 },
    huge: { pieces: [1n << 60n] },
  };
  return { below };
}

/** Everything that stat tells and a mount should, for all below a folder. */
function digest(at: string): string[] {
  const found: string[] = [];
  const walk = (path: string): void => {
    const stat = fs.lstatSync(join(at, path));
    const kind = stat.mode & 0o170000;
    const size = stat.isDirectory() ? 0 : stat.size;
    const links = stat.isDirectory() ? 1 : stat.nlink;
    const target = stat.isSymbolicLink() ? fs.readlinkSync(join(at, path)) : "";
    const rdev = kind === 0o020000 || kind === 0o060000 ? stat.rdev : 0;
    found.push([path, stat.mode, stat.uid, stat.gid, size, links, Math.floor(stat.mtimeMs), rdev, target].join("|"));
    if (stat.isDirectory()) for (const name of fs.readdirSync(join(at, path)).sort()) walk(join(path, name));
  };
  walk(".");
  return found;
}

test("names, attributes and links are those of the source", { skip }, () => {
  assert.deepEqual(digest(shown), digest(source));
});

test("contents are those of the source", { skip }, () => {
  for (const name of ["small", "large", "folder/linked", "folder/deeper/ä \n'\"\\", "many/file 7"])
    assert.ok(fs.readFileSync(join(shown, name)).equals(fs.readFileSync(join(source, name))), name);
});

test("any stretch of a file, also across holes and beyond 2^32", { skip }, () => {
  const below = numbersOf("mount reads");
  for (const name of ["large", "sparse"]) {
    const [a, b] = [fs.openSync(join(source, name), "r"), fs.openSync(join(shown, name), "r")];
    const size = fs.fstatSync(a).size;
    for (let i = 0; i < 150; i++) {
      const near = name === "sparse" && i % 2 ? 9 * 2 ** 30 + 123 - 5000 + below(15_000) : below(size);
      const length = 1 + below(300_000);
      const [x, y] = [Buffer.alloc(length), Buffer.alloc(length, 1)];
      const read = [fs.readSync(a, x, 0, length, near), fs.readSync(b, y, 0, length, near)];
      assert.equal(read[1], read[0]);
      assert.ok(x.subarray(0, read[0]).equals(y.subarray(0, read[1])), `${name} at ${near}, ${length} bytes`);
    }
    fs.closeSync(a);
    fs.closeSync(b);
  }
});

test("a file's old and new content under two names: cp -a and rsync -H copy both right", { skip }, async () => {
  const at = folderIn(place, "torn");
  fs.mkdirSync(join(at, "d1"));
  fs.mkdirSync(join(at, "d2"));
  fs.writeFileSync(join(at, "d1/a"), "before");
  fs.linkSync(join(at, "d1/a"), join(at, "d2/a"));
  await capture(place.vault, "torn", at);
  fs.writeFileSync(join(at, "d2/a"), "after!");
  const addon = native();
  const { openFolder } = addon;
  addon.openFolder = (fd, name) => {
    if (Buffer.from(name).toString() === "d1") throw Object.assign(new Error("EACCES"), { code: "EACCES", errno: 13 });
    return openFolder(fd, name);
  };
  let id: Buffer;
  try {
    id = await capture(place.vault, "torn", at);
  } finally {
    addon.openFolder = openFolder;
  }
  const torn = join(serving.point, "ids", id.toString("hex"), at);
  assert.notEqual(fs.statSync(join(torn, "d1/a")).ino, fs.statSync(join(torn, "d2/a")).ino);
  for (const [program, ...options] of [
    ["cp", "-a"],
    ["rsync", "-aH"],
  ] as const) {
    const copy = join(folderIn(place, "copies"), program);
    const { error, status } = spawnSync(program, [...options, `${torn}/`, copy]);
    if (error) continue; // it is not installed
    assert.equal(status, 0, program);
    assert.equal(fs.readFileSync(join(copy, "d1/a"), "latin1"), "before", program);
    assert.equal(fs.readFileSync(join(copy, "d2/a"), "latin1"), "after!", program);
  }
});

test("hard links are one file, others are not", { skip }, () => {
  const ino = (path: string): number => fs.statSync(join(shown, path)).ino;
  assert.equal(ino("small"), ino("folder/linked"));
  assert.equal(new Set(["small", "large", "sparse", "folder", "empty"].map(ino)).size, 5);
  const listed = spawnSync("ls", ["-i", shown], { encoding: "utf8" }).stdout;
  assert.match(listed, new RegExp(`\\b${ino("small")} small\\b`), "as listed and as looked up");
});

test("attributes of every size come through, and a small buffer is told so", { skip }, (t) => {
  if (!hasXattrs) return t.skip("the file system of the temporary folder takes no attributes");
  const [a, b] = [source, shown].map((at) => {
    const folder = native().openFolder(-100, Buffer.from(fs.realpathSync(at)));
    const packed = native().listXattrs(folder, Buffer.from("small"));
    fs.closeSync(folder);
    return xattrsOf(packed).map(({ name, value }) => `${name}=${value.toString("hex")}`);
  });
  assert.ok((b?.length ?? 0) >= 3);
  assert.deepEqual(b?.sort(), a?.sort());
  // Python first offers 128 bytes.
  const code = `import os,sys;sys.stdout.write(os.getxattr(sys.argv[1],"user.long").hex())`;
  const python = spawnSync("python3", ["-c", code, join(shown, "small")], { encoding: "utf8" });
  if (python.error) return t.diagnostic("no python3: the small buffer was not tried");
  assert.equal(python.status, 0, python.stderr);
  assert.ok(a?.includes(`user.long=${python.stdout}`));
});

test("every way to write is refused as on any read-only file system", { skip }, () => {
  const at = (name: string): string => join(shown, name);
  const folder = native().openFolder(-100, Buffer.from(fs.realpathSync(shown)));
  const name = Buffer.from("small");
  const calls: Record<string, () => unknown> = {
    create: () => fs.openSync(at("new"), "w"),
    "create exclusive": () => fs.openSync(at("new"), "wx"),
    "open for writing": () => fs.openSync(at("small"), "r+"),
    append: () => fs.openSync(at("small"), "a"),
    truncate: () => fs.truncateSync(at("small"), 0),
    "open and truncate": () => fs.openSync(at("small"), "w"),
    mkdir: () => fs.mkdirSync(at("new")),
    rmdir: () => fs.rmdirSync(at("empty")),
    unlink: () => fs.unlinkSync(at("small")),
    rename: () => fs.renameSync(at("small"), at("new")),
    "rename over": () => fs.renameSync(at("small"), at("large")),
    link: () => fs.linkSync(at("small"), at("new")),
    symlink: () => fs.symlinkSync("x", at("new")),
    chmod: () => fs.chmodSync(at("small"), 0o777),
    chown: () => fs.chownSync(at("small"), 1, 1),
    lchown: () => fs.lchownSync(at("dangling"), 1, 1),
    utimes: () => fs.utimesSync(at("small"), 1, 1),
    lutimes: () => fs.lutimesSync(at("dangling"), 1, 1),
    mknod: () => native().makeNode(folder, Buffer.from("new"), 0o010644, 0, 0),
    setxattr: () => native().setXattr(folder, name, Buffer.from("user.x"), Buffer.from("y")),
    removexattr: () => native().removeXattr(folder, name, Buffer.from("user.short")),
    "mkdir in the list of hosts": () => fs.mkdirSync(join(serving.point, "hosts/new")),
    "unlink latest": () => fs.unlinkSync(revisionFolder(serving.point, "real")),
  };
  for (const [what, call] of Object.entries(calls)) assert.throws(call, (error) => errnoOf(error) === "EROFS", what);
  fs.closeSync(folder);
});

test("an ordinary user reads what owner and mode allow, and nothing else", {
  skip: skip || (!isRoot && "needs root"),
}, () => {
  const as = (...words: string[]): number | null =>
    spawnSync(words[0] as string, words.slice(1), { uid: 65534, gid: 65534 }).status;
  assert.equal(as("cat", join(shown, "small")), 0);
  assert.equal(as("ls", shown), 0);
  assert.notEqual(as("cat", join(shown, "large")), 0, "a file of mode 0600");
  assert.notEqual(as("ls", join(shown, "private")), 0, "a folder of mode 0700");
  assert.notEqual(as("cat", join(shown, "private/open")), 0, "a file in it");
});

test("a new revision shows without another mount, and latest leads to it", { skip }, async () => {
  const folder = join(serving.point, "hosts/box/growing");
  assert.equal(fs.existsSync(folder), false);
  const tree = folderIn(place, "growing");
  for (let i = 1; i <= 3; i++) {
    fs.writeFileSync(join(tree, "file"), `state ${i}`);
    const id = (await capture(place.vault, "growing", tree)).toString("hex");
    assert.equal(fs.readdirSync(folder).length, i + 1);
    assert.equal(fs.readFileSync(join(folder, "latest", tree, "file"), "utf8"), `state ${i}`);
    assert.equal(fs.readFileSync(join(serving.point, "ids", id, tree, "file"), "utf8"), `state ${i}`);
  }
});

test("what fuse-native cannot carry is an error, never something else", { skip }, () => {
  const odd = revisionFolder(serving.point, "odd");
  const names = fs.readdirSync(odd);
  assert.equal(names.length, 9);
  const eio = (call: () => unknown, what: string): void =>
    assert.throws(call, (error) => errnoOf(error) === "EIO", what);
  eio(() => fs.lstatSync(join(odd, "bad\ufffd")), "a name as listed");
  eio(() => fs.lstatSync(Buffer.concat([Buffer.from(`${odd}/bad`), Buffer.from([0xff])])), "a name as it is");
  eio(() => fs.readlinkSync(join(odd, "link")), "a target that is not UTF-8");
  eio(() => fs.readFileSync(join(odd, "unread")), "a file that was never read");
  assert.throws(
    () => fs.lstatSync(join(odd, "none\ufffd")),
    (error) => errnoOf(error) === "ENOENT",
  );
  assert.equal(fs.readFileSync(join(odd, "\ufffdhonest"), "utf8"), "x");
  assert.equal(fs.readFileSync(join(odd, "ok"), "utf8"), "x");
  assert.equal(fs.statSync(join(odd, "old")).mtimeMs, 0, "times before 1970 show as 1970");
  assert.equal(fs.statSync(join(odd, "far")).mtime.getUTCFullYear(), 2255);
  const huge = fs.openSync(join(odd, "huge"), "r");
  assert.equal(fs.fstatSync(huge, { bigint: true }).size, 1n << 60n);
  const zeros = Buffer.alloc(10, 1);
  assert.equal(fs.readSync(huge, zeros, 0, 10, (1n << 59n) + 4096n), 10);
  assert.deepEqual(zeros, Buffer.alloc(10));
  fs.closeSync(huge);
  assert.equal(mountLog(place).split("not UTF-8 (further").length, 2, "said once");
});

test("folders of the mount's own are read-only for everybody, and it takes no space", { skip }, () => {
  for (const name of [".", "hosts", "ids", "hosts/box", "hosts/box/real"])
    assert.equal(fs.statSync(join(serving.point, name)).mode, 0o040555, name);
  assert.deepEqual(fs.readdirSync(serving.point).sort(), ["hosts", "ids"]);
  assert.equal(Number(native().statFs(Buffer.from(serving.point)).blocks), 0);
});

test("many readers at once", { skip }, async () => {
  const whole = fs.readFileSync(join(source, "large"));
  const reads = Array.from({ length: 24 }, () => fs.promises.readFile(join(shown, "large")));
  for (const read of await Promise.all(reads)) assert.ok(read.equals(whole));
  await realSystem.turn();
});

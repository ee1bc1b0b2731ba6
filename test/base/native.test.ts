/**
 * The addon against the real system: on /tmp for what file systems of disks do, on /dev/shm for sizes and times that need
 * a memory file system. What only root may do is skipped with the reason.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { blake3 as noble } from "@noble/hashes/blake3.js";
import { AT_FDCWD, entriesOf, hasNative, native, type SystemEntry, xattrsOf } from "../../src/base/native.js";

const n = native();
const b = (text: string): Buffer => Buffer.from(text);
const self = b("");
const moduleUrl = new URL("../../src/base/native.js", import.meta.url);
const root = process.geteuid?.() === 0;
const rootOnly = root ? {} : { skip: "only root may do this" };

const { S_IFMT, S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK } = { ...fs.constants };
const typeOf = (entry: SystemEntry): number => entry.mode & S_IFMT;
const fails =
  (code: string, syscall?: string) => (error: Error & { code?: string; errno?: number; syscall?: string }) =>
    error.code === code &&
    n.errnoName(error.errno ?? 0) === code &&
    (syscall === undefined || error.syscall === syscall);

function stat(at: number, name: Uint8Array): SystemEntry {
  const [entry] = [...entriesOf(n.statAt(at, name))];
  assert(entry);
  return entry;
}

function scan(fd: number): Map<string, SystemEntry> {
  return new Map([...entriesOf(n.scanFolder(fd))].map((entry) => [entry.name.toString("latin1"), entry]));
}

function xattrs(at: number, name: Uint8Array): [string, string][] {
  return xattrsOf(n.listXattrs(at, name)).map((each) => [each.name.toString("latin1"), each.value.toString("latin1")]);
}

function make(at: number, name: Uint8Array, content: string): void {
  const fd = n.createFile(at, name, 0o644);
  n.pwrite(fd, b(content), 0n);
  fs.closeSync(fd);
}

/** Removes what a name holds, at any depth, as only descriptors can. */
function removeAll(at: number, name: Buffer): void {
  const isFolder = typeOf(stat(at, name)) === S_IFDIR;
  if (isFolder) {
    const fd = n.openFolder(at, name);
    for (const entry of entriesOf(n.scanFolder(fd))) removeAll(fd, entry.name);
    fs.closeSync(fd);
  }
  n.remove(at, name, isFolder);
}

/** Runs as an ordinary user, for what the system refuses. */
function asNobody(act: () => void): void {
  process.setegid?.(65534);
  process.seteuid?.(65534);
  try {
    act();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

/** Whether disk files here take attributes of users; a memory file system does so only since Linux 6.6. */
const userXattrs = (() => {
  const path = fs.mkdtempSync(join(tmpdir(), "native-"));
  const fd = n.openFolder(AT_FDCWD, b(path));
  try {
    n.setXattr(fd, self, b("user.probe"), b("1"));
    return {};
  } catch (error) {
    return { skip: `user attributes in ${tmpdir()}: ${(error as Error).message}` };
  } finally {
    fs.closeSync(fd);
    fs.rmdirSync(path);
  }
})();

/** A folder for each test, held open, gone afterwards. */
async function inFolder(act: (at: number, path: string) => void | Promise<void>, base = tmpdir()): Promise<void> {
  const path = fs.mkdtempSync(join(base, "native-"));
  fs.chmodSync(path, 0o755);
  const at = n.openFolder(AT_FDCWD, b(path));
  try {
    await act(at, path);
  } finally {
    for (const entry of entriesOf(n.scanFolder(at))) removeAll(at, entry.name);
    fs.closeSync(at);
    fs.rmdirSync(path);
  }
}

describe("looking", () => {
  test("a folder's records say what lstat says, for every type", () =>
    inFolder((at, path) => {
      make(at, b("file"), "content");
      n.makeFolder(at, b("folder"), 0o750);
      n.makeSymlink(at, b("link"), b("nowhere"));
      n.makeNode(at, b("fifo"), S_IFIFO | 0o600, 0, 0);
      n.makeNode(at, b("socket"), S_IFSOCK | 0o600, 0, 0);
      n.hardLink(at, b("file"), at, b("second"));
      const found = scan(at);
      assert.deepEqual([...found.keys()].sort(), ["fifo", "file", "folder", "link", "second", "socket"]);
      for (const [name, entry] of found) {
        const expected = fs.lstatSync(join(path, name), { bigint: true });
        assert.equal(entry.ino, expected.ino);
        assert.equal(entry.size, expected.size);
        assert.equal(entry.blocks, expected.blocks);
        assert.equal(entry.mtimeNs, expected.mtimeNs);
        assert.equal(entry.ctimeNs, expected.ctimeNs);
        assert.equal(BigInt(entry.mode), expected.mode);
        assert.equal(BigInt(entry.uid), expected.uid);
        assert.equal(BigInt(entry.gid), expected.gid);
        assert.equal(BigInt(entry.nlink), expected.nlink);
        assert.equal(makedev(entry.devMajor, entry.devMinor), expected.dev);
        assert.equal(entry.errno, 0);
        assert.equal(entry.xattrsFailed, false);
        assert.deepEqual({ ...stat(at, b(name)), name }, { ...entry, name });
      }
      assert.equal(stat(at, b("link")).mode & S_IFMT, S_IFLNK);
      assert.equal(stat(at, b("second")).nlink, 2);
      assert.equal(stat(at, self).ino, fs.statSync(path, { bigint: true }).ino);
      assert.deepEqual(n.readLink(at, b("link")), b("nowhere"));
      assert.throws(() => n.readLink(at, b("file")), fails("EINVAL", "readlinkat"));
      assert.throws(() => stat(at, b("absent")), fails("ENOENT", "statx"));
    }));

  test("names are raw bytes, up to 255 of them", () =>
    inFolder((at) => {
      const names = [
        Buffer.from([0xff, 0xfe, 0x80]),
        Buffer.from([0x01, 0x0a, 0x5c, 0x22]),
        Buffer.alloc(255, 0xc3),
        Buffer.alloc(8, 0x61),
        b("..."),
      ];
      for (const name of names) make(at, name, "x");
      const found = [...entriesOf(n.scanFolder(at))].map((entry) => entry.name);
      assert.deepEqual(found.sort(Buffer.compare), [...names].sort(Buffer.compare));
      for (const name of names) {
        assert.equal(stat(at, name).size, 1n);
        fs.closeSync(n.openFile(at, name));
      }
      assert.throws(() => make(at, Buffer.alloc(256, 0x61), "x"), fails("ENAMETOOLONG", "openat"));
      const target = Buffer.concat([Buffer.from([0xff, 0x2f]), Buffer.alloc(4000, 0xe9)]);
      n.makeSymlink(at, b("raw"), target);
      assert.deepEqual(n.readLink(at, b("raw")), target);
    }));

  test("a last symlink is never followed", () =>
    inFolder((at, path) => {
      n.makeFolder(at, b("folder"), 0o755);
      make(at, b("file"), "x");
      n.makeSymlink(at, b("to-folder"), b("folder"));
      n.makeSymlink(at, b("to-file"), b("file"));
      assert.throws(() => n.openFolder(at, b("to-folder")), fails("ENOTDIR", "openat"));
      assert.throws(() => n.openFolder(AT_FDCWD, b(join(path, "to-folder"))), fails("ENOTDIR"));
      assert.throws(() => n.openFile(at, b("to-file")), fails("ELOOP", "openat"));
      assert.throws(() => n.createFile(at, b("to-file"), 0o600), fails("EEXIST"));
      assert.throws(() => n.setMode(at, b("to-file"), 0o600), fails("ENOTSUP", "chmod"));
      n.setTimes(at, b("to-file"), 5n, 6);
      assert.equal(stat(at, b("to-file")).mtimeNs, 5_000_000_006n);
      assert.notEqual(stat(at, b("file")).mtimeNs, 5_000_000_006n);
      n.hardLink(at, b("to-file"), at, b("same-link"));
      assert.equal(typeOf(stat(at, b("same-link"))), S_IFLNK);
      n.remove(at, b("to-folder"), false);
      assert.equal(typeOf(stat(at, b("folder"))), S_IFDIR);
    }));

  test("opening waits for nobody, and leaves the access time alone", () =>
    inFolder((at, path) => {
      n.makeNode(at, b("fifo"), S_IFIFO | 0o600, 0, 0);
      n.makeNode(at, b("socket"), S_IFSOCK | 0o600, 0, 0);
      fs.closeSync(n.openFile(at, b("fifo")));
      assert.throws(() => n.openFile(at, b("socket")), fails("ENXIO", "openat"));
      assert.throws(() => n.openFolder(at, b("fifo")), fails("ENOTDIR"));
      make(at, b("file"), "content");
      n.setTimes(at, b("file"), 1000n, 0);
      const fd = n.openFile(at, b("file"));
      assert.equal(n.pread(fd, Buffer.alloc(7), 7, 0n), 7);
      fs.closeSync(fd);
      assert.equal(fs.statSync(join(path, "file")).atimeMs, 1_000_000);
    }));

  test("of a file of somebody else the access time cannot be spared, but it opens", rootOnly, () =>
    inFolder((at, path) => {
      make(at, b("file"), "x");
      n.makeFolder(at, b("folder"), 0o755);
      asNobody(() => {
        assert.throws(() => fs.openSync(join(path, "file"), fs.constants.O_NOATIME), { code: "EPERM" });
        fs.closeSync(n.openFile(at, b("file")));
        fs.closeSync(n.openFolder(at, b("folder")));
      });
    }),
  );

  test("an entry that cannot be looked at is listed with the reason", rootOnly, () =>
    inFolder((at) => {
      n.makeFolder(at, b("closed"), 0o755);
      const fd = n.openFolder(at, b("closed"));
      n.makeFolder(fd, b("inner"), 0o755);
      n.setMode(at, b("closed"), 0o744); // others may list it and not enter it
      asNobody(() => {
        const entry = scan(fd).get("inner");
        assert(entry);
        assert.equal(n.errnoName(entry.errno), "EACCES");
        assert.equal(typeOf(entry), S_IFDIR);
        assert.notEqual(entry.ino, 0n);
      });
      fs.closeSync(fd);
    }),
  );

  test("a large folder is scanned whole, again from its start, and in parts", () =>
    inFolder((at) => {
      const names = Array.from({ length: 3000 }, (_, i) => `entry-${i}-${"x".repeat(i % 180)}`);
      for (const name of names) make(at, b(name), "");
      const whole = scan(at);
      assert.deepEqual([...whole.keys()].sort(), [...names].sort());
      assert.deepEqual([...scan(at).keys()], [...whole.keys()]);
      const parted: string[] = [];
      let parts = 0;
      for (let part = n.scanPart(at, true, 1); part.length > 0; part = n.scanPart(at, false, 1), parts++) {
        assert(part.length < 300_000);
        for (const entry of entriesOf(part)) parted.push(entry.name.toString("latin1"));
      }
      assert(parts > 1);
      assert.deepEqual(parted, [...whole.keys()]);
    }));

  test("entries that vanish meanwhile are left out and nothing fails", () =>
    inFolder(async (at, path) => {
      for (let i = 0; i < 50; i++) make(at, b(`stays-${i}`), "");
      const churn = `const fs = require("node:fs"); const end = Date.now() + 400; fs.writeSync(1, "on");
        while (Date.now() < end) {
          for (let i = 0; i < 50; i++) fs.writeFileSync("comes-and-goes-" + i, "");
          for (let i = 0; i < 50; i++) fs.unlinkSync("comes-and-goes-" + i);
        }`;
      const child = spawn(process.execPath, ["-e", churn], { cwd: path, stdio: ["ignore", "pipe", "inherit"] });
      const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
      await new Promise((resolve) => child.stdout.once("data", resolve));
      for (let i = 0; i < 300; i++) {
        const found = [...entriesOf(n.scanFolder(at))];
        assert(found.every((entry) => entry.errno === 0));
        assert.equal(found.filter((entry) => entry.name.toString().startsWith("stays")).length, 50);
      }
      assert.equal(await ended, 0);
    }));

  test("an empty folder, a removed folder, and one deeper than any path", userXattrs, () =>
    inFolder((at) => {
      const name = Buffer.alloc(200, 0x64);
      let fd = at;
      for (let depth = 0; depth < 30; depth++) {
        n.makeFolder(fd, name, 0o755);
        const inner = n.openFolder(fd, name);
        if (fd !== at) fs.closeSync(fd);
        fd = inner;
      }
      assert.equal(n.scanFolder(fd).length, 0);
      make(fd, b("deep"), "x");
      n.setXattr(fd, b("deep"), b("user.k"), b("v"));
      assert.equal(scan(fd).get("deep")?.hasXattrs, true);
      assert.deepEqual(xattrs(fd, b("deep")), [["user.k", "v"]]);
      n.setMode(fd, b("deep"), 0o640);
      assert.equal(stat(fd, b("deep")).mode, S_IFREG | 0o640);
      fs.closeSync(fd);

      n.makeFolder(at, b("gone"), 0o755);
      const gone = n.openFolder(at, b("gone"));
      n.remove(at, b("gone"), true);
      assert.throws(() => n.scanFolder(gone), fails("ENOENT", "getdents64"));
      assert.equal(stat(gone, self).nlink, 0);
      fs.closeSync(gone);
      assert.throws(() => n.scanFolder(gone), fails("EBADF"));
    }),
  );
});

describe("extended attributes", () => {
  test("come back whole and in the order of their bytes", userXattrs, () =>
    inFolder((at) => {
      make(at, b("file"), "x");
      assert.equal(n.listXattrs(at, b("file")).length, 0);
      assert.equal(stat(at, b("file")).hasXattrs, false);
      const long = "v".repeat(1500);
      const raw = Buffer.from([0x75, 0x73, 0x65, 0x72, 0x2e, 0xff, 0x80]); // "user." and bytes that are not UTF-8
      n.setXattr(at, b("file"), raw, Buffer.from([0, 1, 0xff]));
      n.setXattr(at, b("file"), b("user.b"), b(long));
      n.setXattr(at, b("file"), b("user.a"), b("old"));
      n.setXattr(at, b("file"), b("user.a"), b(""));
      const expected = [
        ["user.a", ""],
        ["user.b", long],
        ["user.\xff\x80", "\x00\x01\xff"],
      ];
      assert.deepEqual(xattrs(at, b("file")), expected);
      assert.equal(stat(at, b("file")).hasXattrs, true);
      const fd = n.openFile(at, b("file"));
      assert.deepEqual(xattrs(fd, self), expected);
      assert.equal(stat(fd, self).hasXattrs, true);
      n.removeXattr(fd, self, raw);
      n.removeXattr(at, b("file"), b("user.b"));
      assert.deepEqual(xattrs(at, b("file")), [["user.a", ""]]);
      assert.throws(() => n.removeXattr(at, b("file"), b("user.b")), fails("ENODATA", "lremovexattr"));
      fs.closeSync(fd);
      n.setXattr(at, self, b("user.folder"), b("own"));
      assert.deepEqual(xattrs(at, self), [["user.folder", "own"]]);
      assert.throws(() => n.listXattrs(at, b("absent")), fails("ENOENT", "llistxattr"));
    }),
  );

  test("a value of 64 KiB", (t) =>
    inFolder((at) => {
      make(at, b("file"), "x");
      const value = Buffer.alloc(65536, 0x2a);
      try {
        n.setXattr(at, b("file"), b("user.big"), value);
      } catch (error) {
        return t.skip(`/dev/shm takes none: ${(error as Error).message}`);
      }
      assert.deepEqual(xattrsOf(n.listXattrs(at, b("file"))), [{ name: b("user.big"), value }]);
    }, "/dev/shm"));

  test("on symlinks, fifos, sockets and closed files", rootOnly, () =>
    inFolder((at) => {
      make(at, b("file"), "x");
      n.setMode(at, b("file"), 0);
      n.makeSymlink(at, b("link"), b("file"));
      n.makeNode(at, b("fifo"), S_IFIFO | 0o600, 0, 0);
      n.makeNode(at, b("socket"), S_IFSOCK | 0o600, 0, 0);
      for (const name of ["link", "fifo", "socket", "file"]) {
        n.setXattr(at, b(name), b("trusted.of"), b(name));
        assert.deepEqual(xattrs(at, b(name)), [["trusted.of", name]]);
        assert.equal(scan(at).get(name)?.hasXattrs, true);
      }
      asNobody(() => {
        // trusted.* is not shown to everybody
        assert.equal(n.listXattrs(at, b("link")).length, 0);
        assert.equal(scan(at).get("link")?.hasXattrs, false);
      });
      n.removeXattr(at, b("link"), b("trusted.of"));
      assert.equal(n.listXattrs(at, b("link")).length, 0);
      assert.equal(n.listXattrs(at, b("file")).length > 0, true);
      n.setXattr(at, b("file"), b("user.k"), b("v"));
      asNobody(() => {
        assert.equal(stat(at, b("file")).hasXattrs, true);
        assert.throws(() => n.listXattrs(at, b("file")), fails("EACCES", "lgetxattr"));
      });
    }),
  );

  test("of a descriptor that may only name its object", rootOnly, () =>
    inFolder((at, path) => {
      n.makeSymlink(at, b("link"), b("nowhere"));
      n.setXattr(at, b("link"), b("trusted.k"), b("v"));
      const fd = fs.openSync(join(path, "link"), O_PATH | fs.constants.O_NOFOLLOW);
      assert.deepEqual(xattrs(fd, self), [["trusted.k", "v"]]);
      assert.equal(stat(fd, self).hasXattrs, true);
      n.setTimes(fd, self, 7n, 8);
      assert.equal(stat(at, b("link")).mtimeNs, 7_000_000_008n);
      n.setOwner(fd, self, 12, 13);
      assert.deepEqual([stat(fd, self).uid, stat(fd, self).gid], [12, 13]);
      assert.throws(() => n.setMode(fd, self, 0o600), fails("ENOTSUP"));
      fs.closeSync(fd);
    }),
  );

  test("are none where the file system has none", () => {
    const proc = n.openFolder(AT_FDCWD, b("/proc"));
    assert.equal(n.listXattrs(proc, b("version")).length, 0);
    assert.equal(stat(proc, b("version")).xattrsFailed, false);
    fs.closeSync(proc);
  });
});

describe("content", () => {
  test("holes are told apart from data", () =>
    inFolder((at) => {
      const fd = n.createFile(at, b("sparse"), 0o600);
      n.truncate(fd, 4n << 20n);
      assert.equal(n.nextData(fd, 0n), null);
      n.pwrite(fd, Buffer.alloc(65536, 1), 1n << 20n);
      n.pwrite(fd, Buffer.alloc(65536, 2), 3n << 20n);
      const ranges: bigint[] = [];
      for (let at = 0n; ; ) {
        const range = n.nextData(fd, at);
        if (range === null) break;
        ranges.push(...range);
        at = range[1]!;
      }
      assert.deepEqual(ranges, [1n << 20n, (1n << 20n) + 65536n, 3n << 20n, (3n << 20n) + 65536n]);
      assert.deepEqual([...n.nextData(fd, (1n << 20n) + 7n)!], [(1n << 20n) + 7n, (1n << 20n) + 65536n]);
      assert.equal(n.nextData(fd, 4n << 20n), null);
      n.adviseDontNeed(fd, 0n, 0n);
      assert.equal(stat(fd, self).size, 4n << 20n);
      fs.closeSync(fd);
    }));

  test("without holes to ask for, all counts as data", () => {
    const fd = fs.openSync("/proc/self/mountinfo", "r"); // answers EINVAL, and has a size of 0
    assert.equal(n.nextData(fd, 0n), null);
    fs.closeSync(fd);
    assert.throws(() => n.nextData(fd, 0n), fails("EBADF", "lseek"));
  });

  test("is read and written at a place", () =>
    inFolder((at) => {
      const fd = n.createFile(at, b("file"), 0o600);
      assert.equal(n.pwrite(fd, b("0123456789"), 0n), 10);
      assert.equal(n.pwrite(fd, b("ab"), 4n), 2);
      assert.equal(n.pwrite(fd, b(""), 4n), 0);
      const buffer = Buffer.alloc(6, 0x2e);
      assert.equal(n.pread(fd, buffer, 6, 2n), 6);
      assert.equal(buffer.toString(), "23ab67");
      assert.equal(n.pread(fd, buffer.subarray(1), 3, 8n), 2);
      assert.equal(buffer.toString(), "289b67");
      assert.equal(n.pread(fd, buffer, 1000, 0n), 6, "no more than the buffer holds");
      assert.equal(n.pread(fd, buffer, 6, 10n), 0);
      n.truncate(fd, 3n);
      assert.equal(stat(fd, self).size, 3n);
      assert.throws(() => n.pread(fd, buffer, 6, -1n), fails("EINVAL", "pread"));
      assert.throws(() => n.truncate(fd, -1n), fails("EINVAL", "ftruncate"));
      const read = n.openFile(at, b("file"));
      assert.throws(() => n.pwrite(read, b("x"), 0n), fails("EBADF", "pwrite"));
      assert.throws(() => n.pread(at, buffer, 6, 0n), fails("EISDIR", "pread"));
      fs.closeSync(read);
      fs.closeSync(fd);
    }));

  test("lies beyond 2^53 without loss", () =>
    inFolder((at) => {
      const fd = n.createFile(at, b("huge"), 0o600);
      const far = (1n << 60n) + 4097n;
      n.pwrite(fd, b("far"), far);
      assert.equal(stat(at, b("huge")).size, far + 3n);
      assert.equal(scan(at).get("huge")?.size, far + 3n);
      const range = n.nextData(fd, 0n);
      assert(range);
      assert(range[0]! > 1n << 59n && range[0]! <= far && range[1] === far + 3n);
      const buffer = Buffer.alloc(8);
      assert.equal(n.pread(fd, buffer, 8, far), 3);
      assert.equal(buffer.toString("latin1", 0, 3), "far");
      n.truncate(fd, (1n << 62n) + 1n);
      assert.equal(stat(fd, self).size, (1n << 62n) + 1n);
      fs.closeSync(fd);
    }, "/dev/shm"));
});

describe("making", () => {
  test("renames, links and removals", () =>
    inFolder((at) => {
      n.makeFolder(at, b("one"), 0o700);
      n.makeFolder(at, b("two"), 0o700);
      const one = n.openFolder(at, b("one"));
      const two = n.openFolder(at, b("two"));
      make(one, b("f"), "1");
      make(two, b("g"), "22");
      n.rename(one, b("f"), two, b("g"));
      assert.equal(stat(two, b("g")).size, 1n);
      assert.equal(scan(one).size, 0);
      n.hardLink(two, b("g"), one, b("h"));
      assert.equal(stat(one, b("h")).ino, stat(two, b("g")).ino);
      assert.throws(() => n.hardLink(two, b("g"), one, b("h")), fails("EEXIST", "linkat"));
      assert.throws(() => n.makeFolder(at, b("one"), 0o700), fails("EEXIST", "mkdirat"));
      assert.throws(() => n.remove(at, b("one"), true), fails("ENOTEMPTY", "unlinkat"));
      assert.throws(() => n.remove(at, b("one"), false), fails("EISDIR", "unlinkat"));
      assert.throws(() => n.remove(one, b("h"), true), fails("ENOTDIR", "unlinkat"));
      assert.throws(() => n.rename(one, b("absent"), two, b("x")), fails("ENOENT", "renameat"));
      assert.throws(() => n.makeSymlink(at, b("one"), b("x")), fails("EEXIST", "symlinkat"));
      assert.throws(() => n.makeNode(at, b("one"), S_IFIFO, 0, 0), fails("EEXIST", "mknodat"));
      fs.closeSync(one);
      fs.closeSync(two);
    }));

  test("devices keep their numbers", rootOnly, () =>
    inFolder((at) => {
      n.makeNode(at, b("char"), S_IFCHR | 0o600, 300, 70_000);
      n.makeNode(at, b("block"), S_IFBLK | 0o600, 7, 1);
      const { char, block } = Object.fromEntries(scan(at));
      assert(char && block);
      assert.deepEqual([typeOf(char), char.rdevMajor, char.rdevMinor], [S_IFCHR, 300, 70_000]);
      assert.deepEqual([typeOf(block), block.rdevMajor, block.rdevMinor], [S_IFBLK, 7, 1]);
    }),
  );

  test("modes are exact, on anything but a symlink", () =>
    inFolder((at) => {
      make(at, b("file"), "x");
      n.makeNode(at, b("fifo"), S_IFIFO | 0o600, 0, 0);
      n.makeNode(at, b("socket"), S_IFSOCK | 0o600, 0, 0);
      n.makeFolder(at, b("folder"), 0o700);
      for (const name of ["file", "fifo", "socket", "folder"])
        for (const mode of [0o4751, 0o2070, 0o1777, 0]) {
          n.setMode(at, b(name), mode);
          assert.equal(stat(at, b(name)).mode & 0o7777, mode, `${name} ${mode.toString(8)}`);
        }
      n.setMode(at, b("folder"), 0o700); // or an ordinary user could not remove it
      n.setMode(at, b("file"), 0o600);
      const fd = n.openFile(at, b("file"));
      n.setMode(fd, self, 0o444);
      assert.equal(stat(fd, self).mode & 0o7777, 0o444);
      fs.closeSync(fd);
      assert.throws(() => n.setMode(at, b("absent"), 0), fails("ENOENT", "chmod"));
    }));

  test("owners, a symlink's own too", rootOnly, () =>
    inFolder((at) => {
      make(at, b("file"), "x");
      n.makeSymlink(at, b("link"), b("file"));
      n.setOwner(at, b("link"), 1234, 4_000_000_000);
      assert.deepEqual([stat(at, b("link")).uid, stat(at, b("link")).gid], [1234, 4_000_000_000]);
      assert.deepEqual([stat(at, b("file")).uid, stat(at, b("file")).gid], [0, process.getegid?.()]);
      const fd = n.openFile(at, b("file"));
      n.setOwner(fd, self, 77, 0xffffffff);
      assert.deepEqual([stat(fd, self).uid, stat(fd, self).gid], [77, process.getegid?.()]);
      fs.closeSync(fd);
      asNobody(() => assert.throws(() => n.setOwner(at, b("file"), 65534, 65534), fails("EPERM", "fchownat")));
    }),
  );

  test("times before 1970 and after 2262, to the nanosecond", async () => {
    const times = (seconds: bigint[]) => (at: number) => {
      make(at, b("file"), "x");
      const fd = n.openFile(at, b("file"));
      for (const second of seconds)
        for (const [target, name] of [
          [at, b("file")],
          [fd, self],
        ] as const)
          for (const ns of [0, 1, 999_999_999]) {
            n.setTimes(target, name, second, ns);
            assert.equal(stat(at, b("file")).mtimeNs, second * 1_000_000_000n + BigInt(ns));
            assert.equal(scan(at).get("file")?.mtimeNs, second * 1_000_000_000n + BigInt(ns));
          }
      fs.closeSync(fd);
    };
    await inFolder(times([0n, -1n, -2_000_000_000n, 10_413_792_000n])); // 1906, 2300
    await inFolder(times([-(1n << 40n), 1n << 40n]), "/dev/shm");
  });
});

describe("locks", () => {
  const inChild = (path: string, body: string) =>
    spawn(
      process.execPath,
      [
        "--input-type=module",
        "-e",
        `import { native } from ${JSON.stringify(moduleUrl.href)}; import fs from "node:fs";
         const n = native(), fd = fs.openSync(${JSON.stringify(path)}, "r+"), say = (x) => fs.writeSync(1, x + "\\n");
         ${body}`,
      ],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
  const word = (child: ReturnType<typeof inChild>) =>
    new Promise<string>((resolve) => child.stdout.once("data", (data: Buffer) => resolve(data.toString().trim())));
  const end = (child: ReturnType<typeof inChild>) => new Promise((resolve) => child.once("close", resolve));

  test("between two descriptors of one process", () =>
    inFolder((at, path) => {
      const first = n.createFile(at, b("lock"), 0o600);
      const second = fs.openSync(join(path, "lock"), "r+");
      const readOnly = n.openFile(at, b("lock"));
      assert.equal(n.lock(first, true, false), true);
      assert.equal(n.lock(first, true, false), true, "again by the same open file");
      assert.equal(n.lock(second, true, false), false);
      assert.equal(n.lock(readOnly, false, false), false);
      n.unlock(first);
      assert.equal(n.lock(readOnly, false, false), true);
      assert.equal(n.lock(second, false, true), true);
      assert.equal(n.lock(first, true, false), false);
      assert.throws(() => n.lock(readOnly, true, false), fails("EBADF", "fcntl"));
      fs.closeSync(readOnly);
      fs.closeSync(second);
      assert.equal(n.lock(first, true, false), true);
      fs.closeSync(first);
    }));

  test("between processes: refused, waited for, and gone with a killed holder", () =>
    inFolder(async (at, path) => {
      const fd = n.createFile(at, b("lock"), 0o600);
      assert.equal(n.lock(fd, true, false), true);

      const tries = inChild(join(path, "lock"), "say(n.lock(fd, true, false));");
      assert.equal(await word(tries), "false");

      const waits = inChild(
        join(path, "lock"),
        `say("waiting"); n.lock(fd, true, true); say("got"); setInterval(() => {}, 1000);`,
      );
      assert.equal(await word(waits), "waiting");
      const got = word(waits);
      n.unlock(fd);
      assert.equal(await got, "got");
      assert.equal(n.lock(fd, false, false), false);
      waits.kill("SIGKILL");
      await end(waits);
      assert.equal(n.lock(fd, true, false), true);
      fs.closeSync(fd);
    }));
});

describe("file systems", () => {
  test("space is what statfs says", () => {
    const ours = n.statFs(b("/dev/shm"));
    const nodes = fs.statfsSync("/dev/shm", { bigint: true });
    assert.equal(BigInt(ours.type), nodes.type);
    assert.equal(ours.type, 0x01021994);
    assert.equal(ours.blockSize, nodes.bsize);
    assert.equal(ours.blocks, nodes.blocks);
    assert.equal(ours.files, nodes.files);
    assert(ours.free <= ours.blocks && ours.available <= ours.free && ours.filesFree <= ours.files);
    assert.throws(() => n.statFs(b("/absent/path")), fails("ENOENT", "statfs"));
  });

  test("a file system is synced by any descriptor on it; a bad one fails", () =>
    inFolder(async (at) => {
      const fd = n.createFile(at, b("f"), 0o600);
      n.pwrite(fd, b("x"), 0n);
      assert.equal(await n.syncFs(fd), undefined);
      assert.equal(await n.syncFs(at), undefined);
      fs.closeSync(fd);
      await assert.rejects(n.syncFs(fd), fails("EBADF", "syncfs"));
    }));

  test("a mount is detached while in use; a link to it is not followed", rootOnly, (t) =>
    inFolder((at, path) => {
      n.makeFolder(at, b("mount"), 0o755);
      const mount = join(path, "mount");
      if (spawnSync("mount", ["-t", "tmpfs", "none", mount]).status !== 0)
        return t.skip("mounting is not allowed here");
      n.makeSymlink(at, b("link"), b("mount"));
      const inside = n.openFolder(at, b("mount"));
      assert.throws(() => n.detachMount(b(join(path, "link"))), fails("EINVAL", "umount2"));
      n.detachMount(b(mount));
      fs.closeSync(inside);
      assert.equal(stat(at, b("mount")).devMinor, stat(at, self).devMinor);
      assert.throws(() => n.detachMount(b(mount)), fails("EINVAL", "umount2"));
    }),
  );

  test("errors have their names", () => {
    assert.equal(n.errnoName(2), "ENOENT");
    assert.equal(n.errnoName(95), "ENOTSUP");
    assert.equal(n.errnoName(117), "EUCLEAN");
    assert.equal(n.errnoName(4000), "E4000");
    assert.throws(() => n.openFile(999_999, b("x")), {
      code: "EBADF",
      errno: 9,
      syscall: "openat",
      message: /^EBADF: /,
    });
  });
});

describe("the door", () => {
  test("lets no name leave its folder", () =>
    inFolder((at) => {
      for (const name of ["a/b", "/", "..", ".", "a\0b", "\0"]) {
        assert.throws(() => n.openFile(at, b(name)), RangeError, JSON.stringify(name));
        assert.throws(() => n.openFolder(at, b(name)), RangeError);
        assert.throws(() => n.statAt(at, b(name)), RangeError);
        assert.throws(() => n.rename(at, b("x"), at, b(name)), RangeError);
        assert.throws(() => n.hardLink(at, b(name), at, b("x")), RangeError);
        assert.throws(() => n.listXattrs(at, b(name)), RangeError);
      }
      for (const act of [
        () => n.openFile(at, self),
        () => n.createFile(at, self, 0o600),
        () => n.remove(at, self, true),
        () => n.openFile(AT_FDCWD, b("/etc/passwd")),
        () => n.statAt(AT_FDCWD, b("etc")),
        () => n.makeSymlink(at, b("x"), b("a\0b")),
        () => n.setXattr(at, b("x"), b("user.a\0b"), b("")),
        () => n.setTimes(at, self, 0n, 1e9),
        () => n.setTimes(at, self, 0n, 0x3fffffff),
        () => n.setTimes(at, self, 0n, Number.NaN),
        () => n.statFs(b("/tmp\0")),
        () => n.detachMount(b("relative")),
        () => n.blake3(self, Buffer.alloc(31)),
        () => n.blake3Leaves(self, null, 1n),
      ])
        assert.throws(act, RangeError, act.toString());
      for (const path of ["", "tmp", "/tmp/", "/tmp/.", "/tmp//x", "//", "/tmp/../etc"])
        assert.throws(() => n.openFolder(AT_FDCWD, b(path)), RangeError, path);
      fs.closeSync(n.openFolder(AT_FDCWD, b("/")));
      const anew = n.openFolder(at, self);
      assert.equal(stat(anew, self).ino, stat(at, self).ino);
      fs.closeSync(anew);
    }));

  test("wrong types are errors, not crashes", () => {
    const loose = n as unknown as Record<string, (...args: unknown[]) => unknown>;
    for (const [name, ...args] of [
      ["openFile", "0", b("x")],
      ["scanFolder", undefined],
      ["pread", 0, "text", 1, 0n],
      ["pread", 0, b("x"), 1, 0],
      ["pread", 0, b("x"), 1, 1n << 63n],
      ["pwrite", 0, {}, 0n],
      ["truncate", 0, 5],
      ["lock", 0, 1, 1],
      ["lock"],
      ["errnoName", "x"],
      ["blake3", [1, 2, 3], null],
      ["blake3Leaves", b("x"), null, -64n],
    ] as const)
      assert.throws(() => loose[name]!(...args), TypeError, name);
  });

  test("says what to do where the addon is missing", () =>
    inFolder((_, path) => {
      const base = join(path, "dist/src/base");
      fs.mkdirSync(base, { recursive: true });
      fs.writeFileSync(join(path, "package.json"), `{"type":"module"}`);
      for (const file of ["native.js", "errors.js"]) fs.copyFileSync(new URL(file, moduleUrl), join(base, file));
      const script = `import { hasNative, native } from ${JSON.stringify(join(base, "native.js"))};
        try { native(); } catch (e) { console.log(hasNative(), e.name, e.code, e.message); }`;
      const child = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
      assert.match(child.stdout, /^false Problem unsupported .*bin\/setup\n$/);
      assert.equal(hasNative(), true);
    }));
});

describe("BLAKE3", () => {
  const key = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7 + 1));
  const data = Buffer.alloc(1_300_000);
  const levels = [0, 1, 2, 3].filter((level) => n.setLevel(level));
  const best = levels.at(-1) ?? 0;
  before(() => {
    for (let i = 0, x = 1; i < data.length; i++) {
      x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
      data[i] = x >>> 24;
    }
  });
  after(() => void n.setLevel(best));

  test("levels: those of the processor, no others", () => {
    assert.deepEqual(
      levels,
      levels.map((_, i) => i),
    );
    for (const level of [-1, 4, best + 1, 99]) assert.equal(n.setLevel(level), false);
    for (const level of levels) {
      assert.equal(n.setLevel(level), true);
      assert.equal(n.level(), level);
    }
  });

  test("agrees with the reference at every length, key and level", () => {
    const lengths = [0, 1, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, data.length];
    for (let chunks = 2; chunks <= 40; chunks++) lengths.push(chunks * 1024 - 1, chunks * 1024, chunks * 1024 + 77);
    for (let groups = 1; groups <= 5; groups++) lengths.push(groups * 65536 - 1, groups * 65536, groups * 65536 + 1);
    lengths.push(65 * 1024, 127 * 1024, 64 * 65536 - 3_000_000, 1_048_576, 1_048_577);
    for (const length of lengths)
      for (const by of [null, key]) {
        const input = data.subarray(0, length);
        const expected = Buffer.from(by === null ? noble(input) : noble(input, { key: by }));
        for (const level of levels) {
          n.setLevel(level);
          assert.deepEqual(n.blake3(input, by), expected, `length ${length}, level ${level}`);
        }
      }
  });

  test("leaves are the subtrees of the specification and join to the root", () => {
    for (const by of [null, key])
      for (const length of [1, 1024, 65535, 65536, 65537, 200_000, 6 * 65536, 9 * 65536 + 5000]) {
        const input = data.subarray(0, length);
        const naive = Buffer.concat(
          Array.from({ length: Math.ceil(length / 65536) }, (_, i) =>
            bytes(subtree(input.subarray(i * 65536, (i + 1) * 65536), by, BigInt(i * 64), 0)),
          ),
        );
        for (const level of levels) {
          n.setLevel(level);
          const leaves = n.blake3Leaves(input, by, 0n);
          assert.deepEqual(leaves, naive, `length ${length}, level ${level}`);
          if (length > 65536) assert.deepEqual(joined(leaves, by, ROOT), n.blake3(input, by));
          if (length > 131072) assert.deepEqual(n.blake3Leaves(input.subarray(131072), by, 128n), leaves.subarray(64));
        }
        assert.deepEqual(bytes(subtree(input, by, 0n, ROOT)), n.blake3(input, by), "the naive tree itself");
      }
    const late = (1n << 42n) + (1n << 32n) - 64n; // the counter's low word overflows within the input
    for (const level of levels) {
      n.setLevel(level);
      const expected = [
        bytes(subtree(data.subarray(0, 65536), key, late, 0)),
        bytes(subtree(data.subarray(65536, 70_000), key, late + 64n, 0)),
      ];
      assert.deepEqual(n.blake3Leaves(data.subarray(0, 70_000), key, late), Buffer.concat(expected));
    }
    assert.equal(n.blake3Leaves(data.subarray(0, 0), null, 0n).length, 0);
  });
});

// BLAKE3 as its specification is written, one chunk after the other.
const IV = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const COLUMNS = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15];
const DIAGONALS = [0, 5, 10, 15, 1, 6, 11, 12, 2, 7, 8, 13, 3, 4, 9, 14];
const [START, END, PARENT, ROOT, KEYED] = [1, 2, 4, 8, 16] as const;

function compress(value: number[], block: Uint8Array, counter: bigint, flags: number): number[] {
  let m = words(Buffer.concat([block, Buffer.alloc(64 - block.length)]));
  const counts = [Number(counter & 0xffffffffn), Number(counter >> 32n)];
  const v = Uint32Array.from([...value, ...IV.slice(0, 4), ...counts, block.length, flags]);
  const turn = (x: number, bits: number) => (x >>> bits) | (x << (32 - bits));
  const half = (i: readonly number[], word: number, first: number, second: number): void => {
    const [a, b, c, d] = i as [number, number, number, number];
    v[a] = v[a]! + v[b]! + word;
    v[d] = turn(v[d]! ^ v[a]!, first);
    v[c] = v[c]! + v[d]!;
    v[b] = turn(v[b]! ^ v[c]!, second);
  };
  for (let round = 0; round < 7; round++) {
    [COLUMNS, DIAGONALS].forEach((order, which) => {
      for (let g = 0; g < 4; g++) {
        half(order.slice(4 * g, 4 * g + 4), m[8 * which + 2 * g]!, 16, 12);
        half(order.slice(4 * g, 4 * g + 4), m[8 * which + 2 * g + 1]!, 8, 7);
      }
    });
    m = PERMUTATION.map((from) => m[from]!);
  }
  return value.map((_, i) => (v[i]! ^ v[i + 8]!) >>> 0);
}

function subtree(data: Uint8Array, key: Uint8Array | null, counter: bigint, root: number): number[] {
  const mode = key === null ? 0 : KEYED;
  const start = key === null ? IV : words(key);
  if (data.length <= 1024) {
    let value = start;
    for (let at = 0; at === 0 || at < data.length; at += 64) {
      const last = at + 64 >= data.length ? END | root : 0;
      value = compress(
        value,
        data.subarray(at, Math.min(at + 64, data.length)),
        counter,
        mode | (at === 0 ? START : 0) | last,
      );
    }
    return value;
  }
  let left = 1024;
  while (left * 2 < data.length) left *= 2;
  const children = [
    bytes(subtree(data.subarray(0, left), key, counter, 0)),
    bytes(subtree(data.subarray(left), key, counter + BigInt(left / 1024), 0)),
  ];
  return compress(start, Buffer.concat(children), 0n, mode | PARENT | root);
}

/** Leaves joined to the value of the tree above them. */
function joined(leaves: Buffer, key: Uint8Array | null, root: number): Buffer {
  if (leaves.length === 32) return leaves;
  let left = 32;
  while (left * 2 < leaves.length) left *= 2;
  const children = Buffer.concat([joined(leaves.subarray(0, left), key, 0), joined(leaves.subarray(left), key, 0)]);
  return bytes(compress(key === null ? IV : words(key), children, 0n, (key === null ? 0 : KEYED) | PARENT | root));
}

function words(data: Uint8Array): number[] {
  return Array.from({ length: data.length / 4 }, (_, i) => Buffer.from(data).readUInt32LE(4 * i));
}

function bytes(value: number[]): Buffer {
  const out = Buffer.alloc(32);
  value.forEach((word, i) => {
    out.writeUInt32LE(word, 4 * i);
  });
  return out;
}

const O_PATH = 0o10000000; // Node has no name for it

/** dev_t as the C library packs it. */
function makedev(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & ~0xfffn) << 32n) | ((low & ~0xffn) << 12n) | ((high & 0xfffn) << 8n) | (low & 0xffn);
}

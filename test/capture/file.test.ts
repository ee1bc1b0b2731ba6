/** One file: read or not, linked or not, and whatever happens to it meanwhile. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AT_FDCWD, native } from "../../src/base/native.js";
import { isSettled } from "../../src/capture/file.js";
import { type Entry, entryFlags } from "../../src/format/entry.js";
import type { Vault } from "../../src/vault/vault.js";
import {
  atEnd,
  folderFor,
  full,
  has,
  isRoot,
  mounted,
  opening,
  randomBytesOf,
  reading,
  type Saved,
  save,
  settled,
  vaultAt,
} from "./given.js";

async function given(t: TestContext): Promise<{ top: string; src: string; vault: Vault }> {
  const top = folderFor(t);
  const src = join(top, "src");
  mkdirSync(src);
  return { top, src, vault: await vaultAt(t, join(top, "home")) };
}

const data = randomBytesOf(300_000);

test("an unchanged file is not opened; --rehash opens it and finds the same", async (t) => {
  const { src, vault } = await given(t);
  for (let i = 0; i < 5; i++) writeFileSync(join(src, `f${i}`), data.subarray(i));
  await settled();
  const first = await opening(() => save(vault, [src]));
  assert.equal(first.opened.length, 5);
  const again = await opening(() => save(vault, [src]));
  assert.deepEqual(again.opened, []);
  const { body } = again.result;
  assert.deepEqual([body.changedFiles, body.newBytes, body.files, body.complete], [0, 0n, 5, true]);
  assert.deepEqual((await again.result.need(src)).tree, (await first.result.need(src)).tree);
  const rehash = await opening(() => save(vault, [src], { rehash: true }));
  assert.equal(rehash.opened.length, 5);
  assert.deepEqual([rehash.result.body.changedFiles, rehash.result.body.newBytes], [0, 0n]);
});

test("a file that has just changed is not trusted: it is read once more", async (t) => {
  const { src, vault } = await given(t);
  const { system } = vault;
  writeFileSync(join(src, "f"), "one");
  // The clock stands still at the moment of the change, as a coarse one may.
  const late = { ...vault, system: { ...system, now: () => system.now() - 1_000_000_000n } };
  await save(late, [src]);
  const second = await opening(() => save(vault, [src]));
  assert.deepEqual(second.opened, ["f"]);
  await settled();
  await save(vault, [src]);
  assert.deepEqual((await opening(() => save(vault, [src]))).opened, []);
});

test("a change time is trusted when a later change must show in it", () => {
  const now = 1_700_000_000_123_456_789n;
  const ms = 1_000_000n;
  const whole = 1_700_000_000_000_000_000n;
  for (const [ctime, trusted] of [
    [now - 30n * ms, true],
    [now - 10n * ms, false],
    [now, false],
    [now + 1n, false],
    [now + 3_600_000n * ms, false],
    [whole, false],
    [whole - 1_000n * ms, false],
    [whole - 2_000n * ms, true],
    [0n, true],
    [-1n, true],
  ] as const)
    assert.equal(isSettled(ctime, now), trusted, String(ctime));
});

test("file systems that keep whole seconds: a change within the same second is seen", { skip: !isRoot }, async (t) => {
  const { top, src, vault } = await given(t);
  const image = join(top, "image");
  writeFileSync(image, "");
  truncateSync(image, 8 << 20);
  if (!has("mkfs.ext4")) return t.skip("no mkfs.ext4");
  execFileSync("mkfs.ext4", ["-q", "-I", "128", image], { stdio: "ignore" });
  if (!mounted(t, src, "-o", "loop", image)) return t.skip("may not mount here");
  const file = join(src, "f");
  await sleep(1010 - (Date.now() % 1000));
  writeFileSync(file, "aaaa");
  await settled();
  await save(vault, [src]);
  writeFileSync(file, "bbbb");
  if (Date.now() % 1000 < 50) return t.skip("this machine is too slow for it");
  assert.equal((await (await save(vault, [src])).bytes(file)).toString(), "bbbb");
  return undefined;
});

test("what looks unchanged by size and mtime is read when its change time or inode differs", async (t) => {
  const { src, vault } = await given(t);
  const file = join(src, "f");
  writeFileSync(file, "aaaa");
  utimesSync(file, 1, 1);
  await settled();
  await save(vault, [src]);
  writeFileSync(file, "bbbb");
  utimesSync(file, 1, 1);
  await settled();
  const second = await save(vault, [src]);
  assert.equal((await second.bytes(file)).toString(), "bbbb");
  assert.equal(second.body.changedFiles, 1);
  // Another file takes the name, equal in all but its inode and content.
  writeFileSync(join(src, "g"), "cccc");
  utimesSync(join(src, "g"), 1, 1);
  renameSync(join(src, "g"), file);
  await settled();
  assert.equal((await (await save(vault, [src])).bytes(file)).toString(), "cccc");
});

test("touch, chmod, chown and a new name store no content again", async (t) => {
  const { src, vault } = await given(t);
  const file = join(src, "f");
  const big = randomBytesOf(4 << 20);
  writeFileSync(file, big);
  await settled();
  const { body } = await save(vault, [src]);
  assert.equal(body.newBytes, BigInt(big.length));
  const step = async (what: string, act: () => void, check: (entry: Entry) => void, at = file): Promise<void> => {
    act();
    await settled();
    const saved = await save(vault, [src]);
    const entry = await saved.need(at);
    check(entry);
    assert.equal(saved.body.newBytes, 0n, what);
    assert.ok(saved.storedBytes <= 3 * 65_536, `${what}: ${saved.storedBytes} bytes stored`);
    assert.ok((await saved.bytes(at)).equals(big), what);
  };
  await step(
    "touch",
    () => utimesSync(file, 5, 5.5),
    ({ mtimeNs }) => assert.equal(mtimeNs, 5_500_000_000n),
  );
  await step(
    "chmod",
    () => chmodSync(file, 0o4701),
    ({ mode }) => assert.equal(mode, 0o4701),
  );
  if (isRoot)
    await step(
      "chown",
      () => chownSync(file, 1234, 5678),
      ({ uid, gid }) => assert.deepEqual([uid, gid], [1234, 5678]),
    );
  const moved = join(src, "moved");
  await step(
    "rename",
    () => renameSync(file, moved),
    ({ kind }) => assert.equal(kind, "file"),
    moved,
  );
  mkdirSync(join(src, "sub"));
  const deeper = join(src, "sub", "deeper");
  await step(
    "move to another folder",
    () => renameSync(moved, deeper),
    ({ kind }) => assert.equal(kind, "file"),
    deeper,
  );
});

test("names of one file share group and content, across folders, and keep the group", async (t) => {
  const { src, vault } = await given(t);
  mkdirSync(join(src, "far"));
  writeFileSync(join(src, "one"), data);
  linkSync(join(src, "one"), join(src, "far", "two"));
  linkSync(join(src, "one"), join(src, "three"));
  writeFileSync(join(src, "alone"), data);
  await settled();
  const { result: first, opened } = await opening(() => save(vault, [src]));
  assert.equal(opened.filter((name) => name !== "alone").length, 1, "read once, whatever its names");
  const names = ["one", "far/two", "three"];
  const entries = await Promise.all(names.map((name) => first.need(join(src, name))));
  const { group, content } = entries[0] as Entry;
  assert.notEqual(group, 0n);
  for (const entry of entries) {
    assert.deepEqual([entry.links, entry.group, entry.content], [3, group, content]);
    assert.ok(content);
  }
  assert.equal((await first.need(join(src, "alone"))).group, 0n);
  const again = await opening(() => save(vault, [src]));
  assert.deepEqual(again.opened, []);
  for (const name of names) assert.equal((await again.result.need(join(src, name))).group, group);
  // Changed content, and a fourth name: still the same group.
  appendFileSync(join(src, "three"), "more");
  linkSync(join(src, "one"), join(src, "0four"));
  await settled();
  const third = await save(vault, [src]);
  for (const name of [...names, "0four"]) {
    const entry = await third.need(join(src, name));
    assert.deepEqual([entry.links, entry.size], [4, BigInt(data.length + 4)], name);
    assert.deepEqual(entry.group, (await third.need(join(src, "0four"))).group, name);
  }
  // One left: no link any more.
  for (const name of ["far/two", "three", "0four"]) unlinkSync(join(src, name));
  await settled();
  const last = await (await save(vault, [src])).need(join(src, "one"));
  assert.deepEqual([last.links, last.group], [1, 0n]);
});

test("a new name of an unchanged file: both are linked, nothing is stored again", async (t) => {
  const { src, vault } = await given(t);
  writeFileSync(join(src, "a"), data);
  await settled();
  await save(vault, [src]);
  linkSync(join(src, "a"), join(src, "b"));
  await settled();
  const saved = await save(vault, [src]);
  const [a, b] = [await saved.need(join(src, "a")), await saved.need(join(src, "b"))];
  assert.deepEqual([a.links, b.links, saved.body.newBytes], [2, 2, 0n]);
  assert.notEqual(a.group, 0n);
  assert.equal(a.group, b.group);
  assert.deepEqual(a.content, b.content);
});

test("two files never share a group, whatever names they took over", async (t) => {
  const { src, vault } = await given(t);
  const at = (name: string): string => join(src, name);
  writeFileSync(at("x"), "the first file");
  linkSync(at("x"), at("y"));
  await settled();
  await save(vault, [src]);
  // y stays what it was and gets the name z; x becomes another file, which is also w.
  linkSync(at("y"), at("z"));
  unlinkSync(at("x"));
  writeFileSync(at("w"), "another file!!");
  linkSync(at("w"), at("x"));
  await settled();
  const saved = await save(vault, [src]);
  const group = async (name: string): Promise<bigint> => (await saved.need(at(name))).group;
  assert.equal(await group("w"), await group("x"));
  assert.equal(await group("y"), await group("z"));
  assert.notEqual(await group("x"), await group("y"));
});

test("hard links of symlinks, fifos and devices are groups too", async (t) => {
  const { src, vault } = await given(t);
  symlinkSync("target", join(src, "s"));
  execFileSync("mkfifo", [join(src, "p")]);
  const fd = native().openFolder(AT_FDCWD, Buffer.from(src));
  for (const name of ["s", "p"]) native().hardLink(fd, Buffer.from(name), fd, Buffer.from(`${name}2`));
  const first = await save(vault, [src]);
  const again = await save(vault, [src]);
  for (const name of ["s", "p"])
    for (const saved of [first, again]) {
      const { group, links } = await saved.need(join(src, name));
      assert.equal(links, 2);
      assert.equal(group, (await saved.need(join(src, `${name}2`))).group);
      assert.equal(group, (await first.need(join(src, name))).group);
    }
  assert.equal((await first.need(join(src, "s2"))).target?.toString(), "target");
});

test("extended attributes: short ones in the entry, long ones as content, on files, folders and links", async (t) => {
  const { src, vault } = await given(t);
  const file = join(src, "f");
  writeFileSync(file, "x");
  mkdirSync(join(src, "d"));
  const long = randomBytesOf(2000); // ext4 holds 4 KiB in all
  const set = (path: string, key: string, value: Buffer): void => {
    const fd = native().openFolder(AT_FDCWD, Buffer.from(src));
    native().setXattr(fd, Buffer.from(path), Buffer.from(key), value);
  };
  try {
    set("f", "user.a", Buffer.from("short"));
  } catch {
    t.skip("no user attributes in the temporary folder");
    return;
  }
  set("f", "user.empty", Buffer.alloc(0));
  set("f", "user.edge", long.subarray(0, 1024));
  set("f", "user.long", long);
  set("d", "user.long", long);
  if (isRoot) set("f", "trusted.t", Buffer.from([0, 255]));
  await settled();
  const first = await save(vault, [src]);
  const of = async (path: string): Promise<Record<string, string>> => {
    const { xattrs } = await first.need(path);
    const all: [string, string][] = [];
    for (const { name, value } of xattrs)
      all.push([name.toString(), (await first.view.xattr(value)).toString("latin1")]);
    return Object.fromEntries(all.filter(([name]) => !name.startsWith("security.")));
  };
  assert.deepEqual(await of(file), {
    ...(isRoot ? { "trusted.t": "\0\xff" } : {}),
    "user.a": "short",
    "user.edge": long.toString("latin1", 0, 1024),
    "user.empty": "",
    "user.long": long.toString("latin1"),
  });
  assert.deepEqual(await of(join(src, "d")), { "user.long": long.toString("latin1") });
  assert.ok(!Buffer.isBuffer((await first.need(join(src, "d"))).xattrs.at(-1)?.value));
  assert.deepEqual((await opening(() => save(vault, [src]))).opened, []);
  // Only the attribute changes.
  set("f", "user.a", Buffer.from("other"));
  await settled();
  const second = await (await save(vault, [src])).need(file);
  assert.equal(second.xattrs.find(({ name }) => name.toString() === "user.a")?.value.toString(), "other");
});

test("names of any bytes", async (t) => {
  const { src, vault } = await given(t);
  const names = [
    Buffer.from([0xff, 0xfe, 0x0a]),
    Buffer.from("new\nline"),
    Buffer.from("-rf"),
    Buffer.from(" "),
    Buffer.from("..."),
    Buffer.from("\u0065\u0301"),
    Buffer.alloc(255, 0xc3),
  ];
  const at = (name: Buffer): Buffer => Buffer.concat([Buffer.from(`${src}/`), name]);
  for (const name of names) writeFileSync(at(name), name);
  await settled();
  const saved = await save(vault, [src]);
  for (const name of names) assert.deepEqual(await saved.bytes(at(name)), name);
  assert.equal(saved.body.files, names.length);
  assert.deepEqual((await opening(() => save(vault, [src]))).opened, []);
});

test("what takes a file's place between the look and the opening is never read in its stead", async (t) => {
  const { top, src, vault } = await given(t);
  writeFileSync(join(top, "secret"), "outside of the root");
  const swaps: [string, (file: string) => void][] = [
    ["symlink", (file) => symlinkSync(join(top, "secret"), file)],
    ["fifo", (file) => execFileSync("mkfifo", [file])],
    ["folder", (file) => mkdirSync(file)],
    ["nothing", () => {}],
  ];
  for (const [what, place] of swaps) {
    const file = join(src, what);
    writeFileSync(file, "the file itself");
    await settled();
    // First seen: there is nothing to stand for it.
    let swapped = false;
    const swap = (name: string): void => {
      if (name !== what || swapped) return;
      swapped = true;
      unlinkSync(file);
      place(file);
    };
    const { result } = await opening(() => save(vault, [src], { name: what }), swap);
    assert.equal(result.body.complete, false, what);
    assert.equal(result.unread.length, 1, what);
    const entry = await result.at(file);
    if (what === "nothing") assert.equal(entry, undefined);
    else assert.deepEqual([entry?.flags, entry?.content], [entryFlags.neverReadable, undefined], what);
    // Known from before: its earlier self stands for it.
    rmSync(file, { recursive: true, force: true });
    writeFileSync(file, "the file itself");
    await settled();
    await save(vault, [src], { name: what });
    appendFileSync(file, ", changed");
    swapped = false;
    const { result: second } = await opening(() => save(vault, [src], { name: what }), swap);
    assert.equal((await second.need(file)).flags, entryFlags.carriedForward, what);
    assert.equal((await second.bytes(file)).toString(), "the file itself", what);
    rmSync(file, { recursive: true, force: true });
  }
});

test("another file that takes the name lends neither its content nor its group to the first one's other names", async (t) => {
  const { src, vault } = await given(t);
  const at = (name: string): string => join(src, name);
  writeFileSync(at("a"), "the linked file");
  linkSync(at("a"), at("b"));
  writeFileSync(at("other"), "somebody else!!");
  linkSync(at("other"), at("z"));
  await settled();
  const { result } = await opening(
    () => save(vault, [src]),
    (name) => {
      if (name === "a") renameSync(at("z"), at("a"));
    },
  );
  assert.equal((await result.bytes(at("a"))).toString(), "somebody else!!");
  assert.equal((await result.bytes(at("b"))).toString(), "the linked file");
  const [a, b, other] = [await result.need(at("a")), await result.need(at("b")), await result.need(at("other"))];
  assert.notEqual(a.group, b.group);
  if (other.links > 1) assert.equal(other.group, a.group);
});

test("a file that changes while it is read is read again, and flagged when it will not keep still", async (t) => {
  const { src, vault } = await given(t);
  const file = join(src, "f");
  const changes: [string, () => void][] = [
    ["grows", () => appendFileSync(file, "x")],
    ["shrinks", () => truncateSync(file, readFileSync(file).length - 1)],
    ["is touched", () => utimesSync(file, new Date(), new Date())],
  ];
  for (const [what, change] of changes) {
    writeFileSync(file, data);
    await settled();
    // Once only: the second reading is the one that counts.
    const calm = await reading(
      () => save(vault, [src], { name: "calm", rehash: true }),
      (reads) => reads === 1 && change(),
    );
    const still = await calm.need(file);
    assert.equal(still.flags, 0, what);
    assert.ok((await calm.bytes(file)).equals(readFileSync(file)), what);
    assert.equal(calm.body.complete, true);
    // At every reading.
    const restless = await reading(() => save(vault, [src], { name: "restless", rehash: true }), change);
    const flagged = await restless.need(file);
    assert.equal(flagged.flags, entryFlags.changedWhileRead, what);
    assert.equal(flagged.size, flagged.content?.size);
    // It is read first thing next time, and then it is in order.
    await settled();
    const { opened, result } = await opening(() => save(vault, [src], { name: "restless" }));
    assert.deepEqual(opened, ["f"], what);
    assert.equal((await result.need(file)).flags, 0);
    assert.ok((await result.bytes(file)).equals(readFileSync(file)));
  }
});

test("a racing writer: no hang, no escape, every content one that the file had", { timeout: 300_000 }, async (t) => {
  const { top, src, vault } = await given(t);
  writeFileSync(join(top, "secret"), "outside of the root");
  const inside = "inside of the root";
  const script = `
    const fs = require("fs"), { execFileSync } = require("child_process");
    const [src, secret] = process.argv.slice(1);
    execFileSync("mkfifo", [src + "/../fifo"]);
    for (let i = 0; ; i++) {
      const file = src + "/f" + (i % 8), next = src + "/../next", what = (i + Math.floor(i / 8)) % 4;
      try { fs.rmSync(next, { force: true });
        if (what === 0) fs.writeFileSync(next, ${JSON.stringify(inside)});
        else if (what === 1) fs.symlinkSync(secret, next);
        else if (what === 2) fs.linkSync(src + "/../fifo", next);
        else { fs.rmSync(file, { force: true }); continue; }
        fs.renameSync(next, file);
      } catch (error) { if (error.code !== "ENOENT") throw error; }
    }`;
  const writer = spawn(process.execPath, ["-e", script, src, join(top, "secret")], { stdio: "inherit" });
  const gone = new Promise((resolve) => writer.on("exit", resolve));
  atEnd(t, async () => {
    writer.kill("SIGKILL");
    await gone;
  });
  await sleep(300);
  const rounds = full ? 1000 : 100;
  const clock = new Int32Array(new SharedArrayBuffer(4));
  let raced = 0;
  for (let round = 0; round < rounds; round++) {
    // Every other round leaves the writer time between the look and the opening.
    const wait = (): void => void Atomics.wait(clock, 0, 0, 0.5);
    const run = (): Promise<Saved> => save(vault, [src], { name: "race", rehash: true });
    const saved = round % 2 === 0 ? await run() : (await opening(run, wait)).result;
    raced += saved.unread.length;
    for (let i = 0; i < 8; i++) {
      const entry = await saved.at(join(src, `f${i}`));
      if (entry?.kind !== "file" || entry.flags === entryFlags.neverReadable) continue;
      assert.ok(["", inside].includes((await saved.bytes(join(src, `f${i}`))).toString()), `round ${round}`);
    }
  }
  assert.equal(writer.exitCode, null, "the writer raced to the end");
  assert.ok(raced > 0, "nothing raced");
  t.diagnostic(`${raced} entries changed under the run's hands in ${rounds} rounds`);
});

test("the real program does not open an unchanged file", { skip: !has("strace") && "no strace here" }, async (t) => {
  const { top, src } = await given(t);
  writeFileSync(join(src, "watched"), data);
  await settled();
  const bin = new URL("../../../bin/bcoopfs", import.meta.url).pathname;
  const env = { ...process.env, BCOOPFS_HOME: join(top, "home2") };
  execFileSync(bin, ["init", "--phrase-file", join(top, "phrase")], { env, stdio: "ignore" });
  const opened = (): boolean => {
    const log = join(top, "trace");
    try {
      execFileSync("strace", ["-f", "-e", "trace=openat,open,openat2", "-o", log, bin, "snapshot", "-q", src], { env });
    } catch {
      t.skip("strace may not trace here");
    }
    return readFileSync(log, "latin1").includes('"watched"');
  };
  assert.equal(opened(), true);
  assert.equal(opened(), false);
});

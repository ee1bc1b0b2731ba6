/** Definitions of filesets, and what becomes of a home that is not as it should be. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { bin, giveAway, isRoot, nobody, place, refused, run, shapeOf } from "./given.js";

test("add, ls, show, rm: each option is kept, shown and does something", async (t) => {
  const where = await place(t);
  const { top } = where;
  where.put({
    "src/a.o": "",
    "src/a.c": "",
    "src/b.txt": "",
    "src/tmp/x.c": "",
    "src/mnt/": "",
    more: "",
    patterns: "# mine\ntmp/\n",
  });
  symlinkSync("src", join(top, "link"));
  const words = ["--root", "link", "more", "--include", "*.c", "*.o", "more", "--exclude", "*.o"];
  const added = await where.ok("fileset", "add", "code", ...words, "--exclude-file", "patterns", "--one-file-system");
  assert.deepEqual([added.out, added.said.length], ["", 1]);
  const shown = (await where.json("fileset", "show", "code")) as Record<string, unknown>;
  assert.deepEqual(shapeOf(shown), {
    name: "text",
    id: "text",
    roots: ["text", "text"],
    include: ["text", "text", "text"],
    exclude: ["text"],
    exclude_file: "text",
    one_file_system: "boolean",
    enabled: "boolean",
  });
  assert.deepEqual(shown, {
    name: "code",
    id: shown["id"],
    roots: [join(top, "src"), join(top, "more")],
    include: ["*.c", "*.o", "more"],
    exclude: ["*.o"],
    exclude_file: join(top, "patterns"),
    one_file_system: true,
    enabled: true,
  });
  const text = (await where.ok("fileset", "show", "code")).out;
  for (const value of [join(top, "src"), "*.c", "patterns", "one_file_system"]) assert.ok(text.includes(value), value);
  assert.deepEqual(await where.json("fileset", "ls"), [shown]);
  assert.equal((await where.ok("fileset", "ls")).out, `code: ${join(top, "src")} ${join(top, "more")}\n`);
  // What it does.
  if (isRoot) {
    execFileSync("mount", ["-t", "tmpfs", "none", join(top, "src/mnt")]);
    writeFileSync(join(top, "src/mnt/inside.c"), "");
  }
  try {
    await where.ok("snapshot", "-q", "code");
  } finally {
    if (isRoot) execFileSync("umount", [join(top, "src/mnt")]);
  }
  const listed = (await where.ok("ls", "code@latest")).out.split("\n").filter((line) => line.startsWith(`${top}/`));
  assert.deepEqual(
    listed.map((line) => line.slice(top.length + 1).replace(/\/$/, "")).filter((line) => line !== ""),
    ["more", "src", "src/a.c"],
  );
  // Gone from config.toml; the revisions stay.
  const before = readFileSync(join(where.home, "config.toml"), "utf8");
  assert.match(before, /^\[fileset\.code\]$/m);
  const removed = await where.ok("fileset", "rm", "code");
  assert.equal(removed.out, "");
  assert.deepEqual(await where.json("fileset", "ls"), []);
  assert.equal(((await where.json("revisions", "code")) as unknown[]).length, 1);
  const empty = await where.ok("fileset", "ls");
  assert.deepEqual([empty.out, empty.said.length], ["", 1]);
});

test("what cannot be added", async (t) => {
  const where = await place(t);
  where.put({ "src/": "", bad: "ok\n[z-a]\n" });
  const config = readFileSync(join(where.home, "config.toml"));
  const add = (...words: string[]) => where.run("fileset", "add", ...words);
  for (const name of ["", "-x", "a b", "a/b", ".x", "x".repeat(65)])
    refused(await where.run("fileset", "add", "--root", "src", "--", name), 2, /fileset name/);
  refused(await add("x", "--root", "no/such"), 1, /there is no no\/such/);
  refused(await add("x", "--root", "src", "--exclude", "[z-a]"), 2, /\[z-a\]/);
  refused(
    await add("x", "--root", "src", "--exclude-file", "none"),
    2,
    /exclude file .*none cannot be read \(ENOENT\)/,
  );
  refused(await add("x", "--root", "src", "--exclude-file", "bad"), 2, /bad:2: /);
  assert.deepEqual(readFileSync(join(where.home, "config.toml")), config);
  await where.ok("fileset", "add", "x", "--root", "src");
  refused(await add("x", "--root", "src"), 2, /already/);
  refused(await where.run("fileset", "show", "y"), 2, /no fileset y /);
  refused(await where.run("fileset", "show", "xx"), 2, /no fileset xx /);
  refused(await where.run("fileset", "rm", "y"), 2, /no fileset y /);
  await where.ok("fileset", "add", "documents", "--root", "src");
  refused(await where.run("fileset", "rm", "docunents"), 2, /did you mean documents\?/);
});

test("a disabled fileset is saved by name only", async (t) => {
  const where = await place(t);
  where.put({ "src/f": "" });
  await where.ok("fileset", "add", "x", "--root", "src");
  const path = join(where.home, "config.toml");
  writeFileSync(path, `${readFileSync(path, "utf8")}enabled = false\n`);
  assert.match((await where.ok("snapshot")).said[0] ?? "", /every fileset .* is disabled/);
  assert.match((await where.ok("fileset", "ls")).out, /^x \(disabled\): /);
  await where.ok("snapshot", "-q", "x");
  assert.equal(((await where.json("revisions")) as unknown[]).length, 1);
});

test("a bad config.toml: exit 2 with its line; what does not need it goes on", async (t) => {
  const where = await place(t);
  where.put({ "src/f": "" });
  await where.ok("snapshot", "-q", "./src");
  const path = join(where.home, "config.toml");
  const bad: [string, RegExp][] = [
    ['[fileset.x]\nroots = ["/x"\n', /config\.toml:\d+: /],
    ['\n[fileset.x]\nrots = ["/x"]\n', /config\.toml:3: .*did you mean "roots"\?/],
    ['[fileset.x]\nroots = ["x"]\n', /config\.toml:2: .*not an absolute path/],
    ["copies = 2\n", /config\.toml:1: /],
  ];
  for (const [text, says] of bad) {
    writeFileSync(path, text);
    for (const words of [["snapshot"], ["fileset", "ls"], ["fileset", "add", "y", "--root", "src"]])
      refused(await where.run(...words), 2, says);
    assert.equal(readFileSync(path, "utf8"), text);
    assert.equal((await where.run("revisions")).code, 0);
    assert.equal((await where.run("status")).code, 0);
  }
  rmSync(path);
  assert.deepEqual(await where.json("fileset", "ls"), [], "no config is an empty one");
});

test("no vault: exit 10, whatever the command", async (t) => {
  const { top } = await place(t, false);
  mkdirSync(join(top, "empty"));
  const words = [["snapshot"], ["snapshot", "/etc"], ["revisions"], ["status"], ["fileset", "ls"], ["ls", "x@latest"]];
  for (const home of [join(top, "none"), join(top, "empty"), join(top, "empty/x/y")])
    for (const each of words) refused(await run(home, each), 10, /no vault in .*"bcoopfs init"/);
});

test("damaged keys: exit 21, the file and the way out are named", async (t) => {
  const where = await place(t);
  for (const name of ["vault.key", "device.key"]) {
    const path = join(where.home, name);
    const good = readFileSync(path);
    for (const bad of [good.subarray(0, -3), Buffer.from("rubbish\n"), Buffer.alloc(0), flipped(good)]) {
      writeFileSync(path, bad);
      refused(await where.run("status"), 21, new RegExp(`${name.replace(".", "\\.")} is damaged; put it back`));
    }
    writeFileSync(path, good);
  }
  rmSync(join(where.home, "device.key"));
  refused(await where.run("status"), 21, /device\.key is missing/);
});

function flipped(bytes: Buffer): Buffer {
  const other = Buffer.from(bytes);
  const at = other.length >> 1;
  other[at] = (other[at] as number) === 0x30 ? 0x31 : 0x30;
  return other;
}

test("a home that may not be read or written: one line, no trace", { skip: !isRoot && "needs root" }, async (t) => {
  const where = await place(t);
  where.put({ "src/f": "" });
  const user = (...words: string[]) => run(where.home, words, { uid: nobody });
  refused(await user("status"), 1, /cannot read .*permission denied/);
  giveAway(where.top);
  assert.equal((await user("snapshot", "-q", join(where.top, "src"))).code, 0);
  chmodSync(join(where.home, "stat"), 0o500);
  refused(await user("snapshot", join(where.top, "src")), 1, /(EACCES|permission denied)/);
  chmodSync(join(where.home, "stat"), 0o700);
  chmodSync(join(where.home, "store/writers"), 0o500);
  refused(await user("snapshot", join(where.top, "src")), 1, /(EACCES|permission denied)/);
  chmodSync(join(where.home, "store/writers"), 0o700);
  assert.equal((await user("snapshot", "-q", join(where.top, "src"))).code, 0);
});

test("ten adds and ten removals at once: no edit is lost", async (t) => {
  const where = await place(t);
  where.put({ "src/f": "" });
  const add = (name: string) => where.ok("fileset", "add", name, "--root", join(where.top, "src"));
  await Promise.all(Array.from({ length: 10 }, (_, i) => add(`first${i}`)));
  const both = Array.from({ length: 10 }, (_, i) => [where.ok("fileset", "rm", `first${i}`), add(`second${i}`)]);
  await Promise.all(both.flat());
  const names = ((await where.json("fileset", "ls")) as { name: string }[]).map(({ name }) => name).sort();
  assert.deepEqual(
    names,
    Array.from({ length: 10 }, (_, i) => `second${i}`),
  );
});

test("what is not UTF-8 cannot stand in config.toml, and that is said", async (t) => {
  const where = await place(t);
  const raw = Buffer.concat([Buffer.from(`${where.top}/`), Buffer.from([0xe4, 0xff])]);
  mkdirSync(raw);
  const go = (words: string): ReturnType<typeof spawnSync> =>
    spawnSync("bash", ["-c", `cd "$1" && "$0" fileset add raw ${words}`, bin, where.top], {
      env: { ...process.env, BCOOPFS_HOME: where.home },
    });
  for (const [words, says] of [
    ["--root $'\\xe4\\xff'", /\/\\xe4\\xff is not UTF-8 .*bcoopfs snapshot \.\/PATH"$/],
    ["--root=$'\\xe4\\xff'", /\/\\xe4\\xff is not UTF-8/],
    ["--root . --exclude $'\\xff*'", /^bcoopfs: \\xff\* is not UTF-8/],
    ["--root . --exclude-file $'\\xff'", /^bcoopfs: \\xff is not UTF-8/],
  ] as const) {
    const ran = go(words);
    assert.equal(ran.status, 2, words);
    assert.match(String(ran.stderr).trimEnd(), says);
  }
  assert.deepEqual(await where.json("fileset", "ls"), []);
});

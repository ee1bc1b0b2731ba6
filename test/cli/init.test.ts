import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { unfitFileSystem } from "../../src/store/home.js";
import { full, isRoot, nobody, place, refused, run, shapeOf } from "./given.js";

test("a new vault: JSON facts, the phrase in a file that only its owner reads", async (t) => {
  const { home, top } = await place(t, false);
  const file = join(top, "phrase");
  const { code, out, err } = await run(home, ["init", "--phrase-file", file, "--json"]);
  assert.deepEqual([code, err], [0, ""]);
  const facts = JSON.parse(out) as Record<string, unknown>;
  assert.deepEqual(shapeOf(facts), { vault: "id", device: "id", phrase_file: "text", home: "text", host: "text" });
  assert.deepEqual([facts["phrase_file"], facts["home"]], [file, home]);
  assert.match(readFileSync(file, "utf8"), /^([a-z]+ ){23}[a-z]+\n$/);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(home).mode & 0o777, 0o700);
  for (const name of ["vault.key", "device.key"]) assert.equal(statSync(join(home, name)).mode & 0o777, 0o600);
  const host = hostname()
    .split(".")[0]
    ?.replace(/[^A-Za-z0-9._-]+/g, "-");
  assert.ok(String(facts["host"]).endsWith(host ?? ""));
});

test("without JSON one line says where things are; the phrase itself is not shown", async (t) => {
  const { home, top } = await place(t, false);
  const file = join(top, "phrase");
  const { out } = await run(home, ["init", "--phrase-file", file, "--host", "my-box"]);
  assert.match(out, /my-box/);
  assert.match(out, /keep it away from this machine/);
  assert.ok(!out.includes(readFileSync(file, "utf8").trim()));
});

test("no terminal and no phrase file: refused, and nothing is made", async (t) => {
  const { home } = await place(t, false);
  refused(await run(home, ["init"]), 2, /--phrase-file/);
  assert.equal(existsSync(home), false);
});

test("on a terminal the phrase is shown once, numbered", { skip: !hasScript() && "no script(1) here" }, async (t) => {
  const { home } = await place(t, false);
  const { bin } = await import("./given.js");
  const out = execFileSync("script", ["-qec", `'${bin}' init`, "/dev/null"], {
    env: { ...process.env, BCOOPFS_HOME: home },
    encoding: "utf8",
  });
  assert.match(out, /Write it down/);
  for (let i = 1; i <= 24; i++) assert.match(out, new RegExp(`\\b${i}\\. [a-z]+`));
  assert.ok(existsSync(join(home, "vault.key")));
});

function hasScript(): boolean {
  try {
    execFileSync("script", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test("what is there is never overwritten", async (t) => {
  const { home, top } = await place(t);
  const phrase = readFileSync(join(top, "phrase"));
  const key = readFileSync(join(home, "vault.key"));
  // A vault is there already: no phrase file is written for it.
  refused(await run(home, ["init", "--phrase-file", join(top, "second")]), 4, /already/);
  assert.equal(existsSync(join(top, "second")), false);
  // A phrase file is there already, also as a link that leads nowhere: no vault is made.
  symlinkSync("nowhere", join(top, "link"));
  const other = join(top, "other");
  for (const file of ["phrase", "link"]) {
    refused(await run(other, ["init", "--phrase-file", join(top, file)]), 4, /not overwritten/);
    assert.equal(existsSync(join(other, "vault.key")), false);
  }
  assert.deepEqual(readFileSync(join(top, "phrase")), phrase);
  assert.deepEqual(readFileSync(join(home, "vault.key")), key);
  // A file where the home should be, and a folder of somebody else's.
  writeFileSync(join(top, "file"), "");
  refused(await run(join(top, "file"), ["init", "--phrase-file", join(top, "p3")]), 4, /not a folder/);
  mkdirSync(join(top, "site/logs"), { recursive: true });
  writeFileSync(join(top, "site/logs/access.log"), "mine");
  refused(await run(join(top, "site"), ["init", "--phrase-file", join(top, "p3")]), 4, /vault\.key/);
  assert.equal(readFileSync(join(top, "site/logs/access.log"), "utf8"), "mine");
  assert.equal(existsSync(join(top, "p3")), false);
});

test("a vault that could not be made leaves no phrase file behind", { skip: !isRoot && "needs root" }, async (t) => {
  const { top } = await place(t, false);
  mkdirSync(join(top, "closed"));
  mkdirSync(join(top, "open"));
  chmodSync(join(top, "open"), 0o777);
  const ran = await run(join(top, "closed/home"), ["init", "--phrase-file", join(top, "open/p")], { uid: nobody });
  refused(ran, 1, /cannot make .*closed/);
  assert.deepEqual(readdirSync(join(top, "open")), []);
});

test("host names and chunk averages that cannot be", async (t) => {
  const { home, top } = await place(t, false);
  const init = (...words: string[]) => run(home, ["init", "--phrase-file", join(top, "p"), ...words]);
  for (const host of ["", "-x", ".x", "a b", "a/b", "ä", "x".repeat(65)])
    refused(await init("--host", host), 2, /host name/);
  for (const size of ["0", "8K", "2M", "33K", "32768.5", "-1", "32k", "1e5", "many"])
    refused(await init("--chunk-average", size), 2, /(chunk-average|size) /);
  assert.equal(existsSync(home), false);
  assert.equal((await init("--chunk-average", "16K", "--host", `a${".".repeat(63)}`)).code, 0);
});

test("--chunk-average changes how large chunks are", async (t) => {
  const { top, put } = await place(t, false);
  put({ "src/f": Array.from({ length: 200_000 }, (_, i) => `${Math.imul(i, 0x9e3779b1) >>> 0}\n`).join("") });
  const stored = async (average: string): Promise<number> => {
    const home = join(top, `home-${average}`);
    await run(home, ["init", "--phrase-file", join(top, `p-${average}`), "--chunk-average", average]);
    assert.equal((await run(home, ["snapshot", "-q", join(top, "src")])).code, 0);
    const { chunkCount } = await import("./chunks.js");
    return chunkCount(home);
  };
  const [small, large] = [await stored("16K"), await stored("256K")];
  assert.ok(small > large * 3, `${small} chunks of 16K, ${large} of 256K`);
});

test("homes: the option before and after the command, the variable, the default", async (t) => {
  const { top } = await place(t, false);
  const [a, b] = [join(top, "a"), join(top, "b")];
  const init = (words: string[], home?: string) =>
    run(home, [...words, "--phrase-file", join(top, `p${Math.random()}`)]);
  assert.equal((await init(["--home", a, "init"])).code, 0);
  assert.equal((await init(["init", "--home", b])).code, 0);
  const homeOf = async (words: string[], home?: string, env = {}) =>
    (JSON.parse((await run(home, [...words, "--json"], { env })).out || "{}") as { home?: string }).home;
  assert.equal(await homeOf(["--home", a, "status"]), a);
  assert.equal(await homeOf(["status", "--home", a]), a);
  assert.equal(await homeOf(["status"], b), b);
  assert.equal(await homeOf(["status", "--home", a], b), a, "the option goes before the variable");
  assert.equal(await homeOf(["--home", b, "status", "--home", a]), a, "the nearer one counts");
  const relative = await run(undefined, ["status", "--home", "a", "--json"], { cwd: top });
  assert.equal((JSON.parse(relative.out) as { home: string }).home, a);
  // The default place, for root and for others.
  const where = await run(undefined, ["status"], { env: { XDG_DATA_HOME: join(top, "xdg"), HOME: join(top, "me") } });
  if (isRoot && !existsSync("/var/lib/bcoopfs")) refused(where, 10, /no vault in \/var\/lib\/bcoopfs;/);
  const uid = isRoot ? { uid: nobody } : {};
  const xdg = await run(undefined, ["status"], { env: { XDG_DATA_HOME: join(top, "xdg") }, ...uid });
  refused(xdg, 10, /no vault in .*\/xdg\/bcoopfs;/);
  const me = await run(undefined, ["status"], { env: { HOME: join(top, "me"), BCOOPFS_HOME: "" }, ...uid });
  refused(me, 10, /no vault in .*\/me\/\.local\/share\/bcoopfs;/);
});

test("file systems that cannot hold a home, by the magic number of statfs(2)", () => {
  const unfit = { 26985: "NFS", 20859: "SMB", 16914839: "9p", 1702057286: "FUSE", 12805120: "Ceph" };
  for (const [type, name] of Object.entries(unfit)) assert.equal(unfitFileSystem(Number(type)), name);
  assert.equal(unfitFileSystem(0xff534d42 | 0), "SMB", "a signed number too");
  for (const type of [0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630])
    assert.equal(unfitFileSystem(type), undefined);
});

test("an init that was cut short anywhere is begun anew by the next; a vault that lost its key is not", async (t) => {
  const { home, top } = await place(t);
  const again = (file: string) => run(home, ["init", "--phrase-file", join(top, file)]);
  const config = "# mine\n";
  writeFileSync(join(home, "config.toml"), config);
  // Everything but vault.key; opened once, so that there is an index, too.
  assert.equal((await run(home, ["status"])).code, 0);
  rmSync(join(home, "vault.key"));
  assert.equal((await again("p1")).code, 0);
  assert.equal(readFileSync(join(home, "config.toml"), "utf8"), config);
  assert.equal(readdirSync(join(home, "logs")).length, 1);
  assert.equal(readdirSync(join(home, "capsule")).length, 2);
  assert.equal((await run(home, ["status"])).err, "");
  // A torn genesis, and temporary files.
  rmSync(join(home, "vault.key"));
  const [log] = readdirSync(join(home, "logs")) as [string];
  truncateSync(join(home, "logs", log), 3);
  writeFileSync(join(home, "vault.key.tmp"), "secret");
  assert.equal((await again("p2")).code, 0);
  assert.equal(existsSync(join(home, "vault.key.tmp")), false);
  mkdirSync(join(top, "src"));
  assert.equal((await run(home, ["snapshot", join(top, "src")])).code, 0);
  assert.equal((await run(home, ["check", "--read-data"])).code, 0);
  // Something was saved: without its key it is kept as it is.
  const key = readFileSync(join(home, "vault.key"));
  rmSync(join(home, "vault.key"));
  refused(await again("p3"), 4, /holds a vault whose vault\.key is gone; put the key back/);
  assert.equal(existsSync(join(top, "p3")), false);
  // Its logs alone, and its segments alone, are enough for that.
  for (const part of ["logs", "store/segments"]) {
    renameSync(join(home, part), join(top, "away"));
    mkdirSync(join(home, part));
    refused(await again("p3"), 4, /vault\.key is gone/);
    rmSync(join(home, part), { recursive: true });
    renameSync(join(top, "away"), join(home, part));
  }
  writeFileSync(join(home, "vault.key"), key);
  assert.equal((await run(home, ["check", "--read-data"])).code, 0);
});

test("init killed at any moment: the next one makes a vault, or there is one", async (t) => {
  const { top } = await place(t, false);
  let cut = 0;
  for (let i = 0; i < (full ? 60 : 12); i++) {
    const home = join(top, `home${i}`);
    // Only when it has begun to write is there anything to cut short.
    const began = async (kill: (signal: NodeJS.Signals) => void): Promise<void> => {
      for (let tries = 0; tries < 500 && !existsSync(home); tries++) await sleep(2);
      await sleep(i * 2);
      kill("SIGKILL");
    };
    let killed: Promise<void> = Promise.resolve();
    const first = run(home, ["init", "--phrase-file", join(top, `a${i}`)], { began: (kill) => (killed = began(kill)) });
    await Promise.all([first, killed]);
    if (existsSync(join(home, "vault.key"))) {
      assert.ok(existsSync(join(top, `a${i}`)), "the phrase is there before the vault is");
    } else {
      cut++;
      const second = await run(home, ["init", "--phrase-file", join(top, `b${i}`)]);
      assert.equal(second.code, 0, second.err);
    }
    assert.equal((await run(home, ["status", "--home", home])).code, 0);
  }
  assert.ok(cut > 0, "none was cut short");
});

test("init on a disk that is full, at any place: said, no phrase file is left, and space brings it back", async (t) => {
  const { top } = await place(t, false);
  const disk = join(top, "disk");
  mkdirSync(disk);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]).status !== 0)
    return t.skip("a file system cannot be mounted here");
  try {
    let failed = 0;
    for (let pages = 0; pages < 12; pages++) {
      const home = join(disk, `home${pages}`);
      const { bavail, bsize } = statfsSync(disk);
      writeFileSync(join(disk, "ballast"), Buffer.alloc((bavail - pages) * bsize));
      const first = await run(home, ["init", "--phrase-file", join(top, `a${pages}`)]);
      rmSync(join(disk, "ballast"));
      if (first.code !== 0) {
        failed++;
        refused(first, 1, /the disk is full/);
        assert.equal(existsSync(join(top, `a${pages}`)), false);
        const second = await run(home, ["init", "--phrase-file", join(top, `b${pages}`)]);
        assert.equal(second.code, 0, second.err);
      }
      rmSync(home, { recursive: true });
    }
    assert.ok(failed > 2, `${failed} met a full disk`);
  } finally {
    spawnSync("umount", [disk]);
  }
  return undefined;
});

test("two at once in one home: one vault", async (t) => {
  const { home, top } = await place(t, false);
  const both = await Promise.all(["a", "b"].map((file) => run(home, ["init", "--phrase-file", join(top, file)])));
  assert.equal(both.filter(({ code }) => code === 0).length, 1);
  assert.ok(both.some(({ code }) => code === 11 || code === 4));
  assert.equal(readdirSync(top).filter((name) => name.length === 1).length, 1, "the other's phrase is not kept");
  assert.equal((await run(home, ["status"])).code, 0);
});

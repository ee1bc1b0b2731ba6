import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { unfitFileSystem } from "../../src/store/home.js";
import { isRoot, nobody, place, refused, run, shapeOf } from "./given.js";

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
  // A file where the home should be, and half a vault.
  writeFileSync(join(top, "file"), "");
  refused(await run(join(top, "file"), ["init", "--phrase-file", join(top, "p3")]), 4, /not a folder/);
  mkdirSync(join(top, "half/logs"), { recursive: true });
  refused(await run(join(top, "half"), ["init", "--phrase-file", join(top, "p3")]), 4, /vault\.key/);
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

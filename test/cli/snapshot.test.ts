/** `snapshot` as people, cron and scripts meet it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { native } from "../../src/base/native.js";
import { randomBytesOf } from "../capture/given.js";
import { bin, giveAway, isRoot, nobody, type Place, place, refused, run, shapeOf } from "./given.js";

interface Facts {
  readonly [field: string]: unknown;
  readonly fileset: string;
  readonly revision: string;
}

/** The summaries that `snapshot --json` with these words prints. */
async function summaries({ run: go }: Place, ...words: string[]): Promise<Facts[]> {
  const ran = await go("snapshot", "--json", ...words);
  return ran.out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Facts)
    .filter((facts) => facts["message_type"] === "summary");
}

async function names(where: Place): Promise<string[]> {
  return ((await where.json("revisions")) as { fileset: string }[]).map(({ fileset }) => fileset);
}

test("the summary: these fields, these kinds", async (t) => {
  const where = await place(t);
  where.put({ "src/a": "some text", "src/d/": "" });
  symlinkSync("a", join(where.top, "src/l"));
  const [facts] = await summaries(where, join(where.top, "src"));
  assert.deepEqual(shapeOf(facts), {
    message_type: "text",
    revision: "id",
    fileset: "text",
    files: "count",
    dirs: "count",
    other: "count",
    bytes: "count",
    changed_files: "count",
    new_bytes: "count",
    stored_bytes: "count",
    errors: "count",
    complete: "boolean",
    seconds: "number",
    copies: "count",
  });
  const { files, other, bytes, changed_files, new_bytes, errors, complete, copies } = facts as Facts;
  assert.deepEqual(
    [files, other, bytes, changed_files, new_bytes, errors, complete, copies],
    [1, 1, 9, 1, 9, 0, true, 0],
  );
});

test("one line on stdout for each fileset, nothing on stderr; -q says nothing at all", async (t) => {
  const where = await place(t);
  where.put({ "one/a": "1", "two/b": "2" });
  for (const name of ["one", "two"]) await where.ok("fileset", "add", name, "--root", join(where.top, name));
  const both = await where.ok("snapshot");
  assert.equal(both.err, "");
  assert.match(both.out, /^one: revision [0-9a-f]{12} complete: 1 file, 1 B; .*\ntwo: revision .*\n$/);
  for (const quiet of ["-q", "--quiet"]) {
    const { out, err } = await where.ok("snapshot", quiet);
    assert.deepEqual([out, err], ["", ""]);
  }
  assert.equal((await names(where)).length, 6, "a revision each, also when nothing changed");
  await where.ok("fileset", "rm", "two");
  await where.ok("snapshot", "one", "one");
  assert.equal((await names(where)).filter((name) => name === "one").length, 4, "named twice, saved once");
});

test("no fileset at all is an error, -q or not; all disabled is said, and silent with -q", async (t) => {
  const where = await place(t);
  refused(await where.run("snapshot"), 2, /nothing to save: .*fileset add/);
  refused(await where.run("snapshot", "-q"), 2, /nothing to save/);
  where.put({ "src/f": "" });
  await where.ok("fileset", "add", "one", "--root", join(where.top, "src"));
  const config = join(where.home, "config.toml");
  writeFileSync(config, `${readFileSync(config, "utf8")}enabled = false\n`);
  const { code, out, said } = await where.run("snapshot");
  assert.deepEqual([code, out, said], [0, "", ["Nothing to save: every fileset in config.toml is disabled."]]);
  assert.equal((await where.ok("snapshot", "-q")).err, "");
});

test('"." and ".." are paths', async (t) => {
  const where = await place(t);
  where.put({ "src/below/f": "" });
  const cwd = join(where.top, "src/below");
  for (const [word, path] of [
    [".", cwd],
    ["..", join(where.top, "src")],
  ] as const) {
    assert.equal((await run(where.home, ["snapshot", word], { cwd })).code, 0);
    const name = path.slice(1).replaceAll(/[^A-Za-z0-9._-]+/g, "-");
    assert.ok((await where.ok("ls", `${name}@latest`)).out.includes(`${cwd}/f\n`));
  }
});

test("--rehash reads what looks unchanged", { skip: !hasStrace() && "no strace here" }, async (t) => {
  const where = await place(t);
  where.put({ "src/watched": "x" });
  await sleep(50);
  await where.ok("snapshot", join(where.top, "src"));
  const opened = (...words: string[]): boolean => {
    const log = join(where.top, "trace");
    const traced = ["-f", "-e", "trace=openat,open,openat2", "-o", log, bin, "snapshot", join(where.top, "src")];
    execFileSync("strace", [...traced, ...words], { env: { ...process.env, BCOOPFS_HOME: where.home } });
    return readFileSync(log, "latin1").includes('"watched"');
  };
  assert.deepEqual([opened(), opened("--rehash")], [false, true]);
});

function hasStrace(): boolean {
  try {
    execFileSync("strace", ["-o", "/dev/null", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test("paths have names of their own: plain, else with a hash; each keeps its history", async (t) => {
  const where = await place(t);
  const at = (name: string): string => join(where.top, name);
  const plainOf = (path: string): string => path.slice(1).replace(/[^A-Za-z0-9._-]+/g, "-");
  const long = `${"a".repeat(60)}/${"b".repeat(60)}`;
  where.put({ "My docs/f": "1", "My-docs/f": "2", [`${long}/f`]: "3", "--x/f": "4" });
  const of = async (word: string): Promise<string> => (await summaries(where, word))[0]?.fileset ?? "";
  assert.equal(await of(at("My docs")), plainOf(at("My docs")));
  // Taken by another path: the hash form. Then each goes on with its own name.
  const hashed = await of(at("My-docs"));
  assert.match(hashed, /^[A-Za-z0-9._-]{1,50}-[0-9a-f]{8}$/);
  assert.equal(await of(`${at("My docs")}/`), plainOf(at("My docs")));
  assert.equal(await of(at("My-docs")), hashed);
  assert.match(await of(at(long)), /^.{50}-[0-9a-f]{8}$/);
  // Relative ones are the same filesets, wherever one stands; so are links to them.
  symlinkSync("My docs", at("link"));
  for (const word of ["./My docs", "link/", "./link"]) assert.equal(await of(word), plainOf(at("My docs")));
  const inside = await run(where.home, ["snapshot", "--json", "./"], { cwd: at("My docs") });
  assert.equal(JSON.parse(inside.out).fileset, plainOf(at("My docs")));
  // A single file is a root too.
  assert.equal(await of(at("My docs/f")), plainOf(at("My docs/f")));
  // Nothing of it stands in config.toml, so `snapshot` alone has nothing to do.
  assert.doesNotMatch(readFileSync(join(where.home, "config.toml"), "utf8"), /^\[/m);
  assert.equal((await summaries(where)).length, 0);
});

test("fileset add with the name of a path continues its history, and what is unchanged is not new", async (t) => {
  const where = await place(t);
  where.put({ "src/f": "x".repeat(1000) });
  const src = join(where.top, "src");
  const [first] = await summaries(where, src);
  const name = first?.fileset as string;
  await where.ok("fileset", "add", name, "--root", src, "--exclude", "*.o");
  where.put({ "src/g.o": "" });
  const [second] = await summaries(where, name);
  assert.deepEqual([second?.fileset, second?.["files"], second?.["changed_files"]], [name, 1, 0]);
  // The path now means that fileset, rules and all.
  const [third] = await summaries(where, src);
  assert.deepEqual([third?.fileset, third?.["files"], third?.["changed_files"]], [name, 1, 0]);
  // A fileset that saves something else holds the plain name of another path: that one gets the hash form.
  where.put({ "other/f": "" });
  const plain = join(where.top, "other").slice(1).replaceAll("/", "-");
  await where.ok("fileset", "add", plain, "--root", src, "--root", join(where.top, "other"));
  assert.match((await summaries(where, join(where.top, "other")))[0]?.fileset ?? "", /-[0-9a-f]{8}$/);
});

test("a path whose name is not UTF-8", async (t) => {
  const where = await place(t);
  const path = Buffer.concat([Buffer.from(`${where.top}/`), Buffer.from([0xe4, 0xff, 0x2f])]);
  mkdirSync(path);
  writeFileSync(Buffer.concat([path, Buffer.from("f")]), "x");
  execFileSync("bash", ["-c", `"$0" snapshot -q "$1"/$'\\xe4\\xff'`, bin, where.top], {
    env: { ...process.env, BCOOPFS_HOME: where.home },
  });
  const [revision] = (await where.json("revisions")) as { files: number; fileset: string }[];
  assert.equal(revision?.files, 1);
});

test("words that name nothing: what is meant, and nothing is saved", async (t) => {
  const where = await place(t);
  where.put({ "src/f": "", "docs/f": "" });
  await where.ok("fileset", "add", "home", "--root", join(where.top, "src"));
  refused(await where.run("snapshot", "hoem"), 2, /no fileset hoem .*did you mean home\?/);
  refused(await where.run("snapshot", "docs"), 2, /write \.\/docs$/);
  refused(await where.run("snapshot", ""), 2, /empty/);
  refused(await where.run("snapshot", "home", "xyzzy"), 2, /no fileset xyzzy/);
  refused(await where.run("snapshot", "home", join(where.top, "no/such")), 1, /there is no .*no\/such$/);
  refused(await where.run("snapshot", "./new\nline"), 1, /there is no .*new\\nline$/);
  refused(await where.run("snapshot", where.home), 4, /never saved/);
  assert.deepEqual(await names(where), []);
});

test("a missing root fails its fileset and no other; the exit status is that of the worst", async (t) => {
  const where = await place(t);
  where.put({ "a/f": "", "b/f": "", "c/f": "" });
  for (const name of ["a", "b", "c"]) await where.ok("fileset", "add", name, "--root", join(where.top, name));
  renameSync(join(where.top, "b"), join(where.top, "away"));
  const ran = await where.run("snapshot");
  assert.equal(ran.code, 1);
  assert.match(ran.said.at(-1) ?? "", /^bcoopfs: b: nothing of fileset b could be read/);
  assert.deepEqual(await names(where), ["a", "c"]);
  // A link to what is not mounted; and an exclude file that has gone.
  symlinkSync("nowhere", join(where.top, "b"));
  assert.match((await where.run("snapshot")).said.at(-1) ?? "", /^bcoopfs: b: root .* is a link to what is not there/);
  where.put({ patterns: "*.o\n" });
  await where.ok("fileset", "rm", "b");
  await where.ok(
    "fileset",
    "add",
    "b",
    "--root",
    join(where.top, "away"),
    "--exclude-file",
    join(where.top, "patterns"),
  );
  assert.equal((await where.run("snapshot")).code, 0);
  rmSync(join(where.top, "patterns"));
  const gone = await where.run("snapshot");
  assert.equal(gone.code, 2);
  assert.match(gone.err, /exclude file .*patterns cannot be read \(ENOENT\)/);
  assert.deepEqual((await names(where)).slice(-2), ["a", "c"]);
  // JSON has each error as a line of its own, and a summary for each fileset, for the failed one too.
  const json = (await where.run("snapshot", "--json")).out.trim().split("\n");
  const lines = json.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    lines.map((line) => line["message_type"]),
    ["summary", "summary", "error", "summary"],
  );
  const { error, ...facts } = lines.at(-1) ?? {};
  assert.deepEqual(facts, { message_type: "summary", revision: null, fileset: "b", complete: false });
  assert.match(String(error), /^the exclude file .*patterns cannot be read/);
});

test("unreadable files: exit 3, each named, the earlier version kept", { skip: !isRoot && "needs root" }, async (t) => {
  const where = await place(t);
  where.put({ "src/a": "old", "src/b": "fine", "src/never": "secret" });
  const src = join(where.top, "src");
  chmodSync(join(src, "never"), 0);
  giveAway(where.top);
  const user = { uid: nobody };
  const go = (...words: string[]) => run(where.home, words, user);
  await go("fileset", "add", "src", "--root", src);
  const first = await go("snapshot", "src");
  assert.equal(first.code, 3);
  assert.deepEqual(first.said, [`bcoopfs: ${src}/never: it could not be read: permission denied (EACCES)`]);
  assert.match(first.out, /partial \(1 error\)/);
  appendFileSync(join(src, "a"), ", new");
  chmodSync(join(src, "a"), 0);
  const second = await go("snapshot", "-q", "src");
  assert.deepEqual([second.code, second.out, second.said.length], [3, "", 2]);
  assert.equal((await go("cat", "src@latest:/x")).code, 1, "no complete one yet");
  const [, newest] = JSON.parse((await go("revisions", "--json")).out) as { id: string; complete: boolean }[];
  assert.equal(newest?.complete, false);
  assert.equal((await go("cat", `${newest?.id}:${src}/a`)).out, "old");
  rmSync(join(src, "never"));
  chmodSync(join(src, "a"), 0o600);
  assert.equal((await go("snapshot", "src")).code, 0);
  assert.deepEqual((await go("ls", "src@latest")).said, []);
  chmodSync(join(src, "b"), 0);
  appendFileSync(join(src, "b"), "!");
  assert.equal((await go("snapshot", "src")).code, 3);
  assert.deepEqual((await go("ls", "src@latest")).said, [
    "note: 1 newer revision of src is partial; this is the newest complete one",
  ]);
});

test("our own mounts inside a root are left out, dead ones too", async (t) => {
  const where = await place(t);
  where.put({ "src/f": "x", "src/past/": "", "src/dead/": "" });
  const src = join(where.top, "src");
  await where.ok("snapshot", src);
  const past = join(src, "past");
  if ((await where.run("mount", past)).code !== 0) return t.skip("no FUSE here");
  try {
    const [live] = await summaries(where, src);
    assert.deepEqual([live?.["files"], live?.["complete"]], [1, true]);
    refused(await where.run("snapshot", `${past}/`), 4, /never saved/);
    const inside = execFileSync("find", [past, "-name", "f"], { encoding: "utf8" }).split("\n")[0] as string;
    refused(await where.run("snapshot", inside.slice(0, -2)), 4, /never saved/);
  } finally {
    assert.equal((await where.run("umount", past)).code, 0);
  }
  const dead = join(src, "dead");
  let kill: (signal: NodeJS.Signals) => void = () => {};
  const server = run(where.home, ["mount", "--foreground", dead], { began: (to) => (kill = to) });
  try {
    for (let i = 0; i < 500 && !existsSync(join(dead, "hosts")); i++) await sleep(20);
    kill("SIGKILL");
    await server;
    const [facts] = await summaries(where, src);
    assert.deepEqual([facts?.["files"], facts?.["complete"], facts?.["errors"]], [1, true, 0]);
  } finally {
    kill("SIGKILL");
    detached(dead);
  }
  return undefined;
});

test("the same fileset twice at once: the second gives 11 at once; another goes on", async (t) => {
  const where = await place(t);
  where.put({ "big/f": "", "small/f": "x" });
  for (let i = 0; i < 12; i++) writeFileSync(join(where.top, `big/f${i}`), randomBytesOf(4 << 20, i));
  const big = join(where.top, "big");
  await where.ok("fileset", "add", "big", "--root", big);
  const slow = where.run("snapshot", "big");
  await lockedBy(where);
  const [second, other] = await Promise.all([where.run("snapshot", "big"), where.run("snapshot", "./small")]);
  refused(second, 11, /fileset big is being saved by another process/);
  assert.equal(other.code, 0, other.err);
  assert.equal((await slow).code, 0);
  assert.equal((await names(where)).length, 2);
  assert.equal((await where.run("check", "--read-data")).code, 0);
});

test("SIGINT and SIGTERM: exit 130, what was stored stays and is not stored again", async (t) => {
  const where = await place(t);
  mkdirSync(join(where.top, "src"));
  for (let i = 0; i < 24; i++) writeFileSync(join(where.top, `src/f${i}`), randomBytesOf(4 << 20, i));
  const src = join(where.top, "src");
  let kept = 0;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    let kill: (signal: NodeJS.Signals) => void = () => {};
    const going = run(where.home, ["snapshot", src], { began: (to) => (kill = to) });
    await lockedBy(where);
    await sleep(signal === "SIGINT" ? 250 : 150);
    kill(signal);
    const { code, out, said } = await going;
    if (code === 0) return t.skip("this machine is too fast for the test");
    assert.deepEqual([code, out, said.length], [130, "", 1], said.join("\n"));
    assert.match(said[0] ?? "", /interrupted; what was stored is kept/);
    assert.deepEqual(await names(where), []);
    const { stored_bytes } = (await where.json("status")) as { stored_bytes: number };
    assert.ok(stored_bytes >= kept);
    kept = stored_bytes;
  }
  const [facts] = await summaries(where, src);
  const total = 24 * (4 << 20);
  assert.equal(facts?.["bytes"], total);
  const again = (facts?.["stored_bytes"] as number) + kept - total;
  assert.ok(again < 4 << 20, `${again} bytes stored twice`);
  return undefined;
});

test("two runs of different filesets at once, again and again: both histories are whole", async (t) => {
  const where = await place(t);
  where.put({ "a/f": "", "b/f": "" });
  for (let round = 0; round < 4; round++) {
    for (const name of ["a", "b"]) writeFileSync(join(where.top, name, `f${round}`), randomBytesOf(300_000, round));
    const ran = await Promise.all(["a", "b"].map((name) => where.run("snapshot", `./${name}`)));
    for (const { code, err, out } of ran) assert.deepEqual([code, err, out.split("\n").length], [0, "", 2]);
  }
  assert.equal((await names(where)).length, 8);
  const times = ((await where.json("revisions")) as { time: string }[]).map(({ time }) => time);
  assert.deepEqual([...times].sort(), times);
  assert.equal(new Set(times).size, times.length);
  assert.equal((await where.run("check", "--read-data")).code, 0);
});

test("a damaged previous revision does not stop a backup: exit 21, said in one line", async (t) => {
  const where = await place(t);
  where.put({ "src/f": "x" });
  await where.ok("snapshot", "./src");
  rmSync(join(where.home, "store/segments"), { recursive: true });
  mkdirSync(join(where.home, "store/segments"));
  const ran = await where.run("snapshot", "--rehash", "./src");
  assert.equal(ran.code, 21);
  assert.equal(ran.said.length, 1);
  assert.match(ran.said[0] ?? "", /previous revision is damaged .*bcoopfs check/);
  const [, newest] = (await where.json("revisions")) as { id: string }[];
  assert.equal((await where.ok("cat", `${newest?.id}:${join(where.top, "src/f")}`)).out, "x");
  assert.equal((await where.run("snapshot", "./src")).code, 0);
});

test("files of 1970 and of tomorrow, and a clock that stands still, are saved like others", async (t) => {
  const where = await place(t);
  where.put({ "src/old": "", "src/new": "" });
  utimesSync(join(where.top, "src/old"), 0, 0);
  utimesSync(join(where.top, "src/new"), 5e9, 5e9);
  assert.equal((await where.run("snapshot", "./src")).code, 0);
  assert.equal((await where.run("snapshot", "./src")).code, 0);
});

/** Wait until a run has taken the lock of its fileset, which is when it begins. */
async function lockedBy(where: Place): Promise<void> {
  const stat = join(where.home, "stat");
  for (let i = 0; i < 1000; i++) {
    const begun = existsSync(stat) && execFileSync("ls", [stat], { encoding: "utf8" }).includes(".tmp");
    if (begun) return;
    await sleep(10);
  }
  throw new Error(`no run began in ${basename(where.home)}`);
}

function detached(point: string): void {
  try {
    native().detachMount(Buffer.from(point));
  } catch {
    // It was not mounted any more.
  }
}

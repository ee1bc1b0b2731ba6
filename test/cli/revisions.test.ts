/** What is listed, how revisions are named, and how things stand. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { bin, type Place, place, refused, run, shapeOf } from "./given.js";

interface Facts {
  readonly id: string;
  readonly time: string;
  readonly fileset: string;
}

const list = async (where: Place, ...words: string[]): Promise<Facts[]> =>
  (await where.json("revisions", ...words)) as Facts[];

test("revisions: these fields, these kinds, oldest first, and by fileset; snapshots is another word for it", async (t) => {
  const where = await place(t);
  assert.deepEqual(await list(where), []);
  const none = await where.ok("revisions");
  assert.deepEqual([none.out, none.said.length], ["", 1]);
  where.put({ "a/f": "1234", "b/f": "x" });
  for (const name of ["a", "b"]) await where.ok("fileset", "add", name, "--root", join(where.top, name));
  await where.ok("snapshot", "-q");
  await where.ok("snapshot", "-q", "a");
  const all = await list(where);
  assert.deepEqual(shapeOf(all[0]), {
    id: "id",
    host: "text",
    fileset: "text",
    time: "time",
    files: "count",
    dirs: "count",
    other: "count",
    bytes: "count",
    added_bytes: "count",
    stored_bytes: "count",
    errors: "count",
    complete: "boolean",
    copies: "count",
  });
  const { host, files, bytes, added_bytes, complete } = all[0] as unknown as Record<string, unknown>;
  assert.deepEqual([host, files, bytes, added_bytes, complete], ["here", 1, 4, 4, true]);
  assert.deepEqual(
    all.map(({ fileset }) => fileset),
    ["a", "b", "a"],
  );
  assert.deepEqual(
    [...all].map(({ time }) => time).sort(),
    all.map(({ time }) => time),
  );
  assert.deepEqual(await list(where, "a"), [all[0], all[2]]);
  assert.equal((await where.ok("snapshots", "a")).out, (await where.ok("revisions", "a")).out);
  const lines = (await where.ok("revisions")).out.trimEnd().split("\n");
  assert.equal(lines.length, 4);
  for (const [i, line] of lines.slice(1).entries()) assert.ok(line.startsWith(all[i]?.id.slice(0, 12) ?? "?"));
  refused(await where.run("revisions", "bb"), 2, /no fileset bb/);
  refused(await where.run("revisions", "aa"), 2, /no fileset aa/);
  // One that has no revision yet is no mistake.
  await where.ok("fileset", "add", "empty", "--root", where.top);
  assert.deepEqual(await list(where, "empty"), []);
});

test("a revision is named by id, prefix, latest, time and host", async (t) => {
  const where = await place(t);
  const file = join(where.top, "src/f");
  await where.ok("fileset", "add", "docs", "--root", where.top, "--include", "src/");
  for (const text of ["one", "two", "three"]) {
    where.put({ "src/f": text });
    await where.ok("snapshot", "-q", "docs");
  }
  const [one, two, three] = (await list(where)) as [Facts, Facts, Facts];
  const cat = (name: string, tz = "UTC") => run(where.home, ["cat", `${name}:${file}`], { env: { TZ: tz } });
  const is = async (name: string, text: string, tz?: string): Promise<void> => {
    const ran = await cat(name, tz);
    assert.deepEqual([ran.out, ran.code], [text, 0], `${name}: ${ran.err}`);
  };
  await is(one.id, "one");
  await is(one.id.toUpperCase(), "one");
  await is(two.id.slice(0, 12), "two");
  await is("docs@latest", "three");
  await is("here/docs@latest", "three");
  await is(`docs@${two.time}`, "two");
  await is(`here/docs@${three.time}`, "three");
  // Local time, without Z: the same moment under another name.
  const second = two.time.slice(0, 19);
  const local = new Date(Date.parse(`${second}Z`) + 3 * 3_600_000).toISOString().slice(0, 19);
  await is(`docs@${local}${two.time.slice(19, 29)}`, "two", "Etc/GMT-3");
  await is(`docs@${new Date(Date.now() + 2 * 86_400_000).toISOString().slice(0, 10)}`, "three");
  // What names nothing.
  refused(await cat("docs@2001-01-01"), 1, /no revision at or before 2001-01-01/);
  refused(await cat("dosc@latest"), 1, /did you mean docs\?/);
  refused(await cat("there/docs@latest"), 1, /no revision of a fileset there\/docs/);
  refused(await cat("docs"), 2, /docs@latest/);
  refused(await cat(one.id.slice(0, 3)), 2, /at least 4 hex digits/);
  refused(await cat("docs@yesterday"), 2, /write it like 2026-/);
  refused(await cat("docs@2026-02-30"), 2, /write it like 2026-/);
  const absent = one.id.startsWith("0000") ? "1111" : "0000";
  refused(await cat(absent), 1, /no revision 0000|1111/);
});

test("status: what it says, and as JSON", async (t) => {
  const where = await place(t);
  where.put({ "src/f": "1" });
  await where.ok("fileset", "add", "docs", "--root", join(where.top, "src"));
  await where.ok("snapshot", "-q");
  const { filesets, ...facts } = (await where.json("status")) as { filesets: unknown[] };
  assert.deepEqual(shapeOf(facts), {
    vault: "id",
    device: "id",
    host: "text",
    home: "text",
    revisions: "count",
    segments: "count",
    stored_bytes: "count",
    free_bytes: "count",
    coop: "null",
    with_copies: "count",
    with_min_copies: "count",
  });
  assert.deepEqual(shapeOf(filesets), [
    {
      host: "text",
      fileset: "text",
      revisions: "count",
      newest: "id",
      newest_time: "time",
      newest_complete: "id",
      newest_complete_time: "time",
      copies: "count",
    },
  ]);
  const { out, err } = await where.ok("status");
  assert.equal(err, "");
  assert.match(out, /1 revision in 2 segments/);
  assert.match(out, /here\/docs: 1 revision, newest just now\n$/);
});

test("ls, cat and restore reach names that are not UTF-8", async (t) => {
  const where = await place(t);
  const raw = Buffer.concat([Buffer.from(`${where.top}/src/`), Buffer.from([0xe4, 0xff])]);
  mkdirSync(raw, { recursive: true });
  writeFileSync(Buffer.concat([raw, Buffer.from("/f")]), "found");
  await where.ok("fileset", "add", "src", "--root", join(where.top, "src"));
  await where.ok("snapshot", "-q");
  const go = (words: string): string =>
    execFileSync("bash", ["-c", `"$0" ${words}`, bin, `src@latest:${where.top}/src`, join(where.top, "back")], {
      env: { ...process.env, BCOOPFS_HOME: where.home },
      encoding: "latin1",
    });
  assert.equal(go("cat \"$1\"/$'\\xe4\\xff'/f"), "found");
  assert.equal(go("ls \"$1\"/$'\\xe4\\xff'"), `${raw.toString("latin1")}/f\n`);
  go('restore -q "$1"/$\'\\xe4\\xff\' --target "$2"');
  assert.equal(readFileSync(join(where.top, "back/f"), "utf8"), "found");
});

/** What becomes of data on its way out: a reader that stops reading, a full disk, numbers of any size. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { jsonText } from "../../src/cli/json.js";
import { randomBytesOf } from "../capture/given.js";
import { bin, type Place, place } from "./given.js";

/** A revision of a file of 4 MiB, and of a folder whose listing is longer than any pipe holds. */
async function large(t: TestContext): Promise<Place & { src: string; file: string }> {
  const where = await place(t);
  const src = join(where.top, "src");
  mkdirSync(src);
  for (let i = 0; i < 4000; i++) writeFileSync(join(src, `${"x".repeat(200)}${i}`), "");
  writeFileSync(join(src, "f"), randomBytesOf(4 << 20, 1));
  await where.ok("fileset", "add", "src", "--root", src);
  await where.ok("snapshot", "-q");
  return { ...where, src, file: `src@latest:${src}/f` };
}

test("SIGINT and SIGTERM end cat and ls with 130, also while nobody reads", async (t) => {
  const where = await large(t);
  const env = { ...process.env, BCOOPFS_HOME: where.home };
  for (const [words, signal] of [
    [["cat", where.file], "SIGINT"],
    [["ls", "src@latest"], "SIGTERM"],
    [["ls", "--json", "src@latest"], "SIGINT"],
  ] as const) {
    const child = spawn(bin, words, { env, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    child.stderr.on("data", (bytes: Buffer) => {
      said += bytes.toString();
    });
    // The first bytes are there; nobody takes them, so the pipe fills up.
    await new Promise((resolve) => child.stdout.once("readable", resolve));
    await sleep(300);
    const ended = new Promise((resolve) => child.once("exit", (code, by) => resolve([code, by])));
    const asked = performance.now();
    child.kill(signal);
    assert.deepEqual(await ended, [130, null], `${words.join(" ")}: ${said}`);
    assert.ok(performance.now() - asked < 5000, words.join(" "));
    assert.match(said, /^bcoopfs: interrupted[^\n]*\n$/);
  }
});

test("a reader that goes away ends cat and ls quietly", async (t) => {
  const where = await large(t);
  for (const words of [`cat "${where.file}"`, "ls src@latest", "ls --json src@latest"]) {
    const ran = spawnSync("bash", ["-c", `set -o pipefail; "${bin}" ${words} | head -c 10 | wc -c`], {
      env: { ...process.env, BCOOPFS_HOME: where.home },
      encoding: "utf8",
    });
    assert.deepEqual([ran.status, ran.stdout.trim(), ran.stderr], [0, "10", ""]);
  }
});

test("data that cannot be written: one line, exit 1, and the vault is closed in order", async (t) => {
  const where = await large(t);
  const lines = [["cat", where.file], ["ls", "src@latest"], ["ls", "--json", "src@latest"], ["revisions"], ["version"]];
  for (const words of [...lines, ["status", "--json"], ["snapshot"], ["--help"]]) {
    const out = openSync("/dev/full", "w");
    const env = { ...process.env, BCOOPFS_HOME: where.home };
    const { status, stderr } = spawnSync(bin, words, { env, stdio: ["ignore", out, "pipe"], encoding: "utf8" });
    closeSync(out);
    assert.equal(status, 1, words.join(" "));
    assert.equal(stderr, "bcoopfs: cannot write to stdout: the disk is full; free some space and run it again\n");
  }
  // A catalogue that was not closed in order would be said to be looked through.
  assert.equal((await where.ok("status")).err, "");
  // Nobody hears what stderr does not take; the exit status still tells.
  const err = openSync("/dev/full", "w");
  const { status } = spawnSync(bin, ["cat", "nothing@latest"], {
    env: { ...process.env, BCOOPFS_HOME: where.home },
    stdio: ["ignore", "pipe", err],
  });
  closeSync(err);
  assert.equal(status, 1);
});

test("a disk that takes only a part of the bytes is a full disk", async (t) => {
  const where = await large(t);
  const disk = join(where.top, "disk");
  mkdirSync(disk);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]).status !== 0)
    return t.skip("a file system cannot be mounted here");
  try {
    // Half a page is left within the last piece of 100,000 bytes, wherever it begins.
    writeFileSync(join(where.src, "g"), randomBytesOf(100_000, 2));
    await where.ok("snapshot", "-q");
    for (const words of [
      ["cat", where.file],
      ["cat", `src@latest:${where.src}/g`],
      ["ls", "src@latest"],
    ]) {
      writeFileSync(join(disk, "ballast"), Buffer.alloc(1000 << 10));
      const out = openSync(join(disk, "out"), "w");
      const env = { ...process.env, BCOOPFS_HOME: where.home };
      const { status, stderr } = spawnSync(bin, words, { env, stdio: ["ignore", out, "pipe"], encoding: "utf8" });
      closeSync(out);
      assert.equal(status, 1, words.join(" "));
      assert.match(stderr, /^bcoopfs: cannot write to stdout: the disk is full[^\n]*\n$/);
    }
  } finally {
    spawnSync("umount", [disk]);
  }
  return undefined;
});

test("JSON text: bigints exactly, everything else as JSON.stringify writes it", () => {
  assert.equal(
    jsonText({ a: 9007199254740993n, b: [-1n, { c: 2n ** 64n }] }),
    '{"a":9007199254740993,"b":[-1,{"c":18446744073709551616}]}',
  );
  assert.equal(jsonText({ gone: undefined, list: [undefined, null] }), '{"list":[null,null]}');
  fc.assert(fc.property(fc.jsonValue(), (value) => jsonText(value) === JSON.stringify(value)));
});

test("sizes beyond 2^53 are exact numbers in every JSON", async (t) => {
  let top: string;
  try {
    top = mkdtempSync("/dev/shm/bcoopfs-large-");
  } catch {
    return t.skip("no /dev/shm here");
  }
  try {
    writeFileSync(join(top, "f"), "");
    if (spawnSync("truncate", ["-s", "9007199254740993", join(top, "f")]).status !== 0)
      return t.skip("no file of that size here");
    const where = await place(t);
    assert.match((await where.ok("snapshot", "--json", top)).out, /"bytes":9007199254740993,/);
    assert.match((await where.ok("revisions", "--json")).out, /"bytes":9007199254740993,/);
    const [{ id }] = (await where.json("revisions")) as [{ id: string }];
    assert.match((await where.ok("ls", "--json", `${id}:${top}/f`)).out, /"size":9007199254740993,/);
    await where.ok("restore", id, "--target", join(top, "back"), "-q");
    const back = spawnSync("stat", ["-c", "%s", join(top, "back", top, "f")], { encoding: "utf8" });
    assert.equal(back.stdout, "9007199254740993\n");
  } finally {
    rmSync(top, { recursive: true });
  }
  return undefined;
});

/** The backend against file systems that misbehave, and the table of paths that it holds. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { errnoOf } from "../../src/base/errors.js";
import { type Attributes, errno, type FileSystem, isErrno } from "../../src/mount/backend.js";
import { Paths } from "../../src/mount/paths.js";
import { Recent } from "../../src/mount/recent.js";
import { cannotMount, isClear } from "../support/mounting.js";

test("calls that fail, throw or never end are EIO, and the mount goes on", { skip: cannotMount() }, async () => {
  const point = fs.mkdtempSync(join(tmpdir(), "bcoopfs-mount-"));
  const program = fileURLToPath(new URL("../support/faulty-server.js", import.meta.url));
  const child = spawn(process.execPath, [program, point], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  let said = "";
  child.stderr.on("data", (bytes) => {
    said += bytes;
  });
  try {
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const eio = (error: unknown): boolean => errnoOf(error) === "EIO";
    const began = performance.now();
    // Not in this thread: a hanging mount would hang the test.
    await assert.rejects(fs.promises.readFile(join(point, "hangs")), eio);
    const took = performance.now() - began;
    assert.ok(took > 400 && took < 4000, `EIO after ${took} ms`);
    await assert.rejects(fs.promises.stat(join(point, "throws")), eio);
    assert.equal(await fs.promises.readFile(join(point, "well"), "utf8"), "well");
    assert.equal((await fs.promises.readdir(point)).length, 4);
    assert.match(said, /no answer within 500 ms/);
    assert.match(said, /a bug \| in two lines/);
  } finally {
    child.kill("SIGTERM");
    await ended;
    assert.ok(isClear(point));
    fs.rmdirSync(point);
  }
});

/** Endless folders in which every name is found; counts what is held. */
function endless(): FileSystem & { held: Map<bigint, number>; version: () => number; now: number } {
  const attributes = { mode: 0o40755 } as Attributes;
  const refuse = async (): Promise<number> => errno.EIO;
  const held = new Map<bigint, number>();
  let last = 1n;
  const files = {
    held,
    now: 1,
    version: () => files.now,
    lookup: async (parent: bigint) => {
      if (parent !== 1n && !held.has(parent)) return errno.ESTALE;
      held.set(++last, 1);
      return { node: last, attributes, lasting: true };
    },
    getattr: async () => attributes,
    forget: (node: bigint) => {
      assert.ok(held.delete(node), "forgotten once");
    },
    readdir: refuse,
    readlink: refuse,
    open: refuse,
    read: refuse,
    listxattr: refuse,
    getxattr: refuse,
  };
  return files;
}

test("however many paths are asked for, a bounded number of nodes is held", async () => {
  const files = endless();
  const paths = new Paths(files);
  for (let i = 0; i < 20_000; i++) await paths.at(`/a/b/${i % 10_000}/c`, async () => errno.ENOENT);
  assert.ok(files.held.size <= 8192, `${files.held.size}`);
  files.now++;
  await paths.at("/a", async () => errno.ENOENT);
  assert.equal(files.held.size, 1, "all let go when the list of revisions changed");
});

test("a node that is taken is the caller's, unless there was an error", async () => {
  const files = endless();
  const paths = new Paths(files);
  const taken = await paths.take("/a/b", async ({ node }) => node);
  assert.ok(!isErrno(taken) && files.held.has(taken));
  files.now++;
  await paths.at("/x", async () => errno.ENOENT);
  assert.ok(files.held.has(taken), "not let go with the others");
  const before = files.held.size;
  await paths.take("/x/y", async () => errno.EROFS);
  assert.equal(files.held.size, before);
});

test("the same path asked for many times at once holds one node", async () => {
  const files = endless();
  const paths = new Paths(files);
  await Promise.all(Array.from({ length: 50 }, () => paths.at("/a/b/c", async () => errno.ENOENT)));
  assert.equal(files.held.size, 3);
});

test("what was used of late stays, and what leaves is told once", () => {
  const left: number[] = [];
  const recent = new Recent<number, number>(100, (value) => left.push(value));
  for (let i = 0; i < 1000; i++) {
    recent.set(i, i);
    assert.equal(recent.get(0), 0, "used all the time");
    assert.ok(i < 20 || recent.get(i - 20) === i - 20, "of the last ones");
  }
  assert.ok(1000 - left.length <= 100);
  assert.equal(recent.get(5), undefined);
  recent.set(0, -1);
  assert.equal(left.at(-1), 0, "replaced");
  recent.clear();
  assert.equal(new Set(left).size, left.length);
  assert.equal(left.length, 1001);
});

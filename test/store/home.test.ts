/** Small files get there whole or not at all, and homes lie only where locks and syncs keep their promises. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import {
  checkFileSystem,
  createFile,
  homeAt,
  makeFolder,
  readIfThere,
  replaceFile,
  tryUnlink,
  unfitFileSystem,
} from "../../src/store/home.js";
import { workFolder } from "../support/store-home.js";

const where = workFolder();

test("a file is replaced whole, with its mode, and nothing stays behind", () => {
  const path = join(where, "replaced");
  replaceFile(path, "one");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  replaceFile(path, Buffer.from("two"), 0o644);
  assert.equal(readFileSync(path, "utf8"), "two");
  assert.equal(statSync(path).mode & 0o777, 0o644);
  assert.deepEqual(readdirSync(where), ["replaced"]);
});

test("what cannot be written leaves the old file and no temporary one", () => {
  const path = join(where, "taken");
  mkdirSync(path);
  assert.throws(() => replaceFile(path, "x"), problem("io"));
  assert.ok(statSync(path).isDirectory());
  assert.equal(existsSync(`${path}.tmp`), false);
  assert.throws(() => replaceFile(join(where, "no/such"), "x"), problem("io"));
});

test("a created file must be new", () => {
  const path = join(where, "created");
  createFile(path, "one");
  assert.throws(() => createFile(path, "two"), problem("refused"));
  assert.equal(readFileSync(path, "utf8"), "one");
});

test("folders and missing files", () => {
  const path = join(where, "folder");
  makeFolder(path);
  makeFolder(path);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  assert.throws(() => makeFolder(join(where, "no/such")), problem("io"));
  assert.equal(readIfThere(join(where, "nothing")), undefined);
  assert.throws(() => readIfThere(path), problem("io"));
  tryUnlink(join(where, "nothing"));
  writeFileSync(join(where, "something"), "");
  tryUnlink(join(where, "something"));
  assert.equal(existsSync(join(where, "something")), false);
});

test("file systems that cannot hold a home are known by number, however the number is signed", () => {
  const unfit: readonly [number, string][] = [
    [0x6969, "NFS"],
    [0x517b, "SMB"],
    [0xff534d42, "SMB"],
    [0xff534d42 | 0, "SMB"],
    [0xfe534d42, "SMB"],
    [0x01021997, "9p"],
    [0x65735546, "FUSE"],
    [0x00c36400, "Ceph"],
    [0x5346414f, "AFS"],
  ];
  for (const [type, name] of unfit) assert.equal(unfitFileSystem(type), name);
  // ext4, xfs, btrfs, tmpfs, zfs, f2fs, overlay
  for (const type of [0xef53, 0x58465342, 0x9123683e, 0x9123683e | 0, 0x01021994, 0x2fc12fc1, 0xf2f52010, 0x794c7630])
    assert.equal(unfitFileSystem(type), undefined);
  checkFileSystem(where);
});

test("a home's parts lie in it", () => {
  for (const path of Object.values(homeAt("/x/home"))) assert.ok(path === "/x/home" || path.startsWith("/x/home/"));
});

function problem(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Problem && error.code === code && !error.message.includes("\n");
}

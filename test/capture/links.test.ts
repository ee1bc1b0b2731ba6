/** Names of one inode: which share content and group, and which only seem to. */
import assert from "node:assert/strict";
import { chmodSync, linkSync, mkdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { SystemEntry } from "../../src/base/native.js";
import { realSystem } from "../../src/base/system.js";
import { FileCapture } from "../../src/capture/file.js";
import type { Entry } from "../../src/format/entry.js";
import { entryOf } from "../../src/vault/entry.js";
import { linkKey } from "../../src/vault/link-key.js";
import { asOrdinaryUser, folderFor, giveAway, opening, save, settled, vaultAt } from "./given.js";

test("an inode that another file gets during the run does not pass for the first one", async (t) => {
  const top = folderFor(t);
  const at = (name: string): string => join(top, "src", name);
  mkdirSync(at("d"), { recursive: true });
  const vault = await vaultAt(t, join(top, "home"));
  const time = 1_600_000_000;
  const put = (name: string, text: string): bigint => {
    writeFileSync(at(name), text);
    utimesSync(at(name), time, time);
    return statSync(at(name), { bigint: true }).ino;
  };
  const first = put("a", "the old content");
  linkSync(at("a"), at("d/one"));
  put("b", "between the two");
  await settled();
  let reused = false;
  const swap = (name: string): void => {
    if (name !== "b") return;
    rmSync(at("a"));
    rmSync(at("d/one"));
    for (let i = 0; i < 1000 && !reused; i++) {
      reused = put(`d/new${i}`, "the new content") === first;
      if (!reused) continue;
      renameSync(at(`d/new${i}`), at("d/one"));
      linkSync(at("d/one"), at("d/two"));
    }
  };
  const { result } = await opening(() => save(vault, [at("")]), swap);
  if (!reused) return t.skip("this file system does not give a number again");
  assert.equal((await result.bytes(at("a"))).toString(), "the old content");
  for (const name of ["d/one", "d/two"]) assert.equal((await result.bytes(at(name))).toString(), "the new content");
  return undefined;
});

const found = { name: Buffer.from("f"), mode: 0o100644, uid: 0, gid: 0, mtimeNs: 5n, size: 0n } as SystemEntry;
const linked = (links: number): Entry => ({ ...entryOf("file", { ...found, nlink: links }), links });

test("what is remembered of an inode goes with the last of its names", () => {
  const files = new FileCapture(undefined as never, undefined as never, realSystem, false);
  for (let i = 0; i < 1000; i++) {
    const groups = new Set([0, 1, 2].map(() => files.groupOf(linked(3), `8:1:${i}`, undefined)));
    assert.equal(groups.size, 1);
  }
  assert.equal(files.linked, 0);
  files.groupOf(linked(2), "8:1:1", undefined);
  files.groupOf(linked(1), "8:1:2", undefined);
  assert.equal(files.linked, 1);
});

test("a name that could not be read does not share a group with what its file has become", async (t) => {
  const top = folderFor(t);
  const at = (name: string): string => join(top, "s", name);
  mkdirSync(at("d1"), { recursive: true });
  mkdirSync(at("d2"));
  const vault = await vaultAt(t, join(top, "home"));
  writeFileSync(at("d1/a"), "before");
  linkSync(at("d1/a"), at("d2/a"));
  giveAway(top);
  await asOrdinaryUser(async () => {
    await settled();
    await save(vault, [at("")]);
    writeFileSync(at("d2/a"), "after!");
    await settled();
    chmodSync(at("d1"), 0);
    try {
      const saved = await save(vault, [at("")]);
      assert.equal(saved.body.complete, false);
      const [one, two] = [await saved.need(at("d1/a")), await saved.need(at("d2/a"))];
      assert.deepEqual(
        [(await saved.bytes(at("d1/a"))).toString(), (await saved.bytes(at("d2/a"))).toString()],
        ["before", "after!"],
      );
      assert.deepEqual([one.links, two.links], [2, 2]);
      assert.notEqual(one.group, two.group);
      assert.notEqual(linkKey(one), linkKey(two));
    } finally {
      chmodSync(at("d1"), 0o700);
    }
  });
});

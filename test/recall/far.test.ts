/** Restore, listings, contents and the mount of a machine that has logs and keys, and peers that have the rest. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { realSystem } from "../../src/base/system.js";
import { objectKinds } from "../../src/format/listing.js";
import { isErrno, rootNode } from "../../src/mount/backend.js";
import { MountTree } from "../../src/mount/tree.js";
import { catFile, listFolder } from "../../src/recall/look.js";
import { restore } from "../../src/recall/restore.js";
import { homeAt } from "../../src/store/home.js";
import { allRevisions, type Revision } from "../../src/vault/revisions.js";
import type { View } from "../../src/vault/view.js";
import { FolderSource, moveSegments } from "../support/folder-source.js";
import { commitRevision, file, folder, type TestVault, testVault, viewOf } from "../support/recall-revision.js";

const random = realSystem.random;
let it: TestVault;
let source: FolderSource;
const large = Array.from({ length: 30 }, () => random(60_000));
const xattr = random(3000);

before(async () => {
  it = await testVault();
  const many = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`n${i}`, file(`content ${i}`)]));
  // Each revision has segments of its own, so that many are asked for.
  for (let i = 0; i < 5; i++) await commitRevision(it.vault, folder({ [`old${i}`]: file([random(9000)]) }));
  await commitRevision(
    it.vault,
    folder({ many: folder(many), large: file([...large, 5000]), x: file("x", { xattrs: { "user.x": xattr } }) }),
  );
});
after(() => it.end());

/** Lose everything but logs and keys; peers have the rest. @param keepIndex the index is still there */
async function lose(keepIndex: boolean): Promise<Revision> {
  const home = homeAt(it.home);
  const peers = join(it.path, "peers");
  await it.reopen(() => {
    moveSegments(home, peers);
    if (keepIndex) return;
    rmSync(home.catalogue, { recursive: true });
    mkdirSync(home.catalogue);
  });
  source = new FolderSource(peers);
  it.vault.store.source = source;
  const revision = [...allRevisions(it.vault.store.catalogue)].at(-1);
  assert.ok(revision);
  return revision;
}

let next = 0;
async function restored(view: View): Promise<string> {
  const target = join(it.path, `target-${next++}`);
  await restore(it.vault, view, [], target, { includeOwner: false }, () => {});
  return target;
}

function checkTarget(target: string): void {
  assert.deepEqual(readdirSync(target).sort(), ["large", "many", "x"]);
  assert.ok(readFileSync(join(target, "large")).equals(Buffer.concat([...large, Buffer.alloc(5000)])));
  assert.equal(readdirSync(join(target, "many")).length, 400);
  for (const i of [0, 7, 399]) assert.equal(readFileSync(join(target, `many/n${i}`), "utf8"), `content ${i}`);
}

for (const keepIndex of [true, false])
  test(`restore from peers ${keepIndex ? "with" : "without"} an index`, async () => {
    const revision = await lose(keepIndex);
    checkTarget(await restored(viewOf(it.vault, revision)));
    assert.ok(source.questions.length <= 2, `${source.questions.length} questions who has what`);
    assert.ok((source.questions[0] ?? 0) > 1, "many names in one question");
  });

test("what nobody has is named, and nothing is written", async () => {
  const revision = await lose(true);
  const data = [...it.vault.store.catalogue.segments()].filter(
    ({ listing }) => listing.kind === objectKinds.dataSegment,
  );
  const newest = data.at(-1)?.listing.name.toString("hex") as string;
  const target = join(it.path, "never");
  const view = viewOf(it.vault, revision);
  const refused = (text: RegExp) => (error: unknown) =>
    error instanceof Problem && error.code === "missing" && text.test(error.message) && !error.message.includes("\n");
  source.lost.add(newest);
  await assert.rejects(
    restore(it.vault, view, [], target, { includeOwner: false }, () => {}),
    refused(
      /^nothing was written: the data of 402 files is neither here nor with a peer that can be reached \(\/large, /,
    ),
  );
  assert.ok(!existsSync(target));
  it.vault.store.source = undefined;
  await assert.rejects(
    restore(it.vault, viewOf(it.vault, revision), [], target, { includeOwner: false }, () => {}),
    refused(/is not in the store/),
  );
  it.vault.store.source = source;
  source.lost.clear();
  checkTarget(await restored(view));
});

test("listed, shown and mounted from peers", async () => {
  const revision = await lose(false);
  const view = viewOf(it.vault, revision);
  const listed: string[] = [];
  for await (const { path } of listFolder(view, [], { recursive: true })) listed.push(path.toString());
  assert.equal(listed.length, 403);
  const shown: Buffer[] = [];
  for await (const bytes of catFile(viewOf(it.vault, revision), [Buffer.from("large")])) shown.push(bytes);
  assert.ok(Buffer.concat(shown).equals(Buffer.concat([...large, Buffer.alloc(5000)])));

  await lose(false);
  const tree = new MountTree(it.vault.store, (line) => assert.fail(line));
  let node = rootNode;
  for (const name of ["ids", revision.id.toString("hex"), "x"]) {
    const found = await tree.lookup(node, Buffer.from(name));
    assert.ok(!isErrno(found), `${name}: errno ${found}`);
    node = found.node;
  }
  const bytes = await tree.read(node, 0n, 10);
  assert.ok(!isErrno(bytes) && bytes.toString() === "x");
  const value = await tree.getxattr(node, Buffer.from("user.x"));
  assert.ok(!isErrno(value) && value.equals(xattr));
  for (const name of readdirSync(join(it.path, "peers"))) source.lost.add(name);
  const failing = new MountTree(it.vault.store, () => {});
  const at = await failing.lookup(rootNode, Buffer.from("ids"));
  assert.ok(!isErrno(at));
});

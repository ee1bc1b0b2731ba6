/** What a mount shows, asked without a kernel: layout, nodes, attributes, and what becomes of what cannot be read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { realSystem, type System } from "../../src/base/system.js";
import { entryFlags } from "../../src/format/entry.js";
import { type Answer, type Attributes, errno, type Found, isErrno, rootNode } from "../../src/mount/backend.js";
import { MountTree } from "../../src/mount/tree.js";
import { openVault } from "../../src/vault/vault.js";
import { damage, newPlace, type Place, type Sketch, sketch } from "../support/revision.js";

function good<T>(answer: Answer<T>): T {
  assert.ok(!isErrno(answer), `errno ${answer}`);
  return answer as T;
}

async function find(tree: MountTree, path: string): Promise<Answer<Found>> {
  let found: Answer<Found> = { node: rootNode, attributes: good(await tree.getattr(rootNode)), lasting: false };
  for (const name of path.split("/").filter((part) => part !== "")) {
    if (isErrno(found)) return found;
    const parent: bigint = found.node;
    found = await tree.lookup(parent, Buffer.from(name, "latin1"));
    if (parent !== rootNode) tree.forget(parent);
  }
  return found;
}

const nodeAt = async (tree: MountTree, path: string): Promise<bigint> => good(await find(tree, path)).node;

async function names(tree: MountTree, path: string): Promise<string[]> {
  const node = await nodeAt(tree, path);
  const found: string[] = [];
  for (let after: Buffer | undefined; ; ) {
    const block = good(await tree.readdir(node, after));
    if (block.length === 0) return found;
    for (const { name } of block) found.push(name.toString("latin1"));
    after = block.at(-1)?.name;
  }
}

async function content(tree: MountTree, path: string): Promise<string> {
  return good(await tree.read(await nodeAt(tree, path), 0n, 1000)).toString();
}

/** A vault whose clock stands still unless a test sets it. */
async function atTime(iso: string): Promise<Place & { clock: { now: bigint } }> {
  const clock = { now: BigInt(Date.parse(iso)) * 1_000_000n };
  const system: System = { ...realSystem, now: () => clock.now };
  return { ...(await newPlace(system)), clock };
}

const say = (line: string): never => assert.fail(line);

test("revisions of one second are told apart, latest is the newest complete one in the order of the log", async () => {
  const place = await atTime("2026-11-20T08:15:30Z");
  const { vault, clock } = place;
  try {
    const tree = new MountTree(vault.store, say);
    assert.deepEqual(await names(tree, "/"), ["hosts", "ids"]);
    assert.deepEqual(await names(tree, "/hosts"), []);
    const ids: string[] = [];
    const save = async (text: string, complete = true): Promise<void> => {
      const root = { below: { f: { pieces: [Buffer.from(text)] } } };
      ids.push((await sketch(vault, root, { complete })).toString("hex"));
      await realSystem.turn();
    };
    await save("one");
    await save("two");
    await save("three", false);
    const first = "2026-11-20T08:15:30Z";
    assert.deepEqual(await names(tree, "/hosts/box/docs"), [first, `${first}.2`, `${first}.3`, "latest"]);
    assert.equal(good(await tree.readlink(await nodeAt(tree, "/hosts/box/docs/latest"))).toString(), `${first}.2`);
    assert.equal(await content(tree, `/hosts/box/docs/${first}.3/f`), "three");
    // A clock that was set back changes nothing of the order.
    clock.now = BigInt(Date.parse("2020-01-01T00:00:00Z")) * 1_000_000n;
    await save("four");
    const listed = await names(tree, "/hosts/box/docs");
    const latest = good(await tree.readlink(await nodeAt(tree, "/hosts/box/docs/latest"))).toString();
    assert.equal(await content(tree, `/hosts/box/docs/${latest}/f`), "four");
    assert.equal(listed.length, 5);
    assert.deepEqual(await names(tree, "/ids"), [...ids].sort());
    for (const [i, text] of ["one", "two", "three", "four"].entries())
      assert.equal(await content(tree, `/ids/${ids[i]}/f`), text);
  } finally {
    await place.end();
  }
});

test("only partial revisions: no latest", async () => {
  const place = await newPlace();
  try {
    await sketch(place.vault, {}, { complete: false });
    const listed = await names(new MountTree(place.vault.store, say), "/hosts/box/docs");
    assert.equal(listed.length, 1);
    assert.ok(!listed.includes("latest"));
  } finally {
    await place.end();
  }
});

test("hosts and filesets apart; a name that is none shows by its id alone", async () => {
  const place = await newPlace();
  try {
    await sketch(place.vault, {}, { host: "a", fileset: "x" });
    await sketch(place.vault, {}, { host: "a", fileset: "y" });
    await sketch(place.vault, {}, { host: "b", fileset: "x" });
    await sketch(place.vault, {}, { host: "../evil", fileset: "x" });
    await sketch(place.vault, {}, { host: "c", fileset: "..", complete: false });
    const tree = new MountTree(place.vault.store, say);
    assert.deepEqual(await names(tree, "/hosts"), ["a", "b"]);
    assert.deepEqual(await names(tree, "/hosts/a"), ["x", "y"]);
    assert.equal((await names(tree, "/ids")).length, 5);
    for (const path of ["/at", "/versions", "/.bcoopfs", "/hosts/c", "/hosts/a/z", "/ids/00"])
      assert.equal(await find(tree, path), errno.ENOENT, path);
  } finally {
    await place.end();
  }
});

test("what another process commits is seen by the next look-up", async () => {
  const place = await newPlace();
  const other = await openVault(place.home, realSystem, () => {});
  try {
    const tree = new MountTree(other.store, say);
    const before = tree.version();
    assert.equal(tree.version(), before);
    const id = (await sketch(place.vault, { below: { f: { pieces: [Buffer.from("new")] } } })).toString("hex");
    await realSystem.turn();
    assert.deepEqual(await names(tree, "/ids"), [id]);
    assert.notEqual(tree.version(), before);
    assert.equal(await content(tree, `/ids/${id}/f`), "new");
  } finally {
    await other.close();
    await place.end();
  }
});

test("a thousand revisions, one more: looked at without reading them all again", async () => {
  const place = await newPlace();
  try {
    const bodies = 1000;
    const first = (await sketch(place.vault, {})).toString("hex");
    const row = place.vault.store.catalogue.revision(Buffer.from(first, "hex"));
    assert.ok(row);
    const records = Array.from({ length: bodies }, () => ({
      type: "revision" as const,
      clear: Buffer.alloc(0),
      secret: row.body,
    }));
    place.vault.store.commit([], records);
    const tree = new MountTree(place.vault.store, say);
    await realSystem.turn();
    assert.equal((await names(tree, "/hosts/box/docs")).length, bodies + 2);
    const began = performance.now();
    for (let i = 0; i < 1000; i++) await nodeAt(tree, `/ids/${first}`);
    const each = (performance.now() - began) / 1000;
    assert.ok(each < 2, `a look-up took ${each} ms`);
  } finally {
    await place.end();
  }
});

test("hard links of a revision share one inode number, everything else has its own", async () => {
  const place = await newPlace();
  try {
    const linked = { pieces: [Buffer.from("x")], links: 2, group: 77n };
    const root = { below: { a: linked, d: { below: { b: linked, c: { pieces: [Buffer.from("x")] } } } } };
    const ids = [await sketch(place.vault, root), await sketch(place.vault, root)].map((id) => id.toString("hex"));
    const tree = new MountTree(place.vault.store, say);
    const stat = async (path: string): Promise<Attributes> => good(await find(tree, path)).attributes;
    const a = await stat(`/ids/${ids[0]}/a`);
    const b = await stat(`/ids/${ids[0]}/d/b`);
    assert.equal(a.ino, b.ino);
    assert.deepEqual([a.nlink, b.nlink], [2, 2]);
    const others = [`${ids[0]}/d/c`, `${ids[0]}/d`, `${ids[1]}/a`, `${ids[1]}/d`, `${ids[0]}`, `${ids[1]}`];
    const numbers = new Set([
      a.ino,
      ...(await Promise.all(others.map(async (path) => (await stat(`/ids/${path}`)).ino))),
    ]);
    assert.equal(numbers.size, others.length + 1);
    const again = new MountTree(place.vault.store, say);
    assert.equal(good(await find(again, `/ids/${ids[0]}/a`)).attributes.ino, a.ino, "another mount");
    const listed = good(await tree.readdir(await nodeAt(tree, `/ids/${ids[0]}`), undefined));
    assert.equal(listed[0]?.attributes.ino, a.ino, "as listed");
  } finally {
    await place.end();
  }
});

test("names of one group with different contents are different files", async () => {
  const place = await newPlace();
  try {
    const named = (text: string): Sketch => ({ pieces: [Buffer.from(text)], links: 3, group: 77n });
    const root = { below: { a: named("old"), b: named("new"), c: named("new"), s: { ...named("old"), kind: "fifo" } } };
    const id = (await sketch(place.vault, root as Sketch)).toString("hex");
    const tree = new MountTree(place.vault.store, say);
    const ino = async (name: string): Promise<bigint> => good(await find(tree, `/ids/${id}/${name}`)).attributes.ino;
    assert.equal(await ino("b"), await ino("c"));
    assert.equal(new Set([await ino("a"), await ino("b"), await ino("s")]).size, 3);
  } finally {
    await place.end();
  }
});

test("nodes are kept only as long as they are held", async () => {
  const place = await newPlace();
  try {
    const below = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`f${i}`, {}]));
    const id = (await sketch(place.vault, { below })).toString("hex");
    const tree = new MountTree(place.vault.store, say);
    const folder = await nodeAt(tree, `/ids/${id}`);
    const before = tree.nodes;
    const held: bigint[] = [];
    for (const name of await names(tree, `/ids/${id}`))
      held.push(good(await tree.lookup(folder, Buffer.from(name))).node);
    const twice = good(await tree.lookup(folder, Buffer.from("f0"))).node;
    assert.equal(twice, held[0], "one node for one name");
    tree.forget(twice);
    assert.ok(!isErrno(await tree.getattr(twice)), "held once more");
    for (const node of held) tree.forget(node);
    assert.equal(await tree.getattr(twice), errno.ESTALE);
    assert.ok(tree.nodes <= before + 1);
    tree.forget(rootNode);
    assert.ok(!isErrno(await tree.getattr(rootNode)), "the root stays");
  } finally {
    await place.end();
  }
});

test("contents: any stretch, holes as zeros, nothing beyond the end", async () => {
  const place = await newPlace();
  try {
    const one = realSystem.random(10_000);
    const two = realSystem.random(20_000);
    const hole = 3n << 32n;
    const id = (await sketch(place.vault, { below: { f: { pieces: [one, hole, two] } } })).toString("hex");
    const tree = new MountTree(place.vault.store, say);
    const node = await nodeAt(tree, `/ids/${id}/f`);
    const read = async (at: bigint, length: number): Promise<Buffer> => good(await tree.read(node, at, length));
    assert.deepEqual(await read(9000n, 2000), Buffer.concat([one.subarray(9000), Buffer.alloc(1000)]));
    assert.deepEqual(await read(10_000n + hole - 10n, 20), Buffer.concat([Buffer.alloc(10), two.subarray(0, 10)]));
    const end = 30_000n + hole;
    assert.deepEqual(await read(end - 5n, 100), two.subarray(-5));
    assert.equal((await read(end, 100)).length, 0);
    assert.equal((await read(end + (1n << 50n), 100)).length, 0);
    assert.equal(good(await tree.getattr(node)).size, end);
  } finally {
    await place.end();
  }
});

test("what no snapshot could read is EIO, never nothing", async () => {
  const place = await newPlace();
  try {
    const unread = { flags: entryFlags.neverReadable, errno: 13 };
    const root = { below: { f: { ...unread, size: 5n }, d: { ...unread, kind: "folder" as const }, ok: {} } };
    const id = (await sketch(place.vault, root, { complete: false })).toString("hex");
    const said: string[] = [];
    const tree = new MountTree(place.vault.store, (line) => said.push(line));
    const file = await nodeAt(tree, `/ids/${id}/f`);
    assert.equal(await tree.open(file), errno.EIO);
    assert.equal(await tree.read(file, 0n, 5), errno.EIO);
    const folder = await nodeAt(tree, `/ids/${id}/d`);
    assert.equal(await tree.readdir(folder, undefined), errno.EIO);
    assert.equal(await tree.lookup(folder, Buffer.from("x")), errno.EIO);
    assert.deepEqual(said, [`/ids/${id}/f: no snapshot could read this file (error 13)`]);
  } finally {
    await place.end();
  }
});

test("damaged segments: EIO and a line that names the path, for folders and for contents", async () => {
  const place = await newPlace();
  const bytes = realSystem.random(50_000);
  const id = (await sketch(place.vault, { below: { d: { below: { f: { pieces: [bytes] } } } } })).toString("hex");
  await place.vault.close();
  assert.equal(damage(place.home), 2);
  const vault = await openVault(place.home, realSystem, () => {});
  const said: string[] = [];
  try {
    const tree = new MountTree(vault.store, (line) => said.push(line));
    const root = await nodeAt(tree, `/ids/${id}`);
    const below = await tree.lookup(root, Buffer.from("d"));
    assert.equal(below, errno.EIO);
    assert.equal(await tree.readdir(root, undefined), errno.EIO);
    assert.ok(said.length === 2 && said.every((line) => line.startsWith(`/ids/${id}: segment `)), said.join("\n"));
  } finally {
    await vault.close();
    await place.end().catch(() => {});
  }
});

test("wrong questions have the answers of any file system", async () => {
  const place = await newPlace();
  try {
    const link = { kind: "symlink" as const, target: Buffer.from("x\xff", "latin1") };
    const id = (await sketch(place.vault, { below: { f: {}, l: link } })).toString("hex");
    const tree = new MountTree(place.vault.store, say);
    const [file, root] = [await nodeAt(tree, `/ids/${id}/f`), await nodeAt(tree, `/ids/${id}`)];
    assert.equal(await tree.lookup(file, Buffer.from("x")), errno.ENOTDIR);
    assert.equal(await tree.readdir(file, undefined), errno.ENOTDIR);
    assert.equal(await tree.readlink(file), errno.EINVAL);
    assert.equal(await tree.read(root, 0n, 10), errno.EISDIR);
    assert.equal(await tree.open(rootNode), errno.EISDIR);
    assert.equal(await tree.readlink(rootNode), errno.EINVAL);
    assert.equal(await tree.getxattr(file, Buffer.from("user.x")), errno.ENODATA);
    assert.deepEqual(await tree.listxattr(rootNode), []);
    assert.equal(await tree.getattr(999n), errno.ESTALE);
    assert.deepEqual(await tree.readlink(await nodeAt(tree, `/ids/${id}/l`)), link.target);
  } finally {
    await place.end();
  }
});

/** Chunks of folders and of content lists: strict, and what each mentions. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { format } from "../../src/base/limits.js";
import { ContentBuilder, decodeList, encodeList, type ListChunk } from "../../src/format/content.js";
import { entryMentions, mentionsOf } from "../../src/format/mention.js";
import {
  type Branch,
  branchOf,
  decodeTree,
  encodeTree,
  isGround,
  TreeBuilder,
  type TreeChunk,
} from "../../src/format/tree.js";
import { checkPlain } from "../support/strict.js";
import { entryArbitrary, idArbitrary, nameArbitrary, plainFile, randomOf, record, samplesOf } from "./given.js";

const random = randomOf("tree");

const byName = <T>(name: (item: T) => Buffer) => ({
  maxLength: 4,
  minLength: 1,
  selector: (item: T) => name(item).toString("latin1"),
});
const ground = fc
  .uniqueArray(
    entryArbitrary(),
    byName((entry) => entry.name),
  )
  .map((entries): TreeChunk => ({ level: 0, entries: entries.sort((a, b) => Buffer.compare(a.name, b.name)) }));
const branch = record({
  first: nameArbitrary,
  id: idArbitrary,
  entries: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
});
const upper = fc
  .tuple(
    fc.integer({ min: 1, max: format.levels }),
    fc.uniqueArray(
      branch,
      byName((item) => item.first),
    ),
  )
  .map(([level, all]): TreeChunk => ({ level, branches: all.sort((a, b) => Buffer.compare(a.first, b.first)) }));

/** No two holes in a row, none above level 1, chunks within bounds. */
const list = fc
  .tuple(
    fc.integer({ min: 1, max: format.levels }),
    fc.array(fc.tuple(fc.boolean(), idArbitrary, fc.bigInt(1n, (1n << 63n) - 1n)), { minLength: 1, maxLength: 5 }),
  )
  .map(([level, all]): ListChunk => {
    let afterHole = false;
    const items = all.map(([hole, id, size]) => {
      afterHole = level === 1 && hole && !afterHole;
      const bytes = level === 1 && !afterHole ? (size % BigInt(format.chunkBytes)) + 1n : size;
      return { size: bytes, id: afterHole ? undefined : id };
    });
    return { level, items };
  });

test("chunks of folders are read strictly", () => {
  checkPlain("tree", { encode: encodeTree, decode: decodeTree, samples: samplesOf(ground, 15), positions: 200 });
  checkPlain("tree", { encode: encodeTree, decode: decodeTree, samples: samplesOf(upper, 15) });
});

test("chunks of content lists are read strictly", () => {
  checkPlain("list", { encode: encodeList, decode: decodeList, samples: samplesOf(list, 30) });
});

test("the smallest entry there can be is read", () => {
  const tiny = { ...plainFile("a"), kind: "fifo" as const, mode: 0, uid: 0, gid: 0, mtimeNs: 0n };
  const chunk: TreeChunk = { level: 0, entries: [tiny, { ...tiny, name: Buffer.from("b") }] };
  assert.deepEqual(decodeTree(encodeTree(chunk)), chunk);
  assert.equal(encodeTree({ level: 0, entries: [tiny] }).length, 2 + 12);
});

test("order, levels and emptiness are checked", () => {
  const id = random(32);
  const [a, b] = [plainFile("a"), plainFile("b")];
  const [left, right] = ["a", "b"].map((first): Branch => ({ first: Buffer.from(first), id, entries: 1 }));
  const wrong: readonly [why: string, chunk: TreeChunk][] = [
    ["no entry", { level: 0, entries: [] }],
    ["no branch", { level: 1, branches: [] }],
    ["entries out of order", { level: 0, entries: [b, a] }],
    ["a name twice", { level: 0, entries: [a, a] }],
    ["branches out of order", { level: 1, branches: [right!, left!] }],
    ["a branch twice", { level: 1, branches: [left!, left!] }],
    ["a branch to nothing", { level: 1, branches: [{ ...left!, entries: 0 }] }],
    ["a branch without a name", { level: 1, branches: [{ ...left!, first: Buffer.alloc(0) }] }],
    ["a branch with a path", { level: 1, branches: [{ ...left!, first: Buffer.from("a/b") }] }],
    ["too many levels", { level: format.levels + 1, branches: [left!] }],
  ];
  for (const [why, chunk] of wrong) assert.throws(() => decodeTree(encodeTree(chunk)), { code: "format" }, why);
  // Names are compared as unsigned bytes, not as text: U+FF41 (ef bd 81) stands before U+1D51E (f0 9d 94 9e).
  const names = ["z", "é", "ａ", "𝔞"].map(plainFile);
  assert.ok(isGround(decodeTree(encodeTree({ level: 0, entries: names }))));

  const chunk = { size: 5n, id };
  const hole = { size: 5n, id: undefined };
  const lists: readonly [why: string, chunk: ListChunk][] = [
    ["level 0", { level: 0, items: [chunk] }],
    ["too many levels", { level: format.levels + 1, items: [chunk] }],
    ["no item", { level: 1, items: [] }],
    ["two holes in a row", { level: 1, items: [chunk, hole, hole] }],
    ["a hole above the ground", { level: 2, items: [chunk, hole] }],
    ["a hole without bytes", { level: 1, items: [{ size: 0n, id: undefined }] }],
    ["a chunk without bytes", { level: 1, items: [{ size: 0n, id }] }],
    ["a chunk too large", { level: 1, items: [{ size: BigInt(format.chunkBytes) + 1n, id }] }],
  ];
  for (const [why, bad] of lists) assert.throws(() => decodeList(encodeList(bad)), { code: "format" }, why);
});

test("a hostile count is refused before anything is allocated", () => {
  const before = process.memoryUsage();
  for (const hex of ["00ffffff01", "00ffffffffffff0f", "01ffffff01", "0c808001"])
    for (const decode of [decodeTree, decodeList])
      assert.throws(() => decode(Buffer.concat([Buffer.from(hex, "hex"), Buffer.alloc(100)])), { code: "format" });
  const after = process.memoryUsage();
  assert.ok(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers < 4 << 20);
});

test("what a chunk mentions, in order", () => {
  const ids = Array.from({ length: 6 }, () => random(32));
  const file = {
    ...plainFile("a"),
    size: 5n,
    content: { level: 2, id: ids[0]!, size: 5n },
    xattrs: [
      { name: Buffer.from("u.a"), value: Buffer.from("inline") },
      { name: Buffer.from("u.b"), value: { level: 0, id: ids[1]!, size: 5000n } },
    ],
  };
  const folder = { ...plainFile("b"), kind: "folder" as const, tree: { level: 1, id: ids[2]!, entries: 4 } };
  const expected = [
    { type: "list", id: ids[0] },
    { type: "data", id: ids[1] },
    { type: "tree", id: ids[2] },
  ];
  assert.deepEqual([...entryMentions(file), ...entryMentions(folder)], expected);
  assert.deepEqual(mentionsOf("tree", encodeTree({ level: 0, entries: [file, folder] })), expected);
  const branches = [{ first: Buffer.from("x"), id: ids[3]!, entries: 1 }];
  assert.deepEqual(mentionsOf("tree", encodeTree({ level: 1, branches })), [{ type: "tree", id: ids[3] }]);
  const items = [
    { size: 4n, id: ids[4]! },
    { size: 9n, id: undefined },
    { size: 4n, id: ids[5]! },
  ];
  assert.deepEqual(
    mentionsOf("list", encodeList({ level: 1, items })).map(({ type }) => type),
    ["data", "data"],
  );
  assert.deepEqual(mentionsOf("list", encodeList({ level: 2, items: [items[0]!] })), [{ type: "list", id: ids[4] }]);
  assert.deepEqual(mentionsOf("data", random(9)), []);
  assert.throws(() => mentionsOf("tree", random(9)), { code: "format" });
});

test("a look-up finds the branch that can hold the name", () => {
  const branches = ["b", "d", "f"].map((first): Branch => ({ first: Buffer.from(first), id: random(32), entries: 1 }));
  const found = (name: string): string | undefined => branchOf(branches, Buffer.from(name))?.first.toString();
  assert.deepEqual(["a", "b", "ba", "c", "d", "e", "f", "z"].map(found), [
    undefined,
    "b",
    "b",
    "b",
    "d",
    "d",
    "f",
    "f",
  ]);
  assert.equal(branchOf([], Buffer.from("a")), undefined);
});

test("small contents and folders take the shapes that the format says", () => {
  const stored: Buffer[] = [];
  const put = (bytes: Buffer): Buffer => {
    stored.push(bytes);
    return Buffer.alloc(32, stored.length);
  };
  const id = random(32);
  const build = (act: (to: ContentBuilder) => void) => {
    stored.length = 0;
    const builder = new ContentBuilder(put);
    act(builder);
    return builder.finish();
  };
  assert.equal(
    build(() => {}),
    undefined,
    "no bytes, no content",
  );
  assert.deepEqual(
    build((to) => to.chunk(id, 7)),
    { level: 0, id, size: 7n },
  );
  assert.equal(stored.length, 0, "one chunk needs no list");
  assert.deepEqual(
    build((to) => to.hole(1n << 40n)),
    { level: 1, id: Buffer.alloc(32, 1), size: 1n << 40n },
  );
  assert.deepEqual(decodeList(stored[0]!).items, [{ size: 1n << 40n, id: undefined }]);
  build((to) => {
    to.hole(3n);
    to.hole(4n);
    to.chunk(id, 9);
    to.hole(5n);
  });
  assert.deepEqual(decodeList(stored[0]!).items, [
    { size: 7n, id: undefined },
    { size: 9n, id },
    { size: 5n, id: undefined },
  ]);
  assert.equal(new TreeBuilder(random(32), put).finish(), undefined, "no entries, no tree");
  const one = new TreeBuilder(random(32), put);
  one.add(plainFile("a"));
  assert.deepEqual(one.finish(), { level: 0, id: Buffer.alloc(32, stored.length), entries: 1 });
  const heavy = Array.from({ length: 2100 }, (_, i) => ({
    name: Buffer.from(`user.${String(i).padStart(5, "0")}`),
    value: Buffer.alloc(1024),
  }));
  assert.throws(() => one.add({ ...plainFile("b"), xattrs: heavy }), RangeError, "more than a chunk could hold");
});

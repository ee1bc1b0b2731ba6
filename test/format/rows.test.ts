/** What an edit costs: a folder of a million names, a file of 10 GB, and the few chunks that a change writes anew. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { choice, format } from "../../src/base/limits.js";
import { ContentBuilder, decodeList } from "../../src/format/content.js";
import type { ContentRef, Entry, TreeRef } from "../../src/format/entry.js";
import { keyedHash } from "../../src/format/hash.js";
import { branchOf, decodeTree, isGround, TreeBuilder } from "../../src/format/tree.js";
import { full, numbersOf, plainFile, randomOf } from "./given.js";

const random = randomOf("rows");
const pick = numbersOf("rows");
const key = random(32);

/** Chunks by id, as a store keeps them. */
class Chunks {
  readonly all = new Map<string, Buffer>();
  readonly put = (bytes: Buffer): Buffer => {
    const id = keyedHash(key, bytes);
    this.all.set(id.toString("latin1"), Buffer.from(bytes));
    return id;
  };
  get(id: Buffer): Buffer {
    return this.all.get(id.toString("latin1")) as Buffer;
  }
  newSince(earlier: Chunks): number {
    return [...this.all.keys()].filter((id) => !earlier.all.has(id)).length;
  }
}

/** Mean bytes of the chunks of one level; the last of a level may be short. */
function meanOf(chunks: Chunks, level: number): { count: number; mean: number; most: number } {
  const sizes = [...chunks.all.values()].filter((bytes) => bytes[0] === level).map((bytes) => bytes.length);
  const sum = sizes.reduce((total, size) => total + size, 0);
  return { count: sizes.length, mean: Math.round(sum / sizes.length), most: Math.max(...sizes) };
}

const entryCount = 1_000_000;
const id = random(32);
const template: Entry = { ...plainFile(""), size: 100n, content: { level: 0, id, size: 100n } };
const nameOf = (i: number): Buffer => Buffer.from(`file-${String(i).padStart(7, "0")}.txt`);

function buildFolder(names: Iterable<Buffer>, chunks: Chunks): TreeRef {
  const builder = new TreeBuilder(key, chunks.put);
  for (const name of names) builder.add({ ...template, name });
  return builder.finish() as TreeRef;
}

/** All names, the one at `place` replaced by those given. */
function* namesWith(place: number, instead: readonly Buffer[]): Iterable<Buffer> {
  for (let i = 0; i < entryCount; i++)
    if (i === place) yield* instead;
    else yield nameOf(i);
}

/** Walk from the root to the entry of this name; how many chunks that read. */
function lookUp(chunks: Chunks, root: TreeRef, name: Buffer): { entry: Entry | undefined; reads: number } {
  let at: Buffer | undefined = root.id;
  for (let reads = 1; at; reads++) {
    const chunk = decodeTree(chunks.get(at));
    if (isGround(chunk)) return { entry: chunk.entries.find((entry) => entry.name.equals(name)), reads };
    at = branchOf(chunk.branches, name)?.id;
  }
  return { entry: undefined, reads: 0 };
}

test("a folder of a million names: few levels, chunks of the size aimed at, one path changed by one edit", (t) => {
  const before = new Chunks();
  const root = buildFolder(namesWith(-1, []), before);
  assert.equal(root.entries, entryCount);
  const levels = root.level + 1;
  for (let level = 0; level < levels; level++) {
    const { count, mean, most } = meanOf(before, level);
    t.diagnostic(`level ${level}: ${count} chunks of ${mean} bytes on average, ${most} at most`);
    if (level === 0) assert.ok(Math.abs(mean / choice.treeChunkBytes - 1) < 0.1, `mean ${mean}`);
    assert.ok(most <= choice.treeChunkMaximum + 1024);
  }

  for (let round = 0; round < 2000; round++) {
    const name = nameOf(pick(entryCount));
    const { entry, reads } = lookUp(before, root, name);
    assert.ok(entry?.name.equals(name));
    assert.equal(reads, levels, "one chunk a level");
  }
  for (const missing of ["file-0000000.txs", "file-0500000.txt~", "zzz", "a"])
    assert.equal(lookUp(before, root, Buffer.from(missing)).entry, undefined);

  const middle = pick(entryCount);
  const edits: [what: string, place: number, instead: Buffer[]][] = [
    ["renamed in its place", middle, [Buffer.from(`${nameOf(middle)}~`)]],
  ];
  if (full)
    edits.push(
      ["one added", middle, [nameOf(middle), Buffer.from(`${nameOf(middle)}~`)]],
      ["one removed", middle, []],
      ["first removed", 0, []],
      ["last removed", entryCount - 1, []],
    );
  for (const [what, place, instead] of edits) {
    const after = new Chunks();
    const changed = buildFolder(namesWith(place, instead), after);
    const written = after.newSince(before);
    t.diagnostic(`${what}: ${written} new chunks, ${levels} levels`);
    assert.equal(changed.entries, entryCount - 1 + instead.length);
    assert.ok(written >= levels && written <= levels + 2, `${what}: ${written} new chunks for ${levels} levels`);
  }
});

test("many edits of a smaller folder: each costs a path, rarely a neighbour", (t) => {
  const count = full ? 100_000 : 20_000;
  const names = Array.from({ length: count }, (_, i) => nameOf(i * 7));
  const before = new Chunks();
  const { level } = buildFolder(names, before);
  const costs: number[] = [];
  for (let round = 0; round < 30; round++) {
    const changed = [...names];
    const place = pick(count);
    const kind = round % 3;
    if (kind === 0) changed[place] = Buffer.from(`${changed[place]}~`);
    else if (kind === 1) changed.splice(place, 1);
    else changed.splice(place + 1, 0, Buffer.from(`${changed[place]}+`));
    const after = new Chunks();
    buildFolder(changed, after);
    costs.push(after.newSince(before));
  }
  const mean = costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
  t.diagnostic(`${level + 1} levels; new chunks: mean ${mean.toFixed(2)}, at most ${Math.max(...costs)}`);
  assert.ok(mean <= level + 1.5);
  assert.ok(Math.max(...costs) <= level + 1 + 4);
});

test("the same entries give the same root, and any change another", () => {
  const names = Array.from({ length: 3000 }, (_, i) => nameOf(i));
  const first = buildFolder(names, new Chunks());
  assert.deepEqual(buildFolder(names, new Chunks()), first);
  assert.notDeepEqual(buildFolder(names.slice(1), new Chunks()).id, first.id);
  // Whether a folder came to be by adding or removing is not seen in it.
  const roundabout = [...names, nameOf(9999)].filter((name) => !name.equals(nameOf(9999)));
  assert.deepEqual(buildFolder(roundabout, new Chunks()), first);
});

test("trees of every small size hold all their names, in order, and are found by look-up", () => {
  for (const count of [1, 2, 30, 31, 60, 100, 700, 3000]) {
    const names = Array.from({ length: count }, (_, i) => nameOf(i));
    const chunks = new Chunks();
    const root = buildFolder(names, chunks);
    const walk = (at: Buffer, level: number): Buffer[] => {
      const chunk = decodeTree(chunks.get(at));
      assert.equal(chunk.level, level);
      if (isGround(chunk)) return chunk.entries.map((entry) => entry.name);
      return chunk.branches.flatMap((branch) => {
        const below = walk(branch.id, level - 1);
        assert.equal(below.length, branch.entries);
        assert.deepEqual(below[0], branch.first);
        return below;
      });
    };
    assert.deepEqual(walk(root.id, root.level), names);
    for (let i = 0; i < count; i += count > 100 ? 17 : 1) assert.ok(lookUp(chunks, root, nameOf(i)).entry);
  }
});

test("long names end rows by their weight, and no level goes on for ever", () => {
  const names = Array.from({ length: 3000 }, (_, i) => {
    const name = Buffer.alloc(format.nameBytes, 0x61 + (i % 26));
    name.write(String(i).padStart(8, "0"));
    return name;
  });
  const chunks = new Chunks();
  const root = buildFolder(names, chunks);
  assert.ok(root.level >= 2 && root.level <= 6, `${root.level + 1} levels`);
  for (const name of names.slice(0, 100)) assert.ok(lookUp(chunks, root, name).entry);
});

const chunkBytes = 32 * 1024;
const pieces = (10 * 1024 ** 3) / chunkBytes;
const pieceIds = random(pieces * 32);
type Piece = Buffer | bigint;

function* piecesWith(place: number, removed: number, instead: readonly Piece[]): Iterable<Piece> {
  for (let i = 0; i < pieces; i++) {
    if (i === place) yield* instead;
    if (i < place || i >= place + removed) yield pieceIds.subarray(i * 32, i * 32 + 32);
  }
}

function buildContent(all: Iterable<Piece>, chunks: Chunks): ContentRef {
  const builder = new ContentBuilder(chunks.put);
  for (const piece of all)
    if (typeof piece === "bigint") builder.hole(piece);
    else builder.chunk(piece, chunkBytes);
  return builder.finish() as ContentRef;
}

/** The piece that holds this offset; how many lists that read. */
function pieceAt(chunks: Chunks, root: ContentRef, offset: bigint): { id: Buffer | undefined; reads: number } {
  let at: Buffer | undefined = root.id;
  let left = offset;
  for (let level = root.level; level > 0; level--) {
    const list = decodeList(chunks.get(at as Buffer));
    assert.equal(list.level, level);
    const item = list.items.find(({ size }) => {
      if (left < size) return true;
      left -= size;
      return false;
    });
    at = item?.id;
    if (at === undefined) return { id: undefined, reads: root.level - level + 1 };
  }
  return { id: at, reads: root.level };
}

test("a file of 10 GB: a changed, inserted or removed chunk, or a hole, costs a handful of lists", (t) => {
  const before = new Chunks();
  const root = buildContent(piecesWith(-1, 0, []), before);
  assert.equal(root.size, 10n * 1024n ** 3n);
  for (let level = 1; level <= root.level; level++) {
    const { count, mean, most } = meanOf(before, level);
    t.diagnostic(`level ${level}: ${count} lists of ${mean} bytes on average, ${most} at most`);
    if (level === 1) assert.ok(Math.abs(mean / choice.treeChunkBytes - 1) < 0.15, `mean ${mean}`);
  }
  for (let round = 0; round < 200; round++) {
    const place = pick(pieces);
    const found = pieceAt(before, root, BigInt(place * chunkBytes + pick(chunkBytes)));
    assert.deepEqual(found, { id: pieceIds.subarray(place * 32, place * 32 + 32), reads: root.level });
  }
  const costs: number[] = [];
  for (let round = 0; round < (full ? 60 : 12); round++) {
    const place = pick(pieces - 100);
    const edits: [what: string, removed: number, instead: Piece[]][] = [
      ["one changed", 1, [random(32)]],
      ["one inserted", 0, [random(32)]],
      ["one removed", 1, []],
      ["a hole instead of 100", 100, [BigInt(100 * chunkBytes)]],
    ];
    const [what, removed, instead] = edits[round % edits.length]!;
    const after = new Chunks();
    buildContent(piecesWith(place, removed, instead), after);
    const written = after.newSince(before);
    costs.push(written);
    assert.ok(written >= root.level && written <= root.level + 5, `${what}: ${written} new lists`);
  }
  t.diagnostic(`${root.level} levels; new lists by edit: ${costs.join(" ")}`);
});

test("the same pieces give the same list; holes are items and merge", () => {
  const few = (): Piece[] => Array.from({ length: 2000 }, (_, i) => pieceIds.subarray(i * 32, i * 32 + 32));
  const root = buildContent(few(), new Chunks());
  assert.deepEqual(buildContent(few(), new Chunks()), root);
  const split = [...few().slice(0, 50), 5n, 6n, ...few().slice(50)];
  const joined = [...few().slice(0, 50), 11n, ...few().slice(50)];
  const chunks = new Chunks();
  const withHole = buildContent(split, chunks);
  assert.deepEqual(buildContent(joined, new Chunks()), withHole);
  assert.equal(withHole.size, root.size + 11n);
  const found = pieceAt(chunks, withHole, BigInt(50 * chunkBytes + 10));
  assert.equal(found.id, undefined);
  assert.deepEqual(pieceAt(chunks, withHole, BigInt(50 * chunkBytes + 11)).id, few()[50]);
});

test("a file of holes and chunks by turns, one of equal chunks, and one huge hole stay small", (t) => {
  const sparse = new Chunks();
  const turns = Array.from({ length: 20_000 }, (_, i) => (i % 2 ? 4096n : pieceIds.subarray(i * 32, i * 32 + 32)));
  const root = buildContent(turns, sparse);
  assert.equal(root.size, 10_000n * (4096n + BigInt(chunkBytes)));
  // Equal chunks have equal marks: rows end at every one beyond the minimum, or at none below the maximum.
  const equal = new Chunks();
  const same = buildContent(Array<Piece>(200_000).fill(id), equal);
  t.diagnostic(`200,000 equal chunks: ${equal.all.size} distinct lists, level ${same.level}`);
  assert.ok(equal.all.size < 20);
  const hole = buildContent([1n << 50n], new Chunks());
  assert.deepEqual([hole.level, hole.size], [1, 1n << 50n]);
});

/**
 * What is not here is read from others: by hints, table objects and footers, whatever they send. A home with its logs
 * and keys and not one segment stands for a machine that has lost everything.
 */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { choice, format } from "../../src/base/limits.js";
import { realSystem } from "../../src/base/system.js";
import type { Entry } from "../../src/format/entry.js";
import { objectKinds } from "../../src/format/listing.js";
import type { Catalogue, SegmentRow } from "../../src/store/catalogue.js";
import { homeAt } from "../../src/store/home.js";
import { objectPath } from "../../src/store/objects.js";
import { ChunkReader } from "../../src/store/reader.js";
import { segmentPath } from "../../src/store/segments.js";
import { allRevisions } from "../../src/vault/revisions.js";
import { openVault, type Vault } from "../../src/vault/vault.js";
import { MetadataCache, View } from "../../src/vault/view.js";
import { FolderSource, moveSegments } from "../support/folder-source.js";
import { commitRevision, file, folder, type Sketch, type TestVault, testVault } from "../support/recall-revision.js";
import { noise, seed } from "../support/store-home.js";

let it: TestVault;
let lost: Vault;
let peers: string;
const contents = new Map<string, Buffer>();

/** Two revisions, so that what the second shares with the first lies in other segments. */
before(async () => {
  it = await testVault();
  const shared: Record<string, Sketch> = {};
  for (let i = 0; i < 300; i++) shared[`f${i}`] = bytesOf(`shared/f${i}`, noise(1500, seed, i));
  const large = Array.from({ length: 40 }, (_, i) => noise(120_000, seed, 1000 + i));
  contents.set("large", Buffer.concat(large));
  await commitRevision(it.vault, folder({ shared: folder(shared), large: file(large) }));
  shared.new = bytesOf("shared/new", noise(300_000, seed, 2000));
  const deep = folder({ b: folder({ c: bytesOf("a/b/c", Buffer.from("deep\n")) }) });
  await commitRevision(it.vault, folder({ a: deep, shared: folder(shared), large: file(large) }));
  peers = join(it.path, "peers");
  lost = await it.reopen(() => {
    moveSegments(homeAt(it.home), peers);
    rmSync(homeAt(it.home).catalogue, { recursive: true });
    mkdirSync(homeAt(it.home).catalogue);
  });
});
after(() => it.end());

function bytesOf(path: string, bytes: Buffer): Sketch {
  contents.set(path, bytes);
  return file([bytes]);
}

const is =
  (code: string, text = "") =>
  (error: unknown): boolean =>
    error instanceof Problem && error.code === code && !error.message.includes("\n") && error.message.includes(text);

/** A reader that knows nothing yet, its Source, and the newest revision through it. */
function fresh(catalogue: Catalogue = forgetful(lost.store.catalogue)): {
  reader: ChunkReader;
  source: FolderSource;
  view: View;
  said: string[];
} {
  const said: string[] = [];
  const { home, keyring } = lost.store;
  const reader = new ChunkReader(home, keyring, catalogue, realSystem, (message) => said.push(message));
  const source = new FolderSource(peers);
  reader.source = source;
  const revision = [...allRevisions(lost.store.catalogue)].at(-1);
  assert.ok(revision);
  return { reader, source, said, view: new View(revision.root, new MetadataCache(reader), revision.rootHint) };
}

/** The catalogue as it is before anything was learned, and one that never learns. */
function forgetful(catalogue: Catalogue, changes: Partial<Catalogue> = {}): Catalogue {
  const forgotten = (row: SegmentRow | undefined): SegmentRow | undefined => row && { ...row, epoch: 0, frames: [] };
  const over: Partial<Catalogue> = {
    chunk: () => undefined,
    segment: (number) => forgotten(catalogue.segment(number)),
    segmentByName: (name) => forgotten(catalogue.segmentByName(name)),
    segmentBySalt: (salt) => forgotten(catalogue.segmentBySalt(salt)),
    *segments() {
      for (const row of catalogue.segments()) yield forgotten(row) as SegmentRow;
    },
    write: (work) => work(),
    learn: () => {
      throw new Problem("no-space", "the disk is full");
    },
    ...changes,
  };
  return new Proxy(catalogue, {
    get: (target, key) => {
      const value = over[key as keyof Catalogue] ?? Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const components = (path: string): Buffer[] => path.split("/").map((name) => Buffer.from(name));

async function entryAt(view: View, path: string): Promise<Entry> {
  const entry = await view.resolve(components(path));
  assert.ok(entry, path);
  return entry;
}

async function fileAt(view: View, path: string): Promise<Buffer> {
  const { content, size } = await entryAt(view, path);
  return view.read(content, 0n, Number(content?.size ?? size));
}

async function checkAll(view: View): Promise<void> {
  for (const [path, bytes] of contents) assert.ok((await fileAt(view, path)).equals(bytes), path);
}

const rows = (kind: number): SegmentRow[] =>
  [...lost.store.catalogue.segments()].filter(({ listing }) => listing.kind === kind);
const dataNames = (): Set<string> => new Set(rows(objectKinds.dataSegment).map(({ listing }) => nameOf(listing)));
const nameOf = ({ name }: { name: Buffer }): string => name.toString("hex");

test("without anybody to ask, what is not here is missing", async () => {
  const { reader, view } = fresh();
  reader.source = undefined;
  await assert.rejects(fileAt(view, "a/b/c"), is("missing"));
  assert.equal(await reader.learnTables(), 0);
});

test("one file by hints and table objects: a handful of ranges, no footer of a data segment", async () => {
  const { source, view, said } = fresh();
  assert.ok((await fileAt(view, "shared/f7")).equals(contents.get("shared/f7") as Buffer));
  const data = dataNames();
  const ofData = source.asked.filter(({ name }) => data.has(name));
  assert.ok(ofData.length >= 1 && ofData.length <= 2, `${ofData.length} ranges of data`);
  const lengths = new Map(rows(objectKinds.dataSegment).map(({ listing }) => [nameOf(listing), listing.length]));
  for (const { name, offset, length } of ofData) assert.ok(offset + length < (lengths.get(name) ?? 0) - 100);
  assert.ok(source.asked.length <= 10, JSON.stringify(source.asked));
  // An index that cannot take it is told of once, and is no reason not to read.
  assert.equal(said.length, 1);
  assert.match(said[0] as string, /not kept: the disk is full/);
});

test("everything, by table objects", async () => {
  const { source, view } = fresh();
  await checkAll(view);
  const data = dataNames();
  const most = Math.max(...rows(objectKinds.dataSegment).map(({ listing }) => listing.length));
  const tails = source.asked.filter(
    ({ name, length }) => data.has(name) && length === Math.min(most, choice.tailBytes),
  );
  assert.deepEqual(tails, []);
});

test("everything, by footers, where no list says where tables are, or it says so wrongly", async () => {
  const none = forgetful(lost.store.catalogue, { tablePlace: () => undefined });
  await checkAll(fresh(none).view);
  const { catalogue } = lost.store;
  const wrong = rows(objectKinds.dataSegment).map(({ listing }) => listing.salt);
  for (const tablePlace of [
    // the holder is the segment itself, an unknown one, or another that does not hold it
    (salt: Buffer) => ({ table: catalogue.tablePlace(salt)?.table ?? salt, holder: salt }),
    (salt: Buffer) => ({ table: catalogue.tablePlace(salt)?.table ?? salt, holder: Buffer.alloc(32, 9) }),
    (salt: Buffer) => ({ table: salt, holder: catalogue.tablePlace(salt)?.holder ?? salt }),
    // the table of another segment
    (salt: Buffer) => catalogue.tablePlace(wrong.find((other) => !other.equals(salt)) as Buffer),
  ])
    await checkAll(fresh(forgetful(catalogue, { tablePlace })).view);
});

test("wrong hints cost time only", async () => {
  const { reader, view } = fresh();
  const all = [...lost.store.catalogue.segments()].map(({ listing }) => listing.salt);
  const shared = await entryAt(view, "shared");
  for (const salt of [...all, Buffer.alloc(32, 7)]) {
    const other = fresh();
    other.reader.hint(shared.tree?.id as Buffer, salt);
    other.reader.hint(other.view.root.tree?.id as Buffer, salt);
    assert.ok((await fileAt(other.view, "shared/f250")).equals(contents.get("shared/f250") as Buffer));
  }
  await assert.rejects(reader.chunk("data", Buffer.alloc(32, 1)), is("missing"));
  reader.hint(Buffer.alloc(32, 1), all[0] as Buffer);
  await assert.rejects(reader.chunk("data", Buffer.alloc(32, 1)), is("missing"));
});

test("without any hint, tables are looked through, metadata first, once", async () => {
  const { reader, source, view } = fresh();
  const bare = new View(view.root, new MetadataCache(reader));
  assert.ok((await fileAt(bare, "a/b/c")).equals(contents.get("a/b/c") as Buffer));
  const asked = source.asked.length;
  await assert.rejects(reader.chunk("data", Buffer.alloc(32, 1)), is("missing"));
  const more = source.asked.length;
  await assert.rejects(reader.chunk("data", Buffer.alloc(32, 2)), is("missing"));
  assert.equal(source.asked.length, more, "tables that are held are not asked for again");
  assert.ok(asked > 0);
  const nobody = fresh();
  for (const name of readdirSync(peers)) nobody.source.lost.add(name);
  await assert.rejects(nobody.reader.chunk("data", Buffer.alloc(32, 1)), is("missing"));
  assert.deepEqual(
    [nobody.source.asked.length, nobody.source.questions.length],
    [0, 1],
    "one question is answered soon",
  );
});

test("what nobody has is missing, what others have is still read, and it is asked for again later", async () => {
  const { source, view } = fresh();
  for (const { listing } of rows(objectKinds.dataSegment).slice(0, 1)) source.lost.add(nameOf(listing));
  await assert.rejects(fileAt(view, "shared/f7"), is("missing"));
  assert.ok((await fileAt(view, "shared/new")).equals(contents.get("shared/new") as Buffer));
  source.lost.clear();
  assert.ok((await fileAt(view, "shared/f7")).equals(contents.get("shared/f7") as Buffer));
});

const lies: [string, (bytes: Buffer) => Buffer][] = [
  ["other bytes", (bytes) => noise(bytes.length, seed, 5)],
  ["a byte less", (bytes) => bytes.subarray(0, -1)],
  ["nothing", () => Buffer.alloc(0)],
  ["a byte more", (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])],
  ["a byte changed", (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([~(bytes.at(-1) ?? 0)])])],
];

for (const [what, lie] of lies)
  test(`a lie is asked about once more: ${what}`, async () => {
    const once = fresh();
    const seen = new Set<string>();
    once.source.lie = (bytes, { name, offset }) => {
      const first = !seen.has(`${name}${offset}`);
      seen.add(`${name}${offset}`);
      return first ? lie(bytes) : undefined;
    };
    await checkAll(once.view);
    const always = fresh();
    always.source.lie = lie;
    for (const path of ["a/b/c", "large", "shared/f3"])
      await assert.rejects(fileAt(always.view, path), (error) => is("damaged")(error) || is("missing")(error));
    // It was no more than tried twice each.
    const times = new Map<string, number>();
    for (const { name, offset } of always.source.asked)
      times.set(`${name}${offset}`, (times.get(`${name}${offset}`) ?? 0) + 1);
    always.source.lie = undefined;
  });

test("who asks for the same waits for one answer, and a slow one holds up nobody else", async () => {
  const { source, view } = fresh();
  const { content } = await entryAt(view, "large");
  assert.ok(content);
  source.slow = 30;
  source.asked.length = 0;
  const [first] = await Promise.all(Array.from({ length: 20 }, () => view.read(content, 0n, 1000)));
  assert.ok(first?.equals((contents.get("large") as Buffer).subarray(0, 1000)));
  const ranges = source.asked.map(({ name, offset }) => `${name}${offset}`);
  assert.equal(new Set(ranges).size, ranges.length);
  source.mostFlying = 0;
  await Promise.all(
    [...contents].slice(0, 40).map(async ([path, bytes]) => assert.ok((await fileAt(view, path)).equals(bytes))),
  );
});

test("a file that is read from its start is asked for ahead; one that is looked into here and there is not", async () => {
  const { source, view } = fresh();
  const { content } = await entryAt(view, "large");
  assert.ok(content);
  await view.read(content, 0n, 1);
  source.slow = 5;
  source.mostFlying = 0;
  const at = [4_000_000n, 1_000_000n, 3_000_000n];
  for (const offset of at) await view.read(content, offset, 10);
  assert.equal(source.mostFlying, 1);
  await fileAt(view, "large");
  assert.ok(source.mostFlying > 2 && source.mostFlying <= 1 + choice.readAheadFrames, `${source.mostFlying} at once`);
});

test("what is held does not grow with what is read", async () => {
  const { reader, view } = fresh();
  await checkAll(view);
  const { frameBytes, tableRows, hints } = reader.held;
  assert.ok(frameBytes <= choice.frameCacheBytes + format.frameBytes);
  assert.ok(tableRows > 0 && tableRows <= choice.tableRows + format.chunksPerSegment);
  assert.ok(hints > 0 && hints <= choice.hints);
  for (let i = 0; i < choice.hints + 1000; i++) {
    const id = Buffer.alloc(32);
    id.writeUInt32LE(i);
    reader.hint(id, id);
  }
  assert.equal(reader.held.hints, choice.hints);
  await checkAll(view);
});

test("what others have sent is read here; where it is damaged, others are asked and it is said once", async () => {
  const { home } = lost.store;
  const all = [...lost.store.catalogue.segments()];
  for (const { listing } of all) {
    mkdirSync(dirname(objectPath(home, listing.name)), { recursive: true });
    cpSync(join(peers, nameOf(listing)), objectPath(home, listing.name));
  }
  try {
    const near = fresh();
    await checkAll(near.view);
    assert.equal(near.source.asked.length, 0);
    for (const { listing } of rows(objectKinds.dataSegment)) {
      const path = objectPath(home, listing.name);
      const bytes = readFileSync(path);
      bytes.fill(0, 112, bytes.length - choice.tailBytes);
      writeFileSync(path, bytes);
    }
    const alone = fresh();
    alone.reader.source = undefined;
    await assert.rejects(fileAt(alone.view, "shared/f0"), is("damaged"));
    const helped = fresh();
    await checkAll(helped.view);
    const told = helped.said.filter((line) => line.endsWith("it is read from peers"));
    assert.ok(told.length >= 1 && told.length <= rows(objectKinds.dataSegment).length, told.join("\n"));
    const damaged = fresh();
    for (const name of readdirSync(peers)) damaged.source.lost.add(name);
    await assert.rejects(fileAt(damaged.view, "shared/f0"), is("damaged"), "the damage says more than the absence");
    for (const { listing } of all)
      truncateSync(objectPath(home, listing.name), statSync(join(peers, nameOf(listing))).size - 1);
    await checkAll(fresh().view);
  } finally {
    rmSync(home.objects, { recursive: true });
  }
});

test("tables of data that is elsewhere are learned from metadata that is here", async () => {
  const { home } = lost.store;
  for (const { listing } of rows(objectKinds.metadataSegment)) {
    const path = segmentPath(home, listing.name);
    mkdirSync(dirname(path), { recursive: true });
    cpSync(join(peers, nameOf(listing)), path);
  }
  try {
    const { reader, source } = fresh();
    const called = new AbortController();
    called.abort();
    assert.equal(await reader.learnTables(called.signal), 0);
    assert.equal(await reader.learnTables(), [...lost.store.catalogue.segments()].length);
    assert.equal(source.asked.length, 0);
    reader.source = undefined;
    assert.equal(await reader.learnTables(), [...lost.store.catalogue.segments()].length);
  } finally {
    for (const { listing } of rows(objectKinds.metadataSegment)) rmSync(segmentPath(home, listing.name));
  }
});

test("what was read once is in the index for all who come later, in this process and in others", async () => {
  const open = async (): Promise<{ vault: Vault; source: FolderSource; view: View }> => {
    const vault = await openVault(it.home, realSystem, (line) => assert.fail(line));
    const source = new FolderSource(peers);
    vault.store.source = source;
    const revision = [...allRevisions(vault.store.catalogue)].at(-1);
    assert.ok(revision);
    return { vault, source, view: new View(revision.root, new MetadataCache(vault.store.reader), revision.rootHint) };
  };
  const first = await open();
  const second = await open();
  assert.ok([...second.vault.store.catalogue.segments()].every(({ frames }) => frames.length === 0));
  await checkAll(first.view);
  const ends = new Map([...lost.store.catalogue.segments()].map(({ listing }) => [nameOf(listing), listing.length]));
  const tails = ({ asked }: FolderSource): number =>
    asked.filter(({ name, offset, length }) => offset + length === ends.get(name)).length;
  assert.ok(tails(first.source) > 0);
  await realSystem.turn();
  await checkAll(second.view);
  assert.equal(tails(second.source), 0, "nothing had to be learned again");
  assert.ok([...second.vault.store.catalogue.segments()].every(({ frames }) => frames.length > 0));
  assert.equal(await second.vault.store.reader.learnTables(), 0);
  second.vault.store.catalogue.walk();
  await first.vault.close();
  await second.vault.close();
  const third = await open();
  await checkAll(third.view);
  assert.equal(third.vault.store.reader.held.hints, 1, "an index that knows all needs none but the root's");
  await third.vault.close();
});

test("what the index learned by range is what it learns from files", async () => {
  const rowsOf = ({ store }: Vault): string[] =>
    [...store.catalogue.dump()]
      .filter(({ table }) => table === "chunks" || table === "segments")
      .map(({ table, key, value }) => `${table} ${key.toString("hex")} ${value.toString("hex")}`);
  const learned = rowsOf(lost);
  const near = await it.reopen(() => {
    const home = homeAt(it.home);
    for (const name of readdirSync(peers)) {
      const path = segmentPath(home, Buffer.from(name, "hex"));
      mkdirSync(dirname(path), { recursive: true });
      cpSync(join(peers, name), path);
    }
  });
  await near.store.rebuild();
  assert.deepEqual(rowsOf(near), learned);
});

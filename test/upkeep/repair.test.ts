/** Repair: what damage leaves is stored anew, what is lost is named, and a later snapshot heals older revisions too. */
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { realSystem } from "../../src/base/system.js";
import { compileRules } from "../../src/capture/select.js";
import { snapshot, type SnapshotJob } from "../../src/capture/snapshot.js";
import { encodeRelease, isSegment, objectKinds } from "../../src/format/listing.js";
import type { SegmentRow } from "../../src/store/catalogue.js";
import { segmentPath } from "../../src/store/segments.js";
import { check } from "../../src/upkeep/check.js";
import { type Mended, repair } from "../../src/upkeep/repair.js";
import { allRevisions } from "../../src/vault/revisions.js";
import { componentsOf, MetadataCache, View } from "../../src/vault/view.js";
import { type TestVault, testVault } from "../support/recall-revision.js";

let it: TestVault;
let source: string;
const never = new AbortController().signal;

beforeEach(async () => {
  it = await testVault();
  source = mkdtempSync(join(tmpdir(), "bcoopfs-repair-"));
  for (let i = 0; i < 4; i++) writeFileSync(join(source, `f${i}`), realSystem.random(1_500_000));
  mkdirSync(join(source, "names"));
  for (let i = 0; i < 300; i++) writeFileSync(join(source, "names", `n${i}`), `${i}`);
});
afterEach(async () => {
  rmSync(source, { recursive: true });
  await it.end();
});

async function save(): Promise<void> {
  const root = Buffer.from(source);
  const job = {
    fileset: Buffer.alloc(16, 7),
    name: "all",
    roots: [root],
    rules: compileRules({ roots: [root] }),
    oneFileSystem: false,
    rehash: false,
  } as unknown as SnapshotJob;
  await snapshot(it.vault, job, {}, never);
}

async function damage(): Promise<number> {
  return (await check(it.vault, { readData: "all" }, () => {})).findings;
}

function largest(kind: number): SegmentRow {
  const rows = [...it.vault.store.catalogue.segments()].filter(({ listing }) => listing.kind === kind);
  assert.ok(rows.every(({ listing }) => isSegment(listing.kind)));
  return rows.sort((a, b) => b.listing.length - a.listing.length)[0] as SegmentRow;
}

function flip(row: SegmentRow, at: number): void {
  const path = segmentPath(it.vault.home, row.listing.name);
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(path, bytes);
}

async function mend(): Promise<Mended[]> {
  const told: Mended[] = [];
  const summary = await repair(it.vault, never, (one) => told.push(one));
  assert.deepEqual(summary.mended, told);
  return told;
}

/** Every file of every revision, read back. */
async function allEqual(): Promise<void> {
  for (const revision of allRevisions(it.vault.store.catalogue)) {
    const view = new View(revision.root, new MetadataCache(it.vault.store.reader));
    for (let i = 0; i < 4; i++) {
      const entry = await view.resolve(componentsOf(Buffer.from(join(source, `f${i}`))));
      assert.ok(entry);
      const bytes = await view.read(entry.content, 0n, Number(entry.size));
      assert.ok(bytes.equals(readFileSync(join(source, `f${i}`))), `f${i}`);
    }
  }
}

test("nothing is wrong: nothing is done", async () => {
  await save();
  const before = [...it.vault.store.catalogue.dump()];
  assert.deepEqual(await mend(), []);
  assert.deepEqual([...it.vault.store.catalogue.dump()], before);
});

test("one frame of contents is damaged: the rest is stored anew, and a snapshot heals the old revision", async () => {
  await save();
  const row = largest(objectKinds.dataSegment);
  flip(row, (row.frames[3]?.offset ?? 0) + 100);
  assert.notEqual(await damage(), 0);
  const [mended, ...others] = await mend();
  assert.deepEqual(others, []);
  assert.ok(mended && mended.saved > mended.lost && mended.lost > 0);
  assert.ok(mended.aside !== undefined && existsSync(mended.aside));
  await save();
  assert.equal(await damage(), 0);
  await allEqual();
});

test("the footer of a data segment is damaged: its table stands in a metadata segment, and nothing is lost", async () => {
  await save();
  const row = largest(objectKinds.dataSegment);
  flip(row, row.listing.length - 10);
  const [mended] = await mend();
  assert.equal(mended?.lost, 0);
  assert.ok((mended?.saved ?? 0) > 100);
  assert.equal(await damage(), 0);
  await allEqual();
});

test("a segment of folders is damaged: the next snapshot makes them again, with the same ids", async () => {
  await save();
  const row = largest(objectKinds.metadataSegment);
  flip(row, (row.frames[0]?.offset ?? 0) + 30);
  const [mended] = await mend();
  assert.ok((mended?.lost ?? 0) > 0);
  await save();
  assert.equal(await damage(), 0);
  await allEqual();
});

test("a release applied by a commit leaves the same index as a rebuild", async () => {
  await save();
  const first = largest(objectKinds.dataSegment);
  const session = it.vault.store.session({ copies: 1, minimum: 9, importance: 2 });
  const { id, fresh } = session.put("data", readFileSync(join(source, "names", "n7")));
  assert.ok(fresh, "stored a second time: neither class covers the other");
  await session.commit(() => []);
  session.close();
  const clear = encodeRelease({ names: [first.listing.name], fields: [] });
  it.vault.store.commit([], [{ type: "release", clear, secret: Buffer.alloc(0) }]);
  unlinkSync(segmentPath(it.vault.home, first.listing.name));
  assert.notEqual(it.vault.store.catalogue.chunk(id), undefined);
  const before = [...it.vault.store.catalogue.dump()];
  await it.vault.store.rebuild();
  assert.deepEqual([...it.vault.store.catalogue.dump()], before);
});

test("the middle of the log is damaged: it goes on in a new one, and every revision is still there", async () => {
  await save();
  for (let i = 0; i < 3; i++) {
    writeFileSync(join(source, "names", "more"), `${i}`);
    await save();
  }
  const logs = readdirSync(it.vault.home.logs);
  const path = join(it.vault.home.logs, logs[0] as string);
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  writeFileSync(path, bytes);
  assert.notEqual(await damage(), 0);
  const summary = await repair(it.vault, never, () => {});
  assert.deepEqual([summary.logs, summary.mended.length], [1, 0]);
  assert.equal([...allRevisions(it.vault.store.catalogue)].length, 4);
  assert.equal(await damage(), 0);
  await allEqual();
  await save();
  assert.equal(await damage(), 0);
});

test("a segment is gone: what it held is stored again", async () => {
  await save();
  unlinkSync(segmentPath(it.vault.home, largest(objectKinds.dataSegment).listing.name));
  const [mended] = await mend();
  assert.equal(mended?.aside, undefined);
  await save();
  assert.equal(await damage(), 0);
  await allEqual();
});

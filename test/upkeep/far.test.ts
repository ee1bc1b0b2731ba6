/** What only peers have is no damage: check says how much it is, repair leaves it alone, an index made again knows it. */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { realSystem } from "../../src/base/system.js";
import { objectKinds } from "../../src/format/listing.js";
import type { SegmentRow } from "../../src/store/catalogue.js";
import { homeAt } from "../../src/store/home.js";
import { objectPath } from "../../src/store/objects.js";
import { presenceOf } from "../../src/store/presence.js";
import { segmentPath } from "../../src/store/segments.js";
import { check } from "../../src/upkeep/check.js";
import type { CheckResult } from "../../src/upkeep/findings.js";
import { rebuildIndex } from "../../src/upkeep/rebuild.js";
import { type RepairSummary, repair } from "../../src/upkeep/repair.js";
import { allRevisions } from "../../src/vault/revisions.js";
import { FolderSource, moveSegments } from "../support/folder-source.js";
import { commitRevision, file, folder, type TestVault, testVault, viewOf } from "../support/recall-revision.js";

const random = realSystem.random;
let it: TestVault;
let peers: string;
/** how many peers have signed that they hold an object */
let copies: number;

beforeEach(async () => {
  it = await testVault();
  copies = 2;
  await commitRevision(it.vault, folder({ a: file([random(90_000)]), b: folder({ c: file("c") }) }));
  await commitRevision(it.vault, folder({ a: file([random(90_000)]), d: folder({ e: file("e") }) }));
  peers = join(it.path, "peers");
  await it.reopen(() => moveSegments(homeAt(it.home), peers));
  signed();
});
afterEach(() => it.end());

/** What is known of copies, as receipts would have it. */
function signed(): void {
  it.vault.store.ledger.copiesOf = () => copies;
}

const rows = (kind?: number): SegmentRow[] =>
  [...it.vault.store.catalogue.segments()].filter(({ listing }) => kind === undefined || listing.kind === kind);

/** Have it back from the peers. */
function bring({ listing }: SegmentRow, pathOf = objectPath): string {
  const path = pathOf(it.vault.home, listing.name);
  mkdirSync(dirname(path), { recursive: true });
  cpSync(join(peers, listing.name.toString("hex")), path);
  return path;
}

const checked = (): Promise<CheckResult> => check(it.vault, { readData: "all" }, () => {});
const mended = (): Promise<RepairSummary> => repair(it.vault, new AbortController().signal, () => {});

test("all of it only with peers: no finding, two notes, no question to anybody", async () => {
  const source = new FolderSource(peers);
  const result = await checked();
  assert.deepEqual([result.findings, result.shown], [0, []]);
  assert.deepEqual([result.segments, result.farSegments, result.farBytes], [4, 4, result.bytes]);
  assert.deepEqual([result.readSegments, result.readBytes, result.metadataChunks], [0, 0n, 0]);
  assert.match(result.notes.join("\n"), /^4 segments are only on peers \([^)]+\); what is in them was not looked at$/m);
  assert.match(
    result.notes.join("\n"),
    /^2 folders and lists are only on peers; what is below them was not looked at$/m,
  );
  assert.deepEqual([source.asked, source.questions], [[], []]);
});

test("where nobody has signed for it, it is missing as ever", async () => {
  copies = 0;
  const result = await checked();
  assert.equal(result.farSegments, 0);
  assert.equal(result.shown.filter(({ what }) => what === "segment").length, 4);
});

test("metadata here, data with peers: folders are looked through; damage of what is here is found", async () => {
  for (const row of rows(objectKinds.metadataSegment)) bring(row);
  const result = await checked();
  assert.deepEqual([result.findings, result.farSegments, result.readSegments], [0, 2, 2]);
  assert.ok(result.metadataChunks >= 4);
  assert.equal(result.notes.length, 1);
  const path = bring(rows(objectKinds.dataSegment)[0] as SegmentRow);
  writeFileSync(path, readFileSync(path).fill(0, 112, 1000));
  const worse = await checked();
  assert.ok(worse.findings >= 2, "the segment, and a file");
  assert.equal(worse.farSegments, 1);
  writeFileSync(path, readFileSync(path).subarray(0, 65_536));
  assert.equal((await checked()).shown.filter(({ what }) => what === "segment").length, 1, "cut short is damage");
});

test("an index made again knows tables of data that only peers have, and does not call it unreadable", async () => {
  for (const row of rows(objectKinds.metadataSegment)) bring(row);
  const summary = await rebuildIndex(it.vault);
  assert.deepEqual(summary.unreadable, []);
  assert.equal(summary.segments, 4);
  copies = 0;
  const unknown = await rebuildIndex(it.vault);
  assert.ok(unknown.unreadable.length <= 2);
});

test("repair neither releases nor touches what peers have, and sets aside a damaged file that comes back", async () => {
  const missing: string[] = [];
  it.vault.store.ledger.missing = (name) => missing.push(name.toString("hex"));
  const whole = await mended();
  assert.deepEqual(whole.mended, []);
  assert.equal(whole.segments, 4);
  const row = rows(objectKinds.dataSegment)[0] as SegmentRow;
  for (const pathOf of [objectPath, segmentPath]) {
    missing.length = 0;
    const path = bring(row, pathOf);
    writeFileSync(path, readFileSync(path).fill(0, 200, 300));
    const { mended: found, ...rest } = await mended();
    assert.equal(found.length, 1);
    const [one] = found;
    assert.deepEqual([one?.peers, one?.saved, one?.lost, one?.name], [2, 0, 0, row.listing.name]);
    assert.ok(one?.aside && existsSync(one.aside) && !existsSync(path));
    assert.deepEqual(missing, [row.listing.name.toString("hex")]);
    assert.equal(rest.segments, 4, "it is still listed");
    assert.equal(presenceOf(it.vault.store, row.listing), "peers");
  }
  assert.equal(readdirSync(join(it.vault.home.store, "damaged")).length, 1);
  it.vault.store.source = new FolderSource(peers);
  const revision = [...allRevisions(it.vault.store.catalogue)].at(-1);
  assert.ok(revision);
  const view = viewOf(it.vault, revision);
  const entry = await view.resolve([Buffer.from("d"), Buffer.from("e")]);
  assert.equal((await view.read(entry?.content, 0n, 9)).toString(), "e");
});

test("a snapshot's tools are not misled: repair without copies goes on as before", async () => {
  copies = 0;
  const { mended: found } = await mended();
  assert.equal(found.length, 4);
  assert.ok(found.every(({ peers: held, lost }) => held === 0 && lost >= 0));
  rmSync(peers, { recursive: true });
});

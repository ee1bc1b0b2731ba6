/** Check: what it finds, what it names, and what it leaves alone. One damage each. */
import assert from "node:assert/strict";
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { realSystem } from "../../src/base/system.js";
import { defaultClass, objectKinds } from "../../src/format/listing.js";
import { segmentPath } from "../../src/store/segments.js";
import type { SegmentRow } from "../../src/store/catalogue.js";
import { type CheckOptions, check } from "../../src/upkeep/check.js";
import type { CheckEvent, CheckResult } from "../../src/upkeep/findings.js";
import { commitRevision, file, folder, type TestVault, testVault } from "../support/recall-revision.js";

const random = realSystem.random;
let it: TestVault;
let shared: Buffer;
let changed: Buffer;

/** Two revisions of docs that share most, one of mail. */
beforeEach(async () => {
  it = await testVault();
  shared = random(200_000);
  changed = random(90_000);
  const same = folder({ "shared.bin": file([shared.subarray(0, 120_000), 4096, shared.subarray(120_000)]) });
  const names = folder(Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`n${i}`, file("tiny")])));
  await commitRevision(it.vault, folder({ home: folder({ same, names, "old.bin": file([random(50_000)]) }) }));
  await commitRevision(it.vault, folder({ home: folder({ same, names, "new\n.bin": file([changed]) }) }));
  const xattrs = { "user.long": random(2000) };
  await commitRevision(it.vault, folder({ inbox: file("mail", { xattrs }) }), { fileset: "mail" });
});
afterEach(() => it.end());

interface Checked {
  readonly result: CheckResult;
  readonly events: CheckEvent[];
  readonly lines: string;
}

async function checked(readData: CheckOptions["readData"] = false): Promise<Checked> {
  const events: CheckEvent[] = [];
  const result = await check(it.vault, { readData }, (event) => events.push(event));
  assert.equal(events.filter(({ type }) => type === "finding").length, result.findings);
  const lines = result.shown.map(({ what, where, says }) => `${what} ${where} ${says}\n`).join("");
  return { result, events, lines };
}

function segmentOf(bytes: Buffer): SegmentRow {
  const session = it.vault.store.session(defaultClass);
  const place = it.vault.store.catalogue.chunk(session.idOf("data", bytes));
  session.close();
  const segment = place && it.vault.store.catalogue.segment(place.segment);
  assert.ok(segment);
  return segment;
}

const pathOf = (segment: SegmentRow): string => segmentPath(it.vault.home, segment.listing.name);

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  const place = at < 0 ? bytes.length + at : at;
  bytes[place] = (bytes[place] as number) ^ 0x10;
  writeFileSync(path, bytes);
}

test("all is well: nothing is found, everything is counted", async () => {
  const { result, events } = await checked("all");
  assert.equal(result.findings, 0);
  assert.deepEqual(result.notes, []);
  assert.equal(result.revisions, 3);
  assert.equal(result.segments, 6);
  assert.equal(result.readSegments, 6);
  assert.equal(result.readBytes, result.bytes);
  assert.ok(result.records >= 7 && result.chunks > 10 && result.metadataChunks > 5);
  const phases = events.flatMap((event) => (event.type === "phase" ? [event.phase] : []));
  assert.deepEqual(phases, ["logs", "segments", "index", "data", "revisions"]);
});

test("a shared folder is read once, whatever number of revisions hold it", async () => {
  const before = (await checked()).result.metadataChunks;
  const names = folder(Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`n${i}`, file("tiny")])));
  await commitRevision(it.vault, folder({ other: folder({ names }) }));
  assert.equal((await checked()).result.metadataChunks, before + 2);
});

test("a missing segment is named, and the files that it costs", async () => {
  rmSync(pathOf(segmentOf(changed)));
  const { result, lines } = await checked("all");
  assert.match(lines, /^segment [0-9a-f]{16}… its file is missing$/m);
  assert.match(
    lines,
    /^file host\/docs@20\S+Z:\/home\/new\\n\.bin a chunk of it is in segment [0-9a-f]{16}…, which is missing/m,
  );
  assert.equal(result.damagedPaths, 1);
  assert.equal(result.findings, 2);
});

test("a segment that is cut short, and one whose table is damaged", async () => {
  truncateSync(pathOf(segmentOf(changed)), 65_536);
  flip(pathOf(segmentOf(shared.subarray(0, 120_000))), -200);
  const { lines } = await checked();
  assert.match(lines, /has 65536 bytes, not 131072/);
  assert.match(lines, /\/home\/new\\n\.bin/);
  assert.match(lines, /\/home\/same\/shared\.bin/);
  assert.doesNotMatch(lines, /inbox/);
});

test("a metadata segment gone: folders are named, files below are not guessed", async () => {
  const { catalogue } = it.vault.store;
  const metadata = [...catalogue.segments()].filter(({ listing }) => listing.kind === objectKinds.metadataSegment);
  rmSync(pathOf(metadata.at(-1) as SegmentRow));
  await it.reopen();
  const { lines } = await checked();
  assert.match(lines, /^folder host\/mail@\S+:\/ a part of this folder, and what is below, is lost/m);
  assert.doesNotMatch(lines, /docs/);
});

test("only reading all data finds a flipped bit in it, and then names the file", async () => {
  const segment = segmentOf(changed);
  flip(pathOf(segment), (segment.frames[0]?.offset as number) + 1000);
  assert.equal((await checked()).result.findings, 0);
  const { result, lines } = await checked("all");
  assert.match(lines, /^segment \S+ frame 0/m);
  assert.match(lines, /its bytes do not match its name/);
  assert.match(lines, /^file host\/docs@\S+:\/home\/new\\n\.bin a chunk of it is damaged/m);
  assert.equal(result.damagedPaths, 1);
});

test("a share or an amount of data: as many segments as it takes, from anywhere", async () => {
  const { result } = await checked();
  for (const [readData, least, most] of [
    [{ share: 0 }, 0, 0],
    [{ share: 0.01 }, 1, 1],
    [{ share: 0.5 }, 1, 5],
    [{ share: 1 }, 6, 6],
    [{ bytes: 0n }, 0, 0],
    [{ bytes: 1n }, 1, 1],
    [{ bytes: result.bytes }, 6, 6],
    [{ bytes: result.bytes * 9n }, 6, 6],
  ] as const) {
    const read = (await checked(readData)).result.readSegments;
    assert.ok(read >= least && read <= most, `${JSON.stringify(Object.entries(readData).map(String))}: ${read}`);
  }
  const firsts = new Set<string>();
  for (let i = 0; i < 60 && firsts.size < 2; i++) {
    const segment = segmentOf(changed);
    const away = `${pathOf(segment)}.away`;
    renameSync(pathOf(segment), away);
    copyFileSync(away, pathOf(segment));
    flip(pathOf(segment), (segment.frames[0]?.offset as number) + 1000);
    firsts.add(String((await checked({ bytes: 1n })).result.findings > 0));
    renameSync(away, pathOf(segment));
  }
  assert.equal(firsts.size, 2, "the start never changes");
});

test("an index that has lost a row, misplaces one, or has one too many", async () => {
  const { catalogue } = it.vault.store;
  const session = it.vault.store.session(defaultClass);
  const id = session.idOf("data", changed);
  session.close();
  const place = catalogue.chunk(id);
  assert.ok(place);
  catalogue.write(() => catalogue.putChunk(id, { ...place, offset: place.offset + 1 }));
  assert.match((await checked()).lines, /the index misplaces 1 of its chunks.*rebuild-index/);
  catalogue.write(() => catalogue.putChunk(id, place));
  assert.equal((await checked()).result.findings, 0);
  catalogue.write(() => catalogue.putChunk(random(32), place));
  assert.match((await checked()).lines, /^index catalogue 1 of its chunks are in no segment/m);
});

test("an index that tells of a revision or segment that no log has", async () => {
  const { catalogue } = it.vault.store;
  const [row] = catalogue.revisions();
  assert.ok(row);
  catalogue.write(() => catalogue.addRevision({ ...row, id: Buffer.alloc(32, 9) }));
  const segment = segmentOf(changed);
  catalogue.write(() =>
    catalogue.addSegment({ ...segment, listing: { ...segment.listing, name: Buffer.alloc(32, 7), salt: random(32) } }),
  );
  const { lines } = await checked();
  assert.match(lines, /^index revision 0909090909090909… it is in the index but in no log/m);
  assert.match(lines, /^index 0707070707070707… the index knows a segment that no log lists/m);
});

test("a log whose history is damaged", async () => {
  const [name] = readdirSync(join(it.home, "logs"));
  const path = join(it.home, "logs", name as string);
  const bytes = readFileSync(path);
  const second = 4 + bytes.readUInt32LE(0);
  await it.reopen(() => flip(path, second + 4 + 200));
  const { lines } = await checked();
  assert.match(lines, /^log logs .*is damaged/m);
});

test("a segment file that no record lists is a note, no damage", async () => {
  const path = segmentPath(it.vault.home, Buffer.alloc(32, 5));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "left over");
  const { result, events } = await checked();
  assert.equal(result.findings, 0);
  assert.match(result.notes.join(), /1 segment file that no record lists \(0505050505050505…\)/);
  assert.ok(events.some(({ type }) => type === "note"));
});

test("a chunk that only a long attribute mentions counts as part of its file", async () => {
  const mail = [...it.vault.store.catalogue.segments()]
    .filter(({ listing }) => listing.kind === objectKinds.dataSegment)
    .at(-1);
  rmSync(pathOf(mail as SegmentRow));
  const { lines } = await checked();
  assert.match(lines, /^file host\/mail@\S+:\/inbox /m);
});

test("called off", async () => {
  const stop = new AbortController();
  stop.abort();
  await assert.rejects(
    check(it.vault, { readData: "all", signal: stop.signal }, () => {}),
    (error) => error instanceof Problem && error.code === "interrupted",
  );
});

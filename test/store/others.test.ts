/** Whatever anybody sends: what a device signed and follows what is here is kept, everything else is not, and nothing throws. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { toHex } from "../../src/base/bytes.js";
import { type LogRecord, recordTypes } from "../../src/format/record.js";
import { OtherLogs } from "../../src/store/others.js";
import { bytesOf, chain, genesis, next, type Writer, writer } from "../support/store-chain.js";
import { chances, full, noise, seed, workFolder } from "../support/store-home.js";

const where = workFolder();
let folders = 0;
const ann = writer(1, 1);
const bob = writer(1, 2);
const eve = writer(2, 3);

interface Place {
  readonly folder: string;
  readonly logs: OtherLogs;
}

function place(of: Writer = ann): Place {
  const folder = join(where, `${folders++}`);
  mkdirSync(folder);
  return { folder, logs: OtherLogs.open(join(folder, "logs"), of.vault, () => undefined) };
}

const reopened = ({ folder, logs }: Place): OtherLogs =>
  OtherLogs.open(join(folder, "logs"), logs.scope, () => undefined);
const all = (logs: OtherLogs, log: Buffer): Buffer[] => logs.records(log, 0n, 1e9);

test("a log comes in any parts, is given back to the byte, and is there after reopening", () => {
  const records = chain(ann, 9);
  const { log } = records[0] as LogRecord;
  for (const sizes of [[10], [1, 9], [3, 3, 4], Array.from({ length: 10 }, () => 1)]) {
    const it = place();
    let at = 0;
    for (const size of sizes) {
      const took = it.logs.accept(log, bytesOf(records.slice(at, at + size)));
      at += size;
      const { seq, id } = records[at - 1] as LogRecord;
      const head = { scope: ann.vault, log, device: ann.key.publicKey, seq, id, frozen: false };
      assert.deepEqual(took, { outcome: "accepted", head });
      assert.deepEqual(it.logs.head(log), head);
      assert.deepEqual(it.logs.heads(), [head]);
    }
    for (const logs of [it.logs, reopened(it)]) {
      assert.deepEqual(all(logs, log), bytesOf(records));
      assert.deepEqual(logs.records(log, 4n, 1e9), bytesOf(records.slice(4)));
      assert.deepEqual(logs.records(log, 4n, 1), bytesOf(records.slice(4, 5)));
      assert.deepEqual(logs.records(log, 10n, 1e9), []);
      assert.deepEqual(logs.accept(log, bytesOf(records)), { outcome: "known" });
      assert.deepEqual(logs.accept(log, bytesOf(records.slice(2, 4))), { outcome: "known" });
      assert.deepEqual(logs.accept(log, []), { outcome: "known" });
      logs.close();
    }
  }
});

test("what overlaps is taken from where it is new", () => {
  const it = place();
  const records = chain(ann, 9);
  const { log } = records[0] as LogRecord;
  it.logs.accept(log, bytesOf(records.slice(0, 4)));
  assert.equal(it.logs.accept(log, bytesOf(records.slice(1, 8))).outcome, "accepted");
  assert.deepEqual(all(it.logs, log), bytesOf(records.slice(0, 8)));
});

test("a gap is told, with how far the log is here", () => {
  const it = place();
  const records = chain(ann, 9);
  const { log } = records[0] as LogRecord;
  assert.deepEqual(it.logs.accept(log, bytesOf(records.slice(1))), { outcome: "gap", head: undefined });
  it.logs.accept(log, bytesOf(records.slice(0, 3)));
  const head = it.logs.head(log);
  assert.equal(head?.seq, 2n);
  assert.deepEqual(it.logs.accept(log, bytesOf(records.slice(4))), { outcome: "gap", head });
  assert.deepEqual(all(it.logs, log), bytesOf(records.slice(0, 3)));
});

test("what no log takes is refused, and leaves everything as it was", () => {
  const it = place();
  const records = chain(ann, 3);
  const [first, , , last] = records as [LogRecord, LogRecord, LogRecord, LogRecord];
  const { log } = first;
  const changed = (record: LogRecord, at: number): Buffer => {
    const bytes = Buffer.from(record.bytes);
    const place = at < 0 ? bytes.length + at : at;
    bytes[place] = (bytes[place] as number) ^ 4;
    return bytes;
  };
  const begun: readonly [string, Buffer[], Buffer?][] = [
    ["a genesis with a wrong signature", [changed(first, -1)]],
    ["a genesis that another device signed", [genesis(ann, 1, { key: bob.key }).bytes], genesis(ann, 1).log],
    [
      "a certificate of another vault",
      [genesis(eve, 1, { vault: ann.vault }).bytes],
      genesis(eve, 1, { vault: ann.vault }).log,
    ],
    ["a log of another vault", bytesOf(chain(eve, 2)), genesis(eve).log],
    ["a device that may not write", [genesis(ann, 1, { rights: 2 }).bytes], genesis(ann, 1, { rights: 2 }).log],
    [
      "a first record of another kind",
      [genesis(ann, 1, { type: recordTypes.found }).bytes],
      genesis(ann, 1, { type: recordTypes.found }).log,
    ],
    ["a second record with a wrong signature", [first.bytes, changed(records[1] as LogRecord, -9)]],
    ["a record left out", bytesOf([first, records[2] as LogRecord])],
    ["the same twice", [first.bytes, first.bytes]],
    ["too many bytes", Array.from({ length: 9 }, () => noise(40_000, 1))],
    ["noise", [noise(300, seed)]],
    ["nothing in a record", [Buffer.alloc(0)]],
    ["another log's name", bytesOf(records), noise(32, 1)],
  ];
  for (const [why, sent, name] of begun) {
    const took = it.logs.accept(name ?? log, sent);
    assert.equal(took.outcome, "refused", why);
    assert.ok(took.outcome === "refused" && took.why !== "" && !took.why.includes("\n"), why);
    assert.deepEqual(it.logs.heads(), [], why);
    assert.ok(!existsSync(join(it.folder, "logs")) || readdirSync(join(it.folder, "logs")).length === 0, why);
  }
  it.logs.accept(log, bytesOf(records));
  const going: readonly [string, Buffer[]][] = [
    ["signed by another device", [next(last, ann, "", { key: bob.key }).bytes]],
    ["a clock that goes back", [next(last, ann, "", { time: last.time }).bytes]],
    ["of another vault", [next(last, ann, "", { vault: eve.vault }).bytes]],
    ["of another log", [next(last, ann, "", { log: noise(32, 9) }).bytes]],
    ["a wrong signature behind a right one", [next(last, ann).bytes, changed(next(next(last, ann), ann), -1)]],
    ["a changed sealed body", [changed(next(last, ann), 170)]],
  ];
  for (const [why, sent] of going) {
    assert.equal(it.logs.accept(log, sent).outcome, "refused", why);
    assert.deepEqual(all(it.logs, log), bytesOf(records), why);
    assert.equal(it.logs.freeze(log, sent.at(-1) as Buffer).outcome === "fork", false, why);
  }
});

test("records that a newer version wrote are left for it, and what stands before them is taken", () => {
  const it = place();
  const records = chain(ann, 4);
  const { log } = records[0] as LogRecord;
  const sent = bytesOf(records);
  sent[3] = Buffer.from(sent[3] as Buffer);
  sent[3][8] = 2;
  assert.equal(it.logs.accept(log, sent).outcome, "accepted");
  assert.equal(it.logs.head(log)?.seq, 2n);
  assert.equal(it.logs.accept(log, sent.slice(3)).outcome, "refused");
});

test("two records in one place: the log is frozen, the proof is kept and convinces others, on either branch", () => {
  const common = chain(ann, 3);
  const branch = (note: string, length: number): LogRecord[] => {
    const records = [...common];
    for (let i = 0; i < length; i++) records.push(next(records.at(-1) as LogRecord, ann, `${note}${i}`));
    return records;
  };
  const [a, b] = [branch("a", 3), branch("b", 2)];
  const { log } = common[0] as LogRecord;
  for (const [mine, theirs, from] of [
    [a, b, 0],
    [a, b, 4],
    [a, b, 5],
    [b, a, 6],
    [b, a, 4],
  ] as const) {
    const it = place();
    it.logs.accept(log, bytesOf(mine));
    const took = it.logs.accept(log, bytesOf(theirs.slice(from)));
    assert.equal(took.outcome, "fork", `${from}`);
    for (const logs of [it.logs, reopened(it)]) {
      assert.equal(logs.head(log)?.frozen, true);
      assert.equal(logs.heads()[0]?.frozen, true);
      assert.deepEqual(all(logs, log), bytesOf(mine), "our branch stays as it is");
      assert.deepEqual(logs.accept(log, bytesOf([next(mine.at(-1) as LogRecord, ann, "more")])), { outcome: "frozen" });
      assert.deepEqual(logs.accept(log, bytesOf(theirs)), { outcome: "frozen" });
      const proof = logs.evidence(log);
      assert.equal(proof.length, 2);
      assert.deepEqual(took.outcome === "fork" && [took.mine, took.theirs], proof);
      // Whoever has only one branch learns of the other.
      for (const records of [a, b]) {
        const other = place();
        other.logs.accept(log, bytesOf(records));
        const outcomes = proof.map((record) => other.logs.freeze(log, record).outcome);
        assert.ok(outcomes.includes("fork"), `${outcomes}`);
        assert.equal(other.logs.head(log)?.frozen, true);
        assert.equal(other.logs.evidence(log).length, 2);
      }
      // Whoever has too little of it cannot say, and one who has none neither.
      const short = place();
      short.logs.accept(log, bytesOf(common.slice(0, 2)));
      for (const record of proof) assert.equal(short.logs.freeze(log, record).outcome, "gap");
      const none = place();
      for (const record of proof) assert.deepEqual(none.logs.freeze(log, record), { outcome: "gap", head: undefined });
      logs.close();
    }
  }
});

test("what proves nothing freezes nothing", () => {
  const it = place();
  const records = chain(ann, 4);
  const [, , two, , last] = records as LogRecord[] as [LogRecord, LogRecord, LogRecord, LogRecord, LogRecord];
  it.logs.accept(two.log, bytesOf(records));
  assert.deepEqual(it.logs.freeze(two.log, two.bytes), { outcome: "known" });
  const forged = next(two, ann, "x", { key: bob.key });
  assert.equal(it.logs.freeze(two.log, forged.bytes).outcome, "refused");
  assert.equal(it.logs.freeze(two.log, noise(400, 5)).outcome, "refused");
  assert.equal(it.logs.freeze(two.log, next(last, ann).bytes).outcome, "gap");
  assert.equal(it.logs.head(two.log)?.frozen, false);
  assert.deepEqual(it.logs.evidence(two.log), []);
});

test("a vault has at most 1024 logs here", { skip: !full && "takes long" }, () => {
  const it = place();
  for (let i = 0; i < 1024; i++) {
    const first = genesis(ann, 1000 + i);
    assert.equal(it.logs.accept(first.log, [first.bytes]).outcome, "accepted");
  }
  const one = genesis(ann, 5);
  assert.equal(it.logs.accept(one.log, [one.bytes]).outcome, "refused");
  assert.equal(it.logs.heads().length, 1024);
  assert.equal(reopened(it).heads().length, 1024);
});

test("many logs are held with few open files", () => {
  const before = readdirSync("/proc/self/fd").length;
  const it = place();
  const firsts = Array.from({ length: 60 }, (_, i) => genesis(ann, 100 + i));
  for (const first of firsts) it.logs.accept(first.log, [first.bytes]);
  for (const first of firsts) it.logs.accept(first.log, [next(first, ann).bytes]);
  const held = readdirSync("/proc/self/fd").length - before;
  assert.ok(held <= 32, `${held}`);
  for (const first of firsts) assert.equal(all(it.logs, first.log).length, 2);
});

test("whatever is sent, changed anywhere, nothing throws and what is kept is a valid log", () => {
  const chance = chances(seed);
  const records = chain(ann, 6);
  const { log } = records[0] as LogRecord;
  const it = place();
  for (let i = 0; i < (full ? 20_000 : 400); i++) {
    const sent = bytesOf(records.slice(chance(5))).slice(0, 1 + chance(6));
    for (let flips = chance(3); flips > 0; flips--) {
      const which = chance(sent.length);
      const bytes = Buffer.from(sent[which] as Buffer);
      const at = chance(bytes.length);
      bytes[at] = (bytes[at] as number) ^ (1 + chance(255));
      sent[which] = chance(8) === 0 ? bytes.subarray(0, at) : bytes;
    }
    const took = it.logs.accept(log, sent);
    assert.notEqual(took.outcome, "fork");
    it.logs.freeze(log, sent[0] as Buffer);
    assert.equal(it.logs.head(log)?.frozen ?? false, false);
  }
  const kept = all(it.logs, log);
  assert.deepEqual(kept, bytesOf(records.slice(0, kept.length)));
});

test("files of kept logs are readable by nobody else", () => {
  const it = place();
  const records = chain(ann, 1);
  const { log } = records[0] as LogRecord;
  it.logs.accept(log, bytesOf(records));
  assert.equal(statSync(join(it.folder, "logs")).mode & 0o777, 0o700);
  assert.equal(statSync(join(it.folder, "logs", toHex(log))).mode & 0o777, 0o600);
});

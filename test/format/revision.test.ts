/** Revisions, and what is said about them later. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { format } from "../../src/base/limits.js";
import {
  decodeForget,
  decodeMoved,
  decodeNote,
  decodeRevision,
  encodeForget,
  encodeMoved,
  encodeNote,
  encodeRevision,
  type ForgetBody,
  type MovedBody,
  type NoteBody,
  type RevisionBody,
} from "../../src/format/revision.js";
import { checkPlain } from "../support/strict.js";
import {
  bytesArbitrary,
  contentArbitrary,
  countArbitrary,
  entryArbitrary,
  fieldsArbitrary,
  i64,
  idArbitrary,
  idsArbitrary,
  labelArbitrary,
  maybe,
  randomOf,
  record,
  samplesOf,
  u64,
} from "./given.js";

const random = randomOf("revision");

test("revision", () => {
  const body: fc.Arbitrary<RevisionBody> = record({
    fileset: bytesArbitrary(16),
    filesetName: labelArbitrary,
    host: labelArbitrary,
    started: i64,
    complete: fc.boolean(),
    root: entryArbitrary(true),
    rootHint: maybe(idArbitrary),
    files: countArbitrary,
    folders: countArbitrary,
    others: countArbitrary,
    bytes: u64,
    changedFiles: countArbitrary,
    newBytes: u64,
    storedBytes: u64,
    errors: countArbitrary,
    names: maybe(contentArbitrary),
    report: maybe(contentArbitrary),
    fields: fieldsArbitrary,
  });
  const form = { encode: encodeRevision, decode: decodeRevision };
  checkPlain("revision", { ...form, samples: samplesOf(body, 12) });
  const [sample] = samplesOf(body, 1) as [RevisionBody];
  const refused = (change: Partial<RevisionBody>, why: string): void =>
    assert.throws(() => form.decode(form.encode({ ...sample, ...change })), { code: "format" }, why);
  refused({ root: { ...sample.root, kind: "fifo" } }, "a root that is no folder");
  refused({ root: { ...sample.root, name: Buffer.from("x") } }, "a root with a name");
  refused({ host: "h".repeat(format.labelBytes + 1) }, "a label too long");
  refused({ names: { level: format.levels + 1, id: random(32), size: 5n } }, "too many levels");
  const bytes = form.encode({ ...sample, filesetName: "ab" });
  bytes[17] = 0xff;
  assert.throws(() => form.decode(bytes), { code: "format" }, "a label that is not UTF-8");
});

test("forget, moved and note", () => {
  const fields = fieldsArbitrary;
  const forget: fc.Arbitrary<ForgetBody> = record({ revisions: idsArbitrary, undo: fc.boolean(), fields });
  checkPlain("forget", { encode: encodeForget, decode: decodeForget, samples: samplesOf(forget, 6) });
  const moved: fc.Arbitrary<MovedBody> = record({ from: idsArbitrary, to: idsArbitrary, fields });
  checkPlain("moved", { encode: encodeMoved, decode: decodeMoved, samples: samplesOf(moved, 6) });
  const note: fc.Arbitrary<NoteBody> = record({
    revision: idArbitrary,
    pinned: fc.boolean(),
    text: labelArbitrary,
    fields,
  });
  checkPlain("note", { encode: encodeNote, decode: decodeNote, samples: samplesOf(note, 12) });
});

test("the most that a body may hold is read, one more is refused", () => {
  const id = random(32);
  const fields = [] as const;
  for (const [most, round] of [
    [1800, (ids: Buffer[]) => decodeForget(encodeForget({ revisions: ids, undo: false, fields }))],
    [900, (ids: Buffer[]) => decodeMoved(encodeMoved({ from: ids, to: ids, fields }))],
  ] as const) {
    round(Array<Buffer>(most).fill(id));
    assert.throws(() => round(Array<Buffer>(most + 1).fill(id)), { code: "format" });
  }
});

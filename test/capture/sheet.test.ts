import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Sheet, type SheetRow, SheetWriter } from "../../src/capture/sheet.js";
import { folderFor, full } from "./given.js";

const revision = Buffer.alloc(32, 7);
const row = (ctimeNs: bigint, ino = 1n, sameDevice = true): SheetRow => ({ ctimeNs, ino, sameDevice });
const named = (name: Buffer | string, value: SheetRow): { name: Buffer; row: SheetRow } => ({
  name: Buffer.from(name as string),
  row: value,
});

function write(writer: SheetWriter, path: Buffer | string, rows: readonly { name: Buffer; row: SheetRow }[]): void {
  const folder = writer.folder(Buffer.from(path as string));
  for (const { name, row: value } of rows) folder.add(name, value);
  folder.end();
}

test("rows come back, folder by folder", (t) => {
  const path = join(folderFor(t), "sheet");
  const writer = new SheetWriter(path);
  const odd = Buffer.from([0xff, 0x0a, 0x2d]);
  const first = [named("a", row(-5n)), named(odd, row(2n ** 62n, 2n ** 64n - 1n, false))];
  write(writer, "/x", first);
  write(writer, "/empty", []);
  write(writer, odd, [named("n".repeat(255), row(0n))]);
  assert.equal(existsSync(path), false, "nothing stands under its name before it is whole");
  writer.finish(revision);
  assert.equal(existsSync(`${path}.tmp`), false);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const sheet = Sheet.open(path, revision);
  assert.ok(sheet);
  const x = sheet.folder(Buffer.from("/x"));
  assert.deepEqual([x.at(Buffer.from("a")), x.at(odd)], [row(-5n), row(2n ** 62n, 2n ** 64n - 1n, false)]);
  assert.equal(x.at(odd), x.at(odd), "asked again");
  assert.equal(x.at(Buffer.from([0xff, 0xff])), undefined);
  const again = sheet.folder(Buffer.from("/x"));
  assert.deepEqual(
    ["", "0", "a", "aa", "b"].map((name) => again.at(Buffer.from(name))?.ctimeNs),
    [undefined, undefined, -5n, undefined, undefined],
  );
  assert.deepEqual(sheet.folder(odd).at(Buffer.from("n".repeat(255))), row(0n));
  for (const path of ["/empty", "/no such"]) assert.equal(sheet.folder(Buffer.from(path)).at(odd), undefined);
});

test("a sheet of many folders, more than its buffer holds", (t) => {
  const path = join(folderFor(t), "sheet");
  const writer = new SheetWriter(path);
  const folders = full ? 100_000 : 10_000;
  for (let i = 0; i < folders; i++)
    write(
      writer,
      `/folder/number/${i}`,
      Array.from({ length: 10 }, (_, j) => named(`some file ${j}`, row(BigInt(i), BigInt(j)))),
    );
  writer.finish(revision);
  const sheet = Sheet.open(path, revision);
  for (const i of [0, 1, folders >> 1, folders - 1]) {
    const rows = sheet?.folder(Buffer.from(`/folder/number/${i}`));
    for (const j of [0, 9]) assert.deepEqual(rows?.at(Buffer.from(`some file ${j}`)), row(BigInt(i), BigInt(j)));
  }
});

test("folders within folders: rows of one are added while another is open", (t) => {
  const path = join(folderFor(t), "sheet");
  const writer = new SheetWriter(path);
  const outer = writer.folder(Buffer.from("/o"));
  outer.add(Buffer.from("a"), row(1n));
  write(writer, "/o/i", [named("x", row(2n))]);
  outer.add(Buffer.from("z"), row(3n));
  outer.end();
  writer.finish(revision);
  const sheet = Sheet.open(path, revision);
  const rows = sheet?.folder(Buffer.from("/o"));
  assert.deepEqual([rows?.at(Buffer.from("a")), rows?.at(Buffer.from("z"))], [row(1n), row(3n)]);
  assert.deepEqual(sheet?.folder(Buffer.from("/o/i")).at(Buffer.from("x")), row(2n));
});

test("a sheet that is cut, altered, of another revision or missing is none", (t) => {
  const path = join(folderFor(t), "sheet");
  assert.equal(Sheet.open(path, revision), undefined);
  const writer = new SheetWriter(path);
  write(writer, "/x", [named("a", row(5n)), named("b", row(6n))]);
  writer.finish(revision);
  const good = readFileSync(path);
  assert.ok(Sheet.open(path, revision));
  assert.equal(Sheet.open(path, Buffer.alloc(32, 8)), undefined);
  for (let at = 0; at < good.length; at++) {
    const bad = Buffer.from(good);
    bad[at] = (bad[at] as number) ^ (1 << (at % 8));
    writeFileSync(path, bad);
    assert.equal(Sheet.open(path, revision), undefined, `byte ${at}`);
    writeFileSync(path, good.subarray(0, at));
    assert.equal(Sheet.open(path, revision), undefined, `cut at ${at}`);
  }
  writeFileSync(path, Buffer.concat([good, Buffer.alloc(1)]));
  assert.equal(Sheet.open(path, revision), undefined);
});

test("an abandoned sheet leaves the last one and no rubbish", (t) => {
  const path = join(folderFor(t), "sheet");
  const writer = new SheetWriter(path);
  write(writer, "/x", [named("a", row(5n))]);
  writer.finish(revision);
  const before = readFileSync(path);
  const second = new SheetWriter(path);
  write(second, "/y", [named("a", row(5n))]);
  second.abandon();
  assert.deepEqual(readFileSync(path), before);
  assert.equal(existsSync(`${path}.tmp`), false);
});

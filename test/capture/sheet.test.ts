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

test("rows come back, folder by folder", (t) => {
  const path = join(folderFor(t), "sheet");
  const writer = new SheetWriter(path);
  const odd = Buffer.from([0xff, 0x0a, 0x2d]);
  const first = [named("a", row(-5n)), named(odd, row(2n ** 62n, 2n ** 64n - 1n, false))];
  writer.folder(Buffer.from("/x"), first);
  writer.folder(Buffer.from("/empty"), []);
  writer.folder(odd, [named("n".repeat(255), row(0n))]);
  assert.equal(existsSync(path), false, "nothing stands under its name before it is whole");
  writer.finish(revision);
  assert.equal(existsSync(`${path}.tmp`), false);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const sheet = Sheet.open(path, revision);
  assert.ok(sheet);
  assert.deepEqual(
    [...sheet.folder(Buffer.from("/x"))],
    [
      ["a", row(-5n)],
      ["\xff\n-", row(2n ** 62n, 2n ** 64n - 1n, false)],
    ],
  );
  assert.deepEqual([...sheet.folder(odd).keys()], ["n".repeat(255)]);
  assert.equal(sheet.folder(Buffer.from("/empty")).size, 0);
  assert.equal(sheet.folder(Buffer.from("/no such")).size, 0);
});

test("a sheet of many folders, more than its buffer holds", (t) => {
  const path = join(folderFor(t), "sheet");
  const writer = new SheetWriter(path);
  const folders = full ? 20_000 : 2_000;
  for (let i = 0; i < folders; i++)
    writer.folder(
      Buffer.from(`/folder/number/${i}`),
      Array.from({ length: 30 }, (_, j) => named(`some file ${j}`, row(BigInt(i), BigInt(j)))),
    );
  writer.finish(revision);
  const sheet = Sheet.open(path, revision);
  for (const i of [0, 1, folders >> 1, folders - 1]) {
    const rows = sheet?.folder(Buffer.from(`/folder/number/${i}`));
    assert.equal(rows?.size, 30);
    assert.deepEqual(rows?.get("some file 29"), row(BigInt(i), 29n));
  }
});

test("a sheet that is cut, altered, of another revision or missing is none", (t) => {
  const path = join(folderFor(t), "sheet");
  assert.equal(Sheet.open(path, revision), undefined);
  const writer = new SheetWriter(path);
  writer.folder(Buffer.from("/x"), [named("a", row(5n)), named("b", row(6n))]);
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
  writer.folder(Buffer.from("/x"), [named("a", row(5n))]);
  writer.finish(revision);
  const before = readFileSync(path);
  const second = new SheetWriter(path);
  second.folder(Buffer.from("/y"), [named("a", row(5n))]);
  second.abandon();
  assert.deepEqual(readFileSync(path), before);
  assert.equal(existsSync(`${path}.tmp`), false);
});

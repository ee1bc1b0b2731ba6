import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Reader } from "../../src/base/bytes.js";
import { namesIn, Owners } from "../../src/capture/owners.js";
import { folderFor } from "./given.js";

function decoded(bytes: Buffer): Map<number, string>[] {
  const from = new Reader(bytes, "names");
  const maps = [0, 1].map(
    () => new Map(Array.from({ length: from.varint() }, () => [from.varint(), from.text(255)] as [number, string])),
  );
  from.end();
  return maps;
}

test("lines of passwd(5) and group(5)", () => {
  const text =
    "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\n\n#no\nann:x:1000:1000:Ann,,:/home/ann:/bin/sh\nx:x:-1:\n";
  assert.deepEqual(
    [...namesIn(text)],
    [
      [0, "root"],
      [1000, "ann"],
    ],
  );
  assert.deepEqual([...namesIn("no newline:x:7:")], [[7, "no newline"]]);
  assert.equal(namesIn("+::::::\n:x:5:5\nbig:x:99999999999:\n").size, 0);
});

test("only numbers that were seen and have a name, ascending", (t) => {
  const etc = folderFor(t);
  writeFileSync(join(etc, "passwd"), "b:x:1001:\na:x:0:\nc:x:5:\n");
  writeFileSync(join(etc, "group"), "g:x:1001:\n");
  const owners = new Owners();
  owners.see(1001, 1001);
  owners.see(0, 77);
  owners.see(1001, 1001);
  assert.deepEqual(decoded(owners.encode(etc)), [
    new Map([
      [0, "a"],
      [1001, "b"],
    ]),
    new Map([[1001, "g"]]),
  ]);
  assert.deepEqual(decoded(owners.encode(join(etc, "none"))), [new Map(), new Map()]);
});

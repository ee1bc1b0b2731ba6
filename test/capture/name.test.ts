import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { isName } from "../../src/base/units.js";
import { filesetNameOfPath } from "../../src/capture/name.js";

fc.configureGlobal({ seed: Number(process.env.BCOOPFS_SEED || 1), numRuns: 500 });

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const nameOf = (path: string, taken?: boolean) => filesetNameOfPath(Buffer.from(path), hash, taken);

test("the names that the manual shows", () => {
  assert.equal(nameOf("/srv/My docs"), "srv-My-docs");
  assert.equal(nameOf("/"), "root");
  assert.equal(nameOf("/home/ann"), "home-ann");
  assert.equal(nameOf("/home/ann/"), "home-ann");
  assert.equal(nameOf("/a  +/b"), "a-b"); // one run
  assert.equal(nameOf("/a/v1.0_x-y"), "a-v1.0_x-y");
});

test("the first character is a letter or digit", () => {
  assert.equal(nameOf("/.config"), "config");
  assert.equal(nameOf("/-/_x"), "x");
  assert.equal(nameOf("/ü"), "path");
  assert.equal(nameOf("/..."), "path");
});

test("names that are too long or taken end in the hash", () => {
  const at64 = `/${"x".repeat(64)}`;
  const at65 = `/${"x".repeat(65)}`;
  assert.equal(nameOf(at64), "x".repeat(64));
  assert.equal(nameOf(at65), `${"x".repeat(50)}-${hash(Buffer.from(at65)).slice(0, 8)}`);
  assert.equal(nameOf("/srv/My docs", true), `srv-My-docs-${hash(Buffer.from("/srv/My docs")).slice(0, 8)}`);
  assert.equal(nameOf("/", true), `root-${hash(Buffer.from("/")).slice(0, 8)}`);
  assert.notEqual(nameOf("/srv/a b", true), nameOf("/srv/a-b", true));
});

test("any path gives a valid name, always the same one", () => {
  const path = fc.uint8Array({ maxLength: 120 }).map((tail) => Uint8Array.from([0x2f, ...tail]));
  fc.assert(
    fc.property(path, fc.boolean(), (bytes, taken) => {
      const name = filesetNameOfPath(bytes, hash, taken);
      assert.ok(isName(name), name);
      assert.equal(filesetNameOfPath(Uint8Array.from(bytes), hash, taken), name);
      if (taken) assert.match(name, /-[0-9a-f]{8}$/);
    }),
  );
});

test("a relative path or a hash that is none is the caller's mistake", () => {
  assert.throws(() => nameOf("srv"), /absolute/);
  assert.throws(() => nameOf(""), /absolute/);
  assert.throws(() => filesetNameOfPath(Buffer.from("/a"), () => "zz", true), /hex/);
});

/** What `ls` and `cat` are given. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { realSystem } from "../../src/base/system.js";
import { entryFlags } from "../../src/format/entry.js";
import { catFile, listFolder } from "../../src/recall/look.js";
import { componentsOf, type View } from "../../src/vault/view.js";
import { commitRevision, file, folder, type TestVault, testVault, viewOf } from "../support/recall-revision.js";

let it: TestVault;
let view: View;
const noise = realSystem.random(100_000);

before(async () => {
  it = await testVault();
  const revision = await commitRevision(
    it.vault,
    folder({
      a: folder({ "b\xff": folder({ deep: file("deep") }), c: file("c") }),
      "a.b": file("sorts before a/…, by bytes of names"),
      empty: folder({}),
      holes: file([Buffer.from("head"), (1n << 20n) + 5n, noise.subarray(0, 50_000), noise.subarray(50_000)]),
      nothing: file(""),
      link: { kind: "symlink", target: Buffer.from("a/c\n"), mode: 0o777 },
      pipe: { kind: "fifo" },
      dark: { kind: "file", size: 3n, flags: entryFlags.neverReadable, errno: 13 },
    }),
  );
  view = viewOf(it.vault, revision);
});
after(() => it.end());

const at = (path: string): Buffer[] => componentsOf(Buffer.from(path, "latin1"));

async function list(path: string, recursive = false): Promise<string[]> {
  const found: string[] = [];
  for await (const { path: name, entry } of listFolder(view, at(path), { recursive }))
    found.push(`${name.toString("latin1")} ${entry.kind}`);
  return found;
}

async function cat(path: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of catFile(view, at(path))) {
    assert.ok(piece.length <= 1 << 20);
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces);
}

test("a folder lists what is in it, anything else itself", async () => {
  const top = [
    "/a folder",
    "/a.b file",
    "/dark file",
    "/empty folder",
    "/holes file",
    "/link symlink",
    "/nothing file",
  ];
  assert.deepEqual(await list("/"), [...top, "/pipe fifo"]);
  assert.deepEqual(await list("/a"), ["/a/b\xff folder", "/a/c file"]);
  assert.deepEqual(await list("/a/c"), ["/a/c file"]);
  assert.deepEqual(await list("/link"), ["/link symlink"]);
  assert.deepEqual(await list("/empty"), []);
});

test("recursive: what is below stands right behind its folder", async () => {
  const all = await list("/", true);
  assert.deepEqual(all.slice(0, 5), ["/a folder", "/a/b\xff folder", "/a/b\xff/deep file", "/a/c file", "/a.b file"]);
  assert.equal(all.length, 11);
});

test("contents, holes as zeros, in pieces of bounded size", async () => {
  assert.equal((await cat("/a/b\xff/deep")).toString(), "deep");
  assert.equal((await cat("/nothing")).length, 0);
  const expected = Buffer.concat([Buffer.from("head"), Buffer.alloc((1 << 20) + 5), noise]);
  assert.ok((await cat("/holes")).equals(expected));
});

const refused: readonly [path: string, code: string, message: RegExp][] = [
  ["/none", "not-found", /\/none is not in this revision/],
  ["/a/c/below", "not-found", /not in this revision/],
  ["/a", "usage", /\/a is a folder/],
  ["/link", "usage", /symbolic link to a\/c\\n/],
  ["/pipe", "usage", /fifo/],
  ["/dark", "not-found", /EACCES/],
];
for (const [path, code, message] of refused)
  test(`cat ${path}: ${code}`, () =>
    assert.rejects(
      cat(path),
      (error) => error instanceof Problem && error.code === code && message.test(error.message),
    ));

test("ls of nothing is not found", () =>
  assert.rejects(list("/none"), (error) => error instanceof Problem && error.code === "not-found"));

/** "/" itself: its attributes stand in the revision's record, and it may be a root like any folder. */
import assert from "node:assert/strict";
import { mkdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { native } from "../../src/base/native.js";
import { atEnd, folderFor, type Saved, save, vaultAt } from "./given.js";

const isTop = (fd: number, name: Uint8Array): boolean =>
  name.length === 0 && fd >= 0 && readlinkSync(`/proc/self/fd/${fd}`) === "/";

/** "/" has these attributes, or none that can be read. */
function topHas(t: TestContext, xattrs: Readonly<Record<string, Buffer>> | Error): void {
  const addon = native();
  const { listXattrs, statAt } = addon;
  addon.statAt = (at, name) => {
    const packed = statAt(at, name);
    if (isTop(at, name)) packed.writeUInt16LE(1, 86);
    return packed;
  };
  addon.listXattrs = (at, name) => {
    if (!isTop(at, name)) return listXattrs(at, name);
    if (xattrs instanceof Error) throw xattrs;
    return Buffer.concat(
      Object.entries(xattrs).map(([key, value]) => {
        const head = Buffer.alloc(6);
        head.writeUInt16LE(key.length);
        head.writeUInt32LE(value.length, 2);
        return Buffer.concat([head, Buffer.from(key), value]);
      }),
    );
  };
  atEnd(t, () => void Object.assign(addon, { listXattrs, statAt }));
}

async function saved(t: TestContext): Promise<Saved> {
  const top = folderFor(t);
  mkdirSync(join(top, "src"));
  writeFileSync(join(top, "src/f"), "x");
  return save(await vaultAt(t, join(top, "home")), [join(top, "src")]);
}

test('long attributes of "/" are kept', async (t) => {
  const long = Buffer.alloc(3000, "long");
  topHas(t, { "user.a": Buffer.from("short"), "user.b": long });
  const { view, body } = await saved(t);
  assert.deepEqual([body.complete, body.errors], [true, 0]);
  assert.deepEqual(
    await Promise.all(view.root.xattrs.map(async ({ name, value }) => [name.toString(), await view.xattr(value)])),
    [
      ["user.a", Buffer.from("short")],
      ["user.b", long],
    ],
  );
});

test('attributes of "/" that cannot be read are told of', async (t) => {
  topHas(t, Object.assign(new Error("EIO"), { code: "EIO", errno: 5 }));
  const { view, body, unread } = await saved(t);
  assert.deepEqual([body.complete, body.errors, view.root.xattrs], [false, 1, []]);
  assert.match(unread[0] as string, /^\/: its extended attributes could not be read: .*\(EIO\)/);
});

test('more attributes of "/" than a record holds: what has no room is left out and told of', async (t) => {
  const all = Array.from({ length: 250 }, (_, i) => [`user.${String(i).padStart(3, "0")}`, Buffer.alloc(1024, i)]);
  topHas(t, Object.fromEntries(all));
  const { view, body, unread } = await saved(t);
  assert.deepEqual([body.complete, body.errors], [false, 1]);
  const kept = view.root.xattrs.length;
  assert.ok(kept >= 25 && kept < 60, `${kept} kept`);
  assert.match(unread[0] as string, new RegExp(`^/: ${250 - kept} of its extended attributes could not be read: `));
});

test("an entry with more attributes than the format takes is told of", async (t) => {
  const all = Array.from({ length: 5000 }, (_, i) => [`user.${String(i).padStart(4, "0")}`, Buffer.alloc(0)]);
  topHas(t, Object.fromEntries(all));
  const { view, body } = await saved(t);
  assert.deepEqual([body.errors, view.root.xattrs], [1, []]);
});

test('"/" as a root that cannot be listed is an unreadable folder, not a fault of ours', async (t) => {
  const addon = native();
  const { scanFolder, scanPart } = addon;
  const eio = (fd: number): void => {
    if (isTop(fd, Buffer.alloc(0))) throw Object.assign(new Error("EIO"), { code: "EIO", errno: 5 });
  };
  addon.scanFolder = (fd) => {
    eio(fd);
    return scanFolder(fd);
  };
  addon.scanPart = (fd, restart, enough) => {
    eio(fd);
    return scanPart(fd, restart, enough);
  };
  atEnd(t, () => void Object.assign(addon, { scanFolder, scanPart }));
  const vault = await vaultAt(t, join(folderFor(t), "home"));
  const said: string[] = [];
  await assert.rejects(
    save(vault, ["/"], { on: { unread: ({ says }) => void said.push(says) } }),
    (error) => error instanceof Problem && error.code === "not-found",
  );
  assert.deepEqual(said, ["/: it could not be read: the disk reports an error (EIO)"]);
});

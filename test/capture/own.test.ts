import assert from "node:assert/strict";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { AT_FDCWD, entriesOf, native, type SystemEntry } from "../../src/base/native.js";
import { deviceParts, OwnState, ownMountsIn } from "../../src/capture/own.js";
import { folderFor } from "./given.js";

const mountinfo = `22 27 0:21 / /proc rw,nosuid shared:5 - proc proc rw
31 27 0:27 / /mnt/back\\040up ro,nosuid,nodev,relatime shared:9 master:2 - fuse.bcoopfs bcoopfs ro,user_id=0
32 27 0:28 / /mnt/older ro - fuse bcoopfs:/home/x ro
33 27 0:29 / /mnt/sshfs rw - fuse.sshfs host:/x rw
34 27 0:30 / /mnt/\\134odd\\012 ro - fuse.bcoopfs bcoopfs ro
35 27 8:1 / /bcoopfs rw - ext4 bcoopfs rw
`;

test("our mounts are told from others by type and source", () => {
  const { devices, points } = ownMountsIn(mountinfo);
  assert.deepEqual([...devices], ["0:27", "0:28", "0:30"]);
  assert.deepEqual([...points], ["/mnt/back up", "/mnt/older", "/mnt/\\odd\n"]);
  for (const odd of ["", "\n\n", "1 2 3", "31 27 0:27 / /x rw - ", "- - - -"])
    assert.equal(ownMountsIn(odd).devices.size, 0, odd);
});

test("device numbers come apart as makedev(3) packs them", () => {
  assert.deepEqual(deviceParts(0x801n), { major: 8, minor: 1 });
  assert.deepEqual(deviceParts(0xfedcba9876543210n), { major: 0xfedcb432, minor: 0xa9876510 });
  const { dev } = statSync("/proc/self", { bigint: true });
  const fd = native().openFolder(AT_FDCWD, Buffer.from("/proc"));
  const self = entriesOf(native().statAt(fd, Buffer.alloc(0))).next().value as SystemEntry;
  assert.deepEqual(deviceParts(dev), { major: self.devMajor, minor: self.devMinor });
});

test("folders of ours, mounts of ours, and mounts that come later", (t) => {
  const top = folderFor(t);
  for (const name of ["home", "other"]) mkdirSync(join(top, name));
  let text = mountinfo;
  const own = new OwnState([join(top, "home"), join(top, "not there")], () => text);
  const found = (name: string): { devMajor: number; devMinor: number; ino: bigint } => {
    const { dev, ino } = statSync(join(top, name), { bigint: true });
    const { major, minor } = deviceParts(dev);
    return { devMajor: major, devMinor: minor, ino };
  };
  assert.equal(own.has(found("home")), true);
  assert.equal(own.has(found("other")), false);
  assert.equal(own.has({ devMajor: 0, devMinor: 27, ino: 1n }), true);
  assert.equal(own.has({ devMajor: 0, devMinor: 29, ino: 1n }), false);
  text += "40 27 0:77 / /late ro - fuse.bcoopfs bcoopfs ro\n";
  assert.equal(own.has({ devMajor: 0, devMinor: 77, ino: 1n }), true);
  assert.equal(own.hasMountPoint(Buffer.from("/late")), true);
  assert.equal(own.hasMountPoint(Buffer.from("/mnt/back up")), true);
  assert.equal(own.hasMountPoint(Buffer.from("/mnt/sshfs")), false);
});

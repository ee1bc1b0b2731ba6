import assert from "node:assert/strict";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { AT_FDCWD, entriesOf, native, type SystemEntry } from "../../src/base/native.js";
import { deviceParts, OwnState } from "../../src/capture/own.js";
import { mountsIn } from "../../src/vault/mountinfo.js";
import { folderFor } from "./given.js";

const mountinfo = `22 27 0:21 / /proc rw,nosuid shared:5 - proc proc rw
31 27 0:27 / /mnt/back\\040up ro,nosuid,nodev,relatime shared:9 master:2 - fuse.bcoopfs bcoopfs:12:345 ro,user_id=0,group_id=0
32 27 0:28 / /mnt/mine ro - fuse.bcoopfs bcoopfs:7:8 ro,user_id=1000,group_id=1000
33 27 0:29 / /mnt/sshfs rw - fuse.sshfs host:/x rw,user_id=0
34 27 0:30 / /mnt/\\134odd\\012\xff ro - fuse.bcoopfs bcoopfs:1:2 ro,user_id=0
35 27 8:1 / /bcoopfs rw - ext4 bcoopfs:1:2 rw,user_id=0
36 27 0:31 / /home/u/hidden rw - fuse.sshfs bcoopfs rw,user_id=1001
37 27 0:32 / /home/u/hidden2 rw - fuse.bcoopfs bcoopfs:1:2 rw,user_id=1001,group_id=0
38 27 0:33 / /home/u/hidden3 rw - fuse.bcoopfs bcoopfs rw,user_id=0
39 27 0:34 / /home/u/hidden4 rw - fuse.bcoopfs bcoopfs:1:2 rw,max_user_id=0,user_id=1001
40 27 0:35 / /home/u/hidden5 rw - fuse bcoopfs:1:2 rw,user_id=0
`;

test("mounts of ours that we or root made are left out; nobody else can name a folder so that it is", () => {
  const ours = (user: number): string[] => {
    const own = new OwnState([], () => mountinfo, user);
    return [27, 28, 29, 30, 31, 32, 33, 34, 35]
      .filter((devMinor) => own.has({ devMajor: 0, devMinor, ino: 1n }))
      .map(String);
  };
  assert.deepEqual(ours(0), ["27", "30"]);
  assert.deepEqual(ours(1000), ["27", "28", "30"]);
  assert.deepEqual(ours(1001), ["27", "30", "32", "34"]);
  const own = new OwnState([], () => mountinfo, 0);
  for (const path of ["/mnt/back up", "/mnt/\\odd\n\xff"])
    assert.equal(own.hasMountPoint(Buffer.from(path, "latin1")), true, path);
  for (const path of ["/mnt/mine", "/home/u/hidden", "/home/u/hidden2", "/home/u/hidden5"])
    assert.equal(own.hasMountPoint(Buffer.from(path)), false, path);
  for (const odd of ["", "\n\n", "1 2 3", "31 27 0:27 / /x rw - ", "- - - -"]) assert.deepEqual(mountsIn(odd), [], odd);
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
  const own = new OwnState([join(top, "home"), join(top, "not there")], () => text, 1000);
  const found = (name: string): { devMajor: number; devMinor: number; ino: bigint } => {
    const { dev, ino } = statSync(join(top, name), { bigint: true });
    const { major, minor } = deviceParts(dev);
    return { devMajor: major, devMinor: minor, ino };
  };
  assert.equal(own.has(found("home")), true);
  assert.equal(own.has(found("other")), false);
  assert.equal(own.has({ devMajor: 0, devMinor: 27, ino: 1n }), true);
  assert.equal(own.has({ devMajor: 0, devMinor: 29, ino: 1n }), false);
  text += "40 27 0:77 / /late ro - fuse.bcoopfs bcoopfs:9:9 ro,user_id=1000\n";
  assert.equal(own.has({ devMajor: 0, devMinor: 77, ino: 1n }), true);
  assert.equal(own.hasMountPoint(Buffer.from("/late")), true);
  assert.equal(own.hasMountPoint(Buffer.from("/mnt/back up")), true);
  assert.equal(own.hasMountPoint(Buffer.from("/mnt/sshfs")), false);
});

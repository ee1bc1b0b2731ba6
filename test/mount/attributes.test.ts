/** Attributes: modes under an ACL never give more than the ACL did; what fuse-native narrows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry } from "../../src/format/entry.js";
import { attributesOf, Inodes } from "../../src/mount/attributes.js";
import type { Attributes } from "../../src/mount/backend.js";
import { exactText, InodeNumbers, statWords } from "../../src/mount/narrow.js";

const plain: Entry = {
  name: Buffer.from("f"),
  kind: "file",
  flags: 0,
  mode: 0o644,
  uid: 1,
  gid: 2,
  mtimeNs: 0n,
  links: 1,
  group: 0n,
  size: 0n,
  content: undefined,
  tree: undefined,
  target: undefined,
  major: 0,
  minor: 0,
  errno: 0,
  xattrs: [],
  fields: [],
};

type AclEntry = readonly [tag: number, permissions: number, id?: number];

function acl(...entries: AclEntry[]): Buffer {
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2, 0);
  for (const [i, [tag, permissions, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + i * 8);
    bytes.writeUInt16LE(permissions, 6 + i * 8);
    bytes.writeUInt32LE(id ?? 0xffff_ffff, 8 + i * 8);
  }
  return bytes;
}

const [userObj, user, groupObj, group, mask, other] = [1, 2, 4, 8, 16, 32] as const;

const shown: readonly [why: string, mode: number, value: Buffer, expected: number][] = [
  [
    "a user named: the group keeps its own",
    0o670,
    acl([userObj, 6], [user, 7, 5], [groupObj, 4], [mask, 7], [other, 0]),
    0o640,
  ],
  ["the mask cuts the group", 0o640, acl([userObj, 6], [user, 7, 5], [groupObj, 6], [mask, 4], [other, 0]), 0o640],
  [
    "a user shut out: so is everybody else",
    0o644,
    acl([userObj, 6], [user, 0, 5], [groupObj, 4], [mask, 4], [other, 4]),
    0o600,
  ],
  [
    "a group shut out: others are, the owning group is not",
    0o644,
    acl([userObj, 6], [groupObj, 4], [group, 0, 9], [mask, 4], [other, 4]),
    0o640,
  ],
  ["no names: as it was", 0o754, acl([userObj, 7], [groupObj, 5], [other, 4]), 0o754],
  ["no ACL: group and others get nothing", 0o777, Buffer.from("nonsense!"), 0o700],
  [
    "cut short: group and others get nothing",
    0o777,
    acl([userObj, 7], [groupObj, 7], [other, 7]).subarray(0, 9),
    0o700,
  ],
];

for (const [why, mode, value, expected] of shown)
  test(`mode under an ACL: ${why}`, () => {
    const xattrs = [{ name: Buffer.from("system.posix_acl_access"), value }];
    assert.equal(attributesOf({ ...plain, mode, xattrs }, 5n).mode.toString(8), (0o100000 | expected).toString(8));
  });

test("an ACL too long to stand in the entry gives group and others nothing", () => {
  const value = { level: 0, id: Buffer.alloc(32), size: 2000n };
  const xattrs = [{ name: Buffer.from("system.posix_acl_access"), value }];
  assert.equal(attributesOf({ ...plain, mode: 0o4775, xattrs }, 5n).mode, 0o104700);
});

test("inode numbers depend on the whole path, and on the key", () => {
  const inodes = new Inodes(Buffer.alloc(32, 1));
  const other = new Inodes(Buffer.alloc(32, 2));
  const a = inodes.below(1n, Buffer.from("a"));
  assert.equal(inodes.below(1n, Buffer.from("a")), a);
  const different = [
    inodes.below(1n, Buffer.from("b")),
    inodes.below(a, Buffer.from("a")),
    inodes.ofLinks(1n, "97:file"),
    inodes.ofLinks(a, "97:file"),
    other.below(1n, Buffer.from("a")),
  ];
  assert.equal(new Set([a, ...different]).size, 6);
});

test("32-bit inode numbers are never shared among those remembered", () => {
  const numbers = new InodeNumbers();
  assert.equal(numbers.of(1n), 1);
  const seen = new Set<number>();
  for (let i = 2n; i < 5002n; i++) seen.add(numbers.of(i << 32n));
  assert.equal(seen.size, 5000);
  assert.equal(numbers.of(2n << 32n), 2);
});

function words(more: Partial<Attributes>): Uint32Array {
  const { mode, uid, gid, size, mtimeNs, major, minor } = { ...plain, size: 0n };
  return statWords({ ino: 1n, nlink: 1, mode, uid, gid, size, mtimeNs, major, minor, ...more }, 7);
}

test("a stat as fuse-native takes it", () => {
  const size = (5n << 32n) + 1n;
  const now = words({ size, mtimeNs: 1_700_000_000_123_999_999n, major: 8, minor: 0x12345 });
  assert.equal(BigInt(now[4] as number) * (1n << 32n) + BigInt(now[3] as number), size);
  assert.equal(BigInt(now[11] as number) * (1n << 32n) + BigInt(now[10] as number), (size + 511n) / 512n);
  assert.equal(BigInt(now[15] as number) * (1n << 32n) + BigInt(now[14] as number), 1_700_000_000_123n);
  assert.equal(now[7], 7);
  assert.equal(now[8], 0x12300845);
  const before1970 = words({ mtimeNs: -1n });
  assert.deepEqual([...before1970.subarray(12)], [0, 0, 0, 0, 0, 0]);
});

test("text is carried only where it is exact", () => {
  assert.equal(exactText(Buffer.from("é\ufffd")), "é\ufffd");
  for (const bytes of ["\xff", "a\xc3", "\xed\xa0\x80"])
    assert.equal(exactText(Buffer.from(bytes, "latin1")), undefined);
});

/** Entries of folders, and the extension fields that all things end in. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Reader, Writer } from "../../src/base/bytes.js";
import { Problem } from "../../src/base/errors.js";
import { format } from "../../src/base/limits.js";
import { type Entry, isComponent, readEntry, writeEntry } from "../../src/format/entry.js";
import { type Fields, readFields, writeFields } from "../../src/format/fields.js";
import { checkPlain } from "../support/strict.js";
import { entryArbitrary, fieldsArbitrary, plainFile, randomOf, samplesOf } from "./given.js";

const random = randomOf("entry");

function encode(entry: Entry): Buffer {
  const to = new Writer();
  writeEntry(to, entry);
  return to.finish();
}

function decodeWith(root: boolean): (bytes: Uint8Array) => Entry {
  return (bytes) => {
    const from = new Reader(bytes, "entry");
    const entry = readEntry(from, root);
    from.end();
    return entry;
  };
}
const decode = decodeWith(false);

function encodeFields(fields: Fields): Buffer {
  const to = new Writer();
  writeFields(to, fields);
  return to.finish();
}

function decodeFields(bytes: Uint8Array, known: readonly number[] = []): Fields {
  const from = new Reader(bytes, "fields");
  const fields = readFields(from, known);
  from.end();
  return fields;
}

const content = { level: 0, id: random(32), size: 5n };
const tree = { level: 2, id: random(32), entries: 70_000 };
const device = { kind: "block", major: 0xffff_ffff, minor: 259 } as const;

/** One of each kind and each oddity that a file system can show. */
const oddities: readonly [why: string, entry: Entry][] = [
  ["an empty file", plainFile("a")],
  ["a file", { ...plainFile("a"), size: 5n, content }],
  [
    "a file beyond 2^53 bytes",
    { ...plainFile("a"), size: (1n << 53n) + 1n, content: { ...content, size: (1n << 53n) + 1n } },
  ],
  [
    "a file of 2^64 - 1 bytes",
    { ...plainFile("a"), size: (1n << 64n) - 1n, content: { ...content, size: (1n << 64n) - 1n } },
  ],
  ["a file never readable", { ...plainFile("a"), flags: 4, size: 12n, errno: 13 }],
  ["an empty folder", { ...plainFile("a"), kind: "folder" }],
  ["a folder", { ...plainFile("a"), kind: "folder", tree }],
  ["a folder never readable", { ...plainFile("a"), kind: "folder", flags: 4, errno: 13 }],
  ["a link", { ...plainFile("a"), kind: "symlink", target: Buffer.from("../x") }],
  ["a link to nothing", { ...plainFile("a"), kind: "symlink", target: Buffer.alloc(0) }],
  ["a link of the most bytes", { ...plainFile("a"), kind: "symlink", target: Buffer.alloc(format.targetBytes, 255) }],
  ["a pipe", { ...plainFile("a"), kind: "fifo" }],
  ["a socket", { ...plainFile("a"), kind: "socket" }],
  ["a device", { ...plainFile("a"), ...device }],
  ["a device of characters", { ...plainFile("a"), ...device, kind: "char" }],
  ["the second before 1970", { ...plainFile("a"), mtimeNs: -1n }],
  ["1969, whole second", { ...plainFile("a"), mtimeNs: -1_000_000_000n }],
  ["1901", { ...plainFile("a"), mtimeNs: -2_147_483_649_999_999_999n }],
  ["after 2262", { ...plainFile("a"), mtimeNs: (1n << 63n) + 7n }],
  ["the last second", { ...plainFile("a"), mtimeNs: ((1n << 63n) - 1n) * 1_000_000_000n + 999_999_999n }],
  ["the first second", { ...plainFile("a"), mtimeNs: -(1n << 63n) * 1_000_000_000n }],
  ["hard links", { ...plainFile("a"), links: 2, group: (1n << 64n) - 1n }],
  ["all mode bits", { ...plainFile("a"), mode: 0o7777 }],
  ["the highest owner", { ...plainFile("a"), uid: 0xffff_ffff, gid: 0xffff_ffff }],
  ["a name that is not UTF-8", { ...plainFile("a"), name: Buffer.from([0xff, 0xfe, 0x80, 0x0a]) }],
  ["the longest name", { ...plainFile("a"), name: Buffer.alloc(format.nameBytes, 0x61) }],
  ["three dots", plainFile("...")],
  [
    "attributes, short, empty and long",
    {
      ...plainFile("a"),
      xattrs: [
        { name: Buffer.from("security.capability"), value: random(20) },
        { name: Buffer.from("user.a"), value: Buffer.alloc(0) },
        { name: Buffer.from("user.b"), value: random(format.xattrInlineBytes) },
        { name: Buffer.from("user.c"), value: { level: 0, id: random(32), size: BigInt(format.xattrInlineBytes + 1) } },
        { name: Buffer.from("user.d"), value: { level: 3, id: random(32), size: BigInt(format.xattrValueBytes) } },
      ],
    },
  ],
  [
    "fields of the future",
    {
      ...plainFile("a"),
      fields: [
        { number: 1, bytes: random(9) },
        { number: 65_535, bytes: random(0) },
      ],
    },
  ],
];

test("every kind and oddity comes back as it was", () => {
  for (const [why, entry] of oddities) assert.deepEqual(decode(encode(entry)), entry, why);
});

test("entries are read strictly", () => {
  checkPlain("entry", { encode, decode, samples: oddities.map(([, entry]) => entry), positions: 150 });
  checkPlain("entry", { encode, decode, samples: samplesOf(entryArbitrary(), 40) });
  checkPlain("root", { encode, decode: decodeWith(true), samples: samplesOf(entryArbitrary(true), 6) });
});

test("only the root of a revision has no name", () => {
  const root: Entry = { ...plainFile(""), kind: "folder" };
  assert.deepEqual(decodeWith(true)(encode(root)), root);
  assert.throws(() => decode(encode(root)), { code: "format" });
  assert.throws(() => decodeWith(true)(encode({ ...root, name: Buffer.from("a") })), { code: "format" });
});

test("a name that leads elsewhere is refused", () => {
  for (const name of [".", "..", "a/b", "/", "a\0b", "\0"]) {
    assert.equal(isComponent(Buffer.from(name)), false);
    assert.throws(() => decode(encode(plainFile(name))), { code: "format" }, JSON.stringify(name));
  }
  const long = { ...plainFile("a"), name: Buffer.alloc(format.nameBytes + 1, 0x61) };
  assert.throws(() => decode(encode(long)), { code: "format" });
});

test("values that no writer gives are refused", () => {
  const x = (name: string, value = Buffer.alloc(0)) => ({ name: Buffer.from(name), value });
  const wrong: readonly [why: string, entry: Entry][] = [
    ["unknown flags", { ...plainFile("a"), flags: 8 }],
    ["bits of a file type in the mode", { ...plainFile("a"), mode: 0o100644 }],
    ["no link", { ...plainFile("a"), links: 0 }],
    ["a folder with two links", { ...plainFile("a"), kind: "folder", links: 2 }],
    ["an owner beyond 32 bits", { ...plainFile("a"), uid: 2 ** 32 }],
    ["too many levels", { ...plainFile("a"), size: 5n, content: { ...content, level: format.levels + 1 } }],
    ["a target too long", { ...plainFile("a"), kind: "symlink", target: Buffer.alloc(format.targetBytes + 1) }],
    ["an error number that is none", { ...plainFile("a"), flags: 4, errno: 5000 }],
    ["attributes out of order", { ...plainFile("a"), xattrs: [x("b"), x("a")] }],
    ["an attribute twice", { ...plainFile("a"), xattrs: [x("a"), x("a")] }],
    ["an attribute without a name", { ...plainFile("a"), xattrs: [x("")] }],
    ["a NUL in an attribute's name", { ...plainFile("a"), xattrs: [x("a\0")] }],
    ["an attribute's name too long", { ...plainFile("a"), xattrs: [x("a".repeat(256))] }],
    [
      "an attribute too large",
      {
        ...plainFile("a"),
        xattrs: [
          { name: Buffer.from("a"), value: { level: 1, id: random(32), size: BigInt(format.xattrValueBytes + 1) } },
        ],
      },
    ],
  ];
  for (const [why, entry] of wrong) assert.throws(() => decode(encode(entry)), { code: "format" }, why);
  assert.throws(
    () => decode(encode({ ...plainFile("a"), kind: "unknown" as "file" })),
    (why) => why instanceof Problem,
  );
});

test("a writer does not write what no reader could read", () => {
  const value = Buffer.alloc(format.xattrInlineBytes + 1);
  assert.throws(() => encode({ ...plainFile("a"), xattrs: [{ name: Buffer.from("a"), value }] }), RangeError);
  const short = { level: 0, id: random(32), size: BigInt(format.xattrInlineBytes) };
  assert.throws(() => encode({ ...plainFile("a"), xattrs: [{ name: Buffer.from("a"), value: short }] }), RangeError);
  assert.throws(() => encode({ ...plainFile("a"), size: 5n }), RangeError, "a size without content");
  const many = Array.from({ length: format.xattrsPerEntry + 1 }, () => ({
    name: Buffer.from("a"),
    value: Buffer.alloc(0),
  }));
  assert.throws(() => encode({ ...plainFile("a"), xattrs: many }), RangeError, "too many attributes");
});

test("extension fields are read strictly", () => {
  checkPlain("fields", { encode: encodeFields, decode: decodeFields, samples: samplesOf(fieldsArbitrary, 40) });
  const most = Array.from({ length: format.extensions }, (_, i) => ({ number: i * 2 + 1, bytes: Buffer.alloc(1) }));
  assert.deepEqual(decodeFields(encodeFields(most)), most);
  const one = { number: 1, bytes: Buffer.alloc(format.extensionBytes) };
  assert.deepEqual(decodeFields(encodeFields([one])), [one]);
  const tooMany = [...most, { number: 65_535, bytes: Buffer.alloc(0) }];
  assert.throws(() => decodeFields(encodeFields(tooMany)), { code: "format" });
  const tooLong = [{ number: 1, bytes: Buffer.alloc(format.extensionBytes + 1) }];
  assert.throws(() => decodeFields(encodeFields(tooLong)), { code: "format" });
});

test("odd fields are kept, even ones must be known, none stands twice or out of order", () => {
  const field = (number: number) => ({ number, bytes: Buffer.from([number & 255]) });
  assert.deepEqual(decodeFields(encodeFields([field(7), field(9)])), [field(7), field(9)]);
  for (const number of [0, 2, 65_534])
    assert.throws(() => decodeFields(encodeFields([field(1), field(number)].sort((a, b) => a.number - b.number))), {
      code: "unsupported",
    });
  assert.deepEqual(decodeFields(encodeFields([field(2), field(3)]), [2]), [field(2), field(3)]);
  assert.throws(() => decodeFields(encodeFields([field(9), field(7)])), { code: "format" });
  assert.throws(() => decodeFields(encodeFields([field(7), field(7)])), { code: "format" });
  assert.throws(() => decodeFields(encodeFields([field(65_537)])), { code: "format" });
});

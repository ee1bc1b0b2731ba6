/** Vectors of everything that is encoded and not sealed. */
import { Reader, Writer } from "../../src/base/bytes.js";
import * as checkpoint from "../../src/format/checkpoint.js";
import { decodeList, encodeList } from "../../src/format/content.js";
import { type Entry, readEntry, writeEntry } from "../../src/format/entry.js";
import { readFields, writeFields } from "../../src/format/fields.js";
import { decodeHints, encodeHints } from "../../src/format/frame.js";
import { decodeGenesis, encodeGenesis } from "../../src/format/genesis.js";
import { newConstants, newEpoch, readConstants, readEpoch, writeConstants, writeEpoch } from "../../src/format/keys.js";
import * as listings from "../../src/format/listing.js";
import * as revisions from "../../src/format/revision.js";
import { decodeFooter, decodeTableObject, encodeFooter, encodeTableObject } from "../../src/format/table.js";
import { decodeTree, encodeTree } from "../../src/format/tree.js";
import { plainFile, randomOf } from "../format/given.js";
import { changed, type Hostile, hex, plainly, type VectorFile } from "./shape.js";

export interface Plain {
  readonly name: string;
  readonly what: string;
  // biome-ignore lint/suspicious/noExplicitAny: a table of encoders of different values
  readonly encode: (value: any) => Buffer;
  readonly decode: (bytes: Uint8Array) => unknown;
  readonly samples: readonly (readonly [what: string, value: unknown])[];
  /** from the bytes of the first sample */
  readonly hostile: (bytes: Buffer) => readonly (readonly [why: string, bytes: string, code?: Hostile["code"]])[];
  /** zero bytes may follow */
  readonly padded?: boolean;
}

/** From a writer and a reader of a part, those of a whole. */
export function whole(
  // biome-ignore lint/suspicious/noExplicitAny: as above
  write: (to: Writer, value: any) => void,
  read: (from: Reader) => unknown,
): Pick<Plain, "encode" | "decode"> {
  return {
    encode: (value) => {
      const to = new Writer();
      write(to, value);
      return to.finish();
    },
    decode: (bytes) => {
      const from = new Reader(bytes, "vector");
      const value = read(from);
      from.end();
      return value;
    },
  };
}

/** Each its own stream, so that a new vector changes no old one. */
const fixed = (label: string, length: number): Buffer => randomOf(label, "frozen")(length);
const id = fixed("id", 32);
const file: Entry = {
  ...plainFile("notes.txt"),
  size: 70_000n,
  content: { level: 1, id, size: 70_000n },
  xattrs: [
    { name: Buffer.from("user.long"), value: { level: 0, id, size: 1025n } },
    { name: Buffer.from("user.short"), value: Buffer.from("value") },
  ],
  fields: [{ number: 7, bytes: Buffer.from([1, 2]) }],
};
const folder: Entry = { ...plainFile("src"), kind: "folder", mode: 0o755, tree: { level: 0, id, entries: 3 } };
const root: Entry = { ...folder, name: Buffer.alloc(0) };
const pipe: Entry = { ...plainFile("p"), kind: "fifo", mode: 0, uid: 0, gid: 0, mtimeNs: 0n };
const table = {
  frames: [
    {
      boxBytes: 1000,
      rawBytes: 300,
      chunks: [
        { type: "data", id, length: 100 },
        { type: "table", id, length: 200 },
      ],
    },
    { boxBytes: 60, rawBytes: 0, chunks: [{ type: "tree", id, length: 0 }] },
  ],
  fields: [],
};
const certificate = {
  vault: id,
  device: fixed("device", 32),
  rights: 1,
  issued: 1_700_000_000_000_000_000n,
  fields: [],
  signature: fixed("signature", 64),
};
const listing = {
  name: id,
  length: 65_536,
  kind: listings.objectKinds.dataSegment,
  salt: fixed("salt", 32),
  class: listings.defaultClass,
  adopted: false,
  fields: [],
};
const [low, high] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];

const revision: revisions.RevisionBody = {
  fileset: fixed("fileset", 16),
  filesetName: "home",
  host: "tälk",
  started: 1_700_000_000_000_000_000n,
  complete: true,
  root,
  rootHint: low,
  files: 3,
  folders: 1,
  others: 0,
  bytes: 1n << 60n,
  changedFiles: 2,
  newBytes: 12n,
  storedBytes: 300n,
  errors: 1,
  names: { size: 20n, level: 0, id },
  report: undefined,
  fields: [],
};

export const plains: readonly Plain[] = [
  {
    name: "fields",
    what: "count ‖ { number varint ‖ bytes blob }, ascending; unknown odd numbers are kept, unknown even ones refused",
    ...whole(writeFields, (from) => readFields(from)),
    samples: [
      [
        "two odd fields",
        [
          { number: 1, bytes: Buffer.from("a") },
          { number: 65_535, bytes: Buffer.alloc(0) },
        ],
      ],
      ["none", []],
    ],
    hostile: () => [
      ["field 2 is even and unknown", "010200", "unsupported"],
      ["field 3 stands before field 1", "0203000100"],
      ["field 1 stands twice", "0201000100"],
      ["65 fields", hex(Buffer.concat([Buffer.from([65]), Buffer.alloc(130, 1)]))],
      ["the number 1 as two bytes", "01810000"],
      ["4,097 bytes announced", "01018120"],
    ],
  },
  {
    name: "entry",
    what: "see src/format/entry.ts; as it stands in a folder",
    ...whole(writeEntry, (from) => readEntry(from)),
    samples: [
      ["a file with attributes and a field", file],
      ["a folder", folder],
      ["the smallest entry: a pipe", pipe],
      ["a hard link, one nanosecond before 1970", { ...file, xattrs: [], links: 2, group: 1n << 63n, mtimeNs: -1n }],
      [
        "a file of 2^53 + 1 bytes, changed in 2500",
        {
          ...file,
          size: (1n << 53n) + 1n,
          content: { level: 4, id, size: (1n << 53n) + 1n },
          mtimeNs: 16_725_225_600_000_000_000n,
        },
      ],
      ["a file never readable (errno 13)", { ...plainFile("shadow"), flags: 4, size: 900n, errno: 13 }],
      [
        "a link whose name is not UTF-8",
        { ...plainFile(""), name: Buffer.from([0xff, 0x0a]), kind: "symlink", target: Buffer.from("../x") },
      ],
      ["a device", { ...plainFile("sda"), kind: "block", major: 8, minor: 0 }],
    ],
    hostile: (bytes) => [
      ["a name with a slash", changed(bytes, 2, [0x2f])],
      ["a name with a NUL", changed(bytes, 2, [0])],
      ["no name", changed(bytes, 0, [0], 10)],
      ["the name ..", changed(bytes, 0, [2, 0x2e, 0x2e], 10)],
      ["kind 8", changed(bytes, 10, [8])],
      ["kind 0", changed(bytes, 10, [0])],
      ["an unknown flag", changed(bytes, 11, [8])],
      ["the flags as two bytes", changed(bytes, 11, [0x80, 0])],
      ["a mode with bits of the file type", changed(bytes, 12, [0xa4, 0x83, 2], 2)],
      ["a name of 2^53 - 1 bytes announced", changed(bytes, 0, [255, 255, 255, 255, 255, 255, 255, 15], 1)],
    ],
  },
  {
    name: "tree",
    what: "level u8 ‖ count varint ‖ items: level 0 entries, above { first name blob ‖ id 32 ‖ entries varint }",
    encode: encodeTree,
    decode: decodeTree,
    samples: [
      [
        "two branches",
        {
          level: 1,
          branches: [
            { first: Buffer.from("a"), id, entries: 40 },
            { first: Buffer.from("b"), id, entries: 2 },
          ],
        },
      ],
      ["entries in order of their bytes", { level: 0, entries: [file, pipe, folder] }],
    ],
    hostile: (bytes) => [
      ["no branch", "0100"],
      ["no entry", "0000"],
      ["names out of order", changed(bytes, 3, [0x63])],
      ["the same name twice", changed(bytes, 3, [0x62])],
      ["a branch to no entries", changed(bytes, -1, [0])],
      ["level 13", changed(bytes, 0, [13])],
      ["a first name with a slash", changed(bytes, 3, [0x2f])],
      ["2^22 branches announced", changed(bytes, 1, [0x80, 0x80, 0x80, 2], 1)],
    ],
  },
  {
    name: "content-list",
    what: "level u8 ‖ count varint ‖ { (size * 2 + hole) varint ‖ id 32 where it is no hole }",
    encode: encodeList,
    decode: decodeList,
    samples: [
      [
        "a chunk, a hole, a chunk",
        {
          level: 1,
          items: [
            { size: 5n, id },
            { size: 1n << 40n, id: undefined },
            { size: 6n, id },
          ],
        },
      ],
      ["an upper level", { level: 12, items: [{ size: (1n << 63n) - 1n, id }] }],
    ],
    hostile: () => [
      ["level 0", `00010a${hex(id)}`],
      ["level 13", `0d010a${hex(id)}`],
      ["no item", "0100"],
      ["two holes in a row", "01020303"],
      ["a hole on level 2", "020103"],
      ["an item of no bytes", `010100${hex(id)}`],
      ["a hole of no bytes", "010101"],
      ["a chunk of 4 MiB and one byte", `010182808004${hex(id)}`],
      ["2^20 items announced", "01808040"],
    ],
  },
  {
    name: "hints",
    what: "salts ‖ 32 each ‖ runs ‖ { ids varint ‖ number of the salt, from 1, or 0 for unknown }; salts in order of first use",
    encode: encodeHints,
    decode: decodeHints,
    samples: [
      [
        "three runs, one unknown",
        [
          { count: 5, salt: low },
          { count: 1, salt: undefined },
          { count: 300, salt: high },
        ],
      ],
      ["none", []],
    ],
    hostile: () => [
      ["a salt twice", `02${hex(low)}${hex(low)}0201010102`],
      ["a salt that no run names", `01${hex(low)}00`],
      ["the second salt first", `02${hex(low)}${hex(high)}0201020101`],
      ["a run of none", `01${hex(low)}010001`],
      ["two runs that are one", `01${hex(low)}0201010101`],
      ["a third salt of two", `02${hex(low)}${hex(high)}03010101020103`],
      ["2^20 runs announced", "00808040"],
    ],
  },
  {
    name: "table",
    what: "frames ‖ { box bytes ‖ chunks ‖ { type u8 ‖ bytes ‖ id 32 } } ‖ fields; in a footer zero bytes follow, fewer than 64 Ki",
    encode: (value) => encodeFooter(value, 0),
    decode: decodeFooter,
    padded: true,
    samples: [
      ["two frames", table],
      ["no frame", { frames: [], fields: [] }],
    ],
    hostile: (bytes) => [
      ["a frame without chunks", "01640000"],
      ["chunk type 5", changed(bytes, 4, [5])],
      ["chunk type 0", changed(bytes, 4, [0])],
      ["a chunk of 4 MiB and one byte", `0164010181808002${hex(id)}00`],
      ["chunks of more than 8 MiB in one frame", `016403${`0180808002${hex(id)}`.repeat(3)}00`],
      ["65,537 frames announced", "818004"],
      ["padding that is not zero", `${hex(bytes)}0001`],
    ],
  },
  {
    name: "table-object",
    what: "name 32 ‖ bytes varint ‖ salt 32 ‖ epoch varint ‖ table",
    encode: encodeTableObject,
    decode: decodeTableObject,
    samples: [["of a segment of 64 KiB", { name: id, length: 65_536, salt: low, epoch: 1, table }]],
    hostile: (bytes) => [
      ["a segment of 1 GiB and one byte", changed(bytes, 32, [0x81, 0x80, 0x80, 0x80, 4], 3)],
      ["an epoch of 33 bits", changed(bytes, 67, [0x80, 0x80, 0x80, 0x80, 0x10], 1)],
      ["zero bytes behind, which only a footer has", `${hex(bytes)}0000`],
    ],
  },
  {
    name: "constants",
    what: "suite u8 ‖ id keys of data, tree, list, 32 each ‖ splitter key 32 ‖ chunk average varint",
    ...whole(writeConstants, readConstants),
    samples: [["average 64 KiB", newConstants(randomOf("constants", "frozen"), 65_536)]],
    hostile: (bytes) => [
      ["suite 2", changed(bytes, 0, [2])],
      ["an average of 8 KiB", changed(bytes, -3, [0x80, 0x40], 3)],
      ["an average that is no power of two", changed(bytes, -3, [0x81])],
      ["an average of 2 MiB", changed(bytes, -3, [0x80, 0x80, 0x80, 1], 3)],
    ],
  },
  {
    name: "epoch",
    what: "number varint (generation * 65,536 + 16 random bits) ‖ keys of data, metadata, table, log, 32 each",
    ...whole(writeEpoch, readEpoch),
    samples: [["of generation 300", newEpoch(randomOf("epoch", "frozen"), 300)]],
    hostile: (bytes) => [["a number of 33 bits", changed(bytes, 0, [0x80, 0x80, 0x80, 0x80, 0x10], 4)]],
  },
  {
    name: "body-genesis",
    what: "certificate ‖ root public key 32 ‖ random 16 ‖ 0, or 1 ‖ log 32 ‖ seq u64 ‖ id 32 ‖ fields",
    encode: encodeGenesis,
    decode: decodeGenesis,
    samples: [
      [
        "with a predecessor",
        {
          certificate,
          rootPublic: low,
          random: fixed("random", 16),
          predecessor: { log: id, seq: 9n, id: high },
          fields: [],
        },
      ],
      ["the first", { certificate, rootPublic: low, random: fixed("random", 16), predecessor: undefined, fields: [] }],
    ],
    hostile: (bytes) => [["a flag of 2", changed(bytes, -74, [2])]],
  },
  {
    name: "body-list",
    what: "count ‖ listings: { name 32 ‖ bytes varint ‖ kind u8 ‖ salt 32 ‖ copies u8 ‖ minimum u8 ‖ importance u8 ‖ adopted u8 ‖ fields } ‖ fields; unknown kinds and importances are kept",
    encode: (body: listings.ListBody) => listings.encodeListings(body.listings, body.fields),
    decode: listings.decodeListings,
    samples: [
      [
        "two objects",
        {
          listings: [listing, { ...listing, name: low, kind: listings.objectKinds.metadataSegment, adopted: true }],
          fields: [],
        },
      ],
      ["none", { listings: [], fields: [] }],
      [
        "2 TiB of a kind and importance that this version does not know",
        {
          listings: [
            { ...listing, kind: 200, length: 2 ** 41, class: { copies: 0, minimum: 255, importance: 99 } },
            { ...listing, name: low, fields: [{ number: 1, bytes: Buffer.from("x") }] },
          ],
          fields: [{ number: 3, bytes: Buffer.from("y") }],
        },
      ],
    ],
    hostile: (bytes) => [
      ["adopted 2", changed(bytes, 72, [2])],
      ["a data segment of 1 GiB and one byte", changed(bytes, 33, [0x81, 0x80, 0x80, 0x80, 4], 3)],
      ["257 listings announced", changed(bytes, 0, [0x81, 2], 1)],
      ["an even field of a listing", changed(bytes, 73, [1, 2, 0], 1), "unsupported"],
      ["an even field of the list", changed(bytes, -1, [1, 2, 0], 1), "unsupported"],
    ],
  },
  {
    name: "body-list-secret",
    what: "count ‖ { salt of a data segment 32 ‖ id of its table object 32 ‖ salt of the segment that holds it 32 } ‖ fields",
    encode: (body: ReturnType<typeof listings.decodeTablePlaces>) =>
      listings.encodeTablePlaces(body.places, body.fields),
    decode: listings.decodeTablePlaces,
    samples: [
      ["one table", { places: [{ salt: low, table: id, holder: high }], fields: [] }],
      ["none", { places: [], fields: [] }],
    ],
    hostile: (bytes) => [
      ["two announced", changed(bytes, 0, [2])],
      ["257 announced", changed(bytes, 0, [0x81, 2], 1)],
    ],
  },
  {
    name: "body-release",
    what: "count ‖ names 32 each ‖ fields",
    encode: listings.encodeRelease,
    decode: listings.decodeRelease,
    samples: [["two names", { names: [low, high], fields: [] }]],
    hostile: (bytes) => [
      ["three announced", changed(bytes, 0, [3])],
      ["1,025 announced", changed(bytes, 0, [0x81, 8], 1)],
    ],
  },
  {
    name: "body-hold",
    what: "until, nanoseconds since 1970, zigzag varint ‖ count ‖ names 32 each ‖ fields",
    encode: listings.encodeHold,
    decode: listings.decodeHold,
    samples: [["one name", { until: 1_700_000_000_000_000_000n, names: [low], fields: [] }]],
    hostile: (bytes) => [["two announced", changed(bytes, 9, [2])]],
  },
  {
    name: "body-checkpoint",
    what: "name 32 ‖ bytes varint ‖ listings varint ‖ fields",
    encode: checkpoint.encodeCheckpoint,
    decode: checkpoint.decodeCheckpoint,
    samples: [["of 2,000 listings", { listName: id, listBytes: 150_012, listings: 2000, fields: [] }]],
    hostile: (bytes) => [["an even field", changed(bytes, -1, [1, 4, 0]), "unsupported"]],
  },
  {
    name: "checkpoint-list",
    what: 'the object that a checkpoint names: "BCOOPLST" ‖ count ‖ listings, ascending by name',
    encode: checkpoint.encodeCheckpointList,
    decode: checkpoint.decodeCheckpointList,
    samples: [
      [
        "two objects",
        [
          { ...listing, name: low },
          { ...listing, name: high },
        ],
      ],
    ],
    hostile: (bytes) => [
      ["another magic", changed(bytes, 7, [0])],
      ["names out of order", changed(bytes, 9, [3])],
      ["a name twice", changed(bytes, 9, [...high], 32)],
      ["2^53 - 1 listings announced", changed(bytes, 8, [255, 255, 255, 255, 255, 255, 255, 15], 1)],
    ],
  },
  {
    name: "body-checkpoint-secret",
    what: "kept content ‖ 0, or 1 ‖ salt 32 ‖ tables content ‖ fields; a content is size varint, and where that is not 0: level u8 ‖ id 32",
    encode: checkpoint.encodeCheckpointSecret,
    decode: checkpoint.decodeCheckpointSecret,
    samples: [
      [
        "one of each",
        { kept: { size: 9n, level: 0, id }, keptHint: low, tables: { size: 96n, level: 1, id: high }, fields: [] },
      ],
      ["nothing kept", { kept: undefined, keptHint: undefined, tables: undefined, fields: [] }],
    ],
    hostile: (bytes) => [
      ["level 13", changed(bytes, 1, [13])],
      ["a flag of 2", changed(bytes, 34, [2])],
    ],
  },
  {
    name: "body-revision",
    what: "see RevisionBody in src/format/revision.ts, in its order; hint and contents behind a flag or a size of 0",
    encode: revisions.encodeRevision,
    decode: revisions.decodeRevision,
    samples: [["complete, with a hint", revision]],
    hostile: (bytes) => [
      ["a name of 65 bytes", changed(bytes, 16, [65, ...Buffer.alloc(65, 0x61)], 5)],
      ["a name that is not UTF-8", changed(bytes, 17, [0xff])],
      ["complete is 2", changed(bytes, 36, [2])],
      ["a root with a name", changed(bytes, 37, [1, 0x61], 1)],
      ["a root that is a pipe", hex(revisions.encodeRevision({ ...revision, root: { ...pipe, name: root.name } }))],
    ],
  },
  {
    name: "body-forget",
    what: "undo u8 ‖ count ‖ ids 32 each ‖ fields",
    encode: revisions.encodeForget,
    decode: revisions.decodeForget,
    samples: [["one, undone", { revisions: [low], undo: true, fields: [] }]],
    hostile: (bytes) => [
      ["undo is 2", changed(bytes, 0, [2])],
      ["1,801 announced", changed(bytes, 1, [0x89, 14], 1)],
    ],
  },
  {
    name: "body-moved",
    what: "count ‖ old salts 32 each ‖ count ‖ new salts 32 each ‖ fields",
    encode: revisions.encodeMoved,
    decode: revisions.decodeMoved,
    samples: [["two to one", { from: [low, high], to: [id], fields: [] }]],
    hostile: (bytes) => [["901 announced", changed(bytes, 0, [0x85, 7], 1)]],
  },
  {
    name: "body-note",
    what: "revision 32 ‖ pinned u8 ‖ text blob ‖ fields",
    encode: revisions.encodeNote,
    decode: revisions.decodeNote,
    samples: [["pinned", { revision: low, pinned: true, text: "before the upgrade ☃", fields: [] }]],
    hostile: (bytes) => [
      ["pinned is 2", changed(bytes, 32, [2])],
      ["1,025 bytes of text announced", changed(bytes, 33, [0x81, 8], 1)],
    ],
  },
];

export function plainFileOf({ name, what, encode, samples, hostile, padded }: Plain): VectorFile {
  const first = encode((samples[0] as (typeof samples)[0])[1]);
  const common: ReturnType<Plain["hostile"]> = [
    ["the last byte is missing", hex(first.subarray(0, -1))],
    ["half is missing", hex(first.subarray(0, first.length >> 1))],
    ["nothing at all", ""],
    padded ? ["a byte 1 follows", `${hex(first)}01`] : ["a zero byte follows", `${hex(first)}00`],
  ];
  return {
    format: name,
    what,
    vectors: samples.map(([title, value]) => ({ what: title, input: plainly(value), bytes: hex(encode(value)) })),
    hostile: [...hostile(first), ...common].map(([why, bytes, code]) => ({ why, bytes, code: code ?? "format" })),
  };
}

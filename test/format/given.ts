/** Seeded randomness and samples of values, shared by the tests of the formats. */
import { createCipheriv, createHash } from "node:crypto";
import fc from "fast-check";
import { format } from "../../src/base/limits.js";
import type { Certificate } from "../../src/format/certificate.js";
import { type Entry, type EntryKind, entryFlags, entryKinds, isComponent } from "../../src/format/entry.js";
import type { Fields } from "../../src/format/fields.js";
import { type ChunkType, chunkTypes } from "../../src/format/keys.js";
import { isSegment, type Listing } from "../../src/format/listing.js";
import type { FrameRow, Table } from "../../src/format/table.js";

export const seed = Number(process.env.BCOOPFS_SEED || 1);
export const full = process.env.BCOOPFS_FULL === "1";

/** An endless stream of bytes that depends on the seed and a label only. */
export function randomOf(label: string, from: number | string = seed): (length: number) => Buffer {
  const key = createHash("sha256").update(`${from} ${label}`).digest();
  const stream = createCipheriv("aes-256-ctr", key, Buffer.alloc(16));
  return (length) => stream.update(Buffer.alloc(length));
}

/** Whole numbers 0 … below-1 from the same. */
export function numbersOf(label: string): (below: number) => number {
  const random = randomOf(label);
  return (below) => Math.floor((random(6).readUIntLE(0, 6) / 2 ** 48) * below);
}

/** Values of an arbitrary, the same ones for one seed. */
export function samplesOf<T>(arbitrary: fc.Arbitrary<T>, count: number): T[] {
  return fc.sample(arbitrary, { seed, numRuns: full ? count * 10 : count });
}

/** Plain objects, as decoders give them. */
export function record<T>(model: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

export function bytesArbitrary(minLength: number, maxLength = minLength): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ minLength, maxLength }).map((bytes) => Buffer.from(bytes));
}

export const idArbitrary = bytesArbitrary(32);
export const nameArbitrary = bytesArbitrary(1, 24).filter(isComponent);

const u32 = fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 1, 127, 128, 1000, 0xffff_ffff));

/** Odd numbers only: those that may be skipped. */
export const fieldsArbitrary: fc.Arbitrary<Fields> = fc
  .uniqueArray(fc.nat(0x7fff), { maxLength: 3 })
  .chain((halves) =>
    fc
      .array(bytesArbitrary(0, 12), { minLength: halves.length, maxLength: halves.length })
      .map((values) =>
        halves.sort((a, b) => a - b).map((half, i) => ({ number: half * 2 + 1, bytes: values[i] as Buffer })),
      ),
  );

export const u64 = fc.bigInt(0n, (1n << 64n) - 1n);
export const i64 = fc.bigInt(-(1n << 63n), (1n << 63n) - 1n);
export const countArbitrary = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
export const labelArbitrary = fc.string({ unit: "grapheme", maxLength: 8 });
export const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
export const idsArbitrary = fc.array(idArbitrary, { maxLength: 4 });

export const certificateArbitrary: fc.Arbitrary<Certificate> = record({
  vault: idArbitrary,
  device: idArbitrary,
  rights: fc.nat(0xffff_ffff),
  issued: i64,
  fields: fieldsArbitrary,
  signature: bytesArbitrary(64),
});

/** Any listing, also of kinds and importances that only newer versions know: objects of those have no bound of length. */
export const listingArbitrary: fc.Arbitrary<Listing> = fc.oneof(fc.constantFrom(1, 2, 3), fc.nat(255)).chain((kind) =>
  record({
    name: idArbitrary,
    length: isSegment(kind) ? fc.nat(format.segmentBytes) : countArbitrary,
    kind: fc.constant(kind),
    salt: idArbitrary,
    class: record({ copies: fc.nat(255), minimum: fc.nat(255), importance: fc.nat(255) }),
    adopted: fc.boolean(),
    fields: fieldsArbitrary,
  }),
);

const place = record({ level: fc.integer({ min: 0, max: format.levels }), id: idArbitrary });
const size = fc.oneof(fc.bigInt(1n, 1n << 20n), fc.bigInt(1n, (1n << 64n) - 1n), fc.constant((1n << 53n) + 1n));
export const contentArbitrary = fc.tuple(place, size).map(([where, bytes]) => ({ ...where, size: bytes }));

const xattrs = fc
  .uniqueArray(
    bytesArbitrary(1, 12).filter((name) => !name.includes(0)),
    {
      maxLength: 3,
      selector: (name) => name.toString("latin1"),
    },
  )
  .chain((names) =>
    fc.tuple(
      ...names.sort(Buffer.compare).map((name) =>
        record({
          name: fc.constant(name),
          value: fc.oneof(
            bytesArbitrary(0, 20),
            fc
              .tuple(place, fc.integer({ min: format.xattrInlineBytes + 1, max: format.xattrValueBytes }))
              .map(([where, bytes]) => ({ ...where, size: BigInt(bytes) })),
          ),
        }),
      ),
    ),
  );

const extreme = (1n << 63n) * 1_000_000_000n;
const mtime = fc.oneof(
  fc.bigInt(-extreme, extreme - 1n),
  fc.bigInt(0n, 1n << 62n),
  fc.constantFrom(0n, -1n, -1_000_000_000n, -extreme, extreme - 1n, 1n << 63n, -(1n << 63n) - 1n),
);

/** Any entry that a decoder accepts. @param root whether it is the root of a revision, which has no name */
export function entryArbitrary(root = false): fc.Arbitrary<Entry> {
  const kinds = root ? (["folder"] as const) : (Object.keys(entryKinds) as EntryKind[]);
  return record({
    name: root ? fc.constant(Buffer.alloc(0)) : nameArbitrary,
    kind: fc.constantFrom(...kinds),
    flags: fc.nat(7),
    mode: fc.nat(0o7777),
    uid: u32,
    gid: u32,
    mtimeNs: mtime,
    links: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 0xffff_ffff })),
    group: fc.bigInt(0n, (1n << 64n) - 1n),
    content: fc.option(contentArbitrary, { nil: undefined }),
    unread: fc.bigInt(0n, 1n << 60n),
    tree: fc.option(
      fc.tuple(place, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })).map(([at, n]) => ({ ...at, entries: n })),
      { nil: undefined },
    ),
    target: bytesArbitrary(0, 30),
    major: u32,
    minor: u32,
    errno: fc.nat(4095),
    xattrs,
    fields: fieldsArbitrary,
  }).map(({ unread, ...entry }): Entry => {
    const unreadable = (entry.flags & entryFlags.neverReadable) !== 0;
    const device = entry.kind === "char" || entry.kind === "block";
    const links = entry.kind === "folder" ? 1 : entry.links;
    const content = entry.kind === "file" && !unreadable ? entry.content : undefined;
    return {
      ...entry,
      links,
      group: links > 1 ? entry.group : 0n,
      size: entry.kind !== "file" ? 0n : unreadable ? unread : (content?.size ?? 0n),
      content,
      tree: entry.kind === "folder" ? entry.tree : undefined,
      target: entry.kind === "symlink" ? entry.target : undefined,
      major: device ? entry.major : 0,
      minor: device ? entry.minor : 0,
      errno: unreadable ? entry.errno : 0,
    };
  });
}

const chunkRow = record({
  type: fc.constantFrom(...(Object.keys(chunkTypes) as ChunkType[])),
  id: idArbitrary,
  length: fc.oneof(fc.nat(300), fc.nat(format.chunkBytes)),
});
const frameRow = record({
  boxBytes: fc.nat(format.sealedFrameBytes),
  chunks: fc.array(chunkRow, { minLength: 1, maxLength: 4 }),
})
  .map((row): FrameRow => ({ ...row, rawBytes: row.chunks.reduce((sum, chunk) => sum + chunk.length, 0) }))
  .filter((row) => row.rawBytes <= format.frameBytes);
export const tableArbitrary: fc.Arbitrary<Table> = record({
  frames: fc.array(frameRow, { maxLength: 3 }),
  fields: fieldsArbitrary,
});

/** The plainest file there is, to be varied. */
export function plainFile(name: string): Entry {
  return {
    name: Buffer.from(name),
    kind: "file",
    flags: 0,
    mode: 0o644,
    uid: 1000,
    gid: 1000,
    mtimeNs: 1_700_000_000_123_456_789n,
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
}

/** Every encoding of a point of small order: the eight canonical ones, then those that are not. */
export const smallOrderKeys = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
  "0100000000000000000000000000000000000000000000000000000000000080",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
].map((text) => Buffer.from(text, "hex"));

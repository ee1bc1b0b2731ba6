/** File contents into pieces: every hole where it was, nothing read twice, nothing invented when the file moves. */
import assert from "node:assert/strict";
import { closeSync, ftruncateSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { native } from "../../src/base/native.js";
import { ContentReader } from "../../src/capture/contents.js";
import { defaultClass } from "../../src/format/listing.js";
import type { ContentRef } from "../../src/format/entry.js";
import { Splitter, splitterKeys } from "../../src/format/split.js";
import type { Vault } from "../../src/vault/vault.js";
import { MetadataCache, type Piece, View } from "../../src/vault/view.js";
import { atEnd, folderFor, full, randomBytesOf, vaultAt } from "./given.js";

interface Given {
  readonly file: string;
  readonly vault: Vault;
  readonly reader: ContentReader;
  /** what was captured, committed and read back */
  back(content: ContentRef | undefined): Promise<{ bytes: Buffer; pieces: Piece[] }>;
  pieces(content: ContentRef | undefined): Promise<Piece[]>;
  capture(size?: bigint, meanwhile?: () => void): Promise<{ content: ContentRef | undefined; freshBytes: number }>;
}

async function given(t: TestContext): Promise<Given> {
  const folder = folderFor(t);
  const vault = await vaultAt(t, join(folder, "home"));
  const session = vault.store.session(defaultClass);
  atEnd(t, () => session.close());
  const keys = splitterKeys(vault.store.keyring.constants.splitterKey);
  const reader = new ContentReader(session, new Splitter(keys, vault.chunkAverage));
  const file = join(folder, "file");
  const view = new View({} as View["root"], new MetadataCache(vault.store.reader));
  const pieces = async (content: ContentRef | undefined): Promise<Piece[]> => {
    await session.commit(() => []);
    const all: Piece[] = [];
    if (content) for await (const piece of view.pieces(content)) all.push(piece);
    return all;
  };
  return {
    file,
    vault,
    reader,
    pieces,
    back: async (content) => ({
      pieces: await pieces(content),
      bytes: await view.read(content, 0n, Number(content?.size ?? 0n)),
    }),
    capture: async (size, meanwhile = () => {}) => {
      const fd = openSync(file, "r");
      try {
        const length = size ?? BigInt(readFileSync(`/proc/self/fd/${fd}`).length);
        return await reader.file(fd, length, async () => meanwhile());
      } finally {
        closeSync(fd);
      }
    },
  };
}

/** A file of this size that holds data at these places only. */
function sparse(path: string, size: number, data: readonly (readonly [at: number, bytes: Buffer])[]): void {
  const fd = openSync(path, "w");
  ftruncateSync(fd, size);
  for (const [at, bytes] of data) writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
}

const holes = (pieces: readonly Piece[]): string[] =>
  pieces.filter(({ id }) => id === undefined).map(({ offset, size }) => `${offset}+${size}`);

test("nothing, one byte, and sizes around every buffer's end", async (t) => {
  const { file, reader, back, capture } = await given(t);
  writeFileSync(file, "");
  assert.deepEqual(await capture(), { content: undefined, freshBytes: 0 });
  assert.equal(reader.bytes(Buffer.alloc(0)), undefined);
  const MiB = 1 << 20;
  const data = randomBytesOf(3 * MiB + 2);
  for (const size of [1, 8191, 8192, 8193, 131_071, 131_072, 131_073, MiB - 1, MiB, MiB + 1, 2 * MiB, 3 * MiB + 1]) {
    writeFileSync(file, data.subarray(0, size));
    const { content } = await capture();
    assert.ok((await back(content)).bytes.equals(data.subarray(0, size)), `${size} bytes`);
  }
});

test("bytes in memory and the same bytes in a file have one id; only the first are fresh", async (t) => {
  const { file, reader, capture } = await given(t);
  const data = randomBytesOf(700_000);
  writeFileSync(file, data);
  const first = await capture();
  assert.equal(first.freshBytes, data.length);
  const second = await capture();
  assert.equal(second.freshBytes, 0);
  assert.deepEqual(second.content, first.content);
  assert.deepEqual(reader.bytes(data), first.content);
});

test("holes at the head, in the middle, at the tail, and nothing but a hole", async (t) => {
  const { file, back, capture } = await given(t);
  const data = randomBytesOf(65_536);
  const MiB = 1 << 20;
  const cases: [string, number, [number, Buffer][], string[]][] = [
    ["head", MiB, [[MiB - 65_536, data]], [`0+${MiB - 65_536}`]],
    ["tail", MiB, [[0, data]], [`65536+${MiB - 65_536}`]],
    ["tail, not on a block's end", MiB + 5, [[0, data]], [`65536+${MiB + 5 - 65_536}`]],
    [
      "middle",
      MiB,
      [
        [0, data],
        [MiB - 65_536, data],
      ],
      [`65536+${MiB - 131_072}`],
    ],
    ["both ends", MiB, [[65_536, data]], ["0+65536", `131072+${MiB - 131_072}`]],
    ["all", 7 * MiB + 1, [], [`0+${7 * MiB + 1}`]],
  ];
  for (const [what, size, data_, expected] of cases) {
    sparse(file, size, data_);
    const { content, freshBytes } = await capture(BigInt(size));
    const { bytes, pieces } = await back(content);
    assert.deepEqual(holes(pieces), expected, what);
    assert.ok(bytes.equals(readFileSync(file)), what);
    assert.ok(freshBytes <= 65_536, what);
  }
});

test("a comb of data and holes, and zeros that are written are no holes", async (t) => {
  const { file, back, capture } = await given(t);
  const teeth = full ? 500 : 40;
  const tooth = randomBytesOf(4096);
  sparse(
    file,
    teeth * 131_072,
    Array.from({ length: teeth }, (_, i) => [i * 131_072, tooth] as const),
  );
  const comb = await back((await capture(BigInt(teeth * 131_072))).content);
  assert.equal(holes(comb.pieces).length, teeth);
  assert.ok(comb.bytes.equals(readFileSync(file)));
  writeFileSync(file, Buffer.alloc(1 << 20));
  const zeros = await back((await capture()).content);
  assert.deepEqual(holes(zeros.pieces), []);
});

test("a file of 1 TiB with 4 KiB in it takes no time and keeps its holes", async (t) => {
  const { file, pieces, capture } = await given(t);
  const size = 2 ** 40;
  sparse(file, size, [[2 ** 39, randomBytesOf(4096)]]);
  const begun = performance.now();
  const { content, freshBytes } = await capture(BigInt(size));
  assert.ok(performance.now() - begun < 5000);
  assert.equal(freshBytes, 4096);
  assert.deepEqual(
    (await pieces(content)).map(({ offset, size: length, id }) => [offset, length, id !== undefined]),
    [
      [0n, 2n ** 39n, false],
      [2n ** 39n, 4096n, true],
      [2n ** 39n + 4096n, 2n ** 39n - 4096n, false],
    ],
  );
  truncateSync(file, 0); // readFileSync of the clean-up of others must not meet it
});

test("a file that shrinks gives what was read, one that grows what was there", async (t) => {
  const { file, back, capture } = await given(t);
  const data = randomBytesOf(5 << 20);
  writeFileSync(file, data);
  let calls = 0;
  const shrunk = await capture(BigInt(data.length), () => {
    if (++calls === 1) truncateSync(file, 2 << 20);
  });
  const less = (await back(shrunk.content)).bytes;
  assert.ok(less.length < data.length && less.length >= 1 << 20);
  assert.ok(less.equals(data.subarray(0, less.length)));
  writeFileSync(file, data.subarray(0, 1 << 20));
  calls = 0;
  const grown = await capture(1n << 20n, () => {
    if (++calls === 1) writeFileSync(file, data);
  });
  assert.ok((await back(grown.content)).bytes.equals(data.subarray(0, 1 << 20)));
  // It is empty by the time it is read.
  writeFileSync(file, "");
  assert.equal((await back((await capture(100n)).content)).bytes.length, 0);
});

test("a read that fails is thrown as the system says it, and a stop stops within a few MiB", async (t) => {
  const { file, reader, capture } = await given(t);
  const addon = native();
  const { pread } = addon;
  writeFileSync(file, randomBytesOf(3 << 20));
  addon.pread = () => {
    throw Object.assign(new Error("EIO"), { code: "EIO", errno: 5 });
  };
  try {
    await assert.rejects(capture(), { code: "EIO" });
  } finally {
    addon.pread = pread;
  }
  const fd = openSync(file, "r");
  await assert.rejects(
    reader.file(fd, 3n << 20n, async () => {
      throw new Error("stop");
    }),
    /stop/,
  );
  closeSync(fd);
});

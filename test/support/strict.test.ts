/** The checks of plain decoders notice what they are for: one sloppy decoder for each rule. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Reader, Writer } from "../../src/base/bytes.js";
import { Problem } from "../../src/base/errors.js";
import { checkPlain, checkSealed, type PlainFormat } from "./strict.js";

const sound: PlainFormat<number[]> = {
  encode: (values) => {
    const to = new Writer().varint(values.length);
    for (const value of values) to.varint(value);
    return to.finish();
  },
  decode: (bytes) => {
    const from = new Reader(bytes, "list");
    const values = Array.from({ length: from.count(2 ** 40, 1) }, () => from.varint());
    from.end();
    return values;
  },
  samples: [[], [1], [5, 300, 70_000, 2 ** 52]],
};

test("a sound decoder passes", () => checkPlain("list", sound));

const sloppy: readonly [why: string, message: RegExp, decode: (bytes: Uint8Array) => number[]][] = [
  [
    "keeps what stands behind the end",
    /accepted with a byte 0 behind the end/,
    (bytes) => {
      const from = new Reader(bytes, "list");
      return Array.from({ length: from.count(2 ** 40, 1) }, () => from.varint());
    },
  ],
  [
    "fills up what is cut off",
    /accepted with cut at byte 0/,
    (bytes) => {
      const from = new Reader(bytes, "list");
      if (from.left === 0) return [];
      const values = Array.from({ length: from.varint(100) }, () => (from.left > 0 ? from.varint() : 0));
      from.end();
      return values;
    },
  ],
  [
    "takes integers in any form",
    /not in its shortest form/,
    (bytes) => {
      let at = 0;
      const varint = (): number => {
        for (let value = 0, scale = 1; ; scale *= 128) {
          const byte = bytes[at++];
          if (byte === undefined || scale > 2 ** 49) throw new Problem("format", "cut");
          value += (byte & 127) * scale;
          if (byte < 128) return value;
        }
      };
      const count = varint();
      if (count > bytes.length) throw new Problem("format", "count");
      const values = Array.from({ length: count }, varint);
      if (at !== bytes.length) throw new Problem("format", "left over");
      return values;
    },
  ],
  [
    "allocates what a count announces",
    /bytes taken/,
    (bytes) => {
      const count = new Reader(bytes, "list").varint();
      const values = new Array<number>(Math.min(count, 2 ** 20)).fill(0);
      return values.length > bytes.length ? (sound.decode(Buffer.alloc(0)) ?? values) : sound.decode(bytes);
    },
  ],
  [
    "throws what is no Problem",
    /expected a Problem/,
    (bytes) => {
      if (bytes.length === 0) throw new RangeError("empty");
      return sound.decode(bytes);
    },
  ],
];

for (const [why, message, decode] of sloppy)
  test(`noticed: a decoder that ${why}`, () => assert.throws(() => checkPlain("list", { ...sound, decode }), message));

test("noticed: a decoder that gives views instead of copies", () =>
  assert.throws(
    () =>
      checkPlain<Uint8Array>("bytes", {
        encode: (value) => value,
        decode: (bytes) => bytes,
        samples: [Buffer.from("ab")],
      }),
    /does not outlive/,
  ));

test("noticed: a seal that does not cover the last byte", () => {
  const open = (bytes: Buffer): void => {
    if (bytes.length !== 3 || bytes[0] !== 1 || bytes[1] !== 2) throw new Problem("damaged", "no");
  };
  assert.throws(() => checkSealed("box", Buffer.from([1, 2, 3]), open), assert.AssertionError);
  checkSealed("box", Buffer.from([1, 2]), (bytes) => {
    if (bytes.length !== 2 || bytes[0] !== 1 || bytes[1] !== 2) throw new Problem("damaged", "no");
  });
});

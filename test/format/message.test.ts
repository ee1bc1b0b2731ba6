/** The messages of a link: read strictly, whatever a peer sends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Writer } from "../../src/base/bytes.js";
import { Problem } from "../../src/base/errors.js";
import { format, wire } from "../../src/base/limits.js";
import type { Fields } from "../../src/format/fields.js";
import {
  type DoorMessage,
  decodeDoor,
  decodeKnock,
  decodeRoom,
  encodeDoor,
  encodeKnock,
  encodeRoom,
  type Head,
  type Knock,
  type RoomMessage,
} from "../../src/format/message.js";
import type { Unknown } from "../../src/format/message-form.js";
import { checkPlain } from "../support/strict.js";
import {
  bytesArbitrary,
  certificateArbitrary,
  countArbitrary,
  fieldsArbitrary,
  i64,
  idArbitrary,
  idsArbitrary,
  labelArbitrary,
  randomOf,
  record,
  samplesOf,
  u64,
} from "./given.js";

const random = randomOf("message");
const signature = bytesArbitrary(64);
const request = fc.nat(0xffff_ffff);
const byte = fc.nat(255);

/** Messages of one type; fields only where there are some. */
function of<T extends string, P extends object>(type: T, parts: { [Key in keyof P]: fc.Arbitrary<P[Key]> }) {
  return fc.tuple(record<P>(parts), fieldsArbitrary).map(([given, fields]): { type: T; fields?: Fields } & P => ({
    type,
    ...given,
    ...(fields.length > 0 ? { fields } : {}),
  }));
}

/** Messages that have nothing but their type. */
function bare<T extends string>(type: T): fc.Arbitrary<{ type: T; fields?: Fields }> {
  return of<T, object>(type, {});
}

const headArbitrary: fc.Arbitrary<Head> = record({
  scope: idArbitrary,
  log: idArbitrary,
  device: idArbitrary,
  seq: u64,
  id: idArbitrary,
  frozen: fc.boolean(),
});
const heads = fc.array(headArbitrary, { maxLength: 3 });
const records = fc.array(bytesArbitrary(0, 40), { maxLength: 4 });

const doors: readonly fc.Arbitrary<DoorMessage>[] = [
  fc
    .tuple(
      of("identity", { device: idArbitrary, proof: signature, keeps: fc.boolean() }),
      fc.option(fc.tuple(certificateArbitrary, idArbitrary), { nil: [undefined, undefined] as const }),
    )
    .map(([message, [certificate, rootPublic]]) => ({ ...message, certificate, rootPublic })),
  of("coopHeads", { heads }),
  of("coopRecords", { log: idArbitrary, records }),
  bare("coopDone"),
  of("redeem", {
    redeem: record({
      token: idArbitrary,
      expires: i64,
      role: fc.constantFrom(1, 2),
      admin: idArbitrary,
      signature,
      label: labelArbitrary,
      proof: signature,
      fields: fieldsArbitrary,
    }),
  }),
  bare("admit"),
  of("refuse", { reason: byte }),
];

const rooms: readonly fc.Arbitrary<RoomMessage>[] = [
  of("heads", { heads, more: fc.boolean() }),
  of("askRecords", { log: idArbitrary, from: u64 }),
  of("records", { log: idArbitrary, records }),
  of("fork", { log: idArbitrary, record: bytesArbitrary(0, 60) }),
  of("parts", {
    parts: fc.array(record({ vault: idArbitrary, device: idArbitrary, version: u64 }), { maxLength: 3 }),
  }),
  of("askPart", { vault: idArbitrary, device: idArbitrary }),
  of("part", { vault: idArbitrary, device: idArbitrary, bytes: bytesArbitrary(0, 60) }),
  of("askLeaves", {
    request,
    name: idArbitrary,
    length: countArbitrary,
    first: countArbitrary,
    count: fc.integer({ min: 1, max: 4 }),
  }),
  of("leaves", { request, first: countArbitrary, proof: idsArbitrary, bytes: bytesArbitrary(0, 100) }),
  of("noLeaves", { request, reason: byte }),
  of("askHeld", { request, names: idsArbitrary }),
  of("held", { request, bits: bytesArbitrary(0, 20) }),
  of("receipt", { bytes: bytesArbitrary(0, 90) }),
  bare("bye"),
  of("askReceipts", { log: idArbitrary }),
];

const knocks: fc.Arbitrary<Knock> = fc
  .tuple(
    record({
      low: fc.nat(300),
      epochId: bytesArbitrary(16),
      capability: idArbitrary,
      slot: fc.option(record({ publicKey: idArbitrary, proof: signature }), { nil: undefined }),
      fields: fieldsArbitrary,
    }),
    fc.nat(300),
  )
  .map(([knock, more]) => ({
    ...knock,
    high: knock.low + more,
    purpose: knock.slot === undefined ? "member" : "recover",
  }));

/** What is skipped is not compared with its bytes. */
function known<M>(decode: (bytes: Uint8Array) => M | Unknown): (bytes: Uint8Array) => M {
  return (bytes) => {
    const message = decode(bytes);
    if ((message as Unknown).type === "unknown") throw new Problem("unsupported", "skipped");
    return message as M;
  };
}

test("a knock is read strictly", () => {
  checkPlain("knock", { encode: encodeKnock, decode: decodeKnock, samples: samplesOf(knocks, 8) });
});

for (const messages of doors)
  test(`door: ${samplesOf(messages, 1)[0]?.type} is read strictly`, () => {
    checkPlain("door", { encode: encodeDoor, decode: known(decodeDoor), samples: samplesOf(messages, 4) });
  });

for (const messages of rooms)
  test(`room: ${samplesOf(messages, 1)[0]?.type} is read strictly`, () => {
    checkPlain("room", { encode: encodeRoom, decode: known(decodeRoom), samples: samplesOf(messages, 4) });
  });

test("random bytes give a message or a Problem, and nothing else", () => {
  const decoders = [decodeKnock, decodeDoor, decodeRoom];
  for (let round = 0; round < 20_000; round++) {
    const bytes = random(round % 90);
    if (bytes.length > 0 && round % 3 !== 0) bytes[0] = 2 * (round % 15);
    for (const decode of decoders)
      try {
        decode(bytes);
      } catch (error) {
        assert.ok(error instanceof Problem, `${error}: ${bytes.toString("hex")}`);
      }
  }
});

test("types of odd numbers that are not known are skipped, of even ones refused", () => {
  const [doorTypes, roomTypes] = [7, 15];
  for (const [decode, most] of [
    [decodeDoor, doorTypes * 2],
    [decodeRoom, roomTypes * 2],
  ] as const)
    for (let number = 0; number < 256; number++) {
      const bytes = Buffer.from([number, 255]);
      if (number % 2 === 1) assert.deepEqual(decode(bytes), { type: "unknown" });
      else if (number === 0 || number > most) assert.throws(() => decode(bytes), { code: "unsupported" });
      else assert.throws(() => decode(bytes), { code: "format" });
    }
});

test("fields: odd ones are kept, even ones refuse the message", () => {
  const fields = [{ number: 3, bytes: Buffer.from("x") }];
  assert.deepEqual(decodeRoom(encodeRoom({ type: "bye", fields })), { type: "bye", fields });
  assert.deepEqual(decodeRoom(encodeRoom({ type: "bye" })), { type: "bye" });
  assert.deepEqual(decodeRoom(encodeRoom({ type: "bye", fields: [] })), { type: "bye" });
  const even = [{ number: 2, bytes: Buffer.from("x") }];
  assert.throws(() => decodeRoom(encodeRoom({ type: "bye", fields: even })), { code: "unsupported" });
  assert.throws(() => decodeDoor(encodeDoor({ type: "admit", fields: even })), { code: "unsupported" });
});

const id = random(32);
const many = (count: number): Buffer[] => Array.from({ length: count }, () => id);
const head: Head = { scope: id, log: id, device: id, seq: 1n, id, frozen: false };
const knock: Knock = {
  low: 1,
  high: 2,
  purpose: "member",
  epochId: id.subarray(16),
  capability: id,
  slot: undefined,
  fields: [],
};

test("the largest of each comes back, and one more is neither written nor read", () => {
  const rooms: readonly [largest: RoomMessage, larger: RoomMessage][] = [
    [
      { type: "heads", heads: Array(wire.headsPerMessage).fill(head), more: true },
      { type: "heads", heads: Array(wire.headsPerMessage + 1).fill(head), more: true },
    ],
    [
      { type: "records", log: id, records: Array(4).fill(Buffer.alloc(format.recordBytes, 1)) },
      { type: "records", log: id, records: [...Array(4).fill(Buffer.alloc(format.recordBytes, 1)), Buffer.alloc(1)] },
    ],
    [
      { type: "records", log: id, records: Array(wire.recordsPerMessage).fill(Buffer.alloc(256)) },
      { type: "records", log: id, records: Array(wire.recordsPerMessage + 1).fill(Buffer.alloc(1)) },
    ],
    [
      { type: "fork", log: id, record: Buffer.alloc(format.recordBytes, 1) },
      { type: "fork", log: id, record: Buffer.alloc(format.recordBytes + 1, 1) },
    ],
    [
      { type: "part", vault: id, device: id, bytes: Buffer.alloc(wire.partBytes, 1) },
      { type: "part", vault: id, device: id, bytes: Buffer.alloc(wire.partBytes + 1, 1) },
    ],
    [
      { type: "leaves", request: 1, first: 0, proof: many(wire.proofValues), bytes: Buffer.alloc(4 * 65_536, 1) },
      { type: "leaves", request: 1, first: 0, proof: many(wire.proofValues + 1), bytes: Buffer.alloc(1) },
    ],
    [
      { type: "leaves", request: 1, first: 0, proof: [], bytes: Buffer.alloc(0) },
      { type: "leaves", request: 1, first: 0, proof: [], bytes: Buffer.alloc(4 * 65_536 + 1, 1) },
    ],
    [
      { type: "askHeld", request: 1, names: many(wire.names) },
      { type: "askHeld", request: 1, names: many(wire.names + 1) },
    ],
    [
      { type: "held", request: 1, bits: Buffer.alloc(wire.names / 8, 1) },
      { type: "held", request: 1, bits: Buffer.alloc(wire.names / 8 + 1, 1) },
    ],
    [
      { type: "receipt", bytes: Buffer.alloc(wire.receiptBytes, 1) },
      { type: "receipt", bytes: Buffer.alloc(wire.receiptBytes + 1, 1) },
    ],
    [
      { type: "parts", parts: Array(wire.partsPerMessage).fill({ vault: id, device: id, version: 1n }) },
      { type: "parts", parts: Array(wire.partsPerMessage + 1).fill({ vault: id, device: id, version: 1n }) },
    ],
    [
      { type: "askLeaves", request: 1, name: id, length: 2 ** 40, first: 9, count: wire.leavesPerRequest },
      { type: "askLeaves", request: 1, name: id, length: 2 ** 40, first: 9, count: wire.leavesPerRequest + 1 },
    ],
    [
      { type: "askLeaves", request: 1, name: id, length: 0, first: 0, count: 1 },
      { type: "askLeaves", request: 1, name: id, length: 0, first: 0, count: 0 },
    ],
  ];
  for (const [largest, larger] of rooms) {
    const bytes = encodeRoom(largest);
    assert.ok(bytes.length <= wire.messageBytes);
    assert.deepEqual(decodeRoom(bytes), largest);
    assert.throws(() => encodeRoom(larger), RangeError, largest.type);
  }
});

test("counts and lengths beyond their bounds are refused, though all that they announce is there", () => {
  const row = (type: number, before: Buffer, count: number, item: Buffer): Buffer => {
    const to = new Writer(64).u8(type).raw(before).varint(count);
    for (let i = 0; i < count; i++) to.raw(item);
    return to.varint(0).finish();
  };
  const none = Buffer.alloc(0);
  const blob = (length: number): Buffer => new Writer().blob(Buffer.alloc(length, 1)).finish();
  const hostile: readonly [why: string, bytes: Buffer][] = [
    ["513 heads", row(2, none, 513, Buffer.alloc(137))],
    ["1,025 records", row(6, id, 1025, blob(1))],
    ["a record of 64 KiB and a byte", row(6, id, 1, blob(format.recordBytes + 1))],
    ["256 KiB and 4 bytes of records", row(6, id, 260, blob(1009))],
    ["513 parts", row(10, none, 513, Buffer.alloc(72))],
    ["1,025 names", row(22, Buffer.from([1]), 1025, id)],
    ["five leaves", Buffer.concat([Buffer.from([16, 1]), id, Buffer.from([10, 0, 5, 0])])],
    ["no leaves", Buffer.concat([Buffer.from([16, 1]), id, Buffer.from([10, 0, 0, 0])])],
    ["a message too long", Buffer.concat([Buffer.from([28, 0]), Buffer.alloc(wire.messageBytes - 1)])],
    ["one of an unknown type too long", Buffer.alloc(wire.messageBytes + 1, 99)],
  ];
  assert.ok(260 * 1009 > wire.recordBytesPerMessage);
  for (const [why, bytes] of hostile) assert.throws(() => decodeRoom(bytes), { code: "format" }, why);
});

test("a knock: bounds, versions, and a slot key where one belongs", () => {
  const slot = { publicKey: id, proof: Buffer.concat([id, id]) };
  assert.deepEqual(decodeKnock(encodeKnock({ ...knock, purpose: "recover", slot })), {
    ...knock,
    purpose: "recover",
    slot,
  });
  assert.throws(() => encodeKnock({ ...knock, slot }), RangeError);
  assert.throws(() => encodeKnock({ ...knock, purpose: "recover" }), RangeError);
  const room = wire.knockBytes - encodeKnock(knock).length - 3;
  const fields = [{ number: 1, bytes: Buffer.alloc(room) }];
  assert.equal(encodeKnock({ ...knock, fields }).length, wire.knockBytes);
  assert.throws(() => encodeKnock({ ...knock, fields: [{ number: 1, bytes: Buffer.alloc(room + 1) }] }), RangeError);
  assert.throws(() => decodeKnock(Buffer.alloc(wire.knockBytes + 1)), { code: "format" });
  const bytes = encodeKnock(knock);
  for (const [at, by] of [
    [0, 3], // from 3 to 2
    [2, 0],
    [2, 3],
    [2, 2], // recovers, without a slot key
    [bytes.length - 2, 2],
  ] as const) {
    const altered = Buffer.from(bytes);
    altered[at] = by;
    assert.throws(() => decodeKnock(altered), { code: "format" }, `${by} at ${at}`);
  }
});

test("an identity has a certificate with its root key, or neither", () => {
  const identity = { type: "identity", device: id, proof: Buffer.alloc(64), keeps: true } as const;
  assert.throws(() => encodeDoor({ ...identity, certificate: undefined, rootPublic: id }), RangeError);
});

/** Receipts: what a holder says it holds, signed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { wire } from "../../src/base/limits.js";
import { checkReceipt, decodeReceipt, encodeReceipt, type Receipt, signReceipt } from "../../src/format/receipt.js";
import { sign, signingKeyOf } from "../../src/format/sign.js";
import { checkPlain, checkSealed } from "../support/strict.js";
import {
  bytesArbitrary,
  fieldsArbitrary,
  full,
  i64,
  idArbitrary,
  idsArbitrary,
  randomOf,
  record,
  samplesOf,
  smallOrderKeys,
  u64,
} from "./given.js";

const random = randomOf("receipt");
const holder = signingKeyOf(random(32));
const body = {
  vault: random(32),
  log: random(32),
  seq: 7n,
  id: random(32),
  time: 1_700_000_000_000_000_000n,
  all: true,
  names: [random(32), random(32)],
  fields: [{ number: 5, bytes: Buffer.from("site") }],
};
const receipt = signReceipt(holder, body);
const receipts: fc.Arbitrary<Receipt> = record({
  holder: idArbitrary,
  vault: idArbitrary,
  log: idArbitrary,
  seq: u64,
  id: idArbitrary,
  time: i64,
  all: fc.boolean(),
  names: idsArbitrary,
  fields: fieldsArbitrary,
  signature: bytesArbitrary(64),
});

test("a receipt is read strictly, and every altered bit refused", () => {
  checkPlain("receipt", { encode: encodeReceipt, decode: decodeReceipt, samples: samplesOf(receipts, 8) });
  checkSealed("receipt", encodeReceipt(receipt), (bytes) => checkReceipt(decodeReceipt(bytes)), full ? 8 : 1);
});

test("it is the holder's, and says what the holder said", () => {
  checkReceipt(receipt);
  assert.deepEqual(receipt.holder, holder.publicKey);
  const other = signingKeyOf(random(32));
  const wrong: readonly Partial<Receipt>[] = [
    { holder: other.publicKey },
    { vault: random(32) },
    { log: random(32) },
    { seq: 8n },
    { id: random(32) },
    { time: body.time + 1n },
    { all: false },
    { names: [...body.names].reverse() },
    { names: body.names.slice(1) },
    { fields: [] },
    { signature: sign(holder, "record", encodeReceipt(receipt).subarray(0, -64)) },
    ...smallOrderKeys.map((key) => ({ holder: key })),
  ];
  for (const change of wrong) assert.throws(() => checkReceipt({ ...receipt, ...change }), { code: "format" });
});

test("as many names as fit, and no more", () => {
  const names = Array.from({ length: wire.names }, () => random(32));
  const most = signReceipt(holder, { ...body, names });
  assert.deepEqual(decodeReceipt(encodeReceipt(most)), most);
  assert.throws(() => signReceipt(holder, { ...body, names: [...names, random(32)] }), RangeError);
  const fields = Array.from({ length: 32 }, (_, i) => ({ number: i * 2 + 1, bytes: Buffer.alloc(4096) }));
  assert.throws(() => encodeReceipt(signReceipt(holder, { ...body, fields })), RangeError);
  assert.throws(() => decodeReceipt(Buffer.alloc(wire.receiptBytes + 1)), { code: "format" });
});

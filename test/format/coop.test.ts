/** The records of a coop, the boxes that carry its key, and who a chain's author is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { format } from "../../src/base/limits.js";
import { decodeAuthor } from "../../src/format/author.js";
import { certify, rights } from "../../src/format/certificate.js";
import {
  coopEpochId,
  coopTopic,
  decodeEpoch,
  decodeFound,
  decodeMember,
  decodeRemove,
  encodeEpoch,
  encodeFound,
  encodeMember,
  encodeRemove,
  type EpochBody,
  type FoundBody,
  type MemberBody,
  openEpochBox,
  type RemoveBody,
  sealEpoch,
} from "../../src/format/coop.js";
import { encodeGenesis } from "../../src/format/genesis.js";
import { newEpoch, vaultIdOf } from "../../src/format/keys.js";
import { checkRecord, decodeRecord, follows, recordTypes, sealRecord, signRecord } from "../../src/format/record.js";
import { signingKeyOf } from "../../src/format/sign.js";
import { checkPlain, checkSealed } from "../support/strict.js";
import {
  bytesArbitrary,
  certificateArbitrary,
  fieldsArbitrary,
  full,
  idArbitrary,
  labelArbitrary,
  maybe,
  randomOf,
  record,
  samplesOf,
  smallOrderKeys,
  u64,
} from "./given.js";

const random = randomOf("coop");
const root = signingKeyOf(random(32));
const device = signingKeyOf(random(32));
const stranger = signingKeyOf(random(32));
const certificate = certify(root, device.publicKey, rights.write | rights.administer, 1n);
const found: FoundBody = {
  device: device.publicKey,
  certificate,
  rootPublic: root.publicKey,
  random: random(16),
  name: "attic",
  epochId: random(16),
  fields: [],
};

const standings = fc.oneof(
  fc.constant({ certificate: undefined, rootPublic: undefined }),
  record({ certificate: certificateArbitrary, rootPublic: idArbitrary }),
);
const founds: fc.Arbitrary<FoundBody> = fc
  .tuple(
    record({
      device: idArbitrary,
      random: bytesArbitrary(16),
      name: labelArbitrary,
      epochId: bytesArbitrary(16),
      fields: fieldsArbitrary,
    }),
    standings,
  )
  .map(([body, standing]) => ({ ...body, ...standing }));
const members: fc.Arbitrary<MemberBody> = record({
  serial: u64,
  device: idArbitrary,
  vault: maybe(idArbitrary),
  role: fc.constantFrom(1, 2),
  label: labelArbitrary,
  quota: u64,
  token: maybe(idArbitrary),
  fields: fieldsArbitrary,
});
const removes: fc.Arbitrary<RemoveBody> = record({
  serial: u64,
  device: idArbitrary,
  chains: fc.array(record({ log: idArbitrary, seq: u64 }), { maxLength: 3 }),
  fields: fieldsArbitrary,
});
const epochs: fc.Arbitrary<EpochBody> = record({
  serial: u64,
  number: fc.nat(0xffff_ffff),
  id: bytesArbitrary(16),
  ephemeral: idArbitrary,
  boxes: fc
    .uniqueArray(record({ device: idArbitrary, box: bytesArbitrary(72) }), {
      maxLength: 3,
      selector: ({ device: each }) => each.toString("hex"),
    })
    .map((boxes) => boxes.sort((a, b) => Buffer.compare(a.device, b.device))),
  fields: fieldsArbitrary,
});

test("as bytes they are read strictly", () => {
  checkPlain("found", { encode: encodeFound, decode: decodeFound, samples: samplesOf(founds, 6) });
  checkPlain("member", { encode: encodeMember, decode: decodeMember, samples: samplesOf(members, 6) });
  checkPlain("remove", { encode: encodeRemove, decode: decodeRemove, samples: samplesOf(removes, 6) });
  checkPlain("epoch", { encode: encodeEpoch, decode: decodeEpoch, samples: samplesOf(epochs, 6) });
});

test("what cannot be read is not written", () => {
  const long = "x".repeat(format.labelBytes + 1);
  assert.throws(() => encodeFound({ ...found, name: long }), RangeError);
  assert.throws(() => encodeFound({ ...found, rootPublic: undefined }), RangeError);
  assert.throws(() => encodeFound({ ...found, certificate: undefined }), RangeError);
  assert.equal(decodeFound(encodeFound({ ...found, name: long.slice(1) })).name.length, format.labelBytes);
  const boxes = Array.from({ length: format.coopBoxes + 1 }, (_, i) => {
    const key = Buffer.alloc(32);
    key.writeUInt32BE(i);
    return { device: key, box: Buffer.alloc(72) };
  });
  const body: EpochBody = { serial: 1n, number: 1, id: random(16), ephemeral: random(32), boxes, fields: [] };
  assert.throws(() => encodeEpoch(body), RangeError);
  const most = { ...body, boxes: boxes.slice(1) };
  assert.deepEqual(decodeEpoch(encodeEpoch(most)), most);
  const draft = {
    type: recordTypes.epoch,
    vault: random(32),
    log: random(32),
    seq: 1n,
    previous: random(32),
    time: 1n,
  };
  signRecord({ ...draft, clear: encodeEpoch(most) }, device);
});

test("the key of a coop has an id and a topic, from which nothing follows for another key", () => {
  const key = random(32);
  assert.equal(coopEpochId(key).length, 16);
  assert.equal(coopTopic(key).length, 32);
  assert.ok(!coopTopic(key).includes(coopEpochId(key)));
  assert.notDeepEqual(coopEpochId(random(32)), coopEpochId(key));
});

test("each device opens its own box, and nobody another's", () => {
  const key = random(32);
  const devices = Array.from({ length: 5 }, () => signingKeyOf(random(32)));
  const keys = devices.map(({ publicKey }) => publicKey);
  const sealed = sealEpoch(key, [...keys, keys[0] as Buffer], random);
  const body: EpochBody = { serial: 1n, number: 2, id: coopEpochId(key), ...sealed, fields: [] };
  assert.equal(body.boxes.length, 5, "one box for a device that is named twice");
  assert.deepEqual(decodeEpoch(encodeEpoch(body)), body, "the boxes stand in order");
  for (const each of devices) assert.deepEqual(openEpochBox(body, each), key);
  assert.equal(openEpochBox(body, stranger), undefined);
  // Boxes exchanged between devices do not open.
  const [first, second] = body.boxes as [EpochBody["boxes"][0], EpochBody["boxes"][0]];
  const exchanged = { ...body, boxes: [{ device: first.device, box: second.box }] };
  const owner = devices.find(({ publicKey }) => publicKey.equals(first.device));
  assert.ok(owner !== undefined);
  assert.equal(openEpochBox(exchanged, owner), undefined);
  assert.equal(sealEpoch(key, [], random).boxes.length, 0);
});

test("every altered bit of what a box rests on leaves it shut", () => {
  const key = random(32);
  const { ephemeral, boxes } = sealEpoch(key, [device.publicKey], random);
  const box = boxes[0]?.box as Buffer;
  const bytes = Buffer.concat([coopEpochId(key), ephemeral, box]);
  for (let at = 0; at < bytes.length; at++) {
    // X25519 ignores the highest bit of a public key; that it stands in the derivation makes the difference.
    for (const bit of full ? [0, 1, 2, 3, 4, 5, 6, 7] : [at % 8, 7]) {
      const altered = Buffer.from(bytes);
      altered[at] = (altered[at] as number) ^ (1 << bit);
      const [id, given, sealed] = [altered.subarray(0, 16), altered.subarray(16, 48), altered.subarray(48)];
      const body = { serial: 1n, number: 1, id, ephemeral: given, boxes: [{ device: device.publicKey, box: sealed }] };
      assert.equal(openEpochBox({ ...body, fields: [] }, device), undefined, `bit ${bit} of byte ${at}`);
    }
  }
});

test("a key that is not the one it is said to be is not taken", () => {
  const { ephemeral, boxes } = sealEpoch(random(32), [device.publicKey], random);
  const other = coopEpochId(random(32));
  assert.equal(openEpochBox({ serial: 1n, number: 1, id: other, ephemeral, boxes, fields: [] }, device), undefined);
});

test("keys of small order get no box and open none", () => {
  const key = random(32);
  const { boxes } = sealEpoch(key, [...smallOrderKeys, Buffer.alloc(32, 255), device.publicKey], random);
  assert.deepEqual(
    boxes.map((each) => each.device),
    [device.publicKey],
  );
  for (const ephemeral of [Buffer.alloc(32), Buffer.concat([Buffer.from([1]), Buffer.alloc(31)])]) {
    const body = { serial: 1n, number: 1, id: coopEpochId(key), ephemeral, boxes, fields: [] };
    assert.equal(openEpochBox(body, device), undefined);
  }
});

const first = { type: recordTypes.found, log: undefined, seq: 0n, previous: undefined, time: 5n };
const clear = encodeFound(found);

test("the first chain founds the coop, whose id is that of its first record; others name it", () => {
  const founding = signRecord({ ...first, vault: undefined, clear }, device);
  assert.deepEqual([founding.vault, founding.log], [founding.id, founding.id]);
  assert.deepEqual(decodeRecord(founding.bytes), founding);
  const draft = { type: recordTypes.member, vault: founding.id, log: founding.id, previous: founding.id };
  const next = signRecord({ ...draft, seq: 1n, time: 6n, clear: random(9) }, device);
  assert.ok(follows(founding, next));
  const second = signRecord({ ...first, vault: founding.id, clear }, device);
  assert.deepEqual(second.vault, founding.id);
  assert.deepEqual(second.log, second.id);
  assert.notDeepEqual(second.id, founding.id);
  // A chain that begins in another coop is not continued in this one.
  assert.ok(!follows(signRecord({ ...first, vault: random(32), clear }, device), next));
  for (const { bytes } of [founding, next, second])
    checkSealed("coop record", bytes, (altered) => checkRecord(decodeRecord(altered), device.publicKey), full ? 8 : 1);
});

test("what founds a coop stands first, only first, and is clear", () => {
  const refused = (change: object): void =>
    assert.throws(() => signRecord({ ...first, vault: undefined, clear, ...change }, device), { code: "format" });
  refused({ seq: 1n });
  refused({ log: random(32) });
  refused({ previous: random(32) });
  refused({ type: recordTypes.member });
  const secret = Buffer.from("secret");
  assert.throws(() => sealRecord({ ...first, vault: undefined, clear, secret }, newEpoch(random, 1), device, random), {
    code: "format",
  });
});

const authorOf = (body: FoundBody, by = device) =>
  decodeAuthor(signRecord({ ...first, vault: undefined, clear: encodeFound(body) }, by));

test("the author of a chain, with and without a vault, and of a log", () => {
  assert.deepEqual(authorOf(found), { device: device.publicKey, certificate, rootPublic: root.publicKey });
  const none = { certificate: undefined, rootPublic: undefined };
  assert.deepEqual(authorOf({ ...found, ...none }), { device: device.publicKey, ...none });
  const genesis = { certificate, rootPublic: root.publicKey, random: random(16), predecessor: undefined, fields: [] };
  const log = { ...first, type: recordTypes.genesis, clear: encodeGenesis(genesis) };
  const author = decodeAuthor(signRecord({ ...log, vault: certificate.vault }, device));
  assert.deepEqual(author, { device: device.publicKey, certificate, rootPublic: root.publicKey });
  const elsewhere = signRecord({ ...log, vault: vaultIdOf(stranger.publicKey) }, device);
  assert.throws(() => decodeAuthor(elsewhere), { code: "format" }, "a certificate of another vault than the log");
});

test("an author that its certificate does not name is refused", () => {
  const cases: readonly [why: string, body: FoundBody][] = [
    ["another device", { ...found, device: stranger.publicKey }],
    ["another root key", { ...found, rootPublic: stranger.publicKey }],
    ["rights that were not signed", { ...found, certificate: { ...certificate, rights: 7 } }],
    ["certified by another", { ...found, certificate: certify(stranger, device.publicKey, 3, 1n) }],
    ...smallOrderKeys.map((each): [string, FoundBody] => [
      "a key of small order",
      { ...found, device: each, certificate: undefined, rootPublic: undefined },
    ]),
  ];
  for (const [why, body] of cases) assert.throws(() => authorOf(body), { code: "format" }, why);
  const member = signRecord(
    { type: recordTypes.member, vault: random(32), log: random(32), seq: 1n, previous: random(32), time: 1n, clear },
    device,
  );
  assert.throws(() => decodeAuthor(member), { code: "format" });
});

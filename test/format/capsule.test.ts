/** The capsule: the phrase opens it, peers check it, and neither is fooled. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Writer } from "../../src/base/bytes.js";
import {
  type DeviceSecrets,
  openDevicePart,
  openRootPart,
  readDevicePart,
  readRootPart,
  type RootSecrets,
  sealDevicePart,
  sealRootPart,
} from "../../src/format/capsule.js";
import { certify, rights, writeCertificate } from "../../src/format/certificate.js";
import { newConstants, newEpoch, phraseKeys, vaultIdOf } from "../../src/format/keys.js";
import { exchangePublicKey, sign, signingKeyOf } from "../../src/format/sign.js";
import { checkSealed } from "../support/strict.js";
import { full, randomOf, smallOrderKeys } from "./given.js";

const random = randomOf("capsule");
const bits = full ? 8 : 1;
const phrase = phraseKeys(random(32));
const wrong = phraseKeys(random(32));
const secrets: RootSecrets = {
  root: { ...signingKeyOf(random(32)) },
  constants: newConstants(random, 65_536),
  epoch: newEpoch(random, 1),
  fields: [{ number: 3, bytes: Buffer.from("kept") }],
};
const device = signingKeyOf(random(32));
const certificate = certify(secrets.root, device.publicKey, rights.write, 1n);
const deviceSecrets: DeviceSecrets = {
  epochs: [newEpoch(random, 2), newEpoch(random, 3)],
  coops: [{ id: random(32), key: random(32) }],
  bootstrap: ["node.example.org:49737", "[2001:db8::1]:1"],
  peers: [random(32), random(32)],
  fields: [{ number: 5, bytes: Buffer.alloc(0) }],
};
const rootPart = sealRootPart(phrase, 5n, secrets, random);
const devicePart = sealDevicePart(device, certificate, phrase.recoveryPublic, 7n, deviceSecrets, random);

test("the root part gives back what was sealed, and shows peers public keys only", () => {
  const part = readRootPart(rootPart);
  assert.equal(part.version, 5n);
  assert.deepEqual(part.topic, phrase.topic);
  assert.deepEqual(
    part.fields.map(({ number }) => number),
    [1, 3],
  );
  assert.ok(part.isSlotProven);
  assert.deepEqual(part.vault, vaultIdOf(secrets.root.publicKey));
  assert.deepEqual(part.rootPublic, secrets.root.publicKey);
  assert.deepEqual(part.slotPublic, phrase.slot.publicKey);
  assert.deepEqual(part.recoveryPublic, phrase.recoveryPublic);
  assert.deepEqual(openRootPart(phrase, part), secrets);
  for (const secret of [secrets.root.seed, secrets.epoch.data, secrets.constants.splitterKey, phrase.capsuleKey])
    assert.ok(!rootPart.includes(Buffer.from(secret)));
});

test("a recovery topic is 32 bytes, whoever signs the part", () => {
  const [before, after] = [rootPart.subarray(0, 8 + 1 + 8 + 96), rootPart.subarray(8 + 1 + 8 + 96 + 35 + 66, -64)];
  const named = (...topic: number[]): Buffer => {
    const bytes = Buffer.concat([before, Buffer.from(topic), after]);
    return Buffer.concat([bytes, sign(secrets.root, "capsule root part", bytes)]);
  };
  assert.deepEqual(readRootPart(named(1, 1, 32, ...phrase.topic)).topic, phrase.topic);
  assert.equal(readRootPart(named(1, 5, 32, ...phrase.topic)).topic, undefined);
  assert.equal(readRootPart(named(0)).topic, undefined);
  for (const length of [0, 31, 33])
    assert.throws(() => readRootPart(named(1, 1, length, ...Buffer.alloc(length, 7))), { code: "format" });
});

test("a slot key belongs to the vault that it has signed for, and to no other that names it", () => {
  const owner = phraseKeys(random(32));
  const thief = { ...phrase, slot: { ...phrase.slot, publicKey: owner.slot.publicKey } };
  assert.throws(() => readRootPart(sealRootPart(thief, 6n, secrets, random)), { code: "format" });
  const proof = readRootPart(sealRootPart(owner, 1n, { ...secrets, root: device }, random)).fields.at(-1)!.bytes;
  const head = rootPart.subarray(0, 8 + 1 + 8 + 32);
  const rest = rootPart.subarray(8 + 1 + 8 + 96, -64);
  const copied = Buffer.concat([head, owner.slot.publicKey, phrase.recoveryPublic, rest]);
  assert.throws(() => readRootPart(rootPartWith(copied, proof)), { code: "format" });
});

/** With another word of the slot key, signed by the root key all the same. */
function rootPartWith(bytes: Buffer, proof: Buffer): Buffer {
  const at = 8 + 1 + 8 + 96 + 35 + 2;
  proof.copy(bytes, at);
  return Buffer.concat([bytes, sign(secrets.root, "capsule root part", bytes)]);
}

test("the device part gives back what was sealed", () => {
  const part = readDevicePart(devicePart, secrets.root.publicKey);
  assert.equal(part.version, 7n);
  assert.deepEqual(part.certificate, certificate);
  assert.deepEqual(openDevicePart(phrase, part), deviceSecrets);
  for (const secret of [deviceSecrets.epochs[0]!.data, deviceSecrets.coops[0]!.key, deviceSecrets.peers[0]!])
    assert.ok(!devicePart.includes(secret));
  const empty: DeviceSecrets = { epochs: [], coops: [], bootstrap: [], peers: [], fields: [] };
  const bare = sealDevicePart(device, certificate, phrase.recoveryPublic, (1n << 64n) - 1n, empty, random);
  assert.deepEqual(openDevicePart(phrase, readDevicePart(bare, secrets.root.publicKey)), empty);
});

test("the most that a device may say fits and comes back", () => {
  const many: DeviceSecrets = {
    ...deviceSecrets,
    epochs: Array.from({ length: 100 }, (_, i) => newEpoch(random, i)),
    coops: Array.from({ length: 64 }, () => ({ id: random(32), key: random(32) })),
    bootstrap: Array.from({ length: 64 }, (_, i) => `${"h".repeat(250)}:${i}`),
    peers: Array.from({ length: 256 }, () => random(32)),
  };
  const bytes = sealDevicePart(device, certificate, phrase.recoveryPublic, 1n, many, random);
  assert.deepEqual(openDevicePart(phrase, readDevicePart(bytes, secrets.root.publicKey)), many);
  const turned = { ...many, epochs: Array.from({ length: 1024 }, (_, i) => newEpoch(random, i)) };
  const most = sealDevicePart(device, certificate, phrase.recoveryPublic, 1n, turned, random);
  assert.deepEqual(openDevicePart(phrase, readDevicePart(most, secrets.root.publicKey)), turned);
  const tooMany = { ...many, epochs: Array.from({ length: 2100 }, (_, i) => newEpoch(random, i)) };
  assert.throws(() => sealDevicePart(device, certificate, phrase.recoveryPublic, 1n, tooMany, random), RangeError);
});

test("another phrase is told by its code", () => {
  assert.throws(() => openRootPart(wrong, readRootPart(rootPart)), { code: "phrase" });
  assert.throws(() => openDevicePart(wrong, readDevicePart(devicePart, secrets.root.publicKey)), { code: "phrase" });
});

test("every altered bit of the root part is refused by a peer, without any key", () => {
  checkSealed("root part", rootPart, readRootPart, bits);
});

test("every altered bit of the device part is refused by a peer", () => {
  const empty: DeviceSecrets = { epochs: [], coops: [], bootstrap: [], peers: [], fields: [] };
  const part = full ? devicePart : sealDevicePart(device, certificate, phrase.recoveryPublic, 1n, empty, random);
  checkSealed("device part", part, (bytes) => readDevicePart(bytes, secrets.root.publicKey), bits);
});

test("what a wrongdoer signs anew does not open", () => {
  // The signature is over the bytes; whoever holds the root key could sign others, but not seal them.
  const part = readRootPart(rootPart);
  const box = Buffer.from(part.box);
  box[30] = (box[30] as number) ^ 1;
  const bytes = new Writer().raw(part.head).blob(box);
  const forged = bytes.raw(sign(secrets.root, "capsule root part", bytes.finish())).finish();
  assert.throws(() => openRootPart(phrase, readRootPart(forged)), { code: "damaged" });
  // A head with another recovery key, box unchanged: the commitment covers the head.
  const head = Buffer.from(part.head);
  wrong.recoveryPublic.copy(head, 8 + 1 + 8 + 64);
  const moved = new Writer().raw(head).blob(part.box);
  const again = moved.raw(sign(secrets.root, "capsule root part", moved.finish())).finish();
  assert.throws(() => openRootPart(phrase, readRootPart(again)), { code: "phrase" });
});

test("a root part that names another root key than it holds is refused", () => {
  const other = signingKeyOf(random(32));
  // Signed and headed by one key, while the seed inside is another's.
  const mixed = { ...secrets, root: { seed: other.seed, publicKey: secrets.root.publicKey } };
  const bytes = sealRootPart(phrase, 5n, mixed, random);
  const body = bytes.subarray(0, -64);
  const signed = Buffer.concat([body, sign(secrets.root, "capsule root part", body)]);
  assert.throws(() => openRootPart(phrase, readRootPart(signed)), { code: "damaged" });
});

test("a part signed by a device that the root key did not certify is refused", () => {
  const stranger = signingKeyOf(random(32));
  const strangerRoot = signingKeyOf(random(32));
  const own = certify(strangerRoot, stranger.publicKey, rights.write, 1n);
  const rootPublic = secrets.root.publicKey;
  const self = sealDevicePart(stranger, own, phrase.recoveryPublic, 9n, deviceSecrets, random);
  assert.throws(() => readDevicePart(self, rootPublic), { code: "format" }, "certified by another root");
  const lent = sealDevicePart(stranger, certificate, phrase.recoveryPublic, 9n, deviceSecrets, random);
  assert.throws(() => readDevicePart(lent, rootPublic), { code: "format" }, "another device's certificate");
  const claimed = { ...own, vault: vaultIdOf(rootPublic) };
  const lied = sealDevicePart(stranger, claimed, phrase.recoveryPublic, 9n, deviceSecrets, random);
  assert.throws(() => readDevicePart(lied, rootPublic), { code: "format" }, "a certificate that lies about the vault");
  const wrongDomain = devicePart.subarray(0, -64);
  const signed = Buffer.concat([wrongDomain, sign(device, "capsule root part", wrongDomain)]);
  assert.throws(() => readDevicePart(signed, rootPublic), { code: "format" }, "signed in another domain");
});

test("an ephemeral key of small order opens nothing", () => {
  const head = new Writer().raw(devicePart.subarray(0, 9));
  writeCertificate(head, certificate);
  head.u64(1n).raw(Buffer.alloc(32)).varint(0).raw(random(32)).blob(random(100));
  const bytes = head.raw(sign(device, "capsule device part", head.finish())).finish();
  const part = readDevicePart(bytes, secrets.root.publicKey);
  assert.throws(() => openDevicePart(phrase, part), { code: "format" });
  assert.throws(() => sealDevicePart(device, certificate, Buffer.alloc(32), 1n, deviceSecrets, random), {
    code: "format",
  });
  assert.throws(() => readDevicePart(devicePart, smallOrderKeys[0]!), { code: "format" });
  assert.equal(exchangePublicKey(random(32)).length, 32);
});

/** The capability: fits one connection, one side of it and one key. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createHash } from "node:crypto";
import { blake2b } from "@noble/hashes/blake2.js";
import { capabilityBytes, capabilityOf, linkScope } from "../../src/format/capability.js";
import { coopEpochId } from "../../src/format/coop.js";
import { derive } from "../../src/format/hash.js";
import { sign, signingKeyOf, verify } from "../../src/format/sign.js";
import { randomOf } from "./given.js";

const random = randomOf("capability");
const key = random(32);
const epochId = coopEpochId(key);
const link = { initiatorKey: random(32), responderKey: random(32), handshakeHash: random(64) };
const capability = capabilityOf(key, epochId, true, link);

test("it is keyed BLAKE2b over label, side, keys, handshake and epoch", () => {
  const scope = Buffer.concat([Buffer.from([1]), link.initiatorKey, link.responderKey, link.handshakeHash]);
  assert.deepEqual(linkScope(true, link), scope);
  const input = Buffer.concat([Buffer.from("bcoopfs v1 capability"), scope, epochId]);
  const expected = blake2b(input, { key: derive("coop capability", key), dkLen: 32 });
  assert.deepEqual(capability, Buffer.from(expected));
  assert.equal(capability.length, capabilityBytes);
  assert.notEqual(capability.toString("hex"), createHash("blake2b512").update(input).digest("hex").slice(0, 64));
});

test("it differs with everything that it is bound to", () => {
  const exchanged = { ...link, initiatorKey: link.responderKey, responderKey: link.initiatorKey };
  const others = [
    capabilityOf(key, epochId, false, link),
    capabilityOf(random(32), epochId, true, link),
    capabilityOf(key, random(16), true, link),
    capabilityOf(key, epochId, true, { ...link, handshakeHash: random(64) }),
    capabilityOf(key, epochId, true, { ...link, initiatorKey: random(32) }),
    capabilityOf(key, epochId, true, { ...link, responderKey: random(32) }),
    capabilityOf(key, epochId, true, exchanged),
    capabilityOf(key, epochId, false, exchanged),
  ];
  const all = new Set([capability, ...others].map((each) => each.toString("hex")));
  assert.equal(all.size, others.length + 1);
  assert.deepEqual(capabilityOf(key, epochId, true, { ...link }), capability);
});

test("what a side signs of a link fits no other side and no other link", () => {
  const device = signingKeyOf(random(32));
  const proof = sign(device, "link", linkScope(true, link));
  assert.ok(verify(device.publicKey, "link", linkScope(true, link), proof));
  assert.ok(!verify(device.publicKey, "link", linkScope(false, link), proof));
  assert.ok(!verify(device.publicKey, "link", linkScope(true, { ...link, handshakeHash: random(64) }), proof));
});

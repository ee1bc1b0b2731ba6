/** Ed25519, strictly; X25519 where it is safe. */
import assert from "node:assert/strict";
import { createHash, createPrivateKey, createPublicKey, sign as nodeSign, verify as nodeVerify } from "node:crypto";
import { test } from "node:test";
import { ed25519 } from "@noble/curves/ed25519.js";
import { Problem } from "../../src/base/errors.js";
import { choice } from "../../src/base/limits.js";
import {
  checkPublicKey,
  exchange,
  exchangePublicKey,
  exchangePublicKeyOf,
  exchangeSecretOf,
  sign,
  signingKeyOf,
  verify,
} from "../../src/format/sign.js";
import { checkSealed } from "../support/strict.js";
import { full, randomOf, smallOrderKeys } from "./given.js";

const random = randomOf("sign");
const hex = (text: string): Buffer => Buffer.from(text, "hex");

/** RFC 8032, section 7.1: secret, public key, message, signature. */
const rfc8032 = [
  [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "",
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  ],
  [
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  ],
  [
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  ],
] as const;

/** DER before a raw Ed25519 private or public key, for node:crypto. */
const privateDer = hex("302e020100300506032b657004220420");
const publicDer = hex("302a300506032b6570032100");

function scoped(domain: string, message: Buffer): Buffer {
  const label = Buffer.from(`bcoopfs v1 ${domain}`);
  return Buffer.concat([Buffer.from([label.length]), label, message]);
}

test("keys and signatures are those of RFC 8032", () => {
  for (const [secret, publicKey, message, signature] of rfc8032) {
    assert.equal(signingKeyOf(hex(secret)).publicKey.toString("hex"), publicKey);
    assert.equal(Buffer.from(ed25519.sign(hex(message), hex(secret))).toString("hex"), signature);
    checkPublicKey(hex(publicKey));
  }
});

test("a signature is Ed25519 over length, label and message, as another implementation computes it", () => {
  for (const domain of ["record", "", "é"])
    for (const size of [0, 1, 100, 70_000]) {
      const seed = random(32);
      const message = random(size);
      const key = signingKeyOf(seed);
      const signature = sign(key, domain, message);
      const secret = createPrivateKey({ key: Buffer.concat([privateDer, seed]), format: "der", type: "pkcs8" });
      assert.deepEqual(signature, nodeSign(null, scoped(domain, message), secret));
      assert.equal(verify(key.publicKey, domain, message, signature), true);
    }
});

test("a signature fits its own domain, message and key only", () => {
  const key = signingKeyOf(random(32));
  const message = random(30);
  const signature = sign(key, "record", message);
  for (const domain of ["", "recor", "record ", "records", "certificate"])
    assert.equal(verify(key.publicKey, domain, message, signature), false, domain);
  // The label's length stands before it: moving a byte from message to label changes what is signed.
  const moved = sign(key, "record", Buffer.concat([Buffer.from("s"), message]));
  assert.equal(verify(key.publicKey, "records", message, moved), false);
  assert.equal(verify(signingKeyOf(random(32)).publicKey, "record", message, signature), false);
  assert.equal(verify(key.publicKey, "record", random(30), signature), false);
  for (const [publicKey, given] of [
    [key.publicKey.subarray(1), signature],
    [key.publicKey, signature.subarray(1)],
    [key.publicKey, Buffer.concat([signature, Buffer.alloc(1)])],
    [Buffer.alloc(0), Buffer.alloc(0)],
    [key.publicKey, Buffer.alloc(64)],
    [key.publicKey, Buffer.alloc(64, 255)],
  ] as const)
    assert.equal(verify(publicKey, "record", message, given), false);
});

test("every altered bit of a signature is refused", () => {
  const key = signingKeyOf(random(32));
  const signature = sign(key, "record", Buffer.from("m"));
  const open = (altered: Buffer): void => {
    if (!verify(key.publicKey, "record", Buffer.from("m"), altered)) throw new Problem("damaged", "signature");
  };
  checkSealed("signature", signature, open, full ? 8 : 3);
});

test("keys of small order are refused at enrolment, and so is the signature that would fit every message", () => {
  const everything = Buffer.concat([hex(`01${"00".repeat(31)}`), Buffer.alloc(32)]);
  for (const publicKey of smallOrderKeys) {
    assert.throws(() => checkPublicKey(publicKey), { code: "format" }, publicKey.toString("hex"));
    for (let round = 0; round < 8; round++)
      assert.equal(verify(publicKey, "record", random(9), everything), false, publicKey.toString("hex"));
  }
  // What the lenient do: the reason for all this.
  const lenient = createPublicKey({
    key: Buffer.concat([publicDer, smallOrderKeys[0] as Buffer]),
    format: "der",
    type: "spki",
  });
  assert.equal(nodeVerify(null, random(9), lenient, everything), true);
});

test("keys off the curve, not canonical or with a torsion part are refused", () => {
  const sound = ed25519.Point.fromBytes(signingKeyOf(random(32)).publicKey);
  for (const torsion of smallOrderKeys.slice(1, 8)) {
    const mixed = Buffer.from(sound.add(ed25519.Point.fromBytes(torsion)).toBytes());
    assert.throws(() => checkPublicKey(mixed), { code: "format" });
  }
  const off = Buffer.alloc(32);
  off[0] = 2; // y = 2 has no x
  for (const bad of [off, Buffer.alloc(31), Buffer.alloc(33), Buffer.alloc(0), Buffer.alloc(32, 255)])
    assert.throws(() => checkPublicKey(bad), { code: "format" });
});

test("a key with a torsion part verifies nothing, though each eighth signature of its maker would fit", () => {
  const seed = random(32);
  const { scalar, point } = ed25519.utils.getExtendedPublicKey(seed);
  const torsion = ed25519.Point.fromBytes(smallOrderKeys[4] as Buffer);
  const mixed = Buffer.from(point.add(torsion).toBytes());
  const lenient = createPublicKey({ key: Buffer.concat([publicDer, mixed]), format: "der", type: "spki" });
  let fitted = 0;
  for (let round = 0; round < 64; round++) {
    const message = scoped("record", random(8));
    const signature = madeWith(mixed, scalar, message);
    if (!nodeVerify(null, message, lenient, signature)) continue;
    fitted++;
    assert.equal(verify(mixed, "record", message.subarray(message.length - 8), signature), false);
  }
  assert.ok(fitted > 0, "none of 64");
});

test("a commitment with a torsion part is refused, by everybody alike", () => {
  const key = signingKeyOf(random(32));
  const { scalar } = ed25519.utils.getExtendedPublicKey(key.seed);
  const message = random(20);
  assert.equal(
    verify(key.publicKey, "record", message, madeWith(key.publicKey, scalar, scoped("record", message))),
    true,
  );
  for (const torsion of smallOrderKeys.slice(1, 8)) {
    const signature = madeWith(key.publicKey, scalar, scoped("record", message), torsion);
    assert.equal(ed25519.verify(signature, scoped("record", message), key.publicKey, { zip215: false }), true);
    assert.equal(verify(key.publicKey, "record", message, signature), false);
  }
});

/** A signature from parts: R = rB + torsion, S = r + H(R ‖ A ‖ message)a. */
function madeWith(publicKey: Buffer, scalar: bigint, message: Buffer, torsion?: Buffer): Buffer {
  const secret = ed25519.Point.Fn.create(BigInt(`0x${random(32).toString("hex")}`));
  const plain = ed25519.Point.BASE.multiply(secret);
  const commitment = torsion === undefined ? plain : plain.add(ed25519.Point.fromBytes(torsion));
  const encoded = Buffer.from(commitment.toBytes());
  const hash = createHash("sha512").update(encoded).update(publicKey).update(message).digest().reverse();
  const sum = ed25519.Point.Fn.create(secret + BigInt(`0x${hash.toString("hex")}`) * scalar);
  return Buffer.concat([encoded, hex(sum.toString(16).padStart(64, "0")).reverse()]);
}

test("signatures and refusals are those of the reference", () => {
  for (let round = 0; round < (full ? 500 : 50); round++) {
    const key = signingKeyOf(random(32));
    const message = random(round);
    const signature = sign(key, "record", message);
    assert.deepEqual(signature, Buffer.from(ed25519.sign(scoped("record", message), key.seed)));
    const altered = Buffer.from(signature);
    altered[random(1)[0]! % 64]! ^= 1 << (random(1)[0]! % 8);
    for (const each of [signature, altered])
      assert.equal(
        verify(key.publicKey, "record", message, each),
        ed25519.verify(each, scoped("record", message), key.publicKey, { zip215: false }),
      );
  }
});

test("keys are judged alike before and after more of them than are remembered", () => {
  const bad = smallOrderKeys[0] as Buffer;
  const key = signingKeyOf(random(32));
  const signature = sign(key, "record", bad);
  const judge = (): void => {
    assert.equal(verify(key.publicKey, "record", bad, signature), true);
    assert.throws(() => checkPublicKey(bad), { code: "format" });
  };
  judge();
  for (let i = 0; i <= choice.checkedKeys; i++) verify(random(32), "record", bad, signature);
  judge();
  judge();
});

test("a key's bytes may change after they were checked", () => {
  const key = signingKeyOf(random(32));
  const given = Buffer.from(key.publicKey);
  checkPublicKey(given);
  given.set(smallOrderKeys[4] as Buffer);
  assert.throws(() => checkPublicKey(given), { code: "format" });
  assert.equal(verify(given, "record", Buffer.from("m"), sign(key, "record", Buffer.from("m"))), false);
});

test("a scalar that is not reduced is refused", () => {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const key = signingKeyOf(random(32));
  const signature = sign(key, "record", Buffer.from("m"));
  const scalar = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`);
  for (let more = scalar + order; more < 1n << 256n; more += order * 3n) {
    const bytes = hex(more.toString(16).padStart(64, "0")).reverse();
    const other = Buffer.concat([signature.subarray(0, 32), bytes]);
    assert.equal(verify(key.publicKey, "record", Buffer.from("m"), other), false);
  }
});

test("X25519 is that of RFC 7748, section 6.1, and refuses keys of small order", () => {
  const alice = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  const bob = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  const shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
  assert.equal(
    exchangePublicKey(alice).toString("hex"),
    "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
  );
  assert.equal(exchange(alice, exchangePublicKey(bob)).toString("hex"), shared);
  assert.equal(exchange(bob, exchangePublicKey(alice)).toString("hex"), shared);
  for (const bad of [Buffer.alloc(32), hex(`01${"00".repeat(31)}`), Buffer.alloc(31)])
    assert.throws(() => exchange(bob, bad), { code: "format" });
});

test("a device known by its Ed25519 key has one X25519 key on both sides", () => {
  for (let round = 0; round < 8; round++) {
    const device = signingKeyOf(random(32));
    assert.deepEqual(exchangePublicKeyOf(device.publicKey), exchangePublicKey(exchangeSecretOf(device.seed)));
    // As node:crypto's own X25519 sees it: the clamped first half of SHA-512 of the seed.
    assert.deepEqual(
      exchangePublicKeyOf(device.publicKey),
      exchangePublicKey(createHash("sha512").update(device.seed).digest().subarray(0, 32)),
    );
  }
  for (const bad of [...smallOrderKeys, Buffer.alloc(31), Buffer.alloc(32, 255)])
    assert.throws(() => exchangePublicKeyOf(bad), { code: "format" });
});

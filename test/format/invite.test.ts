/** Invites: a file that people copy about, and the proof that its bearer joins by it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Reader, Writer } from "../../src/base/bytes.js";
import { Problem } from "../../src/base/errors.js";
import { format } from "../../src/base/limits.js";
import { certify, rights } from "../../src/format/certificate.js";
import {
  checkRedeem,
  decodeInvite,
  encodeInvite,
  type Invite,
  makeInvite,
  type Redeem,
  readRedeem,
  redeemOf,
  writeRedeem,
} from "../../src/format/invite.js";
import { hashOf } from "../../src/format/hash.js";
import { type SigningKey, sign, signingKeyOf } from "../../src/format/sign.js";
import { checkPlain, checkSealed } from "../support/strict.js";
import {
  bytesArbitrary,
  fieldsArbitrary,
  full,
  i64,
  idArbitrary,
  labelArbitrary,
  randomOf,
  record,
  samplesOf,
  smallOrderKeys,
} from "./given.js";

const random = randomOf("invite");
const admin = signingKeyOf(random(32));
const root = signingKeyOf(random(32));
const certificate = certify(root, admin.publicKey, rights.write | rights.administer, 1n);
const draft = {
  coop: random(32),
  key: random(32),
  name: "attic",
  expires: 1_800_000_000_000_000_000n,
  role: 1,
  adminCertificate: certificate,
  adminRootPublic: root.publicKey,
  bootstrap: ["192.0.2.1:49737", "[2001:db8::1]:49737"],
};
const invite = makeInvite(admin, draft, random);
const text = encodeInvite(invite);
const read = (given: string): Invite => decodeInvite(Buffer.from(given, "latin1"));

test("an invite comes back, from a file of lines that a mail does not break", () => {
  assert.deepEqual(read(text), invite);
  assert.equal(text.split("\n")[0], "bcoopfs coop key 1");
  assert.ok(text.endsWith("\n"));
  for (const line of text.split("\n")) assert.ok(line.length <= 76);
  const bare = { ...draft, adminCertificate: undefined, adminRootPublic: undefined, bootstrap: [], name: "" };
  for (const expires of [0n, -1n, (1n << 63n) - 1n])
    for (const role of [1, 2]) {
      const made = makeInvite(admin, { ...bare, expires, role }, random);
      assert.deepEqual(read(encodeInvite(made)), made);
    }
  assert.notDeepEqual(makeInvite(admin, draft, random).tokenSeed, invite.tokenSeed);
});

test("white space around it and line ends of any system do not matter", () => {
  const [head, ...rest] = text.trim().split("\n");
  for (const given of [
    text.trim(),
    text.replaceAll("\n", "\r\n"),
    `\n\n  ${text}\n\n`,
    `\t\r\n${text.replaceAll("\n", "  \r\n")} \r\n`,
    `\xef\xbb\xbf${text.replaceAll("\n", "\r\n")}`,
    `${head}\n${rest.join("")}`,
    `${head}\n${rest.join("").replaceAll(/(.{10})/g, "$1\n")}\n`,
  ])
    assert.deepEqual(read(given), invite);
});

function complaint(given: string | Buffer): string {
  try {
    decodeInvite(Buffer.isBuffer(given) ? given : Buffer.from(given, "latin1"));
  } catch (error) {
    assert.ok(error instanceof Problem && error.code === "usage", `${error}`);
    assert.ok(!error.message.includes("\n"));
    return error.message;
  }
  assert.fail("accepted");
}

test("wherever it is cut, that is said", () => {
  const whole = text.trim();
  for (let at = 1; at < whole.length; at += full ? 1 : 3) assert.match(complaint(whole.slice(0, at)), /cut short/);
  assert.match(complaint(whole.slice(0, -1)), /cut short/);
  assert.match(complaint(whole.slice(0, -16)), /cut short/, "without its checksum");
});

test("every altered bit, a byte behind it, a line lost or twice: altered", () => {
  checkSealed("invite", Buffer.from(text.trim()), decodeInvite, full ? 8 : 1);
  const lines = text.trim().split("\n");
  const exchanged = [lines[0], lines[2], lines[1], ...lines.slice(3)].join("\n");
  for (const given of [
    exchanged,
    `${text}00`,
    `${text}-- \nsent from my telephone`,
    text.replaceAll(/[a-f]/g, (digit) => digit.toUpperCase()).replace(/.*\n/, `${lines[0]}\n`),
  ])
    assert.match(complaint(given), /altered/);
  assert.match(complaint([lines[0], ...lines.slice(2)].join("\n")), /cut short|altered/);
});

test("what is no coop key file at all", () => {
  const others = ["", "\n", "hello", "bcoopfs device key 1\n00\n", "-----BEGIN CERTIFICATE-----\n", `x${text}`];
  for (const given of [...others, Buffer.alloc(10), Buffer.alloc(1 << 20, 0x61), random(3000)])
    assert.match(complaint(given), /not a coop key file/);
  assert.throws(() => read(text.replace("key 1", "key 2")), { code: "unsupported" });
});

/** A file whose length and checksum are right, whatever stands in it. */
function armoured(body: Buffer): string {
  const counted = new Writer().u32(body.length).raw(body).finish();
  return `bcoopfs coop key 1\n${Buffer.concat([counted, hashOf(counted).subarray(0, 8)]).toString("hex")}\n`;
}

function bodyOf(given: string): Buffer {
  const bytes = Buffer.from(given.split("\n").slice(1).join(""), "hex");
  return bytes.subarray(4, -8);
}

test("a well-made file whose contents are not: altered all the same", () => {
  assert.deepEqual(read(armoured(bodyOf(text))), invite);
  const other = signingKeyOf(random(32));
  const forged = (change: Partial<Invite>): string => encodeInvite({ ...invite, ...change });
  for (const given of [
    forged({ coop: random(32) }),
    forged({ tokenSeed: random(32) }),
    forged({ expires: invite.expires + 1n }),
    forged({ role: 2 }),
    forged({ admin: other.publicKey }),
    forged({ signature: random(64) }),
    forged({ adminCertificate: certify(root, other.publicKey, 3, 1n) }),
    forged({ adminRootPublic: other.publicKey }),
    ...smallOrderKeys.map((key) => forged({ admin: key })),
    armoured(Buffer.alloc(0)),
    armoured(Buffer.concat([bodyOf(text), Buffer.alloc(1)])),
  ])
    assert.match(complaint(given), /altered/);
  const body = bodyOf(text);
  const even = Buffer.concat([body.subarray(0, -65), Buffer.from([1, 2, 0]), body.subarray(-64)]);
  assert.throws(() => read(armoured(even)), { code: "unsupported" });
  const odd = Buffer.concat([body.subarray(0, -65), Buffer.from([1, 3, 0]), body.subarray(-64)]);
  assert.deepEqual(read(armoured(odd)).fields, [{ number: 3, bytes: Buffer.alloc(0) }]);
});

test("whatever stands in a well-made file, the reader throws a Problem or gives an invite that it would write", () => {
  const body = bodyOf(text);
  for (let at = 0; at < body.length; at++)
    for (const by of [0, 1, 127, 128, 255]) {
      const altered = Buffer.from(body);
      altered[at] = by;
      try {
        assert.equal(encodeInvite(read(armoured(altered))), encodeInvite(read(armoured(altered))));
      } catch (error) {
        assert.ok(error instanceof Problem, `${error}`);
      }
    }
});

test("an invite that would not be read is not written", () => {
  const many = Array.from({ length: format.bootstrapEntries }, (_, i) => `${"h".repeat(255)}:${1000 + i}`);
  const most = { ...invite, name: "n".repeat(format.labelBytes), bootstrap: many };
  assert.deepEqual(read(encodeInvite(most)), most);
  assert.throws(() => encodeInvite({ ...most, bootstrap: [...many, "one:1"] }), RangeError);
  assert.throws(() => encodeInvite({ ...most, bootstrap: ["h".repeat(format.addressBytes + 1)] }), RangeError);
  assert.throws(() => encodeInvite({ ...most, name: `${most.name}n` }), RangeError);
  assert.throws(() => encodeInvite({ ...most, adminRootPublic: undefined }), RangeError);
  const fields = Array.from({ length: 16 }, (_, i) => ({ number: i * 2 + 1, bytes: Buffer.alloc(4096) }));
  assert.throws(() => encodeInvite({ ...most, fields }), RangeError);
});

const link = random(64);
const device = random(32);
const redeem = redeemOf(invite, link, device, "laptop");
const now = invite.expires - 1n;
const accept = (given: Redeem, coop = invite.coop, hash = link, of = device, at = now): void =>
  checkRedeem(given, coop, hash, of, at);
const redeems: fc.Arbitrary<Redeem> = record({
  token: idArbitrary,
  expires: i64,
  role: fc.constantFrom(1, 2),
  admin: idArbitrary,
  signature: bytesArbitrary(64),
  label: labelArbitrary,
  proof: bytesArbitrary(64),
  fields: fieldsArbitrary,
});

function encoded(given: Redeem): Buffer {
  const to = new Writer();
  writeRedeem(to, given);
  return to.finish();
}

function decoded(bytes: Uint8Array): Redeem {
  const from = new Reader(bytes, "redeem");
  const value = readRedeem(from);
  from.end();
  return value;
}

test("what the bearer shows is read strictly, and every altered bit refused", () => {
  checkPlain("redeem", { encode: encoded, decode: decoded, samples: samplesOf(redeems, 6) });
  checkSealed("redeem", encoded(redeem), (bytes) => accept(decoded(bytes)), full ? 8 : 1);
});

test("an invite is redeemed on one connection, by one device, in one coop, in time", () => {
  accept(redeem);
  accept(redeemOf(invite, link, device));
  const refused = (why: RegExp, act: () => void): void => assert.throws(act, { code: "refused", message: why });
  refused(/expired/, () => accept(redeem, invite.coop, link, device, invite.expires));
  refused(/bearer/, () => accept(redeem, invite.coop, random(64)));
  refused(/bearer/, () => accept(redeem, invite.coop, link, random(32)));
  refused(/not one of this coop/, () => accept(redeem, random(32)));
  refused(/not one of this coop/, () => accept({ ...redeem, role: 2 }));
  refused(/not one of this coop/, () => accept({ ...redeem, expires: redeem.expires + 1n }));
  refused(/not one of this coop/, () => accept({ ...redeem, admin: signingKeyOf(random(32)).publicKey }));
  refused(/bearer/, () => accept({ ...redeem, label: "desktop" }));
  // A token of one's own has no admin's signature; another's signature is for another token.
  const own: SigningKey = signingKeyOf(random(32));
  refused(/not one of this coop/, () => accept({ ...redeem, token: own.publicKey }));
  const second = makeInvite(admin, draft, random);
  refused(/not one of this coop/, () => accept({ ...redeemOf(second, link, device), signature: invite.signature }));
  refused(/bearer/, () => accept({ ...redeem, proof: sign(own, "coop join", link) }));
  for (const key of smallOrderKeys) refused(/not one of this coop/, () => accept({ ...redeem, admin: key }));
});

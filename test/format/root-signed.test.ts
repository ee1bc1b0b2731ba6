/** What only the phrase can say: each statement in its own domain, for one vault, every byte of it signed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Problem } from "../../src/base/errors.js";
import type { Fields } from "../../src/format/fields.js";
import { certify, rights } from "../../src/format/certificate.js";
import { vaultIdOf } from "../../src/format/keys.js";
import {
  type CertifyBody,
  checkCertify,
  checkRevoke,
  checkSucceed,
  decodeCertify,
  decodeRevoke,
  decodeSucceed,
  encodeCertify,
  encodeRevoke,
  encodeSucceed,
  type RevokeBody,
  type SucceedBody,
  signCertify,
  signRevoke,
  signSucceed,
} from "../../src/format/root-signed.js";
import { type SigningKey, sign, signingKeyOf } from "../../src/format/sign.js";
import { checkPlain, checkSealed } from "../support/strict.js";
import {
  bytesArbitrary,
  certificateArbitrary,
  fieldsArbitrary,
  full,
  idArbitrary,
  randomOf,
  record,
  samplesOf,
  u64,
} from "./given.js";

const random = randomOf("root-signed");
const logs = fc.array(record({ log: idArbitrary, seq: u64 }), { maxLength: 3 });
const common = { vault: idArbitrary, serial: u64, fields: fieldsArbitrary, signature: bytesArbitrary(64) };
const certifies: fc.Arbitrary<CertifyBody> = record({ ...common, certificate: certificateArbitrary });
const succeeds: fc.Arbitrary<SucceedBody> = record({ ...common, certificate: certificateArbitrary, logs });
const revokes: fc.Arbitrary<RevokeBody> = record({ ...common, device: idArbitrary, logs });

const root = signingKeyOf(random(32));
const stranger = signingKeyOf(random(32));
const device = signingKeyOf(random(32));
const vault = vaultIdOf(root.publicKey);
const certificate = certify(root, device.publicKey, rights.write, 1n);
const some = [{ log: random(32), seq: 7n }];
type Given = { readonly vault: Buffer; readonly serial: bigint; readonly fields: Fields };
const given: Given = { vault, serial: 3n, fields: [{ number: 5, bytes: Buffer.from("why") }] };

/** One kind of statement, from its parts to its bytes and back. */
interface Kind {
  readonly domain: string;
  make(by: SigningKey, of: Given): Buffer;
  /** decode and check as a reader does */
  accept(bytes: Uint8Array, ofVault?: Buffer, by?: Buffer): unknown;
}

const kinds: readonly Kind[] = [
  {
    domain: "certify record",
    make: (by, of) => encodeCertify(signCertify(by, { ...of, certificate })),
    accept: (bytes, of = vault, by = root.publicKey) => checkCertify(decodeCertify(bytes), of, by),
  },
  {
    domain: "succeed record",
    make: (by, of) => encodeSucceed(signSucceed(by, { ...of, certificate, logs: some })),
    accept: (bytes, of = vault, by = root.publicKey) => checkSucceed(decodeSucceed(bytes), of, by),
  },
  {
    domain: "revoke record",
    make: (by, of) => encodeRevoke(signRevoke(by, { ...of, device: device.publicKey, logs: some })),
    accept: (bytes, of = vault, by = root.publicKey) => checkRevoke(decodeRevoke(bytes), of, by),
  },
];

test("as bytes they are read strictly", () => {
  checkPlain("certify", { encode: encodeCertify, decode: decodeCertify, samples: samplesOf(certifies, 5) });
  checkPlain("succeed", { encode: encodeSucceed, decode: decodeSucceed, samples: samplesOf(succeeds, 5) });
  checkPlain("revoke", { encode: encodeRevoke, decode: decodeRevoke, samples: samplesOf(revokes, 5) });
});

for (const { domain, make, accept } of kinds)
  test(`${domain}: what the root key of the vault said, and nothing else`, () => {
    const bytes = make(root, given);
    accept(bytes);
    checkSealed(domain, bytes, (altered) => accept(altered), full ? 8 : 1);
    assert.throws(() => accept(make(stranger, given)), { code: "format" }, "signed by another key");
    const elsewhere = vaultIdOf(stranger.publicKey);
    assert.throws(() => accept(make(root, { ...given, vault: elsewhere })), { code: "format" }, "of another vault");
    assert.throws(() => accept(bytes, elsewhere), { code: "format" }, "read as of another vault");
    assert.throws(() => accept(bytes, vault, stranger.publicKey), { code: "format" }, "checked with another root key");
    const scope = bytes.subarray(0, -64);
    accept(Buffer.concat([scope, sign(root, domain, scope)]));
    for (const other of ["certify record", "succeed record", "revoke record", "certificate", "record"])
      if (other !== domain)
        assert.throws(() => accept(Buffer.concat([scope, sign(root, other, scope)])), { code: "format" }, other);
  });

test("no statement passes for one of another kind", () => {
  for (const from of kinds)
    for (const to of kinds) if (from !== to) assert.throws(() => to.accept(from.make(root, given)), Problem);
  // The one log of this succeed reads as field 9, 39 bytes long, of a certify: only the domain tells them apart.
  const log = Buffer.concat([Buffer.from([9, 39]), random(30)]);
  const twoFaced = signSucceed(root, { ...given, fields: [], certificate, logs: [{ log, seq: 7n }] });
  checkSucceed(twoFaced, vault, root.publicKey);
  const asCertify = decodeCertify(encodeSucceed(twoFaced));
  assert.equal(asCertify.fields[0]?.bytes.length, 39);
  assert.throws(() => checkCertify(asCertify, vault, root.publicKey), { code: "format" });
});

test("1,024 logs are read, one more is refused", () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => ({ log: random(32), seq: BigInt(i) }));
  const revoke = (count: number) => signRevoke(root, { ...given, device: device.publicKey, logs: many(count) });
  const most = revoke(1024);
  assert.deepEqual(decodeRevoke(encodeRevoke(most)), most);
  assert.throws(() => decodeRevoke(encodeRevoke(revoke(1025))), { code: "format" });
});

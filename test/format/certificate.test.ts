/** Certificates: the root key's word, and nobody else's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Reader, Writer } from "../../src/base/bytes.js";
import {
  type Certificate,
  certify,
  checkCertificate,
  readCertificate,
  rights,
  writeCertificate,
} from "../../src/format/certificate.js";
import { vaultIdOf } from "../../src/format/keys.js";
import { sign, signingKeyOf } from "../../src/format/sign.js";
import { checkPlain, checkSealed } from "../support/strict.js";
import { certificateArbitrary, full, randomOf, samplesOf, smallOrderKeys } from "./given.js";

const random = randomOf("certificate");
const root = signingKeyOf(random(32));
const device = signingKeyOf(random(32));

function encode(certificate: Certificate): Buffer {
  const to = new Writer();
  writeCertificate(to, certificate);
  return to.finish();
}

function decode(bytes: Uint8Array): Certificate {
  const from = new Reader(bytes, "certificate");
  const certificate = readCertificate(from);
  from.end();
  return certificate;
}

test("what the root key certified is accepted", () => {
  for (const [mayDo, issued] of [
    [0, 0n],
    [rights.write, -1n],
    [rights.write | rights.administer, 1_700_000_000_000_000_000n],
    [0xffff_ffff, (1n << 63n) - 1n],
  ] as const) {
    const certificate = certify(root, device.publicKey, mayDo, issued);
    checkCertificate(certificate, root.publicKey);
    assert.deepEqual(decode(encode(certificate)), certificate);
    assert.deepEqual(certificate.vault, vaultIdOf(root.publicKey));
  }
});

test("as bytes it is read strictly", () => {
  const own = [0n, -77n, 1_700_000_000_000_000_000n].map((issued, i) =>
    certify(root, device.publicKey, i * 300, issued),
  );
  const samples = [...own, ...samplesOf(certificateArbitrary, 4)];
  checkPlain("certificate", { encode, decode, samples });
});

test("every altered bit is refused", () => {
  const bytes = encode(certify(root, device.publicKey, rights.write, 1_700_000_000_000_000_000n));
  checkSealed("certificate", bytes, (altered) => checkCertificate(decode(altered), root.publicKey), full ? 8 : 2);
});

test("one of another root, for another vault or in another domain is refused", () => {
  const other = signingKeyOf(random(32));
  const certificate = certify(other, device.publicKey, rights.write, 1n);
  assert.throws(() => checkCertificate(certificate, root.publicKey), { code: "format" });
  assert.throws(() => checkCertificate({ ...certificate, vault: vaultIdOf(root.publicKey) }, root.publicKey), {
    code: "format",
  });
  const own = certify(root, device.publicKey, rights.write, 1n);
  const signed = encode(own).subarray(0, -64);
  checkCertificate({ ...own, signature: sign(root, "certificate", signed) }, root.publicKey);
  assert.throws(() => checkCertificate({ ...own, signature: sign(root, "record", signed) }, root.publicKey), {
    code: "format",
  });
  assert.throws(() => checkCertificate({ ...own, signature: sign(device, "certificate", signed) }, root.publicKey), {
    code: "format",
  });
});

test("a device key of small order is never certified, and refused where a root did", () => {
  for (const key of smallOrderKeys.slice(0, 8)) {
    assert.throws(() => certify(root, key, rights.write, 1n), { code: "format" });
    const body = { vault: vaultIdOf(root.publicKey), device: key, rights: rights.write, issued: 1n, fields: [] };
    const signed = encode({ ...body, signature: Buffer.alloc(0) });
    const certificate = { ...body, signature: sign(root, "certificate", signed) };
    assert.throws(() => checkCertificate(certificate, root.publicKey), { code: "format" });
  }
});

test("suite and fields are signed too; another suite is refused before anything else", () => {
  const own = certify(root, device.publicKey, rights.write, 1n);
  const bytes = encode(own);
  assert.equal(bytes[0], 1);
  bytes[0] = 2;
  assert.throws(() => decode(bytes), { code: "format" });
  const fields = [{ number: 7, bytes: Buffer.from("site") }];
  assert.throws(() => checkCertificate({ ...own, fields }, root.publicKey), { code: "format" });
  const signed = encode({ ...own, fields }).subarray(0, -64);
  const grown = { ...own, fields, signature: sign(root, "certificate", signed) };
  checkCertificate(decode(encode(grown)), root.publicKey);
  const suiteless = sign(root, "certificate", encode(own).subarray(1, -64));
  assert.throws(() => checkCertificate({ ...own, signature: suiteless }, root.publicKey), { code: "format" });
});

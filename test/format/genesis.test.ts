/** The first record of a log. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type fc from "fast-check";
import { certify, checkCertificate, rights } from "../../src/format/certificate.js";
import { decodeGenesis, encodeGenesis, type GenesisBody } from "../../src/format/genesis.js";
import { signingKeyOf } from "../../src/format/sign.js";
import { checkPlain } from "../support/strict.js";
import {
  bytesArbitrary,
  certificateArbitrary,
  fieldsArbitrary,
  idArbitrary,
  maybe,
  randomOf,
  record,
  samplesOf,
  u64,
} from "./given.js";

const random = randomOf("genesis");

test("it is read strictly", () => {
  const body: fc.Arbitrary<GenesisBody> = record({
    certificate: certificateArbitrary,
    rootPublic: idArbitrary,
    random: bytesArbitrary(16),
    predecessor: maybe(record({ log: idArbitrary, seq: u64, id: idArbitrary })),
    fields: fieldsArbitrary,
  });
  checkPlain("genesis", { encode: encodeGenesis, decode: decodeGenesis, samples: samplesOf(body, 6) });
});

test("it carries a certificate that checks from the log alone", () => {
  const root = signingKeyOf(random(32));
  const own = certify(root, signingKeyOf(random(32)).publicKey, rights.write, 1n);
  const body = { certificate: own, rootPublic: root.publicKey, random: random(16), predecessor: undefined, fields: [] };
  const read = decodeGenesis(encodeGenesis(body));
  assert.deepEqual(read, body);
  checkCertificate(read.certificate, read.rootPublic);
});

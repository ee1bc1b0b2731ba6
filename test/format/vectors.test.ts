/** The frozen vectors: read as they were written, refused where they must be, and made again to the byte. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { ed25519 } from "@noble/curves/ed25519.js";
import { blake3 as reference } from "@noble/hashes/blake3.js";
import { Reader } from "../../src/base/bytes.js";
import { Problem, type ProblemCode } from "../../src/base/errors.js";
import { format } from "../../src/base/limits.js";
import { open, seal } from "../../src/format/aead.js";
import { blake3, blake3Derive } from "../../src/format/blake3.js";
import { decodeAuthor } from "../../src/format/author.js";
import { capabilityOf, linkScope } from "../../src/format/capability.js";
import { openDevicePart, openRootPart, readDevicePart, readRootPart } from "../../src/format/capsule.js";
import { checkCertificate, readCertificate } from "../../src/format/certificate.js";
import { decodeRecords, encodeRecords } from "../../src/format/checkpoint.js";
import { coopEpochId, coopTopic, decodeEpoch, openEpochBox } from "../../src/format/coop.js";
import { openFrame } from "../../src/format/frame.js";
import { hashOf, keyedHash } from "../../src/format/hash.js";
import { decodeInvite, encodeInvite } from "../../src/format/invite.js";
import { entropyOf, phraseKeys, phraseOf } from "../../src/format/keys.js";
import { verifyLeaves } from "../../src/format/leaves.js";
import { checkReceipt, decodeReceipt, encodeReceipt } from "../../src/format/receipt.js";
import { checkRecord, decodeRecord, openRecord, recordTypes } from "../../src/format/record.js";
import * as rootSigned from "../../src/format/root-signed.js";
import { decodeHeader, frameOffsets, SegmentReader, trailerBytes } from "../../src/format/segment.js";
import { sign, signingKeyOf, verify } from "../../src/format/sign.js";
import { counted, cutsOf, folderOf } from "../vectors/cuts.js";
import { allPlains, folder, frozen, makeAll, textOf } from "../vectors/make.js";
import { pattern } from "../vectors/sealed.js";
import { hex, plainly, unhex, type VectorFile } from "../vectors/shape.js";

// biome-ignore lint/suspicious/noExplicitAny: what stands in a file is known to its reader below only
type Any = any;
/** Read the bytes as the format's reader does and give what must equal the vector's input; throw a Problem to refuse. */
type Open = (bytes: Buffer, shared: Any, input: Any) => unknown;

/** An epoch, or a table of keys, from its hex. */
function keysOf(plain: Any): Any {
  return Object.fromEntries(
    Object.entries(plain).map(([name, value]) => [name, typeof value === "string" ? unhex(value) : value]),
  );
}

function refuse(code: ProblemCode = "damaged"): never {
  throw new Problem(code, "refused");
}

const openers: Readonly<Record<string, Open>> = {
  blake3: (bytes, { key, context }, { length }) => {
    const data = pattern(length);
    const secret = unhex(key);
    assert.deepEqual(bytes, hashOf(data));
    assert.deepEqual(bytes, blake3(data));
    assert.deepEqual(bytes, Buffer.from(reference(data)));
    assert.deepEqual(keyedHash(secret, data), Buffer.from(reference(data, { key: secret })));
    return { length, keyed: hex(blake3(data, secret)), derived: hex(blake3Derive(context, data)) };
  },
  leaves: (bytes, { length, name }, input) => {
    const { first, last } = input ?? { first: 1, last: 2 };
    const proof = Array.from({ length: bytes.length / 32 }, (_, i) => bytes.subarray(i * 32, i * 32 + 32));
    const end = Math.min((last + 1) * format.leafBytes, length);
    verifyLeaves(unhex(name), length, first, pattern(length).subarray(first * format.leafBytes, end), proof);
    return input;
  },
  box: (bytes, _shared, input) => {
    const { key, context } = input ?? boxInput;
    const plain = open(unhex(key), unhex(context), bytes, "box");
    const nonce = bytes.subarray(0, 24);
    assert.deepEqual(seal(unhex(key), nonce, unhex(context), plain), bytes);
    const expected = xchacha20poly1305(unhex(key), nonce, unhex(context)).encrypt(plain);
    assert.deepEqual(bytes.subarray(24), Buffer.from(expected));
    return { key, nonce: hex(nonce), context, plain: hex(plain) };
  },
  signature: (bytes, shared, input) => {
    const { domain, message } = input ?? shared;
    const [publicKey, signature] = [bytes.subarray(0, 32), bytes.subarray(32)];
    if (!verify(publicKey, domain, unhex(message), signature)) refuse();
    const label = Buffer.from(`bcoopfs v1 ${domain}`);
    const scoped = Buffer.concat([Buffer.from([label.length]), label, unhex(message)]);
    assert.deepEqual(signature, Buffer.from(ed25519.sign(scoped, unhex(input.seed))));
    assert.deepEqual(signature, sign(signingKeyOf(unhex(input.seed)), domain, unhex(message)));
    return input;
  },
  phrase: (bytes) => {
    const entropy = entropyOf(bytes.toString());
    assert.equal(phraseOf(entropy), bytes.toString());
    const { topic, slot, recoveryPublic, capsuleKey } = phraseKeys(entropy);
    return plainly({ entropy, topic, slotPublic: slot.publicKey, recoveryPublic, capsuleKey });
  },
  certificate: (bytes, { rootPublic }) => {
    const from = new Reader(bytes, "certificate");
    const certificate = readCertificate(from);
    from.end();
    checkCertificate(certificate, unhex(rootPublic));
    return plainly(certificate);
  },
  "capsule-root": (bytes, { entropy }) => {
    const part = readRootPart(bytes);
    return plainly({ ...openRootPart(phraseKeys(unhex(entropy)), part), topic: part.topic });
  },
  "capsule-device": (bytes, { entropy, rootPublic }) =>
    plainly(openDevicePart(phraseKeys(unhex(entropy)), readDevicePart(bytes, unhex(rootPublic)))),
  "body-certify": (bytes, { vault, rootPublic }) => {
    const body = rootSigned.decodeCertify(bytes);
    rootSigned.checkCertify(body, unhex(vault), unhex(rootPublic));
    assert.deepEqual(rootSigned.encodeCertify(body), bytes);
    return plainly(body);
  },
  "body-succeed": (bytes, { vault, rootPublic }) => {
    const body = rootSigned.decodeSucceed(bytes);
    rootSigned.checkSucceed(body, unhex(vault), unhex(rootPublic));
    assert.deepEqual(rootSigned.encodeSucceed(body), bytes);
    return plainly(body);
  },
  "body-revoke": (bytes, { vault, rootPublic }) => {
    const body = rootSigned.decodeRevoke(bytes);
    rootSigned.checkRevoke(body, unhex(vault), unhex(rootPublic));
    assert.deepEqual(rootSigned.encodeRevoke(body), bytes);
    return plainly(body);
  },
  "kept-records": (bytes) => {
    const all = decodeRecords(bytes);
    assert.deepEqual(encodeRecords(all), bytes);
    for (const each of all) decodeRecord(each);
    return plainly(all);
  },
  frame: (bytes, { key, header, number, raw }) => {
    const opened = openFrame(unhex(key), unhex(header), number, raw.length / 2, bytes);
    assert.equal(hex(opened.raw), raw);
    return plainly({ hints: opened.hints });
  },
  segment: (bytes, shared) => {
    const header = decodeHeader(bytes);
    const reader = new SegmentReader(header, keysOf(shared.epoch));
    assert.equal(hex(header.vault), shared.vault);
    assert.equal(hex(hashOf(bytes)), shared.name);
    const place = reader.footerPlace(bytes.subarray(-trailerBytes), bytes.length);
    const table = reader.table(bytes.subarray(place.offset, place.offset + place.bytes), place);
    const raws = table.frames.map(({ boxBytes, rawBytes }, i) => {
      const at = frameOffsets(table)[i] as number;
      return reader.frame(i, rawBytes, bytes.subarray(at, at + boxBytes)).raw;
    });
    assert.equal(hex(Buffer.concat(raws)), shared.chunks.join(""));
    return plainly(table);
  },
  record: (bytes, shared) => {
    const record = decodeRecord(bytes);
    checkRecord(record, unhex(shared.device));
    const { type, seq, time, id, log, previous, clear } = record;
    return plainly({ type, seq, time, id, log, previous, clear, secret: openRecord(record, keysOf(shared.epoch)) });
  },
  receipt: (bytes) => {
    const receipt = decodeReceipt(bytes);
    checkReceipt(receipt);
    assert.deepEqual(encodeReceipt(receipt), bytes);
    return plainly(receipt);
  },
  invite: (bytes) => {
    const invite = decodeInvite(bytes);
    assert.deepEqual(decodeInvite(Buffer.from(encodeInvite(invite))), invite);
    return plainly(invite);
  },
  capability: (bytes, shared, input) => {
    const { key, epochId, topic } = keysOf(shared);
    assert.deepEqual([coopTopic(key), coopEpochId(key)], [topic, epochId]);
    const { initiator } = input ?? { initiator: true };
    if (!capabilityOf(key, epochId, initiator, keysOf(shared)).equals(bytes)) refuse("refused");
    return { initiator, scope: hex(linkScope(initiator, keysOf(shared))) };
  },
  "epoch-box": (bytes, { seeds }, input) => {
    const device = signingKeyOf(unhex(input?.seed ?? seeds[0]));
    const body = decodeEpoch(bytes);
    const key = openEpochBox(body, device) ?? refuse("refused");
    return plainly({ seed: device.seed, device: device.publicKey, key, id: body.id });
  },
  "coop-record": (bytes, shared, input) => {
    const record = decodeRecord(bytes);
    const { type, seq, vault, id, log, previous, clear } = record;
    const device = type === recordTypes.found ? decodeAuthor(record).device : unhex(input.device);
    checkRecord(record, device);
    assert.equal(hex(vault), input === undefined ? hex(vault) : shared.coop);
    return plainly({ device, type, seq, vault, id, log, previous, clear });
  },
  split: (bytes, _shared, input) => {
    const data = input.zeros ? Buffer.alloc(input.length) : counted(input.length);
    assert.deepEqual(numbers(bytes), cutsOf(data, unhex(input.key), input.average));
    return input;
  },
  folder: (bytes, { markKey, idKey }, { count }) => {
    const { root, sizes } = folderOf(count, unhex(markKey), unhex(idKey));
    assert.deepEqual(numbers(bytes), sizes);
    return { count, root };
  },
};

function numbers(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32LE(i * 4));
}

for (const { name, decode, encode } of allPlains)
  (openers as Record<string, Open>)[name] = (bytes) => {
    const value = decode(bytes);
    assert.deepEqual(encode(value), bytes, "encodes to the same bytes");
    return plainly(value);
  };

const files = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .map((name): VectorFile => JSON.parse(frozen(name.slice(0, -5)) as string));
const boxInput: Any = files.find((file) => file.format === "box")?.vectors[0]?.input;

for (const file of files)
  test(`${file.format}: ${file.vectors.length} read, ${file.hostile.length} refused`, () => {
    const reader = openers[file.format];
    assert.ok(reader !== undefined && file.vectors.length > 0);
    for (const { what, input, bytes } of file.vectors)
      assert.deepEqual(reader(unhex(bytes), file.shared, input), input, what);
    for (const { why, bytes, code } of file.hostile)
      assert.throws(
        () => reader(unhex(bytes), file.shared, undefined),
        (error) => error instanceof Problem && error.code === code,
        why,
      );
  });

test("made again, the vectors are the frozen ones, and none is left over", () => {
  const made = makeAll();
  for (const file of made)
    assert.ok(frozen(file.format) === textOf(file), `${file.format}.json differs: has the format changed?`);
  assert.deepEqual(made.map((file) => file.format).sort(), files.map((file) => file.format).sort());
});

/** Vectors of hashing, sealing and signing, and of everything that is sealed or signed. Nonces and salts are given. */
import { blake3 } from "@noble/hashes/blake3.js";
import { Writer } from "../../src/base/bytes.js";
import { format } from "../../src/base/limits.js";
import { seal } from "../../src/format/aead.js";
import { type RootSecrets, sealDevicePart, sealRootPart } from "../../src/format/capsule.js";
import { certify, rights, writeCertificate } from "../../src/format/certificate.js";
import { type Fields, writeFields } from "../../src/format/fields.js";
import { boxContext, boxTypes, sealFrame } from "../../src/format/frame.js";
import { encodeRecords } from "../../src/format/checkpoint.js";
import { derive } from "../../src/format/hash.js";
import {
  newConstants,
  newEpoch,
  phraseKeys,
  phraseOf,
  vaultIdOf,
  writeConstants,
  writeEpoch,
} from "../../src/format/keys.js";
import { NameHasher, proofOf } from "../../src/format/leaves.js";
import { type RecordDraft, recordTypes, sealRecord } from "../../src/format/record.js";
import {
  encodeCertify,
  encodeRevoke,
  encodeSucceed,
  signCertify,
  signRevoke,
  signSucceed,
} from "../../src/format/root-signed.js";
import { SegmentBuilder } from "../../src/format/segment.js";
import { sign, signingKeyOf } from "../../src/format/sign.js";
import { randomOf, smallOrderKeys } from "../format/given.js";
import { changed, type Hostile, hex, plainly, type VectorFile } from "./shape.js";

/** Byte i is i mod 251: the input of the vectors of BLAKE3 itself. */
export function pattern(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => i % 251));
}

/** Each its own stream, so that a new vector changes no old one. */
const fixed = (label: string): ((length: number) => Buffer) => randomOf(label, "frozen");
const key = fixed("key")(32);
const context = "bcoopfs v1 vector";

function damaged(why: string, bytes: string, code: Hostile["code"] = "damaged"): Hostile {
  return { why, bytes, code };
}

function hashing(): VectorFile {
  const lengths = [0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 65_535, 65_536, 65_537, 131_072, 200_000];
  return {
    format: "blake3",
    what: "byte i of the input is i mod 251; `bytes` is the hash; keyed with `key`; derived from the input for `context`",
    shared: { key: hex(key), context },
    vectors: lengths.map((length) => {
      const data = pattern(length);
      const derived = blake3(data, { context: Buffer.from(context) });
      const input = { length, keyed: hex(blake3(data, { key })), derived: hex(derived) };
      return { what: `${length} bytes`, input, bytes: hex(blake3(data)) };
    }),
    hostile: [],
  };
}

function ranges(): VectorFile {
  const length = 5 * format.leafBytes - 100;
  const hasher = new NameHasher();
  hasher.update(pattern(length));
  const { name, leaves } = hasher.finish();
  const range = (first: number, last: number) => ({
    what: `leaves ${first} to ${last}`,
    input: { first, last },
    bytes: hex(Buffer.concat(proofOf(leaves, first, last))),
  });
  const proof = Buffer.concat(proofOf(leaves, 1, 2));
  return {
    format: "leaves",
    what: "an object whose byte i is i mod 251; `bytes` is the proof of a range of 64 KiB leaves: values of 32 bytes",
    shared: { length, name: hex(name), leaves: leaves.map(hex) },
    vectors: [range(0, 0), range(1, 2), range(4, 4), range(0, 4), range(3, 4)],
    hostile: [
      damaged("as the proof of leaves 1 to 2: a bit is flipped", changed(proof, 0, [proof[0]! ^ 1])),
      damaged(
        "as the proof of leaves 1 to 2: two values are swapped",
        hex(Buffer.concat([proof.subarray(32, 64), proof.subarray(0, 32), proof.subarray(64)])),
      ),
      damaged("as the proof of leaves 1 to 2: the last value is missing", hex(proof.subarray(0, -32))),
      damaged("as the proof of leaves 1 to 2: one value too many", hex(Buffer.concat([proof, proof.subarray(0, 32)]))),
    ],
  };
}

function sealing(): VectorFile {
  const random = fixed("box");
  const nonce = random(24);
  const box = seal(key, nonce, Buffer.from("context"), Buffer.from("plaintext"));
  const of = (plain: string, bound: string) => ({
    what: `${plain.length} bytes under ${bound.length} bytes of context`,
    input: { key: hex(key), nonce: hex(nonce), context: hex(Buffer.from(bound)), plain: hex(Buffer.from(plain)) },
    bytes: hex(seal(key, nonce, Buffer.from(bound), Buffer.from(plain))),
  });
  return {
    format: "box",
    what: "nonce 24 ‖ XChaCha20-Poly1305 ciphertext ‖ tag 16",
    vectors: [of("plaintext", "context"), of("", ""), of("x".repeat(100), ""), of("", "y".repeat(100))],
    hostile: [
      damaged("a bit of the nonce is flipped", changed(box, 0, [box[0]! ^ 1])),
      damaged("a bit of the ciphertext is flipped", changed(box, 24, [box[24]! ^ 1])),
      damaged("a bit of the tag is flipped", changed(box, -1, [box.at(-1)! ^ 1])),
      damaged("a byte is missing", hex(box.subarray(0, -1))),
      damaged("shorter than nonce and tag", hex(box.subarray(0, 39))),
      damaged("sealed under another context", hex(seal(key, nonce, Buffer.from("contexu"), Buffer.from("plaintext")))),
    ],
  };
}

function signing(): VectorFile {
  const random = fixed("signature");
  const signer = signingKeyOf(random(32));
  const message = Buffer.from("message");
  const signature = sign(signer, "record", message);
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const scalar = BigInt(`0x${hex(Buffer.from(signature.subarray(32)).reverse())}`);
  const unreduced = Buffer.from((scalar + order).toString(16).padStart(64, "0"), "hex").reverse();
  const all = (publicKey: Buffer): string => hex(Buffer.concat([publicKey, Buffer.from([1]), Buffer.alloc(63)]));
  const bad = (why: string, bytes: Uint8Array): Hostile => damaged(why, hex(Buffer.concat([signer.publicKey, bytes])));
  return {
    format: "signature",
    what: 'Ed25519 over u8 length ‖ "bcoopfs v1 " + domain ‖ message; `bytes` is public key 32 ‖ signature 64',
    shared: { message: hex(message), domain: "record" },
    vectors: ["record", "certificate"].map((domain) => ({
      what: `in the domain "${domain}"`,
      input: { seed: hex(signer.seed), domain, message: hex(message) },
      bytes: hex(Buffer.concat([signer.publicKey, sign(signer, domain, message)])),
    })),
    hostile: [
      bad("signed in another domain", sign(signer, "certificate", message)),
      bad("the scalar is not reduced", Buffer.concat([signature.subarray(0, 32), unreduced])),
      bad("all zero", Buffer.alloc(64)),
      ...smallOrderKeys.map((each) => damaged("a key of small order, whose signature fits every message", all(each))),
    ],
  };
}

function phrases(): VectorFile {
  const random = fixed("phrase");
  const entropies = [Buffer.alloc(32), Buffer.alloc(32, 0x7f), Buffer.alloc(32, 0xff), random(32)];
  const words = phraseOf(entropies[3] as Buffer).split(" ");
  const bad = (why: string, phrase: readonly string[]): Hostile => ({
    why,
    bytes: hex(Buffer.from(phrase.join(" "))),
    code: "phrase",
  });
  return {
    format: "phrase",
    what: "24 English words of BIP39, used as entropy; `bytes` is the text; the keys are derived by BLAKE3",
    vectors: entropies.map((entropy) => {
      const { topic, slot, recoveryPublic, capsuleKey } = phraseKeys(entropy);
      const input = plainly({ entropy, topic, slotPublic: slot.publicKey, recoveryPublic, capsuleKey });
      return { what: phraseOf(entropy), input, bytes: hex(Buffer.from(phraseOf(entropy))) };
    }),
    hostile: [
      bad("23 words", words.slice(1)),
      bad("25 words", [...words, "zoo"]),
      bad("a word that is not in the list", [...words.slice(1), "bcoopfs"]),
      bad("the checksum fails", Array<string>(24).fill("abandon")),
    ],
  };
}

const root = signingKeyOf(fixed("root key")(32));
const device = signingKeyOf(fixed("device key")(32));
const stranger = signingKeyOf(fixed("stranger key")(32));
const certificate = certify(root, device.publicKey, rights.write, 1_700_000_000_000_000_000n);

function certificates(): VectorFile {
  const encoded = (of: typeof certificate): Buffer => {
    const to = new Writer();
    writeCertificate(to, of);
    return to.finish();
  };
  const bytes = encoded(certificate);
  const small = { ...certificate, device: smallOrderKeys[4] as Buffer };
  const grown = { ...certificate, fields: [{ number: 7, bytes: Buffer.from("site") }] };
  const grownSigned = { ...grown, signature: sign(root, "certificate", encoded(grown).subarray(0, -64)) };
  const smallSigned = { ...small, signature: sign(root, "certificate", encoded(small).subarray(0, -64)) };
  return {
    format: "certificate",
    what: "suite u8 ‖ vault 32 ‖ device 32 ‖ rights varint ‖ issued zigzag varint ‖ fields ‖ signature 64 by the root key",
    shared: { root: hex(root.seed), rootPublic: hex(root.publicKey) },
    vectors: [
      { what: "a device that may write", input: plainly(certificate), bytes: hex(bytes) },
      {
        what: "with a field that this version does not know",
        input: plainly(grownSigned),
        bytes: hex(encoded(grownSigned)),
      },
    ],
    hostile: [
      damaged("suite 2", changed(bytes, 0, [2]), "format"),
      damaged("more rights than were signed", changed(bytes, 65, [3]), "format"),
      damaged("another device", changed(bytes, 33, [...stranger.publicKey]), "format"),
      damaged("a field that was not signed", changed(bytes, -65, [1, 7, 0], 1), "format"),
      damaged("an even field", changed(bytes, -65, [1, 8, 0], 1), "unsupported"),
      damaged(
        "signed by another key",
        hex(encoded({ ...certificate, signature: sign(stranger, "certificate", bytes.subarray(0, -64)) })),
        "format",
      ),
      damaged("the vault of another root key", hex(encoded(certify(stranger, device.publicKey, 1, 1n))), "format"),
      damaged("a device key of small order, well signed", hex(encoded(smallSigned)), "format"),
      damaged("a bit of the signature is flipped", changed(bytes, -1, [bytes.at(-1)! ^ 0x10]), "format"),
      damaged("the last byte is missing", hex(bytes.subarray(0, -1)), "format"),
      damaged("a byte follows", `${hex(bytes)}00`, "format"),
    ],
  };
}

const entropy = fixed("entropy")(32);
const phrase = phraseKeys(entropy);
const epoch = newEpoch(fixed("epoch of the sealed"), 1);
const vault = certificate.vault;

/** A root part as it was before it named the recovery topic: such parts are read for ever. */
function sealRootPartBare(
  of: typeof phrase,
  version: bigint,
  secrets: RootSecrets,
  random: (length: number) => Buffer,
) {
  const head = new Writer().raw(Buffer.from("BCOOPCR1")).u8(1).u64(version).raw(secrets.root.publicKey);
  head.raw(of.slot.publicKey).raw(of.recoveryPublic).varint(0);
  head.raw(derive("capsule commitment", of.capsuleKey, head.finish()));
  const bound = Buffer.from(head.finish());
  const body = new Writer().raw(secrets.root.seed);
  writeConstants(body, secrets.constants);
  writeEpoch(body, secrets.epoch);
  writeFields(body, secrets.fields);
  const part = new Writer().raw(bound).blob(seal(of.capsuleKey, random(24), bound, body.finish()));
  return part.raw(sign(secrets.root, "capsule root part", part.finish())).finish();
}

function rootParts(): VectorFile {
  const random = fixed("root part");
  const secrets = {
    root,
    constants: newConstants(random, 65_536),
    epoch,
    fields: [{ number: 3, bytes: Buffer.from("x") }],
  };
  const bytes = sealRootPartBare(phrase, 5n, secrets, random);
  const other = sealRootPartBare(phraseKeys(random(32)), 5n, secrets, random);
  const swapped = Buffer.concat([bytes.subarray(0, 114), other.subarray(114, -64)]);
  const named = sealRootPart(phrase, 6n, secrets, fixed("root part with topic"));
  return {
    format: "capsule-root",
    what: '"BCOOPCR1" ‖ suite ‖ version u64 ‖ root, slot and recovery public keys ‖ fields ‖ commitment 32 ‖ box ‖ signature of the root key',
    shared: { entropy: hex(entropy) },
    vectors: [
      { what: "version 5, opened by the phrase of this entropy", input: plainly(secrets), bytes: hex(bytes) },
      {
        what: "version 6, with the recovery topic in clear field 1 and the slot key's word for the root key in field 3",
        input: plainly({ ...secrets, topic: phrase.topic }),
        bytes: hex(named),
      },
    ],
    hostile: [
      damaged("sealed under another phrase", hex(other), "phrase"),
      damaged(
        "well signed, but the box of another phrase",
        hex(Buffer.concat([swapped, sign(root, "capsule root part", swapped)])),
        "phrase",
      ),
      damaged("another magic", changed(bytes, 0, [0]), "format"),
      damaged("suite 2", changed(bytes, 8, [2]), "format"),
      damaged("a higher version than was signed", changed(bytes, 9, [6]), "format"),
      damaged("a bit of the slot key is flipped", changed(bytes, 49, [bytes[49]! ^ 1]), "format"),
      damaged("an even clear field", changed(bytes, 113, [1, 2, 0], 1), "unsupported"),
      damaged("a bit of the box is flipped", changed(bytes, -65, [bytes.at(-65)! ^ 1]), "format"),
      damaged(
        "signed by another key",
        hex(Buffer.concat([bytes.subarray(0, -64), sign(stranger, "capsule root part", bytes.subarray(0, -64))])),
        "format",
      ),
      damaged("the last byte is missing", hex(bytes.subarray(0, -1)), "format"),
      damaged("a byte follows", `${hex(bytes)}00`, "format"),
    ],
  };
}

/** magic, suite and a certificate without fields stand before it */
const deviceVersionAt = 8 + 1 + (1 + 32 + 32 + 1 + 9 + 1 + 64);

function deviceParts(): VectorFile {
  const random = fixed("device part");
  const secrets = {
    epochs: [newEpoch(random, 2)],
    coops: [{ id: random(32), key: random(32) }],
    bootstrap: ["node.example.org:49737"],
    peers: [random(32)],
    fields: [],
  };
  const part = (by: typeof device, of: typeof certificate, to = phrase.recoveryPublic): Buffer =>
    sealDevicePart(by, of, to, 7n, secrets, random);
  const bytes = part(device, certificate);
  const body = bytes.subarray(0, -64);
  return {
    format: "capsule-device",
    what: '"BCOOPCD1" ‖ suite ‖ certificate ‖ version u64 ‖ ephemeral key 32 ‖ fields ‖ commitment 32 ‖ box ‖ signature of the device',
    shared: { entropy: hex(entropy), rootPublic: hex(root.publicKey) },
    vectors: [{ what: "version 7", input: plainly(secrets), bytes: hex(bytes) }],
    hostile: [
      damaged(
        "by a device that another root key certified",
        hex(part(stranger, certify(signingKeyOf(random(32)), stranger.publicKey, 1, 1n))),
        "format",
      ),
      damaged("by a device with the certificate of another", hex(part(stranger, certificate)), "format"),
      damaged(
        "signed in the domain of root parts",
        hex(Buffer.concat([body, sign(device, "capsule root part", body)])),
        "format",
      ),
      damaged(
        "sealed to another recovery key",
        hex(part(device, certificate, phraseKeys(random(32)).recoveryPublic)),
        "phrase",
      ),
      damaged("a higher version than was signed", changed(bytes, deviceVersionAt, [8]), "format"),
      damaged("an even clear field", changed(bytes, deviceVersionAt + 8 + 32, [1, 2, 0], 1), "unsupported"),
      damaged("a byte follows", `${hex(bytes)}00`, "format"),
    ],
  };
}

const about: { vault: Buffer; serial: bigint; fields: Fields } = { vault, serial: 3n, fields: [] };
const logs = [{ log: fixed("log")(32), seq: (1n << 64n) - 1n }];

/** One kind of statement by the root key, well signed and in every way that a reader must refuse. */
function statementFile(
  name: string,
  what: string,
  make: (by: typeof root, of: typeof about) => { readonly input: unknown; readonly bytes: Buffer },
  others: readonly string[],
): VectorFile {
  const { input, bytes } = make(root, about);
  const grown = make(root, { ...about, fields: [{ number: 9, bytes: Buffer.from("why") }] });
  const scope = bytes.subarray(0, -64);
  const bad = (why: string, of: Uint8Array, code: Hostile["code"] = "format"): Hostile => damaged(why, hex(of), code);
  return {
    format: `body-${name}`,
    what: `vault 32 ‖ serial u64 ‖ ${what} ‖ fields ‖ signature 64 by the root key over all before it, domain "${name} record"`,
    shared: { vault: hex(vault), root: hex(root.seed), rootPublic: hex(root.publicKey) },
    vectors: [
      { what: "statement number 3", input: plainly(input), bytes: hex(bytes) },
      { what: "with a field that this version does not know", input: plainly(grown.input), bytes: hex(grown.bytes) },
    ],
    hostile: [
      ...others.map((domain) =>
        bad(`signed in the domain "${domain}"`, Buffer.concat([scope, sign(root, domain, scope)])),
      ),
      bad(
        "of another vault, signed by this root key",
        make(root, { ...about, vault: vaultIdOf(stranger.publicKey) }).bytes,
      ),
      bad(
        "of another vault and its root key",
        make(stranger, { ...about, vault: vaultIdOf(stranger.publicKey) }).bytes,
      ),
      bad("signed by another key", make(stranger, about).bytes),
      damaged("another serial than was signed", changed(bytes, 32, [4]), "format"),
      damaged("a bit of the vault is flipped", changed(bytes, 0, [bytes[0]! ^ 1]), "format"),
      damaged("a bit of the statement is flipped", changed(bytes, -70, [bytes.at(-70)! ^ 1]), "format"),
      damaged("a bit of the signature is flipped", changed(bytes, -1, [bytes.at(-1)! ^ 0x10]), "format"),
      damaged("an even field", changed(bytes, -65, [1, 2, 0], 1), "unsupported"),
      bad("the last byte is missing", bytes.subarray(0, -1)),
      damaged("a byte follows", `${hex(bytes)}00`, "format"),
    ],
  };
}

const certifying = (): VectorFile =>
  statementFile(
    "certify",
    "certificate",
    (by, of) => {
      const input = signCertify(by, { ...of, certificate });
      return { input, bytes: encodeCertify(input) };
    },
    ["succeed record", "certificate", "record"],
  );

const succeeding = (): VectorFile =>
  statementFile(
    "succeed",
    "certificate ‖ count ‖ { log 32 ‖ seq u64 }",
    (by, of) => {
      const input = signSucceed(by, { ...of, certificate, logs });
      return { input, bytes: encodeSucceed(input) };
    },
    ["certify record", "revoke record"],
  );

const revoking = (): VectorFile =>
  statementFile(
    "revoke",
    "device 32 ‖ count ‖ { log 32 ‖ seq u64 }",
    (by, of) => {
      const input = signRevoke(by, { ...of, device: device.publicKey, logs });
      return { input, bytes: encodeRevoke(input) };
    },
    ["succeed record", "certify record"],
  );

function keptRecords(): VectorFile {
  const random = fixed("kept records");
  const draft = (seq: bigint, secret: string): RecordDraft => ({
    type: recordTypes.note,
    vault,
    log: random(32),
    seq,
    previous: random(32),
    time: seq,
    clear: Buffer.alloc(0),
    secret: Buffer.from(secret),
  });
  const all = [1n, 2n].map((seq) => sealRecord(draft(seq, `note ${seq}`), epoch, device, random).bytes);
  const bytes = encodeRecords(all);
  return {
    format: "kept-records",
    what: "whole records, each behind its length as varint: what a checkpoint keeps of those before it",
    vectors: [
      { what: "two records", input: plainly(all), bytes: hex(bytes) },
      { what: "none", input: [], bytes: "" },
    ],
    hostile: [
      damaged("the last byte is missing", hex(bytes.subarray(0, -1)), "format"),
      damaged("a length that nothing follows", `${hex(bytes)}01`, "format"),
      damaged("65,537 bytes announced", "818004", "format"),
      damaged("a length that is not in its shortest form", `8100${hex(bytes.subarray(0, 1))}`, "format"),
    ],
  };
}

function frames(): VectorFile {
  const random = fixed("frame");
  const header = random(112);
  const raw = Buffer.alloc(500, "frames are compressed once and sealed once. ");
  const hints = [
    { count: 2, salt: random(32) },
    { count: 1, salt: undefined },
  ];
  const shared = { key: hex(key), header: hex(header), number: 3, raw: hex(raw) };
  const box = sealFrame(key, header, 3, raw, hints, random);
  const payload = (plain: Buffer): string =>
    hex(seal(key, random(24), boxContext(header, 3, boxTypes.frame, raw.length, plain.length + 40), plain));
  return {
    format: "frame",
    what: "box of { codec u8 ‖ hints blob ‖ body }, bound to header ‖ number u32 ‖ 1 u8 ‖ raw bytes u32 ‖ box bytes u32",
    shared,
    vectors: [
      { what: "zstd, with hints", input: plainly({ hints }), bytes: hex(box) },
      { what: "raw, without", input: { hints: [] }, bytes: payload(Buffer.concat([Buffer.from([0, 0]), raw])) },
    ],
    hostile: [
      damaged("a bit is flipped", changed(box, 30, [box[30]! ^ 1])),
      damaged("sealed as frame 2", hex(sealFrame(key, header, 2, raw, hints, random))),
      damaged("sealed in another segment", hex(sealFrame(key, random(112), 3, raw, hints, random))),
      damaged("sealed under another key", hex(sealFrame(random(32), header, 3, raw, hints, random))),
      damaged("codec 2", payload(Buffer.concat([Buffer.from([2, 0]), raw])), "format"),
      damaged("one byte less than declared", payload(Buffer.concat([Buffer.from([0, 0]), raw.subarray(1)])), "format"),
      damaged("one byte more than declared", payload(Buffer.concat([Buffer.from([0, 0, 0]), raw])), "format"),
      damaged("zstd that is none", payload(Buffer.concat([Buffer.from([1, 0]), raw]))),
      damaged(
        "a zstd frame of 1,000 zero bytes where 500 are declared",
        payload(Buffer.from("010028b52ffd6068024d000010000001005b03040a", "hex")),
      ),
      damaged("hints of two salts cut short", payload(Buffer.from([0, 3, 2, 1, 1])), "format"),
    ],
  };
}

function segments(): VectorFile {
  const random = fixed("segment");
  const builder = new SegmentBuilder(vault, epoch, "metadata", random);
  const chunk = (length: number) => ({ type: "tree" as const, id: random(32), bytes: random(length) });
  const [one, two] = [[chunk(300), chunk(20)], [chunk(500)]];
  const boxes = [builder.frame(one, [{ count: 3, salt: random(32) }]), builder.frame(two, [])];
  const { tail, name, table } = builder.finish();
  const bytes = Buffer.concat([builder.header, ...boxes, tail]);
  const header = builder.header;
  const chunks = [...one, ...two].map((each) => each.bytes);
  return {
    format: "segment",
    what: "header 112 ‖ frames ‖ footer ‖ trailer 84; named by BLAKE3. The hostile ones are headers",
    shared: plainly({ epoch, vault, name, chunks }),
    vectors: [{ what: "a metadata segment of two frames and three chunks", input: plainly(table), bytes: hex(bytes) }],
    hostile: [
      damaged("another magic", changed(header, 0, [0]), "format"),
      damaged("format 2", changed(header, 8, [2]), "unsupported"),
      damaged("suite 2", changed(header, 9, [2]), "unsupported"),
      damaged("kind 3", changed(header, 10, [3]), "format"),
      damaged("sealed to a public key", changed(header, 11, [1]), "unsupported"),
      damaged("kind 1, with the commitment of kind 2", changed(header, 10, [1])),
      damaged("another salt", changed(header, 48, [header[48]! ^ 1])),
      damaged("another vault", changed(header, 16, [header[16]! ^ 1])),
      damaged("another commitment", changed(header, 111, [header[111]! ^ 1])),
      damaged("a byte is missing", hex(header.subarray(0, -1)), "format"),
    ],
  };
}

function records(): VectorFile {
  const random = fixed("record");
  const first: RecordDraft = {
    type: recordTypes.genesis,
    vault,
    log: undefined,
    seq: 0n,
    previous: undefined,
    time: 1_700_000_000_000_000_000n,
    clear: Buffer.from("clear"),
    secret: Buffer.alloc(0),
  };
  const genesis = sealRecord(first, epoch, device, random);
  const draft: RecordDraft = {
    ...first,
    type: recordTypes.note,
    log: genesis.id,
    seq: 1n,
    previous: genesis.id,
    time: first.time + 1n,
    clear: Buffer.alloc(0),
    secret: Buffer.from("secret"),
  };
  const note = sealRecord(draft, epoch, device, random);
  const { bytes } = note;
  const of = (what: string, { type, seq, time, id, log, previous, clear }: typeof note, secret: Uint8Array) => ({
    what,
    input: plainly({ type, seq, time, id, log, previous, clear, secret }),
  });
  return {
    format: "record",
    what: "header 168 ‖ clear body ‖ sealed body ‖ signature 64; see src/format/record.ts",
    shared: plainly({ epoch, vault, device: device.publicKey }),
    vectors: [
      { ...of("a genesis", genesis, first.secret), bytes: hex(genesis.bytes) },
      { ...of("a sealed record that follows it", note, draft.secret), bytes: hex(bytes) },
    ],
    hostile: [
      damaged("another magic", changed(bytes, 0, [0]), "format"),
      damaged("format 2", changed(bytes, 8, [2]), "unsupported"),
      damaged("suite 2", changed(bytes, 9, [2]), "unsupported"),
      damaged("a genesis that is not the first", changed(bytes, 10, [1, 0]), "format"),
      damaged("the first that is no genesis", changed(bytes, 80, [0]), "format"),
      damaged("a byte of the reserve is used", changed(bytes, 136, [1]), "format"),
      damaged("4 GiB of clear body announced", changed(bytes, 128, [255, 255, 255, 255]), "format"),
      damaged("4 GiB of sealed body announced", changed(bytes, 132, [255, 255, 255, 255]), "format"),
      damaged("the sealed body shifted into the clear one", changed(bytes, 128, [1, 0, 0, 0, 45])),
      damaged("another time", changed(bytes, 120, [bytes[120]! ^ 2])),
      damaged("a bit of the sealed body is flipped", changed(bytes, 170, [bytes[170]! ^ 1])),
      damaged(
        "signed in another domain",
        hex(Buffer.concat([bytes.subarray(0, -64), sign(device, "certificate", bytes.subarray(0, -64))])),
      ),
      damaged("the last byte is missing", hex(bytes.subarray(0, -1)), "format"),
      damaged("a byte follows", `${hex(bytes)}00`, "format"),
    ],
  };
}

export function sealedFiles(): VectorFile[] {
  return [
    hashing,
    ranges,
    sealing,
    signing,
    phrases,
    certificates,
    rootParts,
    deviceParts,
    certifying,
    succeeding,
    revoking,
    keptRecords,
    frames,
    segments,
    records,
  ].map((make) => make());
}

/** Vectors of all that a coop adds: its records, invites, receipts, capabilities and the messages of a link. */
import { capabilityOf, linkScope } from "../../src/format/capability.js";
import { certify, rights } from "../../src/format/certificate.js";
import * as coop from "../../src/format/coop.js";
import { encodeInvite, type Invite, makeInvite, redeemOf, readRedeem, writeRedeem } from "../../src/format/invite.js";
import { vaultIdOf } from "../../src/format/keys.js";
import * as messages from "../../src/format/message.js";
import { encodeReceipt, signReceipt } from "../../src/format/receipt.js";
import { recordTypes, signRecord } from "../../src/format/record.js";
import { sign, signingKeyOf } from "../../src/format/sign.js";
import { randomOf, smallOrderKeys } from "../format/given.js";
import { type Plain, whole } from "./plain.js";
import { changed, type Hostile, hex, plainly, type VectorFile } from "./shape.js";

/** Each its own stream, so that a new vector changes no old one. */
const fixed = (label: string, length: number): Buffer => randomOf(`coop ${label}`, "frozen")(length);
const [low, high] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const root = signingKeyOf(fixed("root", 32));
const device = signingKeyOf(fixed("device", 32));
const stranger = signingKeyOf(fixed("stranger", 32));
const certificate = certify(root, device.publicKey, rights.write | rights.administer, 1_700_000_000_000_000_000n);
const key = fixed("key", 32);
const time = 1_700_000_000_000_000_000n;
const fields = [{ number: 5, bytes: Buffer.from("x") }];

const found: coop.FoundBody = {
  device: device.publicKey,
  certificate,
  rootPublic: root.publicKey,
  random: fixed("random", 16),
  name: "attic",
  epochId: coop.coopEpochId(key),
  fields: [],
};
const member: coop.MemberBody = {
  serial: 3n,
  device: stranger.publicKey,
  vault: low,
  role: coop.roles.member,
  label: "läptop",
  quota: 1n << 40n,
  token: high,
  fields: [],
};
const sealed = coop.sealEpoch(key, [device.publicKey, stranger.publicKey], randomOf("coop epoch", "frozen"));
const epoch: coop.EpochBody = { serial: 4n, number: 2, id: coop.coopEpochId(key), ...sealed, fields: [] };

const handshakeHash = fixed("handshake", 64);
const admin = device;
const made = makeInvite(
  admin,
  {
    coop: fixed("id", 32),
    key,
    name: "attic",
    expires: 1_800_000_000_000_000_000n,
    role: coop.roles.member,
    adminCertificate: certificate,
    adminRootPublic: root.publicKey,
    bootstrap: ["192.0.2.1:49737", "node.example.org:49738"],
  },
  randomOf("coop invite", "frozen"),
);
const redeem = redeemOf(made, handshakeHash, stranger.publicKey, "läptop");

const knock: messages.Knock = {
  low: 1,
  high: 2,
  purpose: "member",
  epochId: coop.coopEpochId(key),
  capability: fixed("capability", 32),
  slot: undefined,
  fields: [],
};
const slot = { publicKey: low, proof: fixed("proof", 64) };
const head: messages.Head = { scope: low, log: high, device: device.publicKey, seq: 9n, id: low, frozen: false };
const records = [Buffer.from("record"), Buffer.from("another")];

const doors: readonly (readonly [string, messages.DoorMessage])[] = [
  [
    "a device of a vault, which keeps for others",
    {
      type: "identity",
      device: device.publicKey,
      certificate,
      rootPublic: root.publicKey,
      proof: fixed("proof", 64),
      keeps: true,
    },
  ],
  [
    "a device of no vault, with a field",
    {
      type: "identity",
      device: low,
      certificate: undefined,
      rootPublic: undefined,
      proof: fixed("proof", 64),
      keeps: false,
      fields,
    },
  ],
  ["two chains", { type: "coopHeads", heads: [head, { ...head, frozen: true, seq: (1n << 64n) - 1n }] }],
  ["two records", { type: "coopRecords", log: high, records }],
  ["all of them were sent", { type: "coopDone" }],
  ["an invite is shown", { type: "redeem", redeem }],
  ["come in", { type: "admit" }],
  ["refused: no admin's device", { type: "refuse", reason: messages.refuseReasons.noAdmin }],
];

const rooms: readonly (readonly [string, messages.RoomMessage])[] = [
  ["one log, more follow", { type: "heads", heads: [head], more: true }],
  ["records from number 10 on", { type: "askRecords", log: high, from: 10n }],
  ["two records", { type: "records", log: high, records }],
  ["a record that contradicts another", { type: "fork", log: high, record: Buffer.from("record") }],
  [
    "a root part and a device's",
    {
      type: "parts",
      parts: [
        { vault: low, device: Buffer.alloc(32), version: 1n },
        { vault: low, device: high, version: 7n },
      ],
    },
  ],
  ["a part, please", { type: "askPart", vault: low, device: high }],
  ["a part", { type: "part", vault: low, device: high, bytes: Buffer.from("part") }],
  [
    "four leaves from number 8 on, of 1 MiB",
    { type: "askLeaves", request: 300, name: low, length: 1 << 20, first: 8, count: 4 },
  ],
  ["leaves", { type: "leaves", request: 300, first: 8, proof: [low, high], bytes: Buffer.from("bytes") }],
  ["no leaves", { type: "noLeaves", request: 300, reason: messages.noLeavesReasons.missing }],
  ["which of two are there", { type: "askHeld", request: 1, names: [low, high] }],
  ["the second", { type: "held", request: 1, bits: Buffer.from([2]) }],
  ["a receipt", { type: "receipt", bytes: Buffer.from("receipt") }],
  ["good-bye", { type: "bye" }],
  ["good-bye, with a field", { type: "bye", fields }],
  ["say again what you hold of a log", { type: "askReceipts", log: low }],
];

/** One file for each type of message, so that each has its hostile ones. */
function messageFiles<M extends { readonly type: string }>(
  kind: string,
  samples: readonly (readonly [string, M])[],
  encode: (message: M) => Buffer,
  decode: (bytes: Uint8Array) => unknown,
  about: Readonly<Record<string, readonly [what: string, hostile?: Plain["hostile"]]>>,
): Plain[] {
  return Object.entries(about).map(([type, [what, hostile]]) => ({
    name: `${kind}-${type}`,
    what: `${what} ‖ fields`,
    encode,
    decode,
    samples: samples.filter(([, message]) => message.type === type),
    hostile: (bytes) => [
      ...(hostile?.(bytes) ?? []),
      ["an even field", changed(bytes, -1, [1, 2, 0]), "unsupported"],
      ["an even type that is not known", changed(bytes, 0, [254]), "unsupported"],
    ],
  }));
}

const recordsHostile: Plain["hostile"] = (bytes) => [
  ["three announced", changed(bytes, 33, [3])],
  ["1,025 announced", changed(bytes, 33, [0x81, 8], 1)],
  ["a record of 64 KiB and a byte announced", changed(bytes, 34, [0x81, 0x80, 4], 1)],
];

export const coopPlains: readonly Plain[] = [
  {
    name: "body-found",
    what: "device 32 ‖ 0, or 1 ‖ certificate ‖ root public key 32 ‖ random 16 ‖ name text ‖ epoch id 16 ‖ fields",
    encode: coop.encodeFound,
    decode: coop.decodeFound,
    samples: [
      ["by a device of a vault", found],
      [
        "by a device of none, in a coop without a name",
        { ...found, certificate: undefined, rootPublic: undefined, name: "" },
      ],
      ["with a field", { ...found, fields }],
    ],
    hostile: (bytes) => [
      ["a flag of 2", changed(bytes, 32, [2])],
      ["a name of 65 bytes announced", changed(bytes, -23, [65])],
      ["a name that is not UTF-8", changed(bytes, -22, [0xff])],
      ["an even field", changed(bytes, -1, [1, 2, 0]), "unsupported"],
    ],
  },
  {
    name: "body-member",
    what: "serial u64 ‖ device 32 ‖ 0, or 1 ‖ vault 32 ‖ role u8 ‖ label text ‖ quota varint ‖ 0, or 1 ‖ token 32 ‖ fields",
    encode: coop.encodeMember,
    decode: coop.decodeMember,
    samples: [
      ["a member by an invite", member],
      [
        "an admin of no vault",
        { ...member, vault: undefined, role: 2, label: "", quota: 0n, token: undefined, fields },
      ],
    ],
    hostile: (bytes) => [
      ["role 0", changed(bytes, 73, [0])],
      ["role 3", changed(bytes, 73, [3])],
      ["a flag of 2 before the vault", changed(bytes, 40, [2])],
      ["a flag of 2 before the token", changed(bytes, -34, [2])],
      ["a label of 65 bytes announced", changed(bytes, 74, [65])],
      ["a quota of 2^64", changed(bytes, 82, [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2], 6)],
      ["an even field", changed(bytes, -1, [1, 2, 0]), "unsupported"],
    ],
  },
  {
    name: "body-remove",
    what: "serial u64 ‖ device 32 ‖ count ‖ { log 32 ‖ last seq u64 } ‖ fields",
    encode: coop.encodeRemove,
    decode: coop.decodeRemove,
    samples: [
      [
        "an admin with a chain",
        { serial: 5n, device: low, chains: [{ log: high, seq: (1n << 64n) - 1n }], fields: [] },
      ],
      ["a member", { serial: 6n, device: low, chains: [], fields }],
    ],
    hostile: (bytes) => [
      ["two announced", changed(bytes, 40, [2])],
      ["1,025 announced", changed(bytes, 40, [0x81, 8], 1)],
      ["an even field", changed(bytes, -1, [1, 2, 0]), "unsupported"],
    ],
  },
  {
    name: "body-epoch",
    what: "serial u64 ‖ number varint ‖ epoch id 16 ‖ ephemeral X25519 key 32 ‖ count ‖ { device 32 ‖ box 72 }, ascending by device ‖ fields",
    encode: coop.encodeEpoch,
    decode: coop.decodeEpoch,
    samples: [
      ["two boxes", epoch],
      ["none", { ...epoch, number: 0xffff_ffff, boxes: [], fields }],
    ],
    hostile: (bytes) => [
      ["a number of 33 bits", changed(bytes, 8, [0x80, 0x80, 0x80, 0x80, 0x10], 1)],
      ["three announced", changed(bytes, 57, [3])],
      ["401 announced", changed(bytes, 57, [0x91, 3], 1)],
      ["a device twice", changed(bytes, 58 + 104, [...bytes.subarray(58, 90)])],
      ["devices out of order", changed(bytes, 58 + 104, Array<number>(32).fill(0))],
      ["an even field", changed(bytes, -1, [1, 2, 0]), "unsupported"],
    ],
  },
  {
    name: "knock",
    what: "lowest version varint ‖ highest varint ‖ purpose u8 (1 member, 2 recover) ‖ epoch id 16 ‖ capability 32 ‖ 0, or 1 ‖ slot key 32 ‖ proof 64 ‖ fields",
    encode: messages.encodeKnock,
    decode: messages.decodeKnock,
    samples: [
      ["of a member", knock],
      ["of a recovering machine", { ...knock, purpose: "recover", slot, fields }],
    ],
    hostile: (bytes) => [
      ["from version 3 to 2", changed(bytes, 0, [3])],
      ["no purpose", changed(bytes, 2, [0])],
      ["purpose 3", changed(bytes, 2, [3])],
      ["a recovering machine without a slot key", changed(bytes, 2, [2])],
      [
        "a member with a slot key",
        hex(messages.encodeKnock({ ...knock, purpose: "recover", slot })).replace(/^010202/, "010201"),
      ],
      ["a flag of 2", changed(bytes, -2, [2])],
      ["4 KiB and a byte", changed(bytes, -1, [1, 1, 0xc9, 0x1f, ...Array<number>(4041).fill(0)])],
      ["an even field", changed(bytes, -1, [1, 2, 0]), "unsupported"],
    ],
  },
  {
    name: "redeem",
    what: "token 32 ‖ expires zigzag varint ‖ role u8 ‖ admin 32 ‖ the admin's signature 64 ‖ label text ‖ the token's 64 ‖ fields",
    ...whole(writeRedeem, readRedeem),
    samples: [["by the invite of invite.json", redeem]],
    hostile: (bytes) => [
      ["role 0", changed(bytes, 41, [0])],
      ["role 3", changed(bytes, 41, [3])],
      ["an even field", changed(bytes, -1, [1, 2, 0]), "unsupported"],
    ],
  },
  ...messageFiles("door", doors, messages.encodeDoor, messages.decodeDoor, {
    identity: [
      "2 ‖ device 32 ‖ 0, or 1 ‖ certificate ‖ root public key 32 ‖ proof 64 ‖ keeps u8",
      (bytes) => [
        ["a flag of 2", changed(bytes, 33, [2])],
        ["keeps 2", changed(bytes, -2, [2])],
      ],
    ],
    coopHeads: [
      "4 ‖ count ‖ { scope 32 ‖ log 32 ‖ device 32 ‖ seq u64 ‖ id 32 ‖ frozen u8 }",
      (bytes) => [
        ["frozen 2", changed(bytes, -2, [2])],
        ["three announced", changed(bytes, 1, [3])],
        ["513 announced", changed(bytes, 1, [0x81, 4], 1)],
      ],
    ],
    coopRecords: ["6 ‖ log 32 ‖ count ‖ records, blobs", recordsHostile],
    coopDone: ["8"],
    redeem: ["10 ‖ redeem, see redeem.json", (bytes) => [["role 3", changed(bytes, 42, [3])]]],
    admit: ["12"],
    refuse: ["14 ‖ reason u8"],
  }),
  ...messageFiles("room", rooms, messages.encodeRoom, messages.decodeRoom, {
    heads: [
      "2 ‖ count ‖ { scope 32 ‖ log 32 ‖ device 32 ‖ seq u64 ‖ id 32 ‖ frozen u8 } ‖ more u8",
      (bytes) => [
        ["more 2", changed(bytes, -2, [2])],
        ["frozen 2", changed(bytes, -3, [2])],
        ["two announced", changed(bytes, 1, [2])],
        ["513 announced", changed(bytes, 1, [0x81, 4], 1)],
      ],
    ],
    askRecords: ["4 ‖ log 32 ‖ first seq u64"],
    records: ["6 ‖ log 32 ‖ count ‖ records, blobs", recordsHostile],
    fork: [
      "8 ‖ log 32 ‖ record blob",
      (bytes) => [["a record of 64 KiB and a byte announced", changed(bytes, 33, [0x81, 0x80, 4], 1)]],
    ],
    parts: [
      "10 ‖ count ‖ { vault 32 ‖ device 32, zeros for the root part ‖ version u64 }",
      (bytes) => [
        ["three announced", changed(bytes, 1, [3])],
        ["513 announced", changed(bytes, 1, [0x81, 4], 1)],
      ],
    ],
    askPart: ["12 ‖ vault 32 ‖ device 32"],
    part: [
      "14 ‖ vault 32 ‖ device 32 ‖ part blob",
      (bytes) => [["320 KiB and a byte announced", changed(bytes, 65, [0x81, 0x80, 0x14], 1)]],
    ],
    askLeaves: [
      "16 ‖ request varint ‖ name 32 ‖ length varint ‖ first leaf varint ‖ leaves u8, 1 to 4",
      (bytes) => [
        ["no leaf", changed(bytes, -2, [0])],
        ["five leaves", changed(bytes, -2, [5])],
        ["a request of 33 bits", changed(bytes, 1, [0x80, 0x80, 0x80, 0x80, 0x10], 2)],
      ],
    ],
    leaves: [
      "18 ‖ request varint ‖ first leaf varint ‖ count ‖ proof values 32 each ‖ bytes blob",
      (bytes) => [
        ["three values announced", changed(bytes, 4, [3])],
        ["81 values announced", changed(bytes, 4, [81])],
        ["256 KiB and a byte announced", changed(bytes, 69, [0x81, 0x80, 0x10], 1)],
      ],
    ],
    noLeaves: ["20 ‖ request varint ‖ reason u8"],
    askHeld: [
      "22 ‖ request varint ‖ count ‖ names 32 each",
      (bytes) => [
        ["three announced", changed(bytes, 2, [3])],
        ["1,025 announced", changed(bytes, 2, [0x81, 8], 1)],
      ],
    ],
    held: [
      "24 ‖ request varint ‖ bits blob, the first name in the lowest bit of the first byte",
      (bytes) => [["129 bytes announced", changed(bytes, 2, [0x81, 1], 1)]],
    ],
    receipt: ["26 ‖ receipt blob", (bytes) => [["64 KiB and a byte announced", changed(bytes, 1, [0x81, 0x80, 4], 1)]]],
    bye: ["28"],
    askReceipts: ["30 ‖ log 32"],
  }),
];

const bad = (why: string, bytes: string, code: Hostile["code"] = "format"): Hostile => ({ why, bytes, code });

function receipts(): VectorFile {
  const body = { vault: low, log: high, seq: 9n, id: fixed("record id", 32), time };
  const first = signReceipt(device, { ...body, all: true, names: [low, high], fields: [] });
  const second = signReceipt(device, { ...body, all: false, names: [], fields });
  const bytes = encodeReceipt(first);
  return {
    format: "receipt",
    what: 'suite u8 ‖ holder 32 ‖ vault 32 ‖ log 32 ‖ seq u64 ‖ record id 32 ‖ time zigzag varint ‖ all u8 ‖ count ‖ names 32 each ‖ fields ‖ signature 64 by the holder over all before it, domain "receipt"',
    shared: { seed: hex(device.seed) },
    vectors: [
      { what: "all that is held: two objects", input: plainly(first), bytes: hex(bytes) },
      { what: "nothing more, with a field", input: plainly(second), bytes: hex(encodeReceipt(second)) },
    ],
    hostile: [
      bad("suite 2", changed(bytes, 0, [2])),
      bad("another holder", changed(bytes, 1, [...stranger.publicKey])),
      bad("a holder of small order", changed(bytes, 1, [...(smallOrderKeys[4] as Buffer)])),
      bad("a later record than was signed", changed(bytes, 97, [10])),
      bad("all is 2", changed(bytes, 146, [2])),
      bad("all is 0, and was signed as 1", changed(bytes, 146, [0])),
      bad("three names announced", changed(bytes, 147, [3])),
      bad("1,025 names announced", changed(bytes, 147, [0x81, 8], 1)),
      bad("a name fewer than was signed", changed(bytes, 147, [1], 33)),
      bad("an even field", changed(bytes, -65, [1, 2, 0], 1), "unsupported"),
      bad("a field that was not signed", changed(bytes, -65, [1, 1, 0], 1)),
      bad(
        "signed in another domain",
        hex(Buffer.concat([bytes.subarray(0, -64), sign(device, "record", bytes.subarray(0, -64))])),
      ),
      bad("the last byte is missing", hex(bytes.subarray(0, -1))),
      bad("a zero byte follows", `${hex(bytes)}00`),
    ],
  };
}

function invites(): VectorFile {
  const text = encodeInvite(made);
  const bare: Invite = makeInvite(
    stranger,
    { ...made, name: "", role: 2, adminCertificate: undefined, adminRootPublic: undefined, bootstrap: [] },
    randomOf("coop bare invite", "frozen"),
  );
  const lines = text.split("\n");
  const of = (what: string, invite: Invite, given = encodeInvite(invite)) => ({
    what,
    input: plainly(invite),
    bytes: hex(Buffer.from(given, "latin1")),
  });
  const refused = (why: string, given: string, code: Hostile["code"] = "usage") =>
    bad(why, hex(Buffer.from(given, "latin1")), code);
  const forged = (change: Partial<Invite>): string => encodeInvite({ ...made, ...change });
  return {
    format: "invite",
    what: "`bytes` is the text: a line, then hex in lines of 76: bytes of the body u32 ‖ body ‖ first 8 bytes of the hash of both; see docs/format.md",
    vectors: [
      of("a member's invite, by an admin of a vault", made),
      of("an admin's, with nothing that may be left out", bare),
      of(
        "from a machine with other line ends, amid white space",
        made,
        `\xef\xbb\xbf\r\n ${text.replaceAll("\n", " \r\n")}`,
      ),
    ],
    hostile: [
      refused("no coop key file", "hello\n"),
      refused("nothing at all", ""),
      refused("another kind of key", text.replace("coop", "device")),
      refused("of a newer version", text.replace("key 1", "key 2"), "unsupported"),
      refused("its last line is missing", lines.slice(0, -2).join("\n")),
      refused("its last digit is missing", text.trim().slice(0, -1)),
      refused("cut within its first line", "bcoopfs coop"),
      refused(
        "a digit is another",
        text.replace(/(.)\n$/, (_, digit) => (digit === "0" ? "1\n" : "0\n")),
      ),
      refused("a line stands twice", [lines[0], lines[1], ...lines.slice(1)].join("\n")),
      refused("two lines are exchanged", [lines[0], lines[1], lines[3], lines[2], ...lines.slice(4)].join("\n")),
      refused("something follows", `${text}-- \nregards`),
      refused("a NUL follows", `${text}\0`),
      refused("well made, but of another coop than was signed", forged({ coop: low })),
      refused("well made, but longer valid than was signed", forged({ expires: made.expires + 1n })),
      refused("well made, but with a role that was not signed", forged({ role: 2 })),
      refused("well made, but with a token that was not signed", forged({ tokenSeed: low })),
      refused("well made, but by an admin who did not sign", forged({ admin: stranger.publicKey })),
      refused(
        "well made, but with another device's certificate",
        forged({ adminCertificate: certify(root, stranger.publicKey, 3, time) }),
      ),
      refused("well made, but an even field", forged({ fields: [{ number: 2, bytes: low }] }), "unsupported"),
    ],
  };
}

function capabilities(): VectorFile {
  const link = { initiatorKey: low, responderKey: high, handshakeHash };
  const epochId = coop.coopEpochId(key);
  const of = (initiator: boolean): string => hex(capabilityOf(key, epochId, initiator, link));
  const other = { ...link, handshakeHash: fixed("other handshake", 64) };
  return {
    format: "capability",
    what: 'BLAKE2b-256 keyed with derive("coop capability", key), of "bcoopfs v1 capability" ‖ scope ‖ epoch id; scope = 1 of the side that dialled, else 0 ‖ its key 32 ‖ the other\'s 32 ‖ handshake hash; topic and epoch id are derived from the key',
    shared: plainly({ key, topic: coop.coopTopic(key), epochId, ...link }),
    vectors: [
      {
        what: "of the side that dialled",
        input: { initiator: true, scope: hex(linkScope(true, link)) },
        bytes: of(true),
      },
      { what: "of the other", input: { initiator: false, scope: hex(linkScope(false, link)) }, bytes: of(false) },
    ],
    hostile: [
      bad("as of the side that dialled: sent back by the other", of(false), "refused"),
      bad(
        "as of the side that dialled: on another connection",
        hex(capabilityOf(key, epochId, true, other)),
        "refused",
      ),
      bad("as of the side that dialled: with another key", hex(capabilityOf(low, epochId, true, link)), "refused"),
      bad(
        "as of the side that dialled: for another epoch",
        hex(capabilityOf(key, low.subarray(16), true, link)),
        "refused",
      ),
      bad("as of the side that dialled: a byte is missing", of(true).slice(2), "refused"),
    ],
  };
}

function epochBoxes(): VectorFile {
  const bytes = coop.encodeEpoch(epoch);
  const boxAt = 58 + epoch.boxes.findIndex((each) => each.device.equals(device.publicKey)) * 104 + 32;
  const flip = (at: number): string => changed(bytes, at, [(bytes[at] as number) ^ 1]);
  return {
    format: "epoch-box",
    what: 'an epoch record\'s body, see body-epoch.json, opened by a device: box key = derive("coop epoch box", X25519(device, ephemeral) ‖ ephemeral ‖ device); context = epoch id ‖ ephemeral',
    shared: plainly({ seeds: [device.seed, stranger.seed] }),
    vectors: [device, stranger].map(({ seed, publicKey }) => ({
      what: "what a device finds in its box",
      input: plainly({ seed, device: publicKey, key, id: epoch.id }),
      bytes: hex(bytes),
    })),
    hostile: [
      bad("as the first device: a bit of the id is flipped", flip(9), "refused"),
      bad("as the first device: a bit of the ephemeral key is flipped", flip(25), "refused"),
      bad("as the first device: a bit of the box is flipped", flip(boxAt + 30), "refused"),
      bad(
        "as the first device: the box of another key than is named",
        hex(
          coop.encodeEpoch({
            ...epoch,
            ...coop.sealEpoch(low, [device.publicKey], randomOf("coop other epoch", "frozen")),
          }),
        ),
        "refused",
      ),
      bad(
        "as the first device: no box",
        hex(
          coop.encodeEpoch({ ...epoch, boxes: epoch.boxes.filter((each) => each.device.equals(stranger.publicKey)) }),
        ),
        "refused",
      ),
      bad(
        "as the first device: an ephemeral key of small order",
        changed(bytes, 25, Array<number>(32).fill(0)),
        "refused",
      ),
    ],
  };
}

function coopRecords(): VectorFile {
  const draft = { type: recordTypes.found, log: undefined, seq: 0n, previous: undefined, time };
  const first = signRecord({ ...draft, vault: undefined, clear: coop.encodeFound(found) }, device);
  const next = { vault: first.id, log: first.id, seq: 1n, previous: first.id, time: time + 1n };
  const second = signRecord({ ...next, type: recordTypes.member, clear: coop.encodeMember(member) }, device);
  const alone = { ...found, device: stranger.publicKey, certificate: undefined, rootPublic: undefined };
  const other = signRecord(
    { ...draft, vault: first.id, clear: coop.encodeFound({ ...alone, epochId: Buffer.alloc(16) }) },
    stranger,
  );
  const of = (what: string, { type, seq, vault, id, log, previous, clear, bytes }: typeof first, by: Buffer) => ({
    what,
    input: plainly({ device: by, type, seq, vault, id, log, previous, clear }),
    bytes: hex(bytes),
  });
  const authored = (body: coop.FoundBody): string =>
    hex(signRecord({ ...draft, vault: undefined, clear: coop.encodeFound(body) }, device).bytes);
  return {
    format: "coop-record",
    what: "records of a coop's chains, see record.json; the first one's header has zeros for vault, log and previous, and its id is the coop's",
    shared: plainly({ coop: first.id, vault: vaultIdOf(root.publicKey) }),
    vectors: [
      of("a coop is founded", first, device.publicKey),
      of("and has a member", second, device.publicKey),
      of("another admin's chain begins", other, stranger.publicKey),
    ],
    hostile: [
      bad("a found record that is not the first", changed(first.bytes, 80, [1])),
      bad("a found record that names a log", changed(first.bytes, 48, [1])),
      bad("a found record that names one before", changed(first.bytes, 88, [1])),
      bad("a member record that comes first", changed(first.bytes, 10, [33, 0])),
      bad("founded for another coop than was signed", changed(first.bytes, 16, [1]), "damaged"),
      bad("a certificate of another device", authored({ ...found, device: stranger.publicKey })),
      bad("a certificate of another root key", authored({ ...found, rootPublic: stranger.publicKey })),
      bad("a device key of small order", authored({ ...alone, device: smallOrderKeys[4] as Buffer })),
      bad("signed by another than it names", authored(alone), "damaged"),
    ],
  };
}

export function coopFiles(): VectorFile[] {
  return [receipts, invites, capabilities, epochBoxes, coopRecords].map((make) => make());
}

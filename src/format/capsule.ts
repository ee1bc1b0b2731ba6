/**
 * The capsule: what peers keep so that the phrase alone brings a vault back. It is a set of parts; readers take
 * their union. The root part is sealed under the phrase and changes only with it. A device part is sealed to the
 * recovery public key by the device itself and replaced only by a higher version, so that joining a coop or turning
 * an epoch needs no phrase. Peers check both kinds against the vault id and can open neither.
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import { nonceBytes, open, seal } from "./aead.js";
import { type Certificate, checkCertificate, readCertificate, writeCertificate } from "./certificate.js";
import { type Fields, noFields, readFields, writeFields } from "./fields.js";
import { derive } from "./hash.js";
import {
  type Constants,
  type Epoch,
  type PhraseKeys,
  readConstants,
  readEpoch,
  suite,
  vaultIdOf,
  writeConstants,
  writeEpoch,
} from "./keys.js";
import { exchange, exchangePublicKey, type SigningKey, sign, signatureBytes, signingKeyOf, verify } from "./sign.js";
import { sameBytes } from "../base/bytes.js";

const rootMagic = Buffer.from("BCOOPCR1", "latin1");
const deviceMagic = Buffer.from("BCOOPCD1", "latin1");
const rootDomain = "capsule root part";
const deviceDomain = "capsule device part";
/** Clear field of a root part: the recovery topic, by which whoever holds the part can be found with the phrase alone. */
const topicField = 1;
/**
 * Clear field of a root part: the slot key's signature over the root key. Whoever shows the slot key is given what belongs
 * to this vault, so nobody may name another vault's slot key and stand in its owner's way.
 */
const slotField = 3;
const slotDomain = "capsule slot";

/** What the phrase opens. */
export interface RootSecrets {
  readonly root: SigningKey;
  readonly constants: Constants;
  readonly epoch: Epoch;
  readonly fields: Fields;
}

/** What anybody sees of a root part. */
export interface RootPart {
  readonly vault: Buffer;
  /** grows when a new phrase is made; peers replace a part only by one of a higher version */
  readonly version: bigint;
  /** clear extension fields */
  readonly fields: Fields;
  /** where a machine that has only the phrase looks for holders of this part; parts of the first version lack it */
  readonly topic: Buffer | undefined;
  readonly rootPublic: Buffer;
  readonly slotPublic: Buffer;
  /** the slot key has signed for this root key; parts of the first version lack that */
  readonly isSlotProven: boolean;
  readonly recoveryPublic: Buffer;
  readonly commitment: Buffer;
  readonly box: Buffer;
  /** everything before the box: what the seal is bound to */
  readonly head: Buffer;
}

/** Seal a root part. @param random gives the nonce */
export function sealRootPart(
  phrase: PhraseKeys,
  version: bigint,
  secrets: RootSecrets,
  random: (length: number) => Buffer,
): Buffer {
  const head = new Writer(256)
    .raw(rootMagic)
    .u8(suite)
    .u64(version)
    .raw(secrets.root.publicKey)
    .raw(phrase.slot.publicKey)
    .raw(phrase.recoveryPublic);
  writeFields(head, [
    { number: topicField, bytes: phrase.topic },
    { number: slotField, bytes: sign(phrase.slot, slotDomain, secrets.root.publicKey) },
  ]);
  head.raw(derive("capsule commitment", phrase.capsuleKey, head.finish()));
  const bound = Buffer.from(head.finish());
  const body = new Writer(512).raw(secrets.root.seed);
  writeConstants(body, secrets.constants);
  writeEpoch(body, secrets.epoch);
  writeFields(body, secrets.fields);
  const box = seal(phrase.capsuleKey, random(nonceBytes), bound, body.finish());
  const part = new Writer(1024).raw(bound).blob(box);
  return part.raw(sign(secrets.root, rootDomain, part.finish())).finish();
}

/** Check a root part as a peer does, without the phrase: well formed, signed by the root key that it names. */
export function readRootPart(bytes: Uint8Array): RootPart {
  const from = new Reader(bytes, "capsule root part");
  if (!sameBytes(from.raw(8), rootMagic)) from.fail("wrong magic");
  if (from.u8() !== suite) from.fail("unknown suite");
  const version = from.u64();
  const rootPublic = Buffer.from(from.raw(32));
  const slotPublic = Buffer.from(from.raw(32));
  const recoveryPublic = Buffer.from(from.raw(32));
  const fields = readFields(from);
  const topic = fields.find(({ number }) => number === topicField)?.bytes;
  if (topic !== undefined && topic.length !== 32) from.fail("a recovery topic that is not 32 bytes long");
  const slotProof = fields.find(({ number }) => number === slotField)?.bytes;
  if (slotProof !== undefined && !verify(slotPublic, slotDomain, rootPublic, slotProof))
    from.fail("a slot key that has not signed for it");
  const commitment = Buffer.from(from.raw(32));
  const head = Buffer.from(bytes.subarray(0, from.offset));
  const box = Buffer.from(from.blob(format.capsulePartBytes));
  const signed = bytes.subarray(0, from.offset);
  if (!verify(rootPublic, rootDomain, signed, from.raw(signatureBytes))) from.fail("wrong signature");
  from.end();
  return {
    vault: vaultIdOf(rootPublic),
    version,
    fields,
    topic,
    rootPublic,
    slotPublic,
    isSlotProven: slotProof !== undefined,
    recoveryPublic,
    commitment,
    box,
    head,
  };
}

/** Open a root part with the phrase. Throws Problem("phrase") when it belongs to another phrase. */
export function openRootPart(phrase: PhraseKeys, part: RootPart): RootSecrets {
  const committed = derive("capsule commitment", phrase.capsuleKey, part.head.subarray(0, part.head.length - 32));
  if (!sameBytes(committed, part.commitment)) throw new Problem("phrase", "this phrase belongs to another vault");
  const from = new Reader(open(phrase.capsuleKey, part.head, part.box, "capsule"), "capsule");
  const root = signingKeyOf(Buffer.from(from.raw(32)));
  const constants = readConstants(from);
  const epoch = readEpoch(from);
  const fields = readFields(from);
  from.end();
  if (!sameBytes(root.publicKey, part.rootPublic))
    throw new Problem("damaged", "the capsule names another root key than it holds");
  return { root, constants, epoch, fields };
}

/** What one device adds to the capsule. */
export interface DeviceSecrets {
  /** epochs that this device made or learned */
  readonly epochs: readonly Epoch[];
  /** coop id and key, where it is in one */
  readonly coops: readonly { readonly id: Buffer; readonly key: Buffer }[];
  /** host:port of bootstrap nodes */
  readonly bootstrap: readonly string[];
  /** device keys of peers that hold data, most useful first */
  readonly peers: readonly Buffer[];
  readonly fields: Fields;
}

export interface DevicePart {
  readonly certificate: Certificate;
  readonly version: bigint;
  readonly ephemeral: Buffer;
  /** clear extension fields */
  readonly fields: Fields;
  readonly commitment: Buffer;
  readonly box: Buffer;
  readonly head: Buffer;
}

/** Seal a device part to the recovery key and sign it with the device's. */
export function sealDevicePart(
  device: SigningKey,
  certificate: Certificate,
  recoveryPublic: Uint8Array,
  version: bigint,
  secrets: DeviceSecrets,
  random: (length: number) => Buffer,
): Buffer {
  const secret = random(32);
  const head = new Writer(512).raw(deviceMagic).u8(suite);
  writeCertificate(head, certificate);
  head.u64(version).raw(exchangePublicKey(secret));
  writeFields(head, noFields);
  const key = derive("capsule device key", exchange(secret, recoveryPublic), head.finish());
  head.raw(derive("capsule device commitment", key, head.finish()));
  const bound = Buffer.from(head.finish());
  const body = new Writer(512).varint(secrets.epochs.length);
  for (const epoch of secrets.epochs) writeEpoch(body, epoch);
  body.varint(secrets.coops.length);
  for (const coop of secrets.coops) body.raw(coop.id).raw(coop.key);
  body.varint(secrets.bootstrap.length);
  for (const address of secrets.bootstrap) body.text(address);
  body.varint(secrets.peers.length);
  for (const peer of secrets.peers) body.raw(peer);
  writeFields(body, secrets.fields);
  const box = seal(key, random(nonceBytes), bound, body.finish());
  if (box.length > format.capsulePartBytes)
    throw new RangeError(`expected a part of at most ${format.capsulePartBytes} bytes, got ${box.length}`);
  const part = new Writer(1024).raw(bound).blob(box);
  return part.raw(sign(device, deviceDomain, part.finish())).finish();
}

/** Check a device part as a peer does: certified by the root key of the vault, signed by the device. */
export function readDevicePart(bytes: Uint8Array, rootPublic: Uint8Array): DevicePart {
  const from = new Reader(bytes, "capsule device part");
  if (!sameBytes(from.raw(8), deviceMagic)) from.fail("wrong magic");
  if (from.u8() !== suite) from.fail("unknown suite");
  const certificate = readCertificate(from);
  checkCertificate(certificate, rootPublic);
  const version = from.u64();
  const ephemeral = Buffer.from(from.raw(32));
  const fields = readFields(from);
  const commitment = Buffer.from(from.raw(32));
  const head = Buffer.from(bytes.subarray(0, from.offset));
  const box = Buffer.from(from.blob(format.capsulePartBytes));
  const signed = bytes.subarray(0, from.offset);
  if (!verify(certificate.device, deviceDomain, signed, from.raw(signatureBytes))) from.fail("wrong signature");
  from.end();
  return { certificate, version, ephemeral, fields, commitment, box, head };
}

export function openDevicePart(phrase: PhraseKeys, part: DevicePart): DeviceSecrets {
  const scope = part.head.subarray(0, part.head.length - 32);
  const key = derive("capsule device key", exchange(phrase.recoverySecret, part.ephemeral), scope);
  if (!sameBytes(derive("capsule device commitment", key, scope), part.commitment))
    throw new Problem("phrase", "this phrase belongs to another vault");
  const from = new Reader(open(key, part.head, part.box, "capsule device part"), "capsule device part");
  const epochs = Array.from({ length: from.count(1024, 129) }, () => readEpoch(from));
  const coops = Array.from({ length: from.count(64, 64) }, () => ({
    id: Buffer.from(from.raw(32)),
    key: Buffer.from(from.raw(32)),
  }));
  const bootstrap = Array.from({ length: from.count(64, 1) }, () => from.text(260));
  const peers = Array.from({ length: from.count(256, 32) }, () => Buffer.from(from.raw(32)));
  const fields = readFields(from);
  from.end();
  return { epochs, coops, bootstrap, peers, fields };
}

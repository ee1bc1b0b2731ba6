/**
 * Every key of a vault and what it opens.
 *
 *   phrase (24 words = 256 random bits)
 *     ├ recovery topic      where a machine that has only the phrase finds peers
 *     ├ slot key            Ed25519: proves to peers that the asker holds the phrase
 *     ├ recovery key        X25519: device parts of the capsule are sealed to it
 *     └ capsule key         seals the root part of the capsule
 *   root key (random Ed25519, only in the root part)   certifies and revokes devices
 *   constants (random, for the vault's life)           id keys by type, splitter key, chunk average
 *   epoch keys (random, one set an epoch)              data, metadata, table, log: each opens its kind only
 *   device key (random Ed25519, per installation)      signs one device's logs; never derived, never shared
 * @module
 */
import { entropyToMnemonic, mnemonicToEntropy } from "@scure/bip39";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import type { Reader, Writer } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { derive, hashOf } from "./hash.js";
import { exchangePublicKey, type SigningKey, signingKeyOf } from "./sign.js";

export const suite = 1;

/** The 24 words of 32 random bytes. */
export function phraseOf(entropy: Uint8Array): string {
  return entropyToMnemonic(entropy, wordlist);
}

/** The 32 bytes behind 24 words; case and white space do not matter. Throws Problem("phrase"). */
export function entropyOf(phrase: string): Buffer {
  const words = phrase.normalize("NFKD").toLowerCase().trim().split(/\s+/);
  if (words.length !== 24)
    throw new Problem("phrase", `the recovery phrase has 24 words, this one has ${words.length}`);
  const unknown = words.findIndex((word) => !wordlist.includes(word));
  if (unknown >= 0)
    throw new Problem(
      "phrase",
      `word ${unknown + 1} of the recovery phrase is not in the word list; check its spelling`,
    );
  try {
    return Buffer.from(mnemonicToEntropy(words.join(" "), wordlist));
  } catch (error) {
    throw new Problem("phrase", "the recovery phrase fails its checksum; check the order and spelling of the words", {
      cause: error,
    });
  }
}

export interface PhraseKeys {
  readonly topic: Buffer;
  readonly slot: SigningKey;
  readonly recoverySecret: Buffer;
  readonly recoveryPublic: Buffer;
  readonly capsuleKey: Buffer;
}

export function phraseKeys(entropy: Uint8Array): PhraseKeys {
  const recoverySecret = derive("recovery key", entropy);
  return {
    topic: derive("recovery topic", entropy),
    slot: signingKeyOf(derive("slot key", entropy)),
    recoverySecret,
    recoveryPublic: exchangePublicKey(recoverySecret),
    capsuleKey: derive("capsule key", entropy),
  };
}

/** Id of a vault: the hash of its first root public key. */
export function vaultIdOf(rootPublicKey: Uint8Array): Buffer {
  return hashOf(rootPublicKey);
}

/** What a chunk holds. The number stands in formats. */
export const chunkTypes = { data: 1, tree: 2, list: 3, table: 4 } as const;
export type ChunkType = keyof typeof chunkTypes;

/** Fixed for the life of a vault. */
export interface Constants {
  readonly idKeys: { readonly data: Buffer; readonly tree: Buffer; readonly list: Buffer };
  readonly splitterKey: Buffer;
  /** bytes, a power of two of 16 KiB to 1 MiB */
  readonly chunkAverage: number;
}

/** Keys of one epoch; each opens its kind only. */
export interface Epoch {
  readonly number: number;
  readonly data: Buffer;
  readonly metadata: Buffer;
  readonly table: Buffer;
  readonly log: Buffer;
}

export const averages = { least: 16 * 1024, most: 1024 * 1024 } as const;

export function validAverage(value: number): boolean {
  return value >= averages.least && value <= averages.most && Number.isInteger(Math.log2(value));
}

/** Fresh constants from a random source. */
export function newConstants(random: (length: number) => Buffer, chunkAverage: number): Constants {
  if (!validAverage(chunkAverage))
    throw new RangeError(`expected a power of two of 16 KiB to 1 MiB, got ${chunkAverage}`);
  return { idKeys: { data: random(32), tree: random(32), list: random(32) }, splitterKey: random(32), chunkAverage };
}

/**
 * A fresh epoch. Its number is generation * 65,536 + 16 random bits: two devices that turn the same generation without
 * hearing of each other make two epochs, not two keys of one. The largest number is the newest.
 */
export function newEpoch(random: (length: number) => Buffer, generation: number): Epoch {
  const number = generation * 0x1_0000 + random(2).readUInt16LE();
  return { number, data: random(32), metadata: random(32), table: random(32), log: random(32) };
}

export function writeConstants(to: Writer, constants: Constants): void {
  const { idKeys, splitterKey, chunkAverage } = constants;
  to.u8(suite).raw(idKeys.data).raw(idKeys.tree).raw(idKeys.list).raw(splitterKey).varint(chunkAverage);
}

export function readConstants(from: Reader): Constants {
  if (from.u8() !== suite) from.fail("unknown suite");
  const idKeys = { data: copy(from), tree: copy(from), list: copy(from) };
  const splitterKey = copy(from);
  const chunkAverage = from.varint(averages.most);
  if (!validAverage(chunkAverage)) from.fail("chunk average out of range");
  return { idKeys, splitterKey, chunkAverage };
}

export function writeEpoch(to: Writer, epoch: Epoch): void {
  to.varint(epoch.number).raw(epoch.data).raw(epoch.metadata).raw(epoch.table).raw(epoch.log);
}

export function readEpoch(from: Reader): Epoch {
  const number = from.varint(0xffff_ffff);
  return { number, data: copy(from), metadata: copy(from), table: copy(from), log: copy(from) };
}

/** Keys outlive the buffer they were read from. */
function copy(from: Reader): Buffer {
  return Buffer.from(from.raw(32));
}

/** The id key of a chunk's type; tables share that of lists. */
export function idKeyOf(constants: Constants, type: ChunkType): Buffer {
  return type === "data" ? constants.idKeys.data : type === "tree" ? constants.idKeys.tree : constants.idKeys.list;
}

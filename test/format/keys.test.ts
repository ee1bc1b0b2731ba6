/** The phrase and what it derives; constants and epochs as bytes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { blake3 } from "@noble/hashes/blake3.js";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { Reader, Writer } from "../../src/base/bytes.js";
import { Problem } from "../../src/base/errors.js";
import {
  entropyOf,
  idKeyOf,
  newConstants,
  newEpoch,
  phraseKeys,
  phraseOf,
  readConstants,
  readEpoch,
  validAverage,
  vaultIdOf,
  writeConstants,
  writeEpoch,
} from "../../src/format/keys.js";
import { checkPublicKey, exchangePublicKey } from "../../src/format/sign.js";
import { checkPlain } from "../support/strict.js";
import { full, numbersOf, randomOf } from "./given.js";

const random = randomOf("keys");
const pick = numbersOf("keys");

function refused(phrase: string, why: string): void {
  assert.throws(
    () => entropyOf(phrase),
    (error) => {
      assert.ok(error instanceof Problem && error.code === "phrase", why);
      assert.ok(!error.message.includes("\n"));
      return true;
    },
    why,
  );
}

test("the vectors of BIP39 for 256 bits", () => {
  const seven = "legal winner thank year wave sausage worth useful";
  const vectors = [
    ["00".repeat(32), `${"abandon ".repeat(23)}art`],
    ["7f".repeat(32), `${seven} ${seven} legal winner thank year wave sausage worth title`],
    [
      "80".repeat(32),
      `${"letter advice cage absurd amount doctor acoustic avoid ".repeat(2)}letter advice cage absurd amount doctor acoustic bless`,
    ],
    ["ff".repeat(32), `${"zoo ".repeat(23)}vote`],
    [
      "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c",
      "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis maple dilemma loan word shrug inflict delay length",
    ],
  ] as const;
  for (const [entropy, phrase] of vectors) {
    assert.equal(phraseOf(Buffer.from(entropy, "hex")), phrase);
    assert.equal(entropyOf(phrase).toString("hex"), entropy);
  }
});

test("any 32 bytes come back from their 24 words, however these are typed", () => {
  for (let round = 0; round < (full ? 1000 : 100); round++) {
    const entropy = random(32);
    const phrase = phraseOf(entropy);
    assert.equal(phrase.split(" ").length, 24);
    assert.deepEqual(entropyOf(phrase), entropy);
    assert.deepEqual(entropyOf(`  ${phrase.toUpperCase().replaceAll(" ", "\n\t ")}\n`), entropy);
  }
});

test("a phrase with a wrong count, word or checksum is refused by code", () => {
  const phrase = phraseOf(random(32));
  const words = phrase.split(" ");
  refused("", "nothing");
  refused(words.slice(1).join(" "), "23 words");
  refused(words.slice(0, 12).join(" "), "12 words");
  refused(`${phrase} ${words[0]}`, "25 words");
  refused([...words.slice(0, 23), "abandonn"].join(" "), "a word that is none");
  refused([...words.slice(0, 5), "ábandon", ...words.slice(6)].join(" "), "an accent");
  // The checksum has eight bits: of all 2,048 last words, eight fit.
  const fitting = wordlist.filter((word) => {
    try {
      entropyOf([...words.slice(0, 23), word].join(" "));
      return true;
    } catch {
      return false;
    }
  });
  assert.equal(fitting.length, 8);
});

test("the message about a wrong word says where it stands and not what it is", () => {
  const words = phraseOf(random(32)).split(" ");
  words[6] = "secretword";
  assert.throws(
    () => entropyOf(words.join(" ")),
    (error: Error) => {
      assert.match(error.message, /word 7 /);
      assert.ok(!error.message.includes("secretword"));
      return true;
    },
  );
});

test("every key of a phrase is derived by its own label, as the reference derives it", () => {
  const entropy = random(32);
  const keys = phraseKeys(entropy);
  const derived = (label: string): Buffer =>
    Buffer.from(blake3(entropy, { context: Buffer.from(`bcoopfs v1 ${label}`) }));
  assert.deepEqual(keys.topic, derived("recovery topic"));
  assert.deepEqual(keys.slot.seed, derived("slot key"));
  assert.deepEqual(keys.recoverySecret, derived("recovery key"));
  assert.deepEqual(keys.capsuleKey, derived("capsule key"));
  assert.deepEqual(keys.recoveryPublic, exchangePublicKey(keys.recoverySecret));
  checkPublicKey(keys.slot.publicKey);
  const other = phraseKeys(random(32));
  assert.notDeepEqual(other.topic, keys.topic);
  assert.deepEqual(vaultIdOf(keys.slot.publicKey), Buffer.from(blake3(keys.slot.publicKey)));
});

test("constants and epochs are read strictly", () => {
  checkPlain("constants", {
    encode: (value) => {
      const to = new Writer();
      writeConstants(to, value);
      return to.finish();
    },
    decode: (bytes) => {
      const from = new Reader(bytes, "constants");
      const value = readConstants(from);
      from.end();
      return value;
    },
    samples: [16, 64, 1024].map((kib) => newConstants(random, kib * 1024)),
  });
  checkPlain("epoch", {
    encode: (value) => {
      const to = new Writer();
      writeEpoch(to, value);
      return to.finish();
    },
    decode: (bytes) => {
      const from = new Reader(bytes, "epoch");
      const value = readEpoch(from);
      from.end();
      return value;
    },
    samples: [0, 1, 300, 0xffff].map((generation) => newEpoch(random, generation)),
  });
});

test("averages are powers of two of 16 KiB to 1 MiB", () => {
  const valid = Array.from({ length: 24 }, (_, i) => 2 ** i).filter(validAverage);
  assert.deepEqual(
    valid,
    [16, 32, 64, 128, 256, 512, 1024].map((kib) => kib * 1024),
  );
  for (const value of [0, -65_536, 65_537, 65_536.5, Number.NaN, 3 * 16_384]) assert.equal(validAverage(value), false);
  assert.throws(() => newConstants(random, 8192), RangeError);
});

test("each type of chunk has its id key; tables share that of lists", () => {
  const constants = newConstants(random, 65_536);
  const keys = (["data", "tree", "list"] as const).map((type) => idKeyOf(constants, type).toString("hex"));
  assert.equal(new Set(keys).size, 3);
  assert.deepEqual(idKeyOf(constants, "table"), idKeyOf(constants, "list"));
  assert.equal(new Set(Object.values(newEpoch(random, pick(9))).map(String)).size, 5);
});

test("an epoch's number holds its generation, and differs between devices that turn it at once", () => {
  for (const generation of [0, 1, 300, 0xffff]) {
    const numbers = Array.from({ length: 20 }, () => newEpoch(random, generation).number);
    for (const number of numbers) assert.equal(Math.floor(number / 65_536), generation);
    assert.ok(new Set(numbers).size > 10);
  }
  for (let i = 0; i < 50; i++) assert.ok(newEpoch(random, 2).number > newEpoch(random, 1).number, "newer is larger");
});

/**
 * Nobody but the owner learns anything: names, contents, labels and keys of one vault, as 64-byte canaries, are neither
 * on the disk of the peer that keeps it nor on the wire between them. That the search would find them is shown by the same
 * run of a program whose sealing is switched off, and by a packet that goes over the wire in clear.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { realSystem } from "../../src/base/system.js";
import { entropyOf } from "../../src/format/keys.js";
import { decodeVaultKeys } from "../../src/vault/key-files.js";
import { bin, isRoot } from "../cli/given.js";
import { canariesBelow, canariesIn, canaryName, packetsOf } from "../support/canary.js";
import { unsealedProgram } from "../support/unsealed.js";

const random = realSystem.random;
const tap = fileURLToPath(new URL("../../../test/tools/wire-tap", import.meta.url));
const scenario = fileURLToPath(new URL("../support/canary-scenario.js", import.meta.url));
const skip = isRoot ? false : "needs root for a network of its own";

/** Letters and digits that nothing else says. */
const label = (): string => `x${random(30).toString("hex")}`;

interface Played {
  readonly folder: string;
  /** what must not be found, by what it is */
  readonly canaries: ReadonlyMap<string, Buffer>;
}

/** Plant canaries, and let the scenario play with this program. */
function play(t: TestContext, program: string): Played {
  const folder = mkdtempSync(join(tmpdir(), "bcoopfs-canary-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const canaries = new Map<string, Buffer>();
  const planted = (what: string, bytes: Buffer): Buffer => {
    canaries.set(what, bytes);
    return bytes;
  };
  const names = { host: label(), fileset: label() };
  for (const [what, text] of Object.entries(names)) planted(`${what} name`, Buffer.from(text));
  writeFileSync(join(folder, "names.json"), JSON.stringify(names));
  writeFileSync(join(folder, "control"), planted("control", random(64)));
  const source = Buffer.from(`${join(folder, "source")}/`);
  mkdirSync(source);
  const at = (name: Buffer): Buffer => Buffer.concat([source, name]);
  writeFileSync(at(planted("file name", canaryName(random))), planted("short content", random(64)));
  mkdirSync(at(planted("folder name", canaryName(random))));
  symlinkSync(planted("link target", canaryName(random)), at(Buffer.from("link")));
  // Text that compresses well around the canary, and noise that does not.
  const text = Buffer.concat([
    Buffer.from("the same line again\n".repeat(5000)),
    planted("content in text", random(64)),
  ]);
  writeFileSync(at(Buffer.from("text")), Buffer.concat([text, Buffer.from("and again\n".repeat(5000))]));
  writeFileSync(
    at(Buffer.from("noise")),
    Buffer.concat([random(3 << 20), planted("content in noise", random(64)), random(1 << 20)]),
  );
  linkSync(at(Buffer.from("text")), at(planted("hard link's name", canaryName(random))));
  execFileSync("setfattr", [
    "-n",
    "user.canary",
    "-v",
    `0x${planted("attribute", random(64)).toString("hex")}`,
    join(folder, "source", "text"),
  ]);

  execFileSync("python3", [tap, join(folder, "wire.pcap"), process.execPath, scenario, folder, program], {
    stdio: ["ignore", "ignore", "inherit"],
    timeout: 120_000,
  });

  const keys = decodeVaultKeys(readFileSync(join(folder, "a", "vault.key")));
  for (const [what, key] of Object.entries({ ...keys.constants.idKeys, splitter: keys.constants.splitterKey }))
    planted(`key of ${what}`, key);
  for (const { number, ...epoch } of keys.epochs)
    for (const [what, key] of Object.entries(epoch)) planted(`${what} key of epoch ${number}`, key);
  const words = readFileSync(join(folder, "phrase"), "utf8");
  planted("phrase in words", Buffer.from(words.trim().split(/\s+/).slice(0, 8).join(" ")));
  planted("phrase", entropyOf(words));
  return { folder, canaries };
}

/** How many objects the keeper holds, so that "found nothing" is not for want of anything there. */
function held(folder: string): number {
  return readdirSync(join(folder, "b", "store", "objects"), { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  ).length;
}

test("a peer's disk and the wire hold no name, no content and no key", { skip }, (t) => {
  const { folder, canaries } = play(t, bin);
  assert.ok(held(folder) >= 2, "the keeper holds data and metadata");
  // Members know each other by the names of their machines; the wire does not tell even that.
  assert.deepEqual(canariesBelow(join(folder, "b"), canaries), ["host name"]);
  assert.deepEqual(canariesIn(packetsOf(join(folder, "wire.pcap")), canaries), ["control"]);
});

test("with sealing switched off the same search finds them", { skip }, (t) => {
  const program = mkdtempSync(join(tmpdir(), "bcoopfs-unsealed-"));
  t.after(() => rmSync(program, { recursive: true, force: true }));
  const { folder, canaries } = play(t, unsealedProgram(join(program, "copy")));
  assert.ok(held(folder) >= 2, "the keeper holds data and metadata");
  const found = canariesBelow(join(folder, "b"), canaries);
  for (const what of [
    "attribute",
    "content in noise",
    "content in text",
    "file name",
    "fileset name",
    "folder name",
    "hard link's name",
    "host name",
    "link target",
    "short content",
  ])
    assert.ok(found.includes(what), `${what} is not found where it must be: ${found.join(", ")}`);
});

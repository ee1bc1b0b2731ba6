/** A further device of a vault, from the parts of its capsule and the phrase. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { realSystem } from "../../src/base/system.js";
import { openDevicePart, readDevicePart, sealDevicePart } from "../../src/format/capsule.js";
import { certify } from "../../src/format/certificate.js";
import { noFields } from "../../src/format/fields.js";
import { newEpoch, phraseKeys } from "../../src/format/keys.js";
import { recordTypes } from "../../src/format/record.js";
import { checkSucceed, decodeSucceed } from "../../src/format/root-signed.js";
import { signingKeyOf } from "../../src/format/sign.js";
import { homeAt } from "../../src/store/home.js";
import { type Enrolment, enrol, freeHost, type OpenedCapsule, openCapsule } from "../../src/vault/enrol.js";
import { decodeDeviceKeys, decodeVaultKeys } from "../../src/vault/key-files.js";
import { createVault, openVault } from "../../src/vault/vault.js";

const code = (wanted: string) => (error: unknown) => error instanceof Problem && error.code === wanted;
const quiet = (): void => {};

/** A vault with one device, and what its peers would keep of its capsule. */
function given(t: TestContext) {
  const top = mkdtempSync(join(tmpdir(), "bcoopfs-enrol-"));
  t.after(() => rmSync(top, { recursive: true, force: true }));
  const entropy = realSystem.random(32);
  const first = join(top, "first");
  const { vault, device } = createVault(first, "here", 32 * 1024, entropy, realSystem);
  const part = (name: string): Buffer => readFileSync(join(first, "capsule", name));
  return {
    top,
    first,
    vault,
    device,
    phrase: phraseKeys(entropy),
    root: part("root"),
    own: part(device.toString("hex")),
  };
}

const enrolment = (more: Partial<Enrolment> = {}): Enrolment => ({
  host: "there",
  inherits: [],
  serial: 1n,
  bootstrap: [],
  ...more,
});

test("a second device: the vault's keys, a key and a certificate of its own, and a log that inherits", async (t) => {
  const { top, first, vault, device, phrase, root, own } = given(t);
  const capsule = openCapsule(phrase, root, [own]);
  assert.deepEqual(capsule.vault, vault);
  assert.deepEqual([...capsule.parts.keys()], ["root", device.toString("hex")]);
  const home = homeAt(join(top, "second"));
  const inherits = Array.from({ length: 1030 }, (_, i) => ({ log: realSystem.random(32), seq: BigInt(i) }));
  let before: string[] = [];
  const made = enrol(
    home.path,
    capsule,
    enrolment({ inherits, serial: 77n, bootstrap: ["a:1"], more: () => (before = readdirSync(home.path)) }),
    realSystem,
  );
  assert.ok(before.includes("device.key") && !before.includes("vault.key"), "vault.key is the last file");
  assert.ok(
    capsule.root.seed.every((byte) => byte === 0),
    "the root key is forgotten",
  );
  for (const name of ["vault.key", "device.key"])
    assert.equal(statSync(join(home.path, name)).mode & 0o777, 0o600, name);
  assert.equal(readFileSync(join(home.path, "vault.key"), "utf8"), readFileSync(join(first, "vault.key"), "utf8"));
  const { certificate } = decodeDeviceKeys(readFileSync(home.deviceKey));
  assert.deepEqual(certificate.device, made.device);
  assert.notDeepEqual(made.device, device);
  // The capsule as it came, and a part of its own that says where to look next time.
  assert.deepEqual(readFileSync(join(home.capsule, "root")), root);
  assert.deepEqual(readFileSync(join(home.capsule, device.toString("hex"))), own);
  const part = readDevicePart(readFileSync(join(home.capsule, made.device.toString("hex"))), capsule.rootPublic);
  const secrets = openDevicePart(phrase, part);
  assert.deepEqual(secrets.bootstrap, ["a:1"]);
  assert.deepEqual(secrets.epochs, capsule.epochs);
  const opened = await openVault(home.path, realSystem, quiet);
  try {
    assert.deepEqual([opened.host, opened.id, opened.device], ["there", vault, made.device]);
    const statements = [...opened.store.history()].filter((record) => record.type === recordTypes.succeed);
    const bodies = statements.map((record) => decodeSucceed(record.clear));
    for (const body of bodies) checkSucceed(body, vault, capsule.rootPublic);
    assert.deepEqual(
      bodies.map(({ serial, logs }) => [serial, logs.length]),
      [
        [77n, 1024],
        [78n, 6],
      ],
    );
    assert.deepEqual(
      bodies.flatMap(({ logs }) => logs),
      inherits,
    );
  } finally {
    await opened.close();
  }
});

test("the parts' union: every epoch and coop, whatever other parts say; what is not of this vault adds nothing", (t) => {
  const { first, phrase, root, own, vault } = given(t);
  const keys = decodeDeviceKeys(readFileSync(join(first, "device.key")));
  const { recoveryPublic, epochs } = decodeVaultKeys(readFileSync(join(first, "vault.key")));
  const device = signingKeyOf(keys.seed);
  const next = newEpoch(realSystem.random, 1);
  const coop = { id: realSystem.random(32), key: realSystem.random(32) };
  const turned = { id: coop.id, key: realSystem.random(32) };
  const part = (coops: readonly (typeof coop)[], bootstrap: string[]): Buffer =>
    sealDevicePart(
      device,
      keys.certificate,
      recoveryPublic,
      2n,
      { epochs: [next], coops, bootstrap, peers: [realSystem.random(32)], fields: noFields },
      realSystem.random,
    );
  const stranger = Buffer.from(own);
  stranger[60] = (stranger[60] as number) ^ 1;
  const parts = [part([coop], ["a:1"]), stranger, Buffer.from("no part"), part([coop, turned], ["a:1", "b:2"])];
  const capsule = openCapsule(phrase, root, parts);
  assert.deepEqual(
    capsule.epochs.map(({ number }) => number),
    [(epochs[0] as { number: number }).number, next.number],
  );
  assert.deepEqual(capsule.coops, [coop, turned]);
  assert.deepEqual(capsule.bootstrap, ["a:1", "b:2"]);
  assert.equal(capsule.peers.length, 2);
  assert.deepEqual([...capsule.parts.keys()], ["root", device.publicKey.toString("hex")]);
  assert.deepEqual(capsule.vault, vault);
  assert.throws(() => openCapsule(phraseKeys(realSystem.random(32)), root, []), code("phrase"));
  assert.throws(() => openCapsule(phrase, Buffer.from("no part"), []), code("format"));
});

test("where several devices tell of different coops, the one that came last is believed first", (t) => {
  const { phrase, root, own } = given(t);
  const capsule = openCapsule(phrase, root, [own]);
  const coops = [1n, 3n, 2n].map((issued) => ({ issued, id: realSystem.random(32), key: realSystem.random(32) }));
  const parts = coops.map(({ issued, id, key }) => {
    const device = signingKeyOf(realSystem.random(32));
    const certificate = certify(capsule.root, device.publicKey, 3, issued);
    const secrets = { epochs: [], coops: [{ id, key }], bootstrap: [], peers: [], fields: noFields };
    return sealDevicePart(device, certificate, phrase.recoveryPublic, 1n, secrets, realSystem.random);
  });
  assert.deepEqual(
    openCapsule(phrase, root, parts).coops.map(({ id }) => id),
    [coops[1]?.id, coops[2]?.id, coops[0]?.id],
  );
});

test("cut short anywhere before vault.key, it can be run again; a home with something in it is left alone", async (t) => {
  const { top, first, phrase, root, own } = given(t);
  const path = join(top, "second");
  const capsule = (): OpenedCapsule => openCapsule(phrase, root, [own]);
  const stop = (): void => {
    throw new Error("power cut");
  };
  assert.throws(() => enrol(path, capsule(), enrolment({ more: stop }), realSystem), /power cut/);
  assert.equal(existsSync(join(path, "vault.key")), false);
  const logs = readdirSync(join(path, "logs"));
  assert.equal(logs.length, 1);
  // A torn statement is nothing that hangs on a key either.
  const torn = readFileSync(join(path, "logs", logs[0] as string));
  for (const cut of [1, 100, torn.length - 900])
    if (torn.length > cut) {
      writeFileSync(join(path, "logs", logs[0] as string), torn.subarray(0, torn.length - cut));
      assert.throws(() => enrol(path, capsule(), enrolment({ more: stop }), realSystem), /power cut/);
      logs.splice(0, 1, ...readdirSync(join(path, "logs")));
      assert.equal(logs.length, 1, "what was left is gone");
    }
  enrol(path, capsule(), enrolment(), realSystem);
  await (await openVault(path, realSystem, quiet)).close();
  assert.throws(() => enrol(path, capsule(), enrolment(), realSystem), code("refused"));
  // The first device's home has a log of its own that holds more: not even without its key is it taken over.
  const vault = await openVault(first, realSystem, quiet);
  vault.store.commit([], [{ type: "note", clear: Buffer.alloc(0), secret: Buffer.from("x") }]);
  await vault.close();
  rmSync(join(first, "vault.key"));
  assert.throws(() => enrol(first, capsule(), enrolment(), realSystem), code("refused"));
});

test("a name that another device has gets a number", () => {
  assert.equal(freeHost("a", new Set()), "a");
  assert.equal(freeHost("a", new Set(["a", "a-3"])), "a-2");
  assert.equal(freeHost("a", new Set(["a", "a-2", "a-3"])), "a-4");
  assert.equal(freeHost("x".repeat(64), new Set(["x".repeat(64)])), `${"x".repeat(62)}-2`);
});

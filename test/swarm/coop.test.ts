import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { toHex } from "../../src/base/bytes.js";
import { Problem } from "../../src/base/errors.js";
import { choice } from "../../src/base/limits.js";
import { openDevicePart, readDevicePart } from "../../src/format/capsule.js";
import { rights } from "../../src/format/certificate.js";
import { coopTopic, roles } from "../../src/format/coop.js";
import { redeemOf } from "../../src/format/invite.js";
import { Coop } from "../../src/swarm/coop.js";
import { adoptCoop, coopKeyPath, readCoopKeys } from "../../src/swarm/coop-key.js";
import { admits } from "../../src/swarm/members.js";
import { createCoop, joinCoop } from "../../src/swarm/new-coop.js";
import { foundRecord, itself } from "../../src/swarm/speech.js";
import { workFolder } from "../support/store-home.js";
import { admitted, end, meet, type TestDevice, World } from "./coop-given.js";

const problem = (code: string, why: RegExp) => (error: unknown) =>
  error instanceof Problem && error.code === code && why.test(error.message) && !/\n/.test(error.message);

/** A founder and others who have joined and met it. */
function grown(number: number, ...names: string[]) {
  const world = new World(number);
  const ann = world.device("ann");
  const coop = ann.found();
  const others = names.map((name) => {
    const device = world.device(name);
    const its = device.join(coop.invite());
    admitted(meet(end(device, its), end(ann, coop)));
    return { device, coop: its };
  });
  // Each hears of those who came after it.
  for (const other of others) admitted(meet(end(other.device, other.coop), end(ann, coop)));
  return { world, ann, coop, others };
}

function secretsOf(device: TestDevice) {
  const bytes = readFileSync(join(device.home.capsule, toHex(device.key)));
  const part = readDevicePart(bytes, device.keyring.rootPublic);
  return { version: part.version, ...openDevicePart(device.vault.phrase, part) };
}

test("a coop that is founded lies in the home, and the capsule tells of it", () => {
  const world = new World(10);
  const ann = world.device("ann");
  const coop = createCoop(ann, { name: "barn", bootstrap: ["10.0.0.5:49737"], listen: "0.0.0.0" });
  assert.equal(statSync(coopKeyPath(ann.home)).mode & 0o777, 0o600);
  assert.deepEqual(ann.config().coop, { bootstrap: ["10.0.0.5:49737"], listen: "0.0.0.0" });
  const [self] = [...coop.state.members.values()];
  assert.deepEqual([self?.label, self?.role, self?.vault], ["ann", roles.admin, ann.keyring.vault]);
  assert.ok(coop.administers && coop.isMember && coop.name === "barn");
  assert.deepEqual(coop.topics(), [coopTopic(coop.keys[0]?.key as Buffer)]);
  const { coops, bootstrap, peers, epochs, version } = secretsOf(ann);
  assert.deepEqual(coops, [{ id: coop.id, key: coop.keys[0]?.key }]);
  assert.deepEqual([bootstrap, peers, epochs.length], [["10.0.0.5:49737"], [], 1]);
  const again = ann.coop();
  assert.deepEqual(again.state, coop.state);
  assert.equal(secretsOf(ann).version, version, "opening it seals nothing anew");
  assert.equal(world.device("other").home.path === ann.home.path, false);
  assert.equal(Coop.open(world.device("nobody")), undefined);
});

test("what keeps a home from founding or joining, in one line each", () => {
  const world = new World(11);
  const [ann, bob, tom] = [world.device("ann"), world.device("bob"), world.device("tom")];
  for (const name of ["", "a b", "x".repeat(65), "-a", "a\nb"])
    assert.throws(() => createCoop(ann, { name }), problem("usage", /^coop name .*1–64/));
  const coop = ann.found();
  assert.throws(() => ann.found("other"), problem("refused", /already/));
  const invite = coop.invite();
  assert.throws(() => ann.join(invite), problem("refused", /in the coop "barn" already/));
  assert.throws(() => joinCoop(bob, Buffer.from(invite.slice(0, 300))), problem("usage", /cut short/));
  const altered = invite.replace(/[0-9a-f](?=[^\n]*\n$)/, (digit) => (digit === "0" ? "1" : "0"));
  assert.throws(() => joinCoop(bob, Buffer.from(altered)), problem("usage", /altered/));
  assert.throws(() => joinCoop(bob, Buffer.from("bcoopfs vault key 1\n00\n")), problem("usage", /not a coop key file/));
  assert.throws(() => joinCoop(bob, world.random(5000)), problem("usage", /not a coop key file/));
  assert.ok(!existsSync(coopKeyPath(bob.home)), "nothing is written");
  const other = tom.found("shed");
  bob.join(other.invite());
  assert.ok(bob.coop().pending);
  bob.join(invite);
  assert.equal(bob.coop().name, "barn", "an invite that was not used yet gives way to another");
  world.pass(choice.inviteSeconds);
  const carl = world.device("carl");
  assert.throws(() => carl.join(invite), problem("refused", /expired/));
  assert.throws(() => bob.found(), problem("refused", /"barn" already \(it waits for one of its admins\)/));
});

test("a coop that this home is out of, or knows out of the capsule alone, keeps it from no other", () => {
  const { ann, coop, others, world } = grown(49, "bob", "eve");
  const [bob, eve] = others as [(typeof others)[0], (typeof others)[0]];
  const shed = world.device("tom").found("shed");
  assert.throws(() => bob.device.join(shed.invite()), problem("refused", /"barn" already/));
  for (const { device } of [bob, eve]) coop.remove(device.host);
  for (const { device, coop: its } of [bob, eve]) {
    // It hears of it by what it missed, at the latest from whoever refuses it.
    its.accept(coop.recordsAfter(its.heads()).flatMap(({ records }) => records));
    assert.ok(its.state.removed.has(toHex(device.key)));
  }
  bob.device.join(shed.invite());
  assert.deepEqual([bob.device.coop().id, bob.device.coop().pending === undefined], [shed.id, false]);
  assert.ok(eve.device.found("stable").isMember);
  const further = world.device("further", ann.vault);
  adoptCoop(
    further.home,
    coop.id,
    coop.keys.map(({ key }) => key),
  );
  further.join(shed.invite());
  assert.deepEqual(further.coop().id, shed.id);
});

test("joining writes the invite's bootstrap nodes where config.toml names none", () => {
  const world = new World(12);
  const ann = world.device("ann");
  const coop = createCoop(ann, { name: "barn", bootstrap: ["10.0.0.5:49737"] });
  const [bob, eve] = [world.device("bob"), world.device("eve")];
  bob.join(coop.invite());
  assert.deepEqual(bob.config().coop.bootstrap, ["10.0.0.5:49737"]);
  assert.deepEqual(secretsOf(bob).bootstrap, ["10.0.0.5:49737"]);
  writeFileSync(eve.home.config, '[coop]\nbootstrap = ["10.9.9.9:1"]\n');
  eve.join(coop.invite({ bootstrap: ["10.0.0.6:2"] }));
  assert.deepEqual(eve.config().coop.bootstrap, ["10.9.9.9:1"]);
});

test("what others call themselves and their coop stands in one line, whatever it is", () => {
  const world = new World(48);
  const ann = world.device("ann");
  const speaker = { keyring: ann.keyring, label: "an\u001b[31mn\nx", system: world };
  const key = world.random(32);
  const founding = foundRecord(speaker, undefined, "ba\u001b[2Jrn\nx", key);
  const keys = { id: founding.id, name: "", keys: [key], pending: undefined, sealed: Buffer.alloc(16) };
  const coop = Coop.begin(ann, keys, [founding], [itself(speaker)]);
  const bob = world.device("bob");
  const its = bob.join(coop.invite());
  admitted(meet(end(bob, its), end(ann, coop)));
  assert.throws(() => its.invite(), problem("refused", /^[ -~\u2026]+$/));
  assert.throws(() => bob.join(coop.invite()), problem("refused", /^[ -~]+$/));
});

test("who is no admin is told who is", () => {
  const { coop, others } = grown(13, "bob");
  const bob = others[0] as { coop: Coop };
  assert.throws(
    () => bob.coop.invite(),
    problem("refused", /no admin of the coop "barn".*these can: ann \([0-9a-f]{12}\)/),
  );
  assert.throws(() => bob.coop.remove("ann"), problem("refused", /cannot remove anybody; these can: ann/));
  const fresh = new World(14).device("fresh");
  const waiting = fresh.join(coop.invite());
  assert.throws(() => waiting.invite(), problem("refused", /no admin's device was met yet/));
});

test("a vault that peers could not find by its phrase comes into no coop", () => {
  const { world, coop } = grown(16);
  const device = world.device("old");
  const file = join(device.home.capsule, "root");
  const vectors = JSON.parse(readFileSync("test/vectors/capsule-root.json", "utf8")) as {
    vectors: { bytes: string }[];
  };
  writeFileSync(file, Buffer.from(vectors.vectors[0]?.bytes as string, "hex"));
  assert.throws(() => device.found(), problem("refused", /could not find it by its recovery phrase; make a new one/));
  assert.throws(() => device.join(coop.invite()), problem("refused", /could not find it by its recovery phrase/));
  rmSync(file);
  assert.throws(() => device.found(), problem("damaged", /capsule\/root is missing; put it back/));
});

test("removing a device turns the key, and all who stay learn it", () => {
  const { world, ann, coop, others } = grown(15, "bob", "eve", "tom");
  const [bob, eve, tom] = others as [
    { device: TestDevice; coop: Coop },
    (typeof others)[0] & object,
    (typeof others)[0] & object,
  ];
  const before = coop.keys[0]?.key as Buffer;
  assert.throws(() => coop.remove("ann"), problem("refused", /cannot remove itself/));
  assert.throws(() => coop.remove("nobody"), problem("not-found", /no device "nobody"/));
  assert.throws(() => coop.remove("abc"), problem("not-found", /no device "abc"/));
  assert.equal(coop.remove(toHex(bob.device.key).slice(0, 8).toUpperCase()).label, "bob");
  assert.throws(() => coop.remove("bob"), problem("not-found", /no device/));
  assert.throws(() => coop.remove(toHex(bob.device.key)), problem("not-found", /removed already/));
  assert.throws(() => coop.remove(toHex(bob.device.key).slice(0, 6)), problem("not-found", /removed already/));
  const fresh = coop.keys[0]?.key as Buffer;
  assert.ok(!fresh.equals(before));
  assert.deepEqual(coop.topics(), [coopTopic(fresh), coopTopic(before)]);
  assert.deepEqual(secretsOf(ann).coops, [{ id: coop.id, key: fresh }]);
  for (const { device, coop: its } of [eve, tom]) {
    admitted(meet(end(device, its), end(ann, coop)));
    assert.deepEqual(
      its.keys.map(({ key }) => key),
      [fresh, before],
    );
    assert.deepEqual(secretsOf(device).coops[0]?.key, fresh);
  }
  // It learns neither the key nor who was told.
  const met = meet(end(bob.device, bob.coop), end(ann, coop));
  assert.deepEqual([met.a?.kind, met.b?.kind], ["refused", "refused"]);
  assert.deepEqual(
    bob.coop.keys.map(({ key }) => key),
    [before],
  );
  coop.remove("eve");
  coop.remove("tom");
  for (const name of ["x", "y", "z"]) {
    const device = world.device(name);
    admitted(meet(end(device, device.join(coop.invite())), end(ann, coop)));
    coop.remove(name);
  }
  assert.equal(coop.topics().length, choice.coopTopics);
  assert.deepEqual(ann.coop().keys, coop.keys);
});

test("a label that several have, and a device that only its vault vouches for", () => {
  const { world, ann, coop } = grown(16, "pi", "pi");
  assert.throws(
    () => coop.remove("pi"),
    problem("ambiguous", /"pi" means 2 devices: pi \(.{12}\), pi \(.{12}\); give more/),
  );
  const lost = world.device("lost", ann.vault, rights.write);
  coop.remove(toHex(lost.key));
  const met = meet(end(lost, undefined, { recovery: { slot: ann.vault.phrase.slot } }), end(ann, coop));
  assert.equal(met.b?.kind, "refused");
  adoptAt(lost, coop);
  const again = meet(end(lost, lost.coop()), end(ann, coop));
  assert.deepEqual([again.a?.kind === "refused" && again.a.reason, again.b?.kind], ["removed", "refused"]);
});

function adoptAt(device: TestDevice, coop: Coop): void {
  adoptCoop(
    device.home,
    coop.id,
    coop.keys.map(({ key }) => key),
  );
}

test("a device whose coop comes out of the capsule is listed by the admin it meets, and may be one by its vault", () => {
  const { world, ann, coop, others } = grown(17, "bob");
  const bob = others[0] as { device: TestDevice; coop: Coop };
  // A second device of each vault: of the founder's it may administer, of a member's it is let in.
  for (const [of, name] of [
    [ann, "ann2"],
    [bob.device, "bob2"],
  ] as const) {
    const device = world.device(name, of.vault);
    adoptAt(device, coop);
    const its = device.coop();
    assert.ok(!its.isMember);
    admitted(meet(end(device, its), end(bob.device, bob.coop)));
    assert.ok(its.isMember && its.name === "barn");
    assert.equal(its.administers, of === ann);
    assert.ok(!bob.coop.state.members.has(toHex(device.key)), "bob is no admin and lists nobody");
    admitted(meet(end(device, its), end(ann, coop)));
    assert.equal(coop.state.members.get(toHex(device.key))?.label, name);
    if (of === ann) {
      // The founder's machine is gone: what is left goes on.
      its.remove("ann");
      assert.equal(its.state.members.get(toHex(device.key))?.role, roles.admin);
      assert.ok(its.administers && !its.state.members.has(toHex(ann.key)));
      assert.ok(its.invite().startsWith("bcoopfs coop key 1\n"));
    }
  }
});

test("a vault that certifies devices without end fills nobody's log", () => {
  const { ann, coop, world } = grown(47);
  const vault = ann.vault;
  const sizes = new Set<number>();
  for (let i = 0; i < choice.coopDevicesPerVault + 5; i++) {
    const one = world.device(`d${i}`, vault);
    coop.welcome(one.key, one.keyring.certificate, "", []);
    sizes.add(coop.state.members.size);
    assert.ok(admits(coop.state, one.key, one.keyring.certificate), "it may come all the same");
  }
  assert.equal(Math.max(...sizes), choice.coopDevicesPerVault);
});

test("an invite is good once, for a week, from an admin who is one", () => {
  const { world, ann, coop } = grown(18);
  const hash = world.random(64);
  const bob = world.device("bob");
  const invite = bob.join(coop.invite()).pending;
  assert.ok(invite);
  const redeem = redeemOf(invite, hash, bob.key, "bob");
  const other = world.device("other");
  assert.equal(coop.redeem(redeem, world.random(64), bob.key, undefined), "inviteInvalid", "another connection");
  assert.equal(coop.redeem(redeem, hash, other.key, undefined), "inviteInvalid", "another device");
  assert.equal(coop.redeem({ ...redeem, role: roles.admin }, hash, bob.key, undefined), "inviteInvalid");
  assert.equal(coop.redeem({ ...redeem, expires: redeem.expires + 1n }, hash, bob.key, undefined), "inviteInvalid");
  assert.equal(coop.redeem(redeem, hash, bob.key, bob.keyring.certificate), undefined);
  assert.equal(coop.redeem(redeem, hash, bob.key, bob.keyring.certificate), undefined, "twice by the same is no harm");
  assert.equal(coop.redeem(redeemOf(invite, hash, other.key), hash, other.key, undefined), "inviteUsed");
  const late = world.device("late").join(coop.invite()).pending;
  assert.ok(late);
  world.pass(choice.inviteSeconds);
  assert.equal(coop.redeem(redeemOf(late, hash, other.key), hash, other.key, undefined), "inviteExpired");
  const self = world.device("self");
  const forged = redeemOf({ ...late, admin: self.key }, hash, other.key);
  assert.equal(coop.redeem(forged, hash, other.key, undefined), "inviteExpired");
  assert.equal(coop.state.members.size, 2);
  assert.equal(ann.coop().state.members.get(toHex(bob.key))?.vault?.equals(bob.vault.id), true);
});

test("an admin's invite for another admin makes one", () => {
  const { world, ann, coop } = grown(19);
  const bob = world.device("bob");
  const its = bob.join(coop.invite({ role: roles.admin }));
  admitted(meet(end(bob, its), end(ann, coop)));
  assert.ok(its.administers);
  const eve = world.device("eve");
  const hers = eve.join(its.invite());
  admitted(meet(end(eve, hers), end(bob, its)));
  admitted(meet(end(bob, its), end(ann, coop)));
  assert.deepEqual(coop.state.members, hers.state.members);
});

/** Two admins and what they have open. */
function twoAdmins(number: number, ...names: string[]) {
  const start = grown(number, ...names);
  const bob = start.world.device("bob2");
  const its = bob.join(start.coop.invite({ role: roles.admin }));
  admitted(meet(end(bob, its), end(start.ann, start.coop)));
  return { ...start, bob, its };
}

test("two admins take one invite for two devices: the same one stays for all", () => {
  const { world, ann, coop, bob, its } = twoAdmins(20);
  const file = coop.invite();
  const [one, two] = [world.device("one"), world.device("two")];
  const [coopOne, coopTwo] = [one.join(file), two.join(file)];
  admitted(meet(end(one, coopOne), end(ann, coop)));
  admitted(meet(end(two, coopTwo), end(bob, its)));
  admitted(meet(end(ann, coop), end(bob, its)));
  assert.deepEqual(coop.state.members, its.state.members);
  const [first, second] = [one, two].map(({ key }) => coop.state.members.has(toHex(key)));
  assert.ok(first !== second);
  const [loser, lost] = first ? [two, coopTwo] : [one, coopOne];
  const met = meet(end(loser, lost), end(ann, coop));
  assert.deepEqual([met.a?.kind === "refused" && met.a.reason, met.b?.kind], ["notMember", "refused"]);
});

test("two admins turn the key unaware of each other: they find together again, and who is out stays out", () => {
  const { ann, coop, others, bob, its } = twoAdmins(21, "eve", "tom", "kim");
  const [eve, tom, kim] = others as [
    { device: TestDevice; coop: Coop },
    { device: TestDevice; coop: Coop },
    { device: TestDevice; coop: Coop },
  ];
  coop.remove("eve");
  its.remove("tom");
  const [mine, theirs] = [coop.keys[0]?.key as Buffer, its.keys[0]?.key as Buffer];
  assert.ok(!mine.equals(theirs));
  // Neither knows the other's newest key; what both knew before lets them speak.
  admitted(meet(end(ann, coop), end(bob, its)));
  admitted(meet(end(bob, its), end(ann, coop)));
  assert.deepEqual(coop.state.members, its.state.members);
  assert.deepEqual(coop.keys[0], its.keys[0]);
  // Each had given its key to the one whom the other removed: there is a third one that neither of those has.
  const newest = coop.state.epochs.at(-1);
  for (const { device } of [eve, tom])
    assert.ok(!newest?.bodies.some(({ boxes }) => boxes.some((box) => box.device.equals(device.key))));
  assert.ok(!coop.keys[0]?.key.equals(mine) && !coop.keys[0]?.key.equals(theirs));
  admitted(meet(end(kim.device, kim.coop), end(bob, its)));
  assert.deepEqual(kim.coop.keys[0], coop.keys[0]);
});

test("a removal that races with what the removed admin says: all come to the same", () => {
  const { world, ann, coop, others, bob, its } = twoAdmins(22, "kim");
  const kim = others[0] as { device: TestDevice; coop: Coop };
  const early = world.device("early");
  admitted(meet(end(early, early.join(its.invite())), end(bob, its)));
  admitted(meet(end(ann, coop), end(bob, its)));
  coop.remove("bob2");
  // Bob's machine does not know yet, signs somebody in and tells Kim.
  const late = world.device("late");
  const lates = late.join(its.invite());
  admitted(meet(end(late, lates), end(bob, its)));
  admitted(meet(end(kim.device, kim.coop), end(bob, its)));
  assert.ok(kim.coop.state.members.has(toHex(late.key)));
  admitted(meet(end(kim.device, kim.coop), end(ann, coop)));
  assert.deepEqual(kim.coop.state.members, coop.state.members);
  assert.ok(coop.state.members.has(toHex(early.key)), "whom it signed in before stays");
  assert.ok(!coop.state.members.has(toHex(late.key)));
  const met = meet(end(bob, its), end(kim.device, kim.coop));
  assert.deepEqual([met.a?.kind === "refused" && met.a.reason, met.b?.kind], ["removed", "refused"]);
  const refused = meet(end(late, lates), end(kim.device, kim.coop));
  assert.equal(refused.a?.kind === "refused" && refused.a.reason, "notMember");
});

test("an admin's home that was put back speaks on: both branches are heard", () => {
  const { world, ann, coop, others } = grown(23, "kim");
  const kim = others[0] as { device: TestDevice; coop: Coop };
  const path = join(ann.home.path, "coop", toHex(coop.id));
  const [old, oldKeys] = [readFileSync(path), readFileSync(coopKeyPath(ann.home))];
  const one = world.device("one");
  admitted(meet(end(one, one.join(coop.invite())), end(ann, coop)));
  admitted(meet(end(kim.device, kim.coop), end(ann, coop)));
  writeFileSync(path, old);
  writeFileSync(coopKeyPath(ann.home), oldKeys);
  assert.throws(() => coop.remove("kim"), problem("io", /put back to an earlier state/));
  const back = ann.coop();
  assert.equal(back.state.members.size, 2);
  const two = world.device("two");
  admitted(meet(end(two, two.join(back.invite())), end(ann, back)));
  admitted(meet(end(kim.device, kim.coop), end(ann, back)));
  assert.deepEqual(new Set(kim.coop.state.members.keys()), new Set(back.state.members.keys()));
  assert.equal(back.state.members.size, 4);
  back.remove("two");
  admitted(meet(end(kim.device, kim.coop), end(ann, back)));
  assert.equal(kim.coop.state.members.size, 3);
  assert.deepEqual(ann.coop().state.members, back.state.members);
});

test("several processes of a home see what each other did", () => {
  const { world, ann, coop } = grown(24);
  const daemon = ann.coop();
  let heard = 0;
  const off = daemon.onChange(() => heard++);
  assert.equal(daemon.refresh(), false);
  const bob = world.device("bob");
  admitted(meet(end(bob, bob.join(coop.invite())), end(ann, coop)));
  assert.equal(daemon.refresh(), true);
  assert.deepEqual([daemon.state.members.size, heard], [2, 1]);
  const tom = world.device("tom");
  admitted(meet(end(tom, tom.join(coop.invite())), end(ann, coop)));
  // It speaks itself without having looked: what the other said is read first.
  const eve = world.device("eve");
  admitted(meet(end(eve, eve.join(coop.invite())), end(ann, daemon)));
  assert.deepEqual([daemon.state.members.size, heard], [4, 2]);
  daemon.remove("tom");
  assert.equal(coop.refresh(), true);
  coop.remove("bob");
  assert.equal(daemon.refresh(), true);
  assert.deepEqual(daemon.keys, coop.keys);
  assert.equal(daemon.keys.length, 3);
  off();
  assert.equal(coop.refresh(), false);
  assert.deepEqual(coop.state.members, daemon.state.members);
  assert.equal(readdirSync(join(ann.home.path, "coop")).filter((name) => /^[0-9a-f]{64}$/.test(name)).length, 1);
});

test("what a cut write left behind is passed over, and cut by the next one with a copy kept", () => {
  const { world, ann, coop } = grown(25, "bob");
  const path = join(ann.home.path, "coop", toHex(coop.id));
  const whole = readFileSync(path);
  for (const torn of [
    whole.subarray(0, whole.length - 1),
    Buffer.concat([whole, world.random(77)]),
    whole.subarray(0, whole.length - 300),
  ]) {
    writeFileSync(path, torn);
    const again = ann.coop();
    assert.equal(again.state.members.size, torn.length < whole.length ? 1 : 2);
    const eve = world.device("eve");
    admitted(meet(end(eve, eve.join(again.invite())), end(ann, again)));
    assert.deepEqual(ann.coop().state.members, again.state.members);
    assert.deepEqual(readFileSync(`${path}.cut-${torn.length}`), torn);
  }
  // Others tell it what it lost.
  const back = ann.coop();
  writeFileSync(path, whole);
  assert.deepEqual(back.accept([]), { added: 0, useless: 0, fault: undefined, ids: [] });
});

test("coop/key that is damaged is named and not used", () => {
  const { ann } = grown(26);
  const path = coopKeyPath(ann.home);
  const whole = readFileSync(path);
  for (const at of [0, 20, 100, whole.length - 2]) {
    const bad = Buffer.from(whole);
    bad[at] = (bad[at] as number) ^ 1;
    writeFileSync(path, bad);
    assert.throws(() => Coop.open(ann), problem("damaged", /coop\/key is damaged/));
  }
  writeFileSync(path, whole.subarray(0, 90));
  assert.throws(() => Coop.open(ann), problem("damaged", /coop\/key is damaged/));
  writeFileSync(path, whole);
  assert.ok(readCoopKeys(ann.home));
});

let mounted = false;
after(() => {
  if (mounted) spawnSync("umount", [disk]);
});
const disk = join(workFolder(), "disk");
mkdirSync(disk);
mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]).status === 0;

test("on a full disk a member still meets others, and takes what it missed when there is room", {
  skip: mounted ? false : "a file system cannot be mounted here",
}, () => {
  const { world, ann, coop } = grown(28, "eve");
  const carl = world.device("carl");
  const carls = carl.join(coop.invite({ role: roles.admin }));
  admitted(meet(end(carl, carls), end(ann, coop)));
  const [bob, tom] = ["bob", "tom"].map((name) => world.device(name, world.vault(), rights.write, disk)) as [
    TestDevice,
    TestDevice,
  ];
  const late = world.device("late", world.vault(), rights.write, disk);
  const its = bob.join(coop.invite());
  admitted(meet(end(bob, its), end(ann, coop)));
  const toms = tom.join(coop.invite());
  admitted(meet(end(carl, carls), end(ann, coop)));
  carls.remove("eve");
  const filler = join(disk, "filler");
  writeFileSync(filler, "");
  for (let size = 1 << 16; size > 0; size >>= 1)
    try {
      for (;;) appendFileSync(filler, Buffer.alloc(size));
    } catch {
      // So much does not fit any more.
    }
  admitted(meet(end(bob, its), end(carl, carls)));
  assert.deepEqual([its.state.removed.size, bob.coop().isMember], [0, true], "nothing was taken, and nothing lost");
  const met = meet(end(tom, toms), end(ann, coop));
  assert.deepEqual([met.a?.kind, met.b?.kind], ["refused", "refused"], "who joins needs room for the list");
  assert.throws(
    () => late.found("shed"),
    (error) => error instanceof Problem && error.code === "no-space",
  );
  writeFileSync(filler, "");
  admitted(meet(end(bob, its), end(carl, carls)));
  assert.equal(its.state.removed.size, 1);
  assert.deepEqual(bob.coop().keys[0], carls.keys[0]);
  admitted(meet(end(tom, toms), end(ann, coop)));
  late.found("shed");
});

test("a config.toml that cannot be read just now keeps nobody from meeting", () => {
  const { world, ann, coop } = grown(27);
  const bob = world.device("bob");
  const its = bob.join(coop.invite());
  writeFileSync(ann.home.config, "[coop]\nbootstrap = nonsense\n");
  admitted(meet(end(bob, its), end(ann, coop)));
  assert.equal(ann.coop().state.members.size, 2);
});

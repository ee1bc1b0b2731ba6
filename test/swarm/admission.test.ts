import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "../../src/base/bytes.js";
import { choice } from "../../src/base/limits.js";
import { coopEpochId } from "../../src/format/coop.js";
import { noFields } from "../../src/format/fields.js";
import { decodeDoor, decodeKnock, type DoorMessage, encodeDoor, encodeKnock } from "../../src/format/message.js";
import { phraseKeys } from "../../src/format/keys.js";
import { type Outcome, stillAdmitted } from "../../src/swarm/admission.js";
import type { Coop } from "../../src/swarm/coop.js";
import { adoptCoop } from "../../src/swarm/coop-key.js";
import { foundRecord } from "../../src/swarm/speech.js";
import { Violation } from "../../src/swarm/violation.js";
import { full } from "../support/store-home.js";
import { forge } from "./chains-given.js";
import {
  admissionOf,
  admitted,
  type End,
  end,
  type Met,
  meet,
  type Tap,
  type TestDevice,
  World,
} from "./coop-given.js";

interface Peer {
  readonly device: TestDevice;
  readonly coop: Coop;
}

/** A founder and members, who all know of each other. */
function coopOf(number: number, ...names: string[]): { world: World; ann: Peer; others: Peer[] } {
  const world = new World(number);
  const device = world.device("ann");
  const ann = { device, coop: device.found() };
  const others = names.map((name) => joined(world, ann, name));
  for (const other of others) admitted(meet(at(other), at(ann)));
  return { world, ann, others };
}

function joined(world: World, admin: Peer, name: string): Peer {
  const device = world.device(name);
  const coop = device.join(admin.coop.invite());
  admitted(meet(end(device, coop), at(admin)));
  return { device, coop };
}

const at = ({ device, coop }: Peer, more: Partial<End> = {}): End => ({ ...end(device, coop), ...more });

const reasonOf = (outcome: Outcome | undefined): string =>
  outcome === undefined
    ? "waits"
    : outcome.kind === "admitted"
      ? "admitted"
      : `${outcome.by} ${outcome.reason ?? (outcome.silent ? "silent" : "breach")}`;

/** What was sent besides the knocks, by type. */
const typesOf = (met: Met, from: "a" | "b"): string[] =>
  met.sent
    .filter((one) => one.from === from)
    .slice(1)
    .map(({ bytes }) => decodeDoor(bytes).type);

test("members admit each other, whoever dials, and know who it is", () => {
  const { ann, others } = coopOf(30, "bob");
  const bob = others[0] as Peer;
  for (const [a, b] of [
    [ann, bob],
    [bob, ann],
  ] as const) {
    const met = meet(at(a), at(b, { keeps: false }));
    admitted(met);
    assert.ok(met.a?.kind === "admitted" && met.b?.kind === "admitted");
    const { certificate, ...remote } = met.a.remote;
    assert.deepEqual(remote, {
      device: b.device.key,
      vault: b.device.vault.id,
      label: b.device.host,
      keeps: false,
      recovering: undefined,
      admin: b === ann,
    });
    assert.deepEqual(certificate, b.device.keyring.certificate);
    assert.equal(met.b.remote.keeps, true);
    assert.deepEqual(typesOf(met, "a"), ["identity", "coopHeads", "coopDone", "admit"]);
  }
});

test("a joiner at a member that is no admin gets the coop's log and a reason, and is signed in by the admin it meets next", () => {
  const { world, ann, others } = coopOf(31, "bob");
  const bob = others[0] as Peer;
  const device = world.device("tom");
  const tom = { device, coop: device.join(ann.coop.invite()) };
  const met = meet(at(tom), at(bob));
  assert.deepEqual([reasonOf(met.a), reasonOf(met.b)], ["them noAdmin", "us noAdmin"]);
  assert.ok(met.a?.kind === "refused" && /no admin's device/.test(met.a.why));
  assert.ok(tom.coop.pending && tom.coop.state.members.size === 2);
  admitted(meet(at(ann), at(tom)));
  assert.ok(!tom.coop.pending && tom.coop.isMember);
  // Bob has not heard of it yet: Tom brings the proof along.
  admitted(meet(at(tom), at(bob)));
});

test("two joiners do nothing for each other", () => {
  const { world, ann } = coopOf(32);
  const [one, two] = ["one", "two"].map((name) => {
    const device = world.device(name);
    return { device, coop: device.join(ann.coop.invite()) };
  }) as [Peer, Peer];
  const met = meet(at(one), at(two));
  assert.ok(met.a?.kind === "refused" && met.b?.kind === "refused");
});

test("a joiner whose invite has expired, or was used by another, is told so", () => {
  const { world, ann } = coopOf(33);
  const invite = ann.coop.invite();
  const [one, two, late] = ["one", "two", "late"].map((name) => {
    const device = world.device(name);
    return { device, coop: device.join(name === "late" ? ann.coop.invite() : invite) };
  }) as [Peer, Peer, Peer];
  admitted(meet(at(one), at(ann)));
  assert.equal(reasonOf(meet(at(two), at(ann)).a), "them inviteUsed");
  world.pass(choice.inviteSeconds);
  assert.equal(reasonOf(meet(at(late), at(ann)).a), "them inviteExpired");
  assert.equal(ann.coop.state.members.size, 2);
});

test("a link that broke before the joiner heard is no harm: it is a member when it comes again", () => {
  const { world, ann, others } = coopOf(34, "bob");
  const bob = others[0] as Peer;
  const device = world.device("tom");
  const tom = { device, coop: device.join(ann.coop.invite()) };
  let done = false;
  const cut: Tap = (message, from, isKnock) => {
    if (from === "b" && !isKnock && decodeDoor(message).type === "coopDone") done = true;
    return done && from === "b" ? [] : [message];
  };
  const met = meet(at(tom), at(ann), cut);
  assert.deepEqual([reasonOf(met.a), tom.coop.isMember], ["waits", false]);
  assert.ok(ann.coop.state.members.has(toHex(device.key)));
  admitted(meet(at(tom), at(ann)));
  admitted(meet(at(tom), at(bob)));
});

test("who was away while the key turned learns the new one from any member", () => {
  const { ann, others } = coopOf(35, "bob", "eve", "tom", "kim");
  const [bob, eve, , kim] = others as [Peer, Peer, Peer, Peer];
  ann.coop.remove("tom");
  admitted(meet(at(bob), at(ann)));
  const met = meet(at(eve), at(bob));
  admitted(met);
  assert.deepEqual(eve.coop.keys[0], ann.coop.keys[0]);
  // Who is behind says first who it is; the other one waits for that.
  assert.equal(typesOf(met, "a")[0], "identity");
  for (const [name, peer] of [["x", ann]] as const)
    for (let turn = 0; turn < 3; turn++) {
      joined(ann.device.system, peer, `${name}${turn}`);
      ann.coop.remove(`${name}${turn}`);
    }
  assert.equal(ann.coop.keys.length, 5);
  admitted(meet(at(ann), at(kim)));
  assert.deepEqual(kim.coop.keys, ann.coop.keys);
});

test("a member that was listed with an older key gets the newest from an admin", () => {
  const { world, ann } = coopOf(36, "bob", "gone");
  const device = world.device("tom");
  const tom = { device, coop: device.join(ann.coop.invite()) };
  ann.coop.remove("gone");
  admitted(meet(at(tom), at(ann)));
  assert.deepEqual(tom.coop.keys[0], ann.coop.keys[0]);
});

test("a removed member is told so, and learns nothing else", () => {
  const { ann, others } = coopOf(37, "bob", "eve");
  const [bob, eve] = others as [Peer, Peer];
  ann.coop.remove("eve");
  admitted(meet(at(bob), at(ann)));
  for (const dials of [true, false]) {
    const met = dials ? meet(at(eve), at(bob)) : meet(at(bob), at(eve));
    assert.equal(reasonOf(dials ? met.a : met.b), "them removed");
    assert.deepEqual(typesOf(met, dials ? "b" : "a"), ["refuse"]);
  }
  // Even where it claims a key that nobody knows, to be told first who the other is, it gets no more than that.
  const claims: Tap = (message, from, isKnock) => {
    if (from !== "a" || !isKnock) return [message];
    const knock = decodeKnock(message);
    const older = Buffer.concat([knock.epochId, knock.capability]);
    const random = eve.device.system.random;
    return [
      encodeKnock({ ...knock, epochId: random(16), capability: random(32), fields: [{ number: 1, bytes: older }] }),
    ];
  };
  const met = meet(at(eve), at(bob), claims);
  assert.deepEqual([reasonOf(met.b), typesOf(met, "b")], ["us removed", ["identity", "refuse"]]);
});

test("a coop with more chains than one message names lets its members in", () => {
  const { ann, others } = coopOf(39, "bob");
  const [bob] = others as [Peer];
  const heads = ann.coop.heads();
  const { random } = ann.device.system;
  const many = Array.from({ length: 600 }, () => ({ ...heads[0]!, log: random(32), id: random(32) }));
  ann.coop.heads = () => [...many, ...heads];
  admitted(meet(at(bob), at(ann)));
});

test("with an older key and a name that nobody knows, nobody learns who came since", () => {
  const { world, ann, others } = coopOf(38, "bob", "eve");
  const [bob, eve] = others as [Peer, Peer];
  ann.coop.remove("eve");
  joined(world, ann, "newcomer");
  admitted(meet(at(bob), at(ann)));
  const device = world.device("nobody");
  adoptCoop(
    device.home,
    ann.coop.id,
    eve.coop.keys.map(({ key }) => key),
  );
  const nobody = { device, coop: device.coop() };
  const claims: Tap = (message, from, isKnock) => {
    if (from !== "a" || !isKnock) return [message];
    const knock = decodeKnock(message);
    const older = Buffer.concat([knock.epochId, knock.capability]);
    const { random } = world;
    return [
      encodeKnock({ ...knock, epochId: random(16), capability: random(32), fields: [{ number: 1, bytes: older }] }),
    ];
  };
  for (const tap of [undefined, claims]) {
    const met = meet(at(nobody), at(bob), tap);
    assert.equal(reasonOf(met.b), "us notMember");
    assert.deepEqual(
      typesOf(met, "b").filter((type) => type === "coopRecords"),
      [],
    );
  }
});

// -------------------------------------------------------------------------------------------------------- strangers

/** Who dials is a stranger to the other, who says nothing but the knock. */
function strange(met: Met): void {
  assert.deepEqual(typesOf(met, "b"), []);
  assert.equal(reasonOf(met.b), "us silent");
}

test("without a key nothing is said: another coop, a random knock, one that was heard elsewhere, one's own", () => {
  const { world, ann, others } = coopOf(38, "bob");
  const bob = others[0] as Peer;
  const other = coopOf(39).ann;
  strange(meet(at(other), at(ann)));
  const random: Tap = (message, from, isKnock) => (from === "a" && isKnock ? [world.random(200)] : [message]);
  strange(meet(at(bob), at(ann), random));
  for (const length of [0, 1, 20, 300, 5000]) {
    const met = meet(at(bob), at(ann), (message, from) => (from === "a" ? [world.random(length)] : [message]));
    assert.equal(reasonOf(met.b), "us silent");
  }
  // A replay of what a member said on another connection.
  const heard = meet(at(bob), at(ann)).sent.filter(({ from }) => from === "a");
  let next = 0;
  const replay: Tap = (message, from) => (from === "a" ? [heard[next++]?.bytes ?? message] : [message]);
  const again = meet(at(other), at(ann), replay);
  assert.deepEqual([reasonOf(again.b), typesOf(again, "b")], ["us silent", []]);
  // What it says itself, sent back.
  const keys = [world.random(32), world.random(32), world.random(64)] as const;
  const alone = admissionOf(at(ann), true, { local: keys[0], remote: keys[1], hash: keys[2] });
  const moves = alone.onKnock(alone.knock);
  assert.deepEqual([reasonOf(moves.outcome), moves.send], ["us silent", []]);
});

test("knowing the topic, or the id of a key, is not knowing the key", () => {
  const { world, ann, others } = coopOf(40, "bob");
  const bob = others[0] as Peer;
  const id = coopEpochId(ann.coop.keys[0]?.key as Buffer);
  const met = meet(at(bob), at(ann), (message, from, isKnock) =>
    from === "a" && isKnock
      ? [encodeKnock({ ...decodeKnock(message), epochId: id, capability: world.random(32) })]
      : [message],
  );
  assert.equal(reasonOf(met.b), "us silent");
  assert.deepEqual(typesOf(met, "b"), []);
});

test("who holds the key and is no member, and has no invite, is told that it is none", () => {
  const { world, ann } = coopOf(41);
  const device = world.device("tom");
  const tom = { device, coop: device.join(ann.coop.invite()) };
  const met = meet(at(tom), at(ann), (message, from, isKnock) =>
    from === "a" && !isKnock && decodeDoor(message).type === "redeem" ? [] : [message],
  );
  assert.deepEqual([reasonOf(met.a), reasonOf(met.b)], ["them notMember", "us notMember"]);
});

test("a peer of another version: one clear line on both sides, if it holds a key; silence if not", () => {
  const { world, ann, others } = coopOf(42, "bob");
  const bob = others[0] as Peer;
  const newer: Tap = (message, from, isKnock) =>
    from === "a" && isKnock ? [encodeKnock({ ...decodeKnock(message), low: 3, high: 5 })] : [message];
  const met = meet(at(bob), at(ann), newer);
  assert.equal(reasonOf(met.b), "us version");
  assert.ok(
    met.b?.kind === "refused" &&
      met.b.why.includes("protocol 3 to 5, this program 1") &&
      /newer bcoopfs/.test(met.b.why),
  );
  assert.equal(reasonOf(met.a), "them version");
  const wide: Tap = (message, from, isKnock) =>
    from === "a" && isKnock ? [encodeKnock({ ...decodeKnock(message), low: 1, high: 9 })] : [message];
  admitted(meet(at(bob), at(ann), wide));
  const stranger: Tap = (message, from, isKnock) =>
    from === "a" && isKnock
      ? [encodeKnock({ ...decodeKnock(message), low: 3, high: 5, capability: world.random(32) })]
      : [message];
  assert.equal(reasonOf(meet(at(bob), at(ann), stranger).b), "us silent");
});

test("this device itself, in another process or a copy of its home, is left alone", () => {
  const { ann } = coopOf(43);
  const met = meet(at(ann), at({ device: ann.device, coop: ann.device.coop() }));
  assert.deepEqual([reasonOf(met.a), reasonOf(met.b)], ["us silent", "us silent"]);
});

// --------------------------------------------------------------------------------------------------------- identity

test("an identity that is another's, of another connection or direction, or without its vault's word, ends the link", () => {
  const { world, ann, others } = coopOf(44, "bob");
  const bob = others[0] as Peer;
  const identityOf = (met: Met, from: "a" | "b") =>
    decodeDoor(met.sent.filter((one) => one.from === from)[1]?.bytes as Buffer) as Extract<
      DoorMessage,
      { type: "identity" }
    >;
  const earlier = meet(at(bob), at(ann));
  const stranger = world.device("stranger");
  const lies: ((told: ReturnType<typeof identityOf>, mine: Buffer) => object)[] = [
    () => identityOf(earlier, "a"),
    () => identityOf(earlier, "b"),
    (told) => ({ ...told, device: stranger.key }),
    (told) => ({ ...told, device: Buffer.alloc(32) }),
    (told) => ({
      ...told,
      device: Buffer.from(`01${"00".repeat(31)}`, "hex"),
      certificate: undefined,
      rootPublic: undefined,
    }),
    (told) => ({ ...told, proof: Buffer.alloc(64) }),
    (told) => ({ ...told, certificate: stranger.keyring.certificate, rootPublic: stranger.keyring.rootPublic }),
    (told) => ({ ...told, rootPublic: stranger.keyring.rootPublic }),
    (told) => ({ ...told, certificate: { ...told.certificate, rights: 7 } }),
  ];
  for (const lie of lies) {
    const met = meet(at(bob), at(ann), (message, from, isKnock) => {
      if (from !== "a" || isKnock) return [message];
      const told = decodeDoor(message);
      return told.type === "identity" ? [encodeDoor(lie(told, ann.device.key) as DoorMessage)] : [message];
    });
    assert.ok(
      met.b?.kind === "refused" && !met.b.silent && /sent an identity that is not proven/.test(met.b.why),
      `${reasonOf(met.b)} ${lie}`,
    );
    assert.ok(!typesOf(met, "b").includes("coopHeads"));
  }
});

// --------------------------------------------------------------------------------------------------------- recovery

test("a machine with the phrase alone is let in for its vault, and only by who holds that vault's root part", () => {
  const { world, ann, others } = coopOf(45, "bob");
  const bob = others[0] as Peer;
  const { phrase, id } = bob.device.vault;
  const fresh = world.device("fresh");
  const recovering = end(fresh, undefined, {
    recovery: { slot: phrase.slot },
    certificate: undefined,
    rootPublic: undefined,
    keeps: false,
  });
  const holder = at(ann, { rootParts: (slot) => (slot.equals(phrase.slot.publicKey) ? id : undefined) });
  for (const dials of [true, false]) {
    const met = dials ? meet(recovering, holder) : meet(holder, recovering);
    admitted(met);
    const [mine, theirs] = dials ? [met.a, met.b] : [met.b, met.a];
    assert.ok(mine?.kind === "admitted" && theirs?.kind === "admitted");
    assert.deepEqual([theirs.remote.recovering, theirs.remote.vault, theirs.remote.admin], [id, undefined, false]);
    assert.deepEqual(
      [mine.remote.recovering, mine.remote.device, mine.remote.vault],
      [undefined, ann.device.key, ann.device.vault.id],
    );
    assert.ok(!typesOf(met, dials ? "b" : "a").some((type) => type.startsWith("coop")), "nothing of the coop is told");
    assert.ok(stillAdmitted(ann.coop, theirs.remote));
  }
  // Nothing of that vault is here, or it is not the slot key that knocks.
  strange(meet(recovering, at(ann)));
  const wrong = { ...recovering, recovery: { slot: phraseKeys(world.random(32)).slot } };
  strange(meet(wrong, holder));
  const stolen: Tap = (message, from, isKnock) => {
    const knock = isKnock && from === "a" ? decodeKnock(message) : undefined;
    return knock?.slot
      ? [encodeKnock({ ...knock, slot: { ...knock.slot, publicKey: phrase.slot.publicKey } })]
      : [message];
  };
  strange(meet(wrong, holder, stolen));
  const both = meet(recovering, { ...recovering, of: world.device("fresh2") });
  assert.deepEqual([reasonOf(both.a), reasonOf(both.b)], ["us silent", "us silent"]);
  // A knock of another connection, and one sent back.
  const heard = meet(recovering, holder).sent[0]?.bytes as Buffer;
  strange(meet(recovering, holder, (message, from, isKnock) => (isKnock && from === "a" ? [heard] : [message])));
});

test("in a recovery no records are taken, and none given", () => {
  const { world, ann } = coopOf(46);
  const { phrase, id } = ann.device.vault;
  const recovering = end(world.device("fresh"), undefined, { recovery: { slot: phrase.slot } });
  const holder = at(ann, { rootParts: () => id });
  for (const type of ["coopHeads", "coopRecords", "coopDone", "redeem"] as const) {
    let sent = false;
    const met = meet(recovering, holder, (message, from, isKnock) => {
      if (from !== "a" || isKnock || sent || decodeDoor(message).type !== "admit") return [message];
      sent = true;
      return [sample(world, ann, type), message];
    });
    assert.equal(reasonOf(met.b), "us breach", type);
  }
});

// ---------------------------------------------------------------------------------------------------- hostile peers

function sample(world: World, ann: Peer, type: DoorMessage["type"]): Buffer {
  switch (type) {
    case "identity": {
      const { certificate, rootPublic } = ann.device.keyring;
      return encodeDoor({
        type,
        device: ann.device.key,
        certificate,
        rootPublic,
        proof: world.random(64),
        keeps: true,
      });
    }
    case "coopHeads":
      return encodeDoor({ type, heads: [] });
    case "coopRecords":
      return encodeDoor({ type, log: ann.coop.id, records: ann.coop.recordsAfter([])[0]?.records.slice(0, 1) ?? [] });
    case "redeem": {
      const redeem = {
        token: world.random(32),
        expires: 0n,
        role: 1,
        admin: world.random(32),
        signature: world.random(64),
        label: "",
        proof: world.random(64),
        fields: noFields,
      };
      return encodeDoor({ type, redeem });
    }
    case "refuse":
      return encodeDoor({ type, reason: 2 });
    default:
      return encodeDoor({ type } as DoorMessage);
  }
}

const types = ["identity", "coopHeads", "coopRecords", "coopDone", "redeem", "admit", "refuse"] as const;
/** What may come instead of the n-th message of a member without a breach. */
const fitting: Readonly<Record<string, readonly string[]>> = {
  identity: ["identity", "refuse"],
  coopHeads: ["coopHeads", "refuse"],
  coopDone: ["coopDone", "coopRecords", "redeem", "refuse"],
  admit: ["admit", "coopRecords", "refuse"],
};

test("a message out of its order ends the link, at every stage", () => {
  const { world, ann, others } = coopOf(47, "bob");
  const bob = others[0] as Peer;
  for (const stage of ["identity", "coopHeads", "coopDone", "admit"])
    for (const type of types) {
      const met = meet(at(bob), at(ann), (message, from, isKnock) =>
        from === "a" && !isKnock && decodeDoor(message).type === stage
          ? [sample(world, ann, type), message]
          : [message],
      );
      if (fitting[stage]?.includes(type)) continue;
      assert.equal(reasonOf(met.b), "us breach", `${type} before ${stage}`);
    }
  // A redeem twice, a knock twice, anything before the knock, records before heads.
  const twice = meet(at(bob), at(ann), (message, from, isKnock) =>
    from === "a" && !isKnock && decodeDoor(message).type === "coopDone"
      ? [sample(world, ann, "redeem"), sample(world, ann, "redeem"), message]
      : [message],
  );
  assert.equal(reasonOf(twice.b), "us breach");
  const met = meet(at(bob), at(ann));
  assert.throws(() => met.admissionB.onKnock(met.admissionA.knock), Violation);
  assert.equal(met.admissionB.outcome, met.b, "what was decided stays so");
  const early = admissionOf(at(ann), false, {
    local: world.random(32),
    remote: world.random(32),
    hash: world.random(64),
  });
  assert.equal(reasonOf(early.onDoor(sample(world, ann, "coopHeads")).outcome), "us silent");
});

test("messages of types that this version does not know: odd ones are passed over, even ones and too many end the link", () => {
  const { ann, others } = coopOf(48, "bob");
  const bob = others[0] as Peer;
  const with_ =
    (more: Buffer[]): Tap =>
    (message, from, isKnock) =>
      from === "a" && !isKnock ? [...more, message] : [message];
  admitted(meet(at(bob), at(ann), with_([Buffer.from([201, 1, 2, 3])])));
  assert.equal(reasonOf(meet(at(bob), at(ann), with_([Buffer.from([200, 1, 2, 3])])).b), "us breach");
  assert.equal(
    reasonOf(meet(at(bob), at(ann), with_(Array.from({ length: 80 }, () => Buffer.from([201])))).b),
    "us breach",
  );
});

test("heads of another coop, and records that are none, are of another coop, are badly signed, or too many", () => {
  const { world, ann, others } = coopOf(49, "bob");
  const bob = others[0] as Peer;
  const foreign = coopOf(50).ann.coop;
  const before = ann.coop.state;
  const instead = (type: string, ...messages: DoorMessage[]): string => {
    const met = meet(at(bob), at(ann), (message, from, isKnock) =>
      from === "a" && !isKnock && decodeDoor(message).type === type
        ? [...messages.map(encodeDoor), message]
        : [message],
    );
    return `${reasonOf(met.b)}: ${met.b?.kind === "refused" ? met.b.why : ""}`;
  };
  assert.match(instead("coopHeads", { type: "coopHeads", heads: foreign.heads() }), /breach: .*heads of another coop/);
  const records = (...bytes: Buffer[]): DoorMessage => ({ type: "coopRecords", log: ann.coop.id, records: bytes });
  assert.match(
    instead("coopDone", records(world.random(300))),
    /breach: bob \(.*\) sent something that is no record of this coop/,
  );
  const theirs = foreign.recordsAfter([]).flatMap((row) => row.records);
  assert.match(instead("coopDone", records(...theirs)), /breach: .*no record of this coop/);
  // In Ann's name, with another's signature.
  const tip = ann.coop.heads()[0];
  const last = ann.coop
    .recordsAfter([])
    .flatMap((row) => row.records)
    .at(-1) as Buffer;
  const said = { what: "member", device: world.random(32) } as const;
  const behind = { ...decodeTip(last), id: tip?.id as Buffer };
  const forged = forge(bob.device.keyring.device, ann.coop.id, behind, 50n, said);
  assert.match(instead("coopDone", records(forged.bytes)), /breach: .*wrong signature/);
  // In its own name it may say what it likes: nobody listens, and nothing is kept.
  const own = bob.coop.heads().length;
  const many = Array.from({ length: 17 }, () => records(...Array.from({ length: 1024 }, () => Buffer.alloc(1))));
  assert.match(instead("coopDone", ...many), /breach: .*more records than a coop may have/);
  assert.equal(bob.coop.heads().length, own);
  assert.deepEqual(ann.coop.state, before);
});

function decodeTip(bytes: Buffer) {
  // Only what `forge` needs of a record.
  return {
    log: bytes.subarray(48, 80),
    seq: bytes.readBigUInt64LE(80),
    time: bytes.readBigUInt64LE(120) / 2n,
  } as unknown as Parameters<typeof forge>[2];
}

test("property: whatever a peer sends instead, nothing is thrown, nobody else is admitted, and the coop stays as it was", () => {
  const { world, ann, others } = coopOf(51, "bob");
  const bob = others[0] as Peer;
  const before = ann.coop.state;
  const outcomes = new Map<string, number>();
  for (let run = 0; run < (full ? 6000 : 250); run++) {
    let count = 0;
    const hit = world.below(6);
    const tap: Tap = (message, from) => {
      if (from !== "a" || count++ !== hit) return [message];
      const bad = Buffer.from(message);
      switch (world.below(6)) {
        case 0:
          return [world.random(world.below(400))];
        case 1:
          return [bad.subarray(0, world.below(bad.length))];
        case 2:
          return [Buffer.concat([bad, world.random(1 + world.below(9))])];
        case 3:
          return [];
        case 4:
          return [bad, bad];
        default:
          bad[world.below(bad.length)] = world.below(256);
          return [bad];
      }
    };
    const met = meet(at(bob), at(ann), tap);
    const outcome = reasonOf(met.b);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (met.b?.kind === "admitted") assert.deepEqual(met.b.remote.device, bob.device.key);
  }
  assert.deepEqual(ann.coop.state, before);
  for (const outcome of ["us silent", "us breach", "waits", "admitted"])
    assert.ok((outcomes.get(outcome) ?? 0) > 0, `${outcome} never came about: ${[...outcomes].join(", ")}`);
});

// ------------------------------------------------------------------------------------------------- after admission

test("who is admitted hears over the door what changes in the coop, and passes on what it hears", () => {
  const { world, ann, others } = coopOf(52, "bob", "eve");
  const [bob, eve] = others as [Peer, Peer];
  const met = meet(at(bob), at(ann));
  admitted(met);
  const { admissionA: bobs, admissionB: anns } = met;
  assert.deepEqual(anns.onCoopChanged().send, []);
  const tom = joined(world, ann, "tom");
  const told = anns.onCoopChanged().send;
  assert.deepEqual(
    told.map((bytes) => decodeDoor(bytes).type),
    ["coopRecords"],
  );
  assert.deepEqual(anns.onCoopChanged().send, [], "it is told once");
  for (const bytes of told) assert.deepEqual(bobs.onDoor(bytes).send, [], "and not sent back");
  assert.ok(bob.coop.state.members.has(toHex(tom.device.key)));
  // Bob was told of a removal by another way; Ann's end gets it from him, and the removed one is to be cut.
  const link = meet(at(eve), at(bob));
  assert.ok(link.b?.kind === "admitted");
  ann.coop.remove("eve");
  assert.ok(stillAdmitted(bob.coop, link.b.remote));
  for (const bytes of anns.onCoopChanged().send) bobs.onDoor(bytes);
  assert.ok(!stillAdmitted(bob.coop, link.b.remote));
  assert.deepEqual(bob.coop.keys[0], ann.coop.keys[0]);
});

test("after admission what breaks the rules is a violation, and records that nobody can use are borne for a while only", () => {
  const { world, ann, others } = coopOf(53, "bob");
  const bob = others[0] as Peer;
  const fresh = () => meet(at(bob), at(ann)).admissionB;
  for (const bytes of [
    Buffer.from([2, 3, 4]),
    Buffer.from([200]),
    ...types.filter((type) => type !== "coopRecords").map((type) => sample(world, ann, type)),
  ])
    assert.throws(() => fresh().onDoor(bytes), Violation);
  const bad = encodeDoor({ type: "coopRecords", log: ann.coop.id, records: [Buffer.alloc(9)] });
  assert.throws(() => fresh().onDoor(bad), Violation);
  // What is known already costs nothing, however often it comes; what nobody listens to does.
  const rows = ann.coop.recordsAfter([]).map((row) => encodeDoor({ type: "coopRecords", ...row }));
  const patient = fresh();
  for (let n = 0; n < 2000; n++) for (const bytes of rows) patient.onDoor(bytes);
  const { keyring } = bob.device;
  const begun = foundRecord({ keyring, label: "bob", system: world }, ann.coop.id, "", undefined);
  const junk = Array.from({ length: 1100 }, (_, n) =>
    forge(keyring.device, ann.coop.id, begun, BigInt(n), { what: "member", device: bob.device.key }),
  );
  const before = ann.coop.heads();
  assert.throws(() => {
    for (const { log, bytes } of [begun, ...junk])
      patient.onDoor(encodeDoor({ type: "coopRecords", log, records: [bytes] }));
  }, Violation);
  assert.deepEqual(ann.coop.heads(), before);
});

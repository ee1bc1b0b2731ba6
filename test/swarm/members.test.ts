import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "../../src/base/bytes.js";
import { rights } from "../../src/format/certificate.js";
import { roles } from "../../src/format/coop.js";
import type { LogRecord } from "../../src/format/record.js";
import { admits, foldCoop, isAdmin, isHeard } from "../../src/swarm/members.js";
import { full } from "../support/store-home.js";
import { type Forged, forge, shown, Voice } from "./chains-given.js";
import { type TestDevice, World } from "./coop-given.js";

/** A founder and more, all listed, each with what the founder knows. */
function coopOf(world: World, ...names: [name: string, role: number][]): { ann: Voice; others: Voice[] } {
  const ann = Voice.founder(world.device("ann"));
  const others = names.map(([name]) => new Voice(world.device(name), ann.coop));
  for (const [at, other] of others.entries()) ann.list(other, names[at]?.[1]);
  for (const other of others) other.hear(ann);
  return { ann, others };
}

const admin = (name: string): [string, number] => [name, roles.admin];
const member = (name: string): [string, number] => [name, roles.member];

test("the founder is an admin, and says who else is in", () => {
  const world = new World();
  const { ann, others } = coopOf(world, admin("bob"), member("eve"));
  const [bob, eve] = others as [Voice, Voice];
  const { state } = ann;
  assert.equal(state.name, "barn");
  assert.deepEqual(
    [...state.members.values()].map(({ role }) => role),
    [roles.admin, roles.admin, roles.member],
  );
  assert.ok(isAdmin(state, ann.key) && isAdmin(state, bob.key) && !isAdmin(state, eve.key));
  assert.ok(admits(state, eve.key) && !admits(state, world.device("tom").key));
  assert.equal(state.epochs.length, 1);
});

test("without the founding record nothing counts", () => {
  const { ann, others } = coopOf(new World(), admin("bob"));
  const bob = others[0] as Voice;
  bob.list(new World(3).device("tom"));
  const chains = bob.chains.filter(({ author }) => !author.device.equals(ann.key));
  const state = foldCoop(ann.coop, chains);
  assert.equal(state.members.size, 0);
  assert.equal(state.epochs.length, 0);
});

test("a device certified by the vault of an admin speaks too, if it may administer; one of a member's vault is let in", () => {
  const world = new World();
  const vault = world.vault();
  const ann = Voice.founder(world.device("ann", vault));
  const phone = new Voice(world.device("phone", vault), ann.coop);
  const printer = new Voice(world.device("printer", vault, rights.write), ann.coop);
  const tom = world.device("tom");
  for (const voice of [phone, printer]) {
    voice.hear(ann);
    voice.list(tom);
    const state = foldCoop(ann.coop, voice.chains);
    assert.equal(state.members.has(toHex(tom.key)), voice === phone, voice.label);
    assert.ok(admits(state, voice.key, voice.keyring.certificate));
    assert.ok(!admits(state, world.device("x").key, undefined));
  }
  // It lists itself when it first speaks: so it stays when the founder's device is lost.
  assert.equal(phone.state.members.get(phone.hex)?.role, roles.admin);
  phone.remove(ann);
  phone.list(world.device("new"));
  assert.deepEqual([phone.state.members.size, phone.state.members.has(ann.hex)], [3, false]);
});

test("a token counts once, whoever redeems it first in the order of all", () => {
  const world = new World();
  const { ann, others } = coopOf(world, admin("bob"));
  const bob = others[0] as Voice;
  const token = world.random(32);
  const [tom, kim] = [world.device("tom"), world.device("kim")];
  ann.list(tom, roles.member, token);
  bob.list(kim, roles.member, token);
  ann.hear(bob);
  bob.hear(ann);
  assert.deepEqual(shown(ann.state), shown(bob.state));
  assert.equal(ann.state.members.size, 3);
  assert.equal(ann.state.usedTokens.size, 1);
  // A second one for the same token, later: no.
  const before = shown(ann.state);
  const [late] = ann.list(world.device("late"), roles.member, token);
  assert.ok(late);
  assert.deepEqual({ ...(shown(ann.state) as object) }, before);
});

test("a removed admin cannot speak any more, however early it claims to", () => {
  const world = new World();
  const { ann, others } = coopOf(world, admin("bob"), member("eve"));
  const [bob, eve] = others as [Voice, Voice];
  const tom = world.device("tom");
  bob.list(tom);
  ann.hear(bob);
  ann.remove(bob);
  const before = shown(ann.state);
  assert.ok(ann.state.members.has(toHex(tom.key)), "what it said before stays");
  const tip = bob.tip as LogRecord;
  const first = bob.records.find(({ log, seq }) => log.equals(tip.log) && seq === 0n) as LogRecord;
  const begun = bob.begin();
  for (const behind of [tip, first, begun])
    for (const serial of [0n, 1n, 3n, 4n, 5n, 6n, 7n, 100n])
      for (const saying of [
        { what: "member", device: world.random(32) },
        { what: "remove", device: ann.key },
        { what: "remove", device: eve.key },
      ] as Forged[]) {
        const records = [...ann.records, begun, bob.forge(behind, serial, saying)];
        const state = foldCoop(ann.coop, chainsOf(ann, bob, records));
        assert.deepEqual(shown(state), before, `${serial} ${saying.what} behind ${behind.seq}`);
        assert.ok(
          !isHeard(
            state,
            { device: bob.key, certificate: undefined, rootPublic: undefined },
            records.at(-1) as LogRecord,
          ),
        );
      }
});

/** Chains out of records of these voices. */
function chainsOf(...given: [...Voice[], readonly LogRecord[]]) {
  const records = given.at(-1) as readonly LogRecord[];
  const authors = new Map<string, Voice>();
  for (const voice of given.slice(0, -1) as Voice[])
    for (const record of records)
      if (record.seq === 0n && record.clear.subarray(0, 32).equals(voice.key)) authors.set(toHex(record.log), voice);
  return [...authors].map(([log, { keyring }]) => ({
    author: { device: keyring.device.publicKey, certificate: keyring.certificate, rootPublic: keyring.rootPublic },
    records: records.filter((record) => toHex(record.log) === log),
  }));
}

test("of two admins who remove each other, the one who has been one for longer stays", () => {
  for (const first of ["ann", "bob"]) {
    const world = new World();
    const { ann, others } = coopOf(world, admin("bob"), admin("eve"));
    const [bob, eve] = others as [Voice, Voice];
    if (first === "ann") ann.remove(bob);
    // It dates itself back as far as it can.
    bob.remove(ann);
    if (first === "bob") ann.remove(bob);
    for (const other of [ann, bob]) eve.hear(other);
    ann.hear(eve);
    assert.deepEqual(shown(eve.state), shown(ann.state));
    assert.ok(ann.state.members.has(ann.hex) && !ann.state.members.has(bob.hex));
    assert.ok(eve.state.members.has(eve.hex));
  }
});

test("three admins who remove each other in a circle: one order, the same for all", () => {
  const world = new World();
  const { ann, others } = coopOf(world, admin("bob"), admin("eve"));
  const [bob, eve] = others as [Voice, Voice];
  ann.remove(eve);
  bob.remove(ann);
  eve.remove(bob);
  const all = [ann, bob, eve];
  const shuffled = [...all].reverse();
  for (const one of all) for (const other of shuffled) one.hear(other);
  const states = all.map(({ records }) => shown(foldCoop(ann.coop, chainsOf(ann, bob, eve, records))));
  assert.deepEqual(states[1], states[0]);
  assert.deepEqual(states[2], states[0]);
  // Ann's counts, for she is the first; so Eve's is beyond what of hers stands; Bob's removal of Ann counts as well.
  assert.deepEqual([...ann.state.members.keys()], [bob.hex]);
});

test("a junior can remove a senior who does not contest it, and keeps what was said", () => {
  const world = new World();
  const { ann, others } = coopOf(world, admin("bob"), member("eve"));
  const [bob, eve] = others as [Voice, Voice];
  bob.remove(ann);
  bob.turn();
  const { state } = bob;
  assert.deepEqual([...state.members.keys()], [bob.hex, eve.hex]);
  assert.equal(state.epochs.at(-1)?.number, 1);
  assert.equal(state.name, "barn");
});

test("the founder's stolen machine and the one that was recovered with the phrase: the later certificate stays", () => {
  for (const first of ["stolen", "recovered"]) {
    const world = new World();
    const vault = world.vault();
    const stolen = Voice.founder(world.device("stolen", vault));
    const bob = new Voice(world.device("bob"), stolen.coop);
    stolen.list(bob, roles.admin);
    bob.hear(stolen);
    const recovered = new Voice(world.device("recovered", vault), stolen.coop);
    recovered.hear(stolen);
    if (first === "stolen") stolen.remove(recovered);
    recovered.remove(stolen);
    if (first === "recovered") stolen.remove(recovered);
    stolen.remove(bob);
    for (const voice of [stolen, recovered]) bob.hear(voice);
    assert.deepEqual(
      [bob.state.members.has(stolen.hex), bob.state.members.has(recovered.hex), bob.state.members.has(bob.hex)],
      [false, true, true],
    );
  }
});

test("a chain that branched is heard in both branches", () => {
  const world = new World();
  const { ann } = coopOf(world);
  const old = ann.book.copy();
  const [tom, kim] = [world.device("tom"), world.device("kim")];
  ann.list(tom);
  const branch = new Voice(world.device("x"), ann.coop);
  Object.assign(branch, { keyring: ann.keyring, book: old });
  branch.list(kim);
  assert.deepEqual([ann.tip?.seq, branch.tip?.seq], [2n, 2n]);
  ann.hear(branch);
  branch.hear(ann);
  assert.deepEqual(shown(ann.state), shown(branch.state));
  assert.ok(ann.state.members.has(toHex(tom.key)) && ann.state.members.has(toHex(kim.key)));
});

test("epochs: numbers go up by one, the last in order is current, a record may seal a known one to more", () => {
  const world = new World();
  const { ann, others } = coopOf(world, admin("bob"));
  const bob = others[0] as Voice;
  ann.turn();
  bob.turn();
  ann.hear(bob);
  bob.hear(ann);
  assert.deepEqual(
    ann.state.epochs.map(({ number }) => number),
    [0, 1, 1],
  );
  assert.deepEqual(shown(ann.state), shown(bob.state));
  ann.turn();
  assert.deepEqual(
    ann.state.epochs.map(({ number }) => number),
    [0, 1, 1, 2],
  );
  const before = shown(ann.state);
  const { id, number } = ann.state.epochs.at(-1) as { id: Buffer; number: number };
  const empty = { ephemeral: Buffer.alloc(32), boxes: [] };
  ann.say({ what: "epoch", number: number + 2, id: world.random(16), ...empty });
  ann.say({ what: "epoch", number: 1, id, ...empty });
  ann.say({ what: "epoch", number: 0, id: world.random(16), ...empty });
  assert.deepEqual(shown(ann.state), before, "a number that leaps, another number for a known one, no number");
  ann.say({ what: "epoch", number, id, ...empty });
  assert.equal(ann.state.epochs.at(-1)?.bodies.length, 2);
});

test("a serial beyond all that are allowed says nothing; who uses them up is told of in one line", () => {
  const world = new World();
  const { ann } = coopOf(world);
  const before = shown(ann.state);
  const leap = ann.forge(ann.tip as LogRecord, (1n << 64n) - 1n, { what: "member", device: world.random(32) });
  ann.book.enter(leap);
  assert.deepEqual(shown(ann.state), before);
  const last = ann.forge(leap, 1n << 63n, { what: "member", device: world.random(32) });
  ann.book.enter(last);
  assert.notDeepEqual(shown(ann.state), before);
  assert.throws(() => ann.list(world.device("tom")), { code: "refused", message: /used up/ });
});

// ------------------------------------------------------------------------------------------------------- properties

interface Story {
  readonly world: World;
  readonly ann: Voice;
  readonly voices: readonly Voice[];
  /** all that anybody signed, lies included */
  readonly records: readonly LogRecord[];
}

const told = new Map<number, Story>();

/** Devices that list, remove and lie, and hear each other now and then. */
function story(number: number): Story {
  const known = told.get(number) ?? tell(number, 50);
  told.set(number, known);
  return known;
}

function tell(number: number, steps: number): Story {
  const world = new World(number);
  const vaults = [world.vault(), world.vault(), world.vault()];
  const device = (name: string): TestDevice => world.device(name, vaults[world.below(3)]);
  const ann = Voice.founder(device("ann"));
  const voices = [ann, ...["bob", "cid", "dan", "eve", "fay"].map((name) => new Voice(device(name), ann.coop))];
  const pick = <T>(of: readonly T[]): T => of[world.below(of.length)] as T;
  const tokens = Array.from({ length: 4 }, () => world.random(32));
  const all = new Map(ann.records.map((record) => [toHex(record.id), record]));
  const old = new Map<Voice, Voice["book"]>();
  for (let step = 0; step < steps; step++) {
    const who = pick(voices);
    const about = pick(voices);
    const made: LogRecord[] = [];
    switch (world.below(12)) {
      case 0:
      case 1:
      case 2:
        who.hear(pick(voices));
        break;
      case 3:
      case 4:
        made.push(...who.list(about, 1 + world.below(2), world.below(2) ? pick(tokens) : undefined));
        break;
      case 5:
        if (world.below(3) === 0) made.push(...who.remove(about));
        break;
      case 6:
        made.push(...who.turn());
        break;
      case 7:
        old.set(who, who.book.copy());
        break;
      case 8:
        if (old.has(who)) who.book = (old.get(who) as Voice["book"]).copy();
        break;
      default: {
        const behind = pick([...who.records.filter(({ log }) => isOwn(who, log)), who.begin()]);
        const serial = BigInt(world.below(30));
        const sayings: Forged[] = [
          { what: "member", device: about.key, role: roles.admin, vault: about.keyring.vault, token: pick(tokens) },
          { what: "remove", device: about.key, chains: about.tip ? [{ log: about.tip.log, seq: about.tip.seq }] : [] },
          { what: "raw", type: 33 + world.below(4), clear: world.random(world.below(80)) },
          { what: "raw", type: 200, clear: world.random(8) },
        ];
        const lie = who.forge(behind, serial, pick(sayings));
        if (behind.seq === 0n) made.push(behind);
        made.push(lie);
        for (const record of made) who.book.enter(record);
      }
    }
    for (const record of made) all.set(toHex(record.id), record);
  }
  return { world, ann, voices, records: [...all.values()] };
}

function isOwn(who: Voice, log: Buffer): boolean {
  return who.book.chains.get(toHex(log))?.author.device.equals(who.key) === true;
}

function shuffle<T>(world: World, of: readonly T[]): T[] {
  const result = [...of];
  for (let i = result.length - 1; i > 0; i--) {
    const j = world.below(i + 1);
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}

const stories = full ? 400 : 25;

test("property: the state is the same in whatever order chains and records come", () => {
  let grown = 0;
  for (let number = 1; number <= stories; number++) {
    const { world, ann, voices, records } = story(number);
    const state = shown(foldCoop(ann.coop, chainsOf(...voices, records)));
    grown += (state as { members: unknown[] }).members.length > 2 ? 1 : 0;
    for (let round = 0; round < 3; round++) {
      const chains = shuffle(world, chainsOf(...voices, shuffle(world, records)));
      assert.deepEqual(shown(foldCoop(ann.coop, chains)), state, `story ${number}`);
    }
  }
  assert.ok(grown > stories / 3, `only ${grown} stories say anything`);
});

test("property: who hears all, in any order and in any pieces, comes to the same state", () => {
  for (let number = 1; number <= stories; number++) {
    const { world, ann, voices, records } = story(number);
    const state = shown(foldCoop(ann.coop, chainsOf(...voices, records)));
    const reader = new Voice(world.device("reader"), ann.coop);
    const rest = shuffle(world, records);
    while (rest.length > 0) reader.take(rest.splice(0, 1 + world.below(20)));
    assert.deepEqual(shown(reader.state), state, `story ${number}`);
  }
});

test("property: what is not worth keeping can be thrown away, and what comes again is taken again", () => {
  for (let number = 1; number <= stories; number++) {
    const { world, ann, voices, records } = story(number);
    const chains = chainsOf(...voices, records);
    const state = foldCoop(ann.coop, chains);
    const kept = chains.map((chain) => ({
      ...chain,
      records: chain.records.filter((record) => isHeard(state, chain.author, record)),
    }));
    assert.deepEqual(shown(foldCoop(ann.coop, kept)), shown(state), `story ${number}`);
    const reader = new Voice(world.device("forgetful"), ann.coop);
    const pieces = shuffle(world, records);
    for (let at = 0; at < pieces.length; at += 9) {
      reader.take(pieces.slice(at, at + 9));
      reader.waiting = [];
    }
    reader.take(pieces);
    assert.deepEqual(shown(reader.state), shown(state), `story ${number}, twice`);
  }
});

test("property: any prefix of any chain is a state, and nobody is both in and removed", () => {
  for (let number = 1; number <= stories; number++) {
    const { world, ann, voices, records } = story(number);
    for (let round = 0; round < 4; round++) {
      const ends = new Map<string, bigint>();
      const cut = records.filter(({ log, seq }) => {
        const end = ends.get(toHex(log)) ?? BigInt(world.below(12));
        ends.set(toHex(log), end);
        return seq <= end;
      });
      const state = foldCoop(ann.coop, chainsOf(...voices, cut));
      for (const key of state.members.keys()) assert.ok(!state.removed.has(key));
      for (const { number: epoch } of state.epochs) assert.ok(epoch < state.epochs.length);
    }
  }
});

test("property: nothing that those say who are no admins changes anything", () => {
  for (let number = 1; number <= stories; number++) {
    const { world, ann, voices, records } = story(number);
    const before = foldCoop(ann.coop, chainsOf(...voices, records));
    const strangers = ["x", "y"].map((name) => new Voice(world.device(name), ann.coop));
    // Plain members of a vault that has no admin.
    const plain = voices.filter(
      ({ hex, keyring }) =>
        before.members.get(hex)?.role === roles.member &&
        !before.admins.has(hex) &&
        ![...before.admins.values()].some(({ vault }) => vault?.equals(keyring.vault)),
    );
    const added: LogRecord[] = [];
    for (const who of [...strangers, ...plain]) {
      let behind = who.begin();
      added.push(behind);
      for (let n = 0; n < 6; n++) {
        const about = voices[world.below(voices.length)] as Voice;
        const saying: Forged =
          world.below(2) === 0
            ? {
                what: "member",
                device: world.below(2) ? who.key : world.random(32),
                role: roles.admin,
                vault: who.keyring.vault,
              }
            : { what: "remove", device: about.key };
        behind = forge(who.keyring.device, ann.coop, behind, BigInt(world.below(40)), saying);
        added.push(behind);
      }
    }
    const after = foldCoop(ann.coop, chainsOf(...strangers, ...voices, [...records, ...added]));
    assert.deepEqual(shown(after), shown(before), `story ${number}`);
  }
});

test("property: whom a longer-standing admin removed says nothing more", () => {
  let tried = 0;
  for (let number = 1; number <= stories; number++) {
    const { world, ann, voices, records } = story(number);
    for (const voice of voices) voice.take(records);
    const { admins, members, removed } = ann.state;
    // By its vault a device may be an admin for as long as another one, and dated back even as one that was removed.
    const rankOf = ({ hex, keyring }: Voice, datedBack: boolean): number =>
      [...admins].findIndex(
        ([key, { vault }]) => key === hex || (vault?.equals(keyring.vault) && (datedBack || !removed.has(key))),
      );
    const judge = voices.find((voice) => members.has(voice.hex) && rankOf(voice, false) >= 0);
    const isJunior = (voice: Voice): boolean =>
      judge !== undefined && members.has(voice.hex) && rankOf(voice, true) > rankOf(judge, false);
    const target = voices.find((voice) => admins.has(voice.hex) && isJunior(voice));
    if (judge === undefined || target === undefined) continue;
    tried++;
    judge.remove(target);
    const before = judge.state;
    const behinds = [target.begin(), ...judge.records.filter(({ log }) => isOwn2(judge, target, log))];
    const added: LogRecord[] = [behinds[0] as LogRecord];
    for (let n = 0; n < 12; n++) {
      const behind = behinds[world.below(behinds.length)] as LogRecord;
      const about = voices[world.below(voices.length)] as Voice;
      const sayings: Forged[] = [
        { what: "member", device: world.random(32), role: roles.admin },
        { what: "remove", device: about.key },
      ];
      added.push(target.forge(behind, BigInt(world.below(40)), sayings[world.below(2)] as Forged));
    }
    const after = foldCoop(ann.coop, chainsOf(...voices, [...judge.records, ...added]));
    assert.deepEqual(shown(after), shown(before), `story ${number}`);
  }
  assert.ok(tried > stories / 10, `only ${tried} tried`);
});

function isOwn2(judge: Voice, target: Voice, log: Buffer): boolean {
  return judge.book.chains.get(toHex(log))?.author.device.equals(target.key) === true;
}

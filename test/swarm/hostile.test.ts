/** Members that lie, in every message they can send: what is theirs to say is taken, all else costs them the link. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { format, swarm, wire } from "../../src/base/limits.js";
import { noFields } from "../../src/format/fields.js";
import { defaultClass, encodeListings, encodeRelease, type Listing, objectKinds } from "../../src/format/listing.js";
import type { Head, RoomMessage } from "../../src/format/message.js";
import { encodeReceipt, type Receipt, signReceipt } from "../../src/format/receipt.js";
import { decodeRecord, type LogRecord, recordTypes, sealRecord } from "../../src/format/record.js";
import { openRootPart, readRootPart, sealDevicePart, sealRootPart } from "../../src/format/capsule.js";
import { phraseKeys } from "../../src/format/keys.js";
import { seek } from "../../src/swarm/seek.js";
import type { Listed } from "../../src/store/ledger.js";
import type { Keyring } from "../../src/store/keyring.js";
import { Impostor, type Machine, noise, World } from "./given.js";

/** Ann and bob are what they seem; mal has been admitted, and says what the test says. */
async function given(t: TestContext, seed = 1) {
  const world = new World(t, seed);
  const [ann, bob, mal] = [await world.machine("ann"), await world.machine("bob"), await world.machine("mal")];
  await world.coop(ann, bob, mal);
  await ann.store(5, 60_000, 1);
  return { world, ann, bob, mal };
}

/** Mal comes in, says this, and is cut and kept out; bob goes on as if nothing had been. */
async function isCut(
  world: World,
  bob: Machine,
  mal: Machine,
  why: RegExp,
  say: (mal: Impostor) => void,
): Promise<void> {
  await bob.restart();
  const impostor = new Impostor(mal);
  await world.until(() => impostor.isIn, "mal is in");
  await world.clock.run(200);
  say(impostor);
  await world.until(() => bob.happened("misbehaved").length === 1, `mal is cut: ${why}`, 30_000);
  const [event] = bob.happened("misbehaved");
  assert.ok(event?.type === "misbehaved" && event.device.equals(mal.vault.device));
  assert.match(event.why, why);
  await world.clock.run(30_000);
  assert.ok(!impostor.isIn, "and does not come back");
  assert.equal(bob.happened("misbehaved").length, 1);
  await world.clock.settled(impostor.network.close());
  bob.events.length = 0;
}

/** Records that this device could have written behind another. */
function recordsBehind(keyring: Keyring, last: LogRecord, count: number, seed: number): LogRecord[] {
  const records: LogRecord[] = [];
  for (let i = 0; i < count; i++) {
    const before = records.at(-1) ?? last;
    const draft = {
      type: recordTypes.release,
      vault: keyring.vault,
      log: before.log,
      seq: before.seq + 1n,
      previous: before.id,
      time: before.time + 1n,
      clear: encodeRelease({ names: [noise(32, seed, i)], fields: noFields }),
      secret: Buffer.alloc(0),
    };
    records.push(sealRecord(draft, keyring.epoch, keyring.device, (length) => noise(length, seed, i, 5)));
  }
  return records;
}

function lastRecord(machine: Machine): { head: Head; record: LogRecord } {
  const head = machine.ownHeads().at(-1) as Head;
  const [bytes] = machine.vault.store.recordsOf(head.log, head.seq, wire.recordBytesPerMessage);
  return { head, record: decodeRecord(bytes as Buffer) };
}

test("what nobody asked for, what is no message, and what is not the sender's to say", async (t) => {
  const { world, ann, bob, mal } = await given(t);
  await bob.store(10, 100_000, 7);
  const [{ name, length }] = [...bob.vault.store.ledger.listedBy((bob.ownHeads()[0] as Head).log)] as [Listed];
  const { log } = ann.ownHeads()[0] as Head;
  const is = (why: RegExp, say: (mal: Impostor) => void) => isCut(world, bob, mal, why, say);
  const says = (why: RegExp, message: RoomMessage) => is(why, (impostor) => impostor.say(message));
  await is(/not a valid room message/, (impostor) => impostor.sayBytes(Buffer.from([2, 255, 255, 255])));
  await is(/not a valid room message/, (impostor) => impostor.sayBytes(Buffer.alloc(0)));
  await says(/nobody asked for/, { type: "records", log, records: [] });
  await says(/nobody asked for/, {
    type: "part",
    vault: ann.vault.id,
    device: Buffer.alloc(32),
    bytes: Buffer.alloc(9),
  });
  await says(/not asked/, { type: "leaves", request: 1, first: 0, proof: [], bytes: Buffer.alloc(9) });
  await says(/not asked/, { type: "noLeaves", request: 1, reason: 1 });
  await says(/not asked/, { type: "held", request: 999, bits: Buffer.alloc(1) });
  await is(/asks more than/, (impostor) => {
    for (let request = 0; request <= 2 * swarm.questions; request++)
      impostor.say({ type: "askLeaves", request, name, length, first: 0, count: 4 });
  });
  const own = mal.ownHeads()[0] as Head;
  await says(/another vault/, {
    type: "heads",
    heads: [{ ...own, scope: ann.vault.id, log: (bob.ownHeads()[0] as Head).log }],
    more: false,
  });
});

test("receipts of others, for others, and not signed", async (t) => {
  const { world, ann, bob, mal } = await given(t);
  const { log, seq, id } = bob.ownHeads()[0] as Head;
  const receipt = (by: Machine, more: Partial<Receipt> = {}): Receipt => ({
    ...signReceipt(by.vault.store.keyring.device, {
      vault: bob.vault.id,
      log,
      seq,
      id,
      time: by.system.now(),
      all: true,
      names: [],
      fields: noFields,
    }),
    ...more,
  });
  const is = (why: RegExp, made: Receipt) =>
    isCut(world, bob, mal, why, (impostor) => impostor.say({ type: "receipt", bytes: encodeReceipt(made) }));
  await is(/another device/, receipt(ann));
  await is(/another vault/, receipt(mal, { vault: ann.vault.id }));
  await is(/did not sign/, receipt(mal, { signature: noise(64, 3) }));
  await is(/did not sign/, receipt(mal, { names: [noise(32, 1)] }));
});

test("a part that is not its vault's, and one that no root key has certified", async (t) => {
  const { world, ann, bob, mal } = await given(t);
  const device = noise(32, 8);
  const { keyring } = mal.vault.store;
  const part = sealDevicePart(
    keyring.device,
    keyring.certificate,
    keyring.device.publicKey,
    9n,
    { epochs: [], coops: [], bootstrap: [], peers: [], fields: noFields },
    (length) => noise(length, 4),
  );
  const offers = (vault: Buffer, wanted: Buffer, bytes: Buffer) => (impostor: Impostor) => {
    impostor.onMessage = (message, say) => {
      if (message.type === "askPart" && message.device.equals(wanted))
        say({ type: "part", vault: message.vault, device: message.device, bytes });
    };
    impostor.say({ type: "parts", parts: [{ vault, device: wanted, version: 99n }] });
  };
  ann.start();
  await isCut(world, bob, mal, /certificate|part/, offers(ann.vault.id, device, part));
  await isCut(world, bob, mal, /root part/, offers(ann.vault.id, Buffer.alloc(32), part));
  await isCut(world, bob, mal, /root part|another/, offers(mal.vault.id, Buffer.alloc(32), noise(300, 1)));
});

test("forged records, records of another log, and a vault that is nobody's", async (t) => {
  const { world, ann, bob, mal } = await given(t);
  const stranger = await world.machine("stranger");
  await bob.restart();
  ann.start();
  await world.until(() => bob.follows(ann), "bob knows ann's log");
  await ann.close();
  await ann.open();
  const { head, record } = lastRecord(ann);
  const answers = (records: readonly Buffer[], say: Head) => (impostor: Impostor) => {
    impostor.onMessage = (message, tell) => {
      if (message.type === "askRecords") tell({ type: "records", log: message.log, records: [...records] });
    };
    impostor.say({ type: "heads", heads: [say], more: false });
  };
  const { keyring } = mal.vault.store;
  const further = { ...head, seq: head.seq + 2n, id: noise(32, 1) };
  const forged = recordsBehind({ ...keyring, vault: ann.vault.id }, record, 2, 1).map(({ bytes }) => bytes);
  await isCut(world, bob, mal, /wrong signature/, answers(forged, further));
  const gap = recordsBehind(ann.vault.store.keyring, record, 5, 1).map(({ bytes }) => bytes);
  await isCut(world, bob, mal, /other records than those asked for/, answers(gap.slice(2), further));
  await isCut(world, bob, mal, /not a valid record/, answers([noise(200, 1)], further));
  await isCut(world, bob, mal, /do not follow/, answers([gap[0] as Buffer, gap[2] as Buffer], further));
  // A log of a stranger's vault, called a member's.
  const theirs = lastRecord(stranger);
  const records = stranger.vault.store.recordsOf(theirs.head.log, 0n, 1e5);
  await isCut(world, bob, mal, /not kept here/, answers(records, { ...theirs.head, scope: mal.vault.id }));
  // Called what it is, it is passed over.
  const impostor = new Impostor(mal);
  await bob.restart();
  await world.until(() => impostor.isIn, "mal is in");
  answers(records, theirs.head)(impostor);
  await world.clock.run(5000);
  assert.ok(impostor.isIn);
  assert.ok(!impostor.heard.some(({ type }) => type === "askRecords"));
  assert.deepEqual(bob.happened("misbehaved"), []);
});

test("one device signs two histories: both sides freeze the log, and everybody gets the proof", async (t) => {
  const { world, ann, bob, mal } = await given(t);
  const { head, record } = lastRecord(mal);
  const { keyring } = mal.vault.store;
  const branch = (seed: number) => [record, ...recordsBehind(keyring, record, 3, seed)];
  const serving = (impostor: Impostor, records: readonly LogRecord[]): void => {
    const genesis = mal.vault.store.recordsOf(head.log, 0n, 1e6);
    const all = [...genesis, ...records.slice(1).map(({ bytes }) => bytes)];
    impostor.onMessage = (message, say) => {
      if (message.type === "askRecords" && message.log.equals(head.log))
        say({ type: "records", log: head.log, records: all.slice(Number(message.from)) });
    };
    const last = records.at(-1) as LogRecord;
    impostor.say({ type: "heads", heads: [{ ...head, seq: last.seq, id: last.id }], more: false });
  };
  const meets = async (machine: Machine, seed: number): Promise<void> => {
    machine.start();
    const impostor = new Impostor(mal);
    await world.until(() => impostor.isIn, "mal is in");
    serving(impostor, branch(seed));
    await world.until(
      () => machine.vault.store.heads().some(({ log, seq }) => log.equals(head.log) && seq === head.seq + 3n),
      "it knows the branch",
    );
    await world.clock.settled(impostor.network.close());
    await machine.close();
    await machine.open();
  };
  await meets(ann, 1);
  await meets(bob, 2);
  const frozen = (machine: Machine): boolean =>
    machine.vault.store.heads().some(({ log, frozen: is }) => is && log.equals(head.log));
  ann.start();
  bob.start();
  await world.until(() => frozen(ann) && frozen(bob), "both have frozen it");
  for (const machine of [ann, bob]) {
    assert.equal(machine.happened("fork").length, 1);
    assert.deepEqual(machine.happened("misbehaved"), []);
    assert.equal(machine.vault.store.evidenceOf(head.log).length, 2);
    // Nothing is added to it any more, whoever offers it.
    const next = recordsBehind(keyring, branch(1).at(-1) as LogRecord, 1, 5).map(({ bytes }) => bytes);
    assert.equal(machine.vault.store.acceptRecords(head.log, next, () => true).outcome, "frozen");
  }
});

test("a member's root part that names another vault's slot key stands in nobody's way", async (t) => {
  const { world, ann, bob, mal } = await given(t);
  const { slot, topic } = phraseKeys(ann.entropy);
  const mine = phraseKeys(mal.entropy);
  const path = join(mal.vault.home.capsule, "root");
  const own = readRootPart(readFileSync(path));
  const secrets = openRootPart(mine, own);
  const random = (length: number): Buffer => noise(length, 6);
  const thief = { ...mine, slot: { ...mine.slot, publicKey: slot.publicKey }, topic };
  const stolen = sealRootPart(thief, own.version + 1n, secrets, random);
  const impostor = new Impostor(mal);
  impostor.onMessage = (message, say) => {
    if (message.type === "askPart") say({ ...message, type: "part", bytes: stolen });
  };
  await bob.restart();
  await world.until(() => impostor.isIn, "mal is in");
  impostor.say({
    type: "parts",
    parts: [{ vault: mal.vault.id, device: Buffer.alloc(32), version: own.version + 1n }],
  });
  await world.until(() => bob.happened("misbehaved").length === 1, "mal is cut", 30_000);
  await world.clock.settled(impostor.network.close());
  ann.start();
  const root = (): boolean => existsSync(join(bob.vault.home.capsule, ann.vault.id.toString("hex"), "root"));
  await world.until(root, "bob keeps ann's root part");
  await bob.restart();
  await ann.close();
  const network = world.net.open("new");
  const wait = { lookMs: 20_000, quietMs: 1500, gatherMs: 20_000, mostMs: 60_000 };
  const stop = new AbortController().signal;
  const seeking = seek(network, phraseKeys(ann.entropy), world.clock.system("new"), wait, stop, () => {});
  const { gathering } = await world.clock.settled(seeking);
  assert.ok(gathering.hasRoot);
  await world.clock.settled(network.close());
  await ann.open();
});

test("who lists another's object under a wrong length keeps nobody from having it", async (t) => {
  const { world, ann, bob, mal } = await given(t, 3);
  const names = ann.listed();
  const wrong = names.flatMap((name) =>
    [format.leafBytes, 3 * format.leafBytes, 64 * format.leafBytes].map((length) => listingOf(name, length)),
  );
  mal.vault.store.commit([], [{ type: "list", clear: encodeListings(wrong), secret: Buffer.alloc(0) }]);
  mal.start();
  bob.start();
  await world.until(() => bob.follows(mal), "bob knows what mal lists");
  ann.start();
  await world.until(() => bob.has(names), "bob has what ann lists", 60_000);
  assert.deepEqual(bob.happened("misbehaved"), []);
});

function listingOf(name: Buffer, length: number): Listing {
  const fields = noFields;
  return {
    name,
    length,
    kind: objectKinds.dataSegment,
    salt: noise(32, 8),
    class: defaultClass,
    adopted: false,
    fields,
  };
}

test("who says that it knows all logs further, and then is silent, holds up nobody and is cut", async (t) => {
  const { world, ann, bob, mal } = await given(t, 4);
  const impostor = new Impostor(mal);
  await bob.restart();
  await world.until(() => impostor.isIn, "mal is in");
  const { scope, log, device } = ann.ownHeads()[0] as Head;
  const further = { scope, log, device, seq: 1000n, id: noise(32, 1), frozen: false };
  const others = Array.from({ length: 20 }, (_, i) => ({ ...further, log: noise(32, 2 + i) }));
  impostor.say({ type: "heads", heads: [...others, further], more: false });
  await world.clock.run(1000);
  ann.start();
  await world.until(() => bob.has(ann.listed()), "bob has what ann has", 40_000);
  await world.until(() => impostor.ends.length > 0, "mal is cut", 90_000);
  assert.deepEqual(bob.happened("misbehaved"), []);
});

test("what is only claimed to be a log of this device is no reason to say so", async (t) => {
  const { world, bob, mal } = await given(t, 5);
  const impostor = new Impostor(mal);
  impostor.onMessage = (message, say) => {
    if (message.type === "askRecords") say({ type: "records", log: message.log, records: [] });
  };
  await bob.restart();
  await world.until(() => impostor.isIn, "mal is in");
  const { scope, device } = bob.ownHeads()[0] as Head;
  impostor.say({
    type: "heads",
    heads: [{ scope, device, log: noise(32, 1), seq: 3n, id: noise(32, 2), frozen: false }],
    more: false,
  });
  await world.clock.run(5000);
  assert.deepEqual(bob.happened("other-installation"), []);
});

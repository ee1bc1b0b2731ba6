/** What a machine with the phrase alone makes of what peers tell it: true, stale, forked, false and endless. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { realSystem } from "../../src/base/system.js";
import { sealDevicePart, sealRootPart } from "../../src/format/capsule.js";
import { certify } from "../../src/format/certificate.js";
import { noFields } from "../../src/format/fields.js";
import { encodeGenesis } from "../../src/format/genesis.js";
import { newConstants, newEpoch, phraseKeys, vaultIdOf } from "../../src/format/keys.js";
import type { Head, RoomMessage } from "../../src/format/message.js";
import { type LogRecord, recordTypes, sealRecord } from "../../src/format/record.js";
import { signingKeyOf } from "../../src/format/sign.js";
import { Gathering } from "../../src/swarm/gather.js";

const { random } = realSystem;
const none = Buffer.alloc(0);
const zeros = Buffer.alloc(32);

/** A vault with one device, made of formats alone. */
function given() {
  const phrase = phraseKeys(random(32));
  const root = signingKeyOf(random(32));
  const epoch = newEpoch(random, 0);
  const device = signingKeyOf(random(32));
  const certificate = certify(root, device.publicKey, 3, 1n);
  const vault = vaultIdOf(root.publicKey);
  const constants = newConstants(random, 32 * 1024);
  const hints = { epochs: [], coops: [], bootstrap: [], peers: [], fields: noFields };
  const genesis = (): LogRecord => {
    const clear = encodeGenesis({
      certificate,
      rootPublic: root.publicKey,
      random: random(16),
      predecessor: undefined,
      fields: noFields,
    });
    const draft = { type: recordTypes.genesis, vault, log: undefined, seq: 0n, previous: undefined, time: 1n };
    return sealRecord({ ...draft, clear, secret: none }, epoch, device, random);
  };
  const after = (last: LogRecord, by = device): LogRecord =>
    sealRecord(
      {
        type: recordTypes.note,
        vault,
        log: last.log,
        seq: last.seq + 1n,
        previous: last.id,
        time: last.time + 1n,
        clear: none,
        secret: random(8),
      },
      epoch,
      by,
      random,
    );
  /** `length` more records behind a log */
  const grown = (log: readonly LogRecord[], length: number): LogRecord[] => {
    const all = [...log];
    for (let i = 0; i < length; i++) all.push(after(all.at(-1) as LogRecord));
    return all;
  };
  return {
    phrase,
    vault,
    device,
    genesis,
    after,
    grown,
    rootPart: sealRootPart(phrase, 1n, { root, constants, epoch, fields: noFields }, random),
    devicePart: (version: bigint) => sealDevicePart(device, certificate, phrase.recoveryPublic, version, hints, random),
  };
}
type Given = ReturnType<typeof given>;

/** A peer that tells what it has and answers what it is asked, a few records at a time. */
class Peer {
  readonly name: string;
  readonly root: Buffer | undefined;
  readonly parts: readonly { device: Buffer; version: bigint; bytes: Buffer }[];
  readonly logs: readonly (readonly LogRecord[])[];
  readonly #vault: Buffer;
  asked = 0;

  constructor(name: string, of: Given, logs: readonly (readonly LogRecord[])[], version = 1n, root = of.rootPart) {
    this.name = name;
    this.#vault = of.vault;
    this.root = root;
    this.parts = [{ device: of.device.publicKey, version, bytes: of.devicePart(version) }];
    this.logs = logs;
  }

  heads(): Head[] {
    return this.logs.map((records) => {
      const { log, seq, id, vault } = records.at(-1) as LogRecord;
      return { scope: vault, log, device: zeros, seq, id, frozen: false };
    });
  }

  tells(): RoomMessage[] {
    const own = this.parts.map(({ device, version }) => ({ vault: this.#vault, device, version }));
    return [
      { type: "heads", heads: this.heads(), more: false },
      { type: "parts", parts: [{ vault: this.#vault, device: zeros, version: 1n }, ...own] },
    ];
  }

  answer(ask: RoomMessage): RoomMessage | undefined {
    assert.ok(++this.asked < 1000, `${this.name} is asked without end`);
    if (ask.type === "askPart") {
      const bytes = ask.device.equals(zeros)
        ? this.root
        : this.parts.find(({ device }) => device.equals(ask.device))?.bytes;
      return bytes && { type: "part", vault: ask.vault, device: ask.device, bytes };
    }
    if (ask.type !== "askRecords") return undefined;
    const records = this.logs.find((log) => log[0]?.log.equals(ask.log)) ?? [];
    const part = records.slice(Number(ask.from), Number(ask.from) + 3);
    return { type: "records", log: ask.log, records: part.map(({ bytes }) => bytes) };
  }
}

/** Let all peers talk, each in turn, until nobody has anything to say. */
function talk(gathering: Gathering, peers: readonly Peer[]): void {
  const queue: [Peer, RoomMessage][] = peers.flatMap((peer) =>
    peer.tells().map((said) => [peer, said] as [Peer, RoomMessage]),
  );
  for (let next = queue.shift(); next; next = queue.shift()) {
    const [peer, said] = next;
    for (const ask of gathering.heard(peer.name, said)) {
      const answer = peer.answer(ask);
      if (answer) queue.push([peer, answer]);
    }
  }
}

test("one peer that has all: parts, logs, and what the phrase opens", () => {
  const of = given();
  const logs = [of.grown([of.genesis()], 10), of.grown([of.genesis()], 1), [of.genesis()]];
  const gathering = new Gathering(of.phrase);
  assert.equal(gathering.hasRoot, false);
  talk(gathering, [new Peer("a", of, logs)]);
  assert.equal(gathering.hasRoot, true);
  assert.equal(gathering.waiting, false);
  assert.deepEqual(gathering.capsule().vault, of.vault);
  assert.equal(gathering.capsule().parts.size, 2);
  assert.deepEqual(
    gathering.logs().map(({ longest }) => longest.length),
    [11, 2, 1],
  );
  assert.deepEqual([gathering.peers(), gathering.records, gathering.devices], [1, 14, 1]);
});

test("a stale peer and a fresh one: the newest counts, and who has seen what is told", () => {
  const of = given();
  const old = of.grown([of.genesis()], 4);
  const fresh = of.grown(old, 5);
  for (const order of [
    [0, 1],
    [1, 0],
  ] as const) {
    const peers = [new Peer("stale", of, [old], 1n), new Peer("fresh", of, [fresh], 7n)];
    const gathering = new Gathering(of.phrase);
    talk(
      gathering,
      order.map((i) => peers[i] as Peer),
    );
    assert.equal(gathering.logs()[0]?.longest.length, 10);
    assert.equal(gathering.logs()[0]?.others.length, 0);
    assert.equal(gathering.seenBy(old.at(-1) as LogRecord), 2);
    assert.equal(gathering.seenBy(fresh.at(-1) as LogRecord), 1);
    const key = of.device.publicKey.toString("hex");
    assert.deepEqual(gathering.capsule().parts.get(key), peers[1]?.parts[0]?.bytes, "the part of the higher version");
  }
});

test("two branches of one log: both are kept, the longer counts, whatever the order", () => {
  const of = given();
  const trunk = of.grown([of.genesis()], 6);
  const [long, short] = [of.grown(trunk, 5), of.grown(trunk, 2)];
  for (const names of [
    ["long", "short"],
    ["short", "long"],
  ]) {
    const gathering = new Gathering(of.phrase);
    talk(
      gathering,
      names.map((name) => new Peer(name, of, [name === "long" ? long : short])),
    );
    const [log] = gathering.logs();
    assert.equal(log?.longest.at(-1)?.id.equals(long.at(-1)!.id), true);
    assert.equal(log?.others.length, 1);
    assert.equal(log?.others[0]?.at(-1)?.id.equals(short.at(-1)!.id), true);
    assert.equal(gathering.seenBy(long.at(-1)!), 1);
    assert.equal(gathering.seenBy(short.at(-1)!), 1);
    assert.equal(gathering.seenBy(trunk.at(-1)!), 2);
  }
  // One peer has proof of a fork and passes it on.
  const gathering = new Gathering(of.phrase);
  talk(gathering, [new Peer("long", of, [long])]);
  gathering.heard("long", { type: "fork", log: long[0]!.log, record: short[7]!.bytes });
  assert.equal(gathering.logs()[0]?.others.length, 1);
});

test("liars: other vaults, wrong signatures, heads of nothing, records without end", () => {
  const of = given();
  const other = given();
  const log = of.grown([of.genesis()], 3);
  const forged = [...log, of.after(log.at(-1) as LogRecord, other.device)];
  const foreign = other.grown([other.genesis()], 2);
  const gathering = new Gathering(of.phrase);
  const wrongVault = new Peer("wrong vault", other, [foreign]);
  const wrongRoot = new Peer("wrong root", of, [log], 1n, other.rootPart);
  const broken = new Peer("broken", of, [forged], 1n, Buffer.from("no part"));
  const empty = new Peer("empty", of, [forged]);
  empty.answer = (ask) => {
    if (ask.type !== "askRecords") return undefined;
    empty.asked++;
    return { type: "records", log: ask.log, records: [] };
  };
  const endless = new Peer("endless", of, [forged]);
  endless.answer = (ask) => {
    assert.ok(++endless.asked < 20, "asked without end");
    return ask.type === "askRecords"
      ? { type: "records", log: ask.log, records: log.slice(0, 2).map(({ bytes }) => bytes) }
      : undefined;
  };
  talk(gathering, [wrongVault, wrongRoot, broken, empty]);
  assert.equal(gathering.hasRoot, false, "nobody had the root part");
  assert.equal(gathering.logs().length, 0);
  talk(gathering, [new Peer("true", of, [log]), endless]);
  talk(gathering, [broken, empty, endless, wrongVault]);
  assert.deepEqual(
    gathering.logs().map(({ longest, others }) => [longest.length, others.length]),
    [[4, 0]],
  );
  assert.equal(gathering.seenBy(forged.at(-1) as LogRecord), 0);
  assert.equal(gathering.seenBy(log.at(-1) as LogRecord), 2, "the true one, and the one with the wrong root");
  // Records that nobody asked for are not taken.
  const more = of.grown(log, 1);
  gathering.heard("true", { type: "records", log: log[0]!.log, records: [more.at(-1)!.bytes] });
  assert.equal(gathering.logs()[0]?.longest.length, 4);
});

test("who left owes nothing", () => {
  const of = given();
  const gathering = new Gathering(of.phrase);
  const peer = new Peer("a", of, [[of.genesis()]]);
  for (const said of peer.tells()) gathering.heard("a", said);
  assert.equal(gathering.waiting, true);
  gathering.gone("a");
  assert.equal(gathering.waiting, false);
});

test("logs that are only claimed take nobody's place", () => {
  const of = given();
  const gathering = new Gathering(of.phrase);
  const log = of.grown([of.genesis()], 3);
  const liar = new Peer("liar", of, []);
  for (const said of liar.tells()) gathering.heard("liar", said);
  gathering.heard("liar", { type: "part", vault: of.vault, device: zeros, bytes: of.rootPart });
  for (let i = 0; i < 10; i++) {
    const heads = Array.from({ length: 512 }, () => ({
      scope: of.vault,
      log: random(32),
      device: zeros,
      seq: 9n,
      id: random(32),
      frozen: false,
    }));
    gathering.heard("liar", { type: "heads", heads, more: false });
  }
  talk(gathering, [new Peer("true", of, [log])]);
  assert.deepEqual(
    gathering.logs().map(({ longest }) => longest.length),
    [4],
  );
  assert.equal(gathering.seenBy(log.at(-1) as LogRecord), 1);
});

test("who comes under another name each time leaves nothing behind", () => {
  const of = given();
  const gathering = new Gathering(of.phrase);
  const log = of.grown([of.genesis()], 3);
  talk(gathering, [new Peer("true", of, [log])]);
  const head = { scope: of.vault, log: random(32), device: zeros, seq: 9n, id: random(32), frozen: false };
  for (let i = 0; i < 1000; i++) {
    gathering.heard(`liar ${i}`, { type: "heads", heads: [head], more: false });
    gathering.gone(`liar ${i}`);
  }
  gathering.gone("true");
  assert.ok(gathering.peers() < 200);
  assert.equal(gathering.seenBy(log.at(-1) as LogRecord), 1);
});

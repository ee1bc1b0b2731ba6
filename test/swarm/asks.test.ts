/** What is asked of one peer, and what small things are remembered of peers: credit, proofs, absences, bans, a full disk. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { format, swarm, wire } from "../../src/base/limits.js";
import { NameHasher, proofOf } from "../../src/format/leaves.js";
import type { RoomMessage } from "../../src/format/message.js";
import { Asks, bytesOf, type LeavesAnswer, stretchesOf } from "../../src/swarm/asks.js";
import { HeldNames } from "../../src/swarm/held-names.js";
import { KeptOut } from "../../src/swarm/kept-out.js";
import { Space } from "../../src/swarm/space.js";
import { Violation } from "../../src/swarm/violation.js";
import { SimClock } from "../sim/clock.js";
import { noise } from "../support/store-home.js";

function object(length: number, seed = 1) {
  const bytes = noise(length, seed);
  const hasher = new NameHasher();
  hasher.update(bytes);
  const { name, leaves } = hasher.finish();
  const answer = (request: number, first: number, count: number): Extract<RoomMessage, { type: "leaves" }> => {
    const part = bytes.subarray(first * format.leafBytes, (first + count) * format.leafBytes);
    const last = Math.min(first + count, leaves.length) - 1;
    return { type: "leaves", request, first, proof: proofOf(leaves, first, last), bytes: Buffer.from(part) };
  };
  return { name, length, bytes, answer };
}

function asked() {
  const clock = new SimClock(1);
  const sent: RoomMessage[] = [];
  const peer = { holds: new HeldNames(), received: 0, send: (message: RoomMessage) => void sent.push(message) };
  return { peer, sent, asks: new Asks(peer, clock.system("me")), clock };
}

test("an object is asked for in stretches of at most four leaves, its end included", () => {
  const { name } = object(10);
  const of = (length: number) => stretchesOf({ name, length }).map(({ first, count }) => `${first}+${count}`);
  assert.deepEqual(of(0), ["0+1"]);
  assert.deepEqual(of(format.leafBytes), ["0+1"]);
  assert.deepEqual(of(9 * format.leafBytes + 1), ["0+4", "4+4", "8+2"]);
  const length = 9 * format.leafBytes + 1;
  assert.equal(bytesOf({ name, length }, { first: 8, count: 2 }), format.leafBytes + 1);
});

test("credit: never more asked for than may arrive at once, and reads go before what is kept", () => {
  const { asks, sent } = asked();
  const thing = object(32 * 1024 * 1024);
  const big = 4 * format.leafBytes;
  const pulls = stretchesOf(thing).slice(0, swarm.pullRequests);
  for (const stretch of pulls) asks.leaves(thing, stretch, "pull", () => {});
  assert.equal(asks.mayAsk(1, "pull"), false, "no more for keeping");
  assert.equal(asks.mayAsk(big, "read"), true);
  const reads = stretchesOf(thing).slice(8, 16);
  for (const stretch of reads) asks.leaves(thing, stretch, "read", () => {});
  assert.equal(asks.bytes, swarm.linkCreditBytes);
  assert.equal(asks.mayAsk(1, "read"), false);
  assert.equal(sent.length, 16);
  asks.onAnswer(thing.answer(1, 0, 4));
  assert.equal(asks.mayAsk(big, "pull"), true);
});

test("an answer is given on once, and only when it proves itself", () => {
  const { asks, peer } = asked();
  const thing = object(5 * format.leafBytes + 17);
  const got: LeavesAnswer[] = [];
  const ask = (first: number, count: number) =>
    asks.leaves(thing, { first, count }, "read", (answer) => got.push(answer));
  ask(4, 2);
  asks.onAnswer(thing.answer(1, 4, 2));
  assert.deepEqual(got, [thing.bytes.subarray(4 * format.leafBytes)]);
  assert.equal(peer.received, format.leafBytes + 17);
  const wrong = (change: (message: Extract<RoomMessage, { type: "leaves" }>) => RoomMessage, request: number): void => {
    ask(0, 4);
    const message = change(thing.answer(request, 0, 4)) as Extract<RoomMessage, { type: "leaves" }>;
    assert.throws(() => asks.onAnswer(message), Violation);
  };
  wrong((m) => ({ ...m, request: 77 }), 2);
  wrong((m) => ({ ...m, first: 1 }), 3);
  wrong((m) => ({ ...m, bytes: m.bytes.subarray(1) }), 4);
  wrong((m) => ({ ...m, proof: m.proof.slice(1) }), 5);
  wrong((m) => {
    const bytes = Buffer.from(m.bytes);
    bytes[100_000] = (bytes[100_000] as number) ^ 1;
    return { ...m, bytes };
  }, 6);
  assert.equal(got.length, 1);
  assert.throws(() => asks.onAnswer(thing.answer(1, 4, 2)), Violation, "answered already");
});

test("an answer that nobody waits for any more is dropped; a link that ends answers all", () => {
  const { asks, peer, clock } = asked();
  const thing = object(100);
  const got: unknown[] = [];
  asks.leaves(thing, { first: 0, count: 1 }, "read", (answer) => got.push(answer))();
  asks.onAnswer(thing.answer(1, 0, 1));
  assert.equal(got.length, 0);
  asks.leaves(thing, { first: 0, count: 1 }, "pull", (answer) => got.push(answer));
  asks.onAnswer({ type: "noLeaves", request: 2, reason: 1 });
  assert.ok(!peer.holds.gives(thing, 0n), "what it refuses it does not give");
  peer.holds.set(thing.name, true, 1n);
  assert.ok(!peer.holds.gives(thing, 0n) && peer.holds.gives({ ...thing, length: thing.length + 1 }, 0n));
  asks.leaves(thing, { first: 0, count: 1 }, "pull", (answer) => got.push(answer));
  asks.held([thing.name], (flags) => got.push(flags));
  assert.ok((asks.waitingSince as bigint) < clock.system("later").now() + 1_000_000_000n);
  asks.close();
  assert.deepEqual(got, ["none", "closed", undefined]);
  assert.equal(asks.bytes, 0);
  assert.equal(asks.waitingSince, undefined);
});

test("questions whether something is held wait for each other, and go together", () => {
  const { asks, sent, peer } = asked();
  const names = Array.from({ length: 40 }, (_, i) => noise(32, 9, i));
  const got = new Map<number, readonly boolean[] | undefined>();
  names.forEach((name, i) => {
    asks.held([name], (flags) => got.set(i, flags));
  });
  assert.equal(sent.length, swarm.heldRequests);
  const bits = Buffer.alloc(1, 1);
  asks.onAnswer({ type: "held", request: 1, bits });
  assert.deepEqual(got.get(0), [true]);
  const together = sent.at(-1) as Extract<RoomMessage, { type: "askHeld" }>;
  assert.equal(together.names.length, 38);
  const most = Buffer.alloc(5, 0b10101010);
  assert.throws(() => asks.onAnswer({ type: "held", request: 3, bits: most.subarray(1) }), Violation);
  asks.onAnswer({ type: "held", request: 2, bits: Buffer.alloc(1) });
  assert.deepEqual(got.get(1), [false]);
  assert.ok(peer.holds.has(names[0] as Buffer) && !peer.holds.has(names[1] as Buffer));
  assert.throws(() => asks.held(Array(wire.names + 1).fill(names[0]), () => {}), RangeError);
});

test("what a peer said of objects is bounded, and that it lacks something is forgotten when it has news", () => {
  const holds = new HeldNames();
  const name = (i: number): Buffer => noise(32, 3, i);
  for (let i = 0; i < swarm.heldNames + 10; i++) holds.set(name(i), i % 2 === 0, 5n);
  assert.equal(holds.has(name(0)), false, "the oldest is forgotten");
  const [even, odd] = [name(swarm.heldNames), name(swarm.heldNames + 1)];
  assert.ok(holds.has(even) && holds.lacks(odd, 4n) && !holds.lacks(odd, 5n));
  holds.forgetAbsent();
  assert.ok(holds.has(even) && !holds.lacks(odd, 0n));
});

test("who misbehaves is kept out twice as long each time, a day at most, and forgiven in time", () => {
  const out = new KeptOut();
  const device = noise(32, 1);
  const second = 1_000_000_000n;
  let now = 0n;
  const times: number[] = [];
  for (let i = 0; i < 14; i++) {
    times.push(out.add(device, now));
    assert.ok(out.has(device, now + second));
    now += BigInt(times.at(-1) as number) * second;
    assert.ok(!out.has(device, now));
  }
  assert.deepEqual(times.slice(0, 4), [60, 120, 240, 480]);
  assert.deepEqual(times.slice(-2), [86_400, 86_400]);
  now += 2n * 86_400n * second;
  assert.equal(out.add(device, now), 60);
  for (let i = 0; i < swarm.keptOut; i++) out.add(noise(32, 2, i), now);
  assert.ok(!out.has(device, now + second), "the oldest is forgotten");
});

test("a full disk is told of once, pauses for a while, and is over when something was written", async () => {
  const clock = new SimClock(1);
  const told: string[] = [];
  const space = new Space(
    clock.system("me"),
    (full) => told.push(full ? "full" : "free"),
    () => told.push("again"),
  );
  assert.equal(space.isFull(new Problem("io", "broken")), false);
  space.wrote();
  assert.equal(space.isFull(new Problem("no-space", "full")), true);
  assert.equal(space.isFull(new Problem("no-space", "full")), true);
  assert.ok(space.paused && space.full);
  await clock.run(swarm.fullDiskSeconds * 1000 + 10);
  assert.ok(!space.paused && space.full);
  space.isFull(new Problem("no-space", "full"));
  await clock.run(swarm.fullDiskSeconds * 1000 + 10);
  space.wrote();
  space.wrote();
  assert.deepEqual(told, ["full", "again", "again", "free"]);
});

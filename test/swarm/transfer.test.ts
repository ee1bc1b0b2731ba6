/** Objects on their way: resumed, from whoever gives, on a full disk, and very many of them. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { format, swarm } from "../../src/base/limits.js";
import type { RoomMessage } from "../../src/format/message.js";
import { objectPath, readObject } from "../../src/store/objects.js";
import { full, Impostor, type Machine, World } from "./given.js";

async function given(t: TestContext, options = {}, seed = 1) {
  const world = new World(t, seed, options);
  const [ann, bob, eve] = [await world.machine("ann"), await world.machine("bob"), await world.machine("eve")];
  await world.coop(ann, bob, eve);
  return { world, ann, bob, eve };
}

function received(machine: Machine): number {
  let sum = 0;
  let last = 0;
  for (const event of machine.events) {
    if (event.type !== "traffic") continue;
    // A process that begins anew begins to count anew.
    if (event.received < last) sum += last;
    last = event.received;
  }
  return sum + last;
}

test("a transfer that is cut goes on where it stopped, from whoever is there", async (t) => {
  const { world, ann, bob, eve } = await given(t, { bytesPerMs: 2000 });
  await ann.store(80, 120_000, 1);
  const names = ann.listed();
  const bytes = names.reduce((sum, name) => sum + lengthOf(ann, name), 0);
  assert.ok(bytes > 9_000_000);
  ann.start();
  bob.start();
  await world.until(() => bob.has(names), "bob has all");
  bob.events.length = 0;
  eve.start();
  for (let cut = 0; cut < 5; cut++) {
    await world.clock.run(1500);
    if (cut % 2 === 0) {
      await eve.die();
      eve.start();
    } else {
      world.net.partition([["ann", "bob"], ["eve"]]);
      await world.clock.run(1000);
      world.net.heal();
    }
  }
  await world.until(() => eve.has(names), "eve has all");
  await world.clock.run(2000);
  const waste = received(eve) - bytes;
  // What was on its way at each cut is asked for anew, and nothing else.
  assert.ok(waste <= 5 * 2 * swarm.linkCreditBytes, `${waste} bytes came twice of ${bytes}`);
});

function lengthOf(machine: Machine, name: Buffer): number {
  return readObject(machine.vault.home, name, 0, format.segmentBytes).length;
}

test("one wrong byte is seen before it is written: the liar is out, the object comes from somebody else", async (t) => {
  const { world, ann, bob, eve } = await given(t, { bytesPerMs: 4000 });
  await ann.store(40, 120_000, 1);
  const names = ann.listed();
  await bob.close();
  await bob.open();
  const impostor = new Impostor(bob);
  let asked = 0;
  impostor.onMessage = (message: RoomMessage, say) => {
    if (message.type === "askHeld")
      say({
        type: "held",
        request: message.request,
        bits: Buffer.alloc(Math.ceil(message.names.length / 8), 255 >> (8 - (message.names.length % 8 || 8))),
      });
    else if (message.type === "askLeaves") {
      asked++;
      const { name, length, first, count, request } = message;
      void ann.leaves(name, length, first, count).then((found) => {
        if (found === undefined) return say({ type: "noLeaves", request, reason: 1 });
        const bytes = Buffer.from(found.bytes);
        if (asked > 5) bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 128;
        return say({ type: "leaves", request, first, proof: found.proof, bytes });
      });
    }
  };
  ann.start();
  await world.until(() => impostor.isIn, "the impostor is in");
  // Eve learns of what there is, and then has nobody but the liar.
  eve.start();
  await world.until(() => eve.vault.store.ledger.wantedCount() > 0, "eve knows what to want");
  world.net.partition([["bob", "eve"], ["ann"]]);
  await world.until(() => eve.happened("misbehaved").length === 1, "the liar is found out");
  assert.ok(asked > 5);
  world.net.heal();
  await world.until(() => eve.has(names), "ann gives the rest");
  assert.equal(eve.happened("misbehaved").length, 1);
  for (const name of names) assert.ok(lengthOf(eve, name) === lengthOf(ann, name));
});

test("a byte that has gone wrong on a disk is never given away; the object is fetched again, and the owner is told", async (t) => {
  const { world, ann, bob, eve } = await given(t);
  await ann.store(10, 120_000, 1);
  const [name] = ann.listed() as [Buffer];
  ann.start();
  bob.start();
  await world.until(() => ann.vault.store.ledger.copiesOf(name) === 1, "bob has signed");
  // Where only bob can be asked, and his disk has lost a bit.
  world.net.partition([["ann"], ["bob", "eve"]]);
  const path = objectPath(bob.vault.home, name);
  const bytes = readFileSync(path);
  bytes[100_000] = (bytes[100_000] as number) ^ 4;
  writeFileSync(path, bytes);
  eve.start();
  await world.until(() => bob.said.length === 1, "bob has seen it");
  assert.match(bob.said[0] as string, /damaged/);
  await world.clock.run(3000);
  assert.ok(!eve.has([name]) && !bob.has([name]));
  world.net.heal();
  await world.until(() => eve.has([name]) && bob.has([name]), "both have it from ann");
  await world.until(() => ann.vault.store.ledger.copiesOf(name) === 2, "and have signed");
  for (const machine of [ann, bob, eve]) assert.deepEqual(machine.happened("misbehaved"), []);
});

test("who promises and gives nothing costs ten seconds, and others give meanwhile", async (t) => {
  const { world, ann, bob, eve } = await given(t);
  for (let i = 0; i < 6; i++) await ann.store(3, 100_000, i + 1);
  const names = ann.listed();
  await bob.close();
  await bob.open();
  const impostor = new Impostor(bob);
  impostor.onMessage = (message: RoomMessage, say) => {
    if (message.type !== "askHeld") return;
    const bits = Buffer.alloc(Math.ceil(message.names.length / 8));
    message.names.forEach((_, i) => {
      bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
    });
    say({ type: "held", request: message.request, bits });
  };
  ann.start();
  eve.start();
  const before = world.clock.ms;
  await world.until(() => eve.has(names), "eve has all");
  assert.ok(world.clock.ms - before < 40_000, `${world.clock.ms - before} ms`);
  assert.deepEqual(eve.happened("misbehaved"), []);
});

test("a full disk: said once, what is here is served, and taking goes on when there is room", async (t) => {
  const world = new World(t, 1);
  const disk = world.smallFolder("small", 16);
  if (disk === undefined) {
    t.skip("mounting is not allowed here");
    return;
  }
  const [ann, bob, eve] = [
    await world.machine("ann"),
    await world.machine("bob", join(disk.path, "home")),
    await world.machine("eve"),
  ];
  await world.coop(ann, bob, eve);
  await bob.store(5, 100_000, 9);
  for (let i = 0; i < 8; i++) await ann.store(20, 100_000, i + 1);
  const names = ann.listed();
  for (const machine of [ann, bob]) machine.start();
  await world.until(() => bob.happened("disk-full").length === 1, "the disk is full");
  await world.clock.run(200_000);
  assert.equal(bob.happened("disk-full").length, 1, "said once");
  assert.ok(!bob.has(names));
  const theirs = bob.listed();
  await ann.close();
  eve.start();
  await world.until(() => eve.has(theirs), "bob serves all the same");
  await ann.open();
  ann.start();
  disk.grow(200);
  await world.until(() => bob.has(names), "there is room: all comes", 300_000);
  assert.equal(bob.happened("disk-free").length, 1);
  assert.equal(bob.happened("misbehaved").length, 0);
});

test("a thousand objects: no descriptor and no memory is left behind", async (t) => {
  const { world, ann, bob } = await given(t, { latencyMs: [1, 3] });
  const count = full ? 1000 : 200;
  for (let i = 0; i < count; i++) await ann.store(1, 2000, i + 1);
  const names = ann.listed();
  assert.ok(names.length >= count);
  ann.start();
  bob.start();
  const descriptors = (): number => readdirSync("/proc/self/fd").length;
  await world.until(() => bob.has(names.slice(0, 20)), "some are here");
  const before = { fds: descriptors(), heap: heapUsed() };
  await world.until(() => bob.vault.store.ledger.wantedCount() === 0, "all are here", 600_000);
  assert.ok(bob.has(names));
  await world.until(() => ann.vault.store.ledger.copiesOf(names.at(-1) as Buffer) === 1, "the last is signed for");
  assert.ok(descriptors() <= before.fds + 4, `${descriptors() - before.fds} descriptors more`);
  const grown = heapUsed() - before.heap;
  assert.ok(grown < 32 << 20, `${grown >> 20} MiB more`);
  assert.deepEqual(readdirSync(join(bob.vault.home.path, "store", "incoming")), []);
});

function heapUsed(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed: heap, arrayBuffers } = process.memoryUsage();
  return heap + arrayBuffers;
}

/** Reading what is not here: the source that peers are, for readers, keepers and a machine that recovers. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { format } from "../../src/base/limits.js";
import type { RoomMessage } from "../../src/format/message.js";
import { readObject } from "../../src/store/objects.js";
import type { ObjectId } from "../../src/store/source.js";
import { Impostor, type Machine, World } from "./given.js";

const isMissing = (error: unknown): boolean => error instanceof Problem && error.code === "missing";

/** Three homes of one coop; the first two hold what the first stored. The object is large. */
async function given(t: TestContext, seed = 1) {
  const world = new World(t, seed);
  const [ann, bob, eve] = [await world.machine("ann"), await world.machine("bob"), await world.machine("eve")];
  await world.coop(ann, bob, eve);
  await ann.store(30, 120_000, 1);
  for (const machine of [ann, bob]) machine.start();
  const names = ann.listed();
  await world.until(() => bob.has(names), "bob has all");
  const { store } = ann.vault;
  const listed = store.heads().flatMap(({ log }) => [...store.ledger.listedBy(log)]);
  const object = listed.reduce((a, b) => (b.length > a.length ? b : a));
  return { world, ann, bob, eve, object };
}

function bytesOf(machine: Machine, { name }: ObjectId, from: number, to: number): Buffer {
  return readObject(machine.vault.home, name, from, to - from);
}

test("any range of an object, proved, from whoever has it; nothing of it is kept by a reader", async (t) => {
  const { world, ann, bob, eve, object } = await given(t);
  const { source } = eve.start("reader");
  const leaf = format.leafBytes;
  const ranges = [
    [0, 1],
    [leaf - 1, leaf + 1],
    [object.length - 7, object.length],
    [3 * leaf + 5, 13 * leaf + 9],
    [0, object.length],
    [17, 17],
  ] as const;
  for (const [from, to] of ranges) {
    const bytes = await world.clock.settled(source.range(object, from, to - from));
    assert.ok(bytes.equals(bytesOf(ann, object, from, to)), `${from} to ${to}`);
  }
  const absent = Buffer.alloc(32, 7);
  assert.deepEqual(await world.clock.settled(source.holds([object.name, absent])), [true, false]);
  await assert.rejects(world.clock.settled(source.range(object, object.length - 1, 2)), /beyond the end/);
  await assert.rejects(
    world.clock.settled(source.range({ name: object.name, length: object.length + 64 }, 0, 10)),
    isMissing,
  );
  assert.equal(eve.has([object.name]), false);
  assert.equal(eve.vault.store.heads().length, 1, "a reader takes no logs");
  assert.equal(ann.happened("misbehaved").length + bob.happened("misbehaved").length, 0);
});

test("a read waits for the first link and for a machine that comes back, and fails within a stated time", async (t) => {
  const { world, ann, bob, eve, object } = await given(t);
  await bob.close();
  world.net.partition([["ann"], ["eve"]]);
  const { source } = eve.start("reader", { patienceMs: 20_000 });
  const waiting = source.range(object, 0, 100_000);
  const holds = source.holds([object.name]);
  await world.clock.run(5000);
  world.net.heal();
  assert.ok((await world.clock.settled(waiting)).equals(bytesOf(ann, object, 0, 100_000)));
  assert.deepEqual(await world.clock.settled(holds), [true]);
  world.net.partition([["ann"], ["eve"]]);
  const before = world.clock.ms;
  await assert.rejects(world.clock.settled(source.range(object, 0, 100)), isMissing);
  const ms = world.clock.ms - before;
  assert.ok(ms >= 19_000 && ms < 41_000, `${ms} ms`);
});

test("a peer that keeps a read waiting is passed over after two seconds; one that lies costs nothing but itself", async (t) => {
  const { world, ann, bob, eve, object } = await given(t);
  await bob.close();
  // Bob says that he holds everything, and gives nothing; then wrong bytes.
  await bob.open();
  const impostor = new Impostor(bob);
  let lies = false;
  impostor.onMessage = (message: RoomMessage, say) => {
    if (message.type === "askHeld")
      say({ type: "held", request: message.request, bits: Buffer.alloc(Math.ceil(message.names.length / 8), 1) });
    if (message.type === "askLeaves" && lies) {
      const bytes = Buffer.from(
        bytesOf(ann, object, message.first * format.leafBytes, (message.first + message.count) * format.leafBytes),
      );
      bytes[5] = (bytes[5] as number) ^ 1;
      say({ type: "leaves", request: message.request, first: message.first, proof: [], bytes });
    }
  };
  const { source } = eve.start("reader");
  await world.until(() => impostor.isIn && (eve.peering?.status().peers.length ?? 0) === 2, "both are there");
  for (let i = 0; i < 4; i++) {
    const before = world.clock.ms;
    const bytes = await world.clock.settled(source.range(object, i * format.leafBytes, 10));
    assert.ok(bytes.equals(bytesOf(ann, object, i * format.leafBytes, i * format.leafBytes + 10)));
    assert.ok(world.clock.ms - before < 3000, `${world.clock.ms - before} ms`);
  }
  lies = true;
  for (let i = 0; i < 8; i++) {
    const bytes = await world.clock.settled(source.range(object, 0, 300_000));
    assert.ok(bytes.equals(bytesOf(ann, object, 0, 300_000)));
  }
  assert.equal(eve.happened("misbehaved").length, 1);
  await world.until(() => eve.peering?.status().peers.length === 1, "the liar is out");
  await world.clock.run(30_000);
  assert.equal(eve.peering?.status().peers.length, 1, "and stays out");
});

test("a machine with the phrase alone is shown its own vault, and nothing of anybody else's", async (t) => {
  const { world, ann, bob, eve, object } = await given(t);
  eve.start();
  await eve.store(3, 50_000, 9);
  await world.until(() => bob.has(eve.listed()) && eve.has(ann.listed()), "all have all");
  const lost = await world.device(ann, "lost");
  const length = 4096;
  const theirs = { name: eve.listed()[0] as Buffer, length };
  const heads = ann.ownHeads();
  await ann.close();
  const peering = lost.start("recovering");
  await world.until(() => lost.follows(heads) && lost.has([object.name]), "ann's logs and objects are back");
  const bytes = await world.clock.settled(peering.source.range(object, 100, 1000));
  assert.ok(bytes.equals(bytesOf(bob, object, 100, 1100)));
  assert.deepEqual(await world.clock.settled(peering.source.holds([object.name, theirs.name])), [true, false]);
  assert.deepEqual(
    lost.vault.store.heads().filter(({ scope }) => !scope.equals(lost.vault.id)),
    [],
  );
  for (const machine of [bob, eve]) {
    assert.deepEqual(machine.happened("misbehaved"), []);
    assert.equal(
      machine.vault.store.heads().some(({ device }) => device.equals(lost.vault.device)),
      false,
      "nothing of it is kept",
    );
  }
});

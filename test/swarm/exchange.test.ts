/** Logs, parts, objects and receipts between homes of one coop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toHex } from "../../src/base/bytes.js";
import { readIfThere } from "../../src/store/home.js";
import { full, type Machine, World } from "./given.js";

test("what one device commits, the others of the coop hold, and sign for it", async (t) => {
  const world = new World(t);
  const [ann, bob, eve] = [await world.machine("ann"), await world.machine("bob"), await world.machine("eve")];
  await world.coop(ann, bob, eve);
  await ann.store(20, 100_000, 1);
  for (const machine of [ann, bob, eve]) machine.start();
  const names = ann.listed();
  assert.ok(names.length >= 1);
  await world.until(() => bob.has(names) && eve.has(names) && bob.follows(ann) && eve.follows(ann), "all have all");
  await world.until(
    () => names.every((name) => ann.vault.store.ledger.copiesOf(name) === 2),
    "two copies are signed for",
  );
  // While they are connected, what is committed goes on its way within seconds.
  const before = world.clock.ms;
  await bob.store(3, 50_000, 2);
  const more = bob.listed();
  await world.until(() => ann.has(more) && eve.has(more), "what is new has come");
  assert.ok(world.clock.ms - before < 5000, `${world.clock.ms - before} ms`);
  assert.equal(ann.vault.store.ledger.wantedCount(), 0);
  assert.deepEqual(ann.said, []);
  for (const machine of [ann, bob, eve]) {
    assert.equal(machine.happened("misbehaved").length, 0);
    assert.equal(machine.happened("refused").length, 0);
  }
});

test("records and objects wander over whoever is there: the writer is gone when the last one comes", async (t) => {
  const world = new World(t);
  const [ann, bob, eve] = [await world.machine("ann"), await world.machine("bob"), await world.machine("eve")];
  await world.coop(ann, bob, eve);
  await ann.store(4, 100_000, 1);
  ann.start();
  bob.start();
  const names = ann.listed();
  await world.until(() => bob.has(names), "bob has all");
  await world.clock.run(3000);
  await ann.close();
  eve.start();
  await world.until(() => eve.has(names) && eve.follows(bob), "eve has all from bob");
});

test("sync is done when nothing is left to take and all have signed", async (t) => {
  const world = new World(t);
  const [ann, bob] = [await world.machine("ann"), await world.machine("bob")];
  await world.coop(ann, bob);
  await ann.store(6, 300_000, 1);
  await bob.store(3, 300_000, 2);
  const peering = ann.start();
  const alone = await world.clock.settled(peering.settled(2000));
  assert.deepEqual(alone, { taken: true, keepers: 0, receipted: 0 });
  bob.start();
  const both = await world.clock.settled(peering.settled(10_000));
  assert.deepEqual(both, { taken: true, keepers: 1, receipted: 1 });
  assert.ok(ann.has(bob.listed()) && bob.has(ann.listed()));
  const [status] = peering.status().peers;
  assert.equal(status?.unreceipted, 0);
  assert.ok((status?.received ?? 0) > 900_000 && (status?.sent ?? 0) > 1_800_000);
});

test("two devices of one vault: each reads what the other wrote, and holds it", async (t) => {
  const world = new World(t);
  const ann = await world.machine("ann");
  const barn = await world.machine("barn");
  await world.coop(ann, barn);
  const ids = await ann.store(5, 80_000, 1);
  ann.start();
  barn.start();
  await world.until(() => barn.has(ann.listed()), "barn has all");
  const nan = await world.device(ann, "nan");
  await nan.joinAs(ann);
  nan.start();
  await world.until(() => nan.has(ann.listed()) && nan.follows(ann), "nan has all");
  await world.until(
    () => nan.vault.store.catalogue.chunk(ids[4] as Buffer) !== undefined,
    "nan's index knows ann's chunks",
  );
  const bytes = await world.clock.settled(nan.vault.store.reader.chunk("data", ids[4] as Buffer));
  assert.equal(bytes.length, 80_000);
});

test("parts of capsules: everybody keeps those of all, checked, the newest only; also one's own, put back", async (t) => {
  const world = new World(t);
  const [ann, bob, eve] = [await world.machine("ann"), await world.machine("bob"), await world.machine("eve")];
  const name = toHex(ann.vault.device);
  const own = (part: string): Buffer => readFileSync(join(ann.vault.home.capsule, part));
  const first = own(name);
  await world.coop(ann, bob, eve);
  for (const machine of [ann, bob, eve]) machine.start();
  const kept = ({ vault }: Machine, part: string): Buffer | undefined =>
    readIfThere(join(vault.home.capsule, toHex(ann.vault.id), part));
  const newest = (machine: Machine): boolean => ["root", name].every((part) => kept(machine, part)?.equals(own(part)));
  await world.until(() => newest(bob) && newest(eve), "parts have come");
  const last = own(name);
  assert.notDeepEqual(first, last);
  await ann.close();
  writeFileSync(join(ann.vault.home.capsule, name), first);
  await ann.open();
  ann.start();
  await world.until(() => own(name).equals(last), "the later one is back");
  assert.ok(newest(bob) && newest(eve));
});

test("cut at any moment, killed or put to sleep: what was received stays, and all comes in the end", async (t) => {
  for (let seed = 1; seed <= (full ? 20 : 4); seed++) {
    const world = new World(t, seed);
    const [ann, bob, eve] = [await world.machine("ann"), await world.machine("bob"), await world.machine("eve")];
    await world.coop(ann, bob, eve);
    await ann.store(60, 120_000, seed);
    await eve.store(10, 120_000, seed + 100);
    for (const machine of [ann, bob, eve]) machine.start();
    let received = 0;
    for (let cut = 0; cut < 6; cut++) {
      await world.clock.run(world.clock.between(100, 4000));
      const victim = [ann, bob, eve][Math.floor(world.clock.between(0, 3))] as typeof ann;
      if (world.clock.between(0, 2) < 1) {
        await victim.die();
        victim.start();
      } else {
        world.net.partition([
          [victim.name],
          [ann, bob, eve].filter((other) => other !== victim).map(({ name }) => name),
        ]);
        await world.clock.run(world.clock.between(10, 20_000));
        world.net.heal();
      }
      received = Math.max(received, bob.peering?.status().wanted ?? 0);
    }
    const names = [...ann.listed(), ...eve.listed()];
    await world.until(
      () => [ann, bob, eve].every((machine) => machine.has(names)),
      `all have all (seed ${seed})`,
      300_000,
    );
    await world.until(
      () => ann.listed().every((name) => ann.vault.store.ledger.copiesOf(name) === 2),
      "copies",
      120_000,
    );
    for (const machine of [ann, bob, eve]) assert.deepEqual(machine.happened("misbehaved"), []);
    await world.end();
  }
});

/** Homes in a coop whose machines die, sleep, part and meet again: in the end everybody has everything, whatever the seed. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { full, type Machine, seed, World } from "./given.js";

async function live(t: TestContext, number: number): Promise<string> {
  const world = new World(t, number, { bytesPerMs: 3000 });
  const names = ["ann", "bob", "eve", "ida"];
  const machines: Machine[] = [];
  for (const name of names) machines.push(await world.machine(name));
  await world.coop(...machines);
  const nan = await world.device(machines[0] as Machine, "nan");
  await nan.joinAs(machines[0] as Machine);
  machines.push(nan);
  for (const machine of machines) machine.start();
  const one = (): Machine => machines[Math.floor(world.clock.between(0, machines.length))] as Machine;
  for (let round = 0; round < 12; round++) {
    const what = world.clock.between(0, 6);
    const machine = one();
    if (what < 2) await machine.store(1 + Math.floor(world.clock.between(0, 12)), 100_000, number * 1000 + round);
    else if (what < 3) {
      await machine.die();
      machine.start();
    } else if (what < 4) await machine.restart();
    else if (what < 5) {
      const apart = machines.filter(() => world.clock.between(0, 2) < 1);
      world.net.partition(
        [apart, machines.filter((other) => !apart.includes(other))].map((group) => group.map(({ name }) => name)),
      );
    } else world.net.heal();
    await world.clock.run(world.clock.between(10, 8000));
  }
  world.net.heal();
  const all = (): Buffer[] => machines.flatMap((machine) => machine.listed());
  const wanted = all();
  await world.until(
    () =>
      machines.every(
        (machine) =>
          machine.vault.store.ledger.wantedCount() === 0 && machines.every((other) => machine.follows(other)),
      ),
    `all follow all (seed ${number})`,
    600_000,
  );
  assert.ok(machines.every((machine) => machine.has(wanted)));
  await world.until(
    () =>
      machines.every((machine) =>
        machine.listed().every((name) => machine.vault.store.ledger.copiesOf(name) === machines.length - 1),
      ),
    `all have signed (seed ${number})`,
    120_000,
  );
  for (const machine of machines) {
    assert.deepEqual(machine.happened("misbehaved"), [], `${machine.name} (seed ${number})`);
    assert.deepEqual(machine.happened("fork"), []);
    assert.deepEqual(machine.said, [], `${machine.name} (seed ${number})`);
  }
  await world.end();
  return world.clock.digest;
}

test("whatever happens on the way, in the end all have all, and nobody was blamed for it", async (t) => {
  for (let number = seed; number < seed + (full ? 20 : 1); number++) await live(t, number);
});

test("the same seed is the same world, to the last message", async (t) => {
  const first = await live(t, seed + 100);
  assert.equal(await live(t, seed + 100), first);
});

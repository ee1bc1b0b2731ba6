/** A machine's own troubles, with its disk and its files: they hold up what needs them, and never end the process. */
import assert from "node:assert/strict";
import { chmodSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { type Machine, World } from "./given.js";

/** The catalogue of this machine can take nothing; the result ends that. */
function fill(machine: Machine, problem: Problem): () => void {
  const { catalogue } = machine.vault.store;
  const write = catalogue.write;
  catalogue.write = () => {
    throw problem;
  };
  return () => {
    catalogue.write = write;
  };
}

test("an object that came and was not noted, on a disk that takes nothing or does not answer", async (t) => {
  for (const problem of [new Problem("no-space", "the disk is full"), new Problem("io", "the disk does not answer")])
    await comesLate(new World(t, 2), problem);
});

async function comesLate(world: World, problem: Problem): Promise<void> {
  const [ann, bob] = [await world.machine("ann"), await world.machine("bob")];
  await world.coop(ann, bob);
  await ann.store(5, 60_000, 1);
  const names = ann.listed();
  ann.start();
  bob.start();
  const { ledger } = bob.vault.store;
  ledger.arrived = () => {
    throw problem;
  };
  await world.until(() => names.some((name) => bob.has([name])), "bob has one");
  await bob.close();
  await bob.open();
  const end = fill(bob, problem);
  bob.start();
  await world.clock.run(70_000);
  assert.ok(bob.vault.store.ledger.wantedCount() > 0, "it could not be noted");
  end();
  await world.until(() => bob.vault.store.ledger.wantedCount() === 0, "it is noted");
}

test("a coop key that cannot be read for a while", async (t) => {
  const world = new World(t, 3);
  const [ann, bob] = [await world.machine("ann"), await world.machine("bob")];
  await world.coop(ann, bob);
  ann.start();
  bob.start();
  await world.until(() => bob.happened("peer-up").length > 0, "they meet");
  const path = join(bob.vault.home.path, "coop", "key");
  renameSync(path, `${path}.away`);
  writeFileSync(path, "half of a ke");
  await world.clock.run(20_000);
  assert.equal(bob.said.filter((line) => line.includes("coop/key")).length, 1, "said once");
  renameSync(`${path}.away`, path);
  chmodSync(path, 0o600);
  await ann.store(2, 60_000, 4);
  await world.until(() => bob.has(ann.listed()), "all goes on");
});

/** A coop of many devices through all that can happen to them, on simulated time; see world-play.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { full, seed } from "../support/store-home.js";
import { World } from "./world.js";
import { Play } from "./world-play.js";
import { flawsOf, Seen, unrest } from "./world-truth.js";

/** Four devices of three vaults: they join, save, are cut off, killed and started again. */
async function small(seed: number): Promise<string> {
  const world = new World(seed);
  const seen = new Seen();
  const rest = async (what: string): Promise<void> => {
    await world.liveUntil(() => unrest(world.up), 180_000, what);
    assert.deepEqual([...world.troubles, ...(await flawsOf(world, world.up, seen))], []);
  };
  try {
    const [ann, bob, eve] = [world.newVault("ann"), world.newVault("bob"), world.newVault("eve")];
    for (const device of [ann, bob, eve]) await device.open();
    world.found(ann);
    for (const device of [bob, eve]) world.invite(ann, device);
    for (const device of [eve, ann, bob]) await device.start();
    await rest("three are a coop");
    const ann2 = world.newDevice(ann, "ann2");
    await ann2.start();
    for (const device of world.up) device.saveSoon(0);
    await rest("all have what all have saved");
    world.net.partition([
      ["ann", "eve"],
      ["bob", "ann2"],
    ]);
    for (const device of world.up) device.saveSoon(world.below(20_000));
    world.plan(5000, () => bob.crash({ torn: true }));
    world.plan(9000, () => bob.start());
    world.plan(12_000, () => eve.crash({ silent: true }));
    await world.live(20_000);
    world.net.heal();
    await eve.start();
    await rest("all have found each other again");
    return world.clock.digest;
  } catch (error) {
    throw world.failure(error);
  } finally {
    await world.end();
  }
}

test("four devices: the same seed is the same world to the last message", async (t) => {
  const digest = await small(seed);
  t.diagnostic(`seed ${seed}: ${digest}`);
  assert.equal(await small(seed), digest);
});

/** Fifty devices of thirteen vaults, and three foes beside them. */
const fifty = { vaults: [6, 5, 5, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3], foes: 3, saves: 5, kills: 4, actMs: 12_000, links: 3 };

test("a coop of fifty, from its founding to lost disks and recovery", async (t) => {
  const play = new Play({ seed, ...fifty, tell: (line) => t.diagnostic(line) });
  t.diagnostic(`seed ${seed}: ${await play.run()}`);
});

test("more worlds, smaller and longer", { skip: full ? false : "takes long" }, async (t) => {
  for (let more = 1; more <= 5; more++) {
    const size = { vaults: [3, 2, 2, 1, 1], foes: 3, saves: 12, kills: 4, actMs: 20_000 };
    const play = new Play({ seed: seed + more, ...size, tell: (line) => t.diagnostic(line) });
    t.diagnostic(`seed ${seed + more}: ${await play.run()}`);
  }
});

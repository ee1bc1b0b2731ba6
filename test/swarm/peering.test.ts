/** Peering: links, caps, topics, and what flows between homes of one coop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { World } from "./given.js";

test("three devices of three vaults join a coop", async (t) => {
  const world = new World(t);
  const [ann, bob, eve] = [await world.machine("ann"), await world.machine("bob"), await world.machine("eve")];
  await world.coop(ann, bob, eve);
  assert.equal(ann.coop?.state.members.size, 3);
});

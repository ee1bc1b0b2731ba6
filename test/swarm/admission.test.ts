import assert from "node:assert/strict";
import { test } from "node:test";
import { admitted, end, meet, World } from "./coop-given.js";

test("a joiner is signed in by the first admin it meets", () => {
  const world = new World(1);
  const [ann, bob] = [world.device("ann"), world.device("bob")];
  const coopA = ann.found();
  const coopB = bob.join(coopA.invite());
  assert.ok(coopB.pending && !coopB.isMember);
  const met = meet(end(bob, coopB), end(ann, coopA));
  admitted(met);
  assert.ok(coopB.isMember && !coopB.pending);
  assert.equal(coopB.state.members.size, 2);
  assert.deepEqual(coopA.state.members, coopB.state.members);
});

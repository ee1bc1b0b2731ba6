/** Peering: who is let in, how many, how long, and what ends it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { swarm } from "../../src/base/limits.js";
import { coopTopic } from "../../src/format/coop.js";
import { linkKeysOf, memberKnock } from "../../src/swarm/knock.js";
import { Link } from "../../src/swarm/link.js";
import type { Connection } from "../../src/swarm/network.js";
import { Coop } from "../../src/swarm/coop.js";
import { openVault } from "../../src/vault/vault.js";
import { defaultClass } from "../../src/format/listing.js";
import { Impostor, type Machine, noise, World } from "./given.js";

const topicOf = (machine: Machine): Buffer => (machine.coop as Coop).topics()[0] as Buffer;
const inside = (machine: Machine): number => machine.peering?.status().peers.length ?? 0;

test("strangers: a few are heard for ten seconds, more are not, and nobody is told anything", async (t) => {
  const world = new World(t);
  const [ann, bob] = [await world.machine("ann"), await world.machine("bob")];
  await world.coop(ann, bob);
  ann.start();
  const ends: { connection: Connection; said: number; over: boolean }[] = [];
  for (let i = 0; i < swarm.linksKnocking + 8; i++) {
    const network = world.net.open(`stranger-${i}`);
    network.onConnection((connection) => {
      const end = { connection, said: 0, over: false };
      ends.push(end);
      connection.stream.on("error", () => {});
      connection.stream.on("data", (bytes) => {
        end.said += bytes.length;
      });
      connection.stream.on("close", () => {
        end.over = true;
      });
    });
    network.join(topicOf(ann), { announce: false, lookup: true });
  }
  const open = (): number => ends.filter(({ over }) => !over).length;
  let most = 0;
  await world.until(() => {
    most = Math.max(most, ann.peering?.status().knocking ?? 0);
    return ends.length >= swarm.linksKnocking + 8 && open() >= swarm.linksKnocking;
  }, "all have dialled");
  await world.clock.run(2000);
  assert.equal(most, swarm.linksKnocking);
  // They are in nobody's way for longer than that: bob comes in.
  await world.clock.run(12_000);
  bob.start();
  await world.until(() => inside(ann) === 1, "bob is in", 60_000);
  assert.equal(ann.happened("refused").length, 0, "of strangers nobody needs to hear");
  // The knock is all that any of them has seen: a capability that means nothing to it.
  for (const { said } of ends) assert.ok(said < 600, `${said} bytes`);
});

test("who shows a key and then says no more keeps no member out", async (t) => {
  const world = new World(t);
  const [ann, bob, mal] = [await world.machine("ann"), await world.machine("bob"), await world.machine("mal")];
  await world.coop(ann, bob, mal);
  const { keys } = mal.coop as Coop;
  ann.start();
  // One after the other for as long as it takes, as fast as handshakes are taken.
  let dialled = 0;
  const knock = (): void => {
    const network = world.net.open("mal");
    network.onConnection((connection) => {
      network.leave(topicOf(ann));
      dialled++;
      const quiet = { onKnock() {}, onDoor() {}, onRoomOpen() {}, onRoom() {}, onDrain() {}, onClose() {} };
      Link.attach(connection, memberKnock(keys, connection.initiator, linkKeysOf(connection)), quiet, mal.system);
    });
    network.join(topicOf(ann), { announce: false, lookup: true });
    mal.system.after(11_000, () => void network.close());
    mal.system.after(80, knock);
  };
  knock();
  await world.until(() => dialled >= 2 * swarm.linksKnocking, "mal is at it");
  bob.start();
  await world.until(() => inside(bob) === 1, "bob is in", 30_000);
});

test("one device has no more than eight links, whatever it does", async (t) => {
  const world = new World(t);
  const [ann, bob] = [await world.machine("ann"), await world.machine("bob")];
  await world.coop(ann, bob);
  ann.start();
  const many = Array.from({ length: swarm.linksPerDevice + 4 }, () => new Impostor(bob));
  await world.until(() => inside(ann) === swarm.linksPerDevice, "eight are in");
  await world.clock.run(60_000);
  assert.equal(inside(ann), swarm.linksPerDevice);
  assert.ok(many.filter(({ isIn }) => isIn).length <= swarm.linksPerDevice);
  assert.ok(ann.happened("refused").some((event) => event.type === "refused" && /too many links/.test(event.why)));
});

test("who is removed is cut at once and stays out, while all others go on under the new key", async (t) => {
  const world = new World(t);
  const [ann, bob, eve] = [await world.machine("ann"), await world.machine("bob"), await world.machine("eve")];
  await world.coop(ann, bob, eve);
  for (const machine of [ann, bob, eve]) machine.start();
  await world.until(() => [ann, bob, eve].every((machine) => inside(machine) === 2), "all see all");
  const before = topicOf(ann);
  (ann.coop as Coop).remove("eve");
  await world.clock.run(300);
  assert.equal(inside(ann), 1, "at once where it is said");
  await world.until(() => inside(bob) === 1 && inside(eve) === 0, "and where it is heard");
  await world.until(() => !topicOf(bob).equals(before), "bob has the new key");
  assert.deepEqual(topicOf(bob), topicOf(ann));
  await ann.store(3, 50_000, 1);
  await world.until(() => bob.has(ann.listed()), "bob has all");
  await world.clock.run(60_000);
  assert.equal(inside(ann) + inside(bob), 2);
  assert.ok(!eve.has(ann.listed()));
  assert.ok((ann.coop as Coop).keys.some(({ key }) => coopTopic(key).equals(before)));
});

test("what somebody holds who was removed is no copy, at once and after a restart", async (t) => {
  const world = new World(t);
  const [ann, bob, eve] = [await world.machine("ann"), await world.machine("bob"), await world.machine("eve")];
  await world.coop(ann, bob, eve);
  await ann.store(3, 50_000, 1);
  for (const machine of [ann, bob, eve]) machine.start();
  const copies = (): number => Math.min(...ann.listed().map((name) => ann.vault.store.ledger.copiesOf(name)));
  await world.until(() => copies() === 2, "two hold all");
  await ann.close();
  await ann.open();
  (ann.coop as Coop).remove("eve");
  assert.equal(copies(), 1, "without any link");
  await ann.restart();
  await world.clock.run(20_000);
  assert.equal(copies(), 1);
  (ann.coop as Coop).remove("bob");
  assert.equal(copies(), 0);
});

test("what another process of the home commits, and what it says in the coop, goes out within a second", async (t) => {
  const world = new World(t);
  const [ann, bob, eve] = [await world.machine("ann"), await world.machine("bob"), await world.machine("eve")];
  await world.coop(ann, bob, eve);
  for (const machine of [ann, bob, eve]) machine.start();
  await world.until(() => [ann, bob, eve].every((machine) => inside(machine) === 2), "all see all");
  const system = world.clock.system("ann-snapshot");
  const vault = await world.clock.settled(openVault(ann.path, system, () => {}));
  const session = vault.store.session(defaultClass);
  session.put("data", noise(70_000, 3));
  await world.clock.settled(session.commit(() => []));
  session.close();
  await world.until(() => bob.follows(ann) && ann.listed().length > 0 && bob.has(ann.listed()), "bob has it", 3000);
  (Coop.open(vault) as Coop).remove("eve");
  await world.until(() => inside(eve) === 0, "eve is out", 5000);
  await world.clock.settled(vault.close());
});

test("the end is polite: the other side hears it, reads fail at once, and no timer is left", async (t) => {
  const world = new World(t);
  const [ann, bob] = [await world.machine("ann"), await world.machine("bob")];
  await world.coop(ann, bob);
  const peering = ann.start();
  bob.start();
  await world.until(() => inside(ann) === 1 && inside(bob) === 1, "they have met");
  const reading = peering.source
    .range({ name: noise(32, 1), length: 1000 }, 0, 10)
    .catch((error: Error) => error.message);
  const waiting = peering.settled(60_000);
  await world.clock.run(100);
  const before = world.clock.ms;
  await world.clock.settled(peering.close());
  assert.match(String(await reading), /closed/);
  assert.equal((await world.clock.settled(waiting)).keepers, 0);
  assert.ok(world.clock.ms - before < 3000);
  await world.until(() => inside(bob) === 0, "bob has seen it", 2000);
  assert.equal(bob.happened("peer-down").length, 1);
  await world.clock.settled(peering.close());
});

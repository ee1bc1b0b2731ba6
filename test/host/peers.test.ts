/** Reading what is not here: nobody is asked before something is missing, and nobody waits for goodbyes. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { joinPeers, type PeerAccess, withPeers } from "../../src/host/peers.js";
import { objectPath } from "../../src/store/objects.js";
import { segmentPath } from "../../src/store/segments.js";
import type { Network } from "../../src/swarm/network.js";
import { type Machine, World } from "../swarm/given.js";

interface Asked {
  readonly access: PeerAccess;
  readonly said: string[];
  readonly networks: Network[];
}

function access(machine: Machine, change: (network: Network) => Network = (network) => network): Asked {
  const said: string[] = [];
  const networks: Network[] = [];
  return {
    said,
    networks,
    access: {
      reach: { bootstrap: undefined },
      say: (line) => said.push(line),
      open: async () => {
        const network = change(machine.world.net.open(machine.name));
        networks.push(network);
        return network;
      },
    },
  };
}

/** Ann has saved, Bob has it all, and Ann's disk lost its data. */
async function lost(t: TestContext): Promise<{ world: World; ann: Machine; ids: Buffer[] }> {
  const world = new World(t, Number(process.env.BCOOPFS_SEED || 1));
  const [ann, bob] = [await world.machine("ann"), await world.machine("bob")];
  await world.coop(ann, bob);
  const ids = await ann.store(4, 40_000, 7);
  bob.start();
  ann.start();
  await world.until(() => bob.has(ann.listed()), "bob has all");
  await world.clock.settled(ann.peering?.close() ?? Promise.resolve());
  ann.peering = undefined;
  for (const name of ann.listed()) {
    rmSync(segmentPath(ann.vault.home, name), { force: true });
    rmSync(objectPath(ann.vault.home, name), { force: true });
  }
  await ann.close();
  await ann.open();
  return { world, ann, ids };
}

test("nothing missing: no network is opened; in no coop there is no source", async (t) => {
  const world = new World(t, Number(process.env.BCOOPFS_SEED || 1));
  const [ann, bob] = [await world.machine("ann"), await world.machine("bob")];
  const alone = access(ann);
  await world.clock.settled(
    withPeers(ann.vault, alone.access, async () => assert.equal(ann.vault.store.source, undefined)),
  );
  await world.coop(ann, bob);
  const [id] = await ann.store(1, 40_000, 3);
  const asked = access(ann);
  const read = await world.clock.settled(
    withPeers(ann.vault, asked.access, () => ann.vault.store.reader.chunk("data", id as Buffer)),
  );
  assert.equal(read.length, 40_000);
  assert.deepEqual([asked.networks.length, asked.said], [0, []]);
  assert.equal(ann.vault.store.source, undefined);
});

test("what is missing comes from a peer, over one network, and is said once", async (t) => {
  const { world, ann, ids } = await lost(t);
  const asked = access(ann);
  await world.clock.settled(
    withPeers(ann.vault, asked.access, async () => {
      assert.deepEqual(await ann.vault.store.source?.holds([]), []);
      assert.equal(asked.networks.length, 0, "nothing was asked for yet");
      await Promise.all(ids.map((id) => ann.vault.store.reader.chunk("data", id)));
      assert.deepEqual(
        await ann.vault.store.source?.holds(ann.listed()),
        ann.listed().map(() => true),
      );
    }),
  );
  assert.deepEqual([asked.networks.length, asked.said], [1, ["fetching from peers…"]]);
  assert.equal(world.net.connections.length, 0);
});

test("who is done waits two seconds at most for a network that does not close", async (t) => {
  const { world, ann, ids } = await lost(t);
  const asked = access(ann, (network) => ({
    join: (topic, how) => network.join(topic, how),
    leave: (topic) => network.leave(topic),
    onConnection: (handler) => network.onConnection(handler),
    avoid: (key) => network.avoid(key),
    refresh: () => network.refresh(),
    close: async () => {
      await network.close();
      await new Promise(() => {});
    },
  }));
  const leave = joinPeers(ann.vault, asked.access);
  await world.clock.settled(ann.vault.store.reader.chunk("data", ids[0] as Buffer));
  const began = world.clock.ms;
  await world.clock.settled(leave());
  assert.ok(world.clock.ms - began < 2500, `${world.clock.ms - began} ms`);
});

test("a network that cannot be opened now is tried again with the next read", async (t) => {
  const { world, ann, ids } = await lost(t);
  const asked = access(ann);
  const { open } = asked.access;
  let tries = 0;
  const unlucky: PeerAccess = {
    ...asked.access,
    open: async (...words) => {
      if (++tries === 1) throw new Problem("io", "no such address yet");
      return (open as NonNullable<PeerAccess["open"]>)(...words);
    },
  };
  const read = (): Promise<Buffer> => ann.vault.store.reader.chunk("data", ids[0] as Buffer);
  await world.clock.settled(
    withPeers(ann.vault, unlucky, async () => {
      await assert.rejects(read, { code: "io" });
      assert.ok((await read()).length > 0);
    }),
  );
  assert.equal(tries, 2);
});

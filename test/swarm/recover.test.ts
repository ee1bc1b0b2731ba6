/** From the phrase alone to a vault again, in a simulated world: with peers that are stale, forked, late or absent. */
import assert from "node:assert/strict";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { phraseKeys } from "../../src/format/keys.js";
import { recordTypes } from "../../src/format/record.js";
import { fetchMetadata, newestSeen } from "../../src/host/recovery.js";
import { Admission } from "../../src/swarm/admission.js";
import { Coop } from "../../src/swarm/coop.js";
import { coopEpochId } from "../../src/format/coop.js";
import { decodeDoor, encodeDoor, type Identity } from "../../src/format/message.js";
import { signingKeyOf } from "../../src/format/sign.js";
import { identityOf } from "../../src/swarm/identity.js";
import { linkKeysOf, memberKnock } from "../../src/swarm/knock.js";
import { Link } from "../../src/swarm/link.js";
import { type Recovered, type RecoverEvent, type RecoverOptions, recover } from "../../src/swarm/recover.js";
import { patience } from "../../src/swarm/seek.js";
import { readConfig } from "../../src/vault/config-file.js";
import { homeAt } from "../../src/store/home.js";
import { objectPath } from "../../src/store/objects.js";
import { allRevisions } from "../../src/vault/revisions.js";
import type { Vault } from "../../src/vault/vault.js";
import { commitRevision, file, folder } from "../support/recall-revision.js";
import { type Machine, World } from "./given.js";

const code =
  (wanted: string, says = /./) =>
  (error: unknown) =>
    error instanceof Problem && error.code === wanted && says.test(error.message) && !error.message.includes("\n");

/** A coop in which the first machine has saved and the others have taken all, and then the first is lost. */
async function given(t: TestContext, ...names: string[]): Promise<[World, ...Machine[]]> {
  const world = new World(t, Number(process.env.BCOOPFS_SEED || 1));
  const machines: Machine[] = [];
  for (const name of names) machines.push(await world.machine(name));
  await world.coop(...machines);
  return [world, ...machines];
}

async function save(machine: Machine, text: string, complete = true): Promise<Buffer> {
  const tree = folder({ f: file(text) });
  return (await machine.world.clock.settled(commitRevision(machine.vault, tree, { complete }))).id;
}

/** All of them exchange until each has what the first has, then all stop. */
async function meet(world: World, first: Machine, ...others: Machine[]): Promise<void> {
  for (const machine of [first, ...others]) machine.start();
  await world.until(() => others.every((other) => other.has(first.listed()) && other.follows(first)), "all is taken");
  for (const machine of [first, ...others]) {
    await world.clock.settled(machine.peering?.close() ?? Promise.resolve());
    machine.peering = undefined;
  }
}

interface Told {
  readonly path: string;
  readonly events: RecoverEvent[];
  readonly progress: [here: number, of: number][];
  readonly options: RecoverOptions;
}

function options(world: World, of: Machine, name: string, more: Partial<RecoverOptions> = {}): Told {
  const events: RecoverEvent[] = [];
  const path = join(world.folder, name);
  return {
    path,
    events,
    progress: [],
    options: {
      home: path,
      phrase: phraseKeys(of.entropy),
      host: of.name,
      bootstrap: ["10.0.0.5:1"],
      network: async () => world.net.open(name),
      patience,
      system: world.clock.system(name),
      stop: new AbortController().signal,
      say: () => {},
      on: (event) => events.push(event),
      ...more,
    },
  };
}

/** Recover, and close it with the test. */
async function recovered(t: TestContext, world: World, told: Told): Promise<Recovered> {
  const result = await world.clock.settled(recover(told.options));
  t.after(() => result.vault.close());
  return result;
}

/** Metadata as `recover` fetches it; how much of it was not to be had. */
function fetched(world: World, vault: Vault, told: Told): Promise<number> {
  return world.clock.settled(
    fetchMetadata(vault, {
      reach: { bootstrap: undefined },
      recovery: told.options.phrase,
      say: () => {},
      events: () => {},
      stop: new AbortController().signal,
      open: async () => world.net.open("new"),
      progress: (here, of) => told.progress.push([here, of]),
    }),
  );
}

test("all is lost but the phrase: every revision comes back, and who had seen the newest is told", async (t) => {
  const [world, ann, bob, carl] = (await given(t, "ann", "bob", "carl")) as [World, Machine, Machine, Machine];
  const first = await save(ann, "first");
  await meet(world, ann, bob, carl);
  const second = await save(ann, "second", false);
  await meet(world, ann, bob);
  await ann.close();
  world.machines.splice(0, 1);
  for (const machine of [bob, carl]) machine.start();
  await world.until(() => carl.follows(bob), "carl has learned of the second from bob");

  const told = options(world, ann, "new");
  const { vault, gathering } = await recovered(t, world, told);
  assert.deepEqual(vault.id, ann.vault.id);
  assert.equal(vault.host, "ann-2", "the name of the lost machine stays its own");
  assert.ok(told.events.some(({ type }) => type === "gathered"));
  assert.deepEqual(readConfig(homeAt(told.path)).coop.bootstrap, ["10.0.0.5:1"]);
  const coop = Coop.open(vault);
  assert.deepEqual(coop?.id, ann.coop?.id);
  assert.equal(await fetched(world, vault, told), 0);
  assert.deepEqual(
    [...allRevisions(vault.store.catalogue)].map(({ id }) => id),
    [first, second],
  );
  const { newest, complete } = newestSeen(vault, gathering);
  assert.deepEqual([newest?.revision.id, newest?.peers, newest?.of], [second, 2, 2]);
  assert.deepEqual([complete?.revision.id, complete?.peers, complete?.of], [first, 2, 2]);
  // It may write, and the others take it for a member.
  const third = await world.clock.settled(commitRevision(vault, folder({ g: file("third") })));
  assert.ok([...vault.store.history()].some(({ type }) => type === recordTypes.succeed));
  assert.equal([...allRevisions(vault.store.catalogue)].at(-1)?.id.equals(third.id), true);
});

test("nobody there, nobody who knows the phrase, a home that is taken, an interruption: said, and nothing is written", async (t) => {
  const [world, ann, bob] = (await given(t, "ann", "bob")) as [World, Machine, Machine];
  await save(ann, "first");
  await meet(world, ann, bob);
  const nobody = options(world, ann, "new");
  const began = world.clock.ms;
  await assert.rejects(
    world.clock.settled(recover(nobody.options)),
    code("not-found", /no peer was reached within 60 s through bootstrap nodes 10\.0\.0\.5:1/),
  );
  assert.ok(world.clock.ms - began < 65_000);
  assert.equal(existsSync(nobody.path), false);
  bob.start();
  const stranger = options(world, ann, "new", { phrase: phraseKeys(world.clock.bytes(32)), bootstrap: undefined });
  await assert.rejects(
    world.clock.settled(recover(stranger.options)),
    code("not-found", /no peer was reached within 60 s through the public DHT/),
  );
  const taken = options(world, ann, "new", { home: ann.path });
  await assert.rejects(world.clock.settled(recover(taken.options)), code("refused", /there is a vault/));
  const stop = new AbortController();
  const alone = options(world, ann, "new", { stop: stop.signal });
  world.net.partition([["new"], ["bob"]]);
  const running = recover(alone.options);
  world.clock.after(3000, "interrupted", () => stop.abort());
  await assert.rejects(world.clock.settled(running), code("interrupted"));
  world.net.heal();
  assert.equal(existsSync(nobody.path), false);
  // Somebody who comes late is found.
  await world.clock.settled(bob.peering?.close() ?? Promise.resolve());
  const late = options(world, ann, "new");
  const waiting = recovered(t, world, late);
  world.clock.after(40_000, "bob comes", () => void bob.start());
  assert.deepEqual((await waiting).vault.id, ann.vault.id);
});

test("peers that know nothing of the phrase are counted; who recovers, too, is not", async (t) => {
  const [world, ann] = (await given(t, "ann", "bob")) as [World, Machine, Machine];
  const phrase = phraseKeys(world.clock.bytes(32));
  const network = world.net.open("eve");
  network.onConnection((connection) => {
    const { device, certificate, rootPublic } = ann.vault.store.keyring;
    const admission = new Admission({
      connection,
      system: ann.system,
      device,
      certificate,
      rootPublic,
      label: "",
      keeps: true,
      coop: ann.coop,
      rootParts: () => undefined,
    });
    const link = Link.attach(
      connection,
      admission.knock,
      {
        onKnock: (bytes) => {
          if (admission.onKnock(bytes).outcome) link.close();
        },
        onDoor: () => {},
        onRoomOpen: () => {},
        onRoom: () => {},
        onDrain: () => {},
        onClose: () => {},
      },
      ann.system,
    );
  });
  network.join(phrase.topic, { announce: true, lookup: false });
  const told = options(world, ann, "new", { phrase });
  const other = options(world, ann, "other", { phrase });
  const both = [told, other].map((one) =>
    assert.rejects(
      recover(one.options),
      code("not-found", /^1 peer was asked through .*none keeps anything under this/),
    ),
  );
  await world.clock.settled(Promise.all(both));
  await world.clock.settled(network.close());
});

test("a further machine of a living vault: both write, each sees the other's", async (t) => {
  const [world, ann, bob] = (await given(t, "ann", "bob")) as [World, Machine, Machine];
  const first = await save(ann, "first");
  await meet(world, ann, bob);
  for (const machine of [ann, bob]) machine.start();
  const told = options(world, ann, "laptop", { host: "laptop" });
  const { vault } = await recovered(t, world, told);
  assert.equal(vault.host, "laptop");
  assert.deepEqual(
    [...allRevisions(vault.store.catalogue)].map(({ id }) => id),
    [first],
  );
});

test("a coop whose key is not known any more lets nobody in: metadata comes by the phrase", async (t) => {
  const [world, ann, bob] = (await given(t, "ann", "bob")) as [World, Machine, Machine];
  await save(ann, "first");
  await meet(world, ann, bob);
  bob.start();
  const told = options(world, ann, "new");
  const { vault } = await recovered(t, world, told);
  rmSync(join(told.path, "coop"), { recursive: true });
  assert.equal(await fetched(world, vault, told), 0);
  const [here, of] = told.progress.at(-1) ?? [0, 0];
  assert.ok(of > 0 && here === of, `${here} of ${of}`);
  // What nobody has is counted, not waited for.
  const names = [...vault.store.heads()].flatMap(({ log }) => [...vault.store.ledger.listedBy(log)]);
  for (const { name } of names) {
    rmSync(objectPath(vault.home, name), { force: true });
    vault.store.ledger.missing(name);
  }
  await world.clock.settled(bob.peering?.close() ?? Promise.resolve());
  assert.equal(await fetched(world, vault, told), of);
});

test("under the recovery topic a machine shows nobody who it is, before it is enrolled and after", async (t) => {
  const [world, ann] = (await given(t, "ann")) as [World, Machine];
  const { topic } = phraseKeys(ann.entropy);
  const shown: Identity[] = [];
  const network = world.net.open("stranger");
  const self = {
    device: signingKeyOf(world.clock.bytes(32)),
    certificate: undefined,
    rootPublic: undefined,
    label: "",
    keeps: true,
  };
  network.onConnection((connection) => {
    const keys = linkKeysOf(connection);
    const key = world.clock.bytes(32);
    const knock = memberKnock([{ id: coopEpochId(key), key }], connection.initiator, keys);
    const ignore = (): void => {};
    const link = Link.attach(
      connection,
      knock,
      {
        onKnock: () => link.sendDoor(encodeDoor(identityOf(self, connection.initiator, keys))),
        onDoor: (bytes) => {
          const message = decodeDoor(bytes);
          if (message.type === "identity") shown.push(message);
        },
        onRoomOpen: ignore,
        onRoom: ignore,
        onDrain: ignore,
        onClose: ignore,
      },
      world.clock.system("stranger"),
    );
  });
  network.join(topic, { announce: true, lookup: false });
  ann.start("recovering");
  await world.until(() => shown.length > 0, "it answers");
  const [said] = shown;
  assert.deepEqual([said?.certificate, said?.rootPublic, said?.fields ?? []], [undefined, undefined, []]);
  assert.ok(!said?.device.equals(ann.vault.device));
});

test("strangers under the recovery topic, however many, keep nobody who holds the vault from being heard", async (t) => {
  const [world, ann, bob] = (await given(t, "ann", "bob")) as [World, Machine, Machine];
  await save(ann, "what is to come back");
  await meet(world, ann, bob);
  const { topic } = phraseKeys(ann.entropy);
  for (let i = 0; i < 80; i++) {
    const network = world.net.open(`stranger-${i}`);
    const device = signingKeyOf(world.clock.bytes(32));
    const self = { device, certificate: undefined, rootPublic: undefined, label: "", keeps: true };
    network.onConnection((connection) => {
      const keys = linkKeysOf(connection);
      const key = world.clock.bytes(32);
      const knock = memberKnock([{ id: coopEpochId(key), key }], connection.initiator, keys);
      const ignore = (): void => {};
      const link = Link.attach(
        connection,
        knock,
        {
          onKnock: () => {
            link.sendDoor(encodeDoor(identityOf(self, connection.initiator, keys)));
            link.sendDoor(encodeDoor({ type: "admit" }));
            link.openRoom();
          },
          onDoor: ignore,
          onRoomOpen: ignore,
          onRoom: ignore,
          onDrain: ignore,
          onClose: ignore,
        },
        world.clock.system(`stranger-${i}`),
      );
    });
    network.join(topic, { announce: true, lookup: false });
  }
  world.clock.after(15_000, "bob comes", () => void bob.start());
  const told = options(world, ann, "new");
  const { vault } = await world.clock.settled(recover(told.options));
  assert.equal([...allRevisions(vault.store.catalogue)].length, 1);
  await world.clock.settled(vault.close());
});

/** What one process does for a home: become its keeper, sync, watch another do it, read what is not here. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { countCopies } from "../../src/host/copies.js";
import { runDaemon } from "../../src/host/daemon.js";
import { coopOf, type KeeperOptions, openKeeper } from "../../src/host/keeper.js";
import { presenceOf } from "../../src/host/presence.js";
import { devicesOf, peersOf } from "../../src/host/roster.js";
import { type SyncOptions, type SyncProgress, sync } from "../../src/host/sync.js";
import { lockKeeper } from "../../src/swarm/keeper.js";
import { commitRevision, file, folder } from "../support/recall-revision.js";
import { type Machine, World } from "../swarm/given.js";

const code =
  (wanted: string, says = /./) =>
  (error: unknown) =>
    error instanceof Problem && error.code === wanted && says.test(error.message) && !error.message.includes("\n");

/** What a machine's process goes by in the simulated world. */
function options(machine: Machine): KeeperOptions {
  return {
    reach: { bootstrap: ["10.0.0.5:1"] },
    say: (line) => machine.said.push(line),
    events: (event) => machine.events.push(event),
    open: async () => machine.world.net.open(machine.name),
  };
}

function syncOptions(machine: Machine, more: Partial<SyncOptions> = {}): SyncOptions {
  const stop = new AbortController().signal;
  return { ...options(machine), stop, waitMs: undefined, progress: () => {}, ...more };
}

function isFree(machine: Machine): boolean {
  const lock = lockKeeper(machine.vault.home);
  lock?.close();
  return lock !== undefined;
}

async function barn(t: TestContext, ...names: string[]): Promise<[World, ...Machine[]]> {
  const world = new World(t, Number(process.env.BCOOPFS_SEED || 1));
  const machines: Machine[] = [];
  for (const name of names) machines.push(await world.machine(name));
  await world.coop(...machines);
  return [world, ...machines];
}

async function save(machine: Machine, text: string): Promise<Buffer> {
  const tree = folder({ f: file(text) });
  return (await machine.world.clock.settled(commitRevision(machine.vault, tree))).id;
}

test("sync: what was saved is on the other machine, and that is told", async (t) => {
  const [world, ann, bob] = (await barn(t, "ann", "bob")) as [World, Machine, Machine];
  const { clock } = world;
  const revision = await save(ann, "x".repeat(100_000));
  assert.equal(countCopies(ann.vault).of(revision), 0);
  bob.start();
  const told: SyncProgress[] = [];
  const done = await clock.settled(sync(ann.vault, syncOptions(ann, { progress: (now) => told.push(now) })));
  assert.deepEqual([done.peers, done.wanted, done.watched], [1, 0, false]);
  assert.ok(done.sent > 100_000, `${done.sent} bytes sent`);
  assert.deepEqual([done.copies.revisions, done.copies.safe, done.copies.whole], [1, 1, 0]);
  assert.equal(done.copies.of(revision), 1);
  assert.ok(bob.has(ann.listed()));
  assert.ok(isFree(ann), "the lock is free again");
  assert.equal(presenceOf(ann.vault.home), undefined);
  const [peer] = peersOf(ann.vault, coopOf(ann.vault));
  assert.deepEqual([peer?.label, peer?.own, peer?.connected, peer?.keeps], ["bob", false, false, true]);
  assert.ok((peer?.hosting ?? 0) > 100_000);
  assert.equal(peer?.hosted, 0);
  assert.ok(peer?.seen !== undefined);
  const [there] = peersOf(bob.vault, coopOf(bob.vault));
  assert.ok((there?.hosted ?? 0) > 100_000);
  assert.deepEqual(
    devicesOf(ann.vault).map(({ host, self, revisions }) => [host, self, revisions]),
    [["ann", true, 1]],
  );
});

test("sync: nobody there is a failure in one line; so is a home in no coop, and an interruption", async (t) => {
  const [world, ann] = (await barn(t, "ann", "bob")) as [World, Machine, Machine];
  const { clock } = world;
  const began = clock.ms;
  await assert.rejects(
    clock.settled(sync(ann.vault, syncOptions(ann))),
    code("not-found", /no other machine of the coop was reached within 15 s through bootstrap nodes 10\.0\.0\.5:1/),
  );
  assert.ok(clock.ms - began < 20_000);
  const alone = await world.machine("carl");
  await assert.rejects(clock.settled(sync(alone.vault, syncOptions(alone))), code("not-found", /in no coop/));
  await save(ann, "for nobody");
  const stop = new AbortController();
  const running = sync(ann.vault, syncOptions(ann, { stop: stop.signal, waitMs: 600_000 }));
  clock.after(2000, "interrupted", () => stop.abort());
  await assert.rejects(clock.settled(running), code("interrupted"));
  assert.ok(isFree(ann));
});

test("sync --wait: until there are copies enough; where there never are, it gives up", async (t) => {
  const [world, ann, bob, carl] = (await barn(t, "ann", "bob", "carl")) as [World, Machine, Machine, Machine];
  const { clock } = world;
  await save(ann, "one");
  bob.start();
  const began = clock.ms;
  const first = await clock.settled(sync(ann.vault, syncOptions(ann, { waitMs: 30_000 })));
  assert.deepEqual([first.copies.safe, first.copies.whole], [1, 0]);
  assert.ok(clock.ms - began >= 30_000, "it waited for a second copy");
  const waiting = sync(ann.vault, syncOptions(ann, { waitMs: 30_000 }));
  clock.after(20_000, "carl comes", () => void carl.start());
  const second = await clock.settled(waiting);
  assert.deepEqual([second.copies.safe, second.copies.whole, second.peers], [1, 1, 2]);
  // All is there: nothing to wait for.
  const before = clock.ms;
  await clock.settled(sync(ann.vault, syncOptions(ann, { waitMs: 600_000 })));
  assert.ok(clock.ms - before < 20_000);
});

test("sync --wait does not wait for what only a machine has that is away", async (t) => {
  const all = (await barn(t, "ann", "bob", "carl", "dave")) as [World, Machine, Machine, Machine, Machine];
  const [world, ann, bob, carl, dave] = all;
  await save(ann, "one");
  await save(dave, "of which the others know no more than the record");
  for (const { log } of dave.ownHeads())
    ann.vault.store.acceptRecords(log, dave.vault.store.recordsOf(log, 0n, 1e5), () => true);
  assert.ok(ann.vault.store.ledger.wantedCount() > 0);
  bob.start();
  carl.start();
  const before = world.clock.ms;
  const done = await world.clock.settled(sync(ann.vault, syncOptions(ann, { waitMs: 600_000 })));
  assert.ok(done.wanted > 0 && done.copies.whole === 1);
  assert.ok(world.clock.ms - before < 60_000, `${world.clock.ms - before} ms`);
  const stop = new AbortController();
  const daemon = runDaemon(ann.vault, { ...options(ann), stop: stop.signal, ready: () => {} });
  await world.until(() => (presenceOf(ann.vault.home)?.connected.length ?? 0) === 2, "the daemon has met them");
  const began = world.clock.ms;
  assert.ok((await world.clock.settled(sync(ann.vault, syncOptions(ann, { waitMs: 600_000 })))).watched);
  assert.ok(world.clock.ms - began < 60_000, `${world.clock.ms - began} ms beside the daemon`);
  stop.abort();
  await world.clock.settled(daemon);
});

test("sync --wait of a machine that has saved nothing: it meets the others, takes what is theirs, and signs for it", async (t) => {
  const [world, ann, bob] = (await barn(t, "ann", "bob")) as [World, Machine, Machine];
  const revision = await save(ann, "for bob to keep");
  ann.start();
  const done = await world.clock.settled(sync(bob.vault, syncOptions(bob, { waitMs: 600_000 })));
  assert.deepEqual([done.peers, done.wanted, done.copies.revisions], [1, 0, 0]);
  assert.ok(done.received > 0);
  await world.until(() => countCopies(ann.vault).of(revision) === 1, "ann has bob's word");
});

test("a daemon holds the home; a second one is refused, and a sync watches it work", async (t) => {
  const [world, ann, bob] = (await barn(t, "ann", "bob")) as [World, Machine, Machine];
  const { clock } = world;
  bob.start();
  const stop = new AbortController();
  let ready = 0;
  const running = runDaemon(ann.vault, { ...options(ann), stop: stop.signal, ready: () => void ready++ });
  await clock.until(() => ready === 1, 10_000, "the daemon is ready");
  await clock.until(() => presenceOf(ann.vault.home)?.connected.length === 1, 60_000, "it is connected");
  assert.deepEqual(
    peersOf(ann.vault, coopOf(ann.vault)).map(({ connected }) => connected),
    [true],
  );
  const again = runDaemon(ann.vault, { ...options(ann), stop: stop.signal, ready: () => {} });
  await assert.rejects(clock.settled(again), code("busy", /another bcoopfs process/));
  assert.equal(await clock.settled(openKeeper(ann.vault, coopOf(ann.vault), options(ann))), undefined);
  await save(ann, "saved by another process");
  const watched = await clock.settled(sync(ann.vault, syncOptions(ann)));
  assert.deepEqual([watched.watched, watched.peers, watched.copies.safe], [true, 1, 1]);
  // It ends while somebody watches: who watches goes on in its place.
  await save(ann, "and another");
  const taking = sync(ann.vault, syncOptions(ann));
  stop.abort();
  await clock.settled(running);
  const taken = await clock.settled(taking);
  assert.deepEqual([taken.peers, taken.copies.revisions, taken.copies.safe], [1, 2, 2]);
  assert.equal(presenceOf(ann.vault.home), undefined);
  assert.ok(isFree(ann));
});

test("a network that cannot be opened leaves the home free", async (t) => {
  const [world, ann] = (await barn(t, "ann", "bob")) as [World, Machine, Machine];
  const open = async (): Promise<never> => {
    throw new Problem("usage", "no such address");
  };
  const opening = openKeeper(ann.vault, coopOf(ann.vault), { ...options(ann), open });
  await assert.rejects(world.clock.settled(opening), code("usage"));
  assert.ok(isFree(ann));
});

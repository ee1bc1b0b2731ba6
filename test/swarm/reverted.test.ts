/** A home that was put back to an earlier state, or copied, meets peers that know what it has forgotten. */
import assert from "node:assert/strict";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { toHex } from "../../src/base/bytes.js";
import type { Head } from "../../src/format/message.js";
import { decodeRevision } from "../../src/format/revision.js";
import { check } from "../../src/upkeep/check.js";
import { sketch } from "../support/revision.js";
import { Machine, noise, World } from "./given.js";

/** Everything in a home, to be put back in place: as a disk image does it, inodes and all. */
function imageOf(path: string): () => void {
  const names = readdirSync(path, { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(join(path, name)).isFile(),
  );
  const contents = new Map(names.map((name) => [name, readFileSync(join(path, name))]));
  return () => {
    for (const name of readdirSync(path, { recursive: true, encoding: "utf8" }))
      if (existsSync(join(path, name)) && statSync(join(path, name)).isFile() && !contents.has(name))
        rmSync(join(path, name));
    for (const [name, bytes] of contents) writeFileSync(join(path, name), bytes);
  };
}

test("put back, and nothing written since: the rest of the log and its objects come back, and it goes on in a new log", async (t) => {
  const world = new World(t);
  const [ann, bob] = [await world.machine("ann"), await world.machine("bob")];
  await world.coop(ann, bob);
  await ann.store(3, 50_000, 1);
  await ann.close();
  const putBack = imageOf(ann.path);
  await ann.open();
  const lost = await ann.store(5, 70_000, 2);
  const names = ann.listed();
  const [before] = ann.ownHeads();
  ann.start();
  bob.start();
  await world.until(() => bob.has(names), "bob has all");
  await ann.close();
  putBack();
  await ann.open();
  assert.equal(ann.has(names), false);
  ann.said.length = 0;
  ann.start();
  await world.until(() => ann.has(names), "what was lost is back");
  assert.equal(ann.happened("own-log-ahead").length, 1);
  assert.equal(ann.said.length, 1);
  assert.match(ann.said[0] as string, /new log/);
  const heads = ann.ownHeads();
  assert.equal(heads.length, 2);
  assert.deepEqual(heads.find(({ log }) => log.equals(before?.log as Buffer))?.seq, before?.seq);
  await world.until(() => ann.vault.store.catalogue.chunk(lost[4] as Buffer) !== undefined, "and in the index");
  // What it writes now is taken by others like anything.
  await ann.store(2, 40_000, 3);
  await world.until(() => bob.has(ann.listed()) && bob.follows(ann), "bob follows");
  assert.deepEqual([...ann.happened("misbehaved"), ...bob.happened("misbehaved")], []);
  assert.deepEqual([...ann.happened("fork"), ...bob.happened("fork")], []);
});

/** A revision of its own, with content; commits it. */
async function revision(machine: Machine, name: string): Promise<void> {
  const below = { [name]: { pieces: [noise(60_000, name.length, name.charCodeAt(0))] } };
  await machine.world.clock.settled(sketch(machine.vault, { below }, { fileset: name }));
}

/** Names of all revisions that a machine shows, each as often as it shows it. */
function shown(machine: Machine): string[] {
  const revisions = [...machine.vault.store.catalogue.revisions()];
  return revisions.map(({ body }) => decodeRevision(body).filesetName).sort();
}

test("put back, and written to before anybody was met: the log has two branches, and nothing of either is lost", async (t) => {
  const world = new World(t);
  const [ann, bob] = [await world.machine("ann"), await world.machine("bob")];
  await world.coop(ann, bob);
  await revision(ann, "before");
  const nan = await world.device(ann, "nan");
  await nan.joinAs(ann);
  await ann.close();
  const putBack = imageOf(ann.path);
  await ann.open();
  for (const name of ["lost-1", "lost-2", "lost-3"]) await revision(ann, name);
  const first = ann.listed();
  const { log } = ann.ownHeads()[0] as Head;
  for (const machine of [ann, bob, nan]) machine.start();
  await world.until(() => bob.has(first) && nan.has(first), "all have all");
  await ann.close();
  putBack();
  await ann.open();
  await revision(ann, "again-1");
  await revision(ann, "again-2");
  const second = ann.listed();
  ann.said.length = 0;
  ann.start();
  await world.until(() => ann.happened("fork").length > 0, "ann sees the fork");
  assert.match(ann.said.join("\n"), /two branches/);
  assert.equal(ann.said.length, 1);
  const frozen = (machine: Machine): boolean =>
    machine.vault.store.heads().some((head) => head.frozen && head.log.equals(log));
  await world.until(() => [ann, bob, nan].every(frozen), "all have frozen it");
  await revision(ann, "since");
  // What was written meanwhile is held by others too, because the new log tells it again.
  await world.until(() => bob.has([...first, ...second, ...ann.listed()]), "bob has all of both branches");
  await world.until(() => nan.follows(ann.ownHeads().slice(-1)), "nan follows the new log");
  assert.deepEqual(shown(ann), ["again-1", "again-2", "before", "since"]);
  assert.deepEqual(shown(nan), ["again-1", "again-2", "before", "lost-1", "lost-2", "lost-3", "since"]);
  await world.until(() => {
    const copies = ann.vault.store.ledger.copiesOfRevisions();
    return [...copies.values()].every((count) => count === 2);
  }, "two copies of every revision");
  for (const machine of [ann, bob, nan]) assert.deepEqual(machine.happened("misbehaved"), []);
  const [annSees, nanSees] = [shown(ann), shown(nan)];
  for (const machine of [ann, nan]) await machine.close();
  for (const machine of [ann, nan]) await machine.open();
  for (const machine of [ann, nan]) await world.clock.settled(machine.vault.store.rebuild());
  assert.deepEqual([shown(ann), shown(nan)], [annSees, nanSees], "also when the index is made again");
});

for (const [lost, again] of [
  [1, 1],
  [1, 3],
  [3, 1],
  [2, 2],
] as const)
  test(`put back with ${lost} lost and ${again} written: what is older than that is not told again`, async (t) => {
    const world = new World(t);
    const [ann, bob, carl] = [await world.machine("ann"), await world.machine("bob"), await world.machine("carl")];
    await world.coop(ann, bob, carl);
    for (const name of ["old-1", "old-2", "old-3"]) await revision(ann, name);
    const old = [...ann.vault.store.catalogue.revisions()].map(({ id, time }) => `${toHex(id)} ${time}`);
    await ann.close();
    const putBack = imageOf(ann.path);
    await ann.open();
    for (let i = 0; i < lost; i++) await revision(ann, `lost-${i}`);
    const first = ann.listed();
    for (const machine of [ann, bob, carl]) machine.start();
    await world.until(() => bob.has(first) && carl.has(first), "others have all");
    await ann.close();
    putBack();
    await ann.open();
    for (let i = 0; i < again; i++) await revision(ann, `again-${i}`);
    ann.start();
    await world.until(() => ann.happened("fork").length > 0, "ann sees the fork");
    await world.until(() => bob.has(ann.listed()) && carl.has(ann.listed()), "others have all again");
    const now = [...ann.vault.store.catalogue.revisions()].map(({ id, time }) => `${toHex(id)} ${time}`);
    assert.deepEqual(now.slice(0, 3), old);
    assert.equal(now.length, 3 + again);
    const found: unknown[] = [];
    await world.clock.settled(check(ann.vault, { readData: false }, (event) => found.push(event)));
    assert.deepEqual(
      found.filter((event) => (event as { type: string }).type === "finding"),
      [],
    );
    for (const machine of [ann, bob, carl]) assert.deepEqual(machine.happened("misbehaved"), []);
  });

test("two homes of one device at once: each hears of the other's log, and says so", async (t) => {
  const world = new World(t);
  const [ann, bob] = [await world.machine("ann"), await world.machine("bob")];
  await world.coop(ann, bob);
  await ann.store(3, 50_000, 1);
  await ann.close();
  const path = join(world.folder, "copy");
  cpSync(ann.path, path, { recursive: true });
  await ann.open();
  const copy = new Machine(world, "copy", path, ann.entropy);
  world.machines.push(copy);
  await copy.open();
  assert.match(copy.said.join("\n"), /copied/);
  await copy.store(2, 50_000, 2);
  for (const machine of [ann, bob, copy]) machine.start();
  await world.until(() => ann.happened("other-installation").length > 0, "ann hears of it");
  assert.match(ann.said.join("\n"), /another installation/);
  await world.until(() => ann.has(copy.listed()) && bob.has(copy.listed()), "all is kept");
  assert.ok(toHex(ann.vault.device) === toHex(copy.vault.device));
  assert.deepEqual(bob.happened("fork"), []);
});

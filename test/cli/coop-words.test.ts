/** The words of a coop on one machine with nobody else there: what is made, kept, shown and refused. */
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Place, place, refused, run, shapeOf } from "./given.js";

type Facts = Record<string, unknown>;

/** A second home, with a vault of its own, beside the first. */
async function second(where: Place): Promise<{ home: string; run: (...words: string[]) => ReturnType<typeof run> }> {
  const home = join(where.top, "second");
  const words = ["init", "--host", "there", "--phrase-file", join(where.top, "phrase2")];
  assert.equal((await run(home, words)).code, 0);
  return { home, run: (...more) => run(home, more, { cwd: where.top }) };
}

async function farm(t: TestContext): Promise<Place> {
  const where = await place(t);
  await where.ok("coop", "create", "--name", "farm", "--bootstrap", "127.0.0.1:1", "127.0.0.1:2");
  return where;
}

test("coop create: name, nodes and address are kept and shown; one coop a home", async (t) => {
  const where = await place(t);
  const made = (await where.json("coop", "create", "--bootstrap", "10.0.0.5:1", "--listen", "127.0.0.1:5000")) as Facts;
  assert.deepEqual(shapeOf(made), { coop: "id", name: "text", device: "id", bootstrap: ["text"], listen: "text" });
  assert.deepEqual([made.name, made.bootstrap, made.listen], ["here", ["10.0.0.5:1"], "127.0.0.1:5000"]);
  const config = readFileSync(join(where.home, "config.toml"), "utf8");
  assert.match(config, /\[coop\]\nbootstrap = \["10\.0\.0\.5:1"\]\nlisten = "127\.0\.0\.1:5000"\n/);
  refused(await where.run("coop", "create", "--name", "other"), 4, /is in the coop "here" already/);
  const { coop } = (await where.json("status")) as { coop: Facts };
  assert.deepEqual(coop, { id: made.coop, name: "here", admitted: true, peers: 0, connected: 0 });
  assert.match((await where.ok("status")).out, /^in coop here with 0 other machines, 0 connected$/m);
  assert.deepEqual(await where.json("peers"), []);
  assert.match((await where.ok("peers")).err, /"bcoopfs coop invite" lets one in/);
});

test("coop create: without nodes the public DHT is named; from the environment; wrong ones are refused", async (t) => {
  for (const [env, says] of [
    [{}, /meet through the public DHT\.$/m],
    [{ BCOOPFS_BOOTSTRAP: "10.0.0.5:1, 10.0.0.5:2" }, /meet through bootstrap nodes 10\.0\.0\.5:1, 10\.0\.0\.5:2\.$/m],
  ] as const) {
    const where = await place(t);
    const made = await run(where.home, ["coop", "create"], { env });
    assert.equal(made.code, 0, made.err);
    assert.match(made.out, says);
  }
  const where = await place(t);
  for (const [words, says] of [
    [["--bootstrap", "10.0.0.5"], /--bootstrap "10\.0\.0\.5": write it like/],
    [["--bootstrap", "10.0.0.5:99999"], /a port is 1 to 65535/],
    [["--bootstrap", Array.from({ length: 17 }, (_, i) => `10.0.0.5:${i + 1}`).join(",")], /17 nodes; 16 at most/],
    [["--listen", "a b"], /--listen a b: write HOST or HOST:PORT/],
    [["--name", "two words"], /coop name "two words"/],
  ] as const)
    refused(await where.run("coop", "create", ...words), 2, says);
  const wrong = await run(where.home, ["coop", "create"], { env: { BCOOPFS_BOOTSTRAP: "nowhere" } });
  refused(wrong, 2, /\$BCOOPFS_BOOTSTRAP "nowhere"/);
  refused(await where.run("peers"), 1, /in no coop; make one with "bcoopfs coop create"/);
  assert.equal(((await where.json("status")) as Facts).coop, null);
});

test("coop invite and join: a key in a new file of one's own, or through a pipe; nobody needs to be there", async (t) => {
  const where = await farm(t);
  const key = join(where.top, "key");
  const made = await where.ok("coop", "invite", key);
  assert.equal(made.out, "");
  assert.equal(statSync(key).mode & 0o777, 0o600);
  refused(await where.run("coop", "invite", key), 4, /exists already and is not overwritten/);
  const piped = await where.ok("coop", "invite");
  assert.match(piped.out, /^bcoopfs coop key 1\n[0-9a-f\n]+$/);
  assert.notEqual(piped.out, readFileSync(key, "utf8"), "each key is another");

  const there = await second(where);
  const joined = await run(there.home, ["join", "-", "--json"], { input: piped.out });
  assert.equal(joined.code, 0, joined.err);
  const facts = JSON.parse(joined.out) as Facts;
  assert.deepEqual(shapeOf(facts), {
    coop: "id",
    name: "text",
    device: "id",
    admitted: "boolean",
    bootstrap: ["text", "text"],
  });
  assert.deepEqual([facts.name, facts.admitted, facts.bootstrap], ["farm", false, ["127.0.0.1:1", "127.0.0.1:2"]]);
  assert.match(
    readFileSync(join(there.home, "config.toml"), "utf8"),
    /bootstrap = \["127\.0\.0\.1:1", "127\.0\.0\.1:2"\]/,
  );
  assert.match((await there.run("status")).out, /^in coop farm: not let in yet/m);
  assert.match((await there.run("coop", "members")).err, /has not been let in yet/);
  refused(await there.run("coop", "invite"), 4, /no admin of the coop "farm" and cannot invite/);
  refused(await there.run("coop", "remove", "here"), 4, /no admin of the coop "farm" and cannot remove/);

  // Cut, altered, no key at all, not there: one line each.
  const text = readFileSync(key, "utf8");
  for (const bad of [text.slice(0, -20), text.replace(/[0-9a-f]{4}\n/, "0000\n"), "hello\n", "", "x".repeat(1 << 17)]) {
    writeFileSync(join(where.top, "bad"), bad);
    refused(await there.run("join", "bad"), 2, /key/);
  }
  refused(await there.run("join", "nowhere"), 1, /cannot read the key: there is no file nowhere/);
  refused(await where.run("join", key), 4, /is in the coop "farm" already/);
});

test("coop members, device ls: who is there; coop remove: who is not", async (t) => {
  const where = await farm(t);
  const members = (await where.json("coop", "members")) as Facts[];
  assert.deepEqual(shapeOf(members), [
    {
      device: "id",
      label: "text",
      role: "text",
      vault: "id",
      own: "boolean",
      this: "boolean",
      quota: "count",
    },
  ]);
  assert.deepEqual(
    [members[0]?.label, members[0]?.role, members[0]?.own, members[0]?.this],
    ["here", "admin", true, true],
  );
  assert.match((await where.ok("coop", "members")).out, /^[0-9a-f]{16} {2}here +admin +own +this machine$/m);
  const devices = (await where.json("device", "ls")) as Facts[];
  assert.deepEqual(shapeOf(devices), [
    {
      device: "id",
      host: "text",
      this: "boolean",
      revisions: "count",
      newest_time: "null",
      connected: "boolean",
      last_seen: "null",
    },
  ]);
  where.put({ "src/f": "1" });
  await where.ok("snapshot", "-q", "src/");
  assert.match((await where.ok("device", "ls")).out, /^[0-9a-f]{16} {2}here +1 {2}\d{4}-\S+Z {2}this machine$/m);
  refused(await where.run("coop", "remove", "nobody"), 1, /no device "nobody"/);
  refused(await where.run("coop", "remove", "here"), 4, /cannot remove itself/);
});

test("a revision that only this machine has: status is 20 in a coop, 0 without one", async (t) => {
  const where = await place(t);
  where.put({ "src/f": "1" });
  await where.ok("snapshot", "-q", "src/");
  await where.ok("status");
  await where.ok("coop", "create");
  const status = await where.run("status");
  assert.equal(status.code, 20);
  assert.match(status.err, /^bcoopfs: 1 revision would be lost with this machine/);
  assert.match(status.out, /here\/.*: 1 revision, newest just now, on 0 other machines$/m);
  const json = await where.run("status", "--json");
  assert.equal(json.code, 20);
  const facts = JSON.parse(json.out) as Facts;
  assert.deepEqual([facts.with_copies, facts.with_min_copies], [0, 0]);
  const [revision] = (await where.json("revisions")) as Facts[];
  assert.equal(revision?.copies, 0);
});

/** Words of sync, daemon and recover: what each option does, what is said, and how they end. Real processes on loopback. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { bin, type Place, place, refused, run, shapeOf } from "./given.js";
import { begin, bootstrapNodes, type Running, until } from "./processes.js";

type Facts = Record<string, unknown>;
const nowhere = "127.0.0.1:9";

const lines = (out: string): Facts[] =>
  out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Facts);

/** A second home of another vault, in the coop of the first, which is called farm. */
async function farm(t: TestContext, ...nodes: string[]): Promise<{ where: Place; bob: string }> {
  const where = await place(t);
  const bob = join(where.top, "bob");
  const phrase = join(where.top, "bobs");
  assert.equal((await run(bob, ["init", "--host", "bob", "--phrase-file", phrase])).code, 0);
  await where.ok("coop", "create", "--name", "farm", "--bootstrap", ...nodes);
  const { out } = await where.ok("coop", "invite");
  assert.equal((await run(bob, ["join", "-"], { input: out })).code, 0);
  where.put({ "src/f": "one" });
  return { where, bob };
}

/** End it with a signal; it takes less than five seconds. */
async function stop(running: Running, signal: NodeJS.Signals): Promise<Awaited<Running["ended"]>> {
  const began = performance.now();
  running.kill(signal);
  const ended = await running.ended;
  assert.ok(performance.now() - began < 5000, `${signal}: ${performance.now() - began} ms`);
  return ended;
}

test("a daemon: one word when ready, a log, what is saved goes out at once, and it ends at a signal", async (t) => {
  const nodes = await bootstrapNodes(t);
  const { where, bob } = await farm(t, ...nodes);
  const there = begin(t, bob, ["daemon", "--json"]);
  const here = begin(t, where.home, ["daemon"]);
  assert.equal(await here.ready, "ready farm");
  const ready = JSON.parse(await there.ready) as Facts;
  assert.deepEqual(shapeOf(ready), { event: "text", ready: "boolean", name: "text", coop: "id", device: "id" });
  assert.deepEqual([ready.event, ready.ready, ready.name], ["ready", true, "farm"]);
  const log = (home: string): string => readFileSync(join(home, "log/daemon.log"), "utf8");
  await until(() => /peer bob \([0-9a-f]{8}\) is here/.test(log(where.home)), 20_000, "bob is let in, by his label");
  const [peer] = (await where.json("peers")) as Facts[];
  assert.deepEqual([peer?.label, peer?.connected], ["bob", true]);
  assert.deepEqual(shapeOf(peer), {
    device: "id",
    label: "text",
    vault: "id",
    own: "boolean",
    connected: "boolean",
    last_seen: "time",
    keeps: "boolean",
    we_host_bytes: "count",
    they_host_bytes: "count",
  });
  assert.match((await where.ok("peers")).out, /^[0-9a-f]{16} {2}bob +[0-9a-f]{8} +connected +0 B +0 B$/m);
  assert.match((await where.ok("status")).out, /^in coop farm with 1 other machine, 1 connected$/m);

  await where.ok("snapshot", "-q", "src/");
  await until(() => /object [0-9a-f]+ came/.test(log(bob)), 10_000, "what another process saved reaches bob");
  // A sync beside the daemon watches it, and says so.
  const synced = lines((await where.ok("sync", "--json")).out).at(-1) as Facts;
  assert.deepEqual([synced.message_type, synced.watched, synced.peers], ["summary", true, 1]);
  assert.deepEqual([synced.revisions, synced.with_min_copies, synced.wanted], [1, 1, 0]);
  assert.match(
    (await where.ok("sync")).out,
    /^1 peer: the daemon exchanges; of 1 revision 0 have all copies, 1 the least/,
  );
  assert.equal((await where.ok("sync", "-q")).out, "");
  const [revision] = (await where.json("revisions")) as Facts[];
  assert.equal(revision?.copies, 1);
  for (const [running, signal] of [
    [here, "SIGINT"],
    [there, "SIGTERM"],
  ] as const) {
    const { code, err } = await stop(running, signal);
    assert.deepEqual([code, err], [0, ""]);
  }
  assert.match(log(bob), /ended\n$/);
  assert.equal(existsSync(join(bob, "swarm.status")), false);
  const [gone] = (await where.json("peers")) as Facts[];
  assert.equal(gone?.connected, false);
});

test("sync with nobody there: what --wait makes of it, and that a signal ends it", async (t) => {
  const { where } = await farm(t, nowhere);
  await where.ok("snapshot", "-q", "src/");
  const short = await where.run("sync", "--wait=2s", "--json");
  assert.equal(short.code, 20);
  assert.match(short.err, /^bcoopfs: 1 revision of 1 would be lost with this machine: too few others hold them\n$/);
  const all = lines(short.out);
  assert.deepEqual(shapeOf(all.at(-1)), {
    message_type: "text",
    peers: "count",
    sent_bytes: "count",
    received_bytes: "count",
    wanted: "count",
    revisions: "count",
    with_copies: "count",
    with_min_copies: "count",
    watched: "boolean",
    seconds: "number",
  });
  assert.ok(all.slice(0, -1).every(({ message_type }) => message_type === "status") && all.length > 1);
  refused(await where.run("sync", "--wait=2m"), 2, /write 2mo for months or 2min for minutes/);
  refused(await where.run("sync", "--wait=0s"), 2, /waits for nothing/);
  const waiting = begin(t, where.home, ["sync", "--wait"]);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const { code, err } = await stop(waiting, "SIGINT");
  assert.equal(code, 130, err);
  assert.match(err, /^bcoopfs: interrupted; what was exchanged is kept/);
  const alone = await place(t);
  const failed = await alone.run("sync", "--json");
  assert.deepEqual([failed.code, failed.said.length], [1, 1]);
  assert.deepEqual(
    lines(failed.out).map(({ message_type }) => message_type),
    ["error", "summary"],
  );
  for (const word of ["sync", "daemon"]) refused(await alone.run(word), 1, /in no coop/);
});

test("--listen and --bootstrap of the config are gone by: a port that is taken, a name that is none", async (t) => {
  const where = await place(t);
  const socket = createSocket("udp4");
  t.after(() => socket.close());
  const port = await new Promise<number>((resolve) => {
    socket.bind(0, "127.0.0.1", () => resolve(socket.address().port));
  });
  await where.ok("coop", "create", "--bootstrap", nowhere, "--listen", `127.0.0.1:${port}`);
  const taken = await where.run("daemon");
  assert.equal(taken.code, 1, taken.err);
  assert.match(taken.err, new RegExp(`${port}`));
  const config = join(where.home, "config.toml");
  writeFileSync(
    config,
    readFileSync(config, "utf8")
      .replace(/listen = .*\n/, "")
      .replace(nowhere, "no-such-name.invalid:9"),
  );
  const unknown = await where.run("daemon");
  assert.notEqual(unknown.code, 0);
  assert.match(unknown.err, /no-such-name\.invalid/);
});

test("recover: asked for on a terminal, the words may come with their numbers and on several lines", async (t) => {
  if (spawnSync("script", ["--version"]).status !== 0) return t.skip("no script(1) here");
  const { top, home } = await place(t, false);
  const words = [...Array(23).fill("abandon"), "art"].map((word, i) => `${i + 1}. ${word}`);
  const typed = `${words.slice(0, 12).join("  ")}\n${words.slice(12).join(" ")}\n`;
  const asked = spawnSync("script", ["-qec", `'${bin}' recover --wait 1s --bootstrap ${nowhere}`, "/dev/null"], {
    input: typed,
    env: { PATH: process.env.PATH, HOME: top, BCOOPFS_HOME: home, TERM: "dumb" },
    encoding: "utf8",
  });
  assert.match(asked.stdout, /The 24 words of the recovery phrase/);
  assert.match(asked.stdout, /no peer was reached within 1 s through bootstrap nodes 127\.0\.0\.1:9/);
  assert.equal(existsSync(home), false, "nothing is made where nothing was found");
  return undefined;
});

test("recover: quiet, and in JSON lines; the phrase's file from the environment", async (t) => {
  const nodes = await bootstrapNodes(t);
  const { where, bob } = await farm(t, ...nodes);
  await where.ok("snapshot", "-q", "src/");
  const there = begin(t, bob, ["daemon"]);
  await there.ready;
  await where.ok("sync", "-q");
  execFileSync("rm", ["-r", where.home]);
  const env = { BCOOPFS_PHRASE_FILE: join(where.top, "phrase"), BCOOPFS_BOOTSTRAP: nodes.join(" ") };
  const first = join(where.top, "first");
  const json = await run(first, ["recover", "--json"], { env });
  assert.equal(json.code, 0, json.err);
  assert.equal(json.said.length, 1, json.err);
  const all = lines(json.out);
  assert.deepEqual(shapeOf(all.at(-1)), {
    message_type: "text",
    vault: "id",
    device: "id",
    host: "text",
    home: "text",
    peers: "count",
    revisions: "count",
    missing_metadata: "count",
    newest: "id",
    newest_time: "time",
    newest_seen_by: "count",
    newest_complete: "id",
    newest_complete_time: "time",
    newest_complete_seen_by: "count",
    seconds: "number",
  });
  assert.ok(all.slice(0, -1).every(({ message_type }) => message_type === "status"));
  const config = readFileSync(join(first, "config.toml"), "utf8");
  for (const node of nodes) assert.ok(config.includes(node), `${node} is kept`);
  const quiet = await run(join(where.top, "second"), ["recover", "-q"], { env });
  assert.deepEqual([quiet.code, quiet.out, quiet.err], [0, "", ""]);
  // From here on the phrase is not needed, and neither is the environment.
  const [revision] = lines((await run(first, ["revisions", "--json"])).out) as unknown as Facts[][];
  const read = await run(first, ["cat", `${revision?.[0]?.id}:${where.top}/src/f`]);
  assert.deepEqual([read.code, read.out], [0, "one"]);
});

/**
 * The whole story with real processes on loopback: two homes of different vaults keep each other's data, are killed in
 * the middle and go on, one is lost and comes back from its phrase alone, a third machine joins the same vault, and who
 * is removed gets nothing more.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { realSystem } from "../../src/base/system.js";
import { cannotMount } from "../support/mounting.js";
import { isRoot, place, type Ran, refused, run } from "./given.js";
import { begin, bootstrapNodes, bytesIn, type Running, until } from "./processes.js";

type Facts = Record<string, unknown>;
const tool = (name: string): string => fileURLToPath(new URL(`../../../test/tools/${name}`, import.meta.url));
const MiB = 1 << 20;

/** A home beside the others. */
class Machine {
  readonly home: string;
  readonly #top: string;

  constructor(top: string, name: string) {
    this.#top = top;
    this.home = join(top, name);
  }

  run(...words: string[]): Promise<Ran> {
    return run(this.home, words, { cwd: this.#top });
  }

  async ok(...words: string[]): Promise<Ran> {
    const ran = await this.run(...words);
    assert.equal(ran.code, 0, `bcoopfs ${words.join(" ")}: exit ${ran.code}: ${ran.err}${ran.out}`);
    return ran;
  }

  async json(...words: string[]): Promise<unknown> {
    const { out } = await this.ok(...words, "--json");
    return JSON.parse(out.trim().split("\n").at(-1) as string);
  }

  async daemon(t: TestContext): Promise<Running> {
    const running = begin(t, this.home, ["daemon"]);
    assert.equal(await running.ready, "ready farm");
    return running;
  }

  get stored(): number {
    return bytesIn(join(this.home, "store"));
  }
}

async function end(running: Running): Promise<void> {
  const before = performance.now();
  running.kill("SIGTERM");
  const { code, err } = await running.ended;
  assert.equal(code, 0, err);
  assert.ok(performance.now() - before < 5000, "a daemon ends within five seconds");
}

test("two vaults keep each other's data; killed, lost, recovered, joined by a third, one removed", async (t) => {
  const top = realpathSync(mkdtempSync(join(tmpdir(), "bcoopfs-coop-")));
  // Node's own rmSync cannot remove paths longer than PATH_MAX.
  t.after(() => execFileSync("rm", ["-rf", top]));
  const nodes = await bootstrapNodes(t);
  const [ann, bob] = [new Machine(top, "ann"), new Machine(top, "bob")];
  await Promise.all([
    ann.ok("init", "--host", "ann", "--phrase-file", join(top, "phrase")),
    bob.ok("init", "--host", "bob", "--phrase-file", join(top, "bobs")),
  ]);

  // ------------------------------------------------------------------------------------ a coop of two
  const source = join(top, "source");
  if (isRoot) execFileSync(tool("hostile-tree"), [source, "--files", "50"], { stdio: "ignore" });
  else mkdirSync(source);
  writeFileSync(join(source, "large"), realSystem.random(24 * MiB));
  writeFileSync(join(source, "notes.txt"), "what is worth keeping\n");
  await ann.ok("coop", "create", "--name", "farm", "--bootstrap", ...nodes);
  const key = (await ann.ok("coop", "invite")).out;
  const joined = await run(bob.home, ["join", "-"], { input: key });
  assert.equal(joined.code, 0, joined.err);
  const saved = (await ann.json("snapshot", `${source}/`)) as Facts;
  assert.equal(saved.copies, 0);

  // ------------------------------------------------------------- both are killed while bytes are on their way
  const dying = await bob.daemon(t);
  const cut = begin(t, ann.home, ["sync"]);
  const before = bob.stored;
  await until(() => bob.stored > before + 2 * MiB, 30_000, "something arrives");
  for (const process of [dying, cut]) process.kill("SIGKILL");
  await Promise.all([dying.ended, cut.ended]);
  const half = bob.stored;

  const keeping = await bob.daemon(t);
  refused(await bob.run("daemon"), 11, /another bcoopfs process/);
  const synced = (await ann.json("sync")) as Facts;
  assert.deepEqual([synced.peers, synced.revisions, synced.with_min_copies, synced.watched], [1, 1, 1, false]);
  assert.ok((synced.sent_bytes as number) < (saved.stored_bytes as number) - (half - before) + 4 * MiB, "it went on");
  const [revision] = (await ann.json("revisions")) as Facts[];
  assert.equal(revision?.copies, 1);
  assert.equal((await ann.run("status")).code, 0);
  const [there] = (await ann.json("peers")) as Facts[];
  assert.equal(there?.label, "bob");
  assert.ok((there?.they_host_bytes as number) >= 24 * MiB);
  // Nothing is left to do: a second run sends nothing.
  assert.ok(((await ann.json("sync")) as Facts).sent_bytes === 0);

  // ---------------------------------------------------------------------------- lost, and back from the phrase
  rmSync(ann.home, { recursive: true });
  const back = new Machine(top, "back");
  const words = ["--phrase-file", join(top, "phrase"), "--bootstrap", ...nodes];
  const recovered = (await back.json("recover", ...words)) as Facts;
  assert.equal(recovered.newest, saved.revision);
  assert.equal(recovered.newest_complete, saved.revision);
  assert.deepEqual([recovered.peers, recovered.revisions, recovered.newest_seen_by], [1, 1, 1]);
  assert.equal(readFileSync(join(back.home, "config.toml"), "utf8").includes(nodes[1] as string), true);
  refused(await back.run("recover", ...words), 4, /there is a vault/);
  assert.deepEqual(
    ((await back.json("revisions")) as Facts[]).map(({ id }) => id),
    [saved.revision],
  );
  const name = `${revision?.fileset}@latest`;
  assert.match((await back.ok("ls", name)).out, /notes\.txt/);
  const read = await back.ok("cat", `${name}:${source}/notes.txt`);
  assert.equal(read.out, "what is worth keeping\n");
  assert.match(read.err, /^bcoopfs: fetching from peers…$/m);
  await back.ok("restore", `${name}:${source}`, "--target", join(top, "restored"));
  execFileSync(tool("same-tree"), [source, join(top, "restored")], { stdio: ["ignore", "ignore", "inherit"] });
  if (!cannotMount()) {
    const point = join(top, "mnt");
    mkdirSync(point);
    await back.ok("mount", point);
    try {
      const large = join(point, "ids", saved.revision as string, source, "large");
      assert.ok(readFileSync(large).equals(readFileSync(join(source, "large"))), "contents through the mount");
    } finally {
      await back.ok("umount", point);
    }
  }

  // --------------------------------------------------------------------- a third machine of the same vault
  const home = await back.daemon(t);
  const third = new Machine(top, "third");
  const again = (await third.json("recover", ...words)) as Facts;
  assert.equal(again.vault, recovered.vault);
  assert.notEqual(again.device, recovered.device);
  writeFileSync(join(source, "notes.txt"), "from the third\n");
  const more = (await third.json("snapshot", `${source}/`)) as Facts;
  await third.ok("sync");
  await until(
    () => readFileSync(join(back.home, "log/daemon.log"), "utf8").includes("object"),
    10_000,
    "the daemon keeps what the third machine saved",
  );
  const all = (await back.json("revisions")) as Facts[];
  assert.deepEqual(
    all.map(({ id }) => id),
    [saved.revision, more.revision],
  );
  assert.equal(((await back.json("device", "ls")) as Facts[]).length, 3);

  // ----------------------------------------------------------------------------------- who is removed
  await back.ok("coop", "remove", "bob");
  await until(
    () => /is gone|removed/.test(readFileSync(join(back.home, "log/daemon.log"), "utf8")),
    10_000,
    "bob's link is cut",
  );
  writeFileSync(join(source, "secret"), realSystem.random(MiB));
  await back.ok("snapshot", "-q", `${source}/`);
  await end(keeping);
  const kept = bob.stored;
  refused(await bob.run("sync"), 1, /did not let this one in: .*was removed from the coop/);
  assert.ok(bob.stored < kept + MiB, "what was saved since does not reach bob");
  await end(home);
});

test("recover: a wrong phrase, nobody there, nowhere to look", async (t) => {
  const { top, home } = await place(t, false);
  writeFileSync(join(top, "wrong"), `${"abandon ".repeat(24)}\n`);
  writeFileSync(join(top, "short"), "abandon abandon\n");
  writeFileSync(join(top, "right"), `${"abandon ".repeat(23)}art\n`);
  refused(await run(home, ["recover", "--phrase-file", join(top, "wrong")]), 12, /fails its checksum/);
  refused(await run(home, ["recover", "--phrase-file", join(top, "short")]), 12, /has 24 words, this one has 2/);
  refused(await run(home, ["recover", "--phrase-file", join(top, "none")]), 1, /cannot read the recovery phrase/);
  refused(await run(home, ["recover"]), 2, /no terminal to ask for the recovery phrase/);
  const env = { BCOOPFS_PHRASE_FILE: join(top, "right"), BCOOPFS_BOOTSTRAP: "127.0.0.1:9 127.0.0.1:10" };
  const alone = await run(home, ["recover", "--wait", "2s"], { env });
  refused(alone, 1, /no peer was reached within 2 s through bootstrap nodes 127\.0\.0\.1:9, 127\.0\.0\.1:10/);
  refused(await run(home, ["recover", "--wait", "2m"], { env }), 2, /write 2mo for months or 2min for minutes/);
  refused(await run(home, ["status"]), 10, /no vault/);
});

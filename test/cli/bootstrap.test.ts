/**
 * bcoopfs bootstrap, as an administrator or a service manager runs it.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { allMeet, newTopic, startPeer } from "../swarm/reach-given.js";
import { refused, run } from "./given.js";
import { begin, type Running, until } from "./processes.js";

/** Nodes on free ports. */
async function nodes(
  t: TestContext,
  words: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<{ running: Running; line: string; port: number }> {
  for (let tries = 0; ; tries++) {
    const port = randomInt(20_000, 32_000);
    const running = begin(t, undefined, ["bootstrap", "--host", "127.0.0.1", "--port", String(port), ...words], env);
    try {
      return { running, line: await running.ready, port };
    } catch (error) {
      if (tries === 5) throw error;
    }
  }
}

const addressesAt = (port: number): string[] => [0, 1, 2].map((more) => `127.0.0.1:${port + more}`);

test("ready in one line; two machines meet through it; both signals end it with 0 in time", async (t) => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const { running, line, port } = await nodes(t);
    assert.equal(line, `ready ${addressesAt(port).join(" ")}`);
    if (signal === "SIGTERM") {
      const [topic, addresses] = [newTopic(), addressesAt(port).join(",")];
      await allMeet(
        ["ann", "bob"].map((name) => startPeer(t, name, addresses, topic)),
        10_000,
      );
    }
    const began = performance.now();
    running.kill(signal);
    const ended = await running.ended;
    assert.ok(performance.now() - began < 5000);
    assert.deepEqual(ended, { code: 0, signal: null, out: `${line}\n`, err: "" });
  }
});

test("with --json an object; a service manager is told; a home is neither needed nor made", async (t) => {
  const top = mkdtempSync(join(tmpdir(), "bcoopfs-cli-"));
  t.after(() => rmSync(top, { recursive: true, force: true }));
  // What systemd's own program is asked to say.
  writeFileSync(join(top, "systemd-notify"), `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >${top}/told\n`);
  chmodSync(join(top, "systemd-notify"), 0o755);
  const home = join(top, "home");
  const env = { PATH: `${top}:${process.env.PATH}`, NOTIFY_SOCKET: "/run/told", BCOOPFS_HOME: home };
  const { running, line, port } = await nodes(t, ["--json"], env);
  assert.deepEqual(JSON.parse(line), { event: "ready", ready: true, addresses: addressesAt(port) });
  await until(() => existsSync(join(top, "told")), 5000, "the service manager is told");
  await until(() => readFileSync(join(top, "told"), "utf8") !== "", 5000, "what it is told");
  assert.equal(readFileSync(join(top, "told"), "utf8"), "/run/told --ready\n");

  // A second one on any of its ports says so.
  const words = ["bootstrap", "--host", "127.0.0.1", "--port", String(port - 1)];
  refused(await run(undefined, words), 1, new RegExp(`127\\.0\\.0\\.1:${port}: another program uses this port`));
  running.kill("SIGTERM");
  assert.equal((await running.ended).code, 0);
  assert.ok(!existsSync(home));
});

test("a service manager that is not there is no fault", async (t) => {
  const { running } = await nodes(t, [], { NOTIFY_SOCKET: "/nowhere", PATH: pathWithout("systemd-notify", t) });
  running.kill("SIGTERM");
  assert.deepEqual({ ...(await running.ended), out: "" }, { code: 0, signal: null, out: "", err: "" });
});

test("a reader of its line that goes away does not end it", async (t) => {
  const port = randomInt(20_000, 32_000);
  const child = spawn("bash", ["-c", `"$BIN" bootstrap --host 127.0.0.1 --port ${port} | head -n 0; wait`], {
    env: { ...process.env, BIN: new URL("../../../bin/bcoopfs", import.meta.url).pathname },
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  t.after(() => {
    try {
      if (child.pid) process.kill(-child.pid, "SIGKILL");
    } catch {
      // gone already
    }
  });
  let err = "";
  child.stderr.on("data", (bytes: Buffer) => {
    err += bytes;
  });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal(child.exitCode, null, err);
  assert.equal(err, "");
});

test("what is missing or wrong: exit 2 and one line", async () => {
  const wrong: [string[], RegExp][] = [
    [[], /required option '--host <ip>'/],
    [["--host", "127.0.0.1"], /required option '--port <n>'/],
    [["--host", "localhost", "--port", "4000"], /--host localhost: write an IPv4 address/],
    [["--host", "0.0.0.0", "--port", "4000"], /--host 0\.0\.0\.0: write an IPv4 address/],
    [["--host", "::1", "--port", "4000"], /--host ::1: write an IPv4 address/],
    [["--host", "10.0.0.300", "--port", "4000"], /write an IPv4 address/],
    [["--host", "192.0.2.1", "--port", "4000"], /192\.0\.2\.1:4000: this machine has no such address/],
    ...["0", "65534", "99999", "-1", "4e3", "0x10", "", "port"].map((port): [string[], RegExp] => [
      ["--host", "127.0.0.1", `--port=${port}`],
      /--port .*: write a number, 1 to 65533/,
    ]),
    [["--host", "127.0.0.1", "--port", "4000", "more"], /too many arguments/],
  ];
  await Promise.all(
    wrong.map(async ([words, says]) => refused(await run(undefined, ["bootstrap", ...words]), 2, says)),
  );
});

/** A PATH with node in it, and without a program. */
function pathWithout(program: string, t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "bcoopfs-cli-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "node"), `#!/bin/sh\nexec "${process.execPath}" "$@"\n`);
  chmodSync(join(folder, "node"), 0o755);
  assert.ok(!existsSync(join(folder, program)));
  return folder;
}

/**
 * The real network: processes that meet on a private DHT on loopback, die, come back, and go away in time.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { realSystem } from "../../src/base/system.js";
import { openNetwork, startBootstrap } from "../../src/swarm/reach.js";
import { allMeet, bootstrapNodes, newTopic, startPeer } from "./reach-given.js";

/** what closing may take, and ending after it: sockets that were tried keep a process for half a second */
const closeMs = 3200;
const endMs = 4500;

test("two who come one after the other, one who is killed and comes back, one who leaves", async (t) => {
  const { addresses } = await bootstrapNodes(t);
  const topic = newTopic();
  const ann = startPeer(t, "ann", addresses, topic);
  await ann.until(({ events }) => events.length > 0, 5000, "open");
  const bob = startPeer(t, "bob", addresses, topic);
  await allMeet([ann, bob], 8000);

  assert.deepEqual(boundTo(ann.process.pid ?? 0), ["127.0.0.1"], "with nodes on loopback all is on loopback");

  bob.process.kill("SIGKILL");
  await once(bob.process, "exit");
  const again = startPeer(t, "bob again", addresses, topic);
  await allMeet([ann, again], 8000);

  const { closed, ended } = await ann.close();
  assert.ok(closed < closeMs && ended < endMs, `${closed} ms, ${ended} ms`);
  await again.until(
    ({ events }) => events.some(({ event, who }) => event === "lost" && who === "ann"),
    2000,
    "ann goes",
  );
  assert.deepEqual(
    again.events.filter(({ who, reason }) => who === "ann" && reason !== undefined),
    [],
    "a polite end has no reason",
  );
});

test("all in the same instant, and on another topic nobody", async (t) => {
  const { addresses, process: nodes } = await bootstrapNodes(t);
  const topic = newTopic();
  const peers = ["a", "b", "c", "d"].map((name) => startPeer(t, name, addresses, topic, true));
  const other = startPeer(t, "other", addresses, newTopic());
  await Promise.all([...peers, other].map((peer) => peer.until(({ events }) => events.length > 0, 8000, "open")));
  for (const peer of peers) peer.tell("join");
  await allMeet(peers, 12_000);
  assert.deepEqual(other.met(), []);

  // Whom one avoids it does not meet again, though both look.
  const [a, b] = [peers[0]!, peers[1]!];
  a.tell("avoid b");
  await a.until((peer) => !peer.met().includes("b"), 3000, "b is gone");
  for (const peer of [a, b]) for (let i = 0; i < 3; i++) peer.tell("refresh");
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.deepEqual(a.met(), ["c", "d"]);

  // The nodes die: everybody still goes away in time, and nobody stays.
  nodes.kill("SIGKILL");
  const times = await Promise.all([...peers, other].map((peer) => peer.close()));
  for (const { closed, ended } of times) assert.ok(closed < closeMs && ended < endMs, `${closed} ms, ${ended} ms`);
});

test("dead nodes, silent nodes and none: open at once, close at once", async (t) => {
  await Promise.all(
    ["127.0.0.1:9", "192.0.2.1:9", "localhost:9", ""].map(async (addresses, i) => {
      const began = performance.now();
      const peer = startPeer(t, "ann", addresses, newTopic());
      await peer.until(({ events }) => events.length > 0, 5000, "open");
      assert.ok(performance.now() - began < 4000);
      await new Promise((resolve) => setTimeout(resolve, 400 * i));
      const { closed, ended } = await peer.close();
      assert.ok(closed < 1500 && ended < endMs, `${addresses}: ${closed} ms, ${ended} ms`);
    }),
  );
});

test("addresses that are none, names that nobody has, ports that are taken: one line that says what to do", async () => {
  const taken = createSocket("udp4");
  await new Promise<void>((resolve) => taken.bind(0, "127.0.0.1", resolve));
  const { port } = taken.address();
  const wrong: [() => Promise<unknown>, string, RegExp][] = [
    [() => openNetwork({ bootstrap: ["10.0.0.1"] }, realSystem), "usage", /node "10\.0\.0\.1": write it like/],
    [() => openNetwork({ bootstrap: ["[::1]:80"] }, realSystem), "usage", /write it like/],
    [() => openNetwork({ bootstrap: ["10.0.0.1:70000"] }, realSystem), "usage", /a port is 1 to 65535/],
    [() => openNetwork({ bootstrap: ["nobody.invalid:1"] }, realSystem), "usage", /node nobody\.invalid: /],
    [() => openNetwork({ bootstrap: ["10.0.0.300:1"] }, realSystem), "usage", /node 10\.0\.0\.300: /],
    [() => openNetwork({ bootstrap: [], listen: "nobody.invalid" }, realSystem), "usage", /listen nobody\.invalid: /],
    [() => openNetwork({ bootstrap: [], listen: "192.0.2.1" }, realSystem), "usage", /no such address/],
    [() => openNetwork({ bootstrap: [], listen: `127.0.0.1:${port}` }, realSystem), "io", /another program uses this/],
    [() => startBootstrap("192.0.2.1", 40_000, realSystem), "usage", /192\.0\.2\.1:40000: this machine has no such/],
    [() => startBootstrap("127.0.0.1", port - 1, realSystem), "io", new RegExp(`127\\.0\\.0\\.1:${port}: another`)],
  ];
  for (const [go, code, says] of wrong)
    await assert.rejects(go, (error) => {
      assert.ok(error instanceof Problem, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, says);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  taken.close();
});

test("closing twice, and before anything happened; what is asked after it is nothing", async () => {
  const network = await openNetwork({ bootstrap: [], listen: "127.0.0.1" }, realSystem);
  network.avoid(Buffer.alloc(32));
  const [one, other] = [network.close(), network.close()];
  assert.equal(one, other);
  network.join(Buffer.alloc(32), { announce: true, lookup: true });
  network.leave(Buffer.alloc(32));
  network.refresh();
  await one;
});

/** The addresses that UDP sockets of a process are bound to. */
function boundTo(pid: number): string[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // closed meanwhile
      }
    }),
  );
  const hosts = ["udp", "udp6"].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, "utf8")
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => inodes.has(columns[9] ?? ""))
      .map((columns) => (columns[1] ?? "").split(":")[0] ?? ""),
  );
  const text = (hex: string): string =>
    hex.length === 8 ? [...Buffer.from(hex, "hex").reverse()].join(".") : `IPv6 ${hex}`;
  return [...new Set(hosts.map(text))];
}

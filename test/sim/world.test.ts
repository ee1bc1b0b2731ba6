/**
 * The simulated world itself: it is the same world for the same seed, and its streams are what Protomux takes for real.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Connection } from "../../src/swarm/network.js";
import { SimClock } from "./clock.js";
import { SimNetwork } from "./network.js";

const topic = Buffer.alloc(32, 7);
const names = Array.from({ length: 50 }, (_, i) => `d${String(i).padStart(2, "0")}`);

/** Fifty devices that send each other a ball to and fro, while the world falls apart and comes together again. */
async function pingPong(seed: number): Promise<{ digest: string; balls: number; links: number }> {
  const clock = new SimClock(seed);
  const net = new SimNetwork(clock);
  let balls = 0;
  const play = ({ initiator, stream }: Connection): void => {
    stream.on("error", () => {});
    stream.on("data", (ball) => {
      if (balls++ < 30_000) stream.write(ball);
    });
    if (initiator) stream.write(Buffer.alloc(1 + Math.floor(clock.between(0, 5000))));
  };
  for (const name of names) {
    const network = net.open(name);
    network.onConnection(play);
    network.join(topic, { announce: true, lookup: true });
  }
  await clock.run(3000);
  net.partition([names.slice(0, 20), names.slice(20, 45)]);
  await clock.run(30_000);
  net.kill("d07");
  net.kill("d30", true);
  net.heal();
  await clock.run(120_000);
  return { digest: clock.digest, balls, links: net.connections.length };
}

test("fifty devices, partitions and deaths: the same seed is the same world, another seed another one", async () => {
  const [one, again, other] = [await pingPong(11), await pingPong(11), await pingPong(12)];
  assert.deepEqual(again, one);
  assert.notEqual(other.digest, one.digest);
  assert.ok(one.balls > 20_000, `${one.balls} balls`);
  assert.equal(one.links, (48 * 47) / 2, "everybody who lives has met everybody");
});

test("time: sleeps, timers, what is called off, and what a stopped process never does", async () => {
  const clock = new SimClock(1);
  const [one, other] = [clock.system("one"), clock.system("other", -3_600_000)];
  const done: string[] = [];
  one.after(20, () => done.push("twenty"));
  one.after(10, () => done.push("ten"));
  one.after(5, () => done.push("never"))();
  other.after(15, () => done.push("dead"));
  void one.sleep(40).then(() => done.push("slept"));
  void one.turn().then(() => done.push("turned"));
  other.stop();
  await clock.run(100);
  assert.deepEqual(done, ["turned", "ten", "twenty", "slept"]);
  assert.equal(clock.ms, 100);
  const moments = [one.now(), one.now()] as const;
  assert.ok(moments[0] < moments[1], "no two moments are the same");
  assert.ok(one.now() - other.now() > 3_599_000_000_000n);
  await assert.rejects(
    clock.until(() => false, 1000, "the end of the world"),
    /not within 1000 ms: the end of the world \(seed 1\)/,
  );
});

test("time stands still while something is read from the disk, and while somebody says so", async () => {
  const clock = new SimClock(1);
  const system = clock.system("one");
  let [before, after] = [0, 0];
  system.after(10, () => {
    before = clock.ms;
    void readFile(fileURLToPath(import.meta.url))
      .then(() => clock.still(new Promise((resolve) => setTimeout(resolve, 20))))
      .then(() => {
        after = clock.ms;
      });
  });
  system.after(12, () => {});
  await clock.run(1000);
  assert.ok(before > 0);
  assert.equal(after, before);
});

test("randomness: of the seed, of the process and of how often it was started", () => {
  const of = (seed: number, name: string): string => new SimClock(seed).system(name).random(40).toString("hex");
  assert.equal(of(1, "one"), of(1, "one"));
  assert.notEqual(of(1, "one"), of(2, "one"));
  assert.notEqual(of(1, "one"), of(1, "other"));
  const clock = new SimClock(1);
  const [first, second] = [clock.system("one"), clock.system("one")];
  assert.notDeepEqual(first.random(32), second.random(32));
});

test("streams: in order, with a mark, a pause, an end, a reset and a silence", async () => {
  const clock = new SimClock(5);
  const net = new SimNetwork(clock);
  const [one, other] = net.pair("a", "b");
  assert.deepEqual([one.remoteKey, one.handshakeHash], [other.localKey, other.handshakeHash]);
  const got: number[] = [];
  const told: string[] = [];
  one.stream.on("data", () => {});
  other.stream.on("data", (message) => {
    got.push(message.readUInt32BE());
    if (got.length === 10) other.stream.pause();
  });
  one.stream.on("drain", () => told.push("drain"));
  const message = (i: number): Buffer => {
    const bytes = Buffer.alloc(4096);
    bytes.writeUInt32BE(i);
    return bytes;
  };
  let free = 0;
  for (let i = 0; i < 20; i++) if (one.stream.write(message(i))) free++;
  assert.equal(free, 3, "16 KiB, then false");
  await clock.run(1000);
  assert.equal(got.length, 10);
  assert.deepEqual(told, ["drain"]);
  other.stream.resume();
  one.stream.end();
  other.stream.on("end", () => other.stream.end());
  for (const [name, { stream }] of Object.entries({ one, other })) stream.on("close", () => told.push(name));
  await clock.run(1000);
  assert.deepEqual(
    got,
    Array.from({ length: 20 }, (_, i) => i),
  );
  assert.deepEqual(told.slice(1).sort(), ["one", "other"]);

  const [first, second] = net.pair("a", "b");
  const errors: string[] = [];
  for (const { stream } of [first, second]) stream.on("error", (error) => errors.push(error.message));
  first.stream.destroy(new Error("mine"));
  await clock.run(1000);
  assert.deepEqual(errors, ["mine", "connection reset by peer"]);
  assert.ok(first.stream.destroyed && second.stream.destroyed);

  const late: number[] = [];
  const [near, far] = net.pair("a", "b");
  for (const { stream } of [near, far]) stream.on("error", (error) => errors.push(error.message));
  far.stream.on("data", (bytes) => late.push(bytes.length));
  net.partition([["a"], ["b"]]);
  near.stream.write(Buffer.alloc(9));
  await clock.run(10_000);
  assert.deepEqual(late, []);
  net.heal();
  await clock.run(10_000);
  assert.deepEqual(late, [9], "a short silence loses nothing");
  net.partition([["a"], ["b"]]);
  await clock.run(16_000);
  assert.deepEqual(errors.slice(2), ["connection timed out", "connection timed out"]);
});

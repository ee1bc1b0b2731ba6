/**
 * Links over real connections on loopback: what the simulated ones cannot show. Both ends are in this process.
 */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { realSystem } from "../../src/base/system.js";
import { Link, type LinkHandlers } from "../../src/swarm/link.js";
import type { Connection, Network } from "../../src/swarm/network.js";
import { openNetwork } from "../../src/swarm/reach.js";
import { bootstrapNodes } from "./reach-given.js";

const text = (words: string): Buffer => Buffer.from(words);
const quiet: LinkHandlers = {
  onKnock: () => {},
  onDoor: () => {},
  onRoomOpen: () => {},
  onRoom: () => {},
  onDrain: () => {},
  onClose: () => {},
};

/** So many pairs of ends, each on a topic of their own. */
async function meetings(t: TestContext, count: number): Promise<[Connection, Connection][]> {
  const { addresses } = await bootstrapNodes(t);
  const bootstrap = addresses.split(",");
  const networks: Network[] = [];
  t.after(() => Promise.all(networks.map((network) => network.close())));
  const end = async (topic: Buffer, announce: boolean): Promise<Connection> => {
    const network = await openNetwork({ bootstrap }, realSystem);
    networks.push(network);
    const connection = new Promise<Connection>((resolve) => network.onConnection(resolve));
    network.join(topic, { announce, lookup: !announce });
    return connection;
  };
  return Promise.all(
    Array.from({ length: count }, async () => {
      const topic = realSystem.random(32);
      return Promise.all([end(topic, true), end(topic, false)]);
    }),
  );
}

function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  return Promise.race([
    work,
    new Promise<never>((_, reject) => setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms).unref()),
  ]);
}

test("real connections: proof of both ends, 32 MiB with back-pressure, polite and sudden ends, hostile frames", async (t) => {
  const [first, control, ...victims] = await within(10_000, "they meet", meetings(t, 6));
  const [one, other] = first!;
  assert.notEqual(one.initiator, other.initiator);
  assert.deepEqual([one.localKey, one.remoteKey], [other.remoteKey, other.localKey]);
  assert.deepEqual(one.handshakeHash, other.handshakeHash);
  assert.ok(one.handshakeHash.length === 64 && one.localKey.length === 32);

  // A great deal, no faster than it goes out.
  let [sent, got, waits, knocks] = [0, 0, 0, 0];
  const pieces = 128;
  const bytes = 256 * 1024;
  const fill = (): void => {
    for (let free = true; free && sent < pieces; ) {
      const piece = Buffer.alloc(bytes, sent);
      free = from.sendRoom(piece);
      sent++;
    }
    if (sent < pieces) waits++;
    else from.close("all is said");
  };
  const reasons: (string | undefined)[] = [];
  const from = Link.attach(
    one,
    text("from"),
    { ...quiet, onKnock: () => knocks++, onRoomOpen: fill, onDrain: fill, onClose: (why) => reasons.push(why) },
    realSystem,
  );
  const wrong: number[] = [];
  const to = Link.attach(
    other,
    text("to"),
    {
      ...quiet,
      onKnock: () => knocks++,
      onRoom: (piece) => {
        if (piece.length !== bytes || piece[0] !== got % 256 || piece[bytes - 1] !== got % 256) wrong.push(got);
        got++;
      },
      onClose: (why) => reasons.push(why),
    },
    realSystem,
  );
  from.openRoom();
  to.openRoom();
  await within(20_000, "all is sent and both are closed", Promise.all([from.closed, to.closed]));
  assert.deepEqual({ knocks, sent, got, wrong }, { knocks: 2, sent: pieces, got: pieces, wrong: [] });
  assert.ok(waits >= 8, `waited ${waits} times`);
  assert.deepEqual(reasons.sort(), ["all is said", undefined]);

  // Somebody who speaks no protocol of ours, and somebody who goes away without a word.
  const told: string[] = [];
  const [near, far] = control!.map((end, i) =>
    Link.attach(end, text(String(i)), { ...quiet, onDoor: (words) => told.push(words.toString()) }, realSystem),
  );
  const hostile: [string, (end: Connection) => void, RegExp][] = [
    ["garbage", ({ stream }) => stream.write(Buffer.alloc(100_000, 0xff)), /broke the protocol/],
    ["a batch in a batch", ({ stream }) => stream.write(Buffer.from([0, 0, 0, 4, 0, 0, 1, 0])), /broke the protocol/],
    ["8 MiB", ({ stream }) => stream.write(Buffer.alloc(8 << 20, 1)), /broke the protocol/],
    ["a sudden end", ({ stream }) => stream.destroy(), /^the other side went away$/],
  ];
  for (const [i, [name, attack, says]] of hostile.entries()) {
    const [victim, stranger] = victims[i]!;
    stranger.stream.on("data", () => {});
    const reason = new Promise<string | undefined>((resolve) =>
      Link.attach(victim, text("victim"), { ...quiet, onClose: resolve }, realSystem),
    );
    attack(stranger);
    assert.match((await within(5000, `${name}: the link ends`, reason)) ?? "", says, name);
    near?.sendDoor(text(name));
  }
  for (let i = 0; told.length < hostile.length && i < 100; i++) await realSystem.sleep(20);
  assert.deepEqual(
    told,
    hostile.map(([name]) => name),
  );
  assert.ok(near?.open && far?.open);
});

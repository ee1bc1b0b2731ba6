/** Receipts: what is said of one log, in which order, on a link that is slow. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "../../src/base/bytes.js";
import { wire } from "../../src/base/limits.js";
import type { RoomMessage } from "../../src/format/message.js";
import { decodeReceipt } from "../../src/format/receipt.js";
import { signingKeyOf } from "../../src/format/sign.js";
import type { Heads } from "../../src/swarm/heads.js";
import { Receipts } from "../../src/swarm/receipts.js";
import type { Peer, Room } from "../../src/swarm/room.js";
import { noise } from "./given.js";

test("who asks for the same statement again and again gets it now and then", () => {
  const [log, vault] = [noise(32, 1), noise(32, 2)];
  const head = { scope: vault, log, device: noise(32, 3), seq: 1n, id: noise(32, 4), frozen: false };
  let looks = 0;
  const timers: (() => void)[] = [];
  const room = {
    gives: true,
    system: { now: () => 1n, after: (_: number, run: () => void) => timers.push(run) && (() => {}) },
    store: {
      keyring: { device: signingKeyOf(noise(32, 5)) },
      isOwn: () => false,
      ledger: { heldOf: () => [looks++].map(() => ({ name: noise(32, 9) })) },
    },
  } as unknown as Room;
  const receipts = new Receipts(room, { get: () => head, of: () => [] } as unknown as Heads);
  const peer = { open: true, isKeeper: true, blocked: false, remote: { vault }, send() {} } as unknown as Peer;
  receipts.peerUp(peer);
  for (let i = 0; i < 100; i++) receipts.answer(peer, { type: "askReceipts", log });
  assert.equal(looks, 1);
  timers.shift()?.();
  assert.equal(looks, 2, "what was asked for meanwhile comes later, once");
  timers.shift()?.();
  assert.deepEqual([looks, timers.length], [2, 0]);
});

test("what waits of an earlier statement is not said after a newer one", () => {
  const [log, vault] = [noise(32, 1), noise(32, 2)];
  const head = { scope: vault, log, device: noise(32, 3), seq: 1n, id: noise(32, 4), frozen: false };
  const names = Array.from({ length: 2 * wire.names + 5 }, (_, i) => noise(32, 10, i));
  let held = names;
  const room = {
    gives: true,
    system: { now: () => 1n, after: () => () => {} },
    store: {
      keyring: { device: signingKeyOf(noise(32, 5)) },
      isOwn: () => false,
      ledger: { heldOf: () => held.map((name) => ({ name })) },
    },
  } as unknown as Room;
  const heads = { get: () => head, of: () => [head] } as unknown as Heads;
  const claimed = new Set<string>();
  let blockedAfter = 1;
  const peer = {
    open: true,
    isKeeper: true,
    remote: { vault },
    get blocked() {
      return blockedAfter <= 0;
    },
    send(message: RoomMessage) {
      blockedAfter--;
      if (message.type !== "receipt") return;
      const receipt = decodeReceipt(message.bytes);
      if (receipt.all) claimed.clear();
      for (const name of receipt.names) claimed.add(toHex(name));
    },
  } as unknown as Peer;
  const receipts = new Receipts(room, heads);
  receipts.peerUp(peer);
  assert.equal(claimed.size, wire.names, "the link takes one page, for now");
  // The last one turns out to be damaged.
  held = names.slice(0, -1);
  receipts.restate(log);
  blockedAfter = 100;
  receipts.drained(peer);
  assert.equal(claimed.size, held.length);
  assert.ok(!claimed.has(toHex(names.at(-1) as Buffer)));
});

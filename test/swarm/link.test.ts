/**
 * A link: what both sides see of it, and that a hostile or broken other side, or a handler of ours that throws, ends that
 * link and nothing else. A second link in the same process goes on meanwhile.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { wire } from "../../src/base/limits.js";
import { Link, type LinkHandlers } from "../../src/swarm/link.js";
import type { Connection, FramedStream } from "../../src/swarm/network.js";
import { SimClock, type SimSystem } from "../sim/clock.js";
import { SimNetwork } from "../sim/network.js";

const seed = Number(process.env.BCOOPFS_SEED ?? 1);
const full = process.env.BCOOPFS_FULL === "1";
const text = (words: string): Buffer => Buffer.from(words);

/** One side of a link, and what it was told. */
interface Side {
  readonly link: Link;
  readonly told: string[];
}

function attach(connection: Connection, system: SimSystem, own: Partial<LinkHandlers> = {}): Side {
  const told: string[] = [];
  const said = (message: Buffer): string => (message.length > 40 ? `${message.length} bytes` : message.toString());
  const handlers: LinkHandlers = {
    onKnock: (knock) => void told.push(`knock ${said(knock)}`),
    onDoor: (message) => void told.push(`door ${said(message)}`),
    onRoomOpen: () => void told.push("room opens"),
    onRoom: (message) => void told.push(`room ${said(message)}`),
    onDrain: () => void told.push("drain"),
    onClose: (reason) => void told.push(`closed: ${reason}`),
    ...own,
  };
  return { link: Link.attach(connection, text(`from ${system.name}`), handlers, system), told };
}

class World {
  readonly clock: SimClock;
  readonly net: SimNetwork;
  readonly ann: SimSystem;
  readonly bob: SimSystem;
  constructor(own = seed) {
    this.clock = new SimClock(own);
    this.net = new SimNetwork(this.clock);
    this.ann = this.clock.system("ann");
    this.bob = this.clock.system("bob");
  }

  /** Two sides that have knocked. */
  async met(ann: Partial<LinkHandlers> = {}, bob: Partial<LinkHandlers> = {}): Promise<[Side, Side]> {
    const [one, other] = this.net.pair("ann", "bob");
    const sides: [Side, Side] = [attach(one, this.ann, ann), attach(other, this.bob, bob)];
    await this.clock.run(100);
    return sides;
  }

  /** Ann, and a stream that somebody writes to who is no link. */
  async withStranger(own: Partial<LinkHandlers> = {}): Promise<[Side, FramedStream]> {
    const [one, other] = this.net.pair("ann", "mallory");
    other.stream.on("error", () => {});
    other.stream.on("data", () => {});
    const ann = attach(one, this.ann, own);
    await this.clock.run(100);
    return [ann, other.stream];
  }
}

/** What Protomux writes, by hand. */
const open = (channel: number, protocol: string, rest: Buffer = Buffer.alloc(0)): Buffer =>
  Buffer.concat([Buffer.from([0, 1, channel, protocol.length]), text(protocol), Buffer.from([0]), rest]);
const openDoor = open(1, "bcoopfs/door", text("knock"));
const openRoom = open(2, "bcoopfs/room");
const bytes = (...list: number[]): Buffer => Buffer.from(list);

test("knocks, the door, the room when both have opened it, a polite end", async () => {
  const world = new World();
  const [ann, bob] = await world.met();
  assert.deepEqual([ann.told, bob.told], [["knock from bob"], ["knock from ann"]]);
  ann.link.sendDoor(text("one"));
  ann.link.sendDoor(Buffer.alloc(0));
  bob.link.sendDoor(Buffer.alloc(wire.messageBytes));
  ann.link.openRoom();
  ann.link.openRoom();
  await world.clock.run(1000);
  assert.deepEqual(ann.told.slice(1), [`door ${wire.messageBytes} bytes`]);
  assert.deepEqual(bob.told.slice(1), ["door one", "door "]);
  assert.ok(!ann.link.roomOpen && !bob.link.roomOpen);
  assert.throws(() => ann.link.sendRoom(text("too early")), /the room is not open/);

  bob.link.openRoom();
  assert.equal(bob.told.at(-1), "room opens", "ann was first");
  assert.ok(bob.link.roomOpen);
  bob.link.sendRoom(text("in"));
  await world.clock.run(1000);
  assert.deepEqual(ann.told.slice(2), ["room opens", "room in"]);
  for (let i = 0; i < 3; i++) ann.link.sendRoom(text(`last ${i}`));
  ann.link.close("enough");
  ann.link.close("again");
  ann.link.sendRoom(text("never"));
  ann.link.sendDoor(text("never"));
  assert.ok(!ann.link.open && !ann.link.roomOpen);
  await world.clock.run(100);
  assert.deepEqual(bob.told.slice(4), ["room last 0", "room last 1", "room last 2", "closed: undefined"]);
  assert.equal(ann.told.at(-1), "closed: enough");
  await Promise.all([ann.link.closed, bob.link.closed]);
});

test("the room, in every order of opening it, with messages at once", async () => {
  for (let own = seed; own < seed + (full ? 200 : 20); own++) {
    const world = new World(own);
    const greet = (side: () => Side) => () => {
      side().told.push("room opens");
      side().link.sendRoom(text("hello"));
    };
    const sides: Side[] = [];
    const [one, other] = world.net.pair("ann", "bob");
    sides.push(attach(one, world.ann, { onRoomOpen: greet(() => sides[0]!) }));
    sides.push(attach(other, world.bob, { onRoomOpen: greet(() => sides[1]!) }));
    for (const side of sides) world.clock.after(world.clock.between(0, 200), "opens", () => side.link.openRoom());
    await world.clock.run(500);
    for (const { told } of sides) assert.deepEqual(told.slice(1), ["room opens", "room hello"], `seed ${own}`);
  }
});

test("more than is sent at once: false after about a MiB, and told when there is room", async () => {
  const world = new World();
  const [ann, bob] = await world.met();
  ann.link.openRoom();
  bob.link.openRoom();
  await world.clock.run(100);
  let sent = 0;
  const fill = (): void => {
    const piece = Buffer.alloc(64 * 1024);
    do sent++;
    while (ann.link.sendRoom(piece) && sent < 1000);
  };
  fill();
  assert.ok(sent >= 16 && sent <= 18, `${sent} pieces`);
  assert.equal(ann.link.sendRoom(text("one more")), false);
  await world.clock.run(2000);
  assert.equal(ann.told.filter((word) => word === "drain").length, 1);
  assert.equal(bob.told.at(-1), "room one more");
  fill();
  await world.clock.run(2000);
  assert.equal(ann.told.filter((word) => word === "drain").length, 2);
});

test("what is longer than the bounds is a mistake of ours, and never sent", async () => {
  const world = new World();
  const [one] = world.net.pair("ann", "bob");
  const handlers = {} as LinkHandlers;
  assert.throws(() => Link.attach(one, Buffer.alloc(wire.knockBytes + 1), handlers, world.ann), RangeError);
  const [ann] = await world.met();
  assert.throws(() => ann.link.sendDoor(Buffer.alloc(wire.messageBytes + 1)), RangeError);
  assert.throws(() => ann.link.sendRoom(Buffer.alloc(wire.messageBytes + 1)), RangeError);
  assert.ok(ann.link.open);
});

test("short messages are the handler's own, whatever they came with", async () => {
  const world = new World();
  const kept: Buffer[] = [];
  const [ann, bob] = await world.met({}, { onDoor: (message) => void kept.push(message) });
  ann.link.sendDoor(Buffer.alloc(32, 1));
  await world.clock.run(100);
  assert.ok((kept[0]?.buffer.byteLength ?? 1e9) <= Buffer.poolSize);
  assert.ok(bob.link.open);
});

/** A batch whose only message is a batch, and so on: Protomux by itself runs out of stack, and ends the process. */
function nested(levels: number): Buffer {
  const heads: Buffer[] = [];
  for (let i = 0, length = 0; i < levels; i++) {
    const of = length + 1;
    const head = of < 0xfd ? bytes(0, of, 0) : bytes(0, 0xfd, of & 255, of >> 8, 0);
    heads.push(head);
    length += head.length;
  }
  return Buffer.concat([bytes(0, 0), ...heads.reverse()]);
}

/** Frames that no link writes, or not then. */
const never: [string, Buffer][] = [
  ["one byte", bytes(0)],
  ["a batch", bytes(0, 0, 1, 2, 0, 65)],
  ["batches within batches", nested(12_000)],
  ["a rejection", bytes(0, 2, 1)],
  ["a rejection of nothing", bytes(0, 2, 0)],
  ["an unknown control message", bytes(0, 9, 1)],
  ["a control message as a long number", bytes(0, 0xfd, 1, 0)],
  ["the control session opened", open(0, "bcoopfs/door")],
  ["another protocol", open(2, "hypercore/alpha")],
  ["another protocol in the door's place", open(1, "hypercore/alpha")],
  ["the room as the first channel", open(1, "bcoopfs/room")],
  ["the door as the second channel", open(2, "bcoopfs/door")],
  ["the room with an id", bytes(...openRoom.subarray(0, -1), 1, 7)],
  ["the room with a knock", Buffer.concat([openRoom, text("knock")])],
  ["an open without a protocol", bytes(0, 1, 1)],
  ["an open with a protocol of 4 GiB", bytes(0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0xff)],
  ["a close of another channel", bytes(0, 3, 3)],
  ["a close with more behind it", bytes(0, 3, 1, 0)],
  ["a close of nothing", bytes(0, 3)],
  ["a third channel", bytes(3, 0, 1)],
  ["a channel of 2^53", bytes(0xff, 255, 255, 255, 255, 255, 255, 31, 0, 0)],
  ["a channel beyond that", Buffer.alloc(9, 0xff)],
  ["a channel of many bytes", bytes(0xfd, 1, 0, 0)],
  ["another message of the door", bytes(1, 1)],
  ["a message without a type", bytes(1)],
  ["another message of the room", bytes(2, 9, 9)],
  ["nothing but zeros", Buffer.alloc(100)],
  ["16 MiB", Buffer.alloc(16 * 1024 * 1024 - 100, 1)],
  ["a message a byte too long", Buffer.concat([bytes(1, 0), Buffer.alloc(wire.messageBytes + 1)])],
  ["the door once more", openDoor],
];

/** What a stranger has said properly before. */
const stages: [string, Buffer[]][] = [
  ["at first", []],
  ["after the knock", [openDoor]],
  ["in the door", [openDoor, bytes(1, 0, 65)]],
  ["at the room", [openDoor, bytes(1, 0, 65), openRoom]],
];

for (const [stage, before] of stages)
  test(`a stranger that breaks the protocol ${stage}`, async () => {
    const world = new World();
    const [control, mirror] = await world.met();
    const broken: [string, Buffer][] = [
      ...never.filter(([name]) => before.length > 0 || name !== "the door once more"),
      ["a message in the room that is not open", bytes(2, 0, 65)],
      before.length === 0 ? ["a knock too long", Buffer.concat([openDoor, Buffer.alloc(wire.knockBytes)])] : never[0]!,
      before.length === 4 ? ["the room twice", openRoom] : never[0]!,
      before.length === 0 ? ["the room first", openRoom] : never[0]!,
      before.length === 0 ? ["a close first", bytes(0, 3, 1)] : never[0]!,
    ];
    for (const [name, frame] of broken) {
      const [ann, stranger] = await world.withStranger();
      for (const good of before) stranger.write(good);
      stranger.write(frame);
      stranger.write(openRoom);
      stranger.write(bytes(2, 0, 65));
      await world.clock.run(2000);
      assert.equal(ann.told.at(-1), "closed: the other side broke the protocol", name);
      assert.equal(ann.told.filter((word) => word.startsWith("room")).length, 0, name);
      assert.ok(stranger.destroyed, name);
      control.link.sendDoor(text(name.slice(0, 40)));
      await world.clock.run(100);
      assert.equal(mirror.told.at(-1), `door ${name.slice(0, 40)}`);
    }
  });

test("thousands of opens end with the first", async () => {
  const world = new World();
  for (const protocol of ["bcoopfs/door", "bcoopfs/room", "x"]) {
    const [ann, stranger] = await world.withStranger();
    stranger.write(openDoor);
    for (let channel = 2; channel < 250; channel++)
      for (let i = 0; i < 20; i++) stranger.write(open(channel, protocol, text("x".repeat(1000))));
    await world.clock.run(5000);
    assert.deepEqual(ann.told, ["knock knock", "closed: the other side broke the protocol"]);
  }
});

test("altered bytes in a good conversation: each frame is understood or ends the link", async () => {
  const world = new World();
  const good = [openDoor, bytes(1, 0, 65, 66), openRoom, bytes(2, 0, 67), bytes(0, 3, 2)];
  for (const [at, frame] of good.entries())
    for (let position = 0; position < Math.min(frame.length, 24); position++)
      for (const value of full
        ? Array.from({ length: 256 }, (_, i) => i)
        : [0, 1, 2, 3, 0x7f, 0xfc, 0xfd, 0xfe, 0xff]) {
        const [ann, stranger] = await world.withStranger();
        ann.link.openRoom();
        for (const [i, other] of good.entries()) {
          const sent = Buffer.from(other);
          if (i === at) sent[position] = value;
          stranger.write(sent);
        }
        await world.clock.run(1500);
        assert.match(ann.told.at(-1) ?? "", /^closed: /);
      }
});

test("random bytes, of all lengths and at any time", async () => {
  const world = new World();
  const [control, mirror] = await world.met();
  for (let i = 0; i < (full ? 20_000 : 1000); i++) {
    const [ann, stranger] = await world.withStranger();
    if (i % 2) stranger.write(openDoor);
    for (let frames = 0; frames < 4; frames++) {
      const frame = world.clock.bytes(1 + Math.floor(world.clock.between(0, 40)));
      if (i % 3) frame[0] = i % 4;
      stranger.write(frame);
    }
    await world.clock.run(200);
    ann.link.close();
  }
  control.link.sendDoor(text("still here"));
  await world.clock.run(2000);
  assert.equal(mirror.told.at(-1), "door still here");
});

test("empty frames are the stream's own, and mean nothing", async () => {
  const world = new World();
  const [ann, stranger] = await world.withStranger();
  for (let i = 0; i < 5; i++) stranger.write(Buffer.alloc(0));
  stranger.write(openDoor);
  await world.clock.run(500);
  assert.deepEqual(ann.told, ["knock knock"]);
});

test("silence: the time for knock and admission ends the link, unless it is called off", async () => {
  const world = new World();
  const [ann] = await world.withStranger();
  ann.link.closeAfter(10_000, "no knock in time");
  const [other] = await world.met();
  other.link.closeAfter(10_000, "never")();
  await world.clock.run(9000);
  assert.deepEqual(ann.told, []);
  await world.clock.run(3100);
  assert.deepEqual(ann.told, ["closed: no knock in time"]);
  assert.ok(other.link.open);
  other.link.closeAfter(10_000, "after the end");
  other.link.close();
  other.link.closeAfter(1, "after the end");
  await world.clock.run(20_000);
  assert.equal(other.told.at(-1), "closed: undefined");
});

test("an other side that never ends its half is cut off after a second", async () => {
  const world = new World();
  const [ann, stranger] = await world.withStranger();
  stranger.write(openDoor);
  stranger.pause();
  await world.clock.run(100);
  ann.link.close("enough");
  const before = world.clock.ms;
  await world.clock.settled(ann.link.closed);
  assert.ok(world.clock.ms - before < 1010, `${world.clock.ms - before} ms`);
});

test("the other side dies, is pulled, or destroys the stream: told in words", async () => {
  const world = new World();
  const [killed] = await world.met();
  world.net.kill("bob");
  const [pulled] = await world.met();
  world.net.kill("bob", true);
  const [destroyed, stranger] = await world.withStranger();
  stranger.destroy(new TypeError("its own affair"));
  await world.clock.run(5000);
  assert.equal(killed.told.at(-1), "closed: the other side went away");
  assert.equal(destroyed.told.at(-1), "closed: the other side went away");
  assert.ok(pulled.link.open);
  await world.clock.run(20_000);
  assert.equal(pulled.told.at(-1), "closed: the other side does not answer any more");

  const [one, other] = world.net.pair("ann", "bob");
  other.stream.on("error", () => {});
  const duplicate = attach(one, world.ann);
  one.stream.destroy(new Error("Duplicate connection"));
  const [two, far] = world.net.pair("ann", "bob");
  far.stream.on("error", () => {});
  two.stream.on("error", () => {});
  two.stream.destroy(new Error("gone already"));
  await world.clock.run(100);
  const late = attach(two, world.ann);
  late.link.sendDoor(text("nobody"));
  late.link.openRoom();
  await world.clock.run(100);
  assert.deepEqual(duplicate.told, ["closed: undefined"]);
  assert.equal(late.told.length, 1);
});

const thrown: [string, () => unknown][] = [
  ["TypeError", () => (null as unknown as { x: string }).x.length],
  ["RangeError", () => Buffer.alloc(2).readUInt32LE()],
  ["SyntaxError", () => JSON.parse("{")],
  ["ReferenceError", () => (globalThis as unknown as { eval: (words: string) => void }).eval("nowhere")],
  ["URIError", () => decodeURIComponent("%")],
  ["EvalError", () => fail(new EvalError("no"))],
  ["AssertionError", () => assert.fail("no")],
  ["a Problem", () => fail(new Problem("refused", "not today"))],
  ["an error with a code of assertions", () => fail(Object.assign(new Error("no"), { code: "ERR_ASSERTION" }))],
  ["a string", () => fail("no")],
  ["nothing", () => fail(undefined)],
  ["a rejection", () => Promise.reject(new TypeError("later"))],
];
const fail = (error: unknown): never => {
  throw error;
};

test("whatever a handler throws, and whichever: that link ends, and nothing else", async () => {
  const world = new World();
  const [control, mirror] = await world.met();
  for (const [name, raise] of thrown)
    for (const handler of ["onKnock", "onDoor", "onRoomOpen", "onRoom", "onDrain", "onClose"] as const) {
      const [ann, bob] = await world.met({}, { [handler]: raise });
      for (let i = 0; i < 2; i++) ann.link.sendDoor(text("x"));
      ann.link.openRoom();
      bob.link.openRoom();
      await world.clock.run(200);
      if (bob.link.roomOpen) {
        while (bob.link.sendRoom(Buffer.alloc(512 * 1024)));
        for (let i = 0; i < 2; i++) ann.link.sendRoom(text("x"));
        await world.clock.run(2000);
      }
      if (handler === "onClose") bob.link.close();
      await world.clock.run(2000);
      const what = `${name} in ${handler}`;
      assert.ok(!bob.link.open && !ann.link.open, what);
      if (name === "TypeError" || name === "RangeError") assert.equal((bob.link.failure as Error).name, name, what);
      if (name === "a Problem" && handler !== "onClose") assert.equal(bob.told.at(-1), "closed: not today");
      control.link.sendDoor(text(what));
      await world.clock.run(100);
      assert.equal(mirror.told.at(-1), what.length > 40 ? `door ${what.length} bytes` : `door ${what}`);
    }
});

test("a handler that closes the link is called no more, and may close it anywhere", async () => {
  for (const handler of ["onKnock", "onDoor", "onRoomOpen", "onRoom"] as const) {
    const world = new World();
    let calls = 0;
    const sides: Side[] = [];
    const [one, other] = world.net.pair("ann", "bob");
    sides.push(attach(one, world.ann));
    const close = (): void => {
      calls++;
      sides[1]?.link.close(`in ${handler}`);
    };
    sides.push(attach(other, world.bob, { [handler]: close }));
    const [ann, bob] = sides as [Side, Side];
    for (let i = 0; i < 3; i++) ann.link.sendDoor(text("x"));
    ann.link.openRoom();
    bob.link.openRoom();
    await world.clock.run(100);
    if (ann.link.roomOpen) for (let i = 0; i < 3; i++) ann.link.sendRoom(text("x"));
    await world.clock.run(2000);
    assert.equal(calls, 1, handler);
    assert.equal(bob.told.at(-1), `closed: in ${handler}`);
    assert.equal(ann.told.at(-1), "closed: undefined");
  }
});

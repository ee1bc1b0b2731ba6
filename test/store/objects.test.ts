/** What is given away is what its name proves, whatever has become of the file. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { choice, format } from "../../src/base/limits.js";
import { realSystem, type System } from "../../src/base/system.js";
import { hashOf } from "../../src/format/hash.js";
import { leafCount, verifyLeaves } from "../../src/format/leaves.js";
import { homeAt } from "../../src/store/home.js";
import { type Leaves, LeafServer, objectLength, objectPath, readObject } from "../../src/store/objects.js";
import { segmentPath } from "../../src/store/segments.js";
import { noise, seed, workFolder } from "../support/store-home.js";

const leaf = format.leafBytes;
const home = homeAt(join(workFolder(), "home"));

interface Stored {
  readonly bytes: Buffer;
  readonly name: Buffer;
  readonly length: number;
  readonly path: string;
}

function stored(length: number, number: number, pathOf = objectPath): Stored {
  const bytes = noise(length, seed, number);
  const name = hashOf(bytes);
  const path = pathOf(home, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  return { bytes, name, length, path };
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(path, bytes);
}

async function checked(server: LeafServer, object: Stored, first: number, count: number): Promise<Leaves> {
  const leaves = await server.read(object.name, object.length, first, count);
  assert.ok(leaves);
  assert.ok(leaves.bytes.equals(object.bytes.subarray(first * leaf, (first + count) * leaf)));
  verifyLeaves(object.name, object.length, first, leaves.bytes, leaves.proof);
  return leaves;
}

test("leaves of segments and other objects, of all lengths, proved by their names", async () => {
  const server = new LeafServer(home, realSystem);
  for (const [i, length] of [0, 1, leaf, leaf + 1, 5 * leaf - 3, 16 * leaf, 37 * leaf + 1].entries()) {
    const object = stored(length, i, i % 2 === 0 ? objectPath : segmentPath);
    assert.equal(objectLength(home, object.name), length);
    for (let first = 0; first < leafCount(length); first++)
      for (const count of [1, 2, 4]) await checked(server, object, first, count);
    for (const [first, count] of [
      [leafCount(length), 1],
      [-1, 1],
      [0, 0],
      [0.5, 1],
      [2 ** 60, 1],
    ] as const)
      assert.equal(await server.read(object.name, length, first, count), undefined);
    assert.equal(await server.read(object.name, length + leaf, 0, 1), undefined, "under another length");
  }
  assert.equal(await server.read(Buffer.alloc(32), leaf, 0, 1), undefined);
  assert.equal(await server.read(Buffer.from("../../../etc/passwd"), leaf, 0, 1), undefined);
});

test("an object's own segment is read before what others sent of it", () => {
  const object = stored(3000, 20);
  assert.ok(readObject(home, object.name, 0, 3000).equals(object.bytes));
  mkdirSync(dirname(segmentPath(home, object.name)), { recursive: true });
  writeFileSync(segmentPath(home, object.name), object.bytes.subarray(0, 10));
  assert.equal(objectLength(home, object.name), 10);
  assert.equal(readObject(home, object.name, 0, 3000).length, 10);
  assert.throws(
    () => readObject(home, hashOf(object.name), 0, 1),
    (error) => error instanceof Problem && error.code === "missing",
  );
});

test("a file that is not what its name says is told of once and never given away", async () => {
  const told: string[] = [];
  const server = new LeafServer(home, realSystem, (name) => told.push(name.toString("hex")));
  const single = stored(1000, 30);
  const long = stored(9 * leaf, 31);
  for (const object of [single, long]) {
    const hex = object.name.toString("hex");
    told.length = 0;
    flip(object.path, object.length - 1);
    for (let i = 0; i < 3; i++) assert.equal(await server.read(object.name, object.length, 0, 1), undefined);
    assert.deepEqual(told, [hex]);
    // Mended, it is given again; damaged once more, it is told again.
    flip(object.path, object.length - 1);
    utimesSync(object.path, 1, 1);
    await checked(server, object, 0, 1);
    flip(object.path, 0);
    assert.equal(await server.read(object.name, object.length, 0, 1), undefined);
    assert.deepEqual(told, [hex, hex]);
    rmSync(object.path);
    assert.equal(await server.read(object.name, object.length, 0, 1), undefined);
    assert.deepEqual(told, [hex, hex], "gone is not damaged");
  }
});

test("damage that comes after the chaining values were computed is seen in the leaf that it hits", async () => {
  const told: Buffer[] = [];
  const server = new LeafServer(home, realSystem, (name) => told.push(name));
  const object = stored(20 * leaf, 40);
  await checked(server, object, 0, 4);
  flip(object.path, 17 * leaf + 5);
  await checked(server, object, 0, 4);
  assert.equal(told.length, 0);
  assert.equal(await server.read(object.name, object.length, 16, 4), undefined);
  assert.equal(told.length, 1);
  const other = stored(4 * leaf, 41);
  await checked(server, other, 0, 4);
  truncateSync(other.path, 2 * leaf);
  assert.equal(await server.read(other.name, other.length, 2, 2), undefined);
  assert.equal(told.length, 2);
});

test("chaining values are computed once for all who ask at the same time, and what is held is bounded", async () => {
  let turns = 0;
  const counting: System = {
    ...realSystem,
    turn: () => {
      turns++;
      return realSystem.turn();
    },
  };
  const server = new LeafServer(home, counting);
  const object = stored(32 * leaf, 50);
  await Promise.all(Array.from({ length: 8 }, (_, i) => checked(server, object, i, 1)));
  assert.equal(turns, 2, "two pieces of 1 MiB, read once");
  const small = Array.from({ length: choice.servedObjects }, (_, i) => stored(10 + i, 1000 + i));
  for (const each of small) await checked(server, each, 0, 1);
  turns = 0;
  await checked(server, small.at(-1) as Stored, 0, 1);
  assert.equal(turns, 0);
  await checked(server, object, 0, 1);
  assert.equal(turns, 2, "the one that was not used for longest had to go");
  assert.ok(statSync(object.path).size > 0);
});

/** Objects arrive whole or not at all, go on where they stopped, and are received by one at a time. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Problem } from "../../src/base/errors.js";
import { format } from "../../src/base/limits.js";
import { realSystem, type System } from "../../src/base/system.js";
import { hashOf } from "../../src/format/hash.js";
import { leafCount } from "../../src/format/leaves.js";
import { type Home, homeAt } from "../../src/store/home.js";
import { Incoming } from "../../src/store/incoming.js";
import { objectLength, objectPath, readObject, verifyObject } from "../../src/store/objects.js";
import { segmentPath } from "../../src/store/segments.js";
import { chances, full, noise, seed, workFolder } from "../support/store-home.js";

const leaf = format.leafBytes;
let mounted = false;
after(() => {
  if (mounted) spawnSync("umount", [disk]);
});
const where = workFolder();
const disk = join(where, "disk");
mkdirSync(disk);
mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m,nr_inodes=200", "tmpfs", disk]).status === 0;
let homes = 0;

function emptyHome(folder = where): Home {
  const home = homeAt(join(folder, `home-${homes++}`));
  mkdirSync(home.store, { recursive: true });
  return home;
}

interface Sent {
  readonly bytes: Buffer;
  readonly name: Buffer;
  readonly length: number;
}

function sent(length: number, ...numbers: number[]): Sent {
  const bytes = noise(length, seed, ...numbers);
  return { bytes, name: hashOf(bytes), length };
}

function begin(home: Home, object: Sent, system: System = realSystem): Incoming {
  const incoming = Incoming.begin(home, system, object);
  assert.ok(incoming, "nobody else receives it");
  return incoming;
}

/** Write leaves from the next one on. @param most of them in all */
function feed(incoming: Incoming, { bytes }: Sent, most = Number.POSITIVE_INFINITY, atOnce = 1): void {
  for (let i = 0; i < most && !incoming.isWhole; i += atOnce)
    incoming.write(incoming.next, bytes.subarray(incoming.next * leaf, (incoming.next + atOnce) * leaf));
}

const incomingName = ({ name, length }: Sent): string => `${name.toString("hex")}-${length}`;
const incomingPath = (home: Home, object: Sent): string => join(home.incoming, incomingName(object));
const problem =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof Problem && error.code === code && !error.message.includes("\n");

test("objects of all lengths arrive whole, under their names", async () => {
  const home = emptyHome();
  for (const [i, length] of [0, 1, leaf - 1, leaf, leaf + 1, 7 * leaf, 33 * leaf + 5].entries()) {
    const object = sent(length, i);
    const incoming = begin(home, object);
    assert.equal(incoming.isWhole, length === 0);
    feed(incoming, object, undefined, 1 + (i % 4));
    assert.equal(incoming.next, leafCount(length));
    assert.equal(objectLength(home, object.name), undefined);
    await incoming.finish();
    assert.ok(readFileSync(objectPath(home, object.name)).equals(object.bytes));
    assert.equal(statSync(objectPath(home, object.name)).mode & 0o777, 0o600);
    verifyObject(home, object.name, length);
    assert.ok(readObject(home, object.name, 1, 70_000).equals(object.bytes.subarray(1, 70_001)));
    assert.equal(Incoming.begin(home, realSystem, object), undefined, "it is here");
  }
  assert.deepEqual(readdirSync(home.incoming), []);
});

test("what this device has written itself is not received", () => {
  const home = emptyHome();
  const object = sent(3 * leaf);
  mkdirSync(join(segmentPath(home, object.name), ".."), { recursive: true });
  writeFileSync(segmentPath(home, object.name), object.bytes);
  assert.equal(Incoming.begin(home, realSystem, object), undefined);
  assert.equal(objectLength(home, object.name), object.length);
});

test("one receives an object, others wait for it; the lock goes with its holder", async () => {
  const home = emptyHome();
  const object = sent(4 * leaf, 3);
  const first = begin(home, object);
  feed(first, object, 2);
  assert.equal(Incoming.begin(home, realSystem, object), undefined);
  const other = begin(home, sent(leaf, 4));
  other.pause();
  assert.deepEqual(readdirSync(home.incoming), [incomingName(object)], "nothing came, nothing is left");
  first.pause();
  first.pause();
  const second = begin(home, object);
  assert.equal(second.next, 2);
  feed(second, object);
  await second.finish();
  assert.throws(() => second.write(0, object.bytes), RangeError);
  await assert.rejects(second.finish(), RangeError);
});

test("leaves out of order, beyond the end or in part are a mistake of the caller", async () => {
  const home = emptyHome();
  const object = sent(3 * leaf + 100);
  const incoming = begin(home, object);
  for (const [first, bytes] of [
    [1, leaf],
    [0, leaf - 1],
    [0, 0.5 * leaf],
    [0, 4 * leaf],
    [-1, leaf],
  ] as const)
    assert.throws(() => incoming.write(first, Buffer.alloc(bytes)), RangeError);
  await assert.rejects(incoming.finish(), RangeError);
  feed(incoming, object);
  await incoming.finish();
});

test("whatever stands in the file of an unfinished object, only its own bytes come out", async () => {
  const home = emptyHome();
  const object = sent(5 * leaf + 77, 5);
  const path = incomingPath(home, object);
  mkdirSync(home.incoming);
  const whole = object.bytes;
  const zeros = Buffer.alloc(2 * leaf);
  const left: [string, Buffer, number, boolean][] = [
    ["nothing", Buffer.alloc(0), 0, true],
    ["less than a leaf", whole.subarray(0, leaf - 1), 0, true],
    ["leaves and a half", whole.subarray(0, 2 * leaf + 1000), 2, true],
    ["all of it", whole, 6, true],
    ["all but a byte", whole.subarray(0, -1), 5, true],
    ["more than there is", Buffer.concat([whole, zeros]), 0, true],
    ["zeros, as after a power cut", Buffer.concat([whole.subarray(0, leaf), zeros]), 3, false],
    ["all of it, a byte wrong", Buffer.concat([whole.subarray(0, -1), Buffer.from([~(whole.at(-1) ?? 0)])]), 6, false],
  ];
  for (const [what, bytes, next, good] of left) {
    writeFileSync(path, bytes);
    const incoming = begin(home, object);
    assert.equal(incoming.next, next, what);
    feed(incoming, object);
    if (good) await incoming.finish();
    else {
      await assert.rejects(incoming.finish(), problem("damaged"), what);
      assert.ok(!existsSync(path) && objectLength(home, object.name) === undefined, what);
      const again = begin(home, object);
      assert.equal(again.next, 0);
      feed(again, object);
      await again.finish();
    }
    verifyObject(home, object.name, object.length);
    rmSync(objectPath(home, object.name));
  }
});

test("an object that lies in its place cut short is received anew", async () => {
  const home = emptyHome();
  const object = sent(2 * leaf, 9);
  for (let round = 0; round < 2; round++) {
    const incoming = begin(home, object);
    feed(incoming, object);
    await incoming.finish();
    verifyObject(home, object.name, object.length);
    truncateSync(objectPath(home, object.name), leaf);
  }
});

test("a sync that fails is not believed later: nothing of the file is used again", async () => {
  const home = emptyHome();
  const object = sent(3 * leaf, 10);
  const failing: System = {
    ...realSystem,
    sync: () => Promise.reject(Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" })),
  };
  const incoming = begin(home, object, failing);
  feed(incoming, object);
  await assert.rejects(incoming.finish(), problem("io"));
  const again = begin(home, object);
  assert.equal(again.next, 0);
  feed(again, object);
  await again.finish();
});

const receive = fileURLToPath(new URL("../support/store-receive.js", import.meta.url));

test(`killed at any point, the next one goes on behind the last whole leaf`, async (t) => {
  const chance = chances(seed);
  const count = { deaths: 0, used: 0, objects: 0 };
  for (; count.deaths < (full ? 300 : 25); count.objects++) {
    const home = emptyHome();
    const object = sent((20 + chance(60)) * leaf + chance(leaf), 20, count.objects);
    const file = join(where, "sent");
    writeFileSync(file, object.bytes);
    for (let reached = 0; ; ) {
      const run = await receiveAndKill(home, file, chance(30));
      if (run.from === undefined) assert.ok(run.busy, run.out);
      else assert.ok(run.from >= reached, `it went on from ${run.from}, ${reached} were there`);
      if (run.from !== undefined && run.from > 0) count.used++;
      reached = Math.max(reached, run.leaf);
      if (run.killed) count.deaths++;
      const there = objectLength(home, object.name);
      if (there !== undefined) {
        verifyObject(home, object.name, object.length);
        break;
      }
      assert.ok(run.killed, run.out);
    }
    assert.ok((await receiveAndKill(home, file, undefined)).busy);
    assert.deepEqual(readdirSync(home.incoming), []);
    rmSync(home.path, { recursive: true });
  }
  t.diagnostic(JSON.stringify(count));
  assert.ok(count.used > 0);
});

interface Received {
  readonly busy: boolean;
  readonly from: number | undefined;
  readonly leaf: number;
  readonly killed: boolean;
  readonly out: string;
}

/** @param leaves after which it is killed, a random moment later */
async function receiveAndKill(home: Home, file: string, leaves: number | undefined): Promise<Received> {
  const child = spawn(process.execPath, [receive, home.path, file], { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (piece) => {
    out += piece;
    if (leaves !== undefined && out.split("leaf").length > leaves) child.kill("SIGKILL");
  });
  const signal = await new Promise((resolve) => child.on("close", (_, by) => resolve(by)));
  const from = /^from (\d+)$/m.exec(out)?.[1];
  return {
    busy: out === "busy\n",
    from: from === undefined ? undefined : Number(from),
    leaf: Number([...out.matchAll(/^leaf (\d+)$/gm)].at(-1)?.[1] ?? 0),
    killed: signal === "SIGKILL",
    out,
  };
}

test("a full disk keeps what is here, and the object goes on when there is room", {
  skip: mounted ? false : "a file system cannot be mounted here",
}, async () => {
  const home = emptyHome(disk);
  const object = sent(30 * leaf, 11);
  const ballast = join(disk, "ballast");
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(ballast, Buffer.alloc(bavail * bsize - 12 * leaf));
  const incoming = begin(home, object);
  assert.throws(() => feed(incoming, object), problem("no-space"));
  const got = incoming.next;
  assert.ok(got >= 8 && got <= 12, `${got} leaves`);
  // The same one may be tried again, or another process later.
  assert.throws(() => feed(incoming, object), problem("no-space"));
  incoming.pause();
  const later = begin(home, object);
  assert.equal(later.next, got);
  assert.throws(() => feed(later, object), problem("no-space"));
  rmSync(ballast);
  feed(later, object);
  await later.finish();
  verifyObject(home, object.name, object.length);
});

test("not a byte of room, not even for a folder", {
  skip: mounted ? false : "a file system cannot be mounted here",
}, async () => {
  const home = emptyHome(disk);
  const small = sent(2000, 12);
  const incoming = begin(home, small);
  feed(incoming, small);
  assert.throws(() => {
    for (;;) appendFileSync(join(disk, "ballast"), Buffer.alloc(4096));
  }, /ENOSPC/);
  assert.throws(() => {
    for (let i = 0; ; i++) writeFileSync(join(disk, `inode-${i}`), "");
  }, /ENOSPC/);
  await assert.rejects(incoming.finish(), problem("no-space"));
  assert.throws(() => begin({ ...home, incoming: join(home.store, "other") }, sent(100, 13)), problem("no-space"));
  for (const name of readdirSync(disk)) if (!name.startsWith("home")) rmSync(join(disk, name));
  const again = begin(home, small);
  assert.ok(again.isWhole);
  await again.finish();
  verifyObject(home, small.name, small.length);
});

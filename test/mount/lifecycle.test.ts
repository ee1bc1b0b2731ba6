/** How mounts begin and end, and that nothing stays behind, however they end. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { errnoOf, type Problem } from "../../src/base/errors.js";
import { realSystem } from "../../src/base/system.js";
import { checkMountpoint, clearDeadMounts, unmount } from "../../src/mount/mount.js";
import { isDead, mountAt, mounts, serverOf } from "../../src/vault/mountinfo.js";
import {
  cannotMount,
  endServing,
  isClear,
  mountLog,
  program,
  revisionFolder,
  runs,
  serveIn,
  serverAt,
  until,
} from "../support/mounting.js";
import { damage, folderIn, newPlace, type Place, sketch } from "../support/revision.js";

const skip = cannotMount();
const full = process.env.BCOOPFS_FULL === "1";

async function withPlace(work: (place: Place, point: string) => Promise<void>): Promise<void> {
  const place = await newPlace();
  const point = folderIn(place, "mnt");
  try {
    await sketch(place.vault, { below: { f: { pieces: [Buffer.from("content"), realSystem.random(500_000)] } } });
    await work(place, point);
  } finally {
    for (const line of mounts()) if (line.point.startsWith(place.path)) await unmount(line.point, realSystem);
    await place.end();
  }
}

/** Run the stand-in for `bcoopfs mount DIR` to its end. */
function mountCommand(place: Place, point: string, ...options: string[]): { status: number | null; stderr: string } {
  return spawnSync(process.execPath, [program, place.home, point, ...options], { encoding: "utf8", timeout: 20_000 });
}

function mountOn(place: Place, point: string): void {
  const { status, stderr } = mountCommand(place, point);
  assert.equal(status, 0, stderr);
}

const readable = (point: string): boolean =>
  fs.readFileSync(join(revisionFolder(point, "docs"), "f")).length === 500_007;

test("mount returns when the file system answers and lets go of its caller's pipes", { skip }, () =>
  withPlace(async (place, point) => {
    // A further descriptor too, as a shell may have left one open.
    const words = `exec "${process.execPath}" "${program}" "${place.home}" "${point}" 5>&1`;
    const child = spawn("sh", ["-c", words], { stdio: ["pipe", "pipe", "pipe"] });
    const closed = new Promise((resolve) => child.once("close", resolve));
    const status = await new Promise((resolve) => child.once("exit", resolve));
    assert.equal(status, 0);
    assert.ok(readable(point), "answers at once");
    const late = realSystem.sleep(2000).then(() => "late");
    assert.equal(await Promise.race([closed, late]), 0, "all pipes have ended");
    const { pid } = serverAt(point);
    assert.equal(fs.readlinkSync(`/proc/${pid}/cwd`), "/");
    assert.equal(fs.readlinkSync(`/proc/${pid}/fd/0`), "/dev/null");
    const fields = fs.readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
    assert.equal(Number(fields[3]), pid, "leads a session of its own");
  }),
);

test("umount returns when the process is gone", { skip }, () =>
  withPlace(async (place, point) => {
    mountOn(place, point);
    const server = serverAt(point);
    const began = performance.now();
    await unmount(point, realSystem);
    assert.ok(performance.now() - began < 5000);
    assert.ok(!runs(server) && isClear(point));
  }),
);

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  test(`${signal} ends a server cleanly`, { skip }, () =>
    withPlace(async (place, point) => {
      const serving = await serveIn(place, point);
      assert.ok(readable(point));
      const began = performance.now();
      serving.child.kill(signal);
      assert.equal(await serving.ended, 0);
      assert.ok(performance.now() - began < 5000 && isClear(point));
    }),
  );

test("umount(8) and fusermount end the server too", { skip }, () =>
  withPlace(async (place, point) => {
    for (const words of [
      ["umount", point],
      ["fusermount", "-u", point],
    ]) {
      const serving = await serveIn(place, point);
      assert.ok(readable(point));
      if (spawnSync(words[0] as string, words.slice(1)).error) {
        await endServing(serving);
        continue;
      }
      assert.equal(await serving.ended, 0, words[0]);
      assert.ok(isClear(point));
    }
  }),
);

test("a dead mount of a killed server is cleared by the next one, also elsewhere", { skip }, () =>
  withPlace(async (place, point) => {
    const elsewhere = folderIn(place, "elsewhere");
    for (const at of [point, elsewhere]) {
      const serving = await serveIn(place, at);
      serving.child.kill("SIGKILL");
      assert.equal(await serving.ended, "SIGKILL");
      const line = mountAt(at);
      assert.ok(line && isDead(line), "left behind");
      assert.throws(
        () => fs.readdirSync(at),
        (error) => errnoOf(error) === "ENOTCONN",
      );
    }
    mountOn(place, point);
    assert.ok(readable(point));
    assert.ok(isClear(elsewhere));
    assert.match(mountLog(place), /cleared a dead mount on .*elsewhere/);
    await unmount(point, realSystem);
  }),
);

test("a live mount is no dead one, and clearing leaves it alone", { skip }, () =>
  withPlace(async (place, point) => {
    const serving = await serveIn(place, point);
    const line = mountAt(point);
    assert.ok(line && serverOf(line)?.pid === serving.child.pid && !isDead(line));
    assert.ok(!(await clearDeadMounts()).includes(point));
    assert.ok(readable(point));
    await endServing(serving);
  }),
);

test("a busy mount is unmounted; who still reads is told, and the process is gone within 5 s", { skip }, () =>
  withPlace(async (place, point) => {
    mountOn(place, point);
    const server = serverAt(point);
    const fd = fs.openSync(join(revisionFolder(point, "docs"), "f"), "r");
    assert.equal(fs.readSync(fd, Buffer.alloc(7), 0, 7, 0), 7);
    await unmount(point, realSystem);
    assert.ok(!runs(server) && isClear(point));
    assert.throws(() => {
      for (let at = 0; at < 500_000; at += 4096) fs.readSync(fd, Buffer.alloc(4096), 0, 4096, at);
    });
    // Close tells that nobody is connected, and closes.
    assert.throws(() => fs.closeSync(fd));
  }),
);

test(`mounted and unmounted ${full ? 100 : 20} times`, { skip }, () =>
  withPlace(async (place, point) => {
    // Other tests mount elsewhere at the same time.
    const here = (): number => mounts().filter((line) => line.point.startsWith(place.path)).length;
    const before = here();
    for (let i = 0; i < (full ? 100 : 20); i++) {
      mountOn(place, point);
      const server = serverAt(point);
      assert.ok(readable(point));
      await unmount(point, realSystem);
      assert.ok(!runs(server) && isClear(point));
    }
    assert.equal(here(), before);
  }),
);

test("damage is EIO and a line in the log, not other bytes", { skip }, () =>
  withPlace(async (place, point) => {
    assert.equal(damage(place.home, true), 1);
    const serving = await serveIn(place, point);
    const path = join(revisionFolder(point, "docs"), "f");
    assert.equal(fs.statSync(path).size, 500_007, "attributes are still there");
    assert.throws(
      () => fs.readFileSync(path),
      (error) => errnoOf(error) === "EIO",
    );
    assert.throws(
      () => fs.readFileSync(path),
      (error) => errnoOf(error) === "EIO",
    );
    const said = mountLog(place).trim().split("\n");
    assert.equal(said.length, 1, "said once");
    assert.match(said[0] as string, /^\d{4}-\d\d-\d\dT[\d:.]+Z \/hosts\/box\/docs\/[^/]+Z\/f: segment /);
    await endServing(serving);
  }),
);

test("a mount that cannot be says why, with its exit code", { skip }, () =>
  withPlace(async (place, point) => {
    fs.writeFileSync(join(folderIn(place, "filled"), "x"), "");
    fs.writeFileSync(join(place.path, "file"), "");
    const cases: readonly [path: string, code: number, says: RegExp][] = [
      [join(place.path, "none"), 1, /no folder .*make it first/],
      [join(place.path, "file"), 4, /not a folder/],
      [join(place.path, "filled"), 4, /not empty/],
      [join(place.home, "store/writers"), 4, /in or around the home/],
    ];
    for (const [path, code, says] of cases) {
      const { status, stderr } = mountCommand(place, path);
      assert.deepEqual([status, says.test(stderr)], [code, true], stderr);
    }
    const { status, stderr } = mountCommand({ ...place, home: join(place.path, "nowhere") }, point);
    assert.deepEqual([status, /no vault/.test(stderr)], [10, true], stderr);
    mountOn(place, point);
    assert.match(mountCommand(place, point).stderr, /mount already; "bcoopfs umount" ends it/);
    assert.ok(readable(point), "the first one is unharmed");
  }),
);

test("a mountpoint that is or holds a root is refused, inside a root it is not", { skip }, () =>
  withPlace(async (place, point) => {
    const refused = (path: string, ...roots: string[]): Promise<void> =>
      assert.rejects(checkMountpoint(path, place.home, roots), (error) => (error as Problem).code === "refused");
    await refused(point, point);
    await refused(point, join(point, "gone"));
    await refused(place.home);
    assert.equal(await checkMountpoint(point, place.home, [place.path, "/"]), point);
    const link = join(place.path, "link");
    fs.symlinkSync(point, link);
    assert.equal(await checkMountpoint(link, place.home, []), point, "the real path");
    await refused(link, point);
  }),
);

test("umount refuses what is not ours", { skip }, () =>
  withPlace(async (_place, point) => {
    const code = async (path: string): Promise<string | undefined> =>
      unmount(path, realSystem).then(
        () => undefined,
        (error) => (error as Problem).code,
      );
    assert.equal(await code(point), "not-found");
    assert.equal(await code(join(point, "none")), "not-found");
    assert.equal(await code("/proc"), "refused");
    assert.ok(mountAt("/proc"));
  }),
);

test("whoever waits for a mount and is killed leaves none behind", { skip }, () =>
  withPlace(async (place, point) => {
    const starter = spawn(process.execPath, [program, place.home, point], { stdio: "ignore" });
    await realSystem.sleep(150);
    starter.kill("SIGKILL");
    // Either it was ready before, or it noticed that nobody waits.
    assert.ok(await until(() => mountAt(point) === undefined || readable(point)));
    await realSystem.sleep(1500);
    const line = mountAt(point);
    if (line) await unmount(point, realSystem);
    assert.ok(isClear(point));
  }),
);

/** A lock is one process's alone, and dies with it. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Problem } from "../../src/base/errors.js";
import { lockFile } from "../../src/store/lock.js";
import { workFolder } from "../support/store-home.js";

const path = join(workFolder(), "lock");
const hold = fileURLToPath(new URL("../support/store-hold.js", import.meta.url));

async function holder(): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [hold, path], { stdio: ["ignore", "pipe", "inherit"] });
  const said = await new Promise<string>((resolve) =>
    child.stdout.once("data", (bytes) => resolve(String(bytes).trim())),
  );
  return { child, said };
}

test("held once among processes, free as soon as the holder is dead", async () => {
  const first = await holder();
  assert.equal(first.said, "held");
  assert.equal(lockFile(path, false), undefined);
  const dead = new Promise((resolve) => first.child.on("exit", resolve));
  first.child.kill("SIGKILL");
  await dead;
  const lock = lockFile(path, false);
  assert.ok(lock);
  assert.equal((await holder()).said, "refused");
  lock.close();
  const second = await holder();
  assert.equal(second.said, "held");
  second.child.kill("SIGKILL");
});

test("held once within a process, too", () => {
  const other = `${path}-2`;
  const lock = lockFile(other, false);
  assert.equal(lockFile(other, false), undefined);
  lock?.close();
  const again = lockFile(other, true);
  assert.ok(again);
  again.close();
});

test("a lock that cannot be made is told", () => {
  assert.throws(
    () => lockFile(join(path, "no/such"), false),
    (error) => error instanceof Problem && error.code === "io",
  );
});

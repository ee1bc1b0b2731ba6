/** `check` as people meet it: what is damaged, and where. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { randomBytesOf } from "../capture/given.js";
import { place } from "./given.js";

test("damage is named by fileset, revision and path", async (t) => {
  const where = await place(t);
  where.put({ "src/fine": "small", "src/d/": "" });
  const file = join(where.top, "src/d/large");
  writeFileSync(file, randomBytesOf(3 << 20, 1));
  await where.ok("fileset", "add", "docs", "--root", join(where.top, "src"));
  await where.ok("snapshot", "-q");
  assert.equal((await where.run("check", "--read-data", "-q")).err, "");
  const segments = join(where.home, "store/segments");
  const [largest] = readdirSync(segments, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".seg"))
    .map((name) => join(segments, name))
    .sort((a, b) => readFileSync(b).length - readFileSync(a).length) as [string];
  const bytes = readFileSync(largest);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  rmSync(largest);
  writeFileSync(largest, bytes);
  const ran = await where.run("check", "--read-data");
  assert.equal(ran.code, 21);
  const [{ time }] = (await where.json("revisions")) as [{ time: string }];
  const named = ran.said.filter((line) => line.includes(`${file}: `));
  assert.equal(named.length, 1, ran.err);
  assert.ok(named[0]?.startsWith("bcoopfs: ") && named[0].includes(`here/docs@${time.slice(0, 19)}`));
  assert.ok(
    ran.said.some((line) => /^bcoopfs: (segment )?[0-9a-f]{8,}…?: /.test(line)),
    ran.err,
  );
  assert.ok(!ran.err.includes("src/fine"), "what is whole is not named");
  const json = (await where.run("check", "--read-data", "--json")).out.trim().split("\n");
  const lines = json.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.ok(lines.some((line) => line["message_type"] === "error" && String(line["where"]).endsWith(file)));
  assert.equal(lines.at(-1)?.["message_type"], "summary");
});

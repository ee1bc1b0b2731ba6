/**
 * Kill -9 while others' logs are taken, and others at work beside it: what was taken is there and applied, what was not
 * comes again, and the index is that of the logs.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { toHex } from "../../src/base/bytes.js";
import { type Home, homeAt } from "../../src/store/home.js";
import { firstDevice, furtherDevice, giveAll, giveObjects, rowsByName } from "../support/store-devices.js";
import {
  chances,
  copyHome,
  full,
  noise,
  openStore,
  seed,
  storeChunks,
  withStore,
  workFolder,
} from "../support/store-home.js";

const where = workFolder();
let homes = 0;
const place = (): string => join(where, `home-${homes++}`);
const child = fileURLToPath(new URL("../support/store-accept.js", import.meta.url));

/** A device whose home knows five logs of two vaults, and one of the same vault that knows none of them. */
async function world(): Promise<{ knowing: Home; fresh: Home }> {
  const one = firstDevice(place());
  const knowing = furtherDevice(one, place());
  const others = [
    one,
    furtherDevice(one, place()),
    firstDevice(place(), 2),
    furtherDevice(firstDevice(place(), 3), place(), [], 3),
  ];
  await withStore(knowing, async (store) => {
    for (const [i, home] of others.entries())
      await withStore(home, async (other) => {
        for (let n = 0; n < 6; n++) {
          await storeChunks(other, "data", [noise(2000, seed, i, n)]);
          other.commit([], [{ type: "note", clear: Buffer.alloc(0), secret: noise(800, seed, n) }]);
        }
        giveAll(other, store);
        giveObjects(other, store);
      });
    await storeChunks(store, "data", [noise(2000, seed, 99)]);
  });
  return { knowing, fresh: furtherDevice(one, place()) };
}

interface Took {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
}

/** Run the child, killed after so many parts were taken and some time more; to its end where `after` is undefined. */
function run(home: Home, source: Home, number: number, after: number | undefined, ms: number): Promise<Took> {
  const it = spawn(process.execPath, [child, home.path, source.path, String(number)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  let set = false;
  it.stdout.on("data", (piece) => {
    out += piece;
    if (after === undefined || set || out.split("took ").length <= after) return;
    set = true;
    setTimeout(() => it.kill("SIGKILL"), ms);
  });
  return new Promise((resolve) => it.on("close", (code, signal) => resolve({ code, signal, out })));
}

test("no part of a log that was taken is lost, and none is half there", async (t) => {
  const { knowing, fresh } = await world();
  const chance = chances(seed);
  const count = { deaths: 0, parts: 0 };
  const complete = await withStore(knowing, (store) => store.heads());
  while (count.deaths < (full ? 300 : 12)) {
    const home = copyHome(fresh, place());
    const taken = new Map<string, bigint>();
    for (;;) {
      // The home that is taken from is open in the child: each run has its own copy of it.
      const source = copyHome(knowing, place());
      const last = chance(6) === 0;
      const ended = await run(home, source, seed + count.deaths, last ? undefined : chance(6), chance(40));
      for (const [, log, seq] of ended.out.matchAll(/^took ([0-9a-f]+) (\d+)\n/gm)) {
        taken.set(log as string, BigInt(seq as string));
        count.parts++;
      }
      if (ended.signal === "SIGKILL") count.deaths++;
      else assert.equal(ended.code, 0);
      const said: string[] = [];
      await withStore(
        home,
        async (store) => {
          const heads = store.heads();
          for (const [log, seq] of taken) {
            const head = heads.find((one) => toHex(one.log) === log);
            assert.ok(head !== undefined && head.seq >= seq, "what was taken is there");
          }
          for (const head of heads) assert.equal(store.catalogue.applied(head.log)?.seq, head.seq, "and applied");
          const before = rowsByName(store.catalogue);
          store.catalogue.walk();
          await store.rebuild();
          assert.deepEqual(rowsByName(store.catalogue), before);
        },
        said,
      );
      assert.deepEqual(said, []);
      if (ended.signal === null) break;
    }
    await withStore(home, (store) => {
      for (const { log, seq, id } of complete)
        assert.deepEqual(
          store.heads().find((head) => head.log.equals(log)),
          { ...complete.find((head) => head.log.equals(log)), seq, id },
        );
    });
  }
  t.diagnostic(JSON.stringify(count));
});

test("one process takes others' logs while another writes and a third reads", async () => {
  const { knowing, fresh } = await world();
  const source = copyHome(knowing, place());
  const taking = run(fresh, source, seed, undefined, 0);
  let ids: Buffer[] = [];
  for (let i = 0; i < 8; i++) {
    await withStore(fresh, async (store) => {
      ids = [...ids, ...(await storeChunks(store, "data", [noise(3000, seed, 200 + i)]))];
      for (const id of ids) await store.reader.chunk("data", id);
    });
  }
  const { code, out } = await taking;
  assert.equal(code, 0);
  assert.ok(out.split("took ").length > 5);
  const said: string[] = [];
  const store = await openStore(homeAt(fresh.path), said);
  for (const id of ids) await store.reader.chunk("data", id);
  assert.equal(store.heads().length, 6);
  const before = rowsByName(store.catalogue);
  store.catalogue.walk();
  await store.rebuild();
  assert.deepEqual(rowsByName(store.catalogue), before);
  await store.close();
  assert.deepEqual(said, []);
});

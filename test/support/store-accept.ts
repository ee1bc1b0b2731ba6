/**
 * The child that tests kill while it takes others' logs: what a keeper does. Arguments: home, a home that has the logs,
 * seed. Says "ready", then "took LOG SEQ" for each part of a log that was taken.
 */
import { writeSync } from "node:fs";
import { homeAt } from "../../src/store/home.js";
import { chances, openStore } from "./store-home.js";

const [path, source, seed] = process.argv.slice(2) as [string, string, string];
const from = await openStore(homeAt(source));
const store = await openStore(homeAt(path));
const chance = chances(Number(seed));
writeSync(1, "ready\n");
const logs = from.heads();
for (;;) {
  const behind = logs.filter(({ log, seq }) => (store.heads().find((head) => head.log.equals(log))?.seq ?? -1n) < seq);
  const next = behind[chance(behind.length)];
  if (next === undefined) break;
  const at = (store.heads().find((head) => head.log.equals(next.log))?.seq ?? -1n) + 1n;
  const took = store.acceptRecords(next.log, from.recordsOf(next.log, at, 1 + chance(3000)), () => true);
  if (took.outcome !== "accepted") throw new Error(`not taken: ${took.outcome}`);
  writeSync(1, `took ${next.log.toString("hex")} ${took.head.seq}\n`);
}
await store.close();
await from.close();

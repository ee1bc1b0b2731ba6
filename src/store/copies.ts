/**
 * On how many devices a revision is whole: those that signed for every object that its log, and the logs which that
 * one goes on from or inherits, list up to it and have not released.
 * @module
 */
import { toHex } from "../base/bytes.js";
import type { IndexTables } from "./index-tables.js";
import { listedBy, wanted } from "./listed.js";
import type { HeirRow } from "./rows.js";

const self = "";

/** By id in hex. Counted are devices other than the one that wrote the revision, or inherited it. */
export function copiesOfRevisions(index: IndexTables, vault: Buffer, device: Buffer): Map<string, number> {
  const coverage = new Coverage(index, vault);
  const here = device.toString("latin1");
  const found = new Map<string, number>();
  for (const { id, log, seq, device: writer } of index.revisions()) {
    const ours = index.rank(log, seq) < 2;
    const writing = writer.toString("latin1");
    let copies = 0;
    for (const holder of coverage.holders) {
      if (holder === writing || holder === here || (holder === self && (ours || writing === here))) continue;
      if (coverage.covers(holder, log.toString("latin1"), seq)) copies++;
    }
    found.set(toHex(id), copies);
  }
  return found;
}

/** Who holds what, read once. Names, logs and devices are latin1 of their bytes; this device itself is "". */
class Coverage {
  readonly #index: IndexTables;
  /** by object */
  readonly #held = new Map<string, Set<string>>();
  readonly #missing = new Set<string>();
  readonly holders = new Set<string>([self]);
  /** by heir */
  readonly #earlier = new Map<string, HeirRow[]>();
  readonly #logs = new Set<string>();
  /** by log, then by holder: number of the first record that lists what the holder lacks */
  readonly #firstGap = new Map<string, Map<string, bigint>>();
  readonly #whole = new Map<string, boolean>();

  constructor(index: IndexTables, vault: Buffer) {
    this.#index = index;
    for (const { key } of index.range("copies")) {
      const name = key.toString("latin1", 0, 32);
      const holder = key.toString("latin1", 32, 64);
      const held = this.#held.get(name) ?? new Set();
      this.#held.set(name, held.add(holder));
      this.holders.add(holder);
    }
    for (const { name } of wanted(index)) this.#missing.add(name.toString("latin1"));
    for (const row of index.heirs()) {
      const heir = row.heir.toString("latin1");
      this.#earlier.set(heir, [...(this.#earlier.get(heir) ?? []), row]);
    }
    for (const { log, scope } of index.logs()) if (scope.equals(vault)) this.#logs.add(log.toString("latin1"));
  }

  /** Has this holder everything that the log lists up to a record, and what comes before the log? */
  covers(holder: string, log: string, upTo: bigint): boolean {
    const gap = this.#gapsOf(log).get(holder);
    return (gap === undefined || gap > upTo) && this.#coversEarlier(holder, log);
  }

  #coversEarlier(holder: string, log: string): boolean {
    const key = log + holder;
    const known = this.#whole.get(key);
    if (known !== undefined) return known;
    // Logs that go on from each other in a circle are nobody's: no claim holds.
    this.#whole.set(key, false);
    const earlier = this.#earlier.get(log) ?? [];
    const whole =
      this.#logs.has(log) && earlier.every((row) => this.covers(holder, row.log.toString("latin1"), row.upTo));
    this.#whole.set(key, whole);
    return whole;
  }

  #gapsOf(log: string): Map<string, bigint> {
    const known = this.#firstGap.get(log);
    if (known) return known;
    const gaps = new Map<string, bigint>();
    this.#firstGap.set(log, gaps);
    const listed = [...listedBy(this.#index, Buffer.from(log, "latin1"))].filter(({ released }) => !released);
    const left = new Set(this.holders);
    for (const { name, seq } of listed.sort((a, b) => (a.seq < b.seq ? -1 : a.seq > b.seq ? 1 : 0))) {
      const key = name.toString("latin1");
      const held = this.#held.get(key);
      for (const holder of left)
        if (holder === self ? this.#missing.has(key) : !held?.has(holder)) {
          gaps.set(holder, seq);
          left.delete(holder);
        }
    }
    return gaps;
  }
}

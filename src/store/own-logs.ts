/**
 * The logs that this installation has written, oldest first: each later one names the record of an earlier one that it
 * goes on from, and the last one is appended to. Logs of the same device that others hand back lie elsewhere, so that
 * no log ever has two writers; and where it shows that one had, a new one is begun before anything else is appended.
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import { encodeGenesis, type GenesisBody } from "../format/genesis.js";
import { noFields } from "../format/fields.js";
import { decodeRecord, type LogRecord, recordTypes, sealRecord } from "../format/record.js";
import { branchesIn, branchOf, keepBranch } from "./branch.js";
import { entriesIn } from "./home.js";
import type { Keyring } from "./keyring.js";
import { LogFile, type StoredRecord } from "./log.js";
import { firstApart, restated } from "./restate.js";
import type { RecordBodies } from "./session.js";
import { evidenceOf, type Judgement } from "./taking.js";

/** What is asked for again and again with every message of peers, and is looked for on the disk twice a second. */
const unknownKept = 16_384;

/** The open logs of this installation. */
export class OwnLogs {
  readonly #folder: string;
  readonly #keyring: Keyring;
  readonly #system: System;
  #files: LogFile[] = [];
  /** files that were looked at and are none of ours */
  readonly #others = new Set<string>();
  /** ids, in hex, that were looked for since the last look and are not among them */
  readonly #unknown = new Set<string>();

  constructor(folder: string, keyring: Keyring, system: System) {
    this.#folder = folder;
    this.#keyring = keyring;
    this.#system = system;
    this.refresh();
  }

  /** oldest first */
  get files(): readonly LogFile[] {
    return this.#files;
  }

  /** The one that is appended to. */
  get newest(): LogFile {
    const log = this.#files.at(-1);
    if (log === undefined) throw new Problem("damaged", `there is no log of this device in ${this.#folder}`);
    return log;
  }

  find(id: Uint8Array): LogFile | undefined {
    const known = (): LogFile | undefined => this.#files.find((log) => sameBytes(log.id, id));
    const found = known();
    const name = toHex(id);
    if (found || this.#unknown.has(name)) return found;
    if (existsSync(join(this.#folder, name))) this.refresh();
    const fresh = known();
    if (fresh === undefined && this.#unknown.size < unknownKept) this.#unknown.add(name);
    return fresh;
  }

  /** See what other processes have begun, or found forked, since. Gives whether another one is the newest now. */
  refresh(): boolean {
    this.#unknown.clear();
    const before = this.#files.at(-1);
    const names = entriesIn(this.#folder)
      .filter((entry) => entry.isFile())
      .map(({ name }) => name);
    for (const name of names.sort()) {
      if (!/^[0-9a-f]{64}$/.test(name) || this.#others.has(name)) continue;
      if (this.#files.some((log) => toHex(log.id) === name)) continue;
      const log = LogFile.open(join(this.#folder, name));
      if (sameBytes(log.device, this.#keyring.device.publicKey)) this.#files = inOrder([...this.#files, log]);
      else {
        this.#others.add(name);
        log.close();
      }
    }
    const branches = branchesIn(names);
    for (const log of this.#files) {
      log.isFrozen = branches.has(toHex(log.id));
      if (log.isFrozen) log.apartFrom ??= apartFromOf(log);
    }
    return this.#files.at(-1) !== before;
  }

  /** Begin one that goes on from this record. @param bodies what it tells from the start */
  begin(after: StoredRecord | undefined, bodies: RecordBodies = []): void {
    this.#files.push(beginLog(this.#folder, this.#keyring, this.#system, after, bodies));
  }

  /**
   * Begin one that goes on from the newest record there is, unless another process has just done so. Where the newest
   * one has two branches, what ours alone tells is told again, see `take`.
   * @param from a record of the newest log that is known to be good
   */
  beginBehind(from: StoredRecord): void {
    const log = this.newest;
    log.underLock(from, (head) => {
      if (this.refresh()) return;
      const apart = log.isFrozen ? log.apartFrom : undefined;
      this.begin(head, apart === undefined ? [] : restated(log, head.end, apart, this.#keyring.epochs));
    });
  }

  /** Append to the newest one. @param placeIn a record of it that is known to be good */
  append(bodies: RecordBodies, placeIn: (log: LogFile) => StoredRecord): LogRecord[] {
    for (;;) {
      const log = this.newest;
      const records = log.underLock(placeIn(log), (head) =>
        this.refresh() ? undefined : this.#appendTo(log, head, bodies),
      );
      if (records) return records;
    }
  }

  #appendTo(log: LogFile, head: StoredRecord, bodies: RecordBodies): LogRecord[] {
    const records = recordsBehind(head.record, bodies, this.#keyring, this.#system);
    log.append(head, records);
    return records;
  }

  /**
   * Take records of a log of ours that others knew, or the proof that it has two branches. Where it is the newest one,
   * somebody else has written to it, so a new one is begun under the same lock. Of two branches ours is known to nobody
   * who knows the other: what it tells is told again, and only then the log is marked.
   * @param from a record of it that is known to be good
   */
  take(log: LogFile, from: StoredRecord, judge: (file: LogFile, head: StoredRecord) => Judgement): Judgement {
    return log.underLock(from, (head) => {
      const judgement = judge(log, head);
      if (judgement.outcome === "append") {
        const last = log.append(head, judgement.fresh);
        this.refresh();
        if (this.newest === log) this.begin(last);
      } else if (judgement.outcome === "fork") {
        const bodies = restated(log, head.end, firstApart(log, head.end, judgement.theirs), this.#keyring.epochs);
        this.refresh();
        if (this.newest === log) this.begin(head, bodies);
        else if (bodies.length > 0) this.append(bodies, (newest) => newest.first);
        keepBranch(log.path, judgement.theirs.bytes);
        this.refresh();
      }
      return judgement;
    });
  }

  /** Of a log with two branches: ours and the other record, which together prove it. */
  evidence(log: LogFile, head: { seq: bigint; end: number }): Buffer[] {
    const branch = branchOf(log.path);
    return branch ? evidenceOf(log, head, branch) : [];
  }

  close(): void {
    for (const log of this.#files) log.close();
  }
}

function inOrder(logs: readonly LogFile[]): LogFile[] {
  const depth = (log: LogFile, seen: number): number => {
    const before = log.predecessor?.log;
    const parent = before && logs.find((other) => sameBytes(other.id, before));
    return parent && seen < logs.length ? depth(parent, seen + 1) : seen;
  };
  const order = (log: LogFile): [number, bigint] => [depth(log, 0), log.genesis.time];
  return [...logs].sort((a, b) => {
    const [da, ta] = order(a);
    const [db, tb] = order(b);
    return da - db || (ta < tb ? -1 : ta > tb ? 1 : 0);
  });
}

/** The first record that stands in our branch of a log alone. */
function apartFromOf(log: LogFile): bigint | undefined {
  const branch = branchOf(log.path);
  return branch && firstApart(log, log.size, decodeRecord(branch));
}

/** Records that say this, behind another one of their log. */
function recordsBehind(last: LogRecord, bodies: RecordBodies, keyring: Keyring, system: System): LogRecord[] {
  const records: LogRecord[] = [];
  for (const { type, clear, secret } of bodies) {
    const before = records.at(-1) ?? last;
    const now = system.now();
    const draft = {
      type: recordTypes[type],
      vault: keyring.vault,
      log: before.log,
      seq: before.seq + 1n,
      previous: before.id,
      time: now > before.time ? now : before.time + 1n,
      clear,
      secret,
    };
    records.push(sealRecord(draft, keyring.epoch, keyring.device, system.random));
  }
  return records;
}

/** Begin a log: the device's first, or one that goes on from the last record that it shares with an older one. */
export function beginLog(
  folder: string,
  keyring: Keyring,
  system: System,
  after: StoredRecord | undefined,
  bodies: RecordBodies = [],
): LogFile {
  const last = after?.record;
  const predecessor: GenesisBody["predecessor"] = last && { log: last.log, seq: last.seq, id: last.id };
  const now = system.now();
  const genesis = sealRecord(
    {
      type: recordTypes.genesis,
      vault: keyring.vault,
      log: undefined,
      seq: 0n,
      previous: undefined,
      // Times grow within a device, across its logs too.
      time: last && last.time >= now ? last.time + 1n : now,
      clear: encodeGenesis({
        certificate: keyring.certificate,
        rootPublic: keyring.rootPublic,
        random: system.random(16),
        predecessor,
        fields: noFields,
      }),
      secret: Buffer.alloc(0),
    },
    keyring.epoch,
    keyring.device,
    system.random,
  );
  return LogFile.create(folder, genesis, recordsBehind(genesis, bodies, keyring, system));
}

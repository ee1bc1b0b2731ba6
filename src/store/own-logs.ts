/**
 * The logs that this installation has written, oldest first: each later one names the record of an earlier one that it
 * goes on from, and the last one is appended to. Logs of the same device that others hand back lie elsewhere, so that
 * no log ever has two writers; and where it shows that one had, a new one is begun before anything else is appended.
 * @module
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { sameBytes, toHex } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import type { System } from "../base/system.js";
import { encodeGenesis, type GenesisBody } from "../format/genesis.js";
import { noFields } from "../format/fields.js";
import { type LogRecord, recordTypes, sealRecord } from "../format/record.js";
import { branchesIn, branchOf, keepBranch } from "./branch.js";
import type { Keyring } from "./keyring.js";
import { LogFile, type StoredRecord } from "./log.js";
import type { RecordBodies } from "./session.js";
import { evidenceOf, type Judgement } from "./taking.js";

/** The open logs of this installation. */
export class OwnLogs {
  readonly #folder: string;
  readonly #keyring: Keyring;
  readonly #system: System;
  #files: LogFile[] = [];
  /** files that were looked at and are none of ours */
  readonly #others = new Set<string>();

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
    if (found || !existsSync(join(this.#folder, toHex(id)))) return found;
    this.refresh();
    return known();
  }

  /** See what other processes have begun, or found forked, since. Gives whether another one is the newest now. */
  refresh(): boolean {
    const before = this.#files.at(-1);
    const found = readdirSync(this.#folder, { withFileTypes: true });
    const names = found.filter((entry) => entry.isFile()).map(({ name }) => name);
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
    for (const log of this.#files) log.isFrozen = branches.has(toHex(log.id));
    return this.#files.at(-1) !== before;
  }

  /** Begin one that goes on from this record. */
  begin(after: StoredRecord | undefined): void {
    this.#files.push(beginLog(this.#folder, this.#keyring, this.#system, after));
  }

  /**
   * Begin one that goes on from the newest record there is, unless another process has just done so.
   * @param from a record of the newest log that is known to be good
   */
  beginBehind(from: StoredRecord): void {
    this.newest.underLock(from, (head) => {
      if (!this.refresh()) this.begin(head);
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
    const records: LogRecord[] = [];
    let last = head.record;
    for (const { type, clear, secret } of bodies) {
      const now = this.#system.now();
      const draft = {
        type: recordTypes[type],
        vault: this.#keyring.vault,
        log: log.id,
        seq: last.seq + 1n,
        previous: last.id,
        time: now > last.time ? now : last.time + 1n,
        clear,
        secret,
      };
      last = sealRecord(draft, this.#keyring.epoch, this.#keyring.device, this.#system.random);
      records.push(last);
    }
    log.append(head, records);
    return records;
  }

  /**
   * Take records of a log of ours that others knew, or the proof that it has two branches. Where it is the newest one,
   * somebody else has written to it, so a new one is begun under the same lock.
   * @param from a record of it that is known to be good
   */
  take(log: LogFile, from: StoredRecord, judge: (file: LogFile, head: StoredRecord) => Judgement): Judgement {
    return log.underLock(from, (head) => {
      const judgement = judge(log, head);
      let last = head;
      if (judgement.outcome === "append") last = log.append(head, judgement.fresh);
      else if (judgement.outcome === "fork") keepBranch(log.path, judgement.theirs.bytes);
      else return judgement;
      this.refresh();
      if (this.newest === log) this.begin(last);
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

/** Begin a log: the device's first, or one that goes on from the last record that it shares with an older one. */
export function beginLog(folder: string, keyring: Keyring, system: System, after: StoredRecord | undefined): LogFile {
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
  return LogFile.create(folder, genesis);
}

/** Logs as records alone, for tests of those who take them: any chain, also ones that nobody should write. */
import { realSystem } from "../../src/base/system.js";
import { certify } from "../../src/format/certificate.js";
import { encodeGenesis } from "../../src/format/genesis.js";
import { type Epoch, newEpoch, vaultIdOf } from "../../src/format/keys.js";
import { type LogRecord, recordTypes, sealRecord } from "../../src/format/record.js";
import { type SigningKey, signingKeyOf } from "../../src/format/sign.js";
import { noise, seed } from "./store-home.js";

const epoch: Epoch = newEpoch((length) => noise(length, seed, 31), 0);

/** A device of a vault that nobody else knows. */
export interface Writer {
  readonly vault: Buffer;
  readonly root: SigningKey;
  readonly key: SigningKey;
}

export function writer(vault: number, device: number): Writer {
  const root = signingKeyOf(noise(32, seed, 500 + vault));
  return { vault: vaultIdOf(root.publicKey), root, key: signingKeyOf(noise(32, seed, 900 + device)) };
}

export interface Changes {
  readonly vault?: Buffer;
  readonly rights?: number;
  readonly type?: number;
  readonly log?: Buffer;
  readonly seq?: bigint;
  readonly previous?: Buffer;
  readonly time?: bigint;
  readonly clear?: Buffer;
  readonly secret?: Buffer;
  /** who signs */
  readonly key?: SigningKey;
}

export function genesis({ vault, root, key }: Writer, random = 1, changes: Changes = {}): LogRecord {
  const clear = encodeGenesis({
    certificate: certify(root, key.publicKey, changes.rights ?? 3, 5n),
    rootPublic: root.publicKey,
    random: noise(16, seed, random),
    predecessor: undefined,
    fields: [],
  });
  const none = { log: undefined, seq: 0n, previous: undefined, secret: Buffer.alloc(0) };
  const draft = { type: changes.type ?? recordTypes.genesis, vault: changes.vault ?? vault, time: 10n, clear, ...none };
  return sealRecord(draft, epoch, changes.key ?? key, realSystem.random);
}

/** A record behind another one; `note` makes it differ from others in its place. */
export function next(after: LogRecord, { vault, key }: Writer, note = "", changes: Changes = {}): LogRecord {
  const draft = {
    type: recordTypes.note,
    vault,
    log: after.log,
    seq: after.seq + 1n,
    previous: after.id,
    time: after.time + 1n,
    clear: Buffer.alloc(0),
    secret: Buffer.from(`note ${note}`),
    ...changes,
  };
  return sealRecord(draft, epoch, changes.key ?? key, realSystem.random);
}

/** A log of so many records behind its first. */
export function chain(by: Writer, count: number, random = 1, note = ""): LogRecord[] {
  const records = [genesis(by, random)];
  for (let i = 0; i < count; i++) records.push(next(records.at(-1) as LogRecord, by, `${note}${i}`));
  return records;
}

export const bytesOf = (records: readonly LogRecord[]): Buffer[] => records.map(({ bytes }) => bytes);

/**
 * The logs that this device has written, oldest first: each later one names the record of an earlier one that it goes
 * on from.
 * @module
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { sameBytes } from "../base/bytes.js";
import type { System } from "../base/system.js";
import { encodeGenesis, type GenesisBody } from "../format/genesis.js";
import { noFields } from "../format/fields.js";
import { recordTypes, sealRecord } from "../format/record.js";
import type { Keyring } from "./keyring.js";
import { LogFile, type StoredRecord } from "./log.js";

/** Open all logs in the folder whose genesis certifies `device`; predecessors before successors. */
export function openOwnLogs(folder: string, device: Uint8Array): LogFile[] {
  const files = readdirSync(folder)
    .filter((name) => /^[0-9a-f]{64}$/.test(name))
    .sort()
    .map((name) => LogFile.open(join(folder, name)));
  const own = files.filter((log) => sameBytes(log.device, device));
  for (const log of files) if (!own.includes(log)) log.close();
  return inOrder(own);
}

function inOrder(logs: readonly LogFile[]): LogFile[] {
  const depth = (log: LogFile, seen: number): number => {
    const before = log.origin.predecessor?.log;
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

/** Records for tests of logs: notes, which the store keeps and does not read. */
import { realSystem } from "../../src/base/system.js";
import { type LogRecord, recordTypes, sealRecord } from "../../src/format/record.js";
import type { Keyring } from "../../src/store/keyring.js";
import type { LogFile } from "../../src/store/log.js";

export function noteAfter(last: LogRecord, keyring: Keyring, secret: Buffer): LogRecord {
  const draft = {
    type: recordTypes.note,
    vault: keyring.vault,
    log: last.log,
    seq: last.seq + 1n,
    previous: last.id,
    time: last.time + 1n,
    clear: Buffer.alloc(0),
    secret,
  };
  return sealRecord(draft, keyring.epoch, keyring.device, realSystem.random);
}

/** Append one note under the log's lock. */
export function appendNote(log: LogFile, keyring: Keyring, secret: Buffer): LogRecord {
  return log.underLock(log.first, (head) => {
    const record = noteAfter(head.record, keyring, secret);
    log.append(head, [record]);
    return record;
  });
}

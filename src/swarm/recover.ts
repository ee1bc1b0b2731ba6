/**
 * Recovery: from the phrase alone to a home that holds every revision of the vault.
 *
 *   seek     meet peers on the recovery topic, gather capsule and logs      (nothing is written)
 *   enrol    a new device of the vault, whose log inherits the others       (from here on it is a vault; a further
 *   fetch    as a member of the coop: metadata first                         run of anything goes on)
 *
 * What peers say is believed as far as it is signed; the newest branch of each log counts, and where a device signed
 * two, that is said. How many of how many peers had seen the newest revision is told, for whoever suspects them.
 * @module
 */
import { Problem } from "../base/errors.js";
import { format } from "../base/limits.js";
import type { System } from "../base/system.js";
import type { Epoch, PhraseKeys } from "../format/keys.js";
import { type LogRecord, openRecord, recordTypes } from "../format/record.js";
import { decodeRevision } from "../format/revision.js";
import { decodeCertify, decodeRevoke, decodeSucceed } from "../format/root-signed.js";
import type { Say } from "../store/store.js";
import { enrol, freeHost } from "../vault/enrol.js";
import { setCoop } from "../vault/config-coop.js";
import { editConfig } from "../vault/config-file.js";
import { checkFreeHome } from "../vault/new-home.js";
import { openVault, type Vault } from "../vault/vault.js";
import type { Branches } from "./branches.js";
import type { Coop } from "./coop.js";
import { adoptCoop } from "./coop-key.js";
import type { Gathering } from "./gather.js";
import type { Network } from "./network.js";
import { type Patience, seek } from "./seek.js";

export type RecoverEvent =
  | { readonly type: "gathered"; readonly peers: number; readonly devices: number; readonly records: number }
  | { readonly type: "forked"; readonly log: Buffer; readonly device: Buffer }
  | { readonly type: "enrolled"; readonly vault: Buffer; readonly device: Buffer; readonly host: string };

export interface RecoverOptions {
  readonly home: string;
  readonly phrase: PhraseKeys;
  /** what this machine would be called, were there no other of the name */
  readonly host: string;
  /** nodes that were given; those of the capsule come on top. undefined: the public DHT */
  readonly bootstrap: readonly string[] | undefined;
  /** a network of its own for the seeking */
  readonly network: () => Promise<Network>;
  readonly patience: Patience;
  readonly system: System;
  readonly stop: AbortSignal;
  readonly say: Say;
  readonly on: (event: RecoverEvent) => void;
}

/** An enrolled device: close `vault`. */
export interface Recovered {
  readonly vault: Vault;
  readonly gathering: Gathering;
}

/**
 * Seek the vault, enrol this machine and take in the logs. Problems: "refused" for a home that is not free, "not-found"
 * where nobody was met or nobody knows this phrase, "interrupted".
 */
export async function recover(options: RecoverOptions): Promise<Recovered> {
  const { home, phrase, system, stop, on } = options;
  checkFreeHome(home);
  const network = await options.network();
  let sought: Awaited<ReturnType<typeof seek>>;
  try {
    sought = await seek(network, phrase, system, options.patience, stop, (gathering) =>
      on({ type: "gathered", peers: gathering.peers(), devices: gathering.devices, records: gathering.records }),
    );
  } finally {
    await network.close();
  }
  const { gathering, asked } = sought;
  if (!gathering.hasRoot) throw nobody(options, asked);
  const logs = gathering.logs();
  for (const log of logs)
    if (log.others.length > 0) on({ type: "forked", log: log.log, device: log.device ?? Buffer.alloc(0) });
  const vault = await enrolHere(options, gathering, logs);
  try {
    for (const log of logs) await takeIn(vault, log, system);
  } catch (error) {
    await vault.close();
    throw error;
  }
  return { vault, gathering };
}

function nobody({ bootstrap, patience }: RecoverOptions, asked: number): Problem {
  const seconds = Math.round(patience.lookMs / 1000);
  const where = bootstrap === undefined ? "the public DHT" : `bootstrap nodes ${bootstrap.join(", ")}`;
  return asked === 0
    ? new Problem(
        "not-found",
        `no peer was reached within ${seconds} s through ${where}; see that a machine of the coop runs "bcoopfs daemon", that --bootstrap names the nodes that it uses, and that the phrase is of a vault that the coop keeps`,
      )
    : new Problem(
        "not-found",
        `${asked} ${asked === 1 ? "peer was" : "peers were"} asked through ${where}, and none keeps anything under this phrase; see that it is the phrase of this vault, or try again when other machines of the coop run`,
      );
}

async function enrolHere(options: RecoverOptions, gathering: Gathering, logs: readonly Branches[]): Promise<Vault> {
  const { home, system, on } = options;
  const capsule = gathering.capsule();
  const { vault, coops } = capsule;
  const bootstrap = [...new Set([...(options.bootstrap ?? []), ...capsule.bootstrap])].slice(
    0,
    format.bootstrapEntries,
  );
  const epochs = new Map(capsule.epochs.map((epoch) => [epoch.number, epoch]));
  const records = logs.flatMap(({ longest }) => longest);
  const host = freeHost(options.host, hostsIn(records, epochs));
  const now = system.now();
  const last = lastSerial(records);
  const { device } = enrol(
    home,
    capsule,
    {
      host,
      inherits: logs.map(({ log, longest }) => ({ log, seq: (longest.at(-1) as LogRecord).seq })),
      serial: now > last ? now : last + 1n,
      bootstrap,
      more: (made) => {
        const first = coops[0]?.id;
        if (first)
          adoptCoop(
            made,
            first,
            coops.filter(({ id }) => id.equals(first)).map(({ key }) => key),
          );
        if (bootstrap.length > 0) editConfig(made, (text) => setCoop(text, { bootstrap }));
      },
    },
    system,
  );
  on({ type: "enrolled", vault, device, host });
  return openVault(home, system, options.say);
}

/** The names that devices have given themselves in revisions. What does not open names nobody. */
function hostsIn(records: readonly LogRecord[], epochs: ReadonlyMap<number, Epoch>): Set<string> {
  const hosts = new Set<string>();
  for (const record of records) {
    const epoch = epochs.get(record.epoch);
    if (record.type !== recordTypes.revision || epoch === undefined) continue;
    const { host } = quietly(() => decodeRevision(openRecord(record, epoch))) ?? {};
    if (host !== undefined) hosts.add(host);
  }
  return hosts;
}

const statements = new Map<number, (clear: Buffer) => { readonly serial: bigint }>([
  [recordTypes.succeed, decodeSucceed],
  [recordTypes.revoke, decodeRevoke],
  [recordTypes.certify, decodeCertify],
]);

/** The largest serial of all that the root key has said. */
function lastSerial(records: readonly LogRecord[]): bigint {
  let last = 0n;
  for (const record of records) {
    const { serial = 0n } = quietly(() => statements.get(record.type)?.(record.clear)) ?? {};
    if (serial > last) last = serial;
  }
  return last;
}

function quietly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** Records handed to the store at a time. */
const batch = 512;

/** A log into the store, with the proof that it was forked where it was. */
async function takeIn(vault: Vault, log: Branches, system: System): Promise<void> {
  const { longest, others } = log;
  const mine = (scope: Buffer): boolean => scope.equals(vault.id);
  for (let at = 0; at < longest.length; at += batch) {
    const part = longest.slice(at, at + batch).map(({ bytes }) => bytes);
    vault.store.acceptRecords(log.log, part, mine);
    await system.turn();
  }
  for (const other of others) {
    const fork = other.find((record, at) => !longest[at]?.id.equals(record.id));
    if (fork !== undefined && longest.length > Number(fork.seq)) vault.store.acceptFork(log.log, fork.bytes);
  }
}

/**
 * How many of how many peers know the vault's log up to a revision. Anybody can pose as a peer to a machine that has
 * nothing but the phrase; once the coop is known, only its devices and those of the vault count.
 */
export function seenBy(
  vault: Vault,
  gathering: Gathering,
  coop: Coop | undefined,
  revision: Buffer,
): { peers: number; of: number } {
  const members = coop?.state.members;
  const own = new Set(gathering.logs().map(({ device }) => device?.toString("hex")));
  const counts = (peer: string): boolean =>
    members === undefined || members.size === 0 || members.has(peer) || own.has(peer);
  const row = vault.store.catalogue.revision(revision);
  const peers = row === undefined ? 0 : gathering.seenBy({ log: row.log, seq: row.seq, id: row.id }, counts);
  // What came after the gathering came from somebody.
  return { peers: Math.max(1, peers), of: Math.max(1, gathering.peers(counts)) };
}

import type { Command } from "commander";
import { Problem } from "../../base/errors.js";
import { formatTimeUtc, parseDuration } from "../../base/units.js";
import type { Seen } from "../../host/recovery.js";
import type { RecoverEvent } from "../../swarm/recover.js";
import type { Vault } from "../../vault/vault.js";
import { homeOf, type Invocation, summarised, withCommon } from "../invocation.js";
import { counted, plural } from "../output.js";
import { noteEvent } from "../peer-words.js";
import { readPhrase } from "../phrase.js";
import { givenBootstrap, reachOf } from "../reach.js";

interface Options {
  readonly phraseFile?: string;
  readonly bootstrap?: string[];
  readonly wait?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const help = `
Makes this machine a new device of the vault whose 24 words are given: after the loss of a machine, or to add one.
Peers that keep the vault's data give what is needed; every revision can be listed, mounted and restored as soon as it
is done, and contents are read from peers. Without --phrase-file (or BCOOPFS_PHRASE_FILE) the words are asked for on
the terminal.

Examples:
  bcoopfs recover
  bcoopfs recover --phrase-file /media/key/phrase --bootstrap 10.0.0.5:49737 --bootstrap 10.0.0.5:49738`;

export function registerRecover(program: Command, invocation: Invocation): void {
  withCommon(program.command("recover"), { json: true, quiet: true })
    .description("make this machine a device of a vault from its recovery phrase, out of what peers keep")
    .option("--phrase-file <file>", "the file with the 24 words")
    .option("--bootstrap <host:port...>", "nodes through which the coop's machines meet; kept in config.toml")
    .option("--wait <duration>", "how long to look for somebody who has something of the vault (default: 1min)")
    .addHelpText("after", help)
    .action((options: Options, command: Command) =>
      summarised(options.json, invocation, (summarising) => recover(options, command, invocation, summarising)),
    );
}

async function recover(
  options: Options,
  command: Command,
  invocation: Invocation,
  summarising: () => void,
): Promise<void> {
  const { output, env, stop, system } = invocation;
  const home = homeOf(command, env);
  const bootstrap = givenBootstrap(options.bootstrap, env);
  const waitMs = options.wait === undefined ? undefined : parseDuration(options.wait) * 1000;
  const { checkFreeHome } = await import("../../vault/new-home.js");
  checkFreeHome(home);
  const entropy = await readPhrase(options.phraseFile, invocation);
  const { phraseKeys } = await import("../../format/keys.js");
  const swarm = await import("../../swarm/recover.js");
  const { patience } = await import("../../swarm/seek.js");
  const { openNetwork } = await import("../../swarm/reach.js");
  const { defaultHost } = await import("../../vault/vault.js");
  const host = await import("../../host/recovery.js");
  const began = system.now();
  const say = (line: string): void => output.note(`bcoopfs: ${line}`);
  const phrase = phraseKeys(entropy);
  const { vault, gathering } = await swarm.recover({
    home,
    phrase,
    host: defaultHost(),
    bootstrap,
    network: () => openNetwork({ bootstrap }, system),
    patience: { ...patience, ...(waitMs === undefined ? {} : { lookMs: waitMs }) },
    system,
    stop,
    say,
    on: (event) => tell(event, options, invocation),
  });
  try {
    const missing = await host.fetchMetadata(vault, {
      reach: reachOf(vault.config().coop, env),
      recovery: phrase,
      say,
      stop,
      events: (event) => noteEvent(event, output),
      progress: (here, of) => {
        output.progress(() => `metadata: ${counted(here)} of ${plural(of, "object")}`);
        if (options.json) output.json({ message_type: "status", metadata: here, of });
      },
    });
    if (stop.aborted)
      throw new Problem("interrupted", 'interrupted; this machine is a device of the vault, "bcoopfs sync" goes on');
    const seconds = Number(system.now() - began) / 1e9;
    summarising();
    report(vault, gathering.peers(), missing, host.newestSeen(vault, gathering), seconds, options, invocation);
    if (missing > 0)
      throw new Problem(
        "missing",
        `${plural(missing, "object")} with names and folders could not be had from the peers that were there; "bcoopfs sync" tries again`,
      );
  } finally {
    await vault.close();
  }
}

function tell(event: RecoverEvent, { json, quiet }: Options, { output }: Invocation): void {
  if (event.type === "gathered") {
    output.progress(() => `${plural(event.peers, "peer")}, ${plural(event.records, "record")}`);
    if (json) output.json({ message_type: "status", peers: event.peers, records: event.records });
  } else if (event.type === "forked") {
    const message = `device ${start(event.device)} signed two histories of its log ${start(event.log)}; both are kept, the longer one is used`;
    output.error(message);
    if (json) output.json({ message_type: "error", message });
  } else if (!quiet) output.note(`This machine is ${event.host}, a new device of vault ${start(event.vault)}.`);
}

/** What was found, in the last lines. */
function report(
  vault: Vault,
  peers: number,
  missing: number,
  seen: { newest: Seen | undefined; complete: Seen | undefined },
  seconds: number,
  options: Options,
  { output }: Invocation,
): void {
  const revisions = [...vault.store.catalogue.revisions()].length;
  const { newest, complete } = seen;
  if (options.json)
    output.json({
      message_type: "summary",
      vault: vault.id.toString("hex"),
      device: vault.device.toString("hex"),
      host: vault.host,
      home: vault.home.path,
      peers,
      revisions,
      missing_metadata: missing,
      newest: newest?.revision.id.toString("hex") ?? null,
      newest_time: newest ? formatTimeUtc(newest.revision.time) : null,
      newest_seen_by: newest?.peers ?? 0,
      newest_complete: complete?.revision.id.toString("hex") ?? null,
      newest_complete_time: complete ? formatTimeUtc(complete.revision.time) : null,
      newest_complete_seen_by: complete?.peers ?? 0,
      seconds,
    });
  else if (!options.quiet) {
    output.line(`recovered ${plural(revisions, "revision")} from ${plural(peers, "peer")} in ${seconds.toFixed(1)} s`);
    if (newest) output.line(sentence("newest", newest));
    if (newest && complete && complete.revision !== newest.revision) output.line(sentence("newest complete", complete));
  }
}

function sentence(which: string, { revision, peers, of }: Seen): string {
  const name = `${revision.host}/${revision.filesetName}`;
  const partial = revision.complete ? "" : ", partial";
  return `${which}: ${revision.id.toString("hex").slice(0, 12)} ${name} of ${formatTimeUtc(revision.time).slice(0, 19)}Z${partial}, seen by ${peers} of ${plural(of, "peer")}`;
}

function start(key: Buffer): string {
  return key.toString("hex").slice(0, 16);
}

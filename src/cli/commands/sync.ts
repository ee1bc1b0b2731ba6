import type { Command } from "commander";
import { Problem } from "../../base/errors.js";
import { formatSize, parseDuration } from "../../base/units.js";
import type { SyncProgress, SyncSummary } from "../../host/sync.js";
import type { Vault } from "../../vault/vault.js";
import { type Invocation, summarised, withCommon, withVault } from "../invocation.js";
import { counted, exitShort, plural } from "../output.js";
import { noteEvent } from "../peer-words.js";
import { reachOf } from "../reach.js";

interface Options {
  readonly wait?: string | true;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const defaultWait = "10min";

const help = `
Gives the machines of the coop what they lack of this one's revisions, and takes what they have. Ends when nothing
is left to do with those that are there. Where the daemon runs, it does the work and this waits for it.

Examples:
  bcoopfs sync
  bcoopfs sync --wait           until every revision has its copies, or nothing has moved for ${defaultWait}
  bcoopfs sync --wait=2h`;

export function registerSync(program: Command, invocation: Invocation): void {
  withCommon(program.command("sync"), { json: true, quiet: true })
    .description("exchange with the other machines of the coop")
    .option(
      "--wait [duration]",
      `until every revision has its copies; give up when nothing moved for so long (${defaultWait})`,
    )
    .addHelpText("after", help)
    .action((options: Options, command: Command) =>
      summarised(options.json, invocation, (summarising) =>
        withVault(command, invocation, (vault) => synced(vault, options, invocation, summarising)),
      ),
    );
}

async function synced(vault: Vault, options: Options, invocation: Invocation, summarising: () => void): Promise<void> {
  const { sync } = await import("../../host/sync.js");
  const { output, env, stop, system } = invocation;
  const waitMs = options.wait === undefined ? undefined : waitOf(options.wait);
  const began = system.now();
  const summary = await sync(vault, {
    reach: reachOf(vault.config().coop, env),
    say: (line) => output.note(`bcoopfs: ${line}`),
    events: (event) => noteEvent(event, output),
    stop,
    waitMs,
    progress: (now) => {
      output.progress(() => progressLine(now));
      if (options.json) output.json({ message_type: "status", ...facts(now) });
    },
  });
  const { copies, watched } = summary;
  if (waitMs !== undefined && copies.safe < copies.revisions) invocation.exit = exitShort;
  if (invocation.exit === exitShort)
    output.error(
      `${plural(copies.revisions - copies.safe, "revision")} of ${counted(copies.revisions)} would be lost with this machine: too few others hold them`,
    );
  const seconds = Number(system.now() - began) / 1e9;
  summarising();
  if (options.json) output.json({ message_type: "summary", ...facts(summary), watched, seconds });
  else if (!options.quiet) output.line(sentence(summary));
}

function waitOf(text: string | true): number {
  const seconds = parseDuration(text === true ? defaultWait : text);
  if (seconds === 0) throw new Problem("usage", "--wait=0s waits for nothing; leave it out, or give a time");
  return seconds * 1000;
}

function facts({ peers, sent, received, wanted, copies }: SyncProgress): Record<string, unknown> {
  return {
    peers,
    sent_bytes: sent,
    received_bytes: received,
    wanted,
    revisions: copies.revisions,
    with_copies: copies.whole,
    with_min_copies: copies.safe,
  };
}

function progressLine({ peers, sent, received, wanted, copies }: SyncProgress): string {
  return `${plural(peers, "peer")}: ${formatSize(sent)} sent, ${formatSize(received)} received, ${counted(wanted)} to come; ${counted(copies.safe)} of ${plural(copies.revisions, "revision")} safe`;
}

function sentence({ peers, sent, received, wanted, copies, watched }: SyncSummary): string {
  const moved = watched ? "the daemon exchanges" : `${formatSize(sent)} sent, ${formatSize(received)} received`;
  const rest = wanted === 0 ? "" : `, ${plural(wanted, "object")} not to be had from them`;
  if (copies.revisions === 0) return `${plural(peers, "peer")}: ${moved}${rest}; no revisions here yet`;
  return `${plural(peers, "peer")}: ${moved}${rest}; of ${plural(copies.revisions, "revision")} ${counted(copies.whole)} have all copies, ${counted(copies.safe)} the least that they must have`;
}

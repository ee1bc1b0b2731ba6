import type { Command } from "commander";
import { exitCodeOf, Problem } from "../../base/errors.js";
import { escapeForTerminal, formatSize } from "../../base/units.js";
import type { SnapshotSummary } from "../../capture/snapshot.js";
import type { Vault } from "../../vault/vault.js";
import { type Invocation, rawArguments, withCommon, withVault, worstOf } from "../invocation.js";
import { counted, plural } from "../output.js";

interface Options {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly rehash?: boolean;
}

const help = `
Without arguments all enabled filesets of config.toml are saved. A NAME is one of them; an argument that holds a "/"
is a path, saved as a fileset of its own. Only what has changed is read, and every revision is whole.

Examples:
  bcoopfs snapshot                 all filesets, as from cron
  bcoopfs snapshot home            one fileset
  bcoopfs snapshot /etc ./notes    two paths`;

export function registerSnapshot(program: Command, invocation: Invocation): void {
  withCommon(program.command("snapshot").argument("[what...]", "names of filesets, or paths"), {
    json: true,
    quiet: true,
  })
    .description("save filesets: one new revision of each")
    .option("--rehash", "read every file, also those that look unchanged")
    .addHelpText("after", help)
    .action((what: string[], options: Options, command: Command) =>
      withVault(command, invocation, async (vault) => {
        invocation.exit = await snapshots(vault, what, options, invocation);
      }),
    );
}

async function snapshots(
  vault: Vault,
  what: readonly string[],
  options: Options,
  invocation: Invocation,
): Promise<number> {
  const { jobsFor } = await import("../../capture/jobs.js");
  const { snapshot } = await import("../../capture/snapshot.js");
  const { countCopies } = await import("../../host/copies.js");
  const { output, stop } = invocation;
  const jobs = jobsFor(vault, rawArguments(what), options.rehash === true);
  // A home whose config has gone must not look like a backup that went well.
  if (vault.config().filesets.size === 0 && jobs.length === 0)
    throw new Problem(
      "config",
      'nothing to save: config.toml has no fileset; add one with "bcoopfs fileset add", or name a path',
    );
  if (jobs.length === 0 && !options.quiet) output.note("Nothing to save: every fileset in config.toml is disabled.");
  const codes: number[] = [];
  for (const job of jobs) {
    try {
      const on = {
        unread: (unread: { says: string }) => report(unread.says, options, invocation),
        damage: (says: string) => report(`${job.name}: ${says}`, options, invocation),
        progress: (now: { files: number; bytes: bigint; path: Buffer }) =>
          output.progress(
            () => `${job.name}: ${plural(now.files, "file")}, ${formatSize(now.bytes)}  ${escapeForTerminal(now.path)}`,
          ),
      };
      const summary = await snapshot(vault, job.prepare(), on, stop);
      tell(job.name, summary, countCopies(vault).of(summary.revision), options, invocation);
      codes.push(summary.damaged ? exitCodeOf("damaged") : summary.body.complete ? 0 : 3);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const { code, message } = error;
      if (code !== "interrupted") report(jobs.length > 1 ? `${job.name}: ${message}` : message, options, invocation);
      if (options.json)
        output.json({ message_type: "summary", revision: null, fileset: job.name, complete: false, error: message });
      if (code === "interrupted") throw error;
      codes.push(exitCodeOf(error.code));
    }
  }
  return worstOf(codes);
}

function report(message: string, options: Options, { output }: Invocation): void {
  output.error(message);
  if (options.json) output.json({ message_type: "error", message });
}

function tell(name: string, summary: SnapshotSummary, copies: number, options: Options, { output }: Invocation): void {
  const { body, revision, seconds, storedBytes } = summary;
  if (options.json)
    output.json({
      message_type: "summary",
      revision: revision.toString("hex"),
      fileset: name,
      files: body.files,
      dirs: body.folders,
      other: body.others,
      bytes: body.bytes,
      changed_files: body.changedFiles,
      new_bytes: body.newBytes,
      stored_bytes: storedBytes,
      errors: body.errors,
      complete: body.complete,
      seconds,
      copies,
    });
  else if (!options.quiet)
    output.line(
      `${name}: revision ${revision.toString("hex").slice(0, 12)} ${body.complete ? "complete" : `partial (${plural(body.errors, "error")})`}: ` +
        `${plural(body.files, "file")}, ${formatSize(body.bytes)}; ${counted(body.changedFiles)} changed, ${formatSize(body.newBytes)} new, ` +
        `${formatSize(storedBytes)} stored, ${seconds.toFixed(1)} s`,
    );
}

import type { Command } from "commander";
import { exitCodeOf } from "../../base/errors.js";
import type { Mended } from "../../upkeep/repair.js";
import type { RebuildSummary } from "../../upkeep/rebuild.js";
import type { Vault } from "../../vault/vault.js";
import { type Invocation, withCommon, withVault } from "../invocation.js";
import { counted, plural } from "../output.js";

interface Options {
  readonly rebuildIndex?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const help = `
Reads every segment. A damaged one is set aside, what can still be opened in it is stored anew, and the next snapshot
reads all files again, so that what was lost and is still there is stored once more. Exit 21 where something was lost.

Examples:
  bcoopfs repair
  bcoopfs repair --rebuild-index`;

export function registerRepair(program: Command, invocation: Invocation): void {
  withCommon(program.command("repair"), { json: true, quiet: true })
    .description("mend what can be mended here; a loss is named and never hidden")
    .option("--rebuild-index", "only make the index again from segments and logs")
    .addHelpText("after", help)
    .action((options: Options, command: Command) =>
      withVault(command, invocation, (vault) =>
        options.rebuildIndex ? rebuildOnly(vault, options, invocation) : repairAll(vault, options, invocation),
      ),
    );
}

async function rebuildOnly(vault: Vault, options: Options, invocation: Invocation): Promise<void> {
  const { rebuildIndex } = await import("../../upkeep/rebuild.js");
  const summary = await rebuildIndex(vault);
  if (summary.unreadable.length > 0) invocation.exit = exitCodeOf("damaged");
  tell(summary, {}, options, invocation);
  for (const name of summary.unreadable)
    invocation.output.error(`segment ${start(name)} cannot be read; "bcoopfs repair" saves what is left of it`);
}

async function repairAll(vault: Vault, options: Options, invocation: Invocation): Promise<void> {
  const { repair } = await import("../../upkeep/repair.js");
  const summary = await repair(vault, invocation.stop, (mended) => invocation.output.error(sentence(mended)));
  const lost = summary.mended.reduce((sum, one) => sum + one.lost, 0);
  const without = summary.mended.filter(({ aside, peers }) => aside === undefined && peers === 0).length;
  if (lost > 0 || without > 0) invocation.exit = exitCodeOf("damaged");
  const mended = summary.mended.map((one) => ({ ...one, name: one.name.toString("hex"), aside: one.aside ?? null }));
  tell(summary, { mended_logs: summary.logs, mended, lost_chunks: lost }, options, invocation);
  if (mended.length > 0 && !options.quiet)
    invocation.output.note(
      'The next snapshot reads all files again and stores what is still there; then run "bcoopfs check".',
    );
}

function sentence({ name, aside, saved, lost, peers }: Mended): string {
  if (peers > 0)
    return `segment ${start(name)} is damaged: ${plural(peers, "peer")} ${peers === 1 ? "has" : "have"} it, it comes back from there; the file is kept as ${aside}`;
  const chunks = `${plural(saved, "chunk")} saved, ${counted(lost)} lost`;
  return aside === undefined
    ? `segment ${start(name)} is missing: ${chunks}`
    : `segment ${start(name)} is damaged: ${chunks}; the file is kept as ${aside}`;
}

function tell(summary: RebuildSummary, more: object, options: Options, { output }: Invocation): void {
  const { segments, chunks, revisions, seconds } = summary;
  const unreadable = summary.unreadable.map((name) => name.toString("hex"));
  if (options.json) output.json({ message_type: "summary", ...more, segments, chunks, revisions, unreadable, seconds });
  else if (!options.quiet)
    output.line(
      `index made again: ${plural(revisions, "revision")}, ${plural(segments, "segment")}, ${counted(chunks)} chunks in ${seconds.toFixed(1)} s`,
    );
}

function start(name: Buffer): string {
  return `${name.toString("hex").slice(0, 16)}…`;
}

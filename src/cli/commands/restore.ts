import { resolve } from "node:path";
import type { Command } from "commander";
import { escapeForTerminal, formatSize } from "../../base/units.js";
import type { RestoreEvent, RestoreSummary } from "../../recall/events.js";
import { type Invocation, withCommon, withReading } from "../invocation.js";
import { counted, plural } from "../output.js";
import { viewOf } from "./look.js";

interface Options {
  readonly target: string;
  readonly owner: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const help = `
REV alone writes DIR/<absolute path>; REV:/a/b puts the contents of folder b, or the file b, straight into DIR.
DIR must be new or empty. Everything needed is checked to be there before anything is written.

Examples:
  bcoopfs restore home@latest --target /tmp/back
  bcoopfs restore 3f2a91:/home/ann/mail --target ./mail`;

export function registerRestore(program: Command, invocation: Invocation): void {
  withCommon(program.command("restore").argument("<rev[:path]>", "a revision, and a path in it"), {
    json: true,
    quiet: true,
  })
    .description("write a revision, or part of it, into a folder")
    .requiredOption("--target <dir>", "where to; new or empty")
    .option("--no-owner", "let everything belong to whoever restores")
    .addHelpText("after", help)
    .action((text: string, options: Options, command: Command) =>
      withReading(command, invocation, async (vault) => {
        const { restore } = await import("../../recall/restore.js");
        const { view, path } = await viewOf(vault, text, invocation.output);
        const teller = new Teller(options, invocation);
        const settings = { includeOwner: options.owner, signal: invocation.stop };
        await restore(vault, view, path, resolve(options.target), settings, (event) => teller.on(event));
      }),
    );
}

/** Draws what a restore tells. */
class Teller {
  readonly #options: Options;
  readonly #invocation: Invocation;
  #started: bigint;
  #planned: { entries: number; bytes: bigint } = { entries: 0, bytes: 0n };

  constructor(options: Options, invocation: Invocation) {
    this.#options = options;
    this.#invocation = invocation;
    this.#started = invocation.system.now();
  }

  on(event: RestoreEvent): void {
    const { output } = this.#invocation;
    if (event.type === "planned") this.#planned = event;
    else if (event.type === "progress")
      output.progress(
        () =>
          `${counted(event.entries)} of ${plural(this.#planned.entries, "entry").replace(/entrys$/, "entries")}, ${formatSize(event.bytes)} of ${formatSize(this.#planned.bytes)}`,
      );
    else if (event.type === "failed") {
      const message = `${escapeForTerminal(event.path)}: ${event.problem.message}`;
      output.error(message);
      if (this.#options.json) output.json({ message_type: "error", message });
    } else if (event.type === "done") this.#done(event.summary);
  }

  #done(summary: RestoreSummary): void {
    const { output, system } = this.#invocation;
    const seconds = Number(system.now() - this.#started) / 1e9;
    if (this.#options.json)
      output.json({
        message_type: "summary",
        target: resolve(this.#options.target),
        files: summary.files,
        dirs: summary.folders,
        other: summary.others,
        hard_links: summary.linked,
        bytes: summary.bytes,
        left_out: Object.fromEntries(summary.leftOut),
        damaged: summary.damaged,
        failed: summary.failed,
        seconds,
      });
    else if (!this.#options.quiet) {
      output.line(
        `restored ${plural(summary.files, "file")}, ${formatSize(summary.bytes)}, ${plural(summary.folders, "folder")} and ${plural(summary.others, "other entry").replace(/entrys$/, "entries")} to ${resolve(this.#options.target)} in ${seconds.toFixed(1)} s`,
      );
      for (const [kind, count] of summary.leftOut) output.note(`left out: ${counted(count)} ${kind}`);
    }
  }
}

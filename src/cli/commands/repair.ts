import type { Command } from "commander";
import { exitCodeOf, Problem } from "../../base/errors.js";
import { type Invocation, withCommon, withVault } from "../invocation.js";
import { counted, plural } from "../output.js";

interface Options {
  readonly rebuildIndex?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export function registerRepair(program: Command, invocation: Invocation): void {
  withCommon(program.command("repair"), { json: true, quiet: true })
    .description("mend what can be mended; a loss is named and never hidden")
    .option("--rebuild-index", "make the index again from segments and logs")
    .addHelpText("after", "\nExample:\n  bcoopfs repair --rebuild-index")
    .action((options: Options, command: Command) => {
      if (!options.rebuildIndex)
        throw new Problem(
          "usage",
          'say what to repair: --rebuild-index makes the index again; "bcoopfs check" tells what is wrong',
        );
      return withVault(command, invocation, async (vault) => {
        const { rebuildIndex } = await import("../../upkeep/rebuild.js");
        const { output } = invocation;
        const summary = await rebuildIndex(vault);
        if (summary.unreadable.length > 0) invocation.exit = exitCodeOf("damaged");
        const unreadable = summary.unreadable.map((name) => name.toString("hex"));
        const { segments, chunks, revisions, seconds } = summary;
        if (options.json) output.json({ message_type: "summary", segments, chunks, revisions, unreadable, seconds });
        else if (!options.quiet)
          output.line(
            `index made again: ${plural(revisions, "revision")}, ${plural(segments, "segment")}, ${counted(chunks)} chunks in ${seconds.toFixed(1)} s`,
          );
        for (const name of unreadable)
          output.error(
            `segment ${name.slice(0, 16)}… cannot be read; what it alone held is lost. The next snapshot reads all files again and stores what is still there`,
          );
      });
    });
}

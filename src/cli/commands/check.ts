import type { Command } from "commander";
import { exitCodeOf, Problem } from "../../base/errors.js";
import { formatSize, parseSize } from "../../base/units.js";
import type { ReadData } from "../../upkeep/data.js";
import type { CheckEvent } from "../../upkeep/findings.js";
import { type Invocation, withCommon, withVault } from "../invocation.js";
import { counted, plural } from "../output.js";

interface Options {
  readonly readData?: string | true;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const help = `
Looks at logs, segments, the index and every folder of every revision. Nothing is changed.
Exit 21 where damage is found.

Examples:
  bcoopfs check
  bcoopfs check --read-data         reads everything that is stored
  bcoopfs check --read-data=5%      a twentieth of it, beginning at random
  bcoopfs check --read-data=10G     so many bytes`;

export function registerCheck(program: Command, invocation: Invocation): void {
  withCommon(program.command("check"), { json: true, quiet: true })
    .description("is everything that was saved present, readable and true?")
    .option("--read-data [amount]", "also read contents: all, a share (5%) or an amount (10G)")
    .addHelpText("after", help)
    .action((options: Options, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const { check } = await import("../../upkeep/check.js");
        const { output } = invocation;
        const readData = amountOf(options.readData);
        const result = await check(vault, { readData, signal: invocation.stop }, (event) =>
          tell(event, options, invocation),
        );
        if (result.findings > 0) invocation.exit = exitCodeOf("damaged");
        if (options.json)
          output.json({
            message_type: "summary",
            revisions: result.revisions,
            records: result.records,
            segments: result.segments,
            bytes: result.bytes,
            far_segments: result.farSegments,
            far_bytes: result.farBytes,
            chunks: result.chunks,
            metadata_chunks: result.metadataChunks,
            read_segments: result.readSegments,
            read_bytes: result.readBytes,
            damaged_paths: result.damagedPaths,
            problems: result.findings,
            ok: result.findings === 0,
          });
        else if (!options.quiet) {
          const read =
            readData === false
              ? "contents not read (--read-data does)"
              : `${formatSize(result.readBytes)} of ${formatSize(result.bytes)} read`;
          const verdict = result.findings === 0 ? "no problems found" : `${plural(result.findings, "problem")} found`;
          output.line(
            `${verdict}: ${plural(result.revisions, "revision")}, ${plural(result.segments, "segment")}, ${counted(result.chunks)} chunks; ${read}`,
          );
        }
      }),
    );
}

function amountOf(text: string | true | undefined): ReadData {
  if (text === undefined) return false;
  if (text === true || text === "100%") return "all";
  const percent = /^(\d{1,2}(?:\.\d+)?)%$/.exec(text);
  if (percent) return { share: Number(percent[1]) / 100 };
  try {
    return { bytes: parseSize(text) };
  } catch {
    throw new Problem("usage", `--read-data=${text}: expected a share such as 5%, or an amount such as 10G`);
  }
}

function tell(event: CheckEvent, options: Options, { output }: Invocation): void {
  if (event.type === "finding") {
    output.error(`${event.finding.where}: ${event.finding.says}`);
    if (options.json)
      output.json({
        message_type: "error",
        what: event.finding.what,
        where: event.finding.where,
        message: event.finding.says,
      });
  } else if (event.type === "note" && !options.quiet) output.note(`note: ${event.says}`);
  else if (event.type === "progress")
    output.progress(
      () => `checking ${event.phase}: ${counted(event.done)}${event.of > 0 ? ` of ${counted(event.of)}` : ""}`,
    );
}

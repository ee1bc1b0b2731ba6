import type { Command } from "commander";
import { Problem } from "../../base/errors.js";
import { formatSize, formatTimeUtc } from "../../base/units.js";
import type { Revision } from "../../vault/revisions.js";
import { type Invocation, withCommon, withVault } from "../invocation.js";
import { counted } from "../output.js";

export function registerRevisions(program: Command, invocation: Invocation): void {
  withCommon(program.command("revisions").alias("snapshots").argument("[fileset]", "only those of this fileset"), {
    json: true,
  })
    .description("list revisions, oldest first")
    .addHelpText("after", "\nExamples:\n  bcoopfs revisions\n  bcoopfs revisions home --json")
    .action((fileset: string | undefined, options: { json?: boolean }, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const { allRevisions } = await import("../../vault/revisions.js");
        const all = [...allRevisions(vault.store.catalogue)];
        const shown = fileset === undefined ? all : all.filter((revision) => revision.filesetName === fileset);
        if (fileset !== undefined && shown.length === 0 && !vault.config().filesets.has(fileset)) {
          const { didYouMean } = await import("../../base/units.js");
          const near = didYouMean(
            fileset,
            new Set([...all.map((revision) => revision.filesetName), ...vault.config().filesets.keys()]),
          );
          throw new Problem(
            "unknown-fileset",
            `no fileset ${fileset}${near ? `; did you mean ${near}?` : '; "bcoopfs fileset ls" lists them'}`,
          );
        }
        if (options.json) invocation.output.json(shown.map(revisionFacts));
        else if (shown.length === 0) invocation.output.note('No revisions yet; make one with "bcoopfs snapshot".');
        else for (const line of revisionLines(shown)) invocation.output.line(line);
      }),
    );
}

/** The fields that scripts rely on. */
export function revisionFacts(revision: Revision): Record<string, unknown> {
  return {
    id: revision.id.toString("hex"),
    host: revision.host,
    fileset: revision.filesetName,
    time: formatTimeUtc(revision.time),
    files: revision.files,
    dirs: revision.folders,
    other: revision.others,
    bytes: revision.bytes,
    added_bytes: revision.newBytes,
    stored_bytes: revision.storedBytes,
    errors: revision.errors,
    complete: revision.complete,
    copies: 0,
  };
}

function revisionLines(revisions: readonly Revision[]): string[] {
  const rows = revisions.map((revision) => [
    revision.id.toString("hex").slice(0, 12),
    `${formatTimeUtc(revision.time).slice(0, 19)}Z`,
    `${revision.host}/${revision.filesetName}`,
    counted(revision.files),
    formatSize(revision.bytes),
    formatSize(revision.newBytes),
    revision.complete ? "" : "partial",
  ]);
  const table = [["id", "time", "host/fileset", "files", "size", "added", ""], ...rows];
  const widths = (table[0] as string[]).map((_, column) =>
    Math.max(...table.map((row) => (row[column] as string).length)),
  );
  return table.map((row) =>
    row
      .map((cell, column) =>
        column >= 3 && column <= 5 ? cell.padStart(widths[column] as number) : cell.padEnd(widths[column] as number),
      )
      .join("  ")
      .trimEnd(),
  );
}

import type { Command } from "commander";
import { Problem } from "../../base/errors.js";
import { formatSize, formatTimeUtc } from "../../base/units.js";
import type { Revision } from "../../vault/revisions.js";
import { type Invocation, withCommon, withVault } from "../invocation.js";
import { counted, table } from "../output.js";

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
        const { countCopies } = await import("../../host/copies.js");
        const { of } = countCopies(vault);
        if (options.json) invocation.output.json(shown.map((revision) => revisionFacts(revision, of(revision.id))));
        else if (shown.length === 0) invocation.output.note('No revisions yet; make one with "bcoopfs snapshot".');
        else for (const line of revisionLines(shown, of)) invocation.output.line(line);
      }),
    );
}

/** The fields that scripts rely on. */
export function revisionFacts(revision: Revision, copies: number): Record<string, unknown> {
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
    copies,
  };
}

function revisionLines(revisions: readonly Revision[], copies: (id: Buffer) => number): string[] {
  const rows = revisions.map((revision) => [
    revision.id.toString("hex").slice(0, 12),
    `${formatTimeUtc(revision.time).slice(0, 19)}Z`,
    `${revision.host}/${revision.filesetName}`,
    counted(revision.files),
    formatSize(revision.bytes),
    formatSize(revision.newBytes),
    String(copies(revision.id)),
    revision.complete ? "" : "partial",
  ]);
  return table(["id", "time", "host/fileset", "files", "size", "added", "copies", ""], rows, [3, 4, 5, 6]);
}

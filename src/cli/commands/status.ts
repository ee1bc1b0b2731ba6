import type { Command } from "commander";
import { formatDuration, formatSize, formatTimeUtc } from "../../base/units.js";
import type { FilesetStatus } from "../../host/status.js";
import { type Invocation, withCommon, withVault } from "../invocation.js";
import { plural } from "../output.js";

export function registerStatus(program: Command, invocation: Invocation): void {
  withCommon(program.command("status"), { json: true })
    .description("how this vault stands")
    .addHelpText("after", "\nExample:\n  bcoopfs status")
    .action((options: { json?: boolean }, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const { statusOf } = await import("../../host/status.js");
        const { output, system } = invocation;
        const status = statusOf(vault);
        const now = system.now();
        if (options.json) {
          output.json({
            vault: vault.id.toString("hex"),
            device: vault.device.toString("hex"),
            host: vault.host,
            home: vault.home.path,
            revisions: status.revisions,
            segments: status.segments,
            stored_bytes: status.storedBytes,
            free_bytes: status.freeBytes,
            filesets: status.filesets.map((one) => filesetFacts(one)),
          });
          return;
        }
        output.line(`vault ${vault.id.toString("hex").slice(0, 16)} on ${vault.host}, in ${vault.home.path}`);
        output.line(
          `${plural(status.revisions, "revision")} in ${plural(status.segments, "segment")}, ${formatSize(status.storedBytes)} stored, ${formatSize(status.freeBytes)} free`,
        );
        for (const one of status.filesets) output.line(filesetLine(one, now));
      }),
    );
}

function filesetFacts(one: FilesetStatus): Record<string, unknown> {
  const { newest, newestComplete } = one;
  return {
    host: one.host,
    fileset: one.name,
    revisions: one.revisions,
    newest: newest.id.toString("hex"),
    newest_time: formatTimeUtc(newest.time),
    newest_complete: newestComplete?.id.toString("hex") ?? null,
    newest_complete_time: newestComplete ? formatTimeUtc(newestComplete.time) : null,
    copies: 0,
  };
}

function filesetLine(one: FilesetStatus, now: bigint): string {
  const age = Number((now - one.newest.time) / 1_000_000_000n);
  const since = age < 60 ? "just now" : `${formatDuration(age - (age % 60))} ago`;
  const partial = one.newest.complete ? "" : one.newestComplete ? ", newest is partial" : ", none complete yet";
  return `  ${one.host}/${one.name}: ${plural(one.revisions, "revision")}, newest ${since}${partial}`;
}

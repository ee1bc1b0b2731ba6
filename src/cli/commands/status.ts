import type { Command } from "commander";
import { escapeForTerminal, formatDuration, formatSize, formatTimeUtc } from "../../base/units.js";
import type { CoopStatus, FilesetStatus } from "../../host/status.js";
import { type Invocation, withCommon, withVault } from "../invocation.js";
import { counted, exitShort, plural } from "../output.js";

export function registerStatus(program: Command, invocation: Invocation): void {
  withCommon(program.command("status"), { json: true })
    .description("how this vault stands")
    .addHelpText("after", "\nExample:\n  bcoopfs status")
    .action((options: { json?: boolean }, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const { statusOf } = await import("../../host/status.js");
        const { wantedCopies } = await import("../../host/copies.js");
        const { output, system } = invocation;
        const status = statusOf(vault);
        const now = system.now();
        const { copies, coop } = status;
        if (coop !== undefined && copies.safe < copies.revisions) invocation.exit = exitShort;
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
            coop: coop === undefined ? null : coopFacts(coop),
            with_copies: copies.whole,
            with_min_copies: copies.safe,
            filesets: status.filesets.map((one) => filesetFacts(one)),
          });
          return;
        }
        output.line(`vault ${vault.id.toString("hex").slice(0, 16)} on ${vault.host}, in ${vault.home.path}`);
        output.line(
          `${plural(status.revisions, "revision")} in ${plural(status.segments, "segment")}, ${formatSize(status.storedBytes)} stored, ${formatSize(status.freeBytes)} free`,
        );
        if (coop !== undefined) output.line(coopLine(coop));
        for (const one of status.filesets) output.line(filesetLine(one, now, coop !== undefined));
        if (invocation.exit === exitShort)
          output.error(
            `${plural(copies.revisions - copies.safe, "revision")} would be lost with this machine: ${wantedCopies.minimum === 1 ? "no other machine holds all of" : `fewer than ${counted(wantedCopies.minimum)} other machines hold`} ${copies.revisions - copies.safe === 1 ? "it" : "them"}`,
          );
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
    copies: one.copies,
  };
}

function coopFacts({ id, name, pending, peers, connected }: CoopStatus): Record<string, unknown> {
  return { id: id.toString("hex"), name, admitted: !pending, peers, connected };
}

function coopLine({ name, pending, peers, connected }: CoopStatus): string {
  const shown = escapeForTerminal(Buffer.from(name));
  if (pending) return `in coop ${shown}: not let in yet by an admin's machine ("bcoopfs sync" says why)`;
  return `in coop ${shown} with ${plural(peers, "other machine")}, ${counted(connected)} connected`;
}

function filesetLine(one: FilesetStatus, now: bigint, inCoop: boolean): string {
  const age = Number((now - one.newest.time) / 1_000_000_000n);
  const since = age < 60 ? "just now" : `${formatDuration(age - (age % 60))} ago`;
  const partial = one.newest.complete ? "" : one.newestComplete ? ", newest is partial" : ", none complete yet";
  const copies = inCoop ? `, on ${plural(one.copies, "other machine")}` : "";
  return `  ${one.host}/${one.name}: ${plural(one.revisions, "revision")}, newest ${since}${partial}${copies}`;
}

import type { Command } from "commander";
import { escapeForTerminal, formatDuration, formatSize, formatTimeUtc } from "../../base/units.js";
import type { PeerRow } from "../../host/roster.js";
import { type Invocation, withCommon, withVault } from "../invocation.js";
import { table } from "../output.js";

export function registerPeers(program: Command, invocation: Invocation): void {
  withCommon(program.command("peers"), { json: true })
    .description("the other machines of the coop, and what each holds for the other")
    .addHelpText("after", "\nExample:\n  bcoopfs peers")
    .action((options: { json?: boolean }, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const { coopOf } = await import("../../host/keeper.js");
        const { peersOf } = await import("../../host/roster.js");
        const { output, system } = invocation;
        const peers = peersOf(vault, coopOf(vault));
        if (options.json) output.json(peers.map(facts));
        else if (peers.length === 0) output.note('No other machine yet; "bcoopfs coop invite" lets one in.');
        else for (const line of lines(peers, system.now())) output.line(line);
      }),
    );
}

function facts(peer: PeerRow): Record<string, unknown> {
  return {
    device: peer.device.toString("hex"),
    label: peer.label,
    vault: peer.vault?.toString("hex") ?? null,
    own: peer.own,
    connected: peer.connected,
    last_seen: peer.seen === undefined ? null : formatTimeUtc(peer.seen),
    keeps: peer.keeps,
    we_host_bytes: peer.hosted,
    they_host_bytes: peer.hosting,
  };
}

function lines(peers: readonly PeerRow[], now: bigint): string[] {
  return table(
    ["device", "label", "vault", "last seen", "we host", "they host"],
    peers.map((peer) => [
      peer.device.toString("hex").slice(0, 16),
      escapeForTerminal(Buffer.from(peer.label)),
      peer.own ? "own" : (peer.vault?.toString("hex").slice(0, 8) ?? ""),
      peer.connected ? "connected" : ago(peer.seen, now),
      formatSize(peer.hosted),
      formatSize(peer.hosting),
    ]),
    [4, 5],
  );
}

/** How long ago, in words that a glance takes in. */
export function ago(then: bigint | undefined, now: bigint): string {
  if (then === undefined) return "never";
  const seconds = Number((now - then) / 1_000_000_000n);
  return seconds < 60 ? "just now" : `${formatDuration(seconds - (seconds % 60))} ago`;
}

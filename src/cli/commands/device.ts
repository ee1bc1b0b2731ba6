import type { Command } from "commander";
import { escapeForTerminal, formatTimeUtc } from "../../base/units.js";
import type { DeviceRow } from "../../host/roster.js";
import { type Invocation, withCommon, withVault } from "../invocation.js";
import { counted, table } from "../output.js";
import { ago } from "./peers.js";

export function registerDevice(program: Command, invocation: Invocation): void {
  const device = program
    .command("device")
    .description("the machines of this vault")
    .addHelpText("after", "\nExample:\n  bcoopfs device ls");
  withCommon(device.command("ls"), { json: true })
    .description("list the machines that save into this vault")
    .addHelpText("after", "\nExample:\n  bcoopfs device ls")
    .action((options: { json?: boolean }, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const { devicesOf } = await import("../../host/roster.js");
        const { output, system } = invocation;
        const devices = devicesOf(vault);
        if (options.json) output.json(devices.map(facts));
        else for (const line of lines(devices, system.now())) output.line(line);
      }),
    );
}

function facts(device: DeviceRow): Record<string, unknown> {
  return {
    device: device.device.toString("hex"),
    host: device.host,
    this: device.self,
    revisions: device.revisions,
    newest_time: device.newest === undefined ? null : formatTimeUtc(device.newest),
    connected: device.connected,
    last_seen: device.seen === undefined ? null : formatTimeUtc(device.seen),
  };
}

function lines(devices: readonly DeviceRow[], now: bigint): string[] {
  return table(
    ["device", "host", "revisions", "newest", "last seen"],
    devices.map((device) => [
      device.device.toString("hex").slice(0, 16),
      escapeForTerminal(Buffer.from(device.host)),
      counted(device.revisions),
      device.newest === undefined ? "" : `${formatTimeUtc(device.newest).slice(0, 19)}Z`,
      device.self ? "this machine" : device.connected ? "connected" : ago(device.seen, now),
    ]),
    [2],
  );
}

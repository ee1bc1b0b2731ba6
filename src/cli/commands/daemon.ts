import type { Command } from "commander";
import { escapeForTerminal } from "../../base/units.js";
import type { Coop } from "../../swarm/coop.js";
import { type Invocation, withCommon, withVault } from "../invocation.js";
import { notifyReady } from "../notify.js";
import { eventWords } from "../peer-words.js";
import { describeBootstrap, reachOf } from "../reach.js";

const help = `
Keeps what other machines of the coop give, gives them what they ask for, and sends what is saved here within about a
second. Stays in the foreground, prints one line when ready, and ends on SIGINT or SIGTERM; a service manager is told
(sd_notify). What happens stands in <home>/log/daemon.log.

Examples:
  bcoopfs daemon
  systemd-run -p Type=notify bcoopfs daemon`;

export function registerDaemon(program: Command, invocation: Invocation): void {
  withCommon(program.command("daemon"), { json: true })
    .description("stay, and exchange with the coop all the time")
    .addHelpText("after", help)
    .action((options: { json?: boolean }, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const { runDaemon } = await import("../../host/daemon.js");
        const { openLog } = await import("../../vault/text-log.js");
        const { output, env, stop, system } = invocation;
        const log = openLog(vault.home, "daemon", system);
        const reach = reachOf(vault.config().coop, env);
        let farm: Coop | undefined;
        const labelOf = (device: Buffer): string | undefined => farm?.state.members.get(device.toString("hex"))?.label;
        await runDaemon(vault, {
          reach,
          stop,
          say: (line) => {
            log(line);
            output.note(`bcoopfs: ${line}`);
          },
          events: (event) => {
            const words = eventWords(event, labelOf);
            if (words !== undefined) log(words);
          },
          ready: (coop) => {
            farm = coop;
            const name = coop.pending?.name ?? coop.name;
            const shown = escapeForTerminal(Buffer.from(name));
            log(`ready, in coop ${shown}, through ${describeBootstrap(reach.bootstrap)}`);
            if (options.json)
              output.json({
                event: "ready",
                ready: true,
                name,
                coop: coop.id.toString("hex"),
                device: vault.device.toString("hex"),
              });
            else output.line(`ready ${shown}`);
            notifyReady(env);
          },
        });
        log("ended");
      }),
    );
}

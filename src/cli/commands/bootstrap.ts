import { isIPv4 } from "node:net";
import type { Command } from "commander";
import { Problem } from "../../base/errors.js";
import { type Invocation, withCommon } from "../invocation.js";
import { notifyReady } from "../notify.js";

interface Options {
  readonly host: string;
  readonly port: string;
  readonly json?: boolean;
}

/** the highest port that leaves room for the two after it */
const portMost = 65_533;

const help = `
Three nodes, on the given UDP port and the next two: fewer do not work. They know where members of a coop can be found,
and nothing of what those exchange; they keep nothing on the disk. Give all three addresses to the --bootstrap of
"coop create" and "recover". Stays in the foreground, prints one line when ready, and ends on SIGINT or SIGTERM; a
service manager is told (sd_notify).

Example:
  bcoopfs bootstrap --host 10.0.0.5 --port 49737`;

export function registerBootstrap(program: Command, invocation: Invocation): void {
  withCommon(program.command("bootstrap"), { json: true })
    .description("be the nodes where machines of a closed network find each other")
    .requiredOption("--host <ip>", "the IPv4 address of this machine that the others reach it by")
    .requiredOption("--port <n>", `the first of three UDP ports, 1 to ${portMost}`)
    .addHelpText("after", help)
    .action((options: Options) => bootstrap(options, invocation));
}

async function bootstrap(options: Options, { output, system, stop, env }: Invocation): Promise<void> {
  const { host } = options;
  if (!isIPv4(host) || host === "0.0.0.0")
    throw new Problem("usage", `--host ${host}: write an IPv4 address of this machine, like 10.0.0.5`);
  const port = Number(/^\d{1,5}$/.test(options.port) ? options.port : "0");
  if (port < 1 || port > portMost)
    throw new Problem("usage", `--port ${options.port}: write a number, 1 to ${portMost}`);
  const { startBootstrap } = await import("../../swarm/reach.js");
  const { addresses, close } = await startBootstrap(host, port, system);
  try {
    if (options.json) output.json({ event: "ready", ready: true, addresses });
    else output.line(`ready ${addresses.join(" ")}`);
    notifyReady(env);
    if (!stop.aborted) await new Promise((resolve) => stop.addEventListener("abort", resolve));
  } finally {
    await close();
  }
}

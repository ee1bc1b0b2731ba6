import { createReadStream } from "node:fs";
import type { Command } from "commander";
import { errnoOf, Problem, systemProblem } from "../../base/errors.js";
import { format } from "../../base/limits.js";
import { escapeForTerminal } from "../../base/units.js";
import { type Invocation, withCommon, withVault } from "../invocation.js";
import { describeBootstrap, givenBootstrap } from "../reach.js";

const help = `
Reads the key that "bcoopfs coop invite" wrote, checks and keeps it; nobody needs to be online. The first admin's
machine that is met by "bcoopfs sync" or the daemon lets this one in.

Examples:
  bcoopfs join /media/usb/key
  ssh first.example.org bcoopfs coop invite | bcoopfs join -`;

export function registerJoin(program: Command, invocation: Invocation): void {
  withCommon(program.command("join").argument("<key-file>", 'the file, or "-" for stdin'), { json: true })
    .description("come into a coop with a key from one of its machines")
    .addHelpText("after", help)
    .action((file: string, options: { json?: boolean }, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const { joinCoop } = await import("../../swarm/new-coop.js");
        const { output, env } = invocation;
        const coop = joinCoop(vault, await readKey(file));
        const bootstrap = givenBootstrap(undefined, env) ?? vault.config().coop.bootstrap;
        const name = coop.pending?.name ?? coop.name;
        if (options.json)
          output.json({
            coop: coop.id.toString("hex"),
            name,
            device: vault.device.toString("hex"),
            admitted: coop.pending === undefined,
            bootstrap: bootstrap ?? null,
          });
        else
          output.line(
            `Joined ${escapeForTerminal(Buffer.from(name))}: the first admin's machine that is met through ${describeBootstrap(bootstrap)} lets this one in ("bcoopfs sync").`,
          );
      }),
    );
}

/** The bytes of a key file, or of stdin; no more than a key can have. */
async function readKey(file: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of file === "-" ? process.stdin : createReadStream(file)) {
      parts.push(Buffer.from(part as Buffer));
      length += (part as Buffer).length;
      if (length > format.inviteBytes) break;
    }
  } catch (error) {
    if (errnoOf(error) === "ENOENT") throw new Problem("io", `cannot read the key: there is no file ${file}`);
    throw systemProblem(`cannot read the key from ${file === "-" ? "stdin" : file}`, error);
  }
  return Buffer.concat(parts);
}

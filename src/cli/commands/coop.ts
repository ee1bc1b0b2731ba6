import { resolve } from "node:path";
import type { Command } from "commander";
import { Problem } from "../../base/errors.js";
import { escapeForTerminal, faultInAddress, formatSize } from "../../base/units.js";
import { roles } from "../../format/coop.js";
import type { Coop } from "../../swarm/coop.js";
import type { Member } from "../../swarm/members.js";
import type { Vault } from "../../vault/vault.js";
import { type Invocation, withCommon, withVault } from "../invocation.js";
import { table } from "../output.js";
import { describeBootstrap, givenBootstrap } from "../reach.js";

interface CreateOptions {
  readonly name?: string;
  readonly bootstrap?: string[];
  readonly listen?: string;
  readonly json?: boolean;
}

const createHelp = `
A coop is a group of machines that keep each other's data. This machine administers the new one; others come in with
"bcoopfs coop invite" here and "bcoopfs join" there. Without --bootstrap (or BCOOPFS_BOOTSTRAP, or config.toml) they
meet through the public DHT; with it through nodes of your own ("bcoopfs bootstrap").

Examples:
  bcoopfs coop create
  bcoopfs coop create --name farm --bootstrap 10.0.0.5:49737 10.0.0.5:49738 10.0.0.5:49739`;

const inviteHelp = `
The file lets one machine in, once, until it expires. Whoever holds it can use it: hand it over as you would a key.

Examples:
  bcoopfs coop invite /media/usb/key
  bcoopfs coop invite | ssh other.example.org bcoopfs join -`;

export function registerCoop(program: Command, invocation: Invocation): void {
  const coop = program
    .command("coop")
    .description("the group of machines that keep each other's data")
    .addHelpText("after", "\nExamples:\n  bcoopfs coop create --name farm\n  bcoopfs coop members");
  withCommon(coop.command("create"), { json: true })
    .description("make a coop, with this machine as its first member and admin")
    .option("--name <name>", "what the coop is called (default: the name of this machine)")
    .option("--bootstrap <host:port...>", "nodes through which its machines meet; kept in config.toml")
    .option("--listen <host[:port]>", "where this machine takes connections; kept in config.toml")
    .addHelpText("after", createHelp)
    .action((options: CreateOptions, command: Command) =>
      withVault(command, invocation, (vault) => create(vault, options, invocation)),
    );
  withCommon(coop.command("invite").argument("[file]", "a new file for the key (0600); without it, stdout"))
    .description("make a key that lets one more machine in")
    .addHelpText("after", inviteHelp)
    .action((file: string | undefined, _options: unknown, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const text = (await coopOf(vault)).invite({ bootstrap: usedBootstrap(vault, invocation) ?? [] });
        if (file === undefined) {
          invocation.output.data(text);
          return;
        }
        const { createFile } = await import("../../store/home.js");
        createFile(resolve(file), text);
        invocation.output.note(`The key is in ${resolve(file)}; on the other machine: bcoopfs join ${file}`);
      }),
    );
  withCommon(coop.command("members"), { json: true })
    .description("list the machines of the coop")
    .addHelpText("after", "\nExample:\n  bcoopfs coop members")
    .action((options: { json?: boolean }, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const { state, pending, isMember } = await coopOf(vault);
        const members = [...state.members.values()];
        if (options.json) invocation.output.json(members.map((member) => facts(member, vault)));
        else for (const line of lines(members, vault)) invocation.output.line(line);
        if (pending !== undefined)
          invocation.output.note("This machine has not been let in yet: no admin's machine was met since it joined.");
        else if (isMember && !state.members.has(vault.device.toString("hex")))
          invocation.output.note(
            "This machine belongs to the coop by its vault; it is listed when an admin's meets it.",
          );
      }),
    );
  withCommon(coop.command("remove").argument("<device>", "its label, its key, or the beginning of that"), {
    json: true,
  })
    .description("take a machine out of the coop; it gets nothing any more")
    .addHelpText("after", "\nExample:\n  bcoopfs coop remove laptop")
    .action((device: string, options: { json?: boolean }, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const removed = (await coopOf(vault)).remove(device);
        if (options.json) invocation.output.json({ removed: removed.device.toString("hex"), label: removed.label });
        else
          invocation.output.note(
            `Removed ${shown(removed.label) || removed.device.toString("hex").slice(0, 16)}. The others learn it from this machine's next "bcoopfs sync", or its daemon.`,
          );
      }),
    );
}

async function coopOf(vault: Vault): Promise<Coop> {
  const host = await import("../../host/keeper.js");
  return host.coopOf(vault);
}

/** The nodes that this machine goes by. */
function usedBootstrap(vault: Vault, { env }: Invocation): readonly string[] | undefined {
  return givenBootstrap(undefined, env) ?? vault.config().coop.bootstrap;
}

async function create(vault: Vault, options: CreateOptions, { output, env }: Invocation): Promise<void> {
  const { createCoop } = await import("../../swarm/new-coop.js");
  const name = options.name ?? vault.host;
  const given = givenBootstrap(options.bootstrap, env);
  const { listen } = options;
  if (listen !== undefined && faultInAddress(listen.includes(":") ? listen : `${listen}:1`) !== undefined)
    throw new Problem("usage", `--listen ${listen}: write HOST or HOST:PORT`);
  const coop = createCoop(vault, {
    name,
    ...(given === undefined ? {} : { bootstrap: given }),
    ...(listen === undefined ? {} : { listen }),
  });
  const bootstrap = given ?? vault.config().coop.bootstrap;
  if (options.json)
    output.json({
      coop: coop.id.toString("hex"),
      name,
      device: vault.device.toString("hex"),
      bootstrap: bootstrap ?? null,
      listen: listen ?? vault.config().coop.listen ?? null,
    });
  else
    output.line(
      `A new coop ${name}, ${coop.id.toString("hex").slice(0, 16)}; its machines meet through ${describeBootstrap(bootstrap)}.`,
    );
}

function facts(member: Member, vault: Vault): Record<string, unknown> {
  return {
    device: member.device.toString("hex"),
    label: member.label,
    role: member.role === roles.admin ? "admin" : "member",
    vault: member.vault?.toString("hex") ?? null,
    own: member.vault?.equals(vault.id) ?? false,
    this: member.device.equals(vault.device),
    quota: member.quota,
  };
}

/** Labels are what others chose. */
function shown(label: string): string {
  return escapeForTerminal(Buffer.from(label));
}

function lines(members: readonly Member[], vault: Vault): string[] {
  return table(
    ["device", "label", "role", "vault", "offers", ""],
    members.map((member) => [
      member.device.toString("hex").slice(0, 16),
      shown(member.label),
      member.role === roles.admin ? "admin" : "member",
      member.vault === undefined
        ? ""
        : member.vault.equals(vault.id)
          ? "own"
          : member.vault.toString("hex").slice(0, 8),
      member.quota === 0n ? "" : formatSize(member.quota),
      member.device.equals(vault.device) ? "this machine" : "",
    ]),
    [4],
  );
}

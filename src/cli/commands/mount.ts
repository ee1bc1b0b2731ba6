import { join, resolve } from "node:path";
import type { Command } from "commander";
import type { Vault } from "../../vault/vault.js";
import { homeOf, type Invocation, peerAccess, withCommon } from "../invocation.js";

interface Options {
  readonly foreground?: boolean;
  readonly allowOther?: boolean;
  readonly json?: boolean;
}

const help = `
  hosts/HOST/FILESET/TIME/…    every revision; "latest" leads to the newest complete one
  ids/ID/…                     the same by id

Returns once the file system answers; new revisions appear by themselves. End it with "bcoopfs umount DIR".

Example:
  bcoopfs mount ~/past && ls ~/past/hosts/*/*/latest/`;

export function registerMount(program: Command, invocation: Invocation): void {
  withCommon(program.command("mount").argument("<dir>", "an empty folder"), { json: true })
    .description("show every revision as a read-only folder")
    .option("--foreground", "stay, print one line when ready, and end on Ctrl-C")
    .option("--allow-other", "let other users in, each with what the stored owners and modes allow")
    .addHelpText("after", help)
    .action((dir: string, options: Options, command: Command) => mount(dir, options, command, invocation));
  withCommon(program.command("umount").argument("<dir>", "where it is mounted"))
    .description("take a mount away; returns when its process is gone")
    .addHelpText("after", "\nExample:\n  bcoopfs umount ~/past")
    .action(async (dir: string) => {
      const { unmount } = await import("../../mount/mount.js");
      await unmount(resolve(dir), invocation.system);
    });
}

async function mount(dir: string, options: Options, command: Command, invocation: Invocation): Promise<void> {
  const { output, system, env } = invocation;
  const { asServer, serveUntilEnd, spawnServer } = await import("../../mount/server.js");
  const { checkMountpoint } = await import("../../mount/mount.js");
  const { openVault } = await import("../../vault/vault.js");
  const home = homeOf(command, env);
  const path = resolve(dir);
  if (!options.foreground) {
    const words = ["mount", path, "--foreground", "--home", home, ...(options.allowOther ? ["--allow-other"] : [])];
    await spawnServer(words, await logFile(home));
    if (options.json) output.json({ mounted: path });
    return;
  }
  await asServer(async () => {
    const vault = await openVault(home, system, (message) => output.note(`bcoopfs: ${message}`));
    let point: string;
    try {
      point = await checkMountpoint(path, home, await rootsOf(vault));
    } catch (error) {
      await vault.close();
      throw error;
    }
    const { joinPeers } = await import("../../host/peers.js");
    // The server is told to stop by its mount, and closes the vault when nothing reads any more.
    const leave = joinPeers(vault, peerAccess(vault, invocation));
    await serveUntilEnd(vault, point, { allowOther: options.allowOther === true }, leave, () => {
      if (options.json) output.json({ ready: point });
      else output.line(`ready ${point}`);
    });
  });
}

/** Where a server that nobody watches writes what it has to say, if this home has a place for it. */
async function logFile(home: string): Promise<string | undefined> {
  const { existsSync } = await import("node:fs");
  const { homeAt } = await import("../../store/home.js");
  const folder = homeAt(home).log;
  return existsSync(folder) ? join(folder, "mount.log") : undefined;
}

/** Everything that this device saves: no mount may stand on or above it. */
async function rootsOf(vault: Vault): Promise<string[]> {
  const { allRevisions } = await import("../../vault/revisions.js");
  const { rootsIn } = await import("../../format/revision-fields.js");
  const roots = new Set([...vault.config().filesets.values()].flatMap((fileset) => fileset.roots));
  for (const revision of allRevisions(vault.store.catalogue))
    if (revision.device.equals(vault.device))
      for (const root of rootsIn(revision.fields) ?? []) roots.add(root.toString("utf8"));
  return [...roots];
}

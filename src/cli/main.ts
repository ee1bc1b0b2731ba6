/**
 * The command line: words in, an exit status out. Each command lives in a file of its own and loads what it needs
 * when it runs, so that `version` does not wait for the store.
 * @module
 */
import { Command, CommanderError } from "commander";
import { exitCodeOf, Problem } from "../base/errors.js";
import { realSystem } from "../base/system.js";
import { registerBootstrap } from "./commands/bootstrap.js";
import { registerCheck } from "./commands/check.js";
import { registerCoop } from "./commands/coop.js";
import { registerDaemon } from "./commands/daemon.js";
import { registerDevice } from "./commands/device.js";
import { registerFileset } from "./commands/fileset.js";
import { registerInit } from "./commands/init.js";
import { registerJoin } from "./commands/join.js";
import { registerLook } from "./commands/look.js";
import { registerMount } from "./commands/mount.js";
import { registerPeers } from "./commands/peers.js";
import { registerRecover } from "./commands/recover.js";
import { registerRepair } from "./commands/repair.js";
import { registerRestore } from "./commands/restore.js";
import { registerRevisions } from "./commands/revisions.js";
import { registerSnapshot } from "./commands/snapshot.js";
import { registerStatus } from "./commands/status.js";
import { registerSync } from "./commands/sync.js";
import { registerVersion, versionText } from "./commands/version.js";
import type { Invocation } from "./invocation.js";
import { dataStream, Output } from "./output.js";

const closing = `
Begin with "bcoopfs init", then "bcoopfs snapshot FOLDER/" and "bcoopfs mount DIR". Machines keep each other's data
after "bcoopfs coop create" and "coop invite" on the first, "join" on the others, and "daemon" or "sync" on all.
Exit: 0 done, 1 failed, 2 wrong usage or config, 3 partial, 4 refused, 10 no vault, 11 busy, 12 wrong phrase,
20 too few copies, 21 damage, 130 interrupted. The manual is docs/manual.md.`;

/** Run one command line (without the program's name) and give its exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  const output = new Output(dataStream(process.stdout, 1), process.stderr);
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  const invocation: Invocation = { output, system: realSystem, stop: stop.signal, env: process.env, exit: 0 };
  try {
    await programOf(invocation).parseAsync([...argv], { from: "user" });
    return await output.finished(invocation.exit);
  } catch (error) {
    return await output.finished(report(error, output));
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}

/** All commands, for running and for the tests that hold help and manual together. */
export function programOf(invocation: Invocation): Command {
  const program = new Command("bcoopfs");
  program
    .description("Encrypted, deduplicated backup: every revision is a folder that you can mount and copy from.")
    .option("--home <dir>", "where this machine's state lies (default: $BCOOPFS_HOME, or the system's place for data)")
    .addHelpText("after", closing)
    .showSuggestionAfterError(true)
    .exitOverride()
    .version(`bcoopfs ${versionText()}`, "-V, --version", "print the version")
    .configureOutput({
      writeOut: (text) => invocation.output.data(text),
      writeErr: (text) => invocation.output.note(text.trimEnd()), // help that nobody asked for
      outputError: () => {}, // said by `report`
    });
  for (const register of [
    registerInit,
    registerFileset,
    registerSnapshot,
    registerRevisions,
    registerLook,
    registerMount,
    registerRestore,
    registerCheck,
    registerRepair,
    registerCoop,
    registerJoin,
    registerSync,
    registerDaemon,
    registerPeers,
    registerDevice,
    registerRecover,
    registerBootstrap,
    registerStatus,
    registerVersion,
  ])
    register(program, invocation);
  // Settings of the program hold for each command only when each is told.
  const inherit = (command: Command): void => {
    for (const child of command.commands) {
      child.copyInheritedSettings(program);
      inherit(child);
    }
  };
  inherit(program);
  return program;
}

/** Say what went wrong in one line; returns the exit status. */
function report(error: unknown, output: Output): number {
  if (error instanceof CommanderError) {
    if (error.code === "commander.helpDisplayed" || error.code === "commander.version") return 0;
    // A group without its command has shown its help; "help" itself ends in the same way, with exit code 0.
    if (error.code === "commander.help") return error.exitCode === 0 ? 0 : exitCodeOf("usage");
    const says = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
    const hint = error.code === "commander.unknownCommand" && !says.endsWith(")") ? '; "bcoopfs --help" lists all' : "";
    output.error(`${says}${hint}`);
    return exitCodeOf("usage");
  }
  if (error instanceof Problem) {
    output.error(error.message);
    return exitCodeOf(error.code);
  }
  // Not foreseen: a bug of ours. One line for the user, the trace for whoever mends it.
  output.error(
    `internal error: ${error instanceof Error ? error.message : String(error)}; please report it with the lines below`,
  );
  output.note(error instanceof Error ? (error.stack ?? "") : "");
  return 1;
}

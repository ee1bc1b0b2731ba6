import { existsSync, unlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { Problem } from "../../base/errors.js";
import { checkName, parseSize } from "../../base/units.js";
import { homeOf, type Invocation, withCommon } from "../invocation.js";

interface Options {
  readonly host?: string;
  readonly phraseFile?: string;
  readonly chunkAverage?: string;
  readonly json?: boolean;
}

const help = `
The recovery phrase (24 words) is the only key to everything after a total loss. Write it down and keep it away from
this machine: whoever has it can read all your backups, and nobody can bring them back without it.

Examples:
  bcoopfs init                                  shows the phrase once, on the terminal
  bcoopfs init --phrase-file /media/key/phrase  writes it to a new file, readable by you alone`;

export function registerInit(program: Command, invocation: Invocation): void {
  withCommon(program.command("init").description("make a new vault and device on this machine"), { json: true })
    .option("--host <name>", "name of this machine in revisions (default: the host name up to its first dot)")
    .option("--phrase-file <file>", "write the recovery phrase to this new file (0600) instead of the terminal")
    .option(
      "--chunk-average <size>",
      "average size of chunks, a power of two of 16K to 1M (default: 32K); fixed for ever",
    )
    .addHelpText("after", help)
    .action((options: Options, command: Command) => init(options, command, invocation));
}

async function init(options: Options, command: Command, { output, system, env }: Invocation): Promise<void> {
  const { createVault, defaultHost } = await import("../../vault/vault.js");
  const { checkFreeHome } = await import("../../vault/new-home.js");
  const { phraseOf, validAverage } = await import("../../format/keys.js");
  const { createFile } = await import("../../store/home.js");
  const host = options.host === undefined ? defaultHost() : checkName("host", options.host);
  const average = Number(parseSize(options.chunkAverage ?? "32K"));
  if (!validAverage(average))
    throw new Problem("usage", `--chunk-average ${options.chunkAverage}: expected a power of two of 16K to 1M`);
  const home = homeOf(command, env);
  const file = options.phraseFile === undefined ? undefined : resolve(options.phraseFile);
  checkFreeHome(home);
  if (file === undefined && !output.dataToTerminal)
    throw new Problem(
      "usage",
      "there is no terminal to show the recovery phrase on; use --phrase-file F to have it written to a new file",
    );
  if (file !== undefined && existsSync(file))
    throw new Problem("refused", `${file} exists already and is not overwritten; name a new file with --phrase-file`);
  const entropy = system.random(32);
  const phrase = phraseOf(entropy);
  // The phrase is safe before anything is sealed under it.
  if (file !== undefined) createFile(file, `${phrase}\n`);
  let made: ReturnType<typeof createVault>;
  try {
    made = createVault(home, host, average, entropy, system);
  } catch (error) {
    // A phrase that opens nothing would only mislead. A vault of somebody else's may have come in between.
    const others = error instanceof Problem && (error.code === "busy" || error.code === "refused");
    if (file !== undefined && (others || !existsSync(join(home, "vault.key")))) unlinkSync(file);
    throw error;
  }
  const facts = {
    vault: made.vault.toString("hex"),
    device: made.device.toString("hex"),
    phrase_file: file ?? null,
    home,
    host,
  };
  if (options.json) output.json(facts);
  else output.line(`A new vault for ${host} in ${home}.`);
  if (file === undefined) output.line(showPhrase(phrase));
  else if (!options.json)
    output.line(
      `The recovery phrase is in ${file}: write it down, keep it away from this machine, then delete the file.`,
    );
}

function showPhrase(phrase: string): string {
  const words = phrase.split(" ");
  const rows = Array.from({ length: 6 }, (_, row) =>
    words
      .slice(row * 4, row * 4 + 4)
      .map((word, i) => `${String(row * 4 + i + 1).padStart(4)}. ${word.padEnd(10)}`)
      .join(""),
  );
  return `\nThe recovery phrase, shown this once. Write it down and keep it away from this machine:\n\n${rows.join("\n")}\n`;
}

import { resolve } from "node:path";
import type { Command } from "commander";
import { Problem } from "../../base/errors.js";
import { checkName, didYouMean, escapeForTerminal } from "../../base/units.js";
import type { FilesetConfig } from "../../vault/config.js";
import type { Vault } from "../../vault/vault.js";
import { type Invocation, rawArguments, withCommon, withVault } from "../invocation.js";

interface AddOptions {
  readonly root: string[];
  readonly include?: string[];
  readonly exclude?: string[];
  readonly excludeFile?: string;
  readonly oneFileSystem?: boolean;
}

const addHelp = `
Patterns are those of .gitignore: "*.o" at any depth, "cache/" folders only, "/home/ann/tmp" one absolute place,
"!keep.o" takes back. Includes come first, then excludes, and excludes win.

Example:
  bcoopfs fileset add home --root /home/ann --root /etc --exclude '*.o' --exclude '**/.cache/'`;

export function registerFileset(program: Command, invocation: Invocation): void {
  const fileset = program
    .command("fileset")
    .description("define what is saved; the definitions stand in config.toml")
    .addHelpText("after", "\nExamples:\n  bcoopfs fileset add docs --root ~/Documents\n  bcoopfs fileset ls");
  withCommon(fileset.command("add").argument("<name>"))
    .description("add a fileset")
    .requiredOption("--root <path...>", "a folder or file to save; may be given several times")
    .option("--include <pattern...>", "save only what matches")
    .option("--exclude <pattern...>", "leave out what matches")
    .option("--exclude-file <file>", "leave out what the patterns in this file match, one a line")
    .option("--one-file-system", "do not enter other file systems mounted below a root")
    .addHelpText("after", addHelp)
    .action((name: string, options: AddOptions, command: Command) =>
      withVault(command, invocation, async (vault) => add(vault, name, options, invocation)),
    );
  withCommon(fileset.command("ls"), { json: true })
    .description("list filesets")
    .addHelpText("after", "\nExample:\n  bcoopfs fileset ls")
    .action((options: { json?: boolean }, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const all = [...vault.config().filesets.values()];
        if (options.json) invocation.output.json(all.map(facts));
        else if (all.length === 0) invocation.output.note('No filesets yet; add one with "bcoopfs fileset add".');
        else
          for (const one of all)
            invocation.output.line(`${one.name}${one.enabled ? "" : " (disabled)"}: ${one.roots.join(" ")}`);
      }),
    );
  withCommon(fileset.command("show").argument("<name>"), { json: true })
    .description("show one fileset")
    .addHelpText("after", "\nExample:\n  bcoopfs fileset show home")
    .action((name: string, options: { json?: boolean }, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const one = known(vault, name);
        if (options.json) invocation.output.json(facts(one));
        else for (const line of described(one)) invocation.output.line(line);
      }),
    );
  withCommon(fileset.command("rm").argument("<name>"))
    .description("remove a fileset's definition; its revisions stay")
    .addHelpText("after", "\nExample:\n  bcoopfs fileset rm home")
    .action((name: string, _options: unknown, command: Command) =>
      withVault(command, invocation, async (vault) => {
        const { removeFileset } = await import("../../vault/config-edit.js");
        const { editConfig } = await import("../../vault/config-file.js");
        known(vault, name);
        editConfig(vault.home, (text) => removeFileset(text, name));
      }),
    );
}

async function add(vault: Vault, name: string, options: AddOptions, { output }: Invocation): Promise<void> {
  const { addFileset } = await import("../../vault/config-edit.js");
  const { editConfig } = await import("../../vault/config-file.js");
  const { readExcludeFile, realRoot, usedFilesetId } = await import("../../capture/jobs.js");
  checkName("fileset", name);
  if (vault.config().filesets.has(name))
    throw new Problem("usage", `there is a fileset ${name} already; remove it first, or choose another name`);
  const roots = rawArguments(options.root).map((root) =>
    textOf(realRoot(root), 'save it with "bcoopfs snapshot ./PATH"'),
  );
  const patterns = (words: readonly string[] = []): string[] =>
    rawArguments(words).map((word) => textOf(Buffer.from(word as string), "match it with * or ? instead"));
  const given = options.excludeFile === undefined ? [] : rawArguments([options.excludeFile]);
  const [excludeFile] = given.map((file) => resolve(textOf(Buffer.from(file as string), "rename it")));
  if (excludeFile !== undefined) readExcludeFile(excludeFile);
  // A path that was saved under this name before goes on from its history.
  const id = (usedFilesetId(vault, name) ?? vault.system.random(16)).toString("hex");
  editConfig(vault.home, (text) =>
    addFileset(text, {
      name,
      id,
      roots,
      include: patterns(options.include),
      exclude: patterns(options.exclude),
      ...(excludeFile === undefined ? {} : { excludeFile }),
      ...(options.oneFileSystem ? { oneFileSystem: true } : {}),
    }),
  );
  output.note(`Added fileset ${name}: ${roots.join(" ")}`);
}

/** What can stand in config.toml, which is UTF-8. */
function textOf(bytes: Buffer, instead: string): string {
  const text = bytes.toString("utf8");
  if (Buffer.from(text, "utf8").equals(bytes)) return text;
  throw new Problem("usage", `${escapeForTerminal(bytes)} is not UTF-8 and cannot stand in config.toml; ${instead}`);
}

function known(vault: Vault, name: string): FilesetConfig {
  const filesets = vault.config().filesets;
  const found = filesets.get(name);
  if (found) return found;
  const near = didYouMean(name, filesets.keys());
  throw new Problem(
    "unknown-fileset",
    `no fileset ${name} in config.toml${near ? `; did you mean ${near}?` : '; "bcoopfs fileset ls" lists them'}`,
  );
}

function facts(one: FilesetConfig): Record<string, unknown> {
  return {
    name: one.name,
    id: one.id ?? null,
    roots: one.roots,
    include: one.include,
    exclude: one.exclude,
    exclude_file: one.excludeFile ?? null,
    one_file_system: one.oneFileSystem,
    enabled: one.enabled,
  };
}

function described(one: FilesetConfig): string[] {
  const list = (label: string, values: readonly string[]): string[] =>
    values.map((value) => `${label.padEnd(16)}${value}`);
  return [
    ...list("name", [one.name]),
    ...list("root", one.roots),
    ...list("include", one.include),
    ...list("exclude", one.exclude),
    ...list("exclude_file", one.excludeFile === undefined ? [] : [one.excludeFile]),
    ...list("one_file_system", one.oneFileSystem ? ["yes"] : []),
    ...list("enabled", [one.enabled ? "yes" : "no"]),
  ];
}

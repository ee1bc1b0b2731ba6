import type { Command } from "commander";
import { escapeForTerminal, formatTimeUtc } from "../../base/units.js";
import type { Entry } from "../../format/entry.js";
import type { Listed } from "../../recall/look.js";
import type { Vault } from "../../vault/vault.js";
import type { View } from "../../vault/view.js";
import { type Invocation, rawArgument, withCommon, withReading } from "../invocation.js";
import { jsonName, jsonText } from "../json.js";
import { type Output, plural } from "../output.js";

interface LsOptions {
  readonly long?: boolean;
  readonly recursive?: boolean;
  readonly print0?: boolean;
  readonly json?: boolean;
}

export function registerLook(program: Command, invocation: Invocation): void {
  withCommon(program.command("ls").argument("<rev[:path]>", "a revision, and a path in it"), { json: true })
    .description("list what a revision holds: all of it, or what lies in one folder")
    .option("-l, --long", "with mode, owner, size and time")
    .option("-R, --recursive", "with everything below the folder")
    .option("-0, --print0", "end each path with a NUL byte instead of a newline")
    .addHelpText("after", "\nExamples:\n  bcoopfs ls home@latest\n  bcoopfs ls -l 3f2a91:/home/ann")
    .action((text: string, options: LsOptions, command: Command) =>
      withReading(command, invocation, (vault) => list(vault, text, options, invocation)),
    );
  withCommon(program.command("cat").argument("<rev:path>", "a file in a revision"))
    .description("write a file's contents to stdout")
    .addHelpText("after", "\nExample:\n  bcoopfs cat home@latest:/home/ann/notes.txt")
    .action((text: string, _options: unknown, command: Command) =>
      withReading(command, invocation, async (vault) => {
        const { catFile } = await import("../../recall/look.js");
        const { view, path } = await viewOf(vault, text, invocation.output);
        for await (const bytes of catFile(view, path ?? []))
          if (!(await invocation.output.stream(bytes, invocation.stop))) return;
      }),
    );
}

/** The revision that a reference names, as a view, and the path behind it. */
export async function viewOf(
  vault: Vault,
  text: string,
  output: Output,
): Promise<{ view: View; path: readonly Buffer[] | undefined }> {
  const { allRevisions, byAge, findRevision, parseReference } = await import("../../vault/revisions.js");
  const { MetadataCache, View } = await import("../../vault/view.js");
  const reference = parseReference(rawArgument(text));
  const revision = findRevision(vault.store.catalogue, reference.revision);
  if (reference.revision.endsWith("@latest")) {
    let newer = 0;
    for (const other of allRevisions(vault.store.catalogue))
      if (byAge(other, revision) > 0 && other.fileset.equals(revision.fileset)) newer++;
    if (newer > 0)
      output.note(
        `note: ${plural(newer, "newer revision")} of ${revision.filesetName} ${newer === 1 ? "is" : "are"} partial; this is the newest complete one`,
      );
  }
  return {
    view: new View(revision.root, new MetadataCache(vault.store.reader), revision.rootHint),
    path: reference.path,
  };
}

async function list(vault: Vault, text: string, options: LsOptions, { output, stop }: Invocation): Promise<void> {
  const { listFolder } = await import("../../recall/look.js");
  const { view, path } = await viewOf(vault, text, output);
  const recursive = options.recursive === true || path === undefined;
  let first = true;
  for await (const listed of listFolder(view, path ?? [], { recursive })) {
    const text = options.json
      ? Buffer.from(`${first ? "[" : ","}${jsonText(facts(listed))}`)
      : lineOf(listed, options, output.dataToTerminal);
    if (!(await output.stream(text, stop))) return;
    first = false;
  }
  if (options.json) output.line(first ? "[]" : "]");
}

function lineOf({ path, entry }: Listed, options: LsOptions, terminal: boolean): Buffer {
  const shown = terminal && !options.print0 ? Buffer.from(escapeForTerminal(path)) : path;
  const target =
    options.long && entry.target
      ? Buffer.concat([Buffer.from(" -> "), terminal ? Buffer.from(escapeForTerminal(entry.target)) : entry.target])
      : Buffer.alloc(0);
  const end = Buffer.from(options.print0 ? "\0" : "\n");
  return Buffer.concat([Buffer.from(options.long ? `${longPart(entry)} ` : ""), shown, target, end]);
}

const letters = { file: "-", folder: "d", symlink: "l", fifo: "p", socket: "s", char: "c", block: "b" } as const;

function longPart(entry: Entry): string {
  const size = entry.kind === "char" || entry.kind === "block" ? `${entry.major}, ${entry.minor}` : String(entry.size);
  return `${modeText(entry)} ${String(entry.links).padStart(3)} ${String(entry.uid).padStart(5)} ${String(entry.gid).padStart(5)} ${size.padStart(12)} ${formatTimeUtc(entry.mtimeNs).slice(0, 19)}Z`;
}

/** As ls(1) writes it: -rwsr-xr-t */
export function modeText({ kind, mode }: Pick<Entry, "kind" | "mode">): string {
  const bits = [...Array(9)].map((_, i) => (mode & (0o400 >> i) ? ("rwx"[i % 3] as string) : "-"));
  const special = (at: number, bit: number, letter: string): void => {
    if (mode & bit) bits[at] = bits[at] === "-" ? letter.toUpperCase() : letter;
  };
  special(2, 0o4000, "s");
  special(5, 0o2000, "s");
  special(8, 0o1000, "t");
  return letters[kind] + bits.join("");
}

function facts({ path, entry }: Listed): Record<string, unknown> {
  const whole = jsonName(path);
  return {
    path: whole.name,
    ...(whole.name_b64 === undefined ? {} : { path_b64: whole.name_b64 }),
    ...jsonName(entry.name),
    type: entry.kind === "folder" ? "dir" : entry.kind,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    size: entry.size,
    mtime: formatTimeUtc(entry.mtimeNs),
    ...(entry.target === undefined ? {} : { target: jsonName(entry.target).name }),
    flags: entry.flags,
  };
}

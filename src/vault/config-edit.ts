/**
 * Edits of config.toml as pure text: one fileset's table comes or goes, every other byte stays. Both edits read their
 * result again and compare it with what was meant, so a text that they return is a valid config.
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { Problem } from "../base/errors.js";
import { didYouMean } from "../base/units.js";
import { type Config, headerOf, layoutOf, parseConfig, type Span } from "./config.js";

/** What `addFileset` writes; a key that is left out is not written, so [defaults] holds for it. */
export interface NewFileset {
  readonly name: string;
  /** 32 random hex digits. */
  readonly id: string;
  /** Absolute paths. One that is not valid UTF-8 cannot stand in TOML: the caller finds that out before it decodes. */
  readonly roots: readonly string[];
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly excludeFile?: string;
  readonly oneFileSystem?: boolean;
  readonly enabled?: boolean;
}

/**
 * The text with a table for the fileset at its end, after one empty line, with the line ends that the text has.
 * Problem("usage") where the name is taken or the fileset is not valid, Problem("config") where the text is not.
 */
export function addFileset(text: string, fileset: NewFileset): string {
  const before = parseConfig(text);
  const taken = before.filesets.get(fileset.name);
  if (taken) throw new Problem("usage", `fileset "${fileset.name}" stands already in config.toml:${taken.line}`);
  const table = tableText(fileset);
  checkInput(table);
  const eol = /^[^\n]*\r\n/.test(text) ? "\r\n" : "\n";
  const separator = text.replace("\uFEFF", "") === "" ? "" : text.endsWith("\n") ? eol : eol + eol;
  const result = text + separator + table.replaceAll("\n", eol);
  let after: Config;
  try {
    after = parseConfig(result);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const why = withoutPlace(error.message);
    throw new Problem("usage", `cannot add ${headerOf(fileset.name)}: ${why} (filesets must stand in own [tables])`);
  }
  const { name, id, ...given } = fileset;
  const written = after.filesets.get(name);
  const meant = { ...written, ...definedOf(given), name, id };
  if (!isDeepStrictEqual(written, meant) || !sameWithout(before, after, name))
    throw new Error(`adding fileset ${name} to config.toml changed something else`);
  return result;
}

/**
 * The text without the fileset's table. With it go: the comment lines directly above its header and directly below its
 * last key (no empty line between; below, not where they lead on to the next header, to which they then belong), and
 * one of two empty lines that would meet (each other or an end of the file). Undoes `addFileset` byte for byte where
 * the text ended in a newline. Problem("unknown-fileset") where there is none, Problem("config") where it is not
 * written as a table of its own.
 */
export function removeFileset(text: string, name: string): string {
  const before = parseConfig(text);
  const fileset = before.filesets.get(name);
  if (!fileset) {
    const guess = didYouMean(name, before.filesets.keys());
    const hint = guess === undefined ? "" : `; did you mean "${guess}"?`;
    throw new Problem("unknown-fileset", `config.toml has no fileset ${JSON.stringify(name)}${hint}`);
  }
  const { tables, comments } = layoutOf(text);
  const table = tables.find(({ key }) => key.length === 2 && key[0] === "fileset" && key[1] === name);
  if (!table)
    throw new Problem(
      "config",
      `config.toml:${fileset.line}: fileset "${name}" is not written as a ${headerOf(name)} table; edit it by hand`,
    );
  const { start, end } = spanToRemove(linesOf(text, tables, comments), table);
  const result = text.slice(0, start) + text.slice(end);
  const after = parseConfig(result);
  if (after.filesets.has(name) || !sameWithout(before, after, name))
    throw new Error(`removing fileset ${name} from config.toml changed something else`);
  return result;
}

type LineKind = "blank" | "comment" | "header" | "other";

/** A whole line, newline included. */
interface Line extends Span {
  readonly kind: LineKind;
}

/** A byte order mark belongs to no line. What looks like a comment or header within a long string is `other`. */
function linesOf(text: string, headers: readonly Span[], comments: readonly Span[]): Line[] {
  const headerStarts = new Set(headers.map(({ start }) => start));
  const commentStarts = new Set(comments.map(({ start }) => start));
  const lines: Line[] = [];
  for (let start = text.startsWith("\uFEFF") ? 1 : 0; start < text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline + 1;
    let first = start;
    while (first < end && " \t\r\n".includes(text[first] as string)) first++;
    const kind =
      first === end ? "blank" : headerStarts.has(first) ? "header" : commentStarts.has(first) ? "comment" : "other";
    lines.push({ start, end, kind });
    start = end;
  }
  return lines;
}

/** What `removeFileset` takes out; its docstring states the rule. */
function spanToRemove(lines: readonly Line[], table: Span): Span {
  const kindAt = (line: number): LineKind | undefined => lines[line]?.kind;
  let first = lines.findIndex(({ end }) => table.start < end);
  let next = lines.findIndex(({ end }) => table.end <= end) + 1;
  while (kindAt(first - 1) === "comment") first--;
  let below = next;
  while (kindAt(below) === "comment") below++;
  if (kindAt(below) !== "header") next = below;
  if (kindAt(next) === "blank" && (first === 0 || kindAt(first - 1) === "blank")) next++;
  else if (next === lines.length && kindAt(first - 1) === "blank") first--;
  return { start: (lines[first] as Line).start, end: (lines[next - 1] as Line).end };
}

/** The same defaults and filesets, but for the named one; lines may differ. */
function sameWithout(a: Config, b: Config, name: string): boolean {
  const others = ({ defaults, coop, filesets }: Config): unknown => [
    defaults,
    coop,
    [...filesets.values()].filter((fileset) => fileset.name !== name).map((fileset) => ({ ...fileset, line: 0 })),
  ];
  return isDeepStrictEqual(others(a), others(b));
}

/** A fileset that is no good is the fault of who gave it, not of config.toml. */
function checkInput(table: string): void {
  try {
    parseConfig(table);
  } catch (error) {
    if (error instanceof Problem) throw new Problem("usage", withoutPlace(error.message));
    throw error;
  }
}

function withoutPlace(message: string): string {
  return message.replace(/^config\.toml:\d+: /, "");
}

function definedOf(given: object): object {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function tableText(fileset: NewFileset): string {
  const { name, id, roots, include, exclude, excludeFile, oneFileSystem, enabled } = fileset;
  const lines = [headerOf(name), `id = ${tomlString(id)}`, `roots = ${tomlList(roots)}`];
  if (include !== undefined) lines.push(`include = ${tomlList(include)}`);
  if (exclude !== undefined) lines.push(`exclude = ${tomlList(exclude)}`);
  if (excludeFile !== undefined) lines.push(`exclude_file = ${tomlString(excludeFile)}`);
  if (oneFileSystem !== undefined) lines.push(`one_file_system = ${oneFileSystem}`);
  if (enabled !== undefined) lines.push(`enabled = ${enabled}`);
  return `${lines.join("\n")}\n`;
}

/** On one line, or one element a line where that would be long. */
export function tomlList(texts: readonly string[]): string {
  const short = `[${texts.map(tomlString).join(", ")}]`;
  return short.length <= 80 ? short : `[\n${texts.map((text) => `  ${tomlString(text)},\n`).join("")}]`;
}

const tomlEscapes: ReadonlyMap<string, string> = new Map(
  Object.entries({ "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\" }),
);

/** A basic string. Escaped are quote, backslash, control characters, and what is invisible or reorders text (bidi). */
export function tomlString(text: string): string {
  if (/\p{Cs}/u.test(text)) throw new Problem("usage", "a text that is not valid Unicode cannot stand in config.toml");
  const escaped = text.replace(/["\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16).toUpperCase();
    return tomlEscapes.get(character) ?? (hex.length > 4 ? `\\U${hex.padStart(8, "0")}` : `\\u${hex.padStart(4, "0")}`);
  });
  return `"${escaped}"`;
}

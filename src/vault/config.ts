/**
 * config.toml: text in, typed filesets out. Nothing is ignored: an unknown key or table, a wrong type, a bad name, root
 * or pattern is a Problem("config") of one line that begins with `config.toml:LINE:`. Reads no files.
 *
 *   [defaults]             what each fileset takes for a key that it leaves out; a list is replaced, never merged
 *   exclude = ["*.o"]
 *   [fileset.home]
 *   id = "32 hex digits"   random, written by `fileset add`; never in [defaults]
 *   roots = ["/home/ann"]  absolute; at least one, here or in [defaults]
 *   [coop]
 *   bootstrap = ["10.0.0.5:49737"]
 * @module
 */
import type { AST } from "toml-eslint-parser";
import { ParseError, parseTOML } from "toml-eslint-parser";
import { Problem } from "../base/errors.js";
import { didYouMean, faultInAddress, isName } from "../base/units.js";
import { faultInPatterns } from "./pattern.js";

export interface FilesetConfig {
  readonly name: string;
  /**
   * 32 hex digits. Undefined in a fileset that was written by hand without one: the caller then derives an id from the
   * device and the name, so that the history stays with the name; `fileset add` writes a random one.
   */
  readonly id: string | undefined;
  /** Absolute paths as written (no realpath taken), at least one. TOML is UTF-8, so other paths cannot stand here. */
  readonly roots: readonly string[];
  /** Pattern texts, each checked. Empty: everything is included. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Absolute path of a file of further exclude patterns, which count after `exclude`. */
  readonly excludeFile?: string;
  readonly oneFileSystem: boolean;
  readonly enabled: boolean;
  /** Where its table begins, counted from 1. */
  readonly line: number;
}

/** What [defaults] says, no more. */
export type Defaults = Partial<Omit<FilesetConfig, "name" | "id" | "line">>;

/** What [coop] says: how others are met. */
export interface CoopConfig {
  /** HOST:PORT of bootstrap nodes, at least one; without it the public DHT is used */
  readonly bootstrap?: readonly string[];
  /** HOST or HOST:PORT to take connections on */
  readonly listen?: string;
}

export interface Config {
  /** In the order of the file. */
  readonly filesets: ReadonlyMap<string, FilesetConfig>;
  readonly defaults: Defaults;
  readonly coop: CoopConfig;
}

/** Reads the whole text of config.toml. */
export function parseConfig(text: string): Config {
  let defaults: Defaults = {};
  let coop: CoopConfig = {};
  const written: [name: string, table: Table][] = [];
  for (const [key, item] of treeOf(text).entries) {
    if (key === "defaults") {
      const table = tableAt(item, "[defaults]");
      const { id, ...rest } = readSettings(table, "[defaults]");
      if (id !== undefined) throw at(table.entries.get("id"), "id belongs to one fileset, not in [defaults]");
      defaults = rest;
    } else if (key === "fileset") {
      for (const [name, fileset] of tableAt(item, "[fileset.NAME]").entries) {
        if (!isName(name))
          throw at(fileset, `bad fileset name ${show(name)}: 1–64 of A-Z a-z 0-9 . _ -, first a letter or digit`);
        written.push([name, tableAt(fileset, headerOf(name))]);
      }
    } else if (key === "coop") coop = readCoop(tableAt(item, "[coop]"));
    else if (key === "store") throw at(item, "table [store.NAME] is not supported by this version");
    else if (item.table) throw unknown(item, `table [${show(key, false)}]`, key, ["defaults", "fileset", "coop"], "[]");
    else throw at(item, `key ${show(key)} stands outside of [defaults], [coop] and [fileset.NAME]`);
  }
  const filesets = new Map<string, FilesetConfig>();
  const names = new Map<string, string>();
  for (const [name, table] of written) {
    const settings = { include: [], exclude: [], oneFileSystem: false, enabled: true, ...defaults };
    const { id, ...own } = readSettings(table, headerOf(name));
    const { roots } = { ...defaults, ...own };
    if (!roots) throw at(table, `${headerOf(name)} has no roots; write roots = ["/some/folder"]`);
    const other = id === undefined ? undefined : names.get(id);
    if (other !== undefined)
      throw at(table.entries.get("id"), `filesets ${show(other)} and ${show(name)} have the same id`);
    if (id !== undefined) names.set(id, name);
    filesets.set(name, { name, id, ...settings, ...own, roots, line: table.line });
  }
  return { filesets, defaults, coop };
}

/** The header of a fileset's table; a name with a dot must be quoted there. */
export function headerOf(name: string): string {
  return `[fileset.${/^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name)}]`;
}

/** Where a `[table]` and a comment lie in the text: offsets in UTF-16 units, `end` after the last character. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A table that has a header of its own: `start` at the `[`, `end` behind its last key. */
export interface TableSpan extends Span {
  readonly key: readonly string[];
  readonly entries: readonly (Span & { readonly key: readonly string[] })[];
}

/** The tables that have a header of their own, with what stands in them, and the comments, in order. */
export function layoutOf(text: string): { readonly tables: readonly TableSpan[]; readonly comments: readonly Span[] } {
  const { program, shift } = parse(text);
  const span = ({ range }: AST.TOMLNode | AST.Comment): Span => ({ start: range[0] + shift, end: range[1] + shift });
  const tables = program.body[0].body.filter((node) => node.type === "TOMLTable");
  return {
    tables: tables.map((node) => ({
      ...span(node),
      key: node.key.keys.map(keyText),
      entries: node.body.map((entry) => ({ ...span(entry), key: entry.key.keys.map(keyText) })),
    })),
    comments: program.comments.map(span),
  };
}

// ------------------------------------------------------------------------------------------------------ the keys

type Settings = Defaults & { readonly id?: string };

/** Each key that this version knows, and how its value is read. */
const readers: Readonly<Record<string, (item: Item, key: string) => Settings>> = {
  id: (item, key) => {
    const id = stringAt(item, key);
    if (!/^[0-9a-f]{32}$/.test(id)) throw at(item, "id must be 32 hex digits (0-9 a-f)");
    return { id };
  },
  roots: (item, key) => {
    const { texts, items } = stringsAt(item, key);
    if (texts.length === 0) throw at(item, "roots must name at least one folder or file");
    for (const [i, root] of texts.entries()) checkPath(root, items[i] as Item, "root");
    return { roots: texts };
  },
  include: (item, key) => ({ include: patternsAt(item, key, "include") }),
  exclude: (item, key) => ({ exclude: patternsAt(item, key, "exclude") }),
  exclude_file: (item, key) => {
    const excludeFile = stringAt(item, key);
    checkPath(excludeFile, item, "exclude_file");
    return { excludeFile };
  },
  one_file_system: (item, key) => ({ oneFileSystem: booleanAt(item, key) }),
  enabled: (item, key) => ({ enabled: booleanAt(item, key) }),
};

/** Keys that later versions read. Until then they must not look as if they did something. */
const laterKeys: ReadonlySet<string> = new Set(
  (
    "copies min_copies importance schedule before after max_deleted keep_last keep_hourly keep_daily keep_weekly " +
    "keep_monthly keep_yearly keep_within dedup_with"
  ).split(" "),
);

function readSettings(table: Table, header: string): Settings {
  let settings: Settings = {};
  for (const [key, item] of table.entries) {
    if (laterKeys.has(key)) throw at(item, `key "${key}" in ${header} is not supported by this version`);
    if (!Object.hasOwn(readers, key))
      throw unknown(item, `key ${show(key)} in ${header}`, key, Object.keys(readers), '""');
    settings = { ...settings, ...readers[key]?.(item, key) };
  }
  return settings;
}

const laterCoopKeys: ReadonlySet<string> = new Set(
  "beacon lost_after grace limit_upload limit_download keep".split(" "),
);

function readCoop(table: Table): CoopConfig {
  let coop: CoopConfig = {};
  for (const [key, item] of table.entries) {
    if (laterCoopKeys.has(key)) throw at(item, `key "${key}" in [coop] is not supported by this version`);
    if (key === "bootstrap") coop = { ...coop, bootstrap: addressesAt(item) };
    else if (key === "listen") {
      const listen = stringAt(item, key);
      const fault = faultInAddress(listen.includes(":") ? listen : `${listen}:1`);
      if (fault !== undefined) throw at(item, `listen = ${show(listen)}: write "HOST" or "HOST:PORT"`);
      coop = { ...coop, listen };
    } else throw unknown(item, `key ${show(key)} in [coop]`, key, ["bootstrap", "listen"], '""');
  }
  return coop;
}

function addressesAt(item: Item): readonly string[] {
  const { texts, items } = stringsAt(item, "bootstrap");
  if (texts.length === 0)
    throw at(item, "bootstrap must name at least one node; without the key the public DHT is used");
  for (const [i, text] of texts.entries()) {
    const fault = faultInAddress(text);
    if (fault !== undefined) throw at(items[i], `bootstrap node ${show(text)}: ${fault}`);
  }
  return texts;
}

function checkPath(path: string, item: Item, what: string): void {
  if (!path.startsWith("/")) throw at(item, `${what} ${show(path)} is not an absolute path`);
  if (path.includes("\0")) throw at(item, `${what} ${show(path)} holds a NUL`);
}

function patternsAt(item: Item, key: string, list: "include" | "exclude"): readonly string[] {
  const { texts, items } = stringsAt(item, key);
  const fault = faultInPatterns(texts, list);
  if (fault) throw at(items[fault.index], `bad pattern ${show(texts[fault.index] as string)} in ${list}: ${fault.why}`);
  return texts;
}

function stringAt({ value, line }: Item, key: string): string {
  if (value?.type === "TOMLValue" && value.kind === "string") return value.value;
  throw at({ line }, `${key} must be a string in quotes, not ${kindOf(value)}`);
}

function booleanAt({ value, line }: Item, key: string): boolean {
  if (value?.type === "TOMLValue" && value.kind === "boolean") return value.value;
  throw at({ line }, `${key} must be true or false, not ${kindOf(value)}`);
}

function stringsAt({ value, line }: Item, key: string): { texts: readonly string[]; items: readonly Item[] } {
  if (value?.type !== "TOMLArray")
    throw at({ line }, `${key} must be a list of strings like ["…", "…"], not ${kindOf(value)}`);
  const items = value.elements.map((element) => ({ line: element.loc.start.line, value: element }));
  return { texts: items.map((item) => stringAt(item, `each of ${key}`)), items };
}

function kindOf(value: AST.TOMLContentNode | undefined): string {
  if (value?.type === "TOMLArray") return "a list";
  if (value?.type !== "TOMLValue") return "a table";
  return (
    { string: "a string", boolean: "true or false", integer: "a number", float: "a number" }[value.kind as "float"] ??
    "a date or time"
  );
}

function tableAt(item: Item, header: string): Table {
  if (item.table) return item.table;
  throw at(item, `${header} must be a table`);
}

// ------------------------------------------------------------------------------------------------------ the tree

/** What a key stands for: a table, however it is written ([a.b], a.b.c = …, a = { … }), or a value. */
interface Item {
  readonly line: number;
  readonly table?: Table;
  readonly value?: AST.TOMLContentNode;
}

interface Table {
  readonly line: number;
  readonly entries: Map<string, Item>;
}

function treeOf(text: string): Table {
  const top: Table = { line: 1, entries: new Map() };
  for (const node of parse(text).program.body[0].body) {
    const { line } = node.loc.start;
    const keys = node.key.keys.map(keyText);
    if (node.type === "TOMLKeyValue") put(top, keys, line, node.value);
    else if (node.kind === "array") throw at({ line }, `write [${keys.join(".")}] in single brackets`);
    else {
      const table = descend(top, keys, line);
      for (const { key, value, loc } of node.body) put(table, key.keys.map(keyText), loc.start.line, value);
    }
  }
  return top;
}

function put(into: Table, keys: readonly string[], line: number, value: AST.TOMLContentNode): void {
  if (value.type === "TOMLInlineTable") {
    const table = descend(into, keys, line);
    for (const node of value.body) put(table, node.key.keys.map(keyText), node.loc.start.line, node.value);
    return;
  }
  const last = keys[keys.length - 1] as string;
  const { entries } = descend(into, keys.slice(0, -1), line);
  if (entries.has(last)) throw at({ line }, `${show(last)} is defined twice`);
  entries.set(last, { line, value });
}

function descend(from: Table, keys: readonly string[], line: number): Table {
  let table = from;
  for (const key of keys) {
    const found = table.entries.get(key);
    if (found && !found.table) throw at({ line }, `${show(key)} is defined twice`);
    const next: Table = found?.table ?? { line, entries: new Map() };
    if (!found) table.entries.set(key, { line, table: next });
    table = next;
  }
  return table;
}

function keyText(key: AST.TOMLBare | AST.TOMLQuoted): string {
  return key.type === "TOMLBare" ? key.name : key.value;
}

/** TOML 1.0. A byte order mark is passed over; `shift` is its length. */
function parse(text: string): { program: AST.TOMLProgram; shift: number } {
  const shift = text.startsWith("\uFEFF") ? 1 : 0;
  try {
    return { program: parseTOML(text.slice(shift), { tomlVersion: "1.0.0" }), shift };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw at({ line: error.lineNumber }, `${error.message.replace(/\s+/g, " ")} (column ${error.column + 1})`);
  }
}

// -------------------------------------------------------------------------------------------------- the problems

function at(place: { readonly line: number } | undefined, message: string): Problem {
  return new Problem("config", `config.toml:${place?.line ?? 1}: ${message}`);
}

function unknown(item: Item, what: string, word: string, choices: readonly string[], around: string): Problem {
  const guess = didYouMean(word, choices);
  const hint =
    guess === undefined ? `; known are ${choices.join(", ")}` : `; did you mean ${around[0]}${guess}${around[1]}?`;
  return at(item, `unknown ${what}${hint}`);
}

/** In quotes, control characters escaped, so that the message stays one line. */
function show(text: string, quotes = true): string {
  const shown = JSON.stringify(text).replace(/[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return quotes ? shown : shown.slice(1, -1);
}

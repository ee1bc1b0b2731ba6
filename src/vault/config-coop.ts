/**
 * The [coop] table of config.toml, edited as pure text: a key that is given is replaced where it stands, or added behind
 * the table's last one; every other byte stays.
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { Problem } from "../base/errors.js";
import { type CoopConfig, layoutOf, parseConfig } from "./config.js";
import { tomlList, tomlString } from "./config-edit.js";

/** The text with these settings in [coop]. Problem("config") where the text is not valid or writes [coop] in another way. */
export function setCoop(text: string, settings: CoopConfig): string {
  const before = parseConfig(text);
  const { bootstrap, listen } = settings;
  const wanted: [key: string, value: string][] = [];
  if (bootstrap !== undefined) wanted.push(["bootstrap", tomlList(bootstrap)]);
  if (listen !== undefined) wanted.push(["listen", tomlString(listen)]);
  const eol = /^[^\n]*\r\n/.test(text) ? "\r\n" : "\n";
  let result = text;
  for (const [key, value] of wanted) result = withKey(result, `${key} = ${value}`.replaceAll("\n", eol), key, eol);
  const after = parseConfig(result);
  const same = ({ defaults, filesets }: typeof before): unknown => [
    defaults,
    [...filesets.values()].map((fileset) => ({ ...fileset, line: 0 })),
  ];
  if (!isDeepStrictEqual(after.coop, { ...before.coop, ...settings }) || !isDeepStrictEqual(same(after), same(before)))
    throw new Error("setting [coop] in config.toml changed something else");
  return result;
}

function withKey(text: string, line: string, key: string, eol: string): string {
  const table = layoutOf(text).tables.find((one) => one.key.length === 1 && one.key[0] === "coop");
  if (table === undefined) {
    if (Object.keys(parseConfig(text).coop).length > 0)
      throw new Problem("config", "config.toml: what stands in coop is not written as a [coop] table; edit it by hand");
    const separator = text.replace("\uFEFF", "") === "" ? "" : text.endsWith("\n") ? eol : eol + eol;
    return `${text}${separator}[coop]${eol}${line}${eol}`;
  }
  const entry = table.entries.find((one) => one.key.length === 1 && one.key[0] === key);
  if (entry) return text.slice(0, entry.start) + line + text.slice(entry.end);
  const newline = text.indexOf("\n", table.end);
  if (newline < 0) return `${text}${eol}${line}${eol}`;
  return `${text.slice(0, newline + 1)}${line}${eol}${text.slice(newline + 1)}`;
}

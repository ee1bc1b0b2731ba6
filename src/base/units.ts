/**
 * The words in which people give and read durations, sizes, times and names. Whatever a parser here refuses is a
 * Problem("usage") that shows the right spelling; whatever a formatter here writes with full precision
 * (`formatDuration`, `formatTimeUtc`) its parser reads back as the same value.
 * @module
 */
import { Problem } from "./errors.js";

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/** Largest first, as they must stand in a duration. A year is 365 days and a month 30: a length, not a calendar. */
const durationUnits: readonly (readonly [unit: string, seconds: number])[] = [
  ["y", 365 * day],
  ["mo", 30 * day],
  ["w", 7 * day],
  ["d", day],
  ["h", hour],
  ["min", minute],
  ["s", 1],
];

/**
 * "1y5mo7d2h30min" → seconds. Units y (365 days) mo (30 days) w d h min s, each at most once, largest first.
 * A bare `m` is refused with both spellings, for one reader in two would guess wrong.
 */
export function parseDuration(text: string): number {
  const bareMonthOrMinute = /(\d+)m(?!o|in)/.exec(text);
  if (bareMonthOrMinute) {
    const n = bareMonthOrMinute[1] as string;
    throw new Problem("usage", `duration ${quote(text)}: write ${n}mo for months or ${n}min for minutes`);
  }
  const example = "write it like 1y5mo7d2h30min, largest unit first (units y mo w d h min s)";
  if (!/^(\d+(y|mo|w|d|h|min|s))+$/.test(text)) throw new Problem("usage", `duration ${quote(text)}: ${example}`);
  let seconds = 0;
  let next = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(\D+)/g)) {
    const at = durationUnits.findIndex(([name]) => name === unit);
    if (at < next) throw new Problem("usage", `duration ${quote(text)}: ${example}`);
    next = at + 1;
    seconds += Number(count) * (durationUnits[at]?.[1] ?? Number.NaN);
  }
  if (!Number.isSafeInteger(seconds)) throw new Problem("usage", `duration ${quote(text)} is too long`);
  return seconds;
}

/** Seconds (a fraction is dropped; below zero counts as zero) → "1y5mo7d2h30min"; weeks are written as days; 0 → "0s". */
export function formatDuration(seconds: number): string {
  let rest = Math.max(0, Math.floor(seconds));
  if (!Number.isSafeInteger(rest)) throw new RangeError(`not a duration: ${seconds}`);
  let text = "";
  for (const [unit, length] of durationUnits) {
    if (unit === "w" || rest < length) continue;
    text += `${Math.floor(rest / length)}${unit}`;
    rest %= length;
  }
  return text || "0s";
}

/** "10K", "10M", "10G", "10T" (powers of 1024) or plain bytes "123" → bytes. */
export function parseSize(text: string): bigint {
  const parts = /^(\d{1,30})([KMGT]?)$/.exec(text);
  if (!parts) throw new Problem("usage", `size ${quote(text)}: write it like 10K, 10M, 10G, 10T or a number of bytes`);
  const power = " KMGT".indexOf(parts[2] || " ");
  return BigInt(parts[1] as string) << BigInt(10 * power);
}

/** Bytes → "123 B", "1.5 KiB", "10.0 GiB": for people, one decimal, rounded to nearest, powers of 1024. */
export function formatSize(bytes: number | bigint): string {
  const value = BigInt(bytes);
  if (value < 0n) return `-${formatSize(-value)}`;
  if (value < 1024n) return `${value} B`;
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  for (const [i, unit] of units.entries()) {
    const size = 1n << BigInt(10 * (i + 1));
    const tenths = (value * 10n + size / 2n) / size;
    if (tenths < 10240n || i === units.length - 1) return `${tenths / 10n}.${tenths % 10n} ${unit}`;
  }
  throw new Error("unreachable");
}

const nsPerSecond = 1_000_000_000n;
const secondsPerDay = BigInt(day);

/**
 * Nanoseconds since 1970 UTC (any size, negative too) → "2026-11-20T08:15:30.123456789Z", always nine digits.
 * Years outside 0000–9999 get a sign and at least six digits, as ISO 8601 wants; the text then no longer sorts.
 */
export function formatTimeUtc(ns: bigint): string {
  const seconds = floorDivide(ns, nsPerSecond);
  const days = floorDivide(seconds, secondsPerDay);
  const inDay = Number(seconds - days * secondsPerDay);
  const [year, month, dayOfMonth] = dateOfDay(days);
  const sign = year < 0n ? "-" : year > 9999n ? "+" : "";
  const digits = String(year < 0n ? -year : year).padStart(sign ? 6 : 4, "0");
  const clock = [Math.floor(inDay / hour), Math.floor((inDay % hour) / minute), inDay % minute].map(two).join(":");
  const fraction = String(ns - seconds * nsPerSecond).padStart(9, "0");
  return `${sign}${digits}-${two(month)}-${two(dayOfMonth)}T${clock}.${fraction}Z`;
}

/** A wall clock reading in the local zone → whole seconds since 1970 UTC. `d` may be one past the month's last day. */
export type LocalToUtc = (y: number, month: number, d: number, h: number, min: number, s: number) => number;

/** The system's own zone (TZ). A time that a change of the clock skips or repeats is read as JavaScript's Date does. */
export const systemLocalToUtc: LocalToUtc = (y, month, d, h, min, s) => {
  const date = new Date(2000, 0, 1, h, min, s);
  date.setFullYear(y, month - 1, d);
  date.setHours(h, min, s, 0);
  return Math.floor(date.getTime() / 1000);
};

/** The first and the last nanosecond of what a time text names: a day, a minute, a second or less. */
export interface TimeSpan {
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * `2026-11-20[T08:15[:30[.fraction]]][Z]` → the span that it names. With `Z` UTC, without it local time by
 * `localToUtc`. A caller that looks for "at or before T08:15:30" wants `last`: revisions carry nanoseconds and are
 * shown to people in whole seconds.
 */
export function parseTimeSpan(text: string, localToUtc: LocalToUtc): TimeSpan {
  const parts = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z?)$/.exec(text);
  const refused = () =>
    new Problem("usage", `time ${quote(text)}: write it like 2026-11-20, 2026-11-20T08:15 or 2026-11-20T08:15:30Z`);
  if (!parts) throw refused();
  const [year, month, dayOfMonth, h, min, s] = parts.slice(1, 7).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const inMonth = month >= 1 && month <= 12 && dayOfMonth >= 1 && dayOfMonth <= daysInMonth(year, month);
  if (!inMonth || h > 23 || min > 59 || s > 59) throw refused();
  const utc = parts[8] === "Z";
  const secondsAt = (d: number, hh: number, mm: number, ss: number): bigint =>
    utc
      ? dayOfDate(year, month, dayOfMonth) * secondsPerDay + BigInt((d * 24 + hh) * hour + mm * minute + ss)
      : BigInt(localToUtc(year, month, dayOfMonth + d, hh, mm, ss));
  const fraction = parts[7] ?? "";
  const first = secondsAt(0, h, min, s) * nsPerSecond + BigInt(fraction.padEnd(9, "0"));
  if (fraction) return { first, last: first + 10n ** BigInt(9 - fraction.length) - 1n };
  if (parts[6]) return { first, last: first + nsPerSecond - 1n };
  if (parts[4]) return { first, last: first + BigInt(minute) * nsPerSecond - 1n };
  return { first, last: secondsAt(1, 0, 0, 0) * nsPerSecond - 1n }; // a local day may have 23 or 25 hours
}

/** The first nanosecond of what the text names; see {@link parseTimeSpan}. */
export function parseTime(text: string, localToUtc: LocalToUtc): bigint {
  return parseTimeSpan(text, localToUtc).first;
}

/** Whether this can name a host or a fileset: 1–64 of A-Za-z0-9._-, the first a letter or digit. */
export function isName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text);
}

/** The name itself, or Problem("usage") that says what a name of this kind ("host", "fileset") looks like. */
export function checkName(kind: string, text: string): string {
  if (isName(text)) return text;
  throw new Problem("usage", `${kind} name ${quote(text)}: use 1–64 of A-Z a-z 0-9 . _ -, first a letter or digit`);
}

/** What is wrong with the address of a node, HOST:PORT (an IPv4 address or a name); undefined where nothing is. */
export function faultInAddress(text: string): string | undefined {
  const parts = /^([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}))?:(\d{1,5})$/.exec(text);
  if (parts?.[1] === undefined) return "write it like 10.0.0.5:49737 or node.example.org:49737";
  const port = Number(parts[2]);
  return port < 1 || port > 65_535 ? "a port is 1 to 65535" : undefined;
}

/** The address itself, or Problem("usage") that says what one looks like. */
export function checkAddress(what: string, text: string): string {
  const fault = faultInAddress(text);
  if (fault === undefined) return text;
  throw new Problem("usage", `${what} ${quote(text)}: ${fault}`);
}

/** What a terminal may not see as it is: control, format (bidi), unassigned, invisible and line-breaking characters. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * A file name (any bytes) for a terminal: printable UTF-8 stays; a backslash becomes `\\`, tab, newline and return
 * `\t` `\n` `\r`, and each byte of anything else (control, bidi, zero-width, not UTF-8) `\xNN`. No two names give
 * the same text, and no name can move the cursor or reorder what is shown.
 */
export function escapeForTerminal(name: Uint8Array): string {
  let text = "";
  for (let i = 0; i < name.length; ) {
    const byte = name[i] as number;
    if (byte >= 0x20 && byte < 0x7f && byte !== 0x5c) {
      text += String.fromCharCode(byte);
      i += 1;
      continue;
    }
    const length = utf8Length(byte);
    const bytes = name.subarray(i, i + length);
    const character = bytes.length === length ? decodeOrUndefined(bytes) : undefined;
    if (character === undefined) {
      text += hexEscape(name.subarray(i, i + 1));
      i += 1;
      continue;
    }
    text += simpleEscapes.get(character) ?? (unprintable.test(character) ? hexEscape(bytes) : character);
    i += length;
  }
  return text;
}

const simpleEscapes: ReadonlyMap<string, string> = new Map([
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/** The choice that was most likely meant: at most two slips (one in a short word) away, or undefined. */
export function didYouMean(word: string, choices: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestSlips = word.length < 5 ? 2 : 3;
  for (const choice of choices) {
    if (Math.abs(choice.length - word.length) >= bestSlips) continue;
    const n = slips(word.toLowerCase(), choice.toLowerCase());
    if (n < bestSlips && n < choice.length) {
      best = choice;
      bestSlips = n;
    }
  }
  return best;
}

/** Characters to insert, remove, exchange, or swap with their neighbour (optimal string alignment distance). */
function slips(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let n = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) n = Math.min(n, (before[j - 2] ?? 0) + 1);
      row.push(n);
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

function quote(text: string): string {
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return `"${escapeForTerminal(new TextEncoder().encode(shown))}"`;
}

function two(n: number): string {
  return String(n).padStart(2, "0");
}

function utf8Length(first: number): number {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

function decodeOrUndefined(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function hexEscape(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}

function floorDivide(a: bigint, b: bigint): bigint {
  return a >= 0n ? a / b : -((-a + b - 1n) / b);
}

function daysInMonth(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/*
 * Days since 1970-01-01 ↔ date in the proleptic Gregorian calendar, with no bounds, which Date has.
 * H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (days_from_civil, civil_from_days):
 * the year begins in March, so that the leap day is its last, and 146097 days make an era of 400 years.
 */
function dayOfDate(year: number, month: number, dayOfMonth: number): bigint {
  const y = BigInt(month <= 2 ? year - 1 : year);
  const era = floorDivide(y, 400n);
  const ofEra = y - era * 400n;
  const ofYear = BigInt(Math.floor((153 * ((month + 9) % 12) + 2) / 5) + dayOfMonth - 1);
  return era * 146097n + ofEra * 365n + ofEra / 4n - ofEra / 100n + ofYear - 719468n;
}

function dateOfDay(days: bigint): [year: bigint, month: number, dayOfMonth: number] {
  const shifted = days + 719468n;
  const era = floorDivide(shifted, 146097n);
  const ofEra = Number(shifted - era * 146097n);
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36524) - Math.floor(ofEra / 146096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * ofYear + 2) / 153);
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  const year = era * 400n + BigInt(yearOfEra) + (month <= 2 ? 1n : 0n);
  return [year, month, ofYear - Math.floor((153 * fromMarch + 2) / 5) + 1];
}

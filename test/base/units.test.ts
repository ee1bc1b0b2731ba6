import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Problem } from "../../src/base/errors.js";
import {
  checkName,
  didYouMean,
  escapeForTerminal,
  formatDuration,
  formatSize,
  formatTimeUtc,
  isName,
  type LocalToUtc,
  parseDuration,
  parseSize,
  parseTime,
  parseTimeSpan,
  systemLocalToUtc,
} from "../../src/base/units.js";

fc.configureGlobal({ seed: Number(process.env.BCOOPFS_SEED || 1), numRuns: 500 });

const bytes = (text: string) => new TextEncoder().encode(text);
const usage = (pattern: RegExp) => (error: unknown) =>
  error instanceof Problem && error.code === "usage" && pattern.test(error.message) && !/\n/.test(error.message);

test("durations: every unit counts, in the length that is documented", () => {
  const known: [string, number][] = [
    ["0s", 0],
    ["1s", 1],
    ["1min", 60],
    ["1h", 3600],
    ["1d", 86400],
    ["1w", 7 * 86400],
    ["1mo", 30 * 86400],
    ["1y", 365 * 86400],
    ["1y5mo7d2h30min", (365 + 150 + 7) * 86400 + 2 * 3600 + 30 * 60],
    ["24h", 86400],
    ["90min", 5400],
  ];
  for (const [text, seconds] of known) assert.equal(parseDuration(text), seconds, text);
});

test("durations: a bare m is refused with both spellings named", () => {
  assert.throws(() => parseDuration("5m"), usage(/5mo for months or 5min for minutes/));
  assert.throws(() => parseDuration("1y5m7d"), usage(/5mo .* 5min/));
  assert.throws(() => parseDuration("1h30m"), usage(/30mo .* 30min/));
});

test("durations: what is not one is refused", () => {
  for (const text of ["", "5", "h", "1h1h", "1min1h", "1.5h", "-1h", " 1h", "1h ", "1H", "1 h", "1d\n", "1hh", "٣h"])
    assert.throws(() => parseDuration(text), usage(/^duration "/), JSON.stringify(text));
  assert.throws(() => parseDuration("999999999999999999y"), usage(/too long/));
});

test("durations: what is written is read back", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (seconds) => {
      assert.equal(parseDuration(formatDuration(seconds)), seconds);
    }),
  );
  assert.equal(formatDuration(parseDuration("1y5mo7d2h30min")), "1y5mo7d2h30min");
  assert.equal(formatDuration(0), "0s");
  assert.equal(formatDuration(59.9), "59s");
  assert.equal(formatDuration(-3), "0s");
});

test("sizes: powers of 1024, exact beyond 2^53", () => {
  assert.equal(parseSize("123"), 123n);
  assert.equal(parseSize("10K"), 10n * 1024n);
  assert.equal(parseSize("10M"), 10n * 1024n ** 2n);
  assert.equal(parseSize("10G"), 10n * 1024n ** 3n);
  assert.equal(parseSize("10T"), 10n * 1024n ** 4n);
  assert.equal(parseSize("9007199254740993"), 9007199254740993n);
  for (const text of ["", "K", "10k", "10KB", "10KiB", "1.5G", "-1", "1e3", " 1", "1 ", "1\n", "0x10"])
    assert.throws(() => parseSize(text), usage(/^size "/), JSON.stringify(text));
});

test("sizes: shown with one decimal, rounded to the next unit where it is reached", () => {
  const shown: [number | bigint, string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1536, "1.5 KiB"],
    [1024 * 1024 - 1, "1.0 MiB"],
    [10n * 1024n ** 3n, "10.0 GiB"],
    [1024n ** 6n * 5000n, "5000.0 EiB"],
    [-2048, "-2.0 KiB"],
  ];
  for (const [value, text] of shown) assert.equal(formatSize(value), text);
});

const inUtc: LocalToUtc = (y, month, d, h, min, s) => Date.UTC(y, month - 1, d, h, min, s) / 1000;
const twoHoursEast: LocalToUtc = (...parts) => inUtc(...parts) - 7200;

test("times: nine digits, before 1970 and after 2262", () => {
  const shown: [bigint, string][] = [
    [0n, "1970-01-01T00:00:00.000000000Z"],
    [-1n, "1969-12-31T23:59:59.999999999Z"],
    [1795162530123456789n, "2026-11-20T08:15:30.123456789Z"],
    [951782400n * 10n ** 9n, "2000-02-29T00:00:00.000000000Z"], // the last day of an era of 400 years
    [13574563200n * 10n ** 9n, "2400-02-29T00:00:00.000000000Z"],
    [9223372036854775808n, "2262-04-11T23:47:16.854775808Z"],
    [-62167219200n * 10n ** 9n, "0000-01-01T00:00:00.000000000Z"],
    [-62167219200n * 10n ** 9n - 1n, "-000001-12-31T23:59:59.999999999Z"],
    [253402300800n * 10n ** 9n, "+010000-01-01T00:00:00.000000000Z"],
  ];
  for (const [ns, text] of shown) assert.equal(formatTimeUtc(ns), text);
  assert.match(formatTimeUtc((1n << 62n) * 10n ** 9n), /^\+146138514283-/); // beyond what Date can say
});

test("times: the same as Date says, wherever Date can", () => {
  const limit = 8_640_000_000_000_000n;
  fc.assert(
    fc.property(fc.bigInt({ min: -limit, max: limit }), fc.integer({ min: 0, max: 999_999 }), (ms, below) => {
      const expected = new Date(Number(ms)).toISOString().replace("Z", `${String(below).padStart(6, "0")}Z`);
      assert.equal(formatTimeUtc(ms * 1_000_000n + BigInt(below)), expected);
    }),
  );
});

test("times: what is written is read back, whatever the zone is", () => {
  const first = parseTime("0000-01-01Z", twoHoursEast);
  const last = parseTime("9999-12-31T23:59:59.999999999Z", twoHoursEast);
  fc.assert(
    fc.property(fc.bigInt({ min: first, max: last }), (ns) => {
      assert.equal(parseTime(formatTimeUtc(ns), twoHoursEast), ns);
    }),
  );
});

test("times: without Z local time; the span is what the text names", () => {
  const s = 10n ** 9n;
  assert.equal(parseTime("2026-11-20T08:15", twoHoursEast), parseTime("2026-11-20T06:15Z", inUtc));
  const spans: [string, bigint][] = [
    ["2026-11-20", 86400n * s],
    ["2026-11-20Z", 86400n * s],
    ["2024-02-29", 86400n * s],
    ["2026-12-31", 86400n * s],
    ["2026-11-20T08:15", 60n * s],
    ["2026-11-20T08:15:30Z", s],
    ["2026-11-20T08:15:30.5", s / 10n],
    ["2026-11-20T08:15:30.000000001Z", 1n],
  ];
  for (const [text, length] of spans) {
    const span = parseTimeSpan(text, twoHoursEast);
    assert.equal(span.last - span.first + 1n, length, text);
  }
  // A local day of 25 hours: the conversion function alone knows.
  const backInTheNight: LocalToUtc = (y, month, d, h, min, sec) =>
    inUtc(y, month, d, h, min, sec) - (d === 25 && h < 3 ? 7200 : 3600);
  const span = parseTimeSpan("2026-10-25", backInTheNight);
  assert.equal(span.last - span.first + 1n, 25n * 3600n * s);
});

test("times: what is not one is refused", () => {
  for (const text of [
    "",
    "2026",
    "2026-11",
    "2026-13-01",
    "2026-00-01",
    "2026-11-00",
    "2026-11-31",
    "2025-02-29",
    "1900-02-29",
    "2026-11-20T",
    "2026-11-20T8:15",
    "2026-11-20T24:00",
    "2026-11-20T08:60",
    "2026-11-20T08:15:60",
    "2026-11-20T08:15:30.",
    "2026-11-20T08:15:30.1234567890",
    "2026-11-20 08:15",
    "2026-11-20t08:15z",
    "2026-11-20T08:15+01:00",
    "2026-11-20\n",
  ])
    assert.throws(() => parseTime(text, inUtc), usage(/^time "/), JSON.stringify(text));
  assert.doesNotThrow(() => parseTime("2000-02-29", inUtc));
});

test("the system's zone is the one that Date has", () => {
  const noon = systemLocalToUtc(2026, 7, 1, 12, 30, 15);
  assert.equal(new Date(noon * 1000).getHours(), 12);
  assert.equal(new Date(noon * 1000).getMinutes(), 30);
  assert.equal(new Date(systemLocalToUtc(33, 7, 1, 12, 0, 0) * 1000).getFullYear(), 33);
  assert.equal(new Date(systemLocalToUtc(2026, 1, 32, 0, 0, 0) * 1000).getMonth(), 1);
});

test("names", () => {
  for (const name of ["a", "Z", "0", "srv-My-docs", "a.b_c-D", "x".repeat(64)]) {
    assert.ok(isName(name), name);
    assert.equal(checkName("host", name), name);
  }
  for (const name of ["", "x".repeat(65), ".a", "-a", "_a", "a b", "a/b", "é", "a\n", "a\0", "..", "a:b", "a@b"]) {
    assert.ok(!isName(name), JSON.stringify(name));
    assert.throws(() => checkName("fileset", name), usage(/^fileset name "/));
  }
});

/** Reads an escaped name back into bytes: `escapeForTerminal` promises that this is possible. */
function unescaped(text: string): Uint8Array {
  const out: number[] = [];
  for (const [part] of text.matchAll(/\\x[0-9a-f]{2}|\\.|[^\\]+/gs)) {
    if (part.startsWith("\\x")) out.push(Number.parseInt(part.slice(2), 16));
    else if (part.startsWith("\\")) out.push({ n: 10, r: 13, t: 9, "\\": 92 }[part[1] as "n"]);
    else out.push(...bytes(part));
  }
  return Uint8Array.from(out);
}

test("terminal: plain stays, what could move the cursor or deceive does not", () => {
  const shown: [string | number[], string][] = [
    ["Grüße 日本 👍 a b", "Grüße 日本 👍 a b"],
    ["a\\b", "a\\\\b"],
    ["a\nb\tc\rd", "a\\nb\\tc\\rd"],
    ["\x1b[2J\x7f", "\\x1b[2J\\x7f"],
    ["\x85", "\\xc2\\x85"], // a C1 control
    ["a\u202egpj.exe", "a\\xe2\\x80\\xaegpj.exe"],
    ["a\u200bb\ufeff", "a\\xe2\\x80\\x8bb\\xef\\xbb\\xbf"],
    ["\u2028", "\\xe2\\x80\\xa8"],
    [[0xff, 0x41], "\\xffA"],
    [[0xc3], "\\xc3"], // cut short
    [[0xc0, 0xaf], "\\xc0\\xaf"], // overlong
    [[0xed, 0xa0, 0x80], "\\xed\\xa0\\x80"], // a surrogate
    [[0xf4, 0x90, 0x80, 0x80], "\\xf4\\x90\\x80\\x80"], // beyond U+10FFFF
  ];
  for (const [name, text] of shown)
    assert.equal(escapeForTerminal(typeof name === "string" ? bytes(name) : Uint8Array.from(name)), text);
});

test("terminal: no two names look the same, and nothing unprintable comes through", () => {
  const name = fc.oneof(
    fc.uint8Array({ maxLength: 12 }),
    fc.string({ unit: "binary", maxLength: 6 }).map(bytes),
    fc.string({ unit: fc.constantFrom("\\", "x", "n", "4", "1", "\n", "é"), maxLength: 8 }).map(bytes),
  );
  fc.assert(
    fc.property(name, (raw) => {
      const text = escapeForTerminal(raw);
      assert.doesNotMatch(text, /[\p{C}\p{Zl}\p{Zp}]/u);
      assert.deepEqual(unescaped(text), Uint8Array.from(raw));
    }),
  );
});

test("did you mean", () => {
  const keys = ["id", "roots", "exclude", "exclude_file", "enabled"];
  assert.equal(didYouMean("exclud", keys), "exclude");
  assert.equal(didYouMean("exlcude", keys), "exclude");
  assert.equal(didYouMean("Root", keys), "roots");
  assert.equal(didYouMean("di", keys), "id"); // two neighbours exchanged are one slip
  assert.equal(didYouMean("exclude-file", keys), "exclude_file");
  assert.equal(didYouMean("schedule", keys), undefined);
  assert.equal(didYouMean("x", keys), undefined);
  assert.equal(didYouMean("", ["a"]), undefined);
  assert.equal(didYouMean("home", ["home2", "home"]), "home");
});

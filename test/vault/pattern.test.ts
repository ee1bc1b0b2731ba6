import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { faultInPatterns, PathParts, type Pattern, parsePattern, partsMatch } from "../../src/vault/pattern.js";

fc.configureGlobal({ seed: Number(process.env.BCOOPFS_SEED || 1), numRuns: 1000 });

/** Whether the pattern, read as one that counts from `/`, matches the path. */
function matches(pattern: string, path: string | Buffer): boolean {
  const { parts } = parsePattern(`/${pattern}`) as Pattern;
  const split = new PathParts();
  split.set(Buffer.concat([Buffer.from("/"), Buffer.from(path as string)]));
  return partsMatch(parts, split, 0, split.count);
}

const yes: [pattern: string, path: string][] = [
  ["a", "a"],
  ["a*", "a"],
  ["*a", "ba"],
  ["*", ".hidden"],
  ["a?c", "abc"],
  ["a*c*e", "abcde"],
  ["a/*/c", "a/b/c"],
  ["**/x", "x"],
  ["**/x", "a/b/x"],
  ["x/**", "x/a"],
  ["x/**", "x/a/b"],
  ["a/**/b", "a/b"],
  ["a/**/b", "a/x/b"],
  ["a/**/b", "a/x/y/b"],
  ["a/**/b/**/c", "a/b/b/x/c"],
  ["**/a/*", "a/a/b"],
  ["**/**/a", "a"],
  ["**", "a/b"],
  ["[abc]", "b"],
  ["[a-c]", "b"],
  ["[!a-c]", "d"],
  ["[^a-c]", "d"],
  ["[]a]", "]"],
  ["[!]a]", "b"],
  ["[a-]", "-"],
  ["[\\]]", "]"],
  ["[[:digit:]x]", "7"],
  ["[[:digit:]x]", "x"],
  ["[![:space:]]", "x"],
  ["[a[]", "["],
  ["\\*", "*"],
  ["\\a", "a"],
  ["a\\ ", "a "],
  ["é", "é"],
  ["??", "é"], // bytes, as git does
  ["a**b", "axxb"],
];
const no: [pattern: string, path: string][] = [
  ["a", "b"],
  ["a", "a/a"],
  ["a*", "ba"],
  ["*", "a/b"],
  ["a?c", "ac"],
  ["a?c", "a/c"],
  ["a*c", "a/c"],
  ["a[!x]c", "a/c"],
  ["a/*/c", "a/c"],
  ["x/**", "x"],
  ["**/x", "ax"],
  ["a/**/b", "a/xb"],
  ["a/**/b", "ab"],
  ["a/**/a/c", "a/c"],
  ["a/**/b", "a/b/c"],
  ["[abc]", "d"],
  ["[!a-c]", "b"],
  ["[[:digit:]]", "x"],
  ["\\*", "a"],
  ["?", "é"],
  ["A", "a"],
  ["a**b", "a/b"],
];

test("what a pattern matches and what not", () => {
  for (const [pattern, path] of yes) assert.ok(matches(pattern, path), `${pattern} should match ${path}`);
  for (const [pattern, path] of no) assert.ok(!matches(pattern, path), `${pattern} should not match ${path}`);
});

test("names that are not UTF-8 are matched as bytes", () => {
  assert.ok(matches("*.o", Buffer.from([0xff, 0xfe, 0x2e, 0x6f])));
  assert.ok(matches("a?", Buffer.from([0x61, 0xff])));
  assert.ok(matches("[!a]", Buffer.from([0xff])));
});

/** The meaning in its plainest form: by trying everything. Exponential, so for small texts only. */
function plainMatch(pattern: string[], path: string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return path.length === 0;
  if (first === "**" && rest.length === 0) return path.length > 0;
  if (first === "**") return path.some((_, i) => plainMatch(rest, path.slice(i))) || plainMatch(rest, []);
  return path[0] !== undefined && plainName(first, path[0]) && plainMatch(rest, path.slice(1));
}

function plainName(pattern: string, name: string): boolean {
  if (pattern === "") return name === "";
  if (pattern[0] === "*")
    return plainName(pattern.slice(1), name) || (name !== "" && plainName(pattern, name.slice(1)));
  return name !== "" && (pattern[0] === "?" || pattern[0] === name[0]) && plainName(pattern.slice(1), name.slice(1));
}

test("the matcher agrees with its plain twin", () => {
  const name = fc.string({ unit: fc.constantFrom("a", "a", "b"), minLength: 1, maxLength: 3 });
  const glob = fc.string({ unit: fc.constantFrom("a", "a", "b", "*", "?"), minLength: 1, maxLength: 3 });
  const part = fc.oneof({ weight: 2, arbitrary: glob }, { weight: 1, arbitrary: fc.constant("**") });
  let met = 0;
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 5 }),
      fc.array(name, { minLength: 1, maxLength: 5 }),
      (p, n) => {
        // a part of two or more stars is `**`, however many there are
        const expected = plainMatch(
          p.map((text) => (/^\*\*+$/.test(text) ? "**" : text)),
          n,
        );
        if (expected) met++;
        assert.equal(matches(p.join("/"), n.join("/")), expected, `${p.join("/")} on ${n.join("/")}`);
      },
    ),
    { numRuns: 5000 },
  );
  assert.ok(met > 200, `only ${met} pairs matched: the generator tests nothing`);
});

test("no pattern takes more than bounded time", () => {
  const started = process.cpuUsage().user;
  assert.ok(!matches(`${"*a".repeat(100)}*b`, "a".repeat(250)));
  assert.ok(matches(`${"*a".repeat(100)}*`, "a".repeat(250)));
  const deep = Array.from({ length: 1000 }, () => "a").join("/");
  assert.ok(!matches(`${"**/a/".repeat(100)}b`, deep));
  assert.ok(!matches(`${"**/*a*a*/".repeat(100)}b`, deep));
  const ms = (process.cpuUsage().user - started) / 1000;
  assert.ok(ms < 2000, `took ${ms} ms`);
});

test("what can match nothing, or is not understood yet, is a fault", () => {
  const faults: [pattern: string, why: RegExp][] = [
    ["", /empty/],
    ["!", /empty/],
    ["/", /empty/],
    ["!/", /empty/],
    ["[a", /not closed/],
    ["[]", /not closed/],
    ["[!]", /not closed/],
    ["[a-", /not closed/],
    ["[a\\", /not closed/],
    ["[[:digit:]", /not closed/],
    ["[[:digits:]]", /\[:digits:\]/],
    ["[z-a]", /backwards/],
    ["a\\", /backslash/],
    ["a\\/", /backslash/],
    ["a\0", /NUL/],
    ["a//b", /two slashes/],
    ["//", /empty/],
    ["///", /two slashes/],
    ["./a", /\. or \.\./],
    ["a/..", /\. or \.\./],
    ["re:^a", /this version/],
    ["!re:^a", /this version/],
    ["size>10M", /this version/],
    ["*.iso & size>1G", /this version/],
    ["mtime<2020-01-01", /this version/],
  ];
  for (const [pattern, why] of faults) {
    const fault = faultInPatterns(["a", pattern], "exclude");
    assert.equal(fault?.index, 1, pattern);
    assert.match(fault.why, why, pattern);
    assert.doesNotMatch(fault.why, /\n/);
  }
  for (const pattern of ["\\re:^a", "a\\[", "...", ".a", "R&D", "size", "a\\\\", "#a", "!!a", "**", "/**"])
    assert.equal(faultInPatterns([pattern], "exclude"), undefined, pattern);
  assert.ok(matches("\\re:a", "re:a"));
});

test("an include list that takes back only is a fault, an exclude list is not", () => {
  assert.match(faultInPatterns(["!a", "!b"], "include")?.why ?? "", /capture nothing/);
  assert.equal(faultInPatterns(["!a", "!b"], "exclude"), undefined);
  assert.equal(faultInPatterns(["a", "!b"], "include"), undefined);
  assert.equal(faultInPatterns([], "include"), undefined);
});

test("any text is a pattern or a fault, never a crash", () => {
  const unit = fc.constantFrom("a", "*", "?", "[", "]", "!", "^", "-", "\\", "/", ":", "é", "\0", ".");
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 12 }), fc.string({ unit, maxLength: 8 }), (text, name) => {
      const pattern = parsePattern(text);
      if (typeof pattern === "string") return;
      assert.ok(pattern.parts.length > 0);
      const path = new PathParts();
      path.set(Buffer.from(`/${name.replaceAll("/", "x")}`));
      partsMatch(pattern.parts, path, 0, path.count);
    }),
  );
});

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { Problem } from "../../src/base/errors.js";
import { compileRules, type Decision, parseExcludeFile, type RuleTexts } from "../../src/capture/select.js";

const seed = Number(process.env.BCOOPFS_SEED || 1);
fc.configureGlobal({ seed, numRuns: 500 });

/** A path that ends in "/" is meant as a folder. */
function decide(rules: RuleTexts, path: string): Decision {
  const isFolder = path.endsWith("/");
  return compileRules(rules).decide(Buffer.from(isFolder && path !== "/" ? path.slice(0, -1) : path), isFolder);
}

function check(rules: RuleTexts, expected: Record<string, boolean>): void {
  for (const [path, captured] of Object.entries(expected))
    assert.equal(decide(rules, path).captured, captured, `${path} with ${JSON.stringify(rules)}`);
}

const roots = ["/home/ann"];

test("without rules all below the roots is captured, nothing beside them", () => {
  check({ roots }, { "/home/ann/": true, "/home/ann/a": true, "/home/ann/a/b": true });
  check({ roots }, { "/home/bob": false, "/home/annabel": false, "/home/x/": false, "/etc": false, "/hom/": false });
  // The folders above a root are kept for their own sake.
  assert.deepEqual(decide({ roots }, "/home/"), { captured: true, onTheWay: true });
  assert.deepEqual(decide({ roots }, "/"), { captured: true, onTheWay: true });
  assert.equal(decide({ roots: ["/"] }, "/any").captured, true);
});

test("exclude: names at any depth, anchored, absolute, folders only", () => {
  check({ roots, exclude: ["*.o"] }, { "/home/ann/a.o": false, "/home/ann/x/y/a.o": false, "/home/ann/a.oo": true });
  check({ roots, exclude: ["a/b"] }, { "/home/ann/a/b": false, "/home/ann/x/a/b": true, "/home/ann/a/c": true });
  check({ roots, exclude: ["/home/ann/a"] }, { "/home/ann/a": false, "/home/ann/b/a": true });
  check({ roots, exclude: ["/a"] }, { "/home/ann/a": true });
  check({ roots, exclude: ["t/"] }, { "/home/ann/t": true, "/home/ann/t/": false, "/home/ann/t/x": false });
  check({ roots, exclude: ["/home/ann/*"] }, { "/home/ann/": true, "/home/ann/x": false });
});

test("a / inside counts from each root", () => {
  const two = { roots: ["/a", "/b/c"], exclude: ["x/y"] };
  check(two, { "/a/x/y": false, "/b/c/x/y": false, "/b/x/y": false, "/a/z/x/y": true });
});

test("later rules win, ! takes back, but not below an excluded folder", () => {
  check({ roots, exclude: ["*.o", "!keep.o"] }, { "/home/ann/a.o": false, "/home/ann/keep.o": true });
  check({ roots, exclude: ["!keep.o", "*.o"] }, { "/home/ann/keep.o": false });
  check({ roots, exclude: ["t/", "!t/keep"] }, { "/home/ann/t/keep": false });
  check({ roots, exclude: ["t/*", "!t/keep"] }, { "/home/ann/t/keep": true, "/home/ann/t/x": false });
  assert.deepEqual(decide({ roots, exclude: ["*.o", "!keep.o"] }, "/home/ann/keep.o"), {
    captured: true,
    rule: "!keep.o",
    list: "exclude",
  });
  // In an excluded folder the rule that met the folder is named.
  assert.deepEqual(decide({ roots, exclude: ["t", "x"] }, "/home/ann/t/u/x"), {
    captured: false,
    rule: "t",
    list: "exclude",
  });
});

test("include: only what is covered, folders where something may follow", () => {
  const include = ["docs/", "*.txt"];
  check({ roots, include }, { "/home/ann/docs/": true, "/home/ann/docs/a/b": true, "/home/ann/x/a.txt": true });
  check({ roots, include }, { "/home/ann/a.jpg": false, "/home/ann/docs": false, "/home/ann/x/docs/a.jpg": true });
  assert.deepEqual(decide({ roots, include }, "/home/ann/x/"), { captured: true, list: "include", onTheWay: true });
  assert.deepEqual(decide({ roots, include }, "/home/ann/a.jpg"), { captured: false, list: "include" });
  assert.deepEqual(decide({ roots, include }, "/home/ann/docs/a"), { captured: true, rule: "docs/", list: "include" });
});

test("include: a folder that can hold nothing included is not walked", () => {
  const include = ["a/b", "/home/ann/p/q/*.txt", "c/**/d"];
  const walked = { "/home/ann/a/": true, "/home/ann/x/": false, "/home/ann/a/c/": false, "/home/ann/a/b/z/": true };
  check({ roots, include }, walked);
  check({ roots, include }, { "/home/ann/p/": true, "/home/ann/p/q/": true, "/home/ann/p/r/": false });
  check({ roots, include: ["a/b", "!x/y"] }, { "/home/ann/x/": false, "/home/ann/a/": true });
  check({ roots, include }, { "/home/ann/p/q/r/": false, "/home/ann/c/": true, "/home/ann/c/x/y/": true });
});

test("include: later rules win, for all that they cover", () => {
  check({ roots, include: ["docs", "!*.bak"] }, { "/home/ann/docs/a.bak": false, "/home/ann/docs/a": true });
  check({ roots, include: ["*.txt", "!docs"] }, { "/home/ann/docs/a.txt": false, "/home/ann/docs/": false });
  check({ roots, include: ["*.txt", "!docs", "b.txt"] }, { "/home/ann/docs/b.txt": true, "/home/ann/docs/": true });
  assert.deepEqual(decide({ roots, include: ["docs", "!*.bak"] }, "/home/ann/docs/a.bak"), {
    captured: false,
    rule: "!*.bak",
    list: "include",
  });
});

test("exclude wins over include, and its ! brings back nothing that was not included", () => {
  const rules = { roots, include: ["*.txt"], exclude: ["secret*", "!a.jpg"] };
  assert.equal(decide({ roots, include: ["*.txt"], exclude: ["a*", "!ab*"] }, "/home/ann/ab.txt").rule, "!ab*");
  check(rules, { "/home/ann/a.txt": true, "/home/ann/secret.txt": false, "/home/ann/a.jpg": false });
});

test("a root is captured whatever the rules say, and roots may lie within each other", () => {
  check({ roots, exclude: ["ann", "/home", "*"] }, { "/home/ann/": true, "/home/": true, "/home/ann/x": false });
  check({ roots: ["/etc/passwd"], include: ["*.conf"] }, { "/etc/passwd": true, "/etc/x.conf": false });
  const nested = { roots: ["/", "/mnt/disk"], exclude: ["/mnt", "a/b"] };
  check(nested, { "/mnt/": false, "/mnt/x": false, "/mnt/disk/": true, "/mnt/disk/x": true });
  check(nested, { "/a/b": false, "/mnt/disk/a/b": false, "/mnt/disk/c/a/b": true });
});

test("roots may be bytes, and end in a slash", () => {
  const root = Buffer.from([0x2f, 0xff, 0x2f]);
  const rules = compileRules({ roots: [root], exclude: ["x"] });
  assert.equal(rules.decide(Buffer.from([0x2f, 0xff]), true).captured, true);
  assert.equal(rules.decide(Buffer.from([0x2f, 0xff, 0x2f, 0x79]), false).captured, true);
  assert.equal(rules.decide(Buffer.from([0x2f, 0xff, 0x2f, 0x78]), false).captured, false);
  assert.equal(rules.decide(Buffer.from([0x2f, 0xfe, 0x2f, 0x79]), false).captured, false);
});

test("bad rules and roots are config problems, a relative path a mistake of the caller", () => {
  const isConfig = (error: unknown) => error instanceof Problem && error.code === "config";
  assert.throws(() => compileRules({ roots, exclude: ["[a"] }), isConfig);
  assert.throws(() => compileRules({ roots, include: ["!a"] }), isConfig);
  assert.throws(() => compileRules({ roots: ["home"] }), isConfig);
  assert.throws(() => compileRules({ roots }).decide(Buffer.from("a"), false), /absolute/);
});

test("an exclude file: comments, blank lines, spaces and line ends as git reads them", () => {
  const text = "\uFEFF*.o\r\n# no\n\n  \n\\#yes\na \nb\\ \n!c\n d";
  assert.deepEqual(parseExcludeFile(text), ["*.o", "\\#yes", "a", "b\\ ", "!c", " d"]);
  assert.deepEqual(parseExcludeFile(""), []);
  assert.throws(
    () => parseExcludeFile("a\n#\n[b\n", "/etc/x"),
    (error) => error instanceof Problem && error.code === "config" && error.message.startsWith("/etc/x:3: bad pattern"),
  );
});

const piece = fc.constantFrom("a", "b", "ab", "*", "a*", "*b", "?", "[ab]", "**", "*a*");
const patternText = fc
  .tuple(
    fc.constantFrom("", "", "!"),
    fc.constantFrom("", "", "/", "/r/"),
    fc.array(piece, { minLength: 1, maxLength: 3 }),
  )
  .chain(([not, lead, parts]) => fc.constantFrom("", "/").map((tail) => not + lead + parts.join("/") + tail));
const anyPath = fc
  .array(fc.constantFrom("a", "b", "ab", "ba", "r"), { minLength: 0, maxLength: 5 })
  .map((names) => `/${names.join("/")}`);
const anyRules = fc.record({
  roots: fc.uniqueArray(fc.constantFrom("/", "/r", "/a", "/a/b", "/r/a"), { minLength: 1, maxLength: 3 }),
  include: fc.array(patternText, { maxLength: 3 }).map((list) => (list.every((p) => p.startsWith("!")) ? [] : list)),
  exclude: fc.array(patternText, { maxLength: 4 }),
});

test("what it remembers of the last path never changes a decision", () => {
  const query = fc.tuple(anyPath, fc.boolean());
  fc.assert(
    fc.property(anyRules, fc.array(query, { minLength: 2, maxLength: 30 }), (texts, queries) => {
      const walking = compileRules(texts);
      const buffer = Buffer.alloc(64); // one buffer for all, as a walk may do
      for (const [path, isFolder] of queries) {
        const length = buffer.write(path);
        const found = walking.decide(buffer.subarray(0, length), isFolder);
        assert.deepEqual(found, compileRules(texts).decide(Buffer.from(path), isFolder), path);
      }
    }),
  );
});

test("what is captured lies in folders that are walked, unless a root begins between them", () => {
  fc.assert(
    fc.property(anyRules, anyPath, (texts, path) => {
      const rules = compileRules(texts);
      if (path === "/" || !rules.decide(Buffer.from(path), false).captured || texts.roots.some((root) => root === path))
        return;
      const parent = path.slice(0, path.lastIndexOf("/")) || "/";
      assert.ok(rules.decide(Buffer.from(parent), true).captured, `${path} is captured but ${parent} is not walked`);
    }),
    { numRuns: 3000 },
  );
});

test("exclude only ever takes away, include too", () => {
  fc.assert(
    fc.property(anyRules, anyPath, fc.boolean(), (texts, path, isFolder) => {
      const bytes = Buffer.from(path);
      const isCaptured = (rules: RuleTexts) => compileRules(rules).decide(bytes, isFolder).captured;
      if (!isCaptured(texts)) return;
      assert.ok(isCaptured({ roots: texts.roots, include: texts.include }));
      assert.ok(isCaptured({ roots: texts.roots, exclude: texts.exclude }));
      assert.ok(isCaptured({ roots: texts.roots }));
    }),
    { numRuns: 2000 },
  );
});

const git = (cwd: string, args: string[], input?: Buffer) =>
  spawnSync("git", args, {
    cwd,
    input,
    env: { PATH: process.env.PATH, HOME: cwd, GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" },
  });

/** A seeded generator: the names and patterns are the same on every run of one seed. */
function chance(start: number): (n: number) => number {
  let state = start | 0;
  return (n) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 13), 0x297a2d39);
    return ((mixed ^ (mixed >>> 16)) >>> 0) % n;
  };
}

test("the same decision and the same rule as git, for random patterns on a real tree", (t) => {
  if (spawnSync("git", ["--version"]).status !== 0) return t.skip("git is not installed");
  const top = mkdtempSync(join(tmpdir(), "bcoopfs-select-"));
  t.after(() => rmSync(top, { recursive: true, force: true }));
  assert.equal(git(top, ["init", "-q"]).status, 0);
  execFileSync("git", ["config", "core.ignorecase", "false"], { cwd: top });

  const pick = chance(seed);
  const one = <T>(list: readonly T[]): T => list[pick(list.length)] as T;
  const names = ["a", "b", "ab", "abc", "a.o", "b.o", ".x", "a b", "é", "[a]", "x*", "-", "B", "7", "\xff"];
  const folders = ["/"];
  const entries: { path: Buffer; isFolder: boolean }[] = [];
  const inTop = (path: string) => Buffer.concat([Buffer.from(top), Buffer.from(path, "latin1")]);
  const seen = new Set<string>();
  while (entries.length < 300) {
    const name = one(names);
    const path = one(folders) + (name === "é" ? "\xc3\xa9" : name); // latin1 stands for bytes here
    const isFolder = pick(3) === 0 && path.split("/").length < 6;
    if (seen.has(path)) continue;
    seen.add(path);
    if (isFolder) {
      mkdirSync(inTop(path));
      folders.push(`${path}/`);
    } else writeFileSync(inTop(path), "");
    entries.push({ path: Buffer.from(path, "latin1"), isFolder });
  }

  const atoms = [
    "a",
    "b",
    "ab",
    "o",
    ".",
    "*",
    "*",
    "?",
    "[ab]",
    "[!a]",
    "[^b-z]",
    "[]a]",
    "[[:alpha:]]",
    "\\*",
    "é",
    "x",
  ];
  const randomPart = () => {
    if (pick(4) === 0) return "**";
    if (pick(3) === 0) return one(["a", "b", "ab", "*.o", "*", "a*", "a b", "\\[a\\]", "[[:upper:][:digit:]]", "*\\*"]);
    const text = Array.from({ length: 1 + pick(4) }, () => one(atoms)).join("");
    // Git of old reads a star pair beside other characters by comparing unrelated pointers; "." and ".." are faults here.
    return text.replace(/\*\*+/g, "*").replace(/^\.{1,2}$/, "a");
  };
  const randomPattern = () => {
    const parts = Array.from({ length: one([1, 1, 1, 2, 2, 3, 4]) }, randomPart);
    const text = one(["", "", "", "/"]) + parts.join("/") + one(["", "", "/"]);
    return one(["", "", "", "!"]) + (text.startsWith("!") ? `\\${text}` : text);
  };

  const input = Buffer.concat(entries.flatMap(({ path }) => [path.subarray(1), Buffer.from([0])]));
  const met = { ignored: 0, takenBack: 0, plain: 0 };
  for (let round = 0; round < 150; round++) {
    const patterns = Array.from({ length: 1 + pick(6) }, randomPattern);
    const text = `${patterns.join("\n")}\n`;
    assert.deepEqual(parseExcludeFile(text), patterns);
    writeFileSync(join(top, ".git/info/exclude"), text);
    const run = git(top, ["check-ignore", "--no-index", "--stdin", "-z", "-v", "-n"], input);
    assert.ok(run.status === 0 || run.status === 1, run.stderr.toString());
    const fields = run.stdout.toString("latin1").split("\0"); // source, line, pattern, path
    const rules = compileRules({ roots: ["/"], exclude: patterns });
    for (const [i, { path, isFolder }] of entries.entries()) {
      assert.equal(`/${fields[4 * i + 3]}`, path.toString("latin1"));
      const rule = Buffer.from(fields[4 * i + 2] as string, "latin1").toString();
      const ignored = rule !== "" && !rule.startsWith("!");
      const found = rules.decide(path, isFolder);
      const where = `${path.toString("latin1")}${isFolder ? "/" : ""} with ${JSON.stringify(patterns)}, git: ${rule}`;
      assert.equal(found.captured, !ignored, where);
      assert.equal(found.rule ?? "", rule, where);
      met[ignored ? "ignored" : rule === "" ? "plain" : "takenBack"]++;
    }
  }
  t.diagnostic(`compared with git: ${JSON.stringify(met)}`);
  assert.ok(Math.min(...Object.values(met)) > 500, "the generator tests only one outcome");
});

test("half a million paths and 200 rules in a few seconds", (t) => {
  const exclude = Array.from({ length: 195 }, (_, i) => (i % 3 === 0 ? `*.ext${i}` : `name${i}`));
  exclude.push("*.o", "!keep.o", "/home/ann/.cache", "build/out", "**/node_modules/.cache");
  const rules = compileRules({ roots, exclude });
  const started = process.cpuUsage().user;
  let captured = 0;
  for (let folder = 0; folder < 5000; folder++)
    for (let file = 0; file < 100; file++) {
      const path = Buffer.from(
        `/home/ann/projects/part${folder % 70}/folder${folder}/file${file}${file % 10 ? ".c" : ".o"}`,
      );
      if (rules.decide(path, false).captured) captured++;
    }
  assert.equal(captured, 450_000);
  const seconds = (process.cpuUsage().user - started) / 1e6;
  t.diagnostic(`${Math.round(500_000 / seconds)} paths/s`);
  assert.ok(seconds < 5, `took ${seconds} s`);
});

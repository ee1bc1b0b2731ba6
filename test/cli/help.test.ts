/** The words themselves: help, unknown words, where what is said goes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Command } from "commander";
import { realSystem } from "../../src/base/system.js";
import { programOf } from "../../src/cli/main.js";
import { Output } from "../../src/cli/output.js";
import { bin, place, refused, run } from "./given.js";

const program = programOf({
  output: new Output(process.stdout, process.stderr),
  system: realSystem,
  stop: new AbortController().signal,
  env: {},
  exit: 0,
});

/** Every command by its words, groups too. */
function* commandsOf(command: Command, words: readonly string[] = []): Generator<[string[], Command]> {
  for (const child of command.commands) {
    if (child.name() === "help") continue;
    const own = [...words, child.name()];
    yield [own, child];
    yield* commandsOf(child, own);
  }
}
const commands = [...commandsOf(program)];

test("each command's help has its usage and an example that begins with the command itself", async () => {
  assert.ok(commands.length >= 10);
  await Promise.all(
    commands.map(async ([words]) => {
      const { code, out, err } = await run(undefined, [...words, "--help"]);
      assert.deepEqual([code, err], [0, ""], words.join(" "));
      assert.match(out, new RegExp(`^Usage: bcoopfs ${words.join(" ")}`));
      assert.match(out, /\nExamples?:\n/, `${words.join(" ")} has no example`);
      const examples = out
        .slice(out.search(/\nExamples?:\n/))
        .split("\n")
        .slice(2);
      const own = examples.filter((line) => line.trim().startsWith(`bcoopfs ${words.join(" ")}`));
      assert.ok(own.length > 0, `${words.join(" ")}: ${examples.join("|")}`);
      for (const line of out.split("\n")) assert.ok(line.length <= 120, `too long: ${line}`);
    }),
  );
});

test("words of an example are words that the command knows", () => {
  for (const [words, command] of commands) {
    const texts: string[] = [];
    command.configureOutput({ writeOut: (more) => texts.push(more) });
    command.outputHelp();
    const text = texts.join("");
    for (const [, option] of text.slice(text.search(/\nExamples?:\n/)).matchAll(/\s(--[a-z-]+)/g)) {
      const known = commands.some(([, other]) => other.options.some(({ long }) => long === option));
      assert.ok(known, `${words.join(" ")}: ${option} in its example`);
    }
  }
});

test("every option says what it does, in one sentence without a full stop", () => {
  for (const [words, command] of commands) {
    assert.ok(command.description().length > 5, words.join(" "));
    for (const option of command.options) {
      assert.ok(option.description.length > 5, `${words.join(" ")} ${option.flags}`);
      assert.doesNotMatch(option.description, /\.$/);
    }
  }
});

test("no words: the help on stderr, exit 2; the same for a group", async () => {
  for (const words of [[], ["fileset"]]) {
    const { code, out, err } = await run(undefined, words);
    assert.deepEqual([code, out], [2, ""]);
    assert.match(err, /^Usage: bcoopfs/);
  }
  const asked = await run(undefined, ["--help"]);
  assert.deepEqual([asked.code, asked.err], [0, ""]);
  assert.match(asked.out, /bcoopfs init/);
  const other = await run(undefined, ["help", "snapshot"]);
  assert.equal(other.out, (await run(undefined, ["snapshot", "--help"])).out);
});

test("unknown commands, options and surplus words: exit 2, one line, a suggestion", async () => {
  const wrong: [string[], RegExp][] = [
    [["snapsho"], /unknown command 'snapsho' \(Did you mean snapshot\?\)/],
    [["xyzzy"], /unknown command 'xyzzy'; "bcoopfs --help" lists all/],
    [["fileset", "lss"], /unknown command 'lss' \(Did you mean ls\?\)/],
    [["revisions", "--jsn"], /unknown option '--jsn' \(Did you mean --json\?\)/],
    [["status", "-q"], /unknown option '-q'/],
    [["init", "--hsot", "x"], /unknown option '--hsot' \(Did you mean --host\?\)/],
    [["version", "extra"], /too many arguments/],
    [["status", "extra"], /too many arguments/],
    [["revisions", "a", "b"], /too many arguments/],
    [["fileset", "show", "a", "b"], /too many arguments/],
    [["fileset", "show"], /missing required argument 'name'/],
    [["fileset", "add", "x"], /required option '--root/],
    [["snapshot", "--home"], /argument missing/],
    [["init", "--phrase-file"], /argument missing/],
  ];
  await Promise.all(wrong.map(async ([words, says]) => refused(await run(undefined, words), 2, says)));
});

test("each command refuses an option that it does not have", async () => {
  await Promise.all(
    commands
      .filter(([, command]) => command.commands.length === 0)
      .map(async ([words, command]) => {
        const needed = command.options.filter(({ mandatory }) => mandatory).flatMap(({ long }) => [long ?? "", "/"]);
        refused(await run(undefined, [...words, ...needed, "--no-such-option"]), 2, /unknown option/);
      }),
  );
});

test("version: of the package, also as --version and as JSON", async () => {
  const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
  for (const words of [["version"], ["--version"], ["-V"]]) {
    const { code, out } = await run(undefined, words);
    assert.deepEqual([code, out], [0, `bcoopfs ${version}\n`]);
  }
  assert.equal(JSON.parse((await run(undefined, ["version", "--json"])).out).version, version);
});

test("a reader that goes away ends the program quietly", async (t) => {
  const { home, top, put, ok } = await place(t);
  put({ "src/f": "x" });
  for (let i = 0; i < 3; i++) await ok("snapshot", "-q", "./src");
  for (const words of ["revisions", "revisions --json", "--help", "status", `snapshot ${top}/src`]) {
    const shell = spawn("bash", ["-c", `set -o pipefail; "${bin}" ${words} | head -c 0`], {
      env: { ...process.env, BCOOPFS_HOME: home },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const err: Buffer[] = [];
    shell.stderr.on("data", (bytes) => err.push(bytes));
    const code = await new Promise((resolve) => shell.on("close", resolve));
    assert.equal(Buffer.concat(err).toString(), "", words);
    assert.ok(code === 0 || code === 141, `${words}: ${code}`);
  }
  // Nobody ever listened: the work is done all the same.
  const before = ((await ok("revisions")).out.match(/\n/g) ?? []).length;
  const closed = spawn("bash", ["-c", `"${bin}" snapshot "${top}/src" >&- 2>&-`], {
    env: { ...process.env, BCOOPFS_HOME: home },
    stdio: "ignore",
  });
  await new Promise((resolve) => closed.on("close", resolve));
  assert.equal(((await ok("revisions")).out.match(/\n/g) ?? []).length, before + 1);
});

/**
 * What the documents say is what the code does: commands, options, exit statuses, bounds.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { exitCodeOf } from "../src/base/errors.js";
import { format, swarm, wire } from "../src/base/limits.js";
import { realSystem } from "../src/base/system.js";
import { programOf } from "../src/cli/main.js";
import { exitShort, Output } from "../src/cli/output.js";

const doc = (name: string): string => readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), "utf8");
const manual = doc("docs/manual.md");

function allCommands(): Command[] {
  const output = new Output(process.stdout, process.stderr);
  const program = programOf({ output, system: realSystem, stop: new AbortController().signal, env: {}, exit: 0 });
  const below = (command: Command): Command[] => [command, ...command.commands.flatMap(below)];
  return program.commands.flatMap(below);
}

function fullName(command: Command): string {
  const above = command.parent ? fullName(command.parent) : "";
  return `${above} ${command.name()}`.trim();
}

/** What the manual says of one command: from its heading to the next. */
function section(command: Command): string {
  const top = fullName(command).split(" ")[1] as string;
  const at = manual.search(new RegExp(`^### (?:[a-z]+, )*${top}(?:, [a-z]+)*$`, "m"));
  assert.notEqual(at, -1, `the manual has no section for ${top}`);
  const rest = manual.slice(at + 4);
  const end = rest.search(/^#{2,3} /m);
  return end < 0 ? rest : rest.slice(0, end);
}

test("every command and option stands in the manual", () => {
  for (const command of allCommands()) {
    const text = section(command);
    assert.ok(text.includes(fullName(command)), `the manual does not show "${fullName(command)}"`);
    for (const option of command.options) {
      if (option.long === "--home") continue; // said once, in General
      const spelled = [option.long, option.short].filter((flag): flag is string => flag !== undefined);
      assert.ok(
        spelled.some((flag) => text.includes(flag)),
        `the manual does not show ${option.long} of ${fullName(command)}`,
      );
    }
  }
});

test("every option in the manual's synopses exists", () => {
  const commands = allCommands();
  for (const [, words] of manual.matchAll(/`bcoopfs ([a-z][^`]*)`/g)) {
    const parts = (words as string).split(/[\s[\]…|=]+/);
    const command =
      commands.find((one) => fullName(one) === `bcoopfs ${parts.slice(0, 2).join(" ")}`) ??
      commands.find((one) => fullName(one) === `bcoopfs ${parts[0]}`);
    assert.ok(command, `the manual shows "bcoopfs ${words}", which is no command`);
    for (const part of parts)
      if (/^-/.test(part))
        assert.ok(
          command.options.some((option) => option.long === part || option.short === part),
          `${fullName(command)} has no ${part}`,
        );
  }
});

test("every command's help has an example that begins with its name", () => {
  for (const command of allCommands()) {
    if (command.commands.length > 0) continue;
    let help = "";
    command.configureOutput({ writeOut: (text) => (help += text) });
    command.outputHelp();
    assert.match(help, /Examples?:/, `${fullName(command)} --help has no example`);
    assert.ok(
      help.split("Example")[1]?.includes(fullName(command)),
      `the example of ${fullName(command)} shows another command`,
    );
  }
});

test("exit statuses in the manual are those of the code", () => {
  const listed = new Set([...manual.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code)));
  const codes = [
    "usage",
    "config",
    "not-found",
    "no-space",
    "io",
    "refused",
    "no-vault",
    "busy",
    "phrase",
    "damaged",
    "interrupted",
  ] as const;
  const used = new Set([0, 3, exitShort, ...codes.map(exitCodeOf)]);
  assert.deepEqual([...listed].sort(), [...used].sort());
});

test("bounds in format.md are those of the code", () => {
  const table = new Map(
    [...doc("docs/format.md").matchAll(/^\| ([a-z][^|]*?) \| (\d+)(?: (B|KiB|MiB))? \|$/gm)].map(
      ([, what, value, unit]) => [what, Number(value) * (unit === "MiB" ? 1 << 20 : unit === "KiB" ? 1024 : 1)],
    ),
  );
  const expected: Record<string, number> = {
    "chunk, plaintext": format.chunkBytes,
    "frame, plaintext": format.frameBytes,
    "frame, sealed": format.sealedFrameBytes,
    segment: format.segmentBytes,
    "frames in a segment": format.framesPerSegment,
    "chunks in a segment": format.chunksPerSegment,
    leaf: format.leafBytes,
    record: format.recordBytes,
    "name in a folder": format.nameBytes,
    "target of a symbolic link": format.targetBytes,
    "attributes of an entry": format.xattrsPerEntry,
    "value of an attribute that stands in the entry": format.xattrInlineBytes,
    "value of an attribute": format.xattrValueBytes,
    "levels of lists and trees": format.levels,
    "host, fileset and label": format.labelBytes,
    "boxes in an epoch record": format.coopBoxes,
    "coop key file": format.inviteBytes,
    "bootstrap nodes in a coop key file": format.bootstrapEntries,
    "address of a bootstrap node": format.addressBytes,
    receipt: wire.receiptBytes,
    "names in a receipt": wire.names,
  };
  assert.deepEqual(Object.fromEntries(table), expected);
});

test("numbers of the room in protocol.md are those of the code", () => {
  const text = doc("docs/protocol.md").replace(/\s+/g, " ");
  const said = [
    `frozen u8 }, at most ${wire.headsPerMessage} ‖ more`,
    `{ record blob }, at most ${wire.recordsPerMessage} and ${wire.recordBytesPerMessage >> 10} KiB`,
    `version u64 }, at most ${wire.partsPerMessage} |`,
    `part blob, at most ${wire.partBytes >> 10} KiB`,
    `leaves u8, 1 to ${wire.leavesPerRequest} |`,
    `{ chaining value 32 }, at most ${wire.proofValues} ‖`,
    `{ name 32 }, at most ${wire.names} |`,
    `receipt blob (docs/format.md), at most ${wire.receiptBytes >> 10} KiB`,
    `at most ${swarm.linkCreditBytes >> 20} MiB in ${swarm.leavesRequests} requests are open on a link`,
    `${swarm.pullRequests} requests for what is to be kept`,
    `who does not answer within ${swarm.stallSeconds} s is passed over`,
    `no answer for ${swarm.stallSeconds} s | asked of others; for ${swarm.deadSeconds} s: cut`,
    `more than ${swarm.questions} questions for leaves and what is held, or ${swarm.plainQuestions} for records and parts`,
    `${swarm.linksKnocking} links that are not admitted yet, each for at most ${swarm.admissionSeconds} s`,
    `${swarm.links} links in all; ${swarm.linksPerDevice} with one device`,
    `at most ${swarm.keptOut} devices are remembered`,
  ];
  for (const words of said) assert.ok(text.includes(words), `docs/protocol.md does not say "${words}"`);
});

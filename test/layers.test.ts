/**
 * The house holds: no import upward or sideways, no cycle, one door for each dependency, no global clock or chance.
 * First the sources as they are, then one planted violation of every kind, so that a rule that no longer looks is seen.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { importsOf, tokenize } from "./support/imports.js";
import { doors, findViolations, longLines, maxLines, type Violation } from "./support/layers.js";

const root = new URL("../../", import.meta.url);

test("the sources keep the rules of the house", (t) => {
  const src = fileURLToPath(new URL("src/", root));
  const files = new Map(
    readdirSync(src, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .sort()
      .map((path) => [path, readFileSync(src + path, "utf8")]),
  );
  assert.ok(files.size > 0);
  const { dependencies } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));

  for (const [path, text] of files) {
    const lines = text.split("\n").length - 1;
    if (lines > longLines && lines <= maxLines) t.diagnostic(`${path} has ${lines} lines: one idea or two?`);
  }
  const broken = findViolations(files, Object.keys(dependencies)).filter(({ kind, where, what }) => {
    // While a dependency's door is still to be built, it is only told.
    const waiting = kind === "unused" && !doorBuilt(where, files);
    if (waiting) t.diagnostic(`${where} ${what} yet`);
    return !waiting;
  });
  assert.deepEqual(
    broken.map(({ kind, where, what }) => `${kind}: ${where} ${what}`),
    [],
  );
});

/** A door that is a file is built when the file is there, one that is a folder when the command line is. */
function doorBuilt(dependency: string, files: ReadonlyMap<string, string>): boolean {
  const places = doors.find((door) => door.dependency.test(dependency))?.places ?? [];
  const isFile = places.every((place) => !place.endsWith("/")) && places.length > 0;
  return isFile ? places.some((place) => files.has(place)) : files.has("cli/main.ts");
}

/** What is found in a house of these files and dependencies, as "kind where". */
function found(files: Record<string, string>, dependencies: string[] = []): string[] {
  return findViolations(new Map(Object.entries(files)), dependencies).map(
    ({ kind, where }: Violation) => `${kind} ${where}`,
  );
}

const broken: readonly [why: string, files: Record<string, string>, expected: string, dependencies?: string[]][] = [
  ["upward", { "base/a.ts": 'import { x } from "../store/b.js";' }, "floor base/a.ts:1"],
  ["upward by one", { "format/a.ts": '\n\nexport * from "../store/b.js";' }, "floor format/a.ts:3"],
  ["upward for a type", { "store/a.ts": 'import type { X } from "../vault/b.js";' }, "floor store/a.ts:1"],
  ["upward, dynamic", { "vault/a.ts": 'const x = await import("../cli/b.js");' }, "floor vault/a.ts:1"],
  ["upward in a type query", { "vault/a.ts": 'type X = import("../host/b.js").X;' }, "floor vault/a.ts:1"],
  [
    "upward from a subfolder",
    { "cli/commands/a.ts": "", "host/x/a.ts": 'import "../../cli/commands/a.js";' },
    "floor host/x/a.ts:1",
  ],
  ["sideways", { "capture/a.ts": 'import "../swarm/b.js";' }, "floor capture/a.ts:1"],
  ["sideways", { "mount/a.ts": 'import "../recall/b.js";' }, "floor mount/a.ts:1"],
  ["sideways", { "upkeep/a.ts": 'import "../capture/b.js";' }, "floor upkeep/a.ts:1"],
  ["no such floor", { "utils/a.ts": "" }, "place utils/a.ts"],
  ["on no floor", { "a.ts": "" }, "place a.ts"],
  ["out of the house", { "cli/a.ts": 'import "../../test/b.js";' }, "place cli/a.ts:1"],
  ["itself", { "base/a.ts": 'import "./a.js";' }, "cycle base/a.ts"],
  [
    "a cycle of two",
    { "base/a.ts": 'import "./b.js";', "base/b.ts": 'import type { A } from "./a.js";' },
    "cycle base/a.ts",
  ],
  [
    "a cycle of three",
    {
      "cli/a.ts": 'import "./b.js";',
      "cli/b.ts": 'import "./x/c.js";',
      "cli/x/c.ts": 'import "../a.js";',
      "cli/z.ts": 'import "./a.js";',
    },
    "cycle cli/a.ts",
  ],
  [
    "lmdb",
    { "store/logs.ts": 'import { open } from "lmdb";', "store/catalogue.ts": 'import "lmdb";' },
    "door store/logs.ts:1",
    ["lmdb"],
  ],
  ["hyperswarm", { "swarm/link.ts": 'import H from "hyperswarm";' }, "door swarm/link.ts:1", ["hyperswarm"]],
  ["hyperdht", { "host/daemon.ts": 'import H from "hyperdht";' }, "door host/daemon.ts:1", ["hyperdht"]],
  ["protomux", { "swarm/reach.ts": 'import P from "protomux";' }, "door swarm/reach.ts:1", ["protomux"]],
  [
    "noble",
    { "store/a.ts": 'import { blake3 } from "@noble/hashes/blake3.js";' },
    "door store/a.ts:1",
    ["@noble/hashes"],
  ],
  ["bip39", { "vault/a.ts": 'import { validate } from "@scure/bip39";' }, "door vault/a.ts:1", ["@scure/bip39"]],
  [
    "commander",
    { "cli/commands/a.ts": 'import { Command } from "commander";' },
    "door cli/commands/a.ts:1",
    ["commander"],
  ],
  [
    "commander, a type inline",
    { "cli/commands/a.ts": 'import { type Command } from "commander";' },
    "door cli/commands/a.ts:1",
    ["commander"],
  ],
  [
    "commander, a type elsewhere",
    { "cli/output.ts": 'import type { Command } from "commander";' },
    "door cli/output.ts:1",
    ["commander"],
  ],
  ["fuse-native", { "mount/session.ts": 'import F from "fuse-native";' }, "door mount/session.ts:1", ["fuse-native"]],
  ["the addon, required", { "store/a.ts": 'require("../../native/build/Release/bcoopfs.node");' }, "door store/a.ts:1"],
  ["the addon, opened", { "mount/a.ts": 'process.dlopen(module, "build/bcoopfs.node");' }, "door mount/a.ts:1"],
  ["a require of one's own", { "store/a.ts": 'import { createRequire } from "node:module";' }, "door store/a.ts:1"],
  [
    "zstd-napi",
    { "format/frame.ts": 'import { compress } from "zstd-napi";' },
    "door format/frame.ts:1",
    ["zstd-napi"],
  ],
  [
    "toml outside vault",
    { "cli/a.ts": 'import { parseTOML } from "toml-eslint-parser";' },
    "door cli/a.ts:1",
    ["toml-eslint-parser"],
  ],
  [
    "toml twice",
    { "vault/a.ts": 'import "toml-eslint-parser";', "vault/b.ts": 'import "toml-eslint-parser";' },
    "door vault/b.ts",
    ["toml-eslint-parser"],
  ],
  ["node:crypto", { "swarm/a.ts": 'import { randomBytes } from "node:crypto";' }, "door swarm/a.ts:1"],
  [
    "node:crypto beside its door",
    { "base/bytes.ts": 'import { randomBytes } from "node:crypto";' },
    "door base/bytes.ts:1",
  ],
  ["timers as a module", { "swarm/a.ts": 'import timers from "node:timers/promises";' }, "door swarm/a.ts:1"],
  ["unused", {}, "unused left-over", ["left-over"]],
  ["undeclared", { "base/a.ts": 'import x from "left-pad";' }, "undeclared base/a.ts:1"],
  ["undeclared, in a scope", { "base/a.ts": 'import x from "@scope/name/part.js";' }, "undeclared base/a.ts:1", []],
  ["a built-in without node:", { "base/a.ts": 'import fs from "fs";' }, "undeclared base/a.ts:1"],
  ["computed", { "cli/a.ts": "await import(`./commands/${name}.js`);" }, "computed cli/a.ts:1"],
  ["computed by sum", { "cli/a.ts": 'await import("./commands/" + name);' }, "computed cli/a.ts:1"],
  [
    "computed by createRequire",
    { "format/zstd.ts": "createRequire(import.meta.url)(name);" },
    "computed format/zstd.ts:1",
  ],
  ["too long", { "base/a.ts": "\n".repeat(maxLines + 1) }, "long base/a.ts"],
  ["Date.now", { "swarm/a.ts": "const t = Date.now();" }, "global swarm/a.ts:1"],
  ["Date.now as a value", { "store/a.ts": "constructor(now = Date.now) {}" }, "global store/a.ts:1"],
  ["new Date()", { "capture/a.ts": "const t = new Date();" }, "global capture/a.ts:1"],
  ["Math.random", { "format/a.ts": "const r = Math.random() * 6;" }, "global format/a.ts:1"],
  ["setTimeout", { "upkeep/a.ts": "setTimeout(() => {}, 10);" }, "global upkeep/a.ts:1"],
  ["setTimeout of globalThis", { "upkeep/a.ts": "globalThis.setTimeout(go, 10);" }, "global upkeep/a.ts:1"],
  ["setTimeout in a template", { "swarm/a.ts": "const s = `${setTimeout(go, 1)}`;" }, "global swarm/a.ts:1"],
  ["setInterval", { "recall/a.ts": "const t = setInterval(go, 10);" }, "global recall/a.ts:1"],
  ["performance.now", { "vault/a.ts": "performance.now();" }, "global vault/a.ts:1"],
  ["process.hrtime", { "base/a.ts": "process.hrtime.bigint();" }, "global base/a.ts:1"],
  ["crypto.getRandomValues", { "vault/a.ts": "crypto.getRandomValues(b);" }, "global vault/a.ts:1"],
];

for (const [why, files, expected, dependencies] of broken)
  test(`caught: ${why}: ${expected}`, () => assert.deepEqual(found(files, dependencies), [expected]));

test("what is allowed is not reported", () => {
  const files = {
    "base/errors.ts": 'import { inspect } from "node:util";',
    "base/system.ts":
      'import { randomFillSync } from "node:crypto";\nDate.now(); setTimeout(go, 1); process.hrtime.bigint();',
    "base/native.ts":
      'import { createRequire } from "node:module";\nconst r = createRequire(import.meta.url);\nr("../x/bcoopfs.node"); createRequire(here())(name);',
    "format/zstd.ts":
      'import { createRequire } from "node:module";\ncreateRequire(import.meta.url)("zstd-napi/binding.js");\nimport { Problem } from "../base/errors.js";',
    "format/hash.ts": 'import { blake3 } from "@noble/hashes/blake3.js";\nimport { hkdfSync } from "node:crypto";',
    "format/sub/keys.ts": 'import { entropyToMnemonic } from "@scure/bip39";\nexport { a } from "../hash.js";',
    "store/catalogue.ts": 'import { open } from "lmdb";',
    "vault/config.ts":
      'import { parseTOML } from "toml-eslint-parser";\nnew Date(ms); Date.parse(text); Date.UTC(2026);',
    "swarm/reach.ts":
      'import H from "hyperswarm";\nimport D from "hyperdht";\nsystem.setTimeout(go); ({ setTimeout: wait }); system?.setTimeout();',
    "swarm/link.ts": 'import P from "protomux";',
    "mount/fuse-native.ts": 'import F from "fuse-native";\nimport type { View } from "../vault/view.js";\nDate.now();',
    "host/daemon.ts": 'import "../swarm/reach.js";\nimport "../capture/scan.js";\nsetInterval(go, 1);',
    "cli/main.ts": 'import { Command } from "commander";\nawait import("./commands/init.js");',
    "cli/commands/init.ts":
      'import type { Command } from "commander";\nimport pkg from "../../../package.json" with { type: "json" };',
  };
  const names =
    "@noble/hashes @scure/bip39 commander fuse-native hyperdht hyperswarm lmdb protomux toml-eslint-parser zstd-napi";
  assert.deepEqual(found(files, names.split(" ")), []);
});

test("imports are told from what only looks like one", () => {
  const source = [
    '#!/usr/bin/env node import "no"',
    'import a, { type b as c, "d-e" as f } from "1";',
    'import * as g from \'2\'; import type h from "3"; import type from "4"; import "5";',
    'export * from "6"; export * as i from "7"; export { j } from "8"; export type { k } from "9";',
    'const l = await import( /* why */ "10" ), m = await import(`11`), n = typeof import("12");',
    '// import "no"',
    '/* import "no"; */ const o = "import \\"no\\""; const p = \'import "no"\';',
    'const q = `import "no" ${r ? `${await import("13")}` : "}"} import "no"`;',
    'const s = /import "no"`[/"]\\//.test(t) && u! / 2 && v[0] / w / x; const y = /"/g;',
    'export const from = "no"; export default import.meta.url; z.import("no"); export { from };',
    'type A = { import: string; from: "no" }; require("14"); require(b, "no"); if (c) return /import "no"/;',
    "import {",
    "  d,",
    '} from "15";',
  ].join("\n");
  const imports = importsOf(tokenize(source));
  assert.deepEqual(
    imports.map(({ target }) => target),
    Array.from({ length: 15 }, (_, i) => String(i + 1)),
  );
  assert.deepEqual(
    imports.filter(({ typeOnly }) => typeOnly).map(({ target }) => target),
    ["3", "9"],
  );
  assert.deepEqual(
    imports.map(({ line }) => line),
    [2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 8, 11, 12],
  );
  assert.throws(() => tokenize("const a = `${b} c"), SyntaxError);
});

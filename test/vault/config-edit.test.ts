import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Problem } from "../../src/base/errors.js";
import { parseConfig } from "../../src/vault/config.js";
import { addFileset, type NewFileset, removeFileset } from "../../src/vault/config-edit.js";

fc.configureGlobal({ seed: Number(process.env.BCOOPFS_SEED || 1), numRuns: 500 });

const id = "0123456789abcdef0123456789abcdef";
const problem = (code: string, why: RegExp) => (error: unknown) =>
  error instanceof Problem && error.code === code && why.test(error.message) && !/\n/.test(error.message);

test("a table is added at the end, as a person would write it", () => {
  assert.equal(
    addFileset("# mine\n[defaults]\n", { name: "home", id, roots: ["/home/ann"], exclude: ["*.o"], enabled: false }),
    `# mine\n[defaults]\n\n[fileset.home]\nid = "${id}"\nroots = ["/home/ann"]\nexclude = ["*.o"]\nenabled = false\n`,
  );
  assert.equal(addFileset("", { name: "a.b", id, roots: ["/"] }), `[fileset."a.b"]\nid = "${id}"\nroots = ["/"]\n`);
  assert.ok(addFileset("# no newline", { name: "a", id, roots: ["/"] }).startsWith("# no newline\n\n[fileset.a]\n"));
  const long = ["/srv/a-rather-long-path/that-goes-on", "/srv/another-rather-long-path/that-goes-on"];
  assert.match(
    addFileset("", { name: "a", id, roots: long }),
    /^roots = \[\n {2}"\/srv\/a-.*",\n {2}"\/srv\/an.*",\n\]$/m,
  );
});

test("line ends and a byte order mark are the file's own", () => {
  const text = addFileset("\uFEFF[defaults]\r\n", { name: "a", id, roots: ["/a"] });
  assert.equal(text, `\uFEFF[defaults]\r\n\r\n[fileset.a]\r\nid = "${id}"\r\nroots = ["/a"]\r\n`);
  assert.equal(removeFileset(text, "a"), "\uFEFF[defaults]\r\n");
  assert.equal(removeFileset('\uFEFF[fileset.a]\nroots = ["/a"]\n', "a"), "\uFEFF");
});

test("what cannot be added, and whose fault it is", () => {
  const good = { name: "a", id, roots: ["/a"] };
  const text = addFileset("# x\n", good);
  assert.throws(() => addFileset(text, good), problem("usage", /"a" stands already in config\.toml:3/));
  assert.throws(() => addFileset(text, { ...good, name: "b" }), problem("usage", /have the same id/));
  assert.throws(() => addFileset("", { ...good, name: ".b" }), problem("usage", /^bad fileset name/));
  assert.throws(() => addFileset("", { ...good, name: 'a"\n[x]' }), problem("usage", /^bad fileset name/));
  assert.throws(
    () => addFileset("", { ...good, roots: ["b"] }),
    problem("usage", /^root "b" is not absolute|^root "b"/),
  );
  assert.throws(() => addFileset("", { ...good, roots: [] }), problem("usage", /at least one/));
  assert.throws(() => addFileset("", { ...good, exclude: ["[a"] }), problem("usage", /^bad pattern/));
  assert.throws(() => addFileset("", { ...good, roots: ["/\ud800"] }), problem("usage", /Unicode/));
  assert.throws(() => addFileset("x = 1\n", good), problem("config", /^config\.toml:1: /));
  const inline = 'fileset = { b = { roots = ["/b"] } }\n';
  assert.throws(() => addFileset(inline, good), problem("usage", /cannot add \[fileset\.a\]/));
});

const file = `# My machine.

[defaults]
exclude = ["*.o"]
# about the defaults, not about home

# Home:
# all of it
[fileset.home] # here
roots = [
  "/home/ann", # me
]
exclude = [] # none
# enabled = false

# A word between.

# Work
[fileset.work]
roots = ["/work"]
# next one
[fileset.last]
roots = ["""
/last"""]

# The end.
`;

test("a table goes with its own comments and one empty line, all else stays", () => {
  const [before, after] = file.split(/# Home:.*# enabled = false\n\n/s);
  assert.equal(removeFileset(file, "home"), `${before}${after}`);
  // The comment below leads on to the next header.
  assert.equal(removeFileset(file, "work"), file.replace('# Work\n[fileset.work]\nroots = ["/work"]\n', ""));
  assert.equal(removeFileset(file, "last"), file.replace('# next one\n[fileset.last]\nroots = ["""\n/last"""]\n', ""));
  let text = file;
  for (const name of ["last", "home", "work"]) text = removeFileset(text, name);
  assert.deepEqual(parseConfig(text), { filesets: new Map(), defaults: { exclude: ["*.o"] }, coop: {} });
  for (const comment of ["# My machine.", "# about the defaults", "# A word between.", "# The end."])
    assert.ok(text.includes(comment), comment);
});

test("what looks like a header or a comment within a string is neither", () => {
  const string = '[fileset.a]\nroots = ["/a", """/b\n[fileset.b]\n# c"""]\n';
  const text = `${string}[fileset.b]\nroots = ["/b"]\n`;
  assert.equal(removeFileset(text, "b"), string);
  const closing = '[fileset.a]\nexclude_file = """/x\n# y"""\nroots = ["/a"]\nexclude = ["""\n# z"""]\n';
  assert.equal(removeFileset(`${closing}[fileset.b]\nroots = ["/b"]\n`, "b"), closing);
});

test("what cannot be removed", () => {
  assert.throws(
    () => removeFileset(file, "hom"),
    problem("unknown-fileset", /no fileset "hom"; did you mean "home"\?/),
  );
  assert.throws(() => removeFileset("", "a\n"), problem("unknown-fileset", /no fileset "a\\n"$/));
  for (const text of ['fileset.a.roots = ["/a"]', '[fileset]\na = { roots = ["/a"] }', 'fileset = {a={roots=["/a"]}}'])
    assert.throws(() => removeFileset(text, "a"), problem("config", /^config\.toml:[12]: .* edit it by hand/));
  assert.throws(() => removeFileset("[fileset.a]\nx = 1\n", "a"), problem("config", /^config\.toml:2: /));
});

const special = fc.constantFrom('"', "\\", "\n", "\r", "\t", "#", "'", "[", "\u202e", "\u{e0001}", "\u2028");
const anyText = fc
  .array(fc.oneof(special, fc.string({ unit: "binary", maxLength: 2 })), { maxLength: 6 })
  .map((parts) => parts.join(""));
const anyPath = anyText.map((text) => `/${text.replaceAll("\0", "")}`);
const anyPattern = fc.constantFrom("*.o", "!keep.o", "/a/b c", "a\\ b", 'q"uote', "é", "tab\tin", "x".repeat(60));
const anyName = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,10}$/);
const anyFileset: fc.Arbitrary<NewFileset> = fc.record(
  {
    name: anyName,
    id: fc.stringMatching(/^[0-9a-f]{32}$/),
    roots: fc.array(anyPath, { minLength: 1, maxLength: 4 }),
    include: fc.array(anyPattern, { maxLength: 3 }).filter((list) => list[0] !== "!keep.o"),
    exclude: fc.array(anyPattern, { maxLength: 3 }),
    excludeFile: anyPath,
    oneFileSystem: fc.boolean(),
    enabled: fc.boolean(),
  },
  { requiredKeys: ["name", "id", "roots"] },
);
const anyFile = fc
  .array(
    fc.constantFrom(
      "# a comment\n",
      "\n",
      "[defaults]\nexclude = ['*.o']\n",
      '# z\n[fileset.zz_1]\nroots = ["/z"] # x\n# below\n',
      '[fileset."zz.2"] # y\nroots = [\n"/z",\n\n# in\n]\n',
      "   \t\n",
    ),
    { maxLength: 6 },
  )
  .map((parts) => [...parts.filter((part, i) => !part.includes("[") || parts.indexOf(part) === i)].join(""))
  .chain((text) => fc.constantFrom(text, text.replaceAll("\n", "\r\n"), `\uFEFF${text}`));

test("add says what was meant and changes nothing else; remove undoes it byte for byte", () => {
  fc.assert(
    fc.property(anyFile, anyFileset, (text, fileset) => {
      const added = addFileset(text, fileset);
      assert.ok(added.startsWith(text));
      const { line: _, ...read } = parseConfig(added).filesets.get(fileset.name) ?? { line: 0 };
      const { defaults } = parseConfig(text);
      assert.deepEqual(read, {
        include: [],
        exclude: [],
        oneFileSystem: false,
        enabled: true,
        ...defaults,
        ...fileset,
      });
      assert.equal(removeFileset(added, fileset.name), text);
    }),
  );
});

test("the order in which filesets come and go does not matter to those that stay", () => {
  const three = fc.uniqueArray(anyFileset, { minLength: 3, maxLength: 3, selector: ({ name }) => name });
  fc.assert(
    fc.property(anyFile, three, (text, [a, b, c]) => {
      const [first, second, third] = [a as NewFileset, b as NewFileset, c as NewFileset];
      fc.pre(new Set([a?.id, b?.id, c?.id]).size === 3);
      const all = addFileset(addFileset(addFileset(text, first), second), third);
      const without = removeFileset(all, second.name);
      assert.equal(without, addFileset(addFileset(text, first), third));
    }),
  );
});

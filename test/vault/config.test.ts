import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Problem } from "../../src/base/errors.js";
import { parseConfig } from "../../src/vault/config.js";

fc.configureGlobal({ seed: Number(process.env.BCOOPFS_SEED || 1), numRuns: 500 });

const id = "0123456789abcdef0123456789abcdef";

function refused(text: string, line: number, why: RegExp): void {
  assert.throws(
    () => parseConfig(text),
    (error) => {
      assert.ok(error instanceof Problem, String(error));
      assert.equal(error.code, "config");
      assert.ok(error.message.startsWith(`config.toml:${line}: `), `${error.message} for ${JSON.stringify(text)}`);
      assert.match(error.message, why);
      assert.doesNotMatch(error.message, /\p{Cc}/u);
      return true;
    },
  );
}

test("a whole file", () => {
  const config = parseConfig(`# mine
[defaults]
exclude = ["*.o", "node_modules/"]
one_file_system = true

[fileset.home]   # all of it
id = "${id}"
roots = [
  "/home/ann", # with a comment
  '/srv/My "docs"',
]
exclude_file = "/etc/excludes"
exclude = []

[fileset."v1.0"]
roots = ["/v"]
include = ["a", "!b"]
enabled = false
one_file_system = false
`);
  assert.deepEqual(config.defaults, { exclude: ["*.o", "node_modules/"], oneFileSystem: true });
  assert.deepEqual([...config.filesets.keys()], ["home", "v1.0"]);
  assert.deepEqual(config.filesets.get("home"), {
    name: "home",
    id,
    roots: ["/home/ann", '/srv/My "docs"'],
    include: [],
    exclude: [], // replaced, not merged
    excludeFile: "/etc/excludes",
    oneFileSystem: true,
    enabled: true,
    line: 6,
  });
  assert.deepEqual(config.filesets.get("v1.0"), {
    name: "v1.0",
    id: undefined,
    roots: ["/v"],
    include: ["a", "!b"],
    exclude: ["*.o", "node_modules/"],
    oneFileSystem: false,
    enabled: false,
    line: 15,
  });
});

test("every key in [defaults] fills what a fileset leaves out, and only that", () => {
  const keys: [key: string, there: string, here: string, field: string, expected: unknown[]][] = [
    ["roots", '["/d"]', '["/f"]', "roots", [["/d"], ["/f"]]],
    ["include", '["d"]', '["f"]', "include", [["d"], ["f"]]],
    ["exclude", '["d"]', '["f"]', "exclude", [["d"], ["f"]]],
    ["exclude_file", '"/d"', '"/f"', "excludeFile", ["/d", "/f"]],
    ["one_file_system", "true", "false", "oneFileSystem", [true, false]],
    ["enabled", "false", "true", "enabled", [false, true]],
  ];
  for (const [key, there, here, field, [filled, own]] of keys) {
    const roots = key === "roots" ? "" : 'roots = ["/r"]\n';
    const text = `[defaults]\n${key} = ${there}\n[fileset.a]\n${roots}[fileset.b]\n${roots}${key} = ${here}\n`;
    const { filesets } = parseConfig(text);
    assert.deepEqual(filesets.get("a")?.[field as "roots"], filled, key);
    assert.deepEqual(filesets.get("b")?.[field as "roots"], own, key);
  }
});

test("nothing at all is a config", () => {
  for (const text of ["", "\n", "# only a comment", "\uFEFF", "[defaults]\n", "[fileset]\n"])
    assert.equal(parseConfig(text).filesets.size, 0);
});

test("a table may be written in any way that TOML has", () => {
  const forms = [
    '[fileset.a]\nroots = ["/a"]',
    'fileset.a.roots = ["/a"]',
    '[fileset]\na.roots = ["/a"]',
    '[fileset]\na = { roots = ["/a"] }',
    'fileset = { a = { roots = ["/a"] } }',
    '["fileset".\'a\']\n"roots" = ["""/a"""]',
    '\uFEFF[fileset.a]\r\nroots = ["/a"]\r\n',
  ];
  const first = { ...parseConfig(forms[0] as string).filesets.get("a"), line: 0 };
  for (const text of forms) assert.deepEqual({ ...parseConfig(text).filesets.get("a"), line: 0 }, first, text);
});

test("unknown keys and tables: line, place, and what was meant", () => {
  refused(
    '[fileset.home]\nroots = ["/a"]\nexclud = ["a"]',
    3,
    /unknown key "exclud" in \[fileset\.home\]; did you mean "exclude"\?$/,
  );
  refused("[defaults]\none-file-system = true", 2, /unknown key .* in \[defaults\]; did you mean "one_file_system"\?$/);
  refused('[fileset."a.b"]\nroots = ["/a"]\nxyzzy = 1', 3, /in \[fileset\."a\.b"\]; known are id, roots, include,/);
  refused("\n[filset.home]\n", 2, /unknown table \[filset\]; did you mean \[fileset\]\?$/);
  refused("[default]\n", 1, /did you mean \[defaults\]\?$/);
  refused('roots = ["/a"]\n', 1, /"roots" stands outside of/);
  refused('[fileset.a]\nroots = ["/a"]\n[fileset.a.sub]\nx = 1', 3, /unknown key "sub"/);
  refused('[fileset.a]\nroots = ["/a"]\ntoString = 1', 3, /unknown key "toString"/);
  refused('[fileset.a]\nroots = ["/a"]\n__proto__ = 1', 3, /unknown key "__proto__"/);
  refused('[fileset.a]\nroots = ["/a"]\n"b\\n\\u202e" = 1', 3, /unknown key "b\\n\\u202e"/);
});

test("what later versions read is not taken for granted", () => {
  for (const key of ["copies", "schedule", "keep_daily", "before", "max_deleted", "dedup_with"])
    refused(
      `[fileset.a]\n${key} = 1`,
      2,
      new RegExp(`key "${key}" in \\[fileset.a\\] is not supported by this version`),
    );
  refused("[defaults]\nkeep_last = 3", 2, /not supported by this version/);
  refused('[coop]\nkeep = "all"\n', 2, /key "keep" in \[coop\] is not supported by this version/);
  refused("[store.usb]\n", 1, /\[store\.NAME\] is not supported by this version/);
});

test("[coop]: how others are met", () => {
  assert.deepEqual(parseConfig("").coop, {});
  const { coop } = parseConfig('[coop]\nbootstrap = ["10.0.0.5:49737", "node.example.org:1"]\nlisten = "0.0.0.0"\n');
  assert.deepEqual(coop, { bootstrap: ["10.0.0.5:49737", "node.example.org:1"], listen: "0.0.0.0" });
  assert.deepEqual(parseConfig('[coop]\nlisten = "127.0.0.1:5000"').coop, { listen: "127.0.0.1:5000" });
  refused("[coop]\nbootstrap = []", 2, /at least one node; without the key the public DHT is used/);
  refused('[coop]\nbootstrap = "10.0.0.5:1"', 2, /bootstrap must be a list/);
  for (const bad of ["10.0.0.5", "10.0.0.5:0", "10.0.0.5:65536", ":1", "a b:1", "[::1]:1", "a:1:2"])
    refused(`[coop]\nbootstrap = [\n"a:1",\n"${bad}"]`, 4, /bootstrap node .*: (write it like|a port is 1 to 65535)/);
  refused('[coop]\nlisten = "a b"', 2, /listen = "a b": write "HOST" or "HOST:PORT"/);
  refused('[coop]\nbotstrap = ["a:1"]', 2, /unknown key "botstrap" in \[coop\]; did you mean "bootstrap"\?$/);
});

test("wrong types", () => {
  const wrong: [key: string, value: string, why: RegExp][] = [
    ["id", "5", /id must be a string in quotes, not a number/],
    ["id", `"${id.toUpperCase()}"`, /32 hex digits/],
    ["id", '"abc"', /32 hex digits/],
    ["roots", '"/a"', /roots must be a list of strings .*, not a string/],
    ["roots", '["/a", 1]', /each of roots must be a string/],
    ["roots", "[]", /at least one/],
    ["exclude", "true", /exclude must be a list .*, not true or false/],
    ["include", "{}", /include must be a list .*, not a table/],
    ["exclude_file", "[]", /exclude_file must be a string .*, not a list/],
    ["one_file_system", '"yes"', /one_file_system must be true or false, not a string/],
    ["enabled", "1", /enabled must be true or false, not a number/],
    ["enabled", "2020-01-01", /not a date or time/],
  ];
  for (const [key, value, why] of wrong) {
    const roots = key === "roots" ? "" : 'roots = ["/a"]';
    refused(`[fileset.a]\n${roots}\n${key} = ${value}`, 3, why);
  }
  refused("fileset = 1", 1, /must be a table/);
  refused("defaults = []", 1, /outside|must be a table/);
  refused("[fileset]\na = 1", 2, /\[fileset\.a\] must be a table/);
  refused("[[fileset.a]]\n", 1, /single brackets/);
});

test("bad names, roots, ids and patterns", () => {
  refused('[fileset.".a"]\nroots = ["/a"]', 1, /bad fileset name "\.a"/);
  refused('[fileset."a b"]\nroots = ["/a"]', 1, /bad fileset name/);
  refused(`[fileset.${"x".repeat(65)}]\nroots = ["/a"]`, 1, /bad fileset name/);
  refused('[fileset.a]\nroots = [\n"/a",\n"b"]', 4, /root "b" is not an absolute path/);
  refused('[fileset.a]\nroots = ["~/x"]', 2, /not an absolute path/);
  refused('[fileset.a]\nroots = ["/a\\u0000"]', 2, /NUL/);
  refused('[fileset.a]\nroots = ["/a"]\nexclude_file = "x"', 3, /exclude_file "x" is not an absolute path/);
  refused("\n[fileset.a]\n", 2, /\[fileset\.a\] has no roots/);
  refused('[fileset.a]\nroots = ["/a"]\nexclude = [\n "ok",\n "[a",\n]', 5, /bad pattern "\[a" in exclude: a class/);
  refused('[defaults]\ninclude = ["!a"]', 2, /bad pattern "!a" in include/);
  refused(`[defaults]\nid = "${id}"`, 2, /id belongs to one fileset/);
  refused(
    `[fileset.a]\nroots = ["/a"]\nid = "${id}"\n[fileset.b]\nroots = ["/a"]\nid = "${id}"`,
    6,
    /filesets "a" and "b" have the same id/,
  );
});

test("syntax errors and duplicates", () => {
  refused("[fileset.a]\nroots = [", 2, /./);
  refused('[fileset.a]\nroots = ["/a"]\nroots = ["/b"]', 3, /multiple times/);
  refused('[fileset.a]\nroots = ["/a"]\n[fileset.a]\n', 3, /multiple times/);
  refused('[fileset.a]\nroots = ["/a\n', 2, /string/i);
  refused("a b", 1, /./);
});

test("any text is a config or a problem of one line", () => {
  const token = fc.constantFrom(
    ...'[ ] . = " \' \n , { } # a fileset defaults roots id true 1 2020-01-01 \\ /a \u0000 \r\n é """'.split(" "),
    " ",
    "[fileset.a]\n",
    'roots = ["/a"]\n',
  );
  fc.assert(
    fc.property(fc.array(token, { maxLength: 14 }), (tokens) => {
      try {
        parseConfig(tokens.join(""));
      } catch (error) {
        assert.ok(error instanceof Problem, String((error as Error).stack));
        assert.match(error.message, /^config\.toml:\d+: [^\n\r]+$/);
      }
    }),
    { numRuns: 5000 },
  );
});

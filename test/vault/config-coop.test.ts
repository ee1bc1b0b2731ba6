/** The [coop] table, set by create, join and recover: one table changes, everything else stays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem } from "../../src/base/errors.js";
import { parseConfig } from "../../src/vault/config.js";
import { setCoop } from "../../src/vault/config-coop.js";

const fileset = '[fileset.a]\nroots = ["/a"] # mine\n';

test("a new table at the end", () => {
  assert.equal(setCoop("", { bootstrap: ["a:1"] }), '[coop]\nbootstrap = ["a:1"]\n');
  assert.equal(
    setCoop(fileset, { bootstrap: ["a:1", "b:2"], listen: "c" }),
    `${fileset}\n[coop]\nbootstrap = ["a:1", "b:2"]\nlisten = "c"\n`,
  );
  assert.equal(setCoop("# x\r\n", { listen: "c" }), '# x\r\n\r\n[coop]\r\nlisten = "c"\r\n');
  assert.equal(setCoop(fileset, {}), fileset);
});

test("a key that is there is replaced where it stands, others are added behind the last", () => {
  const text = `# top\n[coop] # ours\nbootstrap = [\n  "old:1", # the first\n] # why\n\n# next\n${fileset}`;
  assert.equal(
    setCoop(text, { bootstrap: ["new:1"] }),
    `# top\n[coop] # ours\nbootstrap = ["new:1"] # why\n\n# next\n${fileset}`,
  );
  assert.equal(
    setCoop('[coop]\nlisten = "c" # why', { bootstrap: ["new:1"] }),
    '[coop]\nlisten = "c" # why\nbootstrap = ["new:1"]\n',
  );
  assert.equal(setCoop(`[coop]\n${fileset}`, { listen: "c" }), `[coop]\nlisten = "c"\n${fileset}`);
  const long = Array.from({ length: 9 }, (_, i) => `node${i}.example.org:49737`);
  assert.deepEqual(parseConfig(setCoop(text, { bootstrap: long, listen: "d:2" })).coop, {
    bootstrap: long,
    listen: "d:2",
  });
});

test("written in another way, it is left alone", () => {
  for (const text of ['coop.listen = "c"\n', 'coop = { listen = "c" }\n'])
    assert.throws(
      () => setCoop(text, { bootstrap: ["a:1"] }),
      (error) => error instanceof Problem && error.code === "config" && /edit it by hand/.test(error.message),
    );
});

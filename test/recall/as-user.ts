/** Child of restore.test.ts, run as an ordinary user: HOME REVISION TARGET → the summary as JSON. */
import { Problem } from "../../src/base/errors.js";
import { realSystem } from "../../src/base/system.js";
import { restore } from "../../src/recall/restore.js";
import type { RestoreEvent, RestoreSummary } from "../../src/recall/events.js";
import { findRevision } from "../../src/vault/revisions.js";
import { openVault } from "../../src/vault/vault.js";
import { viewOf } from "../support/recall-revision.js";

const [home = "", id = "", target = ""] = process.argv.slice(2);
const vault = await openVault(home, realSystem, () => {});
let code = "";
let summary: RestoreSummary | undefined;
const on = (event: RestoreEvent): void => {
  if (event.type === "done") summary = event.summary;
};
try {
  const view = viewOf(vault, findRevision(vault.store.catalogue, id));
  await restore(vault, view, undefined, target, { includeOwner: true }, on);
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  code = error.code;
}
await vault.close();
process.stdout.write(
  JSON.stringify({ code, leftOut: Object.fromEntries(summary?.leftOut ?? []), linked: summary?.linked }),
);

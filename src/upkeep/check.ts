/**
 * Is everything that was promised still so? Nothing is repaired here.
 *
 *   logs from their first record → listed segments → the index against both → (data, read again) → every revision
 *
 * Stored data comes before revisions, so that what is found damaged is named by the files that it belongs to.
 * @module
 */
import { Pace } from "../base/pace.js";
import type { Vault } from "../vault/vault.js";
import { checkData, type ReadData } from "./data.js";
import { type CheckEvent, type CheckResult, Findings } from "./findings.js";
import { checkHistory } from "./history.js";
import { checkRevisions } from "./reach.js";
import { checkSegments } from "./segments.js";

export interface CheckOptions {
  readonly readData: ReadData;
  /** calls the check off */
  readonly signal?: AbortSignal;
}

/**
 * Check a vault's store. A finding is no exception: the result counts them, and none means that all is well.
 * @throws Problem "interrupted"; others only where checking itself is not possible
 */
export async function check(
  vault: Vault,
  options: CheckOptions,
  on: (event: CheckEvent) => void,
): Promise<CheckResult> {
  const findings = new Findings(on);
  const pace = new Pace(vault.system, options.signal, () => findings.progress());
  const recorded = await checkHistory(vault, pace, findings);
  const losses = await checkSegments(vault, recorded, pace, findings);
  await checkData(vault, recorded, options.readData, losses, pace, findings);
  await checkRevisions(vault, losses, pace, findings);
  return findings.result();
}

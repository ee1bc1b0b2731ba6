/**
 * What a restore tells while it runs and when it is done. Only the command line draws any of it.
 * @module
 */
import type { Problem } from "../base/errors.js";

export type RestoreEvent =
  /** everything needed is there; nothing has been written yet */
  | { readonly type: "planned"; readonly entries: number; readonly bytes: bigint }
  | { readonly type: "progress"; readonly entries: number; readonly bytes: bigint }
  /** an entry that the revision or this system cannot give: counted, no error */
  | { readonly type: "left-out"; readonly path: Buffer; readonly why: string }
  /** an entry, or what it needs, that should have been restored and was not: an error at the end */
  | { readonly type: "failed"; readonly path: Buffer; readonly problem: Problem }
  | { readonly type: "done"; readonly summary: RestoreSummary };

export interface RestoreSummary {
  readonly files: number;
  readonly folders: number;
  readonly others: number;
  /** further names of files that had several */
  readonly linked: number;
  /** of file contents, holes not counted */
  readonly bytes: bigint;
  /** what the revision does not hold or the system did not allow, by kind: "owners", "attributes: trusted.*" … */
  readonly leftOut: ReadonlyMap<string, number>;
  /** entries (or single attributes) that stored bytes were too damaged for */
  readonly damaged: number;
  /** entries that the target's file system could not take */
  readonly failed: number;
}

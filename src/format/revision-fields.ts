/**
 * Extension fields of revisions. Odd: an older reader may skip them.
 *
 *   1   roots     count ‖ { absolute path blob }       what was saved, where the list is short enough to stand here
 * @module
 */
import { Reader, Writer } from "../base/bytes.js";
import { format } from "../base/limits.js";
import type { Field, Fields } from "./fields.js";

const rootsNumber = 1;

export function rootsField(roots: readonly Uint8Array[]): Field[] {
  const to = new Writer(256).varint(roots.length);
  for (const root of roots) to.blob(root);
  const bytes = Buffer.from(to.finish());
  return bytes.length <= format.extensionBytes ? [{ number: rootsNumber, bytes }] : [];
}

/** The roots of a revision; undefined where it does not tell. */
export function rootsIn(fields: Fields): Buffer[] | undefined {
  const field = fields.find(({ number }) => number === rootsNumber);
  if (field === undefined) return undefined;
  const from = new Reader(field.bytes, "list of roots");
  const roots = Array.from({ length: from.count(format.extensionBytes, 1) }, () =>
    Buffer.from(from.blob(format.extensionBytes)),
  );
  from.end();
  return roots;
}

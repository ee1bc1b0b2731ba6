/**
 * What a file of vectors holds, and how values stand in it: bytes as hex, whole numbers beyond 2^53 and all 64-bit
 * ones as decimal text. A reader in any language can check itself against these files alone.
 */

export interface Vector {
  readonly what: string;
  /** what goes in: keys, nonces, the value in words */
  readonly input: unknown;
  /** what comes out, or what is read */
  readonly bytes: string;
}

export interface Hostile {
  /** why a reader must refuse these bytes */
  readonly why: string;
  readonly bytes: string;
  readonly code: "format" | "unsupported" | "damaged" | "phrase" | "usage" | "refused";
}

export interface VectorFile {
  readonly format: string;
  /** the layout in one or two lines */
  readonly what: string;
  /** what all vectors of the file share */
  readonly shared?: unknown;
  readonly vectors: readonly Vector[];
  readonly hostile: readonly Hostile[];
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export function unhex(text: string): Buffer {
  return Buffer.from(text, "hex");
}

/** A decoded value as it stands in a file. What is undefined is left out. */
export function plainly(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return hex(value);
  if (Array.isArray(value)) return value.map(plainly);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(entries.map(([name, each]) => [name, plainly(each)]));
}

/** The bytes with one place changed: what stands at `at` is replaced by `by`. */
export function changed(bytes: Uint8Array, at: number, by: readonly number[], length = by.length): string {
  const from = at < 0 ? bytes.length + at : at;
  return hex(Buffer.concat([bytes.subarray(0, from), Buffer.from(by), bytes.subarray(from + length)]));
}

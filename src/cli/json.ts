/**
 * JSON as it is printed: integers exactly, names of any bytes.
 * @module
 */

/**
 * The JSON text of a value. A bigint is its digits, whatever its size; what JSON does not know (undefined) is left out
 * of objects. JSON.stringify can only round it, for Node 20 has no JSON.rawJSON.
 */
export function jsonText(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(jsonText).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${fields.map(([key, item]) => `${JSON.stringify(key)}:${jsonText(item)}`).join(",")}}`;
}

/** `name` for JSON, with `name_b64` beside it where the bytes are not UTF-8. */
export function jsonName(name: Uint8Array): { name: string; name_b64?: string } {
  const bytes = Buffer.from(name);
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes) ? { name: text } : { name: text, name_b64: bytes.toString("base64") };
}

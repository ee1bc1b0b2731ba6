/**
 * A folder's entries in byte order of their names. A million of them stand as the system packed them, and each is
 * decoded when its turn comes: as objects they would take five times the memory.
 * @module
 */
import { entriesOf, native, type SystemEntry } from "../base/native.js";

/** Scan an open folder. Throws the system's error. */
export function* scanInOrder(fd: number): Generator<SystemEntry> {
  const packed = native().scanFolder(fd);
  const names: number[] = [];
  const ends: number[] = [];
  for (const { name } of entriesOf(packed)) {
    const at = name.byteOffset - packed.byteOffset;
    names.push(at);
    ends.push(at + name.length);
  }
  // Before its name each record is as long as the first one.
  const head = names[0] ?? 0;
  const order = Uint32Array.from(names.keys()).sort((a, b) =>
    packed.compare(packed, names[b], ends[b], names[a], ends[a]),
  );
  for (const i of order) yield entriesOf(packed.subarray((names[i] as number) - head)).next().value as SystemEntry;
}

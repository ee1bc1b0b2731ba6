/** Vectors of where things are cut: contents by the splitter, folders by their names. */
import { createHash } from "node:crypto";
import { keyedHash } from "../../src/format/hash.js";
import { Splitter, splitterKeys } from "../../src/format/split.js";
import { TreeBuilder } from "../../src/format/tree.js";
import { plainFile } from "../format/given.js";
import { hex, plainly, type VectorFile } from "./shape.js";

/** SHA-256 of each u32 (little-endian) from 0 on, one after the other. */
export function counted(length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, i) => {
    const number = Buffer.alloc(4);
    number.writeUInt32LE(i);
    return createHash("sha256").update(number).digest();
  });
  return Buffer.concat(blocks).subarray(0, length);
}

export function cutsOf(data: Buffer, key: Buffer, average: number): number[] {
  const splitter = new Splitter(splitterKeys(key), average);
  const lengths: number[] = [];
  for (let at = 0; at < data.length; at += lengths.at(-1) as number) lengths.push(splitter.next(data, at, data.length));
  return lengths;
}

function lengthsAsBytes(lengths: readonly number[]): string {
  return hex(Uint8Array.from(new Uint8Array(Uint32Array.from(lengths).buffer)));
}

function splitting(): VectorFile {
  const keys = [Buffer.alloc(32), counted(32)];
  return {
    format: "split",
    what: "lengths of the chunks, u32 each, of data that is SHA-256(u32 0) ‖ SHA-256(u32 1) ‖ …, or zeros",
    vectors: [
      ...[16_384, 65_536].flatMap((average) =>
        keys.map((key) => ({
          what: `1,000,000 bytes, average ${average}`,
          input: { key: hex(key), average, length: 1_000_000, zeros: false },
          bytes: lengthsAsBytes(cutsOf(counted(1_000_000), key, average)),
        })),
      ),
      {
        what: "200,000 zeros",
        input: { key: hex(keys[0] as Buffer), average: 16_384, length: 200_000, zeros: true },
        bytes: lengthsAsBytes(cutsOf(Buffer.alloc(200_000), keys[0] as Buffer, 16_384)),
      },
    ],
    hostile: [],
  };
}

/** Root of a folder of `count` empty files "file-000000" …, ids being BLAKE3 keyed with `idKey`. */
export function folderOf(count: number, markKey: Buffer, idKey: Buffer): { root: unknown; sizes: number[] } {
  const sizes: number[] = [];
  const builder = new TreeBuilder(markKey, (bytes) => {
    sizes.push(bytes.length);
    return keyedHash(idKey, bytes);
  });
  for (let i = 0; i < count; i++) builder.add(plainFile(`file-${String(i).padStart(6, "0")}`));
  return { root: plainly(builder.finish()), sizes };
}

function folders(): VectorFile {
  const [markKey, idKey] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  return {
    format: "folder",
    what: "bytes of the chunks in the order in which they are finished, u32 each; empty files of one owner and time",
    shared: { markKey: hex(markKey), idKey: hex(idKey), entry: plainly(plainFile("file-000000")) },
    vectors: [1, 100, 5000].map((count) => {
      const { root, sizes } = folderOf(count, markKey, idKey);
      return { what: `${count} entries`, input: { count, root }, bytes: lengthsAsBytes(sizes) };
    }),
    hostile: [],
  };
}

export function cutFiles(): VectorFile[] {
  return [splitting(), folders()];
}

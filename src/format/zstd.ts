/**
 * The one door to zstd. Decompression goes into a buffer of the declared size and stops there, so that no crafted
 * frame can ask for more memory than its bound.
 * @module
 */
import { createRequire } from "node:module";
import { Problem } from "../base/errors.js";

interface Binding {
  CCtx: new () => { compress(target: Uint8Array, source: Uint8Array, level: number): number };
  DCtx: new () => { decompress(target: Uint8Array, source: Uint8Array): number };
  compressBound(length: number): number;
}

const binding = createRequire(import.meta.url)("zstd-napi/binding.js") as Binding;
let compressor: InstanceType<Binding["CCtx"]> | undefined;
let decompressor: InstanceType<Binding["DCtx"]> | undefined;

/** Compress at a level of 1 to 19; the result is a zstd frame (RFC 8878). */
export function compress(data: Uint8Array, level: number): Buffer {
  compressor ??= new binding.CCtx();
  const target = Buffer.allocUnsafe(binding.compressBound(data.length));
  return target.subarray(0, compressor.compress(target, data, level));
}

/** Decompress to exactly `length` bytes; Problem("damaged") for anything else. */
export function decompress(data: Uint8Array, length: number): Buffer {
  decompressor ??= new binding.DCtx();
  const target = Buffer.allocUnsafe(length);
  let got: number;
  try {
    got = decompressor.decompress(target, data);
  } catch (error) {
    throw new Problem("damaged", "a frame does not decompress to the length that it declares", { cause: error });
  }
  if (got !== length) throw new Problem("damaged", "a frame does not decompress to the length that it declares");
  return target;
}

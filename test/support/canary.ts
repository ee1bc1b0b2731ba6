/**
 * Canaries: random bytes that stand for names, contents and keys, and the search that must not find them at a peer or
 * on a wire. A search that never finds anything proves nothing: whoever uses it shows beside it that it finds what is
 * really there.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync } from "node:zlib";

const binding = createRequire(import.meta.url)("zstd-napi/binding.js") as {
  DCtx: new () => {
    decompressStream(out: Uint8Array, from: Uint8Array): [number, number, number];
  };
};

const zstdMagic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const gzipMagic = Buffer.from([0x1f, 0x8b, 0x08]);

/** 64 bytes that may be a name: neither "/" nor NUL. */
export function canaryName(random: (length: number) => Buffer): Buffer {
  return random(64).map((byte) => (byte === 0x2f || byte === 0 ? 0x41 : byte)) as Buffer;
}

/** The forms in which bytes may be written down. */
function formsOf(canary: Buffer): Buffer[] {
  const hex = canary.toString("hex");
  // Base64 of a longer text shows a part of the canary at three shifts.
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), canary])
      .toString("base64")
      .slice(4, 40),
  );
  return [canary, Buffer.from(hex), Buffer.from(hex.toUpperCase()), ...base64.map((text) => Buffer.from(text))];
}

/** What zstd gives from here on, as far as it goes. */
function unzstd(bytes: Buffer): Buffer {
  const context = new binding.DCtx();
  const out: Buffer[] = [];
  let at = 0;
  try {
    for (;;) {
      const target = Buffer.alloc(256 * 1024);
      const [hint, wrote, read] = context.decompressStream(target, bytes.subarray(at));
      out.push(target.subarray(0, wrote));
      at += read;
      if (hint === 0 || (wrote === 0 && read === 0)) break;
    }
  } catch {
    // It was no frame, or not a whole one.
  }
  return Buffer.concat(out);
}

function* starts(bytes: Buffer, magic: Buffer): Generator<number> {
  for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 1)) yield at;
}

/** The bytes themselves, and all that may be compressed in them. */
function* layersOf(bytes: Buffer): Generator<Buffer> {
  yield bytes;
  for (const at of starts(bytes, zstdMagic)) yield unzstd(bytes.subarray(at));
  for (const at of starts(bytes, gzipMagic)) yield attempt(() => gunzipSync(bytes.subarray(at)));
  for (const inflate of [inflateSync, inflateRawSync, brotliDecompressSync]) yield attempt(() => inflate(bytes));
}

function attempt(work: () => Buffer): Buffer {
  try {
    return work();
  } catch {
    return Buffer.alloc(0);
  }
}

/** Which canaries stand in these bytes, raw, written down or compressed. */
export function canariesIn(bytes: Buffer, canaries: ReadonlyMap<string, Buffer>): string[] {
  const found = new Set<string>();
  for (const layer of layersOf(bytes))
    for (const [name, canary] of canaries)
      if (!found.has(name) && formsOf(canary).some((form) => layer.includes(form))) found.add(name);
  return [...found];
}

/** Which canaries stand in any file below a folder, or in the name of one. */
export function canariesBelow(folder: string, canaries: ReadonlyMap<string, Buffer>): string[] {
  const found = new Set<string>();
  for (const entry of readdirSync(folder, { recursive: true, encoding: "latin1" })) {
    const name = Buffer.from(entry, "latin1");
    for (const what of canariesIn(name, canaries)) found.add(what);
    const bytes = attempt(() => readFileSync(Buffer.concat([Buffer.from(`${folder}/`), name])));
    for (const what of canariesIn(bytes, canaries)) found.add(what);
  }
  return [...found].sort();
}

/** Payloads of all packets that a `wire-tap` recorded, one behind the other. */
export function packetsOf(pcap: string): Buffer {
  const bytes = readFileSync(pcap);
  const parts: Buffer[] = [];
  for (let at = 24; at + 16 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 8);
    parts.push(bytes.subarray(at + 16, at + 16 + length));
    at += 16 + length;
  }
  return Buffer.concat(parts);
}

/**
 * Everything that is said to a person or a script. Data goes to stdout, everything else to stderr; what is not data
 * is one line. A reader that goes away (a closed pipe) ends the program quietly.
 * @module
 */
import type { Writable } from "node:stream";
import { escapeForTerminal } from "../base/units.js";

interface Stream extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const redrawMs = 100;

export class Output {
  readonly #out: Stream;
  readonly #err: Stream;
  #drawn = 0;
  #line = false;
  #gone = false;

  constructor(out: Stream, err: Stream) {
    this.#out = out;
    this.#err = err;
    for (const stream of [out, err])
      stream.on("error", (error: NodeJS.ErrnoException) => {
        if (error.code === "EPIPE") this.#gone = true;
        else throw error;
      });
  }

  /** Is a person watching? */
  get terminal(): boolean {
    return this.#err.isTTY === true;
  }

  get dataToTerminal(): boolean {
    return this.#out.isTTY === true;
  }

  /** True when whoever read our output has gone. */
  get gone(): boolean {
    return this.#gone;
  }

  data(text: string | Uint8Array): void {
    this.#clear();
    this.#out.write(text);
  }

  /** Data of any size: waits while the reader is slow. */
  async stream(bytes: Uint8Array): Promise<void> {
    if (this.#gone || this.#out.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#out.off("drain", done).off("error", done).off("close", done);
        resolve();
      };
      this.#out.on("drain", done).on("error", done).on("close", done);
    });
  }

  line(text: string): void {
    this.data(`${text}\n`);
  }

  json(value: unknown): void {
    this.line(JSON.stringify(value, (_key, item) => (typeof item === "bigint" ? Number(item) : item)));
  }

  error(message: string): void {
    this.note(`bcoopfs: ${message}`);
  }

  /** One line for a person, beside the data. */
  note(text: string): void {
    this.#clear();
    this.#err.write(`${text}\n`);
  }

  /** A line that is drawn again and again, on a terminal only. */
  progress(text: () => string): void {
    if (!this.terminal) return;
    const now = performance.now();
    if (now - this.#drawn < redrawMs) return;
    this.#drawn = now;
    const width = Math.max(20, (this.#err.columns ?? 80) - 1);
    this.#err.write(`\r\x1b[K${[...text()].slice(0, width).join("")}`);
    this.#line = true;
  }

  #clear(): void {
    if (!this.#line) return;
    this.#err.write("\r\x1b[K");
    this.#line = false;
  }

  /** Wait until all is written. */
  async finished(code: number): Promise<number> {
    this.#clear();
    for (const stream of [this.#out, this.#err])
      if (!this.#gone && stream.writableLength > 0)
        await new Promise<void>((resolve) => stream.write("", () => resolve()));
    return code;
  }
}

/** A file name as people may see it, and as scripts get it. */
export function shownName(name: Uint8Array, output: Output): string {
  return output.dataToTerminal ? escapeForTerminal(name) : Buffer.from(name).toString("latin1");
}

/** `name` for JSON, with `name_b64` beside it where the bytes are not UTF-8. */
export function jsonName(name: Uint8Array): { name: string; name_b64?: string } {
  const bytes = Buffer.from(name);
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes) ? { name: text } : { name: text, name_b64: bytes.toString("base64") };
}

/** 1234567 → 1,234,567 */
export function counted(value: number | bigint): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/** "1 file", "2,000 files" */
export function plural(value: number | bigint, word: string): string {
  return `${counted(value)} ${word}${BigInt(value) === 1n ? "" : "s"}`;
}

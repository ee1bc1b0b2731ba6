/**
 * Everything that is said to a person or a script. Data goes to stdout, everything else to stderr; what is not data
 * is one line. A reader that goes away (a closed pipe) ends the program quietly; data that cannot be written is
 * remembered, and the program ends as failed.
 * @module
 */
import { fstatSync, writeSync } from "node:fs";
import { Writable } from "node:stream";
import { errnoOf, exitCodeOf, Problem, systemProblem } from "../base/errors.js";
import { jsonText } from "./json.js";

/** The exit status of fewer copies than every revision must have: a finding, not a failure, so no Problem carries it. */
export const exitShort = 20;

interface Stream extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const redrawMs = 100;
/** how long one that was interrupted waits for somebody to read why */
const lastWordsMs = 1000;

/** stdout for data. Node writes a file once and takes no notice when a full disk took only a part of the bytes. */
export function dataStream(stdout: Stream, fd: number): Stream {
  const stat = fstatSync(fd);
  if (!stat.isFile()) return stdout;
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      try {
        for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

export class Output {
  readonly #out: Stream;
  readonly #err: Stream;
  #drawn = 0;
  #line = false;
  #gone = false;
  #failure: Problem | undefined;

  constructor(out: Stream, err: Stream) {
    this.#out = out;
    this.#err = err;
    out.on("error", (error) => {
      if (errnoOf(error) === "EPIPE") this.#gone = true;
      else this.#failure ??= systemProblem("cannot write to stdout", error);
    });
    // Where stderr cannot be written, nobody can be told.
    err.on("error", () => {});
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

  /**
   * Data of any size: waits while the reader is slow. False when the reader has gone: nobody wants more.
   * Problems: "interrupted" when `stop` says so, also while nobody reads; "no-space" and "io" as the system says.
   */
  async stream(bytes: Uint8Array, stop: AbortSignal): Promise<boolean> {
    const interrupted = new Problem("interrupted", "interrupted; what was written is not all");
    if (stop.aborted) throw interrupted;
    if (!this.#gone && !this.#failure && !this.#out.write(bytes))
      await new Promise<void>((resolve) => {
        const done = (): void => {
          for (const event of ["drain", "error", "close"]) this.#out.off(event, done);
          stop.removeEventListener("abort", done);
          resolve();
        };
        for (const event of ["drain", "error", "close"]) this.#out.on(event, done);
        stop.addEventListener("abort", done);
      });
    if (stop.aborted) throw interrupted;
    if (this.#failure) throw this.#failure;
    return !this.#gone;
  }

  line(text: string): void {
    this.data(`${text}\n`);
  }

  json(value: unknown): void {
    this.line(jsonText(value));
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

  /** Wait until all is written; returns the exit status, which a failure to write makes one of its own. */
  async finished(code: number): Promise<number> {
    this.#clear();
    const interrupted = code === exitCodeOf("interrupted");
    // Whoever does not read what is left must not keep one that was interrupted.
    await new Promise((resolve) => setImmediate(resolve)); // a failure is told in a later turn than the write
    if (!interrupted) await flushed(this.#out);
    if (this.#failure && code === 0) {
      this.error(this.#failure.message);
      code = exitCodeOf(this.#failure.code);
    }
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, lastWordsMs);
    });
    await Promise.race([flushed(this.#err), ...(interrupted ? [enough] : [])]);
    clearTimeout(timer);
    return code;
  }
}

/** When everything has been written, or never will be. */
async function flushed(stream: Stream): Promise<void> {
  if (stream.writableLength > 0 && !stream.destroyed)
    await new Promise<void>((resolve) => stream.write("", () => resolve()));
}

/** 1234567 → 1,234,567 */
export function counted(value: number | bigint): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/** "1 file", "2,000 files" */
export function plural(value: number | bigint, word: string): string {
  return `${counted(value)} ${word}${BigInt(value) === 1n ? "" : "s"}`;
}

/** Rows below a heading, in columns. @param right columns of numbers */
export function table(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[],
): string[] {
  const all = [heading, ...rows];
  const widths = heading.map((_, column) => Math.max(...all.map((row) => (row[column] as string).length)));
  return all.map((row) =>
    row
      .map((cell, column) =>
        right.includes(column) ? cell.padStart(widths[column] as number) : cell.padEnd(widths[column] as number),
      )
      .join("  ")
      .trimEnd(),
  );
}

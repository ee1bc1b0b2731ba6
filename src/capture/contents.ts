/**
 * The contents of one open file into chunks: data is read, split and stored; holes are neither read nor stored. A
 * file that changes meanwhile gives what reads gave; the caller looks at its state before and after.
 * @module
 */
import { fstatSync } from "node:fs";
import { choice } from "../base/limits.js";
import { native } from "../base/native.js";
import { ContentBuilder } from "../format/content.js";
import type { ContentRef } from "../format/entry.js";
import type { Splitter } from "../format/split.js";
import type { Session } from "../store/session.js";

/** Stored content, and how much of it no earlier revision held. */
export interface Captured {
  readonly content: ContentRef | undefined;
  readonly freshBytes: number;
}

/** Splits files with one buffer for all of them. */
export class ContentReader {
  readonly #session: Session;
  readonly #splitter: Splitter;
  readonly #buffer: Buffer;

  constructor(session: Session, splitter: Splitter) {
    this.#session = session;
    this.#splitter = splitter;
    this.#buffer = Buffer.allocUnsafe(Math.max(choice.readBufferBytes, 2 * splitter.maximum));
  }

  /**
   * Read an open file of `size` bytes. Throws the system's error where a read fails.
   * @param pause called once for every few MiB; may throw to stop
   */
  async file(fd: number, size: bigint, pause: () => Promise<void>): Promise<Captured> {
    const builder = this.#builder();
    let fresh = 0;
    let at = 0n;
    while (at < size) {
      const data = native().nextData(fd, at);
      // No data follows: a hole up to the end, which may have come nearer meanwhile.
      const next = data === null ? fstatSync(fd, { bigint: true }).size : (data[0] as bigint);
      const start = next < size ? next : size;
      if (start > at) builder.hole(start - at);
      if (data === null || start >= size) break;
      const end = (data[1] as bigint) < size ? (data[1] as bigint) : size;
      const got = await this.#extent(fd, start, end, builder, pause);
      fresh += got.fresh;
      at = got.end;
      if (got.end < end) break; // it has shrunk
    }
    return { content: builder.finish(), freshBytes: fresh };
  }

  async #extent(
    fd: number,
    start: bigint,
    end: bigint,
    builder: ContentBuilder,
    pause: () => Promise<void>,
  ): Promise<{ fresh: number; end: bigint }> {
    const buffer = this.#buffer;
    let fresh = 0;
    let held = 0;
    let next = start;
    for (let whole = false; !whole || held > 0; ) {
      while (!whole && held < buffer.length) {
        const left = end - next;
        const want = left < BigInt(buffer.length - held) ? Number(left) : buffer.length - held;
        const got = want === 0 ? 0 : native().pread(fd, buffer.subarray(held, held + want), want, next);
        held += got;
        next += BigInt(got);
        whole = got === 0 || next === end;
      }
      let from = 0;
      while (held - from >= this.#splitter.maximum || (whole && held > from)) {
        const length = this.#splitter.next(buffer, from, held);
        fresh += this.#chunk(builder, buffer.subarray(from, from + length));
        from += length;
      }
      buffer.copyWithin(0, from, held);
      held -= from;
      await pause();
    }
    return { fresh, end: next };
  }

  #chunk(builder: ContentBuilder, bytes: Uint8Array): number {
    const { id, fresh } = this.#session.put("data", bytes);
    builder.chunk(id, bytes.length);
    return fresh ? bytes.length : 0;
  }

  #builder(): ContentBuilder {
    return new ContentBuilder((bytes) => this.#session.put("list", bytes).id);
  }

  /** Content that is in memory already: long attributes, reports. */
  bytes(data: Uint8Array): ContentRef | undefined {
    const builder = this.#builder();
    for (let from = 0; from < data.length; ) {
      const length = this.#splitter.next(data, from, data.length);
      this.#chunk(builder, data.subarray(from, from + length));
      from += length;
    }
    return builder.finish();
  }
}

/**
 * The contents of one open file into chunks: data is read, split and stored; holes are neither read nor stored. A
 * file that changes meanwhile gives what reads gave; the caller looks at its state before and after.
 * @module
 */
import { fstatSync } from "node:fs";
import { errnoOf } from "../base/errors.js";
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

/** so much read of one file, and the page cache is told to forget it */
const forgetBytes = 8 << 20;

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
    const cache = new Forgetting(fd);
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
      const got = await this.#extent(fd, start, end, builder, cache, pause);
      fresh += got.fresh;
      at = got.end;
      if (got.end < end) break; // it has shrunk
    }
    cache.end();
    return { content: builder.finish(), freshBytes: fresh };
  }

  async #extent(
    fd: number,
    start: bigint,
    end: bigint,
    builder: ContentBuilder,
    cache: Forgetting,
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
        cache.read(got, next);
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

/**
 * Keeps the page cache for those who use it: what is read of a large file would push out everything else, so it is
 * forgotten in steps. What was cached before goes too, for the system does not say what was; small files stay.
 */
class Forgetting {
  readonly #fd: number;
  #from = 0n;
  #bytes = 0;
  #any = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** @param end where the last of these bytes was read */
  read(bytes: number, end: bigint): void {
    this.#bytes += bytes;
    if (this.#bytes < forgetBytes) return;
    this.#forget(this.#from, end - this.#from);
    this.#from = end;
    this.#bytes = 0;
    this.#any = true;
  }

  /** The whole once more, with the rest and with pages that lay across two steps. */
  end(): void {
    if (this.#any) this.#forget(0n, 0n);
  }

  #forget(offset: bigint, length: bigint): void {
    try {
      native().adviseDontNeed(this.#fd, offset, length);
    } catch (error) {
      // Only advice: a file system that does not take it is read all the same.
      if (errnoOf(error) === undefined) throw error;
    }
  }
}

/**
 * Where ids may lie that the index does not know yet: what metadata frames say of the ids that their chunks mention,
 * and what records say of roots. After a total loss this is the way from a revision to a file before the index is
 * there. Never trusted: a hint is tried first, that is all, so a few bytes of an id are enough to keep it by.
 * @module
 */
import { Problem } from "../base/errors.js";
import { choice } from "../base/limits.js";
import type { HintRun } from "../format/frame.js";
import { type Mention, mentionsOf } from "../format/mention.js";
import type { ChunkType } from "../format/keys.js";
import type { FrameRow } from "../format/table.js";
import type { Frame } from "./frames.js";

/** Salts of segments by id; the oldest go when there are too many. */
export class Hints {
  readonly #salts = new Map<number, Buffer>();
  readonly #starts = new WeakMap<Frame, Map<number, Start>>();

  get size(): number {
    return this.#salts.size;
  }

  set(id: Buffer, salt: Buffer): void {
    const key = keyOf(id);
    this.#salts.delete(key);
    this.#salts.set(key, salt);
    if (this.#salts.size <= choice.hints) return;
    for (const oldest of this.#salts.keys()) {
      this.#salts.delete(oldest);
      return;
    }
  }

  get(id: Buffer): Buffer | undefined {
    return this.#salts.get(keyOf(id));
  }

  /** It was wrong. */
  drop(id: Buffer): void {
    this.#salts.delete(keyOf(id));
  }

  /**
   * Take over what a frame says of the ids that one of its chunks mentions. Hints stand in the order of mention, so all
   * chunks before it have to be looked through: once for each opened frame.
   * @param rows what is in the frame; @param offset of the chunk in it
   */
  addChunk(rows: FrameRow, frame: Frame, offset: number): void {
    const starts = this.#starts.get(frame) ?? startsIn(rows, frame);
    this.#starts.set(frame, starts);
    const start = starts.get(offset);
    if (start === undefined) return;
    let { run, used } = start;
    for (const { id } of mentionsIn(start.type, frame.raw.subarray(offset, offset + start.length))) {
      const { count, salt } = frame.hints[run] as HintRun;
      if (salt) this.set(id, salt);
      if (++used < count) continue;
      run++;
      used = 0;
      if (run === frame.hints.length) return;
    }
  }
}

/** A chunk of a frame, and where its hints begin: after `used` ids of a run. */
interface Start {
  readonly type: ChunkType;
  readonly length: number;
  readonly run: number;
  readonly used: number;
}

/** The chunks of a frame that have hints, by their offsets. */
function startsIn(rows: FrameRow, { raw, hints }: Frame): Map<number, Start> {
  const starts = new Map<number, Start>();
  let at = 0;
  let run = 0;
  let used = 0;
  for (const { type, length } of rows.chunks) {
    if (run >= hints.length) break;
    starts.set(at, { type, length, run, used });
    used += mentionsIn(type, raw.subarray(at, at + length)).length;
    at += length;
    for (let count = hints[run]?.count; count !== undefined && used >= count; count = hints[run]?.count) {
      used -= count;
      run++;
    }
  }
  return starts;
}

/** A chunk that cannot be understood is told of when it is asked for. */
function mentionsIn(type: ChunkType, bytes: Buffer): Mention[] {
  try {
    return mentionsOf(type, bytes);
  } catch (error) {
    if (error instanceof Problem) return [];
    throw error;
  }
}

function keyOf(id: Buffer): number {
  return id.readUIntLE(0, 6);
}

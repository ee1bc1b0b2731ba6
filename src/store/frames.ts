/**
 * Opened frames, from wherever their segment is: out of a bounded cache, from a file of the store, or from the Source.
 * Whoever asks for a frame that somebody else has asked for waits for the same answer. What is read in order from
 * others is asked for a little ahead.
 *
 * A local file that does not read is no reason to fail while others have the same bytes: they are asked, and it is said.
 * @module
 */
import { Problem } from "../base/errors.js";
import { choice } from "../base/limits.js";
import type { HintRun } from "../format/frame.js";
import { decodeHeader, headerBytes, headerOf, SegmentReader } from "../format/segment.js";
import { objectKinds } from "../format/listing.js";
import type { Home } from "./home.js";
import type { Keyring } from "./keyring.js";
import { readObject } from "./objects.js";
import type { SegmentRow } from "./rows.js";
import { hexStart } from "./segments.js";
import type { Source } from "./source.js";

/** A frame's plaintext, and what it says of where mentioned ids lie. */
export interface Frame {
  readonly raw: Buffer;
  readonly hints: readonly HintRun[];
  /** it came from others: what is next in its segment is worth asking for */
  readonly far: boolean;
}

const readersHeld = 1024;

export class Frames {
  readonly #home: Home;
  readonly #keyring: Keyring;
  readonly #source: () => Source | undefined;
  readonly #say: (message: string) => void;
  /** oldest use first */
  readonly #frames = new Map<string, Frame>();
  #cached = 0;
  readonly #asked = new Map<string, Promise<Frame>>();
  /** by name: numbers are given anew when the catalogue is made again */
  readonly #readers = new Map<string, SegmentReader>();
  /** the frame that was read last, of segments that are read from others */
  readonly #last = new Map<string, number>();
  readonly #told = new Set<string>();

  constructor(home: Home, keyring: Keyring, source: () => Source | undefined, say: (message: string) => void) {
    this.#home = home;
    this.#keyring = keyring;
    this.#source = source;
    this.#say = say;
  }

  /** About how many bytes are held. */
  get cachedBytes(): number {
    return this.#cached;
  }

  /**
   * A frame that is here: cached, or in a file. undefined where it has to come from others; Problem "missing" or
   * "damaged" where it cannot.
   */
  here(segment: SegmentRow, number: number): Frame | undefined {
    const key = keyOf(segment, number);
    const known = this.#frames.get(key);
    if (known !== undefined) {
      this.#frames.delete(key);
      this.#frames.set(key, known);
      if (known.far) this.#ahead(segment, number);
      return known;
    }
    try {
      return this.#remember(key, this.#local(segment, number));
    } catch (error) {
      if (!(error instanceof Problem) || this.#source() === undefined) throw error;
      if (error.code !== "missing") this.#tell(segment, error);
      return undefined;
    }
  }

  /** The same, from others where it is not here. @param anew whatever is cached of it was wrong */
  async from(segment: SegmentRow, number: number, anew = false): Promise<Frame> {
    if (anew) this.#drop(keyOf(segment, number));
    const near = anew ? undefined : this.here(segment, number);
    if (near) return near;
    const asked = this.#ask(segment, number);
    this.#ahead(segment, number);
    try {
      return await asked;
    } catch (error) {
      if (!(error instanceof Problem && error.code === "missing")) throw error;
      // It may have come meanwhile; and where it is here but damaged, that says more.
      return this.#remember(keyOf(segment, number), this.#orElse(segment, number, error));
    }
  }

  #orElse(segment: SegmentRow, number: number, missing: Problem): Frame {
    try {
      return this.#local(segment, number);
    } catch (error) {
      throw error instanceof Problem && error.code === "missing" ? missing : error;
    }
  }

  #row(segment: SegmentRow, number: number): SegmentRow["frames"][number] {
    const row = segment.frames[number];
    if (row) return row;
    throw new Problem(
      "damaged",
      `segment ${hexStart(segment.listing.name)} has no frame ${number}; run "bcoopfs repair --rebuild-index"`,
    );
  }

  #local(segment: SegmentRow, number: number): Frame {
    const row = this.#row(segment, number);
    const box = readObject(this.#home, segment.listing.name, row.offset, row.boxBytes);
    return named(segment, () => {
      if (box.length !== row.boxBytes) throw new Problem("damaged", "it is cut short");
      const { raw, hints } = this.#readerOf(segment).frame(number, row.rawBytes, box);
      return { raw, hints, far: false };
    });
  }

  #ask(segment: SegmentRow, number: number): Promise<Frame> {
    const key = keyOf(segment, number);
    const asked = this.#asked.get(key);
    if (asked) return asked;
    const answer = this.#far(segment, number)
      .then((frame) => this.#remember(key, frame))
      .finally(() => this.#asked.delete(key));
    this.#asked.set(key, answer);
    return answer;
  }

  /** What comes is proved by leaves before, so bytes that do not open are rare: they are asked for once more. */
  async #far(segment: SegmentRow, number: number): Promise<Frame> {
    const row = this.#row(segment, number);
    for (let attempt = 1; ; attempt++)
      try {
        const source = this.#source();
        if (source === undefined) throw notHere(segment);
        const box = await source.range(segment.listing, row.offset, row.boxBytes);
        return named(segment, () => {
          if (box.length !== row.boxBytes) throw new Problem("damaged", "fewer bytes came than were asked for");
          const { raw, hints } = this.#farReaderOf(segment).frame(number, row.rawBytes, box);
          return { raw, hints, far: true };
        });
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (attempt === 2 || !isFalse(error)) throw error;
      }
  }

  /** Ask for the next frames of a segment that is read in order. What comes of it is seen when they are needed. */
  #ahead(segment: SegmentRow, number: number): void {
    const key = segment.listing.name.toString("latin1");
    const last = this.#last.get(key);
    this.#last.delete(key);
    this.#last.set(key, number);
    for (const oldest of this.#last.keys()) {
      if (this.#last.size <= readersHeld) break;
      this.#last.delete(oldest);
    }
    if (last !== number - 1) return;
    for (let next = number + 1; next <= number + choice.readAheadFrames && next < segment.frames.length; next++) {
      const nextKey = keyOf(segment, next);
      if (!this.#frames.has(nextKey) && !this.#asked.has(nextKey)) this.#ask(segment, next).catch(() => {});
    }
  }

  #remember(key: string, frame: Frame): Frame {
    this.#drop(key);
    this.#frames.set(key, frame);
    this.#cached += weightOf(frame);
    for (const oldest of this.#frames.keys()) {
      if (this.#cached <= choice.frameCacheBytes || oldest === key) break;
      this.#drop(oldest);
    }
    return frame;
  }

  #drop(key: string): void {
    const frame = this.#frames.get(key);
    if (frame) this.#cached -= weightOf(frame);
    this.#frames.delete(key);
  }

  /** What opens a segment, as its file's own header tells. */
  #readerOf(segment: SegmentRow): SegmentReader {
    return this.#reader(`here ${segment.listing.name.toString("latin1")}`, () => {
      const header = decodeHeader(readObject(this.#home, segment.listing.name, 0, headerBytes));
      return new SegmentReader(header, this.#epoch(header.epoch));
    });
  }

  /** What opens a segment that others have, as the index tells: its header need not be asked for. */
  #farReaderOf(segment: SegmentRow): SegmentReader {
    return this.#reader(`far ${segment.epoch} ${segment.listing.name.toString("latin1")}`, () => {
      const epoch = this.#epoch(segment.epoch);
      const kind = segment.listing.kind === objectKinds.dataSegment ? "data" : "metadata";
      return new SegmentReader(headerOf(this.#keyring.vault, epoch, kind, segment.listing.salt), epoch);
    });
  }

  #epoch(number: number): ConstructorParameters<typeof SegmentReader>[1] {
    const epoch = this.#keyring.epochs.get(number);
    if (epoch === undefined) throw new Problem("damaged", `the keys of epoch ${number} are not here`);
    return epoch;
  }

  #reader(key: string, make: () => SegmentReader): SegmentReader {
    const known = this.#readers.get(key);
    if (known) return known;
    const reader = make();
    if (this.#readers.size >= readersHeld) this.#readers.clear();
    this.#readers.set(key, reader);
    return reader;
  }

  #tell(segment: SegmentRow, problem: Problem): void {
    const key = segment.listing.name.toString("latin1");
    if (this.#told.has(key)) return;
    if (this.#told.size >= readersHeld) this.#told.clear();
    this.#told.add(key);
    this.#say(`${problem.message}; it is read from peers`);
  }
}

/** Bytes that are not what they should be, which another answer may well be. */
export function isFalse(problem: Problem): boolean {
  return problem.code === "damaged" || problem.code === "format";
}

export function notHere(segment: SegmentRow): Problem {
  return new Problem(
    "missing",
    `segment ${hexStart(segment.listing.name)} is missing from the store; run "bcoopfs check"`,
  );
}

function keyOf(segment: SegmentRow, number: number): string {
  return `${segment.listing.name.toString("latin1")}:${number}`;
}

function weightOf({ raw, hints }: Frame): number {
  return raw.length + hints.length * 64;
}

/** Say which segment it was that did not open. */
export function named<T>(segment: SegmentRow, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Problem) || error.code === "missing") throw error;
    const where = `segment ${hexStart(segment.listing.name)}`;
    throw error.message.startsWith(where)
      ? error
      : new Problem("damaged", `${where}: ${error.message}`, { cause: error });
  }
}

/**
 * One run that writes: chunks go into frames, frames into segments, segments under their names, and a commit puts
 * them into the log. Until then nothing of it is visible; what was sealed before a crash is found by the next start.
 *
 *   put → open frame (compressible, incompressible, metadata) → segment file → drain closes full ones → commit
 *
 * A session file, locked as long as the process lives, stands for the run: it tells others that somebody writes, and
 * after a crash which segments were sealed but not yet listed.
 * @module
 */
import { fdatasyncSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Writer } from "../base/bytes.js";
import { systemProblem } from "../base/errors.js";
import { choice } from "../base/limits.js";
import { noFields } from "../format/fields.js";
import { type Listing, objectKinds, type PlacementClass, type TablePlace, writeListing } from "../format/listing.js";
import { type HintRun, pays, runsOf } from "../format/frame.js";
import { keyedHash } from "../format/hash.js";
import { type ChunkType, idKeyOf } from "../format/keys.js";
import { mentionsOf } from "../format/mention.js";
import { type NewChunk, SegmentBuilder, type SegmentKind } from "../format/segment.js";
import { encodeTableObject, type Table } from "../format/table.js";
import { type Home, syncFolder, tryUnlink, writeAll } from "./home.js";
import { type Lock, lockFile } from "./lock.js";
import { SegmentFile } from "./segments.js";
import type { Catalogue } from "./catalogue.js";
import type { Keyring } from "./keyring.js";
import type { System } from "../base/system.js";
import type { LogRecord, RecordType } from "../format/record.js";

/** Records to append: their types and bodies; the store gives the rest. */
export type RecordBodies = readonly { readonly type: RecordType; readonly clear: Buffer; readonly secret: Buffer }[];

/** What a session needs of the store that it writes to. */
export interface SessionStore {
  readonly home: Home;
  readonly keyring: Keyring;
  readonly system: System;
  readonly catalogue: Catalogue;
  /** Is the segment of this number here, whole in length, and placed at least as well as wanted? */
  holds(segment: number, wanted: PlacementClass): boolean;
  /** List sealed segments, append records, apply both: durable when it returns. */
  commit(sealed: readonly SealedSegment[], bodies: RecordBodies): LogRecord[];
}

interface Lane {
  readonly kind: SegmentKind;
  chunks: NewChunk[];
  bytes: number;
}

interface OpenSegment {
  readonly builder: SegmentBuilder;
  readonly file: SegmentFile;
}

/** A segment under its own name that no record lists yet. */
export interface SealedSegment {
  readonly listing: Listing;
  readonly epoch: number;
  readonly table: Table;
  /** of a data segment: where its table object lies */
  readonly tablePlace: TablePlace | undefined;
}

/** A writing run. Call `drain` at least once for every few MiB put, and end with `commit` or `abandon`. */
export class Session {
  readonly #store: SessionStore;
  readonly #class: PlacementClass;
  readonly #lock: Lock;
  readonly #path: string;
  readonly #lanes = {
    soft: newLane("data"),
    hard: newLane("data"),
    metadata: newLane("metadata"),
  };
  readonly #open: { data: OpenSegment | undefined; metadata: OpenSegment | undefined } = {
    data: undefined,
    metadata: undefined,
  };
  /** ids put since the last commit, each with the salt of the segment it will lie in */
  readonly #pending = new Map<string, Buffer>();
  readonly #trusted = new Map<number, boolean>();
  #sealed: SealedSegment[] = [];
  /** the session file names segments that no record may list yet */
  #noted = false;
  #files = 0;
  #uncommitted = 0;
  #grown = 0;

  constructor(store: SessionStore, placement: PlacementClass) {
    this.#store = store;
    this.#class = placement;
    ({ lock: this.#lock, path: this.#path } = beginSessionFile(store));
  }

  /** bytes put into the store since the last commit */
  get uncommitted(): number {
    return this.#uncommitted;
  }

  /** bytes of all segments that this session has sealed */
  get grown(): number {
    return this.#grown;
  }

  /** The id that bytes of this type have in this vault. */
  idOf(type: ChunkType, bytes: Uint8Array): Buffer {
    return keyedHash(idKeyOf(this.#store.keyring.constants, type), bytes);
  }

  /** Is this chunk stored already, in a segment that is placed well enough and really there? */
  has(id: Buffer): boolean {
    if (this.#pending.has(id.toString("latin1"))) return true;
    const place = this.#store.catalogue.chunk(id);
    return place !== undefined && this.#trust(place.segment);
  }

  #trust(number: number): boolean {
    let good = this.#trusted.get(number);
    if (good === undefined) {
      good = this.#store.holds(number, this.#class);
      this.#trusted.set(number, good);
    }
    return good;
  }

  /** Store a chunk unless it is there. The bytes are copied. */
  put(type: ChunkType, bytes: Uint8Array): { id: Buffer; fresh: boolean } {
    const id = this.idOf(type, bytes);
    if (this.has(id)) return { id, fresh: false };
    const lane = type !== "data" ? this.#lanes.metadata : pays(bytes) ? this.#lanes.soft : this.#lanes.hard;
    const segment = this.#segment(lane.kind);
    this.#pending.set(id.toString("latin1"), segment.builder.salt);
    lane.chunks.push({ type, id, bytes: Buffer.from(bytes) });
    lane.bytes += bytes.length;
    this.#uncommitted += bytes.length;
    if (lane.bytes >= choice.frameTargetBytes) this.#flush(lane);
    return { id, fresh: true };
  }

  #segment(kind: SegmentKind): OpenSegment {
    const open = this.#open[kind];
    if (open) return open;
    const { keyring, system } = this.#store;
    const builder = new SegmentBuilder(keyring.vault, keyring.epoch, kind, system.random);
    const file = new SegmentFile(`${this.#path}.${this.#files++}.tmp`, system);
    file.write(builder.header);
    const fresh = { builder, file };
    this.#open[kind] = fresh;
    return fresh;
  }

  #flush(lane: Lane): void {
    if (lane.chunks.length === 0) return;
    const { builder, file } = this.#segment(lane.kind);
    file.write(builder.frame(lane.chunks, lane.kind === "metadata" ? this.#hints(lane.chunks) : []));
    lane.chunks = [];
    lane.bytes = 0;
  }

  /** Where the ids lie that these chunks mention, in the order of mention. */
  #hints(chunks: readonly NewChunk[]): HintRun[] {
    return runsOf(chunks.flatMap(({ type, bytes }) => mentionsOf(type, bytes).map(({ id }) => this.saltOf(id))));
  }

  /** Salt of the segment that holds, or will hold, this id. */
  saltOf(id: Buffer): Buffer | undefined {
    const pending = this.#pending.get(id.toString("latin1"));
    if (pending) return pending;
    const place = this.#store.catalogue.chunk(id);
    return place && this.#store.catalogue.segment(place.segment)?.listing.salt;
  }

  /** Close segments that have reached their size. */
  async drain(): Promise<void> {
    for (const kind of ["data", "metadata"] as const) if (this.#isFull(kind)) await this.#close(kind);
  }

  /** Full is a segment of its size, or of so many chunks that its table is about to outgrow a chunk. */
  #isFull(kind: SegmentKind): boolean {
    const builder = this.#open[kind]?.builder;
    if (builder === undefined) return false;
    const { soft, hard, metadata } = this.#lanes;
    const waiting = kind === "data" ? soft.chunks.length + hard.chunks.length : metadata.chunks.length;
    return builder.length >= choice.segmentTargetBytes || builder.chunks + waiting >= choice.segmentTargetChunks;
  }

  async #close(kind: SegmentKind): Promise<void> {
    const segment = this.#open[kind];
    if (segment === undefined) return;
    // Whoever was told this segment's salt must end up in it.
    if (kind === "data") {
      this.#flush(this.#lanes.soft);
      this.#flush(this.#lanes.hard);
    } else this.#flush(this.#lanes.metadata);
    const { tail, name, length, table } = segment.builder.finish();
    segment.file.write(tail);
    const { salt, epoch } = segment.builder;
    const listing: Listing = {
      name,
      length,
      kind: objectKinds[kind === "data" ? "dataSegment" : "metadataSegment"],
      salt,
      class: this.#class,
      adopted: false,
      fields: noFields,
    };
    await segment.file.finish(this.#store.home, name, () => this.#note(listing));
    this.#open[kind] = undefined;
    this.#grown += length;
    const tableId =
      kind === "data" ? this.put("table", encodeTableObject({ name, length, salt, epoch, table })).id : undefined;
    const holder = tableId && this.saltOf(tableId);
    this.#sealed.push({ listing, epoch, table, tablePlace: tableId && holder && { salt, table: tableId, holder } });
  }

  /** Leave word of a sealed segment, for whoever starts after a crash or a power cut. */
  #note(listing: Listing): void {
    const to = new Writer(64);
    writeListing(to, listing);
    const first = !this.#noted;
    this.#noted = true;
    try {
      writeAll(this.#lock.fd, Buffer.from(`${to.finish().toString("hex")}\n`, "latin1"));
      fdatasyncSync(this.#lock.fd);
      if (first) syncFolder(this.#store.home.writers);
    } catch (error) {
      throw systemProblem("cannot note a segment", error);
    }
  }

  /**
   * Close everything, list it in the log and append what `bodies` gives, all in one durable step. When this returns,
   * it is acknowledged. The session may go on.
   * @param bodies is told how many bytes the session has grown the store by
   */
  async commit(bodies: (grown: number) => RecordBodies): Promise<LogRecord[]> {
    await this.#close("data");
    await this.#close("metadata");
    const records = this.#store.commit(this.#sealed, bodies(this.#grown));
    this.#sealed = [];
    this.#noted = false;
    this.#pending.clear();
    this.#trusted.clear();
    this.#uncommitted = 0;
    return records;
  }

  /** End the session. What is not committed is dropped, but for sealed segments: the next start lists those. */
  close(): void {
    this.#open.data?.file.abandon();
    this.#open.metadata?.file.abandon();
    if (!this.#noted) tryUnlink(this.#path);
    this.#lock.close();
  }
}

function newLane(kind: SegmentKind): Lane {
  return { kind, chunks: [], bytes: 0 };
}

/** A session file of our own, locked before anybody can take it for a dead one's. */
function beginSessionFile(store: SessionStore): { lock: Lock; path: string } {
  for (;;) {
    const path = join(store.home.writers, store.system.random(8).toString("hex"));
    const lock = lockFile(path, false);
    if (lock !== undefined && statSync(path, { throwIfNoEntry: false }) !== undefined) return { lock, path };
    lock?.close();
  }
}

/** Session files and the temporary segments that belong to each; a segment may have outlived its session's file. */
export function sessionFiles(writers: string): { path: string; temporaries: string[] }[] {
  const names = readdirSync(writers).sort();
  const ours = names.filter((name) => /^[0-9a-f]{16}(\.\d+\.tmp)?$/.test(name));
  return [...new Set(ours.map((name) => name.slice(0, 16)))].map((name) => ({
    path: join(writers, name),
    temporaries: names.filter((other) => other.startsWith(`${name}.`)).map((other) => join(writers, other)),
  }));
}

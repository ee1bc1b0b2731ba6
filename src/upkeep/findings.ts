/**
 * What a check found, counted as it goes. Nothing here is repaired.
 * @module
 */

/** One thing that is not as it should be. */
export interface Finding {
  /** which promise is broken */
  readonly what: "log" | "segment" | "index" | "folder" | "file" | "revision";
  /** a log, a segment, or fileset, revision and path */
  readonly where: string;
  /** one line for people */
  readonly says: string;
}

export type CheckPhase = "logs" | "segments" | "index" | "data" | "revisions";

export type CheckEvent =
  | { readonly type: "phase"; readonly phase: CheckPhase; readonly of: number }
  | { readonly type: "progress"; readonly phase: CheckPhase; readonly done: number; readonly of: number }
  | { readonly type: "finding"; readonly finding: Finding }
  /** worth knowing, no damage */
  | { readonly type: "note"; readonly says: string };

export interface CheckResult {
  readonly records: number;
  readonly revisions: number;
  readonly segments: number;
  /** of all listed segments */
  readonly bytes: bigint;
  /** of those, the segments that are not here but with others */
  readonly farSegments: number;
  readonly farBytes: bigint;
  /** rows of the index that were compared */
  readonly chunks: number;
  /** folders and lists that were read and verified */
  readonly metadataChunks: number;
  readonly readSegments: number;
  readonly readBytes: bigint;
  /** files and folders named by a finding */
  readonly damagedPaths: number;
  readonly findings: number;
  /** the first thousand findings; all of them went through `on` */
  readonly shown: readonly Finding[];
  readonly notes: readonly string[];
}

const mostShown = 1000;

/** Gathers a result. */
export class Findings implements CheckResult {
  readonly #on: (event: CheckEvent) => void;
  #phase: CheckPhase = "logs";
  #of = 0;
  done = 0;
  records = 0;
  revisions = 0;
  segments = 0;
  bytes = 0n;
  farSegments = 0;
  farBytes = 0n;
  chunks = 0;
  metadataChunks = 0;
  readSegments = 0;
  readBytes = 0n;
  damagedPaths = 0;
  findings = 0;
  readonly shown: Finding[] = [];
  readonly notes: string[] = [];

  constructor(on: (event: CheckEvent) => void) {
    this.#on = on;
  }

  /** Begin a phase. @param of steps that it will have, 0 where nobody knows */
  phase(phase: CheckPhase, of: number): void {
    this.#phase = phase;
    this.#of = of;
    this.done = 0;
    this.#on({ type: "phase", phase, of });
  }

  progress(): void {
    this.#on({ type: "progress", phase: this.#phase, done: this.done, of: this.#of });
  }

  found(what: Finding["what"], where: string, says: string): void {
    const finding = { what, where, says };
    this.findings++;
    if (this.shown.length < mostShown) this.shown.push(finding);
    this.#on({ type: "finding", finding });
  }

  note(says: string): void {
    if (this.notes.length < mostShown) this.notes.push(says);
    this.#on({ type: "note", says });
  }

  result(): CheckResult {
    const { records, revisions, segments, bytes, chunks, metadataChunks, readSegments, readBytes } = this;
    const { farSegments, farBytes, damagedPaths, findings, shown, notes } = this;
    const counts = { records, revisions, segments, bytes, chunks, metadataChunks, readSegments, readBytes };
    return { ...counts, farSegments, farBytes, damagedPaths, findings, shown, notes };
  }
}

/**
 * Logs that others write: those of other devices of any vault, and the chains of a coop. Each is kept to the byte and
 * passed on; nothing is appended that its device did not sign, and nothing is served that is not on the disk.
 * @module
 */

/** How far a log is known here. */
export interface Head {
  /** the vault of the log, or the coop */
  readonly scope: Buffer;
  readonly log: Buffer;
  readonly device: Buffer;
  readonly seq: bigint;
  /** of the record with this number */
  readonly id: Buffer;
  /** two branches are known: nothing is added any more */
  readonly frozen: boolean;
}

/** What became of records that somebody sent. */
export type Accepted =
  | { readonly outcome: "accepted"; readonly head: Head }
  /** all of them were here */
  | { readonly outcome: "known" }
  /** records before them are missing; `head` is undefined where nothing of the log is here */
  | { readonly outcome: "gap"; readonly head: Head | undefined }
  /** the device signed two records where one belongs: the log is frozen from now on. Both as bytes */
  | { readonly outcome: "fork"; readonly mine: Buffer; readonly theirs: Buffer }
  | { readonly outcome: "frozen" }
  /** no log takes them, whoever sends them */
  | { readonly outcome: "refused"; readonly why: string };

/** The logs of one vault, or of one coop. */
export class OtherLogs {
  readonly #folder: string;
  readonly scope: Buffer;

  private constructor(folder: string, scope: Buffer) {
    this.#folder = folder;
    this.scope = scope;
  }

  /** @param kind what its logs begin with: a genesis or a found record */
  static open(folder: string, scope: Buffer, _kind: "vault" | "coop"): OtherLogs {
    return new OtherLogs(folder, scope);
  }

  heads(): Head[] {
    return [];
  }

  head(log: Buffer): Head | undefined {
    return this.heads().find((head) => head.log.equals(log));
  }

  /** Whole records from this number on, at least one where there is one, at most so many bytes. */
  records(_log: Buffer, _from: bigint, _maxBytes: number): Buffer[] {
    return [];
  }

  /** Take records of one log, in order. Throws for a fault of this machine's disk only. */
  accept(_log: Buffer, _records: readonly Buffer[]): Accepted {
    return { outcome: "refused", why: `not written yet for ${this.#folder}` };
  }

  /** Take a record as proof that a log has two branches. "fork" where it is one, "known" where it is ours. */
  freeze(_log: Buffer, _record: Buffer): Accepted {
    return { outcome: "refused", why: "not written yet" };
  }

  /** Of a frozen log: ours and the other record, which together prove it. */
  evidence(_log: Buffer): Buffer[] {
    return [];
  }

  close(): void {}
}

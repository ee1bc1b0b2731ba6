/**
 * Where bytes come from that are not here: declared where they are missed, fulfilled by whoever can reach others, and
 * joined above. A store without one reads what it has.
 * @module
 */

/** An object as a listing names it. */
export interface ObjectId {
  readonly name: Buffer;
  readonly length: number;
}

export interface Source {
  /**
   * Bytes of an object, proved against its name. Any range of it may be asked for.
   * Problem("missing") where nobody who has it could be reached in time.
   */
  range(object: ObjectId, offset: number, length: number): Promise<Buffer>;
  /** Which of these objects can be had from somebody who can be reached now. */
  holds(names: readonly Buffer[]): Promise<boolean[]>;
  close(): Promise<void>;
}

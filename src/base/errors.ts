/**
 * Every error that a user or a peer can cause carries a code from one closed set, and a message of one line
 * that says what to do. Anything thrown that is not a `Problem` is a bug in this program.
 * @module
 */

/** The closed set. What each means for a script is decided in one place: `exitCodeOf`. */
export type ProblemCode =
  | "usage" // wrong words on the command line
  | "config" // config.toml does not say something valid
  | "unknown-fileset"
  | "ambiguous" // a prefix that names several revisions
  | "not-found" // path, revision or peer
  | "no-space" // the disk is full
  | "io" // the system refused a read or write
  | "refused" // a guard, a target that is not empty, an existing vault
  | "no-vault"
  | "busy" // the same fileset is running, or this home is a copy of another
  | "phrase" // the recovery phrase fails its checksum
  | "damaged" // stored bytes are not what was stored
  | "missing" // asked-for data is not here and nobody reachable has it
  | "format" // bytes that no encoder of ours writes
  | "unsupported" // this system, this file system, a newer format
  | "interrupted";

const exits: Readonly<Record<ProblemCode, number>> = {
  usage: 2,
  config: 2,
  "unknown-fileset": 2,
  ambiguous: 2,
  "not-found": 1,
  "no-space": 1,
  io: 1,
  refused: 4,
  "no-vault": 10,
  busy: 11,
  phrase: 12,
  damaged: 21,
  missing: 21,
  format: 21,
  unsupported: 1,
  interrupted: 130,
};

/** An expected failure: `code` for programs, `message` (one line) for people. */
export class Problem extends Error {
  readonly code: ProblemCode;
  constructor(code: ProblemCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "Problem";
    this.code = code;
  }
}

/** The exit status of the command line for a failure of this kind. */
export function exitCodeOf(code: ProblemCode): number {
  return exits[code];
}

/** The system's error code ("ENOENT") of a thrown value, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** Turn a failed system call into a Problem that names what was being done. */
export function systemProblem(doing: string, error: unknown): Problem {
  if (error instanceof Problem) return error;
  const errno = errnoOf(error);
  if (errno === "ENOSPC" || errno === "EDQUOT")
    return new Problem("no-space", `${doing}: the disk is full; free some space and run it again`, { cause: error });
  const why = error instanceof Error ? error.message : String(error);
  return new Problem("io", `${doing}: ${why}`, { cause: error });
}

/**
 * The seam between what is shown and what speaks to the kernel. `FileSystem` is the whole mount as the kernel thinks of
 * it: nodes by number, names and values as bytes, errors as errno. `FuseBackend` carries it to a mountpoint. A backend
 * that works by paths (fuse-native) translates; one that speaks the raw protocol needs no translation: READDIRPLUS is
 * `readdir` with a `lookup` for each name, FORGET is `forget`, `Found.lasting` and `version` are what timeouts and
 * invalidation go by. What it can do beyond (LSEEK for holes) becomes one more method here when it comes.
 * @module
 */
import { constants } from "node:os";

/** A positive error number of the system; 0 never occurs. */
export type Errno = number;
export const errno = constants.errno;

/** What every call answers: a value, or why there is none. No call ever rejects. */
export type Answer<T> = T | Errno;

/** Was the answer an error? Values are never plain numbers. */
export function isErrno(answer: unknown): answer is Errno {
  return typeof answer === "number";
}

/** The node of the mount's own root, as FUSE fixes it. */
export const rootNode = 1n;

/** What stat(2) tells of a node. Access and change times are the modification time. */
export interface Attributes {
  /** the same for all names of one file within one revision, and for the same path on every later mount */
  readonly ino: bigint;
  /** type and permission bits */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly major: number;
  readonly minor: number;
}

/** A name that was found. The node is held until it is forgotten as often as it was found. */
export interface Found {
  readonly node: bigint;
  readonly attributes: Attributes;
  /** it can never mean anything else (inside a revision); otherwise only until `version` changes */
  readonly lasting: boolean;
}

/** One name of a folder. */
export interface Listed {
  readonly name: Buffer;
  readonly attributes: Attributes;
}

/** All that is shown, read-only. */
export interface FileSystem {
  /** Another number when lists of revisions may have changed: what was found and is not lasting must be found anew. */
  version(): number;
  lookup(parent: bigint, name: Buffer): Promise<Answer<Found>>;
  getattr(node: bigint): Promise<Answer<Attributes>>;
  /** The next names after `after` in byte order (undefined: from the first), a block at a time; empty at the end. */
  readdir(node: bigint, after: Buffer | undefined): Promise<Answer<readonly Listed[]>>;
  readlink(node: bigint): Promise<Answer<Buffer>>;
  /** 0n, or why the file cannot be read at all: asked once when it is opened. */
  open(node: bigint): Promise<Answer<bigint>>;
  /** Exactly `length` bytes, fewer only at the end of the file. */
  read(node: bigint, offset: bigint, length: number): Promise<Answer<Buffer>>;
  listxattr(node: bigint): Promise<Answer<readonly Buffer[]>>;
  getxattr(node: bigint, name: Buffer): Promise<Answer<Buffer>>;
  /** One `lookup` of this node is no longer needed. The root always is. */
  forget(node: bigint): void;
}

/** One line for the log of the mount. */
export type SayLine = (line: string) => void;

export interface SessionOptions {
  /** a folder by its real, absolute path */
  readonly mountpoint: string;
  /** the source shown in the list of mounts; no commas */
  readonly source: string;
  /** let other users in, each with what owner and mode allow; otherwise only the user who mounts */
  readonly allowOther: boolean;
  /** a call that has no answer by then gets EIO */
  readonly timeoutMs: number;
  readonly say: SayLine;
}

/** A mounted file system. */
export interface FuseSession {
  /** Is the connection to the kernel still there? False once it is unmounted and no file in it is open. */
  alive(): boolean;
  /** Answer EIO to whatever comes or waits; resolves when no call is at work any more. The mount must be gone by then. */
  stop(): Promise<void>;
}

/** A way to speak FUSE. */
export interface FuseBackend {
  readonly name: string;
  /** Mount; resolves when the kernel's first call has been answered. */
  mount(files: FileSystem, options: SessionOptions): Promise<FuseSession>;
}

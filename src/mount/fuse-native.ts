/**
 * The backend on the fuse-native package, which speaks libfuse 2 by paths: the portable one, and the oracle for tests of
 * any other. The one door to that package. Its faults are kept from doing harm:
 *
 *   names and link targets that are not UTF-8   listed with U+FFFD, but EIO when used: it can carry text only
 *   a small buffer for attributes               ERANGE, as it should be; the package writes past the buffer
 *   32-bit inode numbers, milliseconds          see `narrow`
 *   an exception in a handler                   EIO and a line in the log; the package leaves the client hanging
 * @module
 */
import { constants as access, accessSync, readdirSync, readlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { clearInterval, setInterval } from "node:timers";
import { Problem } from "../base/errors.js";
import { escapeForTerminal } from "../base/units.js";
import {
  type Answer,
  type Attributes,
  errno,
  type FileSystem,
  type FuseBackend,
  type FuseSession,
  isErrno,
  type SessionOptions,
} from "./backend.js";
import { messageOf } from "../vault/text-log.js";
import { exactText, InodeNumbers, replacement, statWords } from "./narrow.js";
import { Paths, parentOf } from "./paths.js";

type Done = (result: number, ...values: unknown[]) => void;
type Handlers = Record<string, (...given: never[]) => void>;

interface Fuse {
  mount(done: (error: Error | null) => void): void;
  unmount(done: (error: Error | null) => void): void;
}

interface FuseClass {
  new (mountpoint: string, handlers: Handlers, options: object): Fuse;
  unmount: (mountpoint: string, done: (error: Error | null) => void) => void;
}

/** a folder of more names is listed without types and numbers, for which the package needs 300 bytes a name */
const namesWithStats = 200_000;
const xattrMost = 65_536;
const writingFlags = 0o3;

/** What only ever happens to a file system that is written to. */
const writes =
  "truncate ftruncate utimens chown chmod mknod setxattr removexattr write create unlink rename link symlink mkdir rmdir";

export const fuseNative: FuseBackend = {
  name: "fuse-native",
  async mount(files, options) {
    const Fuse = load();
    const session = new NativeSession(files, options);
    const source = `${options.source},ro,nosuid,nodev,use_ino,attr_timeout=1,entry_timeout=1`;
    const fuse = new Fuse(options.mountpoint, session.handlers(), {
      // Joined by commas and passed on: the only way to give options that the package has no word for.
      fsname: source,
      subtype: "bcoopfs",
      allowOther: options.allowOther,
      defaultPermissions: true,
      autoCache: true,
      timeout: false,
    });
    Object.assign(fuse, session.corrections());
    const before = new Set(connections());
    await new Promise<void>((resolve, reject) => fuse.mount((error) => (error ? reject(error) : resolve()))).catch(
      (error: Error) => {
        throw new Problem("io", `cannot mount on ${options.mountpoint}: ${whyNot(error, options)}`, { cause: error });
      },
    );
    session.mounted(
      fuse,
      connections().find((fd) => !before.has(fd)),
    );
    return session;
  },
};

function load(): FuseClass {
  try {
    const Fuse = createRequire(import.meta.url)("fuse-native") as FuseClass;
    // Whoever unmounts has detached already; the package would run fusermount on what may be another's mount by now.
    Fuse.unmount = (_mountpoint, done) => done(null);
    return Fuse;
  } catch (error) {
    throw new Problem(
      "unsupported",
      "the package fuse-native cannot be loaded; install libfuse2 (Debian: apt-get install libfuse2 fuse) and run bin/setup",
      { cause: error },
    );
  }
}

function whyNot(error: Error, options: SessionOptions): string {
  if (error.message !== "fuse failed") return error.message;
  try {
    accessSync("/dev/fuse", access.R_OK | access.W_OK);
  } catch {
    return "/dev/fuse cannot be opened; load the kernel module fuse, and let users open it (mode 0666)";
  }
  if (options.allowOther && process.getuid?.() !== 0)
    return 'FUSE refused; --allow-other needs the line "user_allow_other" in /etc/fuse.conf unless root mounts';
  return "FUSE refused; fusermount may be missing, and what it said stands on stderr or in the home's log/mount.log";
}

/** Descriptors of this process that lead to FUSE: libfuse closes its own when the connection has ended. */
function connections(): string[] {
  return readdirSync("/proc/self/fd").filter(isConnection);
}

function isConnection(fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === "/dev/fuse";
  } catch {
    return false;
  }
}

interface Waiting {
  readonly until: number;
  readonly fail: () => void;
}

class NativeSession implements FuseSession {
  readonly #files: FileSystem;
  readonly #options: SessionOptions;
  readonly #numbers = new InodeNumbers();
  readonly #paths: Paths;
  readonly #handles = new Map<number, bigint>();
  readonly #waiting = new Set<Waiting>();
  readonly #working = new Set<Promise<void>>();
  readonly #sweep: NodeJS.Timeout;
  #lastHandle = 0;
  #stopped = false;
  #unlistable = 0;
  #fuse: Fuse | undefined;
  #fd: string | undefined;

  constructor(files: FileSystem, options: SessionOptions) {
    this.#files = files;
    this.#paths = new Paths(files);
    this.#options = options;
    this.#sweep = setInterval(() => this.#failOverdue(), 1000).unref();
  }

  mounted(fuse: Fuse, fd: string | undefined): void {
    this.#fuse = fuse;
    this.#fd = fd;
  }

  alive(): boolean {
    return this.#fd !== undefined && isConnection(this.#fd);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#sweep);
    for (const { fail } of this.#waiting) fail();
    this.#waiting.clear();
    await Promise.allSettled(this.#working);
    await new Promise((resolve) => (this.#fuse ? this.#fuse.unmount(resolve) : resolve(null)));
    if (this.#unlistable > 0)
      this.#options.say(`names that are not UTF-8 were listed ${this.#unlistable} times, and could not be read`);
  }

  /** Answer a call when its work is done, with EIO when it fails or takes too long, and once in any case. */
  #call<T>(work: () => Promise<Answer<T>>, answer: (value: T) => void, fail: (result: number) => void): void {
    if (this.#stopped) {
      fail(-errno.EIO);
      return;
    }
    const waiting = { until: performance.now() + this.#options.timeoutMs, fail: () => fail(-errno.EIO) };
    this.#waiting.add(waiting);
    const working = work()
      .then((value) => {
        if (!this.#waiting.has(waiting)) return;
        if (isErrno(value)) fail(-value);
        else answer(value);
        this.#waiting.delete(waiting);
      })
      .catch((error: unknown) => {
        this.#options.say(messageOf(error));
        if (this.#waiting.delete(waiting)) fail(-errno.EIO);
      });
    this.#working.add(working);
    void working.finally(() => this.#working.delete(working));
  }

  #failOverdue(): void {
    const now = performance.now();
    for (const waiting of this.#waiting) {
      if (waiting.until > now) break;
      this.#waiting.delete(waiting);
      this.#options.say(`a call had no answer within ${this.#options.timeoutMs} ms`);
      waiting.fail();
    }
  }

  handlers(): Handlers {
    const readOnly = Object.fromEntries(
      writes.split(" ").map((name) => [name, (...given: never[]) => (given.at(-1) as unknown as Done)(-errno.EROFS)]),
    );
    const corrected = Object.fromEntries(
      ["getattr", "readdir", "getxattr", "listxattr"].map((name) => [name, () => {}]),
    );
    return {
      ...readOnly,
      ...corrected,
      open: (path: string, flags: number, done: Done) => this.#open(path, flags, done),
      read: (path: string, handle: number, into: Buffer, length: number, offset: number, done: Done) =>
        this.#read(path, handle, into, length, offset, done),
      release: (_path: string, handle: number, done: Done) => {
        const node = this.#handles.get(handle);
        this.#handles.delete(handle);
        if (node !== undefined) this.#files.forget(node);
        done(0);
      },
      readlink: (path: string, done: Done) => this.#readlink(path, done),
      // No blocks at all: df(1) leaves such a file system out, and nobody takes its space for space.
      statfs: (_path: string, done: Done) => done(0, { bsize: 4096, frsize: 4096, flag: 1, namemax: 255 }),
    };
  }

  /** In place of the package's own methods, which lose or overrun. `signal` takes what the native side wants. */
  corrections(): Handlers {
    return {
      _op_getattr: (signal: Done, path: string) =>
        this.#call(
          () => this.#paths.at(path, ({ attributes }) => attributes),
          (attributes) => signal(0, this.#words(attributes)),
          signal,
        ),
      _op_readdir: (signal: Done, path: string) =>
        this.#call(
          () => this.#list(path),
          ({ names, stats }) => signal(0, names, stats),
          signal,
        ),
      _op_getxattr: (signal: Done, path: string, name: string, into: Buffer) =>
        this.#call(
          () => this.#paths.at(path, ({ node }) => this.#xattr(node, name)),
          (value) => giveXattr(signal, value, into),
          (result) => signal(result, into.buffer),
        ),
      _op_listxattr: (signal: Done, path: string, into: Buffer) =>
        this.#call(
          () => this.#paths.at(path, ({ node }) => this.#files.listxattr(node)),
          (names) => giveXattr(signal, Buffer.concat(names.flatMap((name) => [name, Buffer.alloc(1)])), into),
          (result) => signal(result, into.buffer),
        ),
    };
  }

  #words(attributes: Attributes): Uint32Array {
    return statWords(attributes, this.#numbers.of(attributes.ino));
  }

  async #xattr(node: bigint, name: string): Promise<Answer<Buffer>> {
    const value = await this.#files.getxattr(node, Buffer.from(name, "utf8"));
    return value === errno.ENODATA && name.includes(replacement) ? errno.EIO : value;
  }

  #list(path: string): Promise<Answer<{ names: string[]; stats: Uint32Array[] }>> {
    return this.#paths.at(path, async ({ node, attributes }) => {
      const above = path === "/" ? { attributes } : await this.#paths.find(parentOf(path));
      if (isErrno(above)) return above;
      const names = [".", ".."];
      const stats = [this.#words(attributes), this.#words(above.attributes)];
      for (let after: Buffer | undefined; ; ) {
        const block = await this.#files.readdir(node, after);
        if (isErrno(block)) return block;
        if (block.length === 0) break;
        for (const { name, attributes: found } of block) {
          names.push(exactText(name) ?? this.#garbled(path, name));
          if (names.length < namesWithStats) stats.push(this.#words(found));
          after = name;
        }
      }
      return { names, stats };
    });
  }

  #garbled(path: string, name: Buffer): string {
    if (this.#unlistable++ === 0)
      this.#options.say(
        `${escapeForTerminal(Buffer.from(path))}/${escapeForTerminal(name)}: fuse-native cannot read names that are not UTF-8 (further ones are counted only); restore reads them`,
      );
    return name.toString("utf8");
  }

  #readlink(path: string, done: Done): void {
    this.#call(
      () =>
        this.#paths.at(path, async ({ node }) => {
          const target = await this.#files.readlink(node);
          if (isErrno(target)) return target;
          const text = exactText(target);
          if (text !== undefined) return { text };
          this.#options.say(`${escapeForTerminal(Buffer.from(path))}: the link's target is not UTF-8`);
          return errno.EIO;
        }),
      ({ text }) => done(0, text),
      done,
    );
  }

  #open(path: string, flags: number, done: Done): void {
    const open = async (node: bigint): Promise<Answer<bigint>> => {
      const refused = (flags & writingFlags) !== 0 ? errno.EROFS : await this.#files.open(node);
      return isErrno(refused) ? refused : node;
    };
    this.#call(
      () => this.#paths.take(path, ({ node }) => open(node)),
      (node) => {
        this.#lastHandle = (this.#lastHandle % 0x7fff_fffe) + 1;
        this.#handles.set(this.#lastHandle, node);
        done(0, this.#lastHandle);
      },
      done,
    );
  }

  #read(path: string, handle: number, into: Buffer, length: number, offset: number, done: Done): void {
    const node = this.#handles.get(handle);
    const read = (id: bigint): Promise<Answer<Buffer>> => this.#files.read(id, BigInt(offset), length);
    this.#call(
      () => (node === undefined ? this.#paths.at(path, (found) => read(found.node)) : read(node)),
      (bytes) => {
        bytes.copy(into);
        done(bytes.length);
      },
      done,
    );
  }
}

/** Its size where there is no buffer, the value where it fits. */
function giveXattr(signal: Done, value: Buffer, into: Buffer): void {
  const probe = into.length === 0;
  if (value.length > xattrMost) signal(-errno.E2BIG, into.buffer);
  else if (!probe && value.length > into.length) signal(-errno.ERANGE, into.buffer);
  else {
    if (!probe) value.copy(into);
    signal(value.length, into.buffer);
  }
}

/**
 * What of ours must never be captured: the home, and mounts of this program. Known by device and inode, because a
 * path may lead there by many ways; and reading our own mount would feed the store to itself.
 * @module
 */
import { statSync } from "node:fs";
import type { Home } from "../store/home.js";
import { isTrusted, mountinfo, mountsIn } from "../vault/mountinfo.js";

/** A device and inode as the scan gives them, in one key. */
export function identity(major: number, minor: number, ino: bigint): string {
  return `${major}:${minor}:${ino}`;
}

/** Splits Linux' device number as makedev(3) packs it. */
export function deviceParts(dev: bigint): { major: number; minor: number } {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}

/** The mounts of this program. */
interface OwnMounts {
  /** "major:minor" of each */
  readonly devices: ReadonlySet<string>;
  /** their paths, latin1 of the raw bytes: a dead mount tells no device */
  readonly points: ReadonlySet<string>;
}

/** Those made by `user` or root. Another user's are folders like any other, and an error where they cannot be read. */
function ownMountsIn(text: string, user: number): OwnMounts {
  const lines = mountsIn(text).filter((line) => isTrusted(line, user));
  return {
    devices: new Set(lines.map(({ device }) => device)),
    points: new Set(lines.map(({ rawPoint }) => rawPoint)),
  };
}

/** Tells whether a folder is ours. Mounts that come while a run goes on are noticed when their device is met. */
export class OwnState {
  readonly #folders: ReadonlySet<string>;
  readonly #mountinfo: () => string;
  readonly #user: number;
  readonly #devices = new Set<string>();
  #mounts: OwnMounts;

  /**
   * @param folders all that are never saved, with what lies in them
   * @param mountinfo the system's list of mounts
   * @param user who saves
   */
  constructor(folders: readonly string[], mountinfo: () => string, user: number) {
    this.#folders = new Set(folders.map(identityOf).filter((known) => known !== undefined));
    this.#mountinfo = mountinfo;
    this.#user = user;
    this.#mounts = ownMountsIn(mountinfo(), user);
  }

  static here(home: Home): OwnState {
    const folders = [home.path, home.store, home.segments, home.catalogue, home.logs, home.capsule, home.stat];
    return new OwnState(folders, mountinfo, process.geteuid?.() ?? 0);
  }

  has(found: { devMajor: number; devMinor: number; ino: bigint }): boolean {
    const device = `${found.devMajor}:${found.devMinor}`;
    if (!this.#devices.has(device)) {
      this.#devices.add(device);
      this.#mounts = ownMountsIn(this.#mountinfo(), this.#user);
    }
    return this.#mounts.devices.has(device) || this.#folders.has(identity(found.devMajor, found.devMinor, found.ino));
  }

  /** Is one of our mounts at this path, dead or alive? */
  hasMountPoint(path: Uint8Array): boolean {
    return this.#mounts.points.has(Buffer.from(path).toString("latin1"));
  }
}

function identityOf(folder: string): string | undefined {
  const stat = statSync(folder, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const { major, minor } = deviceParts(stat.dev);
  return identity(major, minor, stat.ino);
}

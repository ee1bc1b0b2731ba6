/**
 * What of ours must never be captured: the home, and mounts of this program. Known by device and inode, because a
 * path may lead there by many ways; and reading our own mount would feed the store to itself.
 * @module
 */
import { readFileSync, statSync } from "node:fs";

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

/** "major:minor" of every mount of this program, from the text of /proc/self/mountinfo (proc(5)). */
export function ownMountDevices(mountinfo: string): Set<string> {
  const devices = new Set<string>();
  for (const line of mountinfo.split("\n")) {
    const [left, right] = line.split(" - ");
    const device = left?.split(" ")[2];
    const [type, source] = right?.split(" ") ?? [];
    if (device && type?.startsWith("fuse") && (type === "fuse.bcoopfs" || source?.startsWith("bcoopfs")))
      devices.add(device);
  }
  return devices;
}

/** Tells whether a folder is ours. */
export class OwnState {
  readonly #home: string;
  readonly #devices: Set<string>;

  constructor(home: string, mountinfo: string) {
    const stat = statSync(home, { bigint: true });
    const { major, minor } = deviceParts(stat.dev);
    this.#home = identity(major, minor, stat.ino);
    this.#devices = ownMountDevices(mountinfo);
  }

  static here(home: string): OwnState {
    return new OwnState(home, readFileSync("/proc/self/mountinfo", "utf8"));
  }

  has(found: { devMajor: number; devMinor: number; ino: bigint }): boolean {
    return (
      this.#home === identity(found.devMajor, found.devMinor, found.ino) ||
      this.#devices.has(`${found.devMajor}:${found.devMinor}`)
    );
  }
}

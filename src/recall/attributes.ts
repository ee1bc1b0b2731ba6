/**
 * Owner, extended attributes, mode and time of one restored entry, in the order in which they do not undo each other:
 *
 *   owner (clears set-id bits and capabilities) → attributes, the capability last → mode (after an ACL, whose mask it
 *   repeats) → time (after all that changes it)
 *
 * What the system does not allow is counted by kind. Where that would give somebody more than he had on the source,
 * less is set: no set-id bit without its owner, no ACL's mask as the group's mode.
 * @module
 */
import { errnoOf } from "../base/errors.js";
import { native } from "../base/native.js";
import type { Entry, Xattr } from "../format/entry.js";
import { splitTime } from "../vault/entry.js";
import { isLoss, type View } from "../vault/view.js";

/** Counts by kind what the system did not allow. */
export type Count = (kind: string) => void;

export interface AttributeSetting {
  readonly view: View;
  readonly includeOwner: boolean;
  readonly count: Count;
  /** an attribute's stored value cannot be read */
  damaged(error: unknown): void;
  /** whether the file system is really full, rather than unable to hold a large attribute */
  isFull(): boolean;
}

/** What a system answers that does not allow or know something, as against one that fails. */
const refusals = new Set([
  "EPERM",
  "EACCES",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EINVAL",
  "ERANGE",
  "E2BIG",
  "EOVERFLOW",
]);
const unchanged = 0xffff_ffff;
/** The most that Linux takes as a value. */
const mostXattr = 64 * 1024;
const setUser = 0o4000;
const setGroup = 0o2000;

function isRefusal(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno !== undefined && refusals.has(errno);
}

/** Try one call: true when done, false and counted when the system does not allow it. */
function allowed(kind: string, count: Count, call: () => void): boolean {
  try {
    call();
    return true;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    count(kind);
    return false;
  }
}

/** @param name in the held folder `at`; empty for the descriptor itself */
export async function setAttributes(at: number, name: Uint8Array, entry: Entry, to: AttributeSetting): Promise<void> {
  let mode = withoutSetId(entry, setOwner(at, name, entry, to), to.count);
  let aclSet = true;
  for (const xattr of capabilityLast(entry.xattrs)) {
    const set = await setXattr(at, name, xattr, to);
    if (isAccessAcl(xattr)) aclSet = set;
  }
  if (!aclSet) mode = await withoutMask(mode, entry, to);
  if (entry.kind !== "symlink") allowed("modes", to.count, () => native().setMode(at, name, mode));
  const { seconds, nanoseconds } = splitTime(entry.mtimeNs);
  allowed("times", to.count, () => native().setTimes(at, name, seconds, nanoseconds));
}

/** Which of both now are as they were. */
interface Owned {
  readonly user: boolean;
  readonly group: boolean;
}

function setOwner(at: number, name: Uint8Array, entry: Entry, to: AttributeSetting): Owned {
  const ours = { user: entry.uid === process.geteuid?.(), group: entry.gid === process.getegid?.() };
  if (!to.includeOwner) return ours;
  try {
    native().setOwner(at, name, entry.uid, entry.gid);
    return { user: true, group: true };
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  to.count("owners");
  try {
    native().setOwner(at, name, unchanged, entry.gid);
    return { user: ours.user, group: true };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return { user: ours.user, group: false };
  }
}

/** A program that runs as somebody must not begin to run as somebody else. */
function withoutSetId(entry: Entry, owned: Owned, count: Count): number {
  if (entry.kind !== "file") return entry.mode;
  const lost = (owned.user ? 0 : setUser) | (owned.group ? 0 : setGroup);
  if (entry.mode & lost) count("set-id bits");
  return entry.mode & ~lost;
}

function isCapability({ name }: Xattr): boolean {
  return name.equals(capabilityName);
}

function isAccessAcl({ name }: Xattr): boolean {
  return name.equals(accessAclName);
}

const capabilityName = Buffer.from("security.capability");
export const accessAclName = Buffer.from("system.posix_acl_access");
export const defaultAclName = Buffer.from("system.posix_acl_default");

function capabilityLast(xattrs: readonly Xattr[]): readonly Xattr[] {
  const capability = xattrs.find(isCapability);
  return capability ? [...xattrs.filter((xattr) => xattr !== capability), capability] : xattrs;
}

async function setXattr(at: number, name: Uint8Array, xattr: Xattr, to: AttributeSetting): Promise<boolean> {
  const kind = `attributes: ${namespaceOf(xattr.name)}`;
  const size = Buffer.isBuffer(xattr.value) ? xattr.value.length : xattr.value.size;
  if (size > mostXattr) {
    to.count(kind);
    return false;
  }
  let value: Buffer;
  try {
    value = await to.view.xattr(xattr.value);
  } catch (error) {
    if (!isLoss(error)) throw error;
    to.damaged(error);
    return false;
  }
  try {
    native().setXattr(at, name, xattr.name, value);
    return true;
  } catch (error) {
    // Several file systems say "full" of an attribute that is larger than they ever hold.
    if (!isRefusal(error) && !(errnoOf(error) === "ENOSPC" && !to.isFull())) throw error;
    to.count(kind);
    return false;
  }
}

function namespaceOf(name: Buffer): string {
  if (name.equals(accessAclName) || name.equals(defaultAclName)) return "access lists";
  const dot = name.indexOf(0x2e);
  return dot < 0 ? "others" : `${name.subarray(0, dot).toString("latin1")}.*`;
}

/** The mode of a file that had an ACL and has none now: the group's own bits in place of the mask. */
async function withoutMask(mode: number, entry: Entry, to: AttributeSetting): Promise<number> {
  const acl = entry.xattrs.find(isAccessAcl);
  let value: Buffer = Buffer.alloc(0);
  try {
    if (acl) value = await to.view.xattr(acl.value);
  } catch (error) {
    if (!isLoss(error)) throw error;
  }
  return (mode & ~0o070) | (mode & (groupOfAcl(value) << 3));
}

/**
 * The owning group's permissions in an ACL as the kernel keeps it (posix_acl_xattr.h): version u32 2, then entries of
 * tag u16, permissions u16, id u32. None where it cannot be told.
 */
function groupOfAcl(acl: Buffer): number {
  const owningGroup = 4;
  if (acl.length < 4 || acl.readUInt32LE(0) !== 2) return 0;
  for (let at = 4; at + 8 <= acl.length; at += 8)
    if (acl.readUInt16LE(at) === owningGroup) return acl.readUInt16LE(at + 2) & 7;
  return 0;
}

/** Take away access lists, own and inherited ones. */
export function dropAcls(at: number, name: Uint8Array, folder: boolean): void {
  for (const acl of folder ? [accessAclName, defaultAclName] : [accessAclName])
    try {
      native().removeXattr(at, name, acl);
    } catch (error) {
      if (!["ENODATA", "ENOTSUP", "EOPNOTSUPP", "EPERM", "EACCES"].includes(errnoOf(error) ?? "")) throw error;
    }
}

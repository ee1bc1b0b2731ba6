/**
 * What stat(2) tells of a stored entry. Kinds and mode bits are those of `vault/entry`; here stands only what a mount
 * must know beyond: inode numbers, and modes that never give more than an access ACL did.
 * @module
 */
import type { Entry } from "../format/entry.js";
import { keyedHash } from "../format/hash.js";
import { fullMode } from "../vault/entry.js";
import type { Attributes } from "./backend.js";

/** Makes inode numbers: 64 bits of a keyed hash of the path, so they stay the same and nothing must be remembered. */
export class Inodes {
  readonly #key: Buffer;

  /** @param key 32 bytes, always the same for one vault */
  constructor(key: Buffer) {
    this.#key = key;
  }

  below(parent: bigint, name: Uint8Array): bigint {
    const bytes = Buffer.allocUnsafe(9 + name.length);
    bytes[0] = 0;
    bytes.writeBigUInt64LE(parent, 1);
    bytes.set(name, 9);
    return this.#number(bytes);
  }

  /** One number for all names of a file, in the revision whose root has inode number `root`. @param key a `linkKey` */
  ofLinks(root: bigint, key: string): bigint {
    const bytes = Buffer.allocUnsafe(9 + key.length);
    bytes[0] = 1;
    bytes.writeBigUInt64LE(root, 1);
    bytes.write(key, 9, "latin1");
    return this.#number(bytes);
  }

  #number(bytes: Buffer): bigint {
    const number = keyedHash(this.#key, bytes).readBigUInt64LE(0);
    // 0 means "unknown" and 1 is the root of the mount.
    return number < 2n ? number + 2n : number;
  }
}

export function attributesOf(entry: Entry, ino: bigint): Attributes {
  return {
    ino,
    mode: modeUnderAcl(entry),
    // 1 for folders too: that is how a file system says that it does not count them, and find(1) heeds it.
    nlink: entry.links,
    uid: entry.uid,
    gid: entry.gid,
    size: entry.kind === "symlink" ? BigInt(entry.target?.length ?? 0) : entry.size,
    mtimeNs: entry.mtimeNs,
    major: entry.major,
    minor: entry.minor,
  };
}

/** A folder or link of the mount's own. */
export function ownAttributes(
  kind: "folder" | "symlink",
  ino: bigint,
  mtimeNs: bigint,
  size: number,
  owner: { readonly uid: number; readonly gid: number },
): Attributes {
  const mode = fullMode({ kind, mode: kind === "folder" ? 0o555 : 0o777 });
  return { ino, mode, nlink: 1, ...owner, size: BigInt(size), mtimeNs, major: 0, minor: 0 };
}

const aclName = Buffer.from("system.posix_acl_access");

/** Tags of ACL entries as the xattr holds them: version u32 ‖ { tag u16 ‖ permissions u16 ‖ id u32 }. */
const tags = { user: 0x02, groupObject: 0x04, group: 0x08, mask: 0x10 } as const;

/**
 * The kernel checks modes here, not ACLs, and the group bits of a file with an ACL are its mask: the most that anybody
 * named in it has. So the group class gets what the owning group has, and nobody gets more than a user named to have
 * less. Where the ACL is no ACL, group and others get nothing.
 */
function modeUnderAcl(entry: Entry): number {
  const mode = fullMode(entry);
  const acl = entry.xattrs.find(({ name }) => name.equals(aclName))?.value;
  if (acl === undefined) return mode;
  if (!Buffer.isBuffer(acl) || acl.length < 4 || (acl.length - 4) % 8 !== 0 || acl.readUInt32LE(0) !== 2)
    return mode & ~0o077;
  let mask = 7;
  let group = (mode >> 3) & 7;
  let users = 7;
  let groups = 7;
  for (let at = 4; at < acl.length; at += 8) {
    const tag = acl.readUInt16LE(at);
    const allowed = acl.readUInt16LE(at + 2) & 7;
    if (tag === tags.mask) mask = allowed;
    else if (tag === tags.groupObject) group = allowed;
    else if (tag === tags.user) users &= allowed;
    else if (tag === tags.group) groups &= allowed;
  }
  const others = mode & 7 & users & groups;
  return (mode & ~0o077) | ((group & mask & users) << 3) | others;
}

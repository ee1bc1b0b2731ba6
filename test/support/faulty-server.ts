/** A mount whose file system misbehaves, for tests of the backend: DIR. Never answers reads of "hangs", throws at "throws". */
import { type Attributes, errno, type FileSystem, rootNode } from "../../src/mount/backend.js";
import { fuseNative } from "../../src/mount/fuse-native.js";
import { detach } from "../../src/mount/detach.js";
import { sourceOf, thisProcess } from "../../src/vault/mountinfo.js";

const point = process.argv[2] as string;
const names = ["hangs", "short", "throws", "well"];
const attributes = (node: bigint): Attributes => ({
  ino: node,
  mode: node === rootNode ? 0o40755 : 0o100644,
  nlink: 1,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  size: 4n,
  mtimeNs: 0n,
  major: 0,
  minor: 0,
});

let stale = 0;
const files: FileSystem = {
  version: () => 1,
  lookup: async (_parent, name) => {
    // As if the node had been let go in between, every other time.
    if (++stale % 2) return errno.ESTALE;
    const at = names.indexOf(name.toString());
    if (at < 0) return errno.ENOENT;
    if (names[at] === "throws") throw new Error("a bug\nin two lines");
    const node = BigInt(at + 2);
    return { node, attributes: attributes(node), lasting: true };
  },
  getattr: async (node) => attributes(node),
  readdir: async (_node, after) =>
    after ? [] : names.map((name, i) => ({ name: Buffer.from(name), attributes: attributes(BigInt(i + 2)) })),
  readlink: async () => errno.EINVAL,
  open: async () => 0n,
  read: (node) => (node === 2n ? new Promise(() => {}) : Promise.resolve(Buffer.from("well"))),
  listxattr: async () => [],
  getxattr: async () => errno.ENODATA,
  forget: () => {},
};

const source = sourceOf(thisProcess());
const say = (line: string): void => void process.stderr.write(`${line}\n`);
await fuseNative.mount(files, { mountpoint: point, source, allowOther: false, timeoutMs: 500, say });
process.on("SIGTERM", () => detach(point).then(() => process.exit(0)));
process.stdout.write("ready\n");

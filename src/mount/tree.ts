/**
 * The file system that a mount shows: the layout above, and below each revision what its View gives. Only nodes that
 * the kernel's side holds are kept; everything else is in bounded caches further down, so that memory depends neither
 * on how many revisions there are nor on how large they are.
 *
 * What cannot be given is EIO and one line in the log, never other bytes: short content, a chunk that is not what its
 * id says, a file that no snapshot could read.
 * @module
 */
import { compareBytes } from "../base/bytes.js";
import { Problem } from "../base/errors.js";
import { escapeForTerminal } from "../base/units.js";
import { type Entry, entryFlags } from "../format/entry.js";
import { derive } from "../format/hash.js";
import type { Store } from "../store/store.js";
import { linkKey } from "../vault/link-key.js";
import { MetadataCache, View } from "../vault/view.js";
import { attributesOf, Inodes, ownAttributes } from "./attributes.js";
import {
  type Answer,
  type Attributes,
  errno,
  type FileSystem,
  type Found,
  type Listed,
  rootNode,
  type SayLine,
} from "./backend.js";
import { Layout, type Place } from "./layout.js";
import { messageOf } from "../vault/text-log.js";

/** Something below a revision's root, or that root. */
interface Stored {
  readonly view: View;
  readonly entry: Entry;
  /** inode number of the revision's root: hard links are told apart by revision */
  readonly root: bigint;
}

interface Node {
  readonly id: bigint;
  readonly ino: bigint;
  readonly parent: Node | undefined;
  readonly name: Buffer;
  /** undefined for the mount's own folders and links, which are looked up in the layout at each call */
  readonly stored: Stored | undefined;
  readonly key: string;
  held: number;
}

/** Everything of one vault. */
export class MountTree implements FileSystem {
  readonly #layout: Layout;
  readonly #cache: MetadataCache;
  readonly #inodes: Inodes;
  readonly #say: SayLine;
  readonly #owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  readonly #nodes = new Map<bigint, Node>();
  readonly #byName = new Map<string, Node>();
  #last = rootNode;

  constructor(store: Pick<Store, "catalogue" | "reader" | "keyring">, say: SayLine) {
    this.#layout = new Layout(store.catalogue);
    this.#cache = new MetadataCache(store.reader);
    this.#inodes = new Inodes(derive("mount inode numbers", store.keyring.constants.splitterKey));
    this.#say = say;
    const name = Buffer.alloc(0);
    const root = { id: rootNode, ino: 1n, parent: undefined, name, stored: undefined, key: "", held: 1 };
    this.#nodes.set(rootNode, root);
  }

  /** How many nodes are held, for tests. */
  get nodes(): number {
    return this.#nodes.size;
  }

  version(): number {
    try {
      return this.#layout.version();
    } catch (error) {
      this.#say(`cannot read the list of revisions: ${messageOf(error)}`);
      return -1;
    }
  }

  lookup(parent: bigint, name: Buffer): Promise<Answer<Found>> {
    return this.#answer(parent, (node) => (node.stored ? this.#lookupStored(node, name) : this.#lookupOwn(node, name)));
  }

  async #lookupStored(parent: Node, name: Buffer): Promise<Answer<Found>> {
    const { view, entry: folder, root } = parent.stored as Stored;
    if (folder.kind !== "folder") return errno.ENOTDIR;
    if (neverReadable(folder)) return errno.EIO;
    const entry = await view.lookup(folder, name);
    if (entry === undefined) return errno.ENOENT;
    const node = this.#hold(parent, name, "", this.#inoOf(parent, entry), { view, entry, root });
    return { node: node.id, attributes: attributesOf(entry, node.ino), lasting: true };
  }

  #lookupOwn(parent: Node, name: Buffer): Answer<Found> {
    const place = this.#placeOf(parent);
    if (place === undefined) return errno.ENOENT;
    if (place.kind !== "folder") return errno.ENOTDIR;
    const child = place.places.get(name.toString("latin1"));
    if (child === undefined) return errno.ENOENT;
    const ino = this.#inodes.below(parent.ino, name);
    // A name can come to stand for another revision; a node never does.
    const revision = child.kind === "revision" ? child.revision.id.toString("latin1") : "";
    const node = this.#hold(parent, name, revision, ino, this.#storedAt(child, ino));
    return { node: node.id, attributes: this.#attributesAt(child, ino), lasting: false };
  }

  /** The root of a revision, where the place is one. */
  #storedAt(place: Place, ino: bigint): Stored | undefined {
    if (place.kind !== "revision") return undefined;
    const { root, rootHint } = place.revision;
    return { view: new View(root, this.#cache, rootHint), entry: root, root: ino };
  }

  #attributesAt(place: Place, ino: bigint): Attributes {
    if (place.kind === "revision") return attributesOf(place.revision.root, ino);
    if (place.kind === "folder") return ownAttributes("folder", ino, place.time, 0, this.#owner);
    return ownAttributes("symlink", ino, place.time, place.target.length, this.#owner);
  }

  #placeOf(node: Node): Place | undefined {
    this.#layout.version();
    const path: string[] = [];
    for (let at: Node | undefined = node; at?.parent; at = at.parent) path.unshift(at.name.toString("latin1"));
    return this.#layout.at(path);
  }

  #inoOf(parent: Node, entry: Entry): bigint {
    const key = linkKey(entry);
    if (key !== undefined) return this.#inodes.ofLinks((parent.stored as Stored).root, key);
    return this.#inodes.below(parent.ino, entry.name);
  }

  #hold(parent: Node, name: Buffer, revision: string, ino: bigint, stored: Stored | undefined): Node {
    const key = `${parent.id}/${name.length}/${name.toString("latin1")}${revision}`;
    const known = this.#byName.get(key);
    if (known) {
      known.held++;
      return known;
    }
    const node: Node = { id: ++this.#last, ino, parent, name: Buffer.from(name), stored, key, held: 1 };
    this.#nodes.set(node.id, node);
    this.#byName.set(key, node);
    return node;
  }

  forget(id: bigint): void {
    const node = this.#nodes.get(id);
    if (node === undefined || id === rootNode) return;
    node.held--;
    if (node.held > 0) return;
    this.#nodes.delete(id);
    this.#byName.delete(node.key);
  }

  getattr(id: bigint): Promise<Answer<Attributes>> {
    return this.#answer(id, (node) => {
      if (node.stored) return attributesOf(node.stored.entry, node.ino);
      const place = this.#placeOf(node);
      return place ? this.#attributesAt(place, node.ino) : errno.ENOENT;
    });
  }

  readdir(id: bigint, after: Buffer | undefined): Promise<Answer<readonly Listed[]>> {
    return this.#answer(id, (node) => (node.stored ? this.#listStored(node, after) : this.#listOwn(node, after)));
  }

  async #listStored(node: Node, after: Buffer | undefined): Promise<Answer<readonly Listed[]>> {
    const { view, entry: folder } = node.stored as Stored;
    if (folder.kind !== "folder") return errno.ENOTDIR;
    if (neverReadable(folder)) return errno.EIO;
    for await (const batch of view.entryBatches(folder, after))
      return batch.map((entry) => ({ name: entry.name, attributes: attributesOf(entry, this.#inoOf(node, entry)) }));
    return [];
  }

  #listOwn(node: Node, after: Buffer | undefined): Answer<readonly Listed[]> {
    const place = this.#placeOf(node);
    if (place === undefined) return errno.ENOENT;
    if (place.kind !== "folder") return errno.ENOTDIR;
    const listed: Listed[] = [];
    for (const [text, child] of place.places) {
      const name = Buffer.from(text, "latin1");
      if (after && compareBytes(name, after) <= 0) continue;
      listed.push({ name, attributes: this.#attributesAt(child, this.#inodes.below(node.ino, name)) });
    }
    return listed;
  }

  readlink(id: bigint): Promise<Answer<Buffer>> {
    return this.#answer(id, (node) => {
      if (node.stored) return node.stored.entry.target ?? errno.EINVAL;
      const place = this.#placeOf(node);
      if (place === undefined) return errno.ENOENT;
      return place.kind === "link" ? Buffer.from(place.target, "latin1") : errno.EINVAL;
    });
  }

  open(id: bigint): Promise<Answer<bigint>> {
    return this.#answer(id, ({ stored }) => {
      if (stored?.entry.kind !== "file") return errno.EISDIR;
      if (!neverReadable(stored.entry)) return 0n;
      throw new Problem("missing", `no snapshot could read this file (error ${stored.entry.errno})`);
    });
  }

  read(id: bigint, offset: bigint, length: number): Promise<Answer<Buffer>> {
    return this.#answer(id, async ({ stored }) => {
      if (stored?.entry.kind !== "file") return errno.EISDIR;
      const { view, entry } = stored;
      if (neverReadable(entry)) return errno.EIO;
      const left = entry.size > offset ? entry.size - offset : 0n;
      const wanted = left < BigInt(length) ? Number(left) : length;
      const bytes = await view.read(entry.content, offset, wanted);
      if (bytes.length !== wanted) throw new Problem("damaged", `${wanted} bytes asked for, ${bytes.length} stored`);
      return bytes;
    });
  }

  listxattr(id: bigint): Promise<Answer<readonly Buffer[]>> {
    return this.#answer(id, ({ stored }) => stored?.entry.xattrs.map(({ name }) => name) ?? []);
  }

  getxattr(id: bigint, name: Buffer): Promise<Answer<Buffer>> {
    return this.#answer(id, ({ stored }) => {
      const found = stored?.entry.xattrs.find((xattr) => xattr.name.equals(name));
      return stored && found ? stored.view.xattr(found.value) : errno.ENODATA;
    });
  }

  /** Whatever goes wrong is EIO for the caller and a line for the log. */
  async #answer<T>(id: bigint, work: (node: Node) => Answer<T> | Promise<Answer<T>>): Promise<Answer<T>> {
    const node = this.#nodes.get(id);
    if (node === undefined) return errno.ESTALE;
    try {
      return await work(node);
    } catch (error) {
      this.#say(`${pathOf(node)}: ${messageOf(error)}`);
      return errno.EIO;
    }
  }
}

function neverReadable(entry: Entry): boolean {
  return (entry.flags & entryFlags.neverReadable) !== 0;
}

function pathOf(node: Node): string {
  let path = "";
  for (let at: Node | undefined = node; at?.parent; at = at.parent) path = `/${escapeForTerminal(at.name)}${path}`;
  return path || "/";
}

/**
 * Paths to nodes, for a backend that is asked by path. Holds the nodes of a bounded number of paths; all are let go
 * when lists of revisions may have changed, so that no path goes on meaning what it meant before.
 * @module
 */
import { type Answer, errno, type FileSystem, type Found, isErrno, rootNode } from "./backend.js";
import { exactText, replacement } from "./narrow.js";
import { Recent } from "./recent.js";

const pathsHeld = 8192;
/** how old the list of revisions may be for what lies inside one */
const versionMs = 20;
/** depth of the mount's own part: /hosts/HOST/FILESET/TIME */
const ownDepth = 4;

export class Paths {
  readonly #files: FileSystem;
  readonly #held: Recent<string, Found>;
  #version = -1;
  #checked = 0;

  constructor(files: FileSystem) {
    this.#files = files;
    this.#held = new Recent(pathsHeld, ({ node }) => files.forget(node));
  }

  /** Do something with the node at a path. */
  at<T>(path: string, use: (found: Found) => Answer<T> | Promise<Answer<T>>): Promise<Answer<T>> {
    return this.#again(path, () => this.find(path), use);
  }

  /** The same with a node that is the caller's to forget, unless `use` gave an error. */
  take<T>(path: string, use: (found: Found) => Answer<T> | Promise<Answer<T>>): Promise<Answer<T>> {
    return this.#again(
      path,
      () => this.#lookup(path),
      async (found) => {
        const answer = await use(found);
        if (isErrno(answer)) this.#files.forget(found.node);
        return answer;
      },
    );
  }

  async #again<T>(
    path: string,
    find: () => Promise<Answer<Found>>,
    use: (found: Found) => Answer<T> | Promise<Answer<T>>,
  ): Promise<Answer<T>> {
    this.#refresh(path);
    for (let tries = 0; tries < 3; tries++) {
      const found = await find();
      const answer = isErrno(found) ? found : await use(found);
      // A node that was let go while we waited is found anew.
      if (answer !== errno.ESTALE) return answer;
    }
    return errno.EIO;
  }

  #refresh(path: string): void {
    const now = performance.now();
    if (now - this.#checked < versionMs && depthOf(path) > ownDepth) return;
    this.#checked = now;
    const version = this.#files.version();
    if (version === this.#version) return;
    this.#version = version;
    this.#held.clear();
  }

  /** The node at a path, held here and not for the caller. */
  async find(path: string): Promise<Answer<Found>> {
    const known = this.#held.get(path);
    if (known) return known;
    const found = await this.#lookup(path);
    if (!isErrno(found) && found.node !== rootNode) this.#held.set(path, found);
    return found;
  }

  async #lookup(path: string): Promise<Answer<Found>> {
    if (path === "/") {
      const attributes = await this.#files.getattr(rootNode);
      return isErrno(attributes) ? attributes : { node: rootNode, attributes, lasting: false };
    }
    const parent = await this.find(parentOf(path));
    if (isErrno(parent)) return parent;
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (name.includes(replacement)) {
      const garbled = await this.#isGarbled(parent.node, name);
      if (isErrno(garbled)) return garbled;
      if (garbled) return errno.EIO;
    }
    return this.#files.lookup(parent.node, Buffer.from(name, "utf8"));
  }

  /** May a name that holds U+FFFD be what came through of one that is not UTF-8? */
  async #isGarbled(folder: bigint, name: string): Promise<Answer<boolean>> {
    for (let after: Buffer | undefined; ; ) {
      const block = await this.#files.readdir(folder, after);
      if (block === errno.ENOTDIR) return false;
      if (isErrno(block)) return block;
      if (block.length === 0) return false;
      for (const listed of block)
        if (exactText(listed.name) === undefined && listed.name.toString("utf8") === name) return true;
      after = block.at(-1)?.name;
    }
  }
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

function depthOf(path: string): number {
  let depth = 0;
  for (let at = path.indexOf("/"); at >= 0 && depth <= ownDepth; at = path.indexOf("/", at + 1)) depth++;
  return depth;
}

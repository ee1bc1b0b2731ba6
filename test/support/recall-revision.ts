/** Vaults in temporary folders, with revisions made from sketches: any tree, also one that no file system could hold. */
import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realSystem } from "../../src/base/system.js";
import { defaultClass } from "../../src/format/listing.js";
import { encodeRevision, type RevisionBody } from "../../src/format/revision.js";
import { ContentBuilder } from "../../src/format/content.js";
import type { ContentRef, Entry, EntryKind } from "../../src/format/entry.js";
import { derive } from "../../src/format/hash.js";
import { TreeBuilder } from "../../src/format/tree.js";
import type { Session } from "../../src/store/session.js";
import { findRevision, type Revision } from "../../src/vault/revisions.js";
import { createVault, openVault, type Vault } from "../../src/vault/vault.js";
import { MetadataCache, View } from "../../src/vault/view.js";

/** Pieces of content: bytes become one chunk each, a number is a hole of so many. */
export type Pieces = readonly (Buffer | number | bigint)[];

/** One entry and what is below it. Names are latin1, so that any byte can stand in one. */
export interface Sketch extends Partial<Omit<Entry, "content" | "xattrs" | "name" | "tree">> {
  readonly kind: EntryKind;
  readonly content?: Pieces;
  readonly xattrs?: Readonly<Record<string, Buffer>>;
  readonly children?: Readonly<Record<string, Sketch>>;
}

export const file = (content: string | Pieces, more: Partial<Sketch> = {}): Sketch => ({
  kind: "file",
  content: typeof content === "string" ? (content === "" ? [] : [Buffer.from(content)]) : content,
  ...more,
});
export const folder = (children: Record<string, Sketch>, more: Partial<Sketch> = {}): Sketch => ({
  kind: "folder",
  children,
  ...more,
});

export interface TestVault {
  readonly path: string;
  readonly home: string;
  vault: Vault;
  /** what recovery said */
  readonly said: string[];
  /** Close it, do something, open it again. */
  reopen(between?: () => void): Promise<Vault>;
  end(): Promise<void>;
}

/** @param where a folder to work in; a new one in the system's temporary folder without it */
export async function testVault(where = tmpdir()): Promise<TestVault> {
  const path = mkdtempSync(join(where, "bcoopfs-recall-"));
  const home = join(path, "home");
  createVault(home, "host", 32 * 1024, realSystem.random(32), realSystem);
  const said: string[] = [];
  const open = (): Promise<Vault> => openVault(home, realSystem, (message) => said.push(message));
  const made: TestVault = {
    path,
    home,
    said,
    vault: await open(),
    reopen: async (between = () => {}) => {
      await made.vault.close();
      between();
      made.vault = await open();
      return made.vault;
    },
    end: async () => {
      await made.vault.close();
      // Node's own rmSync cannot remove paths longer than PATH_MAX, and nobody but root what is in closed folders.
      execFileSync("chmod", ["-R", "u+rwx", path]);
      execFileSync("rm", ["-rf", path]);
    },
  };
  return made;
}

/** A view of a revision through a cache of its own. */
export function viewOf(vault: Vault, revision: Revision): View {
  return new View(revision.root, new MetadataCache(vault.store.reader), revision.rootHint);
}

export interface RevisionOptions {
  readonly fileset?: string;
  readonly complete?: boolean;
}

/** Store a tree and commit it as a revision. */
export async function commitRevision(vault: Vault, root: Sketch, options: RevisionOptions = {}): Promise<Revision> {
  const session = vault.store.session(defaultClass);
  try {
    const build = new Build(vault, session);
    const entry = build.entry(Buffer.alloc(0), root);
    const name = options.fileset ?? "docs";
    const body: RevisionBody = {
      fileset: derive("test fileset", Buffer.from(name)).subarray(0, 16),
      filesetName: name,
      host: vault.host,
      started: vault.system.now(),
      complete: options.complete ?? true,
      root: entry,
      rootHint: entry.tree && session.saltOf(entry.tree.id),
      files: 0,
      folders: 0,
      others: 0,
      bytes: 0n,
      changedFiles: 0,
      newBytes: 0n,
      storedBytes: 0n,
      errors: 0,
      names: undefined,
      report: undefined,
      fields: [],
    };
    const records = await session.commit(() => [
      { type: "revision", clear: Buffer.alloc(0), secret: encodeRevision(body) },
    ]);
    return findRevision(vault.store.catalogue, records.at(-1)?.id.toString("hex") as string);
  } finally {
    session.close();
  }
}

class Build {
  readonly #session: Session;
  readonly #markKey: Buffer;

  constructor(vault: Vault, session: Session) {
    this.#session = session;
    this.#markKey = derive("tree mark", vault.store.keyring.constants.splitterKey);
  }

  entry(name: Buffer, { children, content, xattrs, ...sketch }: Sketch): Entry {
    const made = content === undefined ? undefined : this.#content(content);
    const tree = new TreeBuilder(this.#markKey, (bytes) => this.#session.put("tree", bytes).id);
    const named = Object.entries(children ?? {}).map(([text, child]) => [Buffer.from(text, "latin1"), child] as const);
    for (const [childName, child] of named.sort(([a], [b]) => Buffer.compare(a, b)))
      tree.add(this.entry(childName, child));
    return {
      name,
      flags: 0,
      mode: sketch.kind === "folder" ? 0o755 : 0o644,
      uid: process.geteuid?.() ?? 0,
      gid: process.getegid?.() ?? 0,
      mtimeNs: 1_600_000_000_123_456_789n,
      links: 1,
      group: 0n,
      size: made?.size ?? 0n,
      content: made,
      tree: tree.finish(),
      target: undefined,
      major: 0,
      minor: 0,
      errno: 0,
      fields: [],
      ...sketch,
      xattrs: Object.entries(xattrs ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => ({
          name: Buffer.from(key, "latin1"),
          value: value.length <= 1024 ? value : (this.#content([value]) as ContentRef),
        })),
    };
  }

  #content(pieces: Pieces): ContentRef | undefined {
    const content = new ContentBuilder((bytes) => this.#session.put("list", bytes).id);
    for (const piece of pieces)
      if (Buffer.isBuffer(piece)) content.chunk(this.#session.put("data", piece).id, piece.length);
      else content.hole(BigInt(piece));
    return content.finish();
  }
}

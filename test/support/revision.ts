/**
 * Revisions for tests of what shows them: of real folders through capture, and of sketches that no file system here
 * could hold. The vault's clock may be given, for what depends on time.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realSystem, type System } from "../../src/base/system.js";
import { compileRules } from "../../src/capture/select.js";
import { snapshot } from "../../src/capture/snapshot.js";
import { defaultClass } from "../../src/format/listing.js";
import { encodeRevision } from "../../src/format/revision.js";
import { ContentBuilder } from "../../src/format/content.js";
import { type ContentRef, type Entry, noXattrs } from "../../src/format/entry.js";
import { derive } from "../../src/format/hash.js";
import { TreeBuilder } from "../../src/format/tree.js";
import { decodeHeader, headerBytes } from "../../src/format/segment.js";
import { homeAt } from "../../src/store/home.js";
import type { Session } from "../../src/store/session.js";
import { createVault, openVault, type Vault } from "../../src/vault/vault.js";

export interface Place {
  /** an empty folder, for all that a test needs */
  readonly path: string;
  readonly home: string;
  /** a vault that this process has open */
  readonly vault: Vault;
  end(): Promise<void>;
}

/** A fresh vault, open. */
export async function newPlace(system: System = realSystem): Promise<Place> {
  const path = mkdtempSync(join(tmpdir(), "bcoopfs-mount-"));
  const home = join(path, "home");
  createVault(home, "box", 16 * 1024, system.random(32), system);
  const vault = await openVault(home, system, () => {});
  const end = async (): Promise<void> => {
    await vault.close();
    rmSync(path, { recursive: true, force: true });
  };
  return { path, home, vault, end };
}

/** Flip a bit in the first frame of every segment, or of the data segments only; gives how many there were. */
export function damage(home: string, onlyData = false): number {
  const folder = homeAt(home).segments;
  let damaged = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".seg")) continue;
    const bytes = readFileSync(join(folder, name));
    if (onlyData && decodeHeader(bytes).kind !== "data") continue;
    bytes.writeUInt8(bytes.readUInt8(headerBytes + 40) ^ 1, headerBytes + 40);
    writeFileSync(join(folder, name), bytes);
    damaged++;
  }
  return damaged;
}

/** A folder below the place. */
export function folderIn(place: Place, name: string): string {
  const path = join(place.path, name);
  mkdirSync(path, { recursive: true });
  return path;
}

/** Capture real folders; gives the revision's id. */
export async function capture(vault: Vault, name: string, ...roots: string[]): Promise<Buffer> {
  const job = {
    fileset: filesetId(name),
    name,
    roots: roots.map((root) => Buffer.from(root)),
    rules: compileRules({ roots }),
    oneFileSystem: false,
    rehash: false,
  };
  return (await snapshot(vault, job, {}, new AbortController().signal)).revision;
}

/** An entry as far as a test cares; `pieces` are chunks and, as numbers, holes. */
export interface Sketch extends Partial<Omit<Entry, "name" | "content" | "tree">> {
  readonly pieces?: readonly (Buffer | bigint)[];
  /** names in latin1: any byte */
  readonly below?: Readonly<Record<string, Sketch>>;
}

export interface SketchedRevision {
  readonly fileset?: string;
  readonly host?: string;
  readonly complete?: boolean;
}

/** Commit a sketched tree as a revision; gives its id. */
export async function sketch(vault: Vault, root: Sketch, options: SketchedRevision = {}): Promise<Buffer> {
  const session = vault.store.session(defaultClass);
  try {
    const filesetName = options.fileset ?? "docs";
    const none = { rootHint: undefined, names: undefined, report: undefined, fields: [] };
    const counts = { files: 0, folders: 0, others: 0, bytes: 0n, changedFiles: 0, newBytes: 0n, storedBytes: 0n };
    const body = {
      fileset: filesetId(filesetName),
      filesetName,
      host: options.host ?? vault.host,
      started: vault.system.now(),
      complete: options.complete ?? true,
      root: store(vault, session, "", { below: {}, ...root }),
      errors: 0,
      ...none,
      ...counts,
    };
    const secret = encodeRevision(body);
    const records = await session.commit(() => [{ type: "revision", clear: Buffer.alloc(0), secret }]);
    return records.at(-1)?.id as Buffer;
  } finally {
    session.close();
  }
}

function filesetId(name: string): Buffer {
  return derive("test fileset", Buffer.from(name)).subarray(0, 16);
}

function store(vault: Vault, session: Session, name: string, { pieces, below, ...given }: Sketch): Entry {
  const kind = given.kind ?? (below ? "folder" : "file");
  const content = pieces && contentOf(session, pieces);
  const mode = kind === "folder" ? 0o755 : 0o644;
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const plain = { flags: 0, mode, ...owner, mtimeNs: 1_500_000_000_123_456_789n, links: 1, group: 0n };
  const empty = { target: undefined, major: 0, minor: 0, errno: 0, xattrs: noXattrs, fields: [], tree: undefined };
  const base = { name: Buffer.from(name, "latin1"), kind, ...plain, size: content?.size ?? 0n, content, ...empty };
  const tree = below && treeOf(vault, session, below);
  return { ...base, tree, ...given };
}

function treeOf(vault: Vault, session: Session, below: Readonly<Record<string, Sketch>>): Entry["tree"] {
  const markKey = derive("tree mark", vault.store.keyring.constants.splitterKey);
  const builder = new TreeBuilder(markKey, (bytes) => session.put("tree", bytes).id);
  const entries = Object.entries(below).map(([name, entry]) => store(vault, session, name, entry));
  for (const entry of entries.sort((a, b) => Buffer.compare(a.name, b.name))) builder.add(entry);
  return builder.finish();
}

function contentOf(session: Session, pieces: readonly (Buffer | bigint)[]): ContentRef | undefined {
  const builder = new ContentBuilder((bytes) => session.put("list", bytes).id);
  for (const piece of pieces)
    if (typeof piece === "bigint") builder.hole(piece);
    else builder.chunk(session.put("data", piece).id, piece.length);
  return builder.finish();
}

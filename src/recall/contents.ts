/**
 * The contents of one file. Whatever stands under a file's name is whole and verified: short contents are in memory
 * before the name is made, longer ones are written under a name of ours and moved to their own when all is there.
 * @module
 */
import { closeSync } from "node:fs";
import { errnoOf } from "../base/errors.js";
import { native } from "../base/native.js";
import type { Entry } from "../format/entry.js";
import type { View } from "../vault/view.js";
import { type Held, type HeldFolders, statOf } from "./held.js";
import type { Pace } from "../base/pace.js";

export interface FileWriting {
  readonly view: View;
  readonly folders: HeldFolders;
  readonly pace: Pace;
  /** a name that nothing else in the tree has */
  readonly temporary: Buffer;
  /** bytes were written */
  wrote(bytes: number): void;
  /** sets owner, attributes, mode and time of the open file */
  finish(fd: number): Promise<void>;
}

/** Write one file into a held folder. Throws what `View` throws where contents cannot be had: then nothing is left. */
export async function writeFile(folder: Held, entry: Entry, to: FileWriting): Promise<void> {
  const { content } = entry;
  if (content !== undefined && content.level > 0) return writeLong(folder, entry, content, to);
  const bytes = content && (await to.view.piece({ offset: 0n, size: content.size, id: content.id }));
  const fd = native().createFile(to.folders.fd(folder), entry.name, 0o600);
  try {
    if (bytes) {
      native().pwrite(fd, bytes, 0n);
      to.wrote(bytes.length);
    }
    await to.finish(fd);
  } catch (error) {
    tryRemove(to.folders.fd(folder), entry.name);
    throw error;
  } finally {
    closeSync(fd);
  }
}

async function writeLong(
  folder: Held,
  entry: Entry,
  content: NonNullable<Entry["content"]>,
  to: FileWriting,
): Promise<void> {
  const { view, folders, pace, temporary } = to;
  if (content.size > mostBytes) throw refusal("EFBIG", "no file of Linux is that long");
  const fd = native().createFile(folders.fd(folder), temporary, 0o600);
  try {
    native().truncate(fd, content.size);
    for await (const piece of view.pieces(content)) {
      if (piece.id === undefined) continue;
      const bytes = await view.piece(piece);
      native().pwrite(fd, bytes, piece.offset);
      to.wrote(bytes.length);
      if (pace.due(0, bytes.length)) await pace.rest();
    }
    await to.finish(fd);
    refuseExisting(folders.fd(folder), entry.name);
    native().rename(folders.fd(folder), temporary, folders.fd(folder), entry.name);
  } catch (error) {
    tryRemove(folders.fd(folder), temporary);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Two names may be one to a file system that folds case: the second must not replace the first. */
function refuseExisting(at: number, name: Buffer): void {
  try {
    statOf(at, name);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw error;
  }
  throw refusal("EEXIST", "the file system takes the name of another entry for the same");
}

/** An error as the system throws it. */
function refusal(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}

/** The largest offset that the system knows. */
const mostBytes = (1n << 63n) - 1n;

function tryRemove(at: number, name: Buffer): void {
  try {
    native().remove(at, name, false);
  } catch {
    // What is left has a name of ours, or the error that brought us here says more.
  }
}

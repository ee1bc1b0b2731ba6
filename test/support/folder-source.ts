/** A Source made of a folder of objects: what peers have. It can lie, fall short, be slow, or not know. */
import { closeSync, mkdirSync, openSync, readdirSync, readSync, renameSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../src/base/errors.js";
import { realSystem } from "../../src/base/system.js";
import type { Home } from "../../src/store/home.js";
import type { ObjectId, Source } from "../../src/store/source.js";

export interface Asked {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
}

export class FolderSource implements Source {
  readonly #folder: string;
  /** every range that was asked for */
  readonly asked: Asked[] = [];
  /** how many names each question was for */
  readonly questions: number[] = [];
  flying = 0;
  mostFlying = 0;
  /** milliseconds that an answer takes */
  slow = 0;
  /** what comes instead of the true bytes of a range; undefined to let them be */
  lie: ((bytes: Buffer, asked: Asked) => Buffer | undefined) | undefined;
  /** names of objects that nobody has */
  readonly lost = new Set<string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async range({ name, length: whole }: ObjectId, offset: number, length: number): Promise<Buffer> {
    const hex = name.toString("hex");
    const asked = { name: hex, offset, length };
    this.asked.push(asked);
    this.mostFlying = Math.max(this.mostFlying, ++this.flying);
    try {
      if (this.slow > 0) await realSystem.sleep(this.slow);
      if (offset < 0 || length < 0 || offset + length > whole) throw new RangeError("expected a range of the object");
      if (this.lost.has(hex)) throw new Problem("missing", "nobody who can be reached has it");
      const bytes = this.#read(hex, offset, length);
      return this.lie?.(bytes, asked) ?? bytes;
    } finally {
      this.flying--;
    }
  }

  #read(hex: string, offset: number, length: number): Buffer {
    let fd: number;
    try {
      fd = openSync(join(this.#folder, hex), "r");
    } catch {
      throw new Problem("missing", "nobody who can be reached has it");
    }
    try {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
    } finally {
      closeSync(fd);
    }
  }

  async holds(names: readonly Buffer[]): Promise<boolean[]> {
    this.questions.push(names.length);
    const there = new Set(readdirSync(this.#folder));
    return names.map((name) => there.has(name.toString("hex")) && !this.lost.has(name.toString("hex")));
  }

  async close(): Promise<void> {}
}

/** Move all segment files of a home to a folder that stands for peers. */
export function moveSegments(home: Home, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const path of readdirSync(home.segments, { recursive: true, encoding: "utf8" }))
    if (path.endsWith(".seg"))
      renameSync(join(home.segments, path), join(folder, path.slice(path.lastIndexOf("/") + 1, -4)));
}

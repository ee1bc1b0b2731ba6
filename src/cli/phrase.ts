/**
 * The recovery phrase as it comes in: from a file, or typed at a terminal; never from the command line, where every
 * process could read it.
 * @module
 */
import { closeSync, openSync, readSync } from "node:fs";
import { createInterface } from "node:readline";
import { errnoOf, Problem, systemProblem } from "../base/errors.js";
import { entropyOf } from "../format/keys.js";
import type { Invocation } from "./invocation.js";

/** More than any phrase has. */
const mostBytes = 4096;

/** The 32 bytes behind the phrase. Problems: "phrase" where it fails its checksum, "usage" where there is none to read. */
export async function readPhrase(option: string | undefined, invocation: Invocation): Promise<Buffer> {
  const { env } = invocation;
  const file = option ?? (env.BCOOPFS_PHRASE_FILE || undefined);
  if (file === "") throw new Problem("usage", "--phrase-file is empty; name a file (is a variable not set?)");
  if (file !== undefined) return entropyOf(readStart(file));
  if (process.stdin.isTTY !== true)
    throw new Problem(
      "usage",
      "there is no terminal to ask for the recovery phrase; give --phrase-file F or set BCOOPFS_PHRASE_FILE",
    );
  return entropyOf(await ask(invocation));
}

function readStart(file: string): string {
  try {
    const fd = openSync(file, "r");
    try {
      const bytes = Buffer.alloc(mostBytes);
      return bytes.toString("utf8", 0, readSync(fd, bytes));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (errnoOf(error) === "ENOENT")
      throw new Problem("io", `cannot read the recovery phrase: there is no file ${file}`);
    throw systemProblem("cannot read the recovery phrase", error);
  }
}

/** Lines until there are 24 words, or an empty line after some. */
function ask({ output, stop }: Invocation): Promise<string> {
  output.note("The 24 words of the recovery phrase, on one line or several:");
  const lines = createInterface({ input: process.stdin, terminal: false });
  return new Promise((resolve, reject) => {
    const words: string[] = [];
    const interrupted = (): void => {
      reject(new Problem("interrupted", "interrupted; nothing was changed on this machine"));
      lines.close();
    };
    stop.addEventListener("abort", interrupted);
    lines.on("line", (line) => {
      const more = line.split(/\s+/).filter((word) => word !== "" && !/^\d+\.$/.test(word));
      words.push(...more);
      if (words.length >= 24 || (more.length === 0 && words.length > 0)) lines.close();
    });
    lines.on("close", () => {
      stop.removeEventListener("abort", interrupted);
      resolve(words.join(" "));
    });
  });
}

/**
 * Receives an object out of a file, as from a peer, into a store, until it is whole or this process is killed.
 * Arguments: home, the file. Says "busy", or "from <leaf>", then "leaf <next>" for each one written, then "done".
 */
import { readFileSync, writeSync } from "node:fs";
import { format } from "../../src/base/limits.js";
import { realSystem } from "../../src/base/system.js";
import { hashOf } from "../../src/format/hash.js";
import { homeAt } from "../../src/store/home.js";
import { Incoming } from "../../src/store/incoming.js";

const [home, path] = process.argv.slice(2) as [string, string];
const bytes = readFileSync(path);
const incoming = Incoming.begin(homeAt(home), realSystem, { name: hashOf(bytes), length: bytes.length });
const say = (line: string): void => void writeSync(1, `${line}\n`);
if (incoming === undefined) say("busy");
else {
  say(`from ${incoming.next}`);
  while (!incoming.isWhole) {
    const from = incoming.next * format.leafBytes;
    incoming.write(incoming.next, bytes.subarray(from, Math.min(bytes.length, from + format.leafBytes)));
    say(`leaf ${incoming.next}`);
    await realSystem.turn();
  }
  await incoming.finish();
  say("done");
}

/** Appends notes to a log, as one of several processes. Arguments: home, log, how many. Says "ready"; waits for a line. */
import { readSync, writeSync } from "node:fs";
import { homeAt } from "../../src/store/home.js";
import { LogFile } from "../../src/store/log.js";
import { appendNote } from "./store-notes.js";
import { keyringAt } from "./store-home.js";

const [home, path, count] = process.argv.slice(2) as [string, string, string];
const keyring = keyringAt(homeAt(home));
const log = LogFile.open(path);
writeSync(1, "ready\n");
readSync(0, Buffer.alloc(1));
for (let i = 0; i < Number(count); i++) appendNote(log, keyring, Buffer.from(`${process.pid} ${i}`));

/** Holds a home open until a line comes. Argument: home. Says "open" and what recovery said, in one line. */
import { readSync, writeSync } from "node:fs";
import { homeAt } from "../../src/store/home.js";
import { openStore } from "./store-home.js";

const said: string[] = [];
const store = await openStore(homeAt(process.argv[2] as string), said);
writeSync(1, `open ${said.join(" ")}\n`);
readSync(0, Buffer.alloc(1));
await store.close();

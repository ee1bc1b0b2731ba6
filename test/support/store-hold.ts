/** Holds a lock until it is killed. Argument: the file. Says "held" or "refused". */
import { writeSync } from "node:fs";
import { lockFile } from "../../src/store/lock.js";

const lock = lockFile(process.argv[2] as string, false);
writeSync(1, lock ? "held\n" : "refused\n");
if (lock) setInterval(() => {}, 1000);

/** Bootstrap nodes of their own process: node reach-bootstrap.js HOST PORT. Says "ready" and ends with SIGTERM. */
import { realSystem } from "../../src/base/system.js";
import { startBootstrap } from "../../src/swarm/reach.js";

const [host = "", port = ""] = process.argv.slice(2);
const bootstrap = await startBootstrap(host, Number(port), realSystem);
process.stdout.write(`ready ${bootstrap.addresses.join(",")}\n`);
process.on("SIGTERM", () => void bootstrap.close());

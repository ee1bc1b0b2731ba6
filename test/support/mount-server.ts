/**
 * Stands in for `bcoopfs mount` in tests: HOME DIR [--foreground] [--allow-other] [--timeout MS]. A mount is never served by the
 * process that looks at it.
 */
import { exitCodeOf, Problem } from "../../src/base/errors.js";
import { realSystem } from "../../src/base/system.js";
import { logOf } from "../../src/vault/text-log.js";
import { checkMountpoint } from "../../src/mount/mount.js";
import { asServer, serveUntilEnd, spawnServer } from "../../src/mount/server.js";
import { homeAt } from "../../src/store/home.js";
import { openVault } from "../../src/vault/vault.js";

const [home = "", folder = "", ...options] = process.argv.slice(2);
const roots = process.env.TEST_ROOTS?.split(":") ?? [];

async function foreground(): Promise<void> {
  const vault = await openVault(home, realSystem, (line) => process.stderr.write(`${line}\n`));
  const point = await checkMountpoint(folder, home, roots);
  const allowOther = options.includes("--allow-other");
  await serveUntilEnd(
    vault,
    point,
    { allowOther },
    async () => {},
    () => process.stdout.write("ready\n"),
  );
}

try {
  if (options.includes("--foreground")) await asServer(foreground);
  else await spawnServer([home, folder, "--foreground", ...options], logOf(homeAt(home), "mount"));
} catch (error) {
  process.stderr.write(`${error instanceof Problem ? error.message : (error as Error).stack}\n`);
  process.exitCode = error instanceof Problem ? exitCodeOf(error.code) : 70;
}

/**
 * How others are met, as words say it: options first, then the environment, then config.toml, then the public DHT.
 * @module
 */
import { format } from "../base/limits.js";
import { Problem } from "../base/errors.js";
import { checkAddress } from "../base/units.js";
import type { ReachOptions } from "../swarm/reach.js";
import type { CoopConfig } from "../vault/config.js";

/** Bootstrap nodes that were given by option or environment; undefined where none were. */
export function givenBootstrap(option: readonly string[] | undefined, env: NodeJS.ProcessEnv): string[] | undefined {
  const fromEnv = env.BCOOPFS_BOOTSTRAP?.split(/[\s,]+/).filter((word) => word !== "");
  const [what, words] = option !== undefined ? ["--bootstrap", option] : ["$BCOOPFS_BOOTSTRAP", fromEnv];
  if (words === undefined || words.length === 0) return undefined;
  const nodes = [...new Set(words.flatMap((word) => word.split(",")).map((word) => checkAddress(what, word)))];
  if (nodes.length > format.bootstrapEntries)
    throw new Problem("usage", `${what} names ${nodes.length} nodes; ${format.bootstrapEntries} at most are used`);
  return nodes;
}

/** What a command that speaks with others goes by. */
export function reachOf(config: CoopConfig, env: NodeJS.ProcessEnv): ReachOptions {
  return { bootstrap: givenBootstrap(undefined, env) ?? config.bootstrap, listen: config.listen };
}

/** For people: where others are looked for. */
export function describeBootstrap(bootstrap: readonly string[] | undefined): string {
  return bootstrap === undefined ? "the public DHT" : `bootstrap nodes ${bootstrap.join(", ")}`;
}

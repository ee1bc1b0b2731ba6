/**
 * The mark of a process that has a home open: shared among all, exclusive for whoever makes the index again.
 * @module
 */
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { Problem, systemProblem } from "../base/errors.js";
import { native } from "../base/native.js";
import type { System } from "../base/system.js";
import type { Home } from "./home.js";

/** Between two looks whether somebody is still alone in the home. */
const waitMs = 20;

/** Held from opening to closing; goes with the process. */
export class Use {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Alone where nobody else is there, else shared; waits, letting others have their turn, while somebody is alone. */
  static async begin(home: Home, system: System): Promise<Use> {
    if (!existsSync(home.store))
      throw new Problem("no-vault", `no vault in ${home.path}; make one with "bcoopfs init"`);
    try {
      const use = new Use(openSync(join(home.path, "lock"), "a+", 0o600));
      while (!use.tryExclusive() && !native().lock(use.#fd, false, false)) await system.sleep(waitMs);
      return use;
    } catch (error) {
      throw systemProblem(`cannot open ${home.path}`, error);
    }
  }

  tryExclusive(): boolean {
    return native().lock(this.#fd, true, false);
  }

  /** @param why nobody else may be here: the beginning of what is said where somebody is */
  exclusive(why = "the index has to be made again"): void {
    if (!this.tryExclusive())
      throw new Problem(
        "busy",
        `${why}, but another bcoopfs process uses this home; stop it (umount) and run this again`,
      );
  }

  shared(): void {
    native().lock(this.#fd, false, true);
  }

  end(): void {
    native().unlock(this.#fd);
    closeSync(this.#fd);
  }
}

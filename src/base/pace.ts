/**
 * Long work in small steps: after so many steps or bytes everything else in the process has its turn, so that signals
 * are heard and progress is drawn.
 * @module
 */
import { Problem } from "./errors.js";
import type { System } from "./system.js";

const stepsPerTurn = 100;
const bytesPerTurn = 512 * 1024;

export class Pace {
  readonly #system: System;
  readonly #signal: AbortSignal | undefined;
  readonly #each: () => void;
  #steps = 0;
  #bytes = 0;

  /** @param each is called at every rest */
  constructor(system: System, signal: AbortSignal | undefined, each: () => void) {
    this.#system = system;
    this.#signal = signal;
    this.#each = each;
  }

  /** Count work done; true when it is time to `rest`. */
  due(steps: number, bytes = 0): boolean {
    this.#steps += steps;
    this.#bytes += bytes;
    return this.#steps >= stepsPerTurn || this.#bytes >= bytesPerTurn;
  }

  /** Let others have their turn. Problem("interrupted") where the work was called off. */
  async rest(): Promise<void> {
    this.#steps = 0;
    this.#bytes = 0;
    this.#each();
    await this.#system.turn();
    if (this.#signal?.aborted) throw new Problem("interrupted", "interrupted");
  }
}

/**
 * Room on this disk. While it is full nothing is taken from peers, and what is here is served; after a while taking is
 * tried again. Said once each way.
 * @module
 */
import { Problem } from "../base/errors.js";
import { swarm } from "../base/limits.js";
import type { System } from "../base/system.js";

export class Space {
  readonly #system: System;
  readonly #told: (full: boolean) => void;
  readonly #again: () => void;
  #full = false;
  #paused = false;
  #cancel: () => void = () => {};

  /** @param told called when the disk is found full, and when something was written again; @param again take again */
  constructor(system: System, told: (full: boolean) => void, again: () => void) {
    this.#system = system;
    this.#told = told;
    this.#again = again;
  }

  /** Nothing is to be taken now. */
  get paused(): boolean {
    return this.#paused;
  }

  get full(): boolean {
    return this.#full;
  }

  /** Is this error a full disk? Then pause. */
  isFull(error: unknown): boolean {
    if (!(error instanceof Problem && error.code === "no-space")) return false;
    if (!this.#full) this.#told(true);
    this.#full = true;
    this.#paused = true;
    this.#cancel();
    this.#cancel = this.#system.after(swarm.fullDiskSeconds * 1000, () => {
      this.#paused = false;
      this.#again();
    });
    return true;
  }

  /** Something was written: there is room again. */
  wrote(): void {
    if (!this.#full) return;
    this.#full = false;
    this.#told(false);
  }

  close(): void {
    this.#cancel();
    this.#paused = true;
  }
}

/**
 * What came tells where chunks are: the tables of new metadata segments are taken into the index, in the background, one
 * run at a time.
 * @module
 */
import type { Room } from "./room.js";

export class Learning {
  readonly #room: Room;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  /** something came since the run began */
  #again = false;

  constructor(room: Room) {
    this.#room = room;
  }

  /** Something came. */
  begin(): void {
    this.#again = true;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    const { store, system, space } = this.#room;
    try {
      while (this.#again && !this.#stop.signal.aborted) {
        this.#again = false;
        await system.turn();
        await store.reader.learnTables(this.#stop.signal);
      }
    } catch (error) {
      if (!this.#stop.signal.aborted && !space.isFull(error))
        this.#room.say(`the index is behind: ${error instanceof Error ? error.message : error}`);
    } finally {
      this.#running = undefined;
    }
  }

  /** Resolves when nothing of it runs any more. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}

/**
 * Where this process meets others: joined and left as keys and vaults come and go.
 * @module
 */
import { toHex } from "../base/bytes.js";
import type { Joining, Network } from "./network.js";

export interface Topic extends Joining {
  readonly topic: Buffer;
}

export class Topics {
  readonly #network: Network;
  readonly #joined = new Map<string, Topic>();

  constructor(network: Network) {
    this.#network = network;
  }

  /** Be at these and no others. Of two ways to be at one topic the later counts. */
  set(wanted: readonly Topic[]): void {
    const next = new Map(wanted.map((topic) => [toHex(topic.topic), topic]));
    for (const [hex, { topic }] of [...this.#joined]) {
      if (next.has(hex)) continue;
      this.#joined.delete(hex);
      this.#network.leave(topic);
    }
    for (const [hex, topic] of next) {
      if (this.#joined.has(hex)) continue;
      this.#joined.set(hex, topic);
      this.#network.join(topic.topic, { announce: topic.announce, lookup: topic.lookup });
    }
  }
}

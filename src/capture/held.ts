/**
 * Is the content of an unchanged file still stored? One look into the catalogue tells it for each file. Only when a
 * segment is known to be lost, or placed worse than wanted, are all chunks of a file looked up.
 * @module
 */
import type { ContentRef } from "../format/entry.js";
import type { PlacementClass } from "../format/listing.js";
import type { Session } from "../store/session.js";
import type { Store } from "../store/store.js";
import { isLoss, type View } from "../vault/view.js";

export class HeldContents {
  readonly #session: Session;
  readonly #previous: View | undefined;
  readonly #whole: boolean;

  /** @param previous through which lists are read */
  constructor(store: Store, session: Session, wanted: PlacementClass, previous: View | undefined) {
    this.#session = session;
    this.#previous = previous;
    this.#whole = previous === undefined || store.holdsAll(wanted);
  }

  /** A promise only where lists must be read. */
  has(content: ContentRef): boolean | Promise<boolean> {
    if (!this.#session.has(content.id)) return false;
    return this.#whole || content.level === 0 || this.#hasAll(content);
  }

  async #hasAll(content: ContentRef): Promise<boolean> {
    try {
      for await (const { id } of (this.#previous as View).pieces(content))
        if (id !== undefined && !this.#session.has(id)) return false;
      return true;
    } catch (error) {
      if (!isLoss(error)) throw error;
      return false;
    }
  }
}

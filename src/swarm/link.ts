/**
 * One link: two channels on one encrypted stream. The *door* carries the knock and what admission needs, the *room* all
 * else, and opens only when both sides have called `openRoom`. Whatever goes wrong on a link, here or over there, ends
 * this link and nothing else.
 * @module
 */
import Protomux from "protomux";
import type { System } from "../base/system.js";
import type { Connection } from "./network.js";

/** What the owner does with what comes. Bytes up to 4 KiB are the handler's own; longer ones are a view: copy what you keep. */
export interface LinkHandlers {
  onKnock(knock: Buffer): void;
  onDoor(message: Buffer): void;
  /** both sides have called `openRoom` */
  onRoomOpen(): void;
  onRoom(message: Buffer): void;
  /** after `sendRoom` gave false: there is room again */
  onDrain(): void;
  /** once, when the stream is gone; why, in one line, where it was not a polite end */
  onClose(reason: string | undefined): void;
}

export class Link {
  readonly connection: Connection;
  /** resolves when the stream is gone */
  readonly closed: Promise<void>;

  private constructor(connection: Connection) {
    this.connection = connection;
    this.closed = Promise.resolve();
  }

  /** Take a connection and knock. @param knock at most 4 KiB */
  static attach(connection: Connection, knock: Buffer, handlers: LinkHandlers, system: System): Link {
    new Protomux(connection.stream);
    throw new Error(`not written yet: ${knock.length} ${typeof handlers} ${typeof system}`);
  }

  /** neither closed nor closing */
  get open(): boolean {
    return false;
  }

  sendDoor(_message: Buffer): void {}

  /** We admit the other side. The room is open, and `onRoomOpen` called, when it has done the same. */
  openRoom(): void {}

  /** False when about 1 MiB waits to be sent: `onDrain` follows. The message is sent in any case. */
  sendRoom(_message: Buffer): boolean {
    return true;
  }

  /** End it politely within a second. */
  close(_reason?: string): void {}

  /** Close the link after `ms` unless the result is called before: the time that knock and admission may take. */
  closeAfter(_ms: number, _reason: string): () => void {
    return () => {};
  }
}

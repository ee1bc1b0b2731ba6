/**
 * One link: two channels of Protomux on one encrypted stream. The *door* carries the knock and what admission needs. The
 * *room* carries all else, and opens only when both sides have called `openRoom`; a message in it before that, and any
 * other protocol, ends the link.
 *
 * Whatever goes wrong on a link, here or over there, ends this link and nothing else: what a handler throws, of whatever
 * kind, never reaches Protomux (which would end the process for a TypeError), and neither does a frame of a shape that
 * `envelope` does not know. A peer that has died is noticed by the stream itself, whose keep-alive of 5 s gives an error
 * after about 15 s of silence: a link needs no ping of its own.
 * @module
 */
import Protomux, { type Channel, type Encoding, type Message } from "protomux";
import { Problem } from "../base/errors.js";
import { wire } from "../base/limits.js";
import type { System } from "../base/system.js";
import { doorProtocol, kindOf, roomProtocol } from "./envelope.js";
import type { Connection } from "./network.js";

/**
 * What the owner does with what comes. Bytes up to 4 KiB are the handler's own; longer ones are a view of what was
 * received: copy what you keep. Whatever a handler throws ends the link. None is called after `onClose`, and only it after
 * `close`.
 */
export interface LinkHandlers {
  onKnock(knock: Buffer): void;
  onDoor(message: Buffer): void;
  /** Both sides have called `openRoom`; from within it, where the other side was first. */
  onRoomOpen(): void;
  onRoom(message: Buffer): void;
  /** After `sendRoom` gave false: there is room again. */
  onDrain(): void;
  /** Once, when the stream is gone; why, in one line, where it was not a polite end. */
  onClose(reason: string | undefined): void;
}

/** bytes that may wait to be sent before `sendRoom` says so; more than a stream's own mark, which one message reaches */
const unsentBytes = 1024 * 1024;
/** how long a polite end may take */
const politeMs = 1000;
const ownedBytes = 4096;

/** Bytes as they are: what they mean is for `format/message` to say. */
const bytes: Encoding<Buffer> = {
  preencode(state, value) {
    state.end += value.length;
  },
  encode(state, value) {
    state.buffer.set(value, state.start);
    state.start += value.length;
  },
  decode(state) {
    const value = state.buffer.subarray(state.start, state.end);
    state.start = state.end;
    // A key of 32 bytes, kept, would keep all that came with it.
    return value.length <= ownedBytes ? Buffer.from(value) : value;
  },
};

export class Link {
  readonly connection: Connection;
  /** resolves when the stream is gone */
  readonly closed: Promise<void>;
  readonly #handlers: LinkHandlers;
  readonly #system: System;
  readonly #mux: Protomux;
  readonly #timers = new Set<() => void>();
  #door: Channel | undefined;
  #toDoor: Message<Buffer> | undefined;
  #room: Channel | undefined;
  #toRoom: Message<Buffer> | undefined;
  #feed: (frame: Buffer) => void = () => {};
  /** the other side has opened its end */
  #doorOpened = false;
  #roomOpened = false;
  /** its opening of the room, until we admit it too */
  #heldOpening: Buffer | undefined;
  #unsent = 0;
  #waiting = false;
  #over = false;
  #reason: string | undefined;
  #failure: unknown;

  private constructor(connection: Connection, handlers: LinkHandlers, system: System) {
    this.connection = connection;
    this.#handlers = handlers;
    this.#system = system;
    const { stream } = connection;
    this.closed = new Promise((resolve) => {
      const gone = (): void => {
        this.#gone();
        resolve();
      };
      if (stream.destroyed) queueMicrotask(gone);
      else stream.on("close", gone);
    });
    stream.on("error", (error) => this.#fail(error, wordsOfStream(error)));
    stream.on("end", () => this.close());
    stream.on("data", (frame) => this.#receive(frame));
    this.#mux = new Protomux(this.#streamOfMux());
  }

  /**
   * Take a connection and knock. Time is the owner's to limit: see `closeAfter`.
   * @param knock at most 4 KiB
   */
  static attach(connection: Connection, knock: Buffer, handlers: LinkHandlers, system: System): Link {
    checkLength(knock, wire.knockBytes);
    const link = new Link(connection, handlers, system);
    link.#knock(knock);
    return link;
  }

  /** neither closed nor closing */
  get open(): boolean {
    return !this.#over;
  }

  /** both sides have called `openRoom` */
  get roomOpen(): boolean {
    return this.#roomOpened && !this.#over;
  }

  /** what a handler threw, for those who look for bugs of ours */
  get failure(): unknown {
    return this.#failure;
  }

  sendDoor(message: Buffer): void {
    checkLength(message, wire.messageBytes);
    if (!this.#over) this.#guard(() => this.#toDoor?.send(message));
  }

  /** We admit the other side. The room is open, and `onRoomOpen` called, when it has done the same. */
  openRoom(): void {
    if (this.#over || this.#room) return;
    this.#guard(() => {
      const room = this.#channel({ protocol: roomProtocol, onopen: () => this.#enterRoom() });
      this.#room = room;
      this.#toRoom = room.addMessage({ encoding: bytes, onmessage: (message) => this.#tell("onRoom", message) });
      room.open();
      const held = this.#heldOpening;
      this.#heldOpening = undefined;
      if (held) this.#feed(held);
    });
  }

  /** False when about 1 MiB waits to be sent: `onDrain` follows. The message is sent in any case. */
  sendRoom(message: Buffer): boolean {
    checkLength(message, wire.messageBytes);
    if (this.#over) return true;
    if (!this.#roomOpened) throw new Error("the room is not open");
    this.#guard(() => this.#toRoom?.send(message));
    this.#unsent = this.#mux.drained ? 0 : this.#unsent + message.length;
    if (this.#unsent >= unsentBytes) this.#waiting = true;
    return !this.#waiting;
  }

  /** End it politely: what was sent still goes out, within a second. @param reason for `onClose` here; it is not sent */
  close(reason?: string): void {
    if (this.#over) return;
    this.#end(reason);
    const { stream } = this.connection;
    try {
      this.#room?.close();
      this.#door?.close();
      stream.end();
    } catch {
      stream.destroy();
    }
    this.#timers.add(this.#system.after(politeMs, () => stream.destroy()));
  }

  /** Close the link after `ms` unless the result is called before: the time that knock and admission may take. */
  closeAfter(ms: number, reason: string): () => void {
    if (this.#over) return () => {};
    const cancel = this.#system.after(ms, () => this.close(reason));
    this.#timers.add(cancel);
    return () => {
      cancel();
      this.#timers.delete(cancel);
    };
  }

  #knock(knock: Buffer): void {
    this.#guard(() => {
      const door = this.#channel({
        protocol: doorProtocol,
        handshake: bytes,
        onopen: (theirs) => this.#tell("onKnock", theirs),
        ondrain: () => this.#drained(),
      });
      this.#door = door;
      this.#toDoor = door.addMessage({ encoding: bytes, onmessage: (message) => this.#tell("onDoor", message) });
      door.open(knock);
    });
  }

  #channel(options: Parameters<Protomux["createChannel"]>[0]): Channel {
    const channel = this.#mux.createChannel({ ...options, onclose: () => this.close() });
    if (!channel) throw new Problem("io", "the connection is gone");
    return channel;
  }

  /** One frame from the other side, on its way to Protomux if it may come now. */
  #receive(frame: Buffer): void {
    if (this.#over || frame.length === 0) return;
    const kind = kindOf(frame);
    const inOrder =
      kind === "openDoor"
        ? !this.#doorOpened
        : kind === "room"
          ? this.#roomOpened
          : kind === "openRoom"
            ? this.#doorOpened && !this.#roomOpened && !this.#heldOpening
            : kind !== undefined && this.#doorOpened;
    if (!inOrder) {
      this.#fail(undefined, "the other side broke the protocol");
      return;
    }
    if (kind === "openDoor") this.#doorOpened = true;
    if (kind === "openRoom" && !this.#room) this.#heldOpening = Buffer.from(frame);
    else this.#guard(() => this.#feed(frame));
  }

  #enterRoom(): void {
    this.#roomOpened = true;
    this.#tell("onRoomOpen");
  }

  #drained(): void {
    this.#unsent = 0;
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#tell("onDrain");
  }

  #tell(name: "onRoomOpen" | "onDrain"): void;
  #tell(name: "onKnock" | "onDoor" | "onRoom", message: Buffer): void;
  #tell(name: Exclude<keyof LinkHandlers, "onClose">, message?: Buffer): void {
    if (!this.#over) this.#guard(() => this.#handlers[name](message as Buffer));
  }

  /** Nothing thrown gets out, nor what a promise that somebody gives back is rejected with. */
  #guard(work: () => unknown): void {
    try {
      const result = work();
      if (result instanceof Promise) result.catch((error: unknown) => this.#fail(error, wordsOf(error)));
    } catch (error) {
      this.#fail(error, wordsOf(error));
    }
  }

  /** The end at once: nothing more is sent. */
  #fail(error: unknown, reason: string | undefined): void {
    this.#failure ??= error;
    if (!this.#over) this.#end(reason);
    this.connection.stream.destroy();
  }

  #end(reason: string | undefined): void {
    this.#over = true;
    this.#reason = reason;
    this.#heldOpening = undefined;
    this.#cancelTimers();
  }

  #gone(): void {
    if (!this.#over) this.#end(undefined);
    this.#cancelTimers();
    this.#guard(() => this.#handlers.onClose(this.#reason));
  }

  #cancelTimers(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  /** What Protomux sees of the stream: only the frames that `#receive` lets through. */
  #streamOfMux(): unknown {
    const { stream } = this.connection;
    const seen = {
      userData: null,
      get destroyed() {
        return stream.destroyed;
      },
      on: (event: string, handler: (frame: Buffer) => void) => {
        if (event === "data") this.#feed = handler;
        else if (event === "drain" || event === "close") stream.on(event, handler as () => void);
        return seen;
      },
      emit: () => false,
      write: (frame: Buffer) => stream.write(frame),
      pause: () => stream.pause(),
      resume: () => stream.resume(),
      end: () => stream.end(),
      destroy: (error: unknown) => this.#fail(error, error === undefined ? undefined : wordsOf(error)),
      ...(stream.alloc && { alloc: (length: number) => stream.alloc?.(length) }),
    };
    return seen;
  }
}

function checkLength(message: Buffer, most: number): void {
  if (message.length > most) throw new RangeError(`expected at most ${most} bytes, got ${message.length}`);
}

function wordsOf(error: unknown): string {
  if (error instanceof Problem) return error.message;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** What a stream's error means to somebody who reads of it; nothing for one that means nothing. */
function wordsOfStream(error: Error & { code?: string }): string | undefined {
  if (error.code === "ECONNRESET") return "the other side went away";
  if (error.code === "ETIMEDOUT") return "the other side does not answer any more";
  // Both sides dialled at once: the other connection stays.
  return error.message === "Duplicate connection" ? undefined : wordsOf(error);
}

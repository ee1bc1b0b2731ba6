/**
 * What the swarm needs of a network, and no more: meet others under a topic, and speak with each over a stream that is
 * encrypted, authenticated by a key of its own, and keeps messages whole. `reach.ts` gives the real one; a simulation
 * gives one in memory, and nothing above can tell them apart.
 * @module
 */

/** A stream of whole messages, as Protomux takes it: one `write`, one `data` on the other side. */
export interface FramedStream {
  userData: unknown;
  readonly destroyed: boolean;
  /** a buffer to fill and `write` as it is, which saves a copy where the stream seals in place */
  alloc?(length: number): Buffer;
  /** false when more than a little waits to be sent; "drain" follows */
  write(message: Buffer): boolean;
  pause(): void;
  resume(): void;
  end(): void;
  destroy(error?: Error): void;
  on(event: "data", handler: (message: Buffer) => void): this;
  on(event: "drain" | "end" | "close", handler: () => void): this;
  on(event: "error", handler: (error: Error) => void): this;
}

/** One encrypted stream to somebody; who that is, is for `admission` to find out. */
export interface Connection {
  /** we dialled */
  readonly initiator: boolean;
  /** Noise static keys of this connection; ours is fresh for each process */
  readonly localKey: Buffer;
  readonly remoteKey: Buffer;
  /** the same on both sides and on no other connection: what proofs are bound to */
  readonly handshakeHash: Buffer;
  readonly stream: FramedStream;
}

/** How a topic is joined. */
export interface Joining {
  /** be found there by others */
  readonly announce: boolean;
  /** find others there */
  readonly lookup: boolean;
}

export interface Network {
  join(topic: Buffer, how: Joining): void;
  leave(topic: Buffer): void;
  /** Called for each connection, dialled or taken. One handler; set it before the first `join`. */
  onConnection(handler: (connection: Connection) => void): void;
  /** Do not speak with this key again for some minutes: it was refused, and would only be refused again. */
  avoid(remoteKey: Buffer): void;
  /** Look at all topics again, now. */
  refresh(): void;
  /** End all connections and wait until nothing of it runs any more. */
  close(): Promise<void>;
}

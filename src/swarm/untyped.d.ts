/** What is used of the packages that bring no types, and no more. */

declare module "hyperdht" {
  import type { EventEmitter } from "node:events";

  export interface KeyPair {
    readonly publicKey: Buffer;
    readonly secretKey: Buffer;
  }

  export interface HyperDHTOptions {
    readonly bootstrap?: readonly string[];
    readonly host?: string;
    /** one port, or a range without its end; [0, 0] is any free one */
    readonly port?: number | readonly [number, number];
    readonly anyPort?: boolean;
    readonly ephemeral?: boolean;
    readonly firewalled?: boolean;
  }

  export default class HyperDHT extends EventEmitter {
    constructor(options?: HyperDHTOptions);
    static bootstrapper(port: number, host: string, options?: HyperDHTOptions): HyperDHT;
    static keyPair(seed: Buffer): KeyPair;
    readonly io: { readonly networkInterfaces: { destroy(): Promise<void> } };
    bind(): Promise<void>;
    fullyBootstrapped(): Promise<void>;
    toArray(): { readonly host: string; readonly port: number }[];
    destroy(options?: { readonly force?: boolean }): Promise<void>;
  }
}

declare module "hyperswarm" {
  import type { EventEmitter } from "node:events";

  export interface PeerInfo {
    readonly publicKey: Buffer;
    ban(banned: boolean): void;
  }

  export interface HyperswarmOptions {
    /** a HyperDHT */
    readonly dht: object;
    readonly keyPair: { readonly publicKey: Buffer; readonly secretKey: Buffer };
    readonly maxPeers?: number;
    readonly maxParallel?: number;
    /** true refuses; the payload is null for one that is to be dialled */
    readonly firewall?: (remotePublicKey: Buffer, payload: object | null) => boolean;
    readonly backoffs?: readonly [number, number, number, number];
    readonly jitter?: number;
  }

  export interface Session {
    refresh(how: { readonly client: boolean; readonly server: boolean }): Promise<boolean>;
  }

  export default class Hyperswarm extends EventEmitter {
    constructor(options: HyperswarmOptions);
    readonly peers: Map<string, PeerInfo>;
    readonly server: { _clearAll(): void };
    /** those that are still being dialled, too */
    readonly _allConnections: Iterable<{ destroy(): void }>;
    join(topic: Buffer, how: { readonly client: boolean; readonly server: boolean }): Session;
    leave(topic: Buffer): Promise<void>;
    /** leaves all topics */
    clear(): Promise<unknown>;
    destroy(options?: { readonly force?: boolean }): Promise<void>;
  }
}

declare module "protomux" {
  export interface State {
    buffer: Buffer;
    start: number;
    end: number;
  }

  export interface Encoding<T> {
    preencode(state: State, value: T): void;
    encode(state: State, value: T): void;
    decode(state: State): T;
  }

  export interface Message<T> {
    send(value: T): boolean;
  }

  export interface Channel {
    readonly opened: boolean;
    readonly closed: boolean;
    addMessage<T>(options: { encoding: Encoding<T>; onmessage: (value: T) => void; autoBatch?: boolean }): Message<T>;
    open(handshake?: Buffer): void;
    close(): void;
  }

  export interface ChannelOptions {
    readonly protocol: string;
    readonly handshake?: Encoding<Buffer>;
    readonly onopen?: (handshake: Buffer) => void;
    readonly onclose?: () => void;
    readonly ondrain?: () => void;
  }

  export default class Protomux {
    constructor(stream: unknown);
    readonly drained: boolean;
    pair(which: { readonly protocol: string }, notify: () => Promise<void>): void;
    createChannel(options: ChannelOptions): Channel | null;
  }
}

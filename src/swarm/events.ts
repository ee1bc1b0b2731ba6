/**
 * What the swarm tells of itself, as data: only `cli` makes words of it. Events come in the order in which things
 * happened; none is needed for anything to work.
 * @module
 */

/** One thing that happened. Keys, names and ids are the bytes themselves. */
export type PeerEvent =
  /** a device was admitted; `keeps`: it holds what it is given; `recovering`: the vault that it may see, and no other */
  | {
      readonly type: "peer-up";
      readonly device: Buffer;
      readonly vault: Buffer | undefined;
      readonly keeps: boolean;
      readonly recovering: Buffer | undefined;
    }
  | { readonly type: "peer-down"; readonly device: Buffer; readonly why: string | undefined }
  /** a link ended before both sides had admitted each other; `device` where it was told; `judged`: by one who could have let it in */
  | {
      readonly type: "refused";
      readonly device: Buffer | undefined;
      readonly by: "us" | "them";
      readonly why: string;
      readonly judged: boolean;
    }
  /** a device broke the protocol or sent wrong bytes; its link is cut and it is kept out for `seconds` */
  | { readonly type: "misbehaved"; readonly device: Buffer; readonly why: string; readonly seconds: number }
  /** a log reaches further than before, its own commits included */
  | {
      readonly type: "log-grown";
      readonly vault: Buffer;
      readonly log: Buffer;
      readonly device: Buffer;
      readonly seq: bigint;
    }
  | { readonly type: "object-arrived"; readonly name: Buffer; readonly length: number; readonly kind: number }
  /** a part of a capsule was taken from a peer; a root part has no device */
  | { readonly type: "part-arrived"; readonly vault: Buffer; readonly device: Buffer | undefined }
  /** the state of the coop changed: members, labels, epochs */
  | { readonly type: "coop-changed" }
  /** bytes of objects so far, since the start; at most twice a second */
  | { readonly type: "traffic"; readonly received: number; readonly sent: number }
  /** a peer has signed that it holds this many more of a log's objects */
  | { readonly type: "receipt"; readonly device: Buffer; readonly log: Buffer; readonly names: number }
  /** two valid records at one place of a log: it is frozen. `own`: this device goes on in a new log */
  | { readonly type: "fork"; readonly log: Buffer; readonly device: Buffer; readonly own: boolean }
  /** peers knew more of this device's log than this home: it was fetched, and the device goes on in a new log */
  | { readonly type: "own-log-ahead"; readonly log: Buffer; readonly records: number }
  /** a log of this device that this home does not know */
  | { readonly type: "other-installation"; readonly log: Buffer }
  /** nothing is taken for a while; what is here is served */
  | { readonly type: "disk-full" }
  | { readonly type: "disk-free" };

export type OnPeerEvent = (event: PeerEvent) => void;

/**
 * Members of a simulated world that mean harm, and strangers who know where it meets. Each is admitted as far as its keys
 * go, and then does what it is for; whatever comes of it, the others must come to the same without it.
 */
import { format, wire } from "../../src/base/limits.js";
import { noFields } from "../../src/format/fields.js";
import { encodeRelease } from "../../src/format/listing.js";
import type { Head, RoomMessage } from "../../src/format/message.js";
import { encodeReceipt, signReceipt } from "../../src/format/receipt.js";
import { decodeRecord, type LogRecord, recordTypes, sealRecord } from "../../src/format/record.js";
import type { Keyring } from "../../src/store/keyring.js";
import { Link } from "../../src/swarm/link.js";
import type { Network } from "../../src/swarm/network.js";
import { Impostor } from "../swarm/given.js";
import type { Device } from "./world-device.js";
import type { World } from "./world.js";

type Say = (message: RoomMessage) => void;

/** Somebody who does harm until it is ended. */
export interface Foe {
  /** what it was told in rooms, by those who admitted it */
  readonly heard: readonly unknown[];
  end(): Promise<void>;
}

/** It holds whatever it is asked for, and gives other bytes. */
export function liar(device: Device): Foe {
  const { world } = device;
  const impostor = enter(device, device.name);
  impostor.onMessage = (message, say) => {
    if (message.type === "heads") say({ type: "heads", heads: message.heads, more: false });
    else if (message.type === "parts")
      say({ type: "parts", parts: message.parts.map((part) => ({ ...part, version: part.version + 1n })) });
    else if (message.type === "askPart") say({ ...message, type: "part", bytes: world.clock.bytes(300) });
    else if (message.type === "askRecords") say({ type: "records", log: message.log, records: [] });
    else if (message.type === "askHeld")
      say({ type: "held", request: message.request, bits: allOf(message.names.length) });
    else if (message.type === "askLeaves") {
      const { request, first, count, length } = message;
      const bytes = Math.min(length, (first + count) * format.leafBytes) - first * format.leafBytes;
      // Now and then it says nothing at all, which costs more than a lie.
      if (world.chance(0.7))
        say({ type: "leaves", request, first, proof: [world.clock.bytes(32)], bytes: world.clock.bytes(bytes) });
    }
  };
  return { heard: impostor.heard, end: () => world.clock.settled(impostor.network.close()) };
}

function allOf(count: number): Buffer {
  const bits = Buffer.alloc(Math.ceil(count / 8));
  for (let i = 0; i < count; i++) bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
  return bits;
}

/** It says whatever is not its to say. */
export function babbler(device: Device): Foe {
  const { world } = device;
  const impostor = enter(device, device.name);
  const random = (length: number): Buffer => world.clock.bytes(length);
  /** heads of others, as they were told */
  const heads: Head[] = [];
  const forged = (head: Head, from: bigint): Buffer[] => {
    const keyring = { ...device.vault.store.keyring, vault: head.scope };
    const before = { log: head.log, seq: from - 1n, id: random(32), time: device.system.now() };
    return recordsBehind(keyring, before, 2, random).map(({ bytes }) => bytes);
  };
  const sayings: ((head: Head, say: Say) => void)[] = [
    (_, say) => impostorBytes(impostor, random(1 + world.below(200)), say),
    ({ log }, say) => say({ type: "records", log, records: [] }),
    (head, say) => say({ type: "heads", heads: [{ ...head, scope: device.vault.id }], more: false }),
    (head, say) => say({ type: "heads", heads: [{ ...head, seq: head.seq + 3n, id: random(32) }], more: true }),
    (head, say) => say({ type: "heads", heads: [{ ...head, frozen: true, id: random(32) }], more: false }),
    (head, say) => say({ type: "heads", heads: [{ ...head, log: random(32), id: random(32) }], more: false }),
    (head, say) => say({ type: "fork", log: head.log, record: forged(head, head.seq + 1n)[0] as Buffer }),
    ({ log }, say) => say({ type: "fork", log, record: random(400) }),
    ({ scope }, say) => say({ type: "part", vault: scope, device: random(32), bytes: random(300) }),
    (_, say) => say({ type: "leaves", request: 1, first: 0, proof: [], bytes: random(1000) }),
    (_, say) => say({ type: "held", request: 7, bits: random(1) }),
    (_, say) => say({ type: "askLeaves", request: 1, name: random(32), length: 2 ** 40, first: 2 ** 20, count: 4 }),
    (head, say) => say({ type: "receipt", bytes: receiptFor(device, head, [random(32)]) }),
    // One signed for a vault whose device is not at the other end, most likely.
    (head, say) => say({ type: "receipt", bytes: receiptFor(device, { ...head, scope: random(32) }, []) }),
    (_, say) => say({ type: "receipt", bytes: random(300) }),
    (_, say) => say({ type: "bye" }),
  ];
  impostor.onMessage = (message, say) => {
    if (message.type === "heads") heads.push(...message.heads.slice(0, 100 - heads.length));
    else if (message.type === "askHeld")
      say({ type: "held", request: message.request, bits: random(Math.ceil(message.names.length / 8)) });
    else if (message.type === "askRecords") {
      const head = heads.find(({ log }) => log.equals(message.log));
      if (head) say({ type: "records", log: message.log, records: forged(head, message.from) });
    }
    if (heads.length > 0 && world.chance(0.3)) world.one(sayings)(world.one(heads), say);
  };
  return { heard: impostor.heard, end: () => world.clock.settled(impostor.network.close()) };
}

function impostorBytes(impostor: Impostor, bytes: Buffer, say: Say): void {
  impostor.sayBytes(bytes);
  say({ type: "parts", parts: [] });
}

function receiptFor(device: Device, { scope, log, seq, id }: Head, names: Buffer[]): Buffer {
  const body = { vault: scope, log, seq, id, time: device.system.now(), all: true, names, fields: noFields };
  return encodeReceipt(signReceipt(device.vault.store.keyring.device, body));
}

/**
 * It goes on in its log twice, and shows one half of the world this and the other half that.
 * @param names what its two processes are called on the network
 */
export function twoFaced(device: Device, names: readonly [string, string]): Foe & { readonly log: Buffer } {
  const { world } = device;
  const { store } = device.vault;
  const head = device.ownHeads().at(-1) as Head;
  const genesis = store.recordsOf(head.log, 0n, wire.recordBytesPerMessage);
  const last = decodeRecord(genesis.at(-1) as Buffer);
  const faces = names.map((name) => {
    const branch = recordsBehind(store.keyring, last, 1 + world.below(3), (length) => world.clock.bytes(length));
    const all = [...genesis, ...branch.map(({ bytes }) => bytes)];
    const end = branch.at(-1) as LogRecord;
    const impostor = enter(device, name);
    impostor.onOpen = (say) => say({ type: "heads", heads: [{ ...head, seq: end.seq, id: end.id }], more: false });
    impostor.onMessage = (message, say) => {
      if (message.type === "askRecords" && message.log.equals(head.log))
        say({ type: "records", log: head.log, records: all.slice(Number(message.from)) });
    };
    return impostor;
  });
  return {
    log: head.log,
    heard: [],
    end: async () => {
      for (const { network } of faces) await world.clock.settled(network.close());
    },
  };
}

/** Knows the topics of a member, and no key: whatever it says, nobody may say anything to it. */
export class Stranger implements Foe {
  /** beyond a knock */
  readonly heard: string[] = [];
  readonly #world: World;
  readonly #network: Network;

  constructor(world: World, name: string, member: Device) {
    this.#world = world;
    this.#network = world.net.open(name);
    const system = world.clock.system(name);
    this.#network.onConnection((connection) => {
      const note =
        (what: string) =>
        (bytes: Buffer = Buffer.alloc(0)): void => {
          this.heard.push(`${what} of ${bytes.length} bytes`);
        };
      Link.attach(
        connection,
        system.random(1 + world.below(300)),
        {
          onKnock: () => {},
          onDoor: note("door"),
          onRoomOpen: note("room"),
          onRoom: note("room"),
          onDrain: () => {},
          onClose: () => {},
        },
        system,
      );
    });
    for (const topic of member.coop?.topics() ?? []) this.#network.join(topic, { announce: true, lookup: true });
  }

  async end(): Promise<void> {
    await this.#world.clock.settled(this.#network.close());
  }
}

function enter(device: Device, name: string): Impostor {
  device.hostile = true;
  device.world.clock.note(`${name} is an impostor from now on`);
  const { vault, coop, system, world } = device;
  return new Impostor({ name, vault, coop, system, world });
}

/** Records that this device could have written behind another. */
function recordsBehind(
  keyring: Keyring,
  last: Pick<LogRecord, "log" | "seq" | "id" | "time">,
  count: number,
  random: (length: number) => Buffer,
): LogRecord[] {
  const records: LogRecord[] = [];
  for (let i = 0; i < count; i++) {
    const before = records.at(-1) ?? last;
    const draft = {
      type: recordTypes.release,
      vault: keyring.vault,
      log: before.log,
      seq: before.seq + 1n,
      previous: before.id,
      time: before.time + 1n,
      clear: encodeRelease({ names: [random(32)], fields: noFields }),
      secret: Buffer.alloc(0),
    };
    records.push(sealRecord(draft, keyring.epoch, keyring.device, random));
  }
  return records;
}

/**
 * What may come over a stream that carries a link, in the frames that Protomux writes. A stranger chooses these bytes,
 * and Protomux was written for friends: batches within batches exhaust its stack, opens are kept without end, and what it
 * then throws ends the process. So it is only ever given frames of the few shapes that stand here:
 *
 *   0 1 1 "bcoopfs/door" 0 knock    the first frame: opens the door, channel 1
 *   0 1 2 "bcoopfs/room" 0          opens the room, channel 2
 *   0 3 1, 0 3 2                    closes a channel, and with it the link
 *   1 0 message                     in the door
 *   2 0 message                     in the room
 *
 * (names with their length before them in one byte). Batches are not among them: a link never corks.
 * @module
 */
import { wire } from "../base/limits.js";

export const doorProtocol = "bcoopfs/door";
export const roomProtocol = "bcoopfs/room";

export type FrameKind = "openDoor" | "openRoom" | "close" | "door" | "room";

const opening = (channel: number, protocol: string): Buffer =>
  Buffer.concat([Buffer.from([0, 1, channel, protocol.length]), Buffer.from(protocol, "latin1"), Buffer.from([0])]);
const openDoor = opening(1, doorProtocol);
const openRoom = opening(2, roomProtocol);

/** Bytes before the message itself. */
const head = 2;

/** What a frame is; undefined for one that no link writes. */
export function kindOf(frame: Buffer): FrameKind | undefined {
  switch (frame[0]) {
    case 0:
      return controlKindOf(frame);
    case 1:
      return frame[1] === 0 && frame.length - head <= wire.messageBytes ? "door" : undefined;
    case 2:
      return frame[1] === 0 && frame.length - head <= wire.messageBytes ? "room" : undefined;
    default:
      return undefined;
  }
}

function controlKindOf(frame: Buffer): FrameKind | undefined {
  if (frame[1] === 3) return frame.length === 3 && (frame[2] === 1 || frame[2] === 2) ? "close" : undefined;
  if (frame.equals(openRoom)) return "openRoom";
  const isDoor = frame.subarray(0, openDoor.length).equals(openDoor);
  return isDoor && frame.length - openDoor.length <= wire.knockBytes ? "openDoor" : undefined;
}

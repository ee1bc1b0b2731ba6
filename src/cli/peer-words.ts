/**
 * What happens among peers, in words: for the daemon's log, and the few things that a person beside a command needs to
 * hear of.
 * @module
 */
import { escapeForTerminal, formatSize } from "../base/units.js";
import type { PeerEvent } from "../swarm/events.js";
import type { Output } from "./output.js";

const start = (key: Buffer): string => key.toString("hex").slice(0, 16);

/** What the coop calls a device; undefined where it does not. */
export type LabelOf = (device: Buffer) => string | undefined;

/** One line for a log; undefined for what happens all the time. */
export function eventWords(event: PeerEvent, labelOf: LabelOf = () => undefined): string | undefined {
  const who = (device: Buffer): string => {
    const label = labelOf(device);
    return label ? `${escapeForTerminal(Buffer.from(label))} (${start(device).slice(0, 8)})` : start(device);
  };
  switch (event.type) {
    case "peer-up":
      return `peer ${who(event.device)} is here${event.recovering ? `, recovering vault ${start(event.recovering)}` : ""}`;
    case "peer-down":
      return `peer ${who(event.device)} is gone${event.why ? `: ${event.why}` : ""}`;
    case "refused":
      return `${event.by === "us" ? "refused" : "was refused by"} ${event.device ? who(event.device) : "a stranger"}: ${event.why}`;
    case "misbehaved":
      return `peer ${who(event.device)} is kept out for ${event.seconds} s: ${event.why}`;
    case "coop-changed":
      return "the coop has changed";
    case "part-arrived":
      return `a part of the capsule of vault ${start(event.vault)} came`;
    case "fork":
      return `log ${start(event.log)} of ${who(event.device)} has two branches: it is frozen${event.own ? ", and this machine goes on in a new log" : ""}`;
    case "own-log-ahead":
      return `peers knew ${event.records} more records of this machine's log ${start(event.log)}: they were taken, and it goes on in a new log`;
    case "other-installation":
      return `log ${start(event.log)} bears this device's key, but this home did not write it: is there a copy of this home?`;
    case "object-arrived":
      return `object ${start(event.name)} came, ${formatSize(event.length)}`;
    case "disk-full":
      return "the disk is full: nothing is taken until there is space";
    case "disk-free":
      return "there is space again";
    default:
      return undefined;
  }
}

const urgent: ReadonlySet<PeerEvent["type"]> = new Set([
  "fork",
  "own-log-ahead",
  "other-installation",
  "disk-full",
  "misbehaved",
]);

/** Tell a person what should not go unnoticed. */
export function noteEvent(event: PeerEvent, output: Output): void {
  const words = urgent.has(event.type) ? eventWords(event) : undefined;
  if (words !== undefined) output.note(`bcoopfs: ${words}`);
}

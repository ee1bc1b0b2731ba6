/**
 * Addresses as people write them, "HOST:PORT", turned into what a socket takes. IPv4 only: the DHT knows no other.
 * @module
 */
import { lookup } from "node:dns/promises";
import { isIPv4 } from "node:net";
import { errnoOf, Problem } from "../base/errors.js";
import { checkAddress } from "../base/units.js";

export interface Address {
  /** IPv4 */
  readonly host: string;
  readonly port: number;
}

/** The node's address; a name is looked up. Problem("usage") for what is none, or a name that has no IPv4 address. */
export async function addressOf(what: string, text: string): Promise<Address> {
  checkAddress(what, text);
  const at = text.lastIndexOf(":");
  return { host: await ipv4Of(what, text.slice(0, at)), port: Number(text.slice(at + 1)) };
}

/** HOST[:PORT]; port 0, any free one, where none is said. */
export async function listenAddressOf(text: string): Promise<Address> {
  if (text.includes(":")) return await addressOf("listen", text);
  checkAddress("listen", `${text}:1`);
  return { host: await ipv4Of("listen", text), port: 0 };
}

/** 127.0.0.0/8 */
export function isLoopback(host: string): boolean {
  return host.startsWith("127.");
}

async function ipv4Of(what: string, host: string): Promise<string> {
  if (isIPv4(host)) return host;
  try {
    return (await lookup(host, { family: 4 })).address;
  } catch (error) {
    const advice =
      errnoOf(error) === "EAI_AGAIN"
        ? "no name server answers; is this machine online?"
        : "there is no machine of that name; write its IPv4 address";
    throw new Problem("usage", `${what} ${host}: ${advice}`, { cause: error });
  }
}

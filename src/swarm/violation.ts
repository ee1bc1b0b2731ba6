/**
 * The other side of a link broke the protocol. Thrown in a handler: the link is cut, and the device at its other end is
 * kept out for a while. Nothing that this side could be at fault for is thrown as one.
 * @module
 */
export class Violation extends Error {}

export function violation(why: string): never {
  throw new Violation(why);
}

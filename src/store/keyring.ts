/**
 * The keys that a device works with day to day. The root key is not among them: only the phrase opens it.
 * @module
 */
import type { Certificate } from "../format/certificate.js";
import type { Constants, Epoch } from "../format/keys.js";
import type { SigningKey } from "../format/sign.js";

export interface Keyring {
  readonly vault: Buffer;
  readonly rootPublic: Buffer;
  readonly constants: Constants;
  readonly epochs: ReadonlyMap<number, Epoch>;
  /** what is sealed now is sealed in this one */
  readonly epoch: Epoch;
  readonly device: SigningKey;
  readonly certificate: Certificate;
}

/** What a delta server serves: named resources with versions. The owner of the resources implements it. */
import { createHash } from "node:crypto";

export interface VersionedResource {
  /** Changes if and only if the bytes do; `versionOf` makes one. */
  readonly version: string;
  /** The serialized message, without the Any around it. */
  readonly bytes: Uint8Array;
}

export interface ResourceSource {
  /** The names that a wildcard subscription to the type receives. */
  names(typeUrl: string): Iterable<string>;
  /** Whether `names(typeUrl)` has the name. */
  isListed(typeUrl: string, name: string): boolean;
  get(typeUrl: string, name: string): VersionedResource | undefined;
  /** A client asks for it by name: the moment to make what is made on demand. `get` follows. */
  asked?(typeUrl: string, name: string): void;
  /** A stream that had asked for it by name no longer does. Called once per stream and name. */
  released?(typeUrl: string, name: string): void;
}

const versionLength = 16;

export const versionOf = (bytes: Uint8Array): string =>
  createHash("sha256").update(bytes).digest("hex").slice(0, versionLength);

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
  /**
   * Whether all that ever was of the type is, or was, listed. A stream that follows all of such a type need not remember
   * what it has sent: it sends what it is told of, and removals of what is not there any more.
   */
  isWhole?(typeUrl: string): boolean;
  /** A client asks for it by name: the moment to make what is made on demand. `get` follows. */
  asked?(typeUrl: string, name: string): void;
  /** A stream that had asked for it by name no longer does. Called once per stream and name. */
  released?(typeUrl: string, name: string): void;
}

const versionLength = 16;

export const versionOf = (bytes: Uint8Array): string =>
  createHash("sha256").update(bytes).digest("hex").slice(0, versionLength);

/** What a delta server serves: named resources with versions. The owner of the resources implements it. */

export interface VersionedResource {
  /** Changes if and only if the bytes do; `versionOf` makes one. */
  readonly version: string;
  /** The serialized message, without the Any around it. */
  readonly bytes: Uint8Array;
}

export interface ResourceSource {
  /** The names that a wildcard subscription to the type receives. */
  names(typeUrl: string): Iterable<string>;
  /**
   * The resource, or undefined when there is none. May be asked for names outside `names()`: that is how a resource
   * is made on demand, because a client asked for it by name.
   */
  get(typeUrl: string, name: string): VersionedResource | undefined;
  /** The last stream that had asked for this name by name no longer does. */
  released?(typeUrl: string, name: string): void;
}

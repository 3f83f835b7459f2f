/**
 * Who has looked at what. A bucket is one thing that can be looked at (a key, an index value, a whole collection) with
 * its dependents; buckets without dependents are dropped, so that nothing is left behind.
 */

export interface Dependent {
  markDirty(): void;
}

export interface Bucket {
  readonly owner: Readers;
  readonly at: string;
  /** Most buckets have one dependent; a set costs ten times as much. */
  only: Dependent | undefined;
  many: Set<Dependent> | undefined;
}

export class Readers {
  readonly name: string;
  readonly #buckets = new Map<string, Bucket>();

  constructor(name: string) {
    this.name = name;
  }

  subscribe(at: string, dependent: Dependent): Bucket {
    const bucket = this.#buckets.get(at);
    if (bucket === undefined) {
      const made: Bucket = { owner: this, at, only: dependent, many: undefined };
      this.#buckets.set(at, made);
      return made;
    }
    if (bucket.many !== undefined) bucket.many.add(dependent);
    else if (bucket.only !== undefined && bucket.only !== dependent) {
      bucket.many = new Set([bucket.only, dependent]);
      bucket.only = undefined;
    }
    return bucket;
  }

  release(bucket: Bucket, dependent: Dependent): void {
    bucket.many?.delete(dependent);
    if (bucket.only === dependent || bucket.many?.size === 0) this.#buckets.delete(bucket.at);
  }

  changed(at: string): void {
    const bucket = this.#buckets.get(at);
    bucket?.only?.markDirty();
    for (const dependent of bucket?.many ?? []) dependent.markDirty();
  }

  /** Remembered looks, for tests and the debug page. */
  get size(): number {
    let size = 0;
    for (const bucket of this.#buckets.values()) size += bucket.many?.size ?? 1;
    return size;
  }
}

export const describeBucket = (bucket: Bucket): string => `${bucket.owner.name}[${bucket.at}]`;

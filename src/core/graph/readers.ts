/**
 * Who has looked at what. A bucket is one thing that can be looked at (a key, an index value, a whole collection) with
 * its dependents; buckets without dependents are dropped, so that nothing is left behind.
 */

export interface Dependent {
  markDirty(): void;
}

export interface Bucket {
  readonly dependents: Set<Dependent>;
  readonly owner: Readers;
  readonly at: string;
}

export class Readers {
  readonly name: string;
  readonly #buckets = new Map<string, Bucket>();

  constructor(name: string) {
    this.name = name;
  }

  subscribe(at: string, dependent: Dependent): Bucket {
    let bucket = this.#buckets.get(at);
    if (bucket === undefined) {
      bucket = { dependents: new Set(), owner: this, at };
      this.#buckets.set(at, bucket);
    }
    bucket.dependents.add(dependent);
    return bucket;
  }

  release(bucket: Bucket, dependent: Dependent): void {
    bucket.dependents.delete(dependent);
    if (bucket.dependents.size === 0) this.#buckets.delete(bucket.at);
  }

  changed(at: string): void {
    const bucket = this.#buckets.get(at);
    if (bucket === undefined) return;
    for (const dependent of bucket.dependents) dependent.markDirty();
  }

  /** Remembered looks, for tests and the debug page. */
  get size(): number {
    let size = 0;
    for (const bucket of this.#buckets.values()) size += bucket.dependents.size;
    return size;
  }
}

export const describeBucket = (bucket: Bucket): string => `${bucket.owner.name}[${bucket.at}]`;

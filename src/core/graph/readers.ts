/**
 * Who has looked at one collection or index: the buckets of its keys or values. Buckets that nobody looks at any more
 * are dropped, so that nothing is left behind.
 */
import type { Memory } from "./memory.ts";

export class Readers {
  readonly name: string;
  readonly #memory: Memory;
  readonly #buckets = new Map<string, number>();

  constructor(memory: Memory, name: string) {
    this.#memory = memory;
    this.name = name;
  }

  /** For `Memory.reread`, which must follow, lest the bucket stays without readers. */
  bucketAt(at: string): number {
    const known = this.#buckets.get(at);
    if (known !== undefined) return known;
    const made = this.#memory.addBucket(this, at);
    this.#buckets.set(at, made);
    return made;
  }

  /** Called when a bucket has lost its last reader. */
  forget(at: string): void {
    this.#buckets.delete(at);
  }

  changed(at: string): void {
    const bucket = this.#buckets.get(at);
    if (bucket !== undefined) this.#memory.changed(bucket);
  }

  /** Remembered looks, for tests and the debug page. */
  get size(): number {
    let size = 0;
    for (const bucket of this.#buckets.values()) size += this.#memory.countOf(bucket);
    return size;
  }
}

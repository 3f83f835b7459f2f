/**
 * What the derived collections of one graph remember of each input row: what it looked at, and which keys it gave. There
 * is one such entry for nearly every row, so all of it is numbers in a few long arrays. An entry and a bucket (one thing
 * that can be looked at) are numbers; a look links the two, and is in the chain of each.
 */
import { assert } from "./assert.ts";
import type { Readers } from "./readers.ts";

/** Who must be told when something that was looked at has changed. */
export interface Rememberer {
  markDirty(key: string): void;
}

const none = 0;

/** A growing array of numbers; what was never written is 0. */
class Numbers {
  #values = new Int32Array(1024);

  at(index: number): number {
    return this.#values[index] ?? 0;
  }

  put(index: number, value: number): void {
    if (index >= this.#values.length) {
      const grown = new Int32Array(Math.ceil(this.#values.length * 1.5));
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[index] = value;
  }
}

/** Numbers from 1 on; those that were given back are given out again, linked through a chain. */
class Supply {
  readonly #nextFree = new Numbers();
  #firstFree = none;
  #last = 0;

  take(): number {
    const free = this.#firstFree;
    if (free === none) return (this.#last += 1);
    this.#firstFree = this.#nextFree.at(free);
    return free;
  }

  giveBack(one: number): void {
    this.#nextFree.put(one, this.#firstFree);
    this.#firstFree = one;
  }
}

export class Memory {
  readonly #entries = new Supply();
  readonly #rememberers: (Rememberer | undefined)[] = [];
  readonly #keys: string[] = [];
  readonly #firstOfEntry = new Numbers();

  readonly #buckets = new Supply();
  readonly #readers: (Readers | undefined)[] = [];
  readonly #places: string[] = [];
  readonly #firstOfBucket = new Numbers();

  readonly #looks = new Supply();
  readonly #bucketOf = new Numbers();
  readonly #entryOf = new Numbers();
  readonly #nextOfEntry = new Numbers();
  readonly #nextOfBucket = new Numbers();
  readonly #previousOfBucket = new Numbers();

  addEntry(rememberer: Rememberer, key: string): number {
    const entry = this.#entries.take();
    this.#rememberers[entry] = rememberer;
    this.#keys[entry] = key;
    return entry;
  }

  removeEntry(entry: number): void {
    this.reread(entry, []);
    this.#rememberers[entry] = undefined;
    this.#keys[entry] = "";
    this.#entries.giveBack(entry);
  }

  addBucket(readers: Readers, at: string): number {
    const bucket = this.#buckets.take();
    this.#readers[bucket] = readers;
    this.#places[bucket] = at;
    return bucket;
  }

  /** From now on the entry depends on these buckets, each named once, and on no others. */
  reread(entry: number, buckets: readonly number[]): void {
    if (this.#isSame(entry, buckets)) return;
    const old = this.#firstOfEntry.at(entry);
    let first = none;
    // Backwards, so that the chain has the order of reading. New looks come first, so that no bucket runs empty meanwhile.
    for (let at = buckets.length - 1; at >= 0; at--) first = this.#link(entry, buckets[at] ?? none, first);
    this.#firstOfEntry.put(entry, first);
    for (let look = old; look !== none;) {
      const next = this.#nextOfEntry.at(look);
      this.#unlink(look);
      look = next;
    }
  }

  bucketsOf(entry: number): readonly number[] {
    const buckets: number[] = [];
    for (let look = this.#firstOfEntry.at(entry); look !== none; look = this.#nextOfEntry.at(look)) {
      buckets.push(this.#bucketOf.at(look));
    }
    return buckets;
  }

  /** `<collection or index>[<key or value>]`. */
  describe(bucket: number): string {
    return `${this.#readers[bucket]?.name ?? ""}[${this.#places[bucket] ?? ""}]`;
  }

  changed(bucket: number): void {
    for (let look = this.#firstOfBucket.at(bucket); look !== none; look = this.#nextOfBucket.at(look)) {
      const entry = this.#entryOf.at(look);
      this.#rememberers[entry]?.markDirty(this.#keys[entry] ?? "");
    }
  }

  /** How many entries looked. */
  countOf(bucket: number): number {
    let count = 0;
    for (let look = this.#firstOfBucket.at(bucket); look !== none; look = this.#nextOfBucket.at(look)) count++;
    return count;
  }

  #isSame(entry: number, buckets: readonly number[]): boolean {
    let look = this.#firstOfEntry.at(entry);
    for (const bucket of buckets) {
      if (look === none || this.#bucketOf.at(look) !== bucket) return false;
      look = this.#nextOfEntry.at(look);
    }
    return look === none;
  }

  #link(entry: number, bucket: number, nextOfEntry: number): number {
    assert(bucket !== none, () => "a bucket has a number");
    const look = this.#looks.take();
    const first = this.#firstOfBucket.at(bucket);
    this.#bucketOf.put(look, bucket);
    this.#entryOf.put(look, entry);
    this.#nextOfEntry.put(look, nextOfEntry);
    this.#nextOfBucket.put(look, first);
    this.#previousOfBucket.put(look, none);
    if (first !== none) this.#previousOfBucket.put(first, look);
    this.#firstOfBucket.put(bucket, look);
    return look;
  }

  #unlink(look: number): void {
    const bucket = this.#bucketOf.at(look);
    const [previous, next] = [this.#previousOfBucket.at(look), this.#nextOfBucket.at(look)];
    if (next !== none) this.#previousOfBucket.put(next, previous);
    if (previous !== none) this.#nextOfBucket.put(previous, next);
    else if (next !== none) this.#firstOfBucket.put(bucket, next);
    else this.#removeBucket(bucket);
    this.#looks.giveBack(look);
  }

  #removeBucket(bucket: number): void {
    this.#firstOfBucket.put(bucket, none);
    this.#readers[bucket]?.forget(this.#places[bucket] ?? "");
    this.#readers[bucket] = undefined;
    this.#places[bucket] = "";
    this.#buckets.giveBack(bucket);
  }
}

/** The Reader of one computation: looks things up, and gathers the buckets of what it looked at. */
import { assert } from "./assert.ts";
import type { Collection, Index, Reader } from "./collection.ts";
import { IndexTable } from "./index-table.ts";
import { everything, type Inspectable, Table } from "./table.ts";

/** Up to here a search through a list is cheaper than a set. */
const fewReads = 16;

export class Reading implements Reader {
  /** What was looked at, each once, in order. */
  readonly buckets: number[] = [];
  kept: string | undefined;
  #known: Set<number> | undefined;
  readonly #reader: Inspectable;
  readonly #hasEarlier: boolean;

  constructor(reader: Inspectable, hasEarlier: boolean) {
    this.#reader = reader;
    this.#hasEarlier = hasEarlier;
  }

  get<T>(from: Collection<T>, key: string): T | undefined {
    this.#remember(this.#earlier(from).keyReaders.bucketAt(key));
    return from.rows.get(key);
  }

  lookup<T>(from: Index<T>, value: string): readonly T[] {
    assert(from instanceof IndexTable, () => `index ${from.name} was not made by a graph`);
    this.#earlier(from.of);
    this.#remember(from.readers.bucketAt(value));
    return from.rowsOf(value);
  }

  all<T>(from: Collection<T>): readonly T[] {
    const table = this.#earlier(from);
    this.#remember(table.allReaders.bucketAt(everything));
    return table.sorted();
  }

  keep(reason: string): boolean {
    this.kept = reason;
    return this.#hasEarlier;
  }

  #remember(bucket: number): void {
    if (this.buckets.length < fewReads) {
      if (this.buckets.includes(bucket)) return;
    } else {
      this.#known ??= new Set(this.buckets);
      if (this.#known.has(bucket)) return;
      this.#known.add(bucket);
    }
    this.buckets.push(bucket);
  }

  #earlier<T>(from: Collection<T>): Table<T> {
    assert(from instanceof Table, () => `collection ${from.name} was not made by a graph`);
    assert(from.place < this.#reader.place, () => `${this.#reader.name} may not read ${from.name}: it is made later`);
    return from;
  }
}

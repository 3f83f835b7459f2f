/**
 * A derived collection: a pure function of one input row plus remembered reads of earlier collections. An input row is
 * computed again exactly when it, or something it read, has changed.
 */
import { assert } from "./assert.ts";
import type { Collection, Derivation, Explanation, Index, Reader } from "./collection.ts";
import { IndexTable } from "./index-table.ts";
import { compareKeys } from "./order.ts";
import { type Bucket, type Dependent, describeBucket } from "./readers.ts";
import { everything, type Inspectable, Table } from "./table.ts";

/** What is known of one input row: the keys it gave, and what it looked at. */
class Entry implements Dependent {
  readonly key: string;
  readonly #dirty: Set<string>;
  outputs: readonly string[] = [];
  reads: ReadonlySet<Bucket> = new Set();
  kept: string | undefined;

  constructor(key: string, dirty: Set<string>) {
    this.key = key;
    this.#dirty = dirty;
  }

  markDirty(): void {
    this.#dirty.add(this.key);
  }

  /** Remembers the new reads and forgets those that were not made again. */
  reread(reads: ReadonlySet<Bucket>): void {
    for (const bucket of this.reads) if (!reads.has(bucket)) bucket.owner.release(bucket, this);
    this.reads = reads;
  }
}

/** The Reader of one computation. */
class Reading implements Reader {
  readonly buckets = new Set<Bucket>();
  kept: string | undefined;
  readonly #entry: Entry;
  readonly #reader: Inspectable;
  readonly #hasEarlier: boolean;

  constructor(entry: Entry, reader: Inspectable, hasEarlier: boolean) {
    this.#entry = entry;
    this.#reader = reader;
    this.#hasEarlier = hasEarlier;
  }

  get<T>(from: Collection<T>, key: string): T | undefined {
    this.buckets.add(this.#earlier(from).keyReaders.subscribe(key, this.#entry));
    return from.rows.get(key);
  }

  lookup<T>(from: Index<T>, value: string): readonly T[] {
    assert(from instanceof IndexTable, () => `index ${from.name} was not made by a graph`);
    this.#earlier(from.of);
    this.buckets.add(from.readers.subscribe(value, this.#entry));
    return from.rowsOf(value);
  }

  all<T>(from: Collection<T>): readonly T[] {
    const table = this.#earlier(from);
    this.buckets.add(table.allReaders.subscribe(everything, this.#entry));
    return table.sorted();
  }

  keep(reason: string): boolean {
    this.kept = reason;
    return this.#hasEarlier;
  }

  #earlier<T>(from: Collection<T>): Table<T> {
    assert(from instanceof Table, () => `collection ${from.name} was not made by a graph`);
    assert(from.place < this.#reader.place, () => `${this.#reader.name} may not read ${from.name}: it is made later`);
    return from;
  }
}

interface Outcome<Out> {
  readonly entry: Entry;
  readonly rows: readonly (readonly [key: string, row: Out])[];
}

export class DerivedTable<In, Out> extends Table<Out> {
  readonly #input: Table<In>;
  readonly #derivation: Derivation<In, Out>;
  readonly #entries = new Map<string, Entry>();
  readonly #owners = new Map<string, Entry>();
  readonly #dirty = new Set<string>();

  constructor(name: string, place: number, input: Table<In>, derivation: Derivation<In, Out>) {
    super(name, place);
    this.#input = input;
    this.#derivation = derivation;
    for (const key of input.rows.keys()) this.#dirty.add(key);
    input.followers.push((change) => this.#dirty.add(change.key));
  }

  override update(): void {
    if (this.#dirty.size === 0) return;
    const outcomes: Outcome<Out>[] = [];
    for (const key of [...this.#dirty].sort(compareKeys)) {
      const outcome = this.#compute(key);
      if (outcome !== undefined) outcomes.push(outcome);
    }
    this.#dirty.clear();
    // Two passes, because a key may move from one input row to another in one commit.
    for (const { entry } of outcomes) this.#retract(entry);
    for (const outcome of outcomes) this.#publish(outcome);
  }

  override explain(key: string): Explanation {
    const entry = this.#owners.get(key);
    if (entry === undefined) return { row: undefined, input: "", reads: [] };
    const reads = [...entry.reads].map(describeBucket).sort(compareKeys);
    const input = `${this.#input.name}[${entry.key}]`;
    return { row: this.rows.get(key), input, reads, ...(entry.kept === undefined ? {} : { kept: entry.kept }) };
  }

  /** Answers nothing when the earlier result stands. */
  #compute(key: string): Outcome<Out> | undefined {
    const row = this.#input.rows.get(key);
    const known = this.#entries.get(key);
    if (row === undefined) {
      if (known === undefined) return undefined;
      known.reread(new Set());
      this.#entries.delete(key);
      return { entry: known, rows: [] };
    }
    const entry = known ?? new Entry(key, this.#dirty);
    this.#entries.set(key, entry);
    const hasEarlier = entry.outputs.length > 0;
    const reading = new Reading(entry, this, hasEarlier);
    const rows = [...this.#derivation(row, reading, key)];
    entry.reread(reading.buckets);
    entry.kept = hasEarlier ? reading.kept : undefined;
    return entry.kept === undefined ? { entry, rows } : undefined;
  }

  #retract(entry: Entry): void {
    for (const key of entry.outputs) {
      this.remove(key);
      this.#owners.delete(key);
    }
    entry.outputs = [];
  }

  #publish({ entry, rows }: Outcome<Out>): void {
    for (const [key, row] of rows) {
      const owner = this.#owners.get(key);
      assert(owner === undefined, () => `${this.name}: ${owner?.key} and ${entry.key} both give ${key}`);
      this.#owners.set(key, entry);
      this.write(key, row);
    }
    entry.outputs = rows.map(([key]) => key);
  }
}

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

/** Up to here a search through a list is cheaper than a set, in time and in memory. */
const fewReads = 16;

const nothing: readonly never[] = [];

/**
 * What is known of one input row: the keys it gave, and what it looked at. There is one for every row of every derived
 * collection, so it is kept small: one output needs no list, and lists have no room to grow.
 */
class Entry implements Dependent {
  readonly key: string;
  readonly #dirty: Set<string>;
  outputs: string | readonly string[] = nothing;
  reads: readonly Bucket[] = nothing;
  kept: string | undefined;

  constructor(key: string, dirty: Set<string>) {
    this.key = key;
    this.#dirty = dirty;
  }

  markDirty(): void {
    this.#dirty.add(this.key);
  }

  get hasOutputs(): boolean {
    return this.outputs.length > 0;
  }

  gave(keys: readonly string[]): void {
    const [only] = keys;
    this.outputs = only === undefined ? nothing : keys.length === 1 && only !== "" ? only : keys;
  }

  get outputList(): readonly string[] {
    return typeof this.outputs === "string" ? [this.outputs] : this.outputs;
  }

  /** Remembers the new reads and forgets those that were not made again. */
  reread(reads: readonly Bucket[]): void {
    const again = reads.length > fewReads ? new Set(reads) : reads;
    const isAgain = (bucket: Bucket): boolean => (again instanceof Set ? again.has(bucket) : again.includes(bucket));
    for (const bucket of this.reads) if (!isAgain(bucket)) bucket.owner.release(bucket, this);
    this.reads = reads;
  }
}

/** The Reader of one computation. */
class Reading implements Reader {
  readonly #few: Bucket[] = [];
  #many: Set<Bucket> | undefined;
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
    this.#remember(this.#earlier(from).keyReaders.subscribe(key, this.#entry));
    return from.rows.get(key);
  }

  lookup<T>(from: Index<T>, value: string): readonly T[] {
    assert(from instanceof IndexTable, () => `index ${from.name} was not made by a graph`);
    this.#earlier(from.of);
    this.#remember(from.readers.subscribe(value, this.#entry));
    return from.rowsOf(value);
  }

  all<T>(from: Collection<T>): readonly T[] {
    const table = this.#earlier(from);
    this.#remember(table.allReaders.subscribe(everything, this.#entry));
    return table.sorted();
  }

  keep(reason: string): boolean {
    this.kept = reason;
    return this.#hasEarlier;
  }

  /** What was looked at, each once. A copy, because a list that grew has room for more. */
  get buckets(): readonly Bucket[] {
    if (this.#many !== undefined) return [...this.#many];
    return this.#few.length === 0 ? nothing : this.#few.slice();
  }

  #remember(bucket: Bucket): void {
    if (this.#many !== undefined) this.#many.add(bucket);
    else if (this.#few.includes(bucket)) return;
    else if (this.#few.length < fewReads) this.#few.push(bucket);
    else this.#many = new Set([...this.#few, bucket]);
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
  /** Entries by output key, but for those that give their own key. */
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
    const entry = this.#ownerOf(key);
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
      known.reread(nothing);
      this.#entries.delete(key);
      return { entry: known, rows: [] };
    }
    const entry = known ?? new Entry(key, this.#dirty);
    this.#entries.set(key, entry);
    const hasEarlier = entry.hasOutputs;
    const reading = new Reading(entry, this, hasEarlier);
    const rows = [...this.#derivation(row, reading, key)];
    entry.reread(reading.buckets);
    entry.kept = hasEarlier ? reading.kept : undefined;
    return entry.kept === undefined ? { entry, rows } : undefined;
  }

  #retract(entry: Entry): void {
    for (const key of entry.outputList) {
      this.remove(key);
      if (key !== entry.key) this.#owners.delete(key);
    }
    entry.outputs = nothing;
  }

  #publish({ entry, rows }: Outcome<Out>): void {
    for (const [key, row] of rows) {
      assert(!this.rows.has(key), () => `${this.name}: ${this.#ownerOf(key)?.key} and ${entry.key} both give ${key}`);
      if (key !== entry.key) this.#owners.set(key, entry);
      this.write(key, row);
    }
    entry.gave(rows.map(([key]) => key));
  }

  #ownerOf(key: string): Entry | undefined {
    if (!this.rows.has(key)) return undefined;
    return this.#owners.get(key) ?? this.#entries.get(key);
  }
}

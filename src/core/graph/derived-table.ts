/**
 * A derived collection: a pure function of one input row plus remembered reads of earlier collections. An input row is
 * computed again exactly when it, or something it read, has changed.
 */
import { assert } from "./assert.ts";
import type { Derivation, Explanation } from "./collection.ts";
import type { Rememberer } from "./memory.ts";
import { compareKeys } from "./order.ts";
import { Reading } from "./reading.ts";
import { StoredTable } from "./stored-table.ts";
import type { Place, Table } from "./table.ts";

/** What one input row gives now. */
interface Outcome<Out> {
  readonly key: string;
  readonly rows: readonly (readonly [key: string, row: Out])[];
}

export class DerivedTable<In, Out> extends StoredTable<Out> implements Rememberer {
  readonly #input: Table<In>;
  readonly #derivation: Derivation<In, Out>;
  /** Entries of the graph's memory by input key, of those that read anything. */
  readonly #entries = new Map<string, number>();
  /** Output keys by input key, but for those that gave nothing, or only their own key. */
  readonly #outputs = new Map<string, string | readonly string[]>();
  /** Input keys by output key, but for those that give their own key. */
  readonly #owners = new Map<string, string>();
  /** Why an earlier result stands, by input key. */
  readonly #kept = new Map<string, string>();
  readonly #dirty = new Set<string>();

  constructor(place: Place, input: Table<In>, derivation: Derivation<In, Out>) {
    super(place);
    this.#input = input;
    this.#derivation = derivation;
    for (const key of input.rows.keys()) this.#dirty.add(key);
    input.followers.push((change) => this.#dirty.add(change.key));
  }

  markDirty(key: string): void {
    this.#dirty.add(key);
  }

  protected override rewrite(): void {
    if (this.#dirty.size === 0) return;
    const outcomes: Outcome<Out>[] = [];
    for (const key of [...this.#dirty].sort(compareKeys)) {
      const outcome = this.#compute(key);
      if (outcome !== undefined) outcomes.push(outcome);
    }
    this.#dirty.clear();
    // Two passes, because a key may move from one input row to another in one commit.
    for (const { key } of outcomes) this.#retract(key);
    for (const outcome of outcomes) this.#publish(outcome);
  }

  override explain(key: string): Explanation {
    const owner = this.rows.has(key) ? (this.#owners.get(key) ?? key) : undefined;
    if (owner === undefined) return { row: undefined, input: "", reads: [] };
    const entry = this.#entries.get(owner);
    const buckets = entry === undefined ? [] : this.memory.bucketsOf(entry);
    const reads = buckets.map((bucket) => this.memory.describe(bucket)).sort(compareKeys);
    const kept = this.#kept.get(owner);
    const input = `${this.#input.name}[${owner}]`;
    return { row: this.rows.get(key), input, reads, ...(kept === undefined ? {} : { kept }) };
  }

  /** Answers nothing when the earlier result stands. */
  #compute(key: string): Outcome<Out> | undefined {
    const row = this.#input.rows.get(key);
    if (row === undefined) {
      this.#remember(key, []);
      this.#kept.delete(key);
      return { key, rows: [] };
    }
    const hasEarlier = this.#outputsOf(key).length > 0;
    const reading = new Reading(this, hasEarlier);
    const rows = [...this.#derivation(row, reading, key)];
    this.#remember(key, reading.buckets);
    if (!hasEarlier || reading.kept === undefined) {
      this.#kept.delete(key);
      return { key, rows };
    }
    this.#kept.set(key, reading.kept);
    return undefined;
  }

  #remember(key: string, buckets: readonly number[]): void {
    let entry = this.#entries.get(key);
    if (buckets.length === 0) {
      if (entry === undefined) return;
      this.memory.removeEntry(entry);
      this.#entries.delete(key);
      return;
    }
    if (entry === undefined) {
      entry = this.memory.addEntry(this, key);
      this.#entries.set(key, entry);
    }
    this.memory.reread(entry, buckets);
  }

  #outputsOf(key: string): readonly string[] {
    const outputs = this.#outputs.get(key);
    if (outputs !== undefined) return typeof outputs === "string" ? [outputs] : outputs;
    return this.rows.has(key) && !this.#owners.has(key) ? [key] : [];
  }

  #retract(from: string): void {
    for (const key of this.#outputsOf(from)) {
      this.remove(key);
      if (key !== from) this.#owners.delete(key);
    }
    this.#outputs.delete(from);
  }

  #publish({ key: from, rows }: Outcome<Out>): void {
    for (const [key, row] of rows) {
      assert(!this.rows.has(key), () => `${this.name}: ${this.#owners.get(key) ?? key} and ${from} both give ${key}`);
      if (key !== from) this.#owners.set(key, from);
      this.write(key, row);
    }
    const [first] = rows;
    if (first === undefined || (rows.length === 1 && first[0] === from)) return;
    this.#outputs.set(from, rows.length === 1 ? first[0] : rows.map(([key]) => key));
  }
}

/** The values of one or more indexes as rows: a value is there while any row has it. It keeps no rows of its own. */
import { assert } from "./assert.ts";
import type { Change, Explanation } from "./collection.ts";
import type { IndexTable } from "./index-table.ts";
import { type Place, Table } from "./table.ts";
import { VirtualRows } from "./virtual-rows.ts";

type AnyIndex = Pick<IndexTable<unknown>, "has" | "size" | "name" | "readers" | "values" | "valueFollowers">;

class ValueRows extends VirtualRows<string> {
  readonly #indexes: readonly AnyIndex[];

  constructor(indexes: readonly AnyIndex[]) {
    super();
    this.#indexes = indexes;
  }

  override get size(): number {
    if (this.#indexes.length === 1) return this.#indexes[0]?.size ?? 0;
    let size = 0;
    for (const _value of this.keys()) size++;
    return size;
  }

  override get(value: string): string | undefined {
    return this.has(value) ? value : undefined;
  }

  override has(value: string): boolean {
    return this.#indexes.some((index) => index.has(value));
  }

  override *entries(): MapIterator<[string, string]> {
    for (const [at, index] of this.#indexes.entries()) {
      const earlier = this.#indexes.slice(0, at);
      for (const value of index.values()) {
        if (!earlier.some((one) => one.has(value))) yield [value, value];
      }
    }
  }
}

export class ValuesTable extends Table<string> {
  readonly #indexes: readonly AnyIndex[];
  readonly #rows: ValueRows;
  /** Values that came or went in an index in the running commit, and whether they were rows before it. */
  readonly #was = new Map<string, boolean>();

  constructor(place: Place, indexes: readonly AnyIndex[]) {
    super(place);
    this.#indexes = indexes;
    this.#rows = new ValueRows(indexes);
    for (const index of indexes) {
      assert(index.size === 0, () => `values ${place.name} must be made before ${index.name} has rows`);
      index.valueFollowers.push((value, isThere) => {
        if (this.#was.has(value)) return;
        const isElsewhere = indexes.some((other) => other !== index && other.has(value));
        this.#was.set(value, isElsewhere || !isThere);
      });
    }
  }

  override get rows(): ReadonlyMap<string, string> {
    return this.#rows;
  }

  protected override update(): Change<string>[] {
    const changes: Change<string>[] = [];
    for (const [key, was] of this.#was) {
      const is = this.#rows.has(key);
      if (was !== is) changes.push({ key, before: was ? key : undefined, after: is ? key : undefined });
    }
    if (this.#was.size > 0) this.#was.clear();
    return changes;
  }

  override explain(value: string): Explanation {
    const index = this.#indexes.find((one) => one.has(value));
    const input = index === undefined ? "" : `${index.readers.name}[${value}]`;
    return { row: this.rows.get(value), input, reads: [] };
  }
}

/** A grouping: for each computed value, the rows that have it, in key order. */
import type { Explanation } from "./collection.ts";
import { IndexTable } from "./index-table.ts";
import { StoredTable } from "./stored-table.ts";
import type { Place, Table } from "./table.ts";

export class GroupTable<T> extends StoredTable<readonly T[]> {
  readonly #input: Table<T>;
  readonly #index: IndexTable<T>;
  readonly #dirty = new Set<string>();

  constructor(place: Place, input: Table<T>, by: (row: T) => readonly string[]) {
    super(place);
    this.#input = input;
    this.#index = new IndexTable(input, `groupedBy(${place.name})`, by);
    input.indexes.push(this.#index);
    const mark = (row: T | undefined): void => {
      for (const value of row === undefined ? [] : by(row)) this.#dirty.add(value);
    };
    for (const row of input.rows.values()) mark(row);
    input.followers.push((change) => {
      mark(change.before);
      mark(change.after);
    });
  }

  protected override rewrite(): void {
    for (const value of this.#dirty) {
      const members = this.#index.rowsOf(value);
      if (members.length === 0) this.remove(value);
      else this.write(value, members);
    }
    if (this.#dirty.size > 0) this.#dirty.clear();
  }

  override explain(key: string): Explanation {
    return { row: this.rows.get(key), input: `${this.#input.name}[by ${key}]`, reads: [] };
  }
}

/** A grouping: for each computed value, the rows that have it, in key order. */
import type { Explanation } from "./collection.ts";
import { IndexTable } from "./index-table.ts";
import { Table } from "./table.ts";

export class GroupTable<T> extends Table<readonly T[]> {
  readonly #input: Table<T>;
  readonly #index: IndexTable<T>;
  readonly #dirty = new Set<string>();

  constructor(name: string, place: number, input: Table<T>, by: (row: T) => readonly string[]) {
    super(name, place);
    this.#input = input;
    this.#index = new IndexTable(input, `groupedBy(${name})`, by);
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

  override update(): void {
    for (const value of this.#dirty) {
      const members = this.#index.rowsOf(value);
      if (members.length === 0) this.remove(value);
      else this.write(value, members);
    }
    this.#dirty.clear();
  }

  override explain(key: string): Explanation {
    return { row: this.rows.get(key), input: `${this.#input.name}[by ${key}]`, reads: [] };
  }
}

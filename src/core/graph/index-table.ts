/** An index: keys of one table's rows by computed value. Kept by its table in that one's turn. */
import type { Change, Index } from "./collection.ts";
import { Postings } from "./postings.ts";
import { Readers } from "./readers.ts";
import type { Table } from "./table.ts";

export class IndexTable<T> implements Index<T> {
  readonly of: Table<T>;
  readonly name: string;
  readonly readers: Readers;
  /** Told of each value that comes or goes. */
  readonly valueFollowers: ((value: string, isThere: boolean) => void)[] = [];
  readonly #by: (row: T, key: string) => readonly string[];
  readonly #postings = new Postings();

  constructor(of: Table<T>, name: string, by: (row: T, key: string) => readonly string[]) {
    this.of = of;
    this.name = name;
    this.readers = new Readers(of.memory, `${of.name}.${name}`);
    this.#by = by;
    for (const [key, after] of of.rows) this.apply({ key, before: undefined, after });
  }

  rowsOf(value: string): readonly T[] {
    const keys = this.#postings.of(value);
    const rows: T[] = [];
    for (const key of keys) {
      const row = this.of.rows.get(key);
      if (row !== undefined) rows.push(row);
    }
    // Groups keep the list, so it must not have room to grow.
    return rows.slice();
  }

  apply({ key, before, after }: Change<T>): void {
    const touched = new Set<string>();
    for (const value of before === undefined ? [] : this.#by(before, key)) {
      if (this.#postings.remove(value, key)) this.#tell(value, false);
      touched.add(value);
    }
    for (const value of after === undefined ? [] : this.#by(after, key)) {
      if (this.#postings.add(value, key)) this.#tell(value, true);
      touched.add(value);
    }
    for (const value of touched) this.readers.changed(value);
  }

  has(value: string): boolean {
    return this.#postings.has(value);
  }

  values(): Iterable<string> {
    return this.#postings.values();
  }

  /** Number of values. */
  get size(): number {
    return this.#postings.size;
  }

  #tell(value: string, isThere: boolean): void {
    for (const follow of this.valueFollowers) follow(value, isThere);
  }
}

/** An index: keys of one table's rows by computed value. Kept by its table when that settles. */
import type { Change, Index } from "./collection.ts";
import { compareKeys } from "./order.ts";
import { Readers } from "./readers.ts";
import type { Table } from "./table.ts";

interface Posting {
  readonly keys: Set<string>;
  sorted: readonly string[] | undefined;
}

export class IndexTable<T> implements Index<T> {
  readonly of: Table<T>;
  readonly name: string;
  readonly readers: Readers;
  readonly #by: (row: T) => readonly string[];
  /** Most values have one key, which stands for itself: a posting costs ten times as much. */
  readonly #postings = new Map<string, string | Posting>();

  constructor(of: Table<T>, name: string, by: (row: T) => readonly string[]) {
    this.of = of;
    this.name = name;
    this.readers = new Readers(`${of.name}.${name}`);
    this.#by = by;
    for (const [key, after] of of.rows) this.apply({ key, before: undefined, after });
  }

  rowsOf(value: string): readonly T[] {
    const rows: T[] = [];
    for (const key of this.#keysOf(value)) {
      const row = this.of.rows.get(key);
      if (row !== undefined) rows.push(row);
    }
    // Groups keep the list, so it must not have room to grow.
    return rows.slice();
  }

  apply(change: Change<T>): void {
    const touched = new Set<string>();
    for (const value of change.before === undefined ? [] : this.#by(change.before)) {
      this.#drop(value, change.key);
      touched.add(value);
    }
    for (const value of change.after === undefined ? [] : this.#by(change.after)) {
      this.#add(value, change.key);
      touched.add(value);
    }
    for (const value of touched) this.readers.changed(value);
  }

  get size(): number {
    return this.#postings.size;
  }

  #keysOf(value: string): readonly string[] {
    const posting = this.#postings.get(value);
    if (posting === undefined) return [];
    if (typeof posting === "string") return [posting];
    posting.sorted ??= [...posting.keys].sort(compareKeys);
    return posting.sorted;
  }

  #add(value: string, key: string): void {
    const posting = this.#postings.get(value);
    if (posting === undefined) {
      this.#postings.set(value, key);
    } else if (typeof posting === "string") {
      if (posting !== key) this.#postings.set(value, { keys: new Set([posting, key]), sorted: undefined });
    } else if (!posting.keys.has(key)) {
      posting.keys.add(key);
      posting.sorted = undefined;
    }
  }

  #drop(value: string, key: string): void {
    const posting = this.#postings.get(value);
    if (posting === undefined) return;
    if (typeof posting === "string") {
      if (posting === key) this.#postings.delete(value);
      return;
    }
    if (!posting.keys.delete(key)) return;
    posting.sorted = undefined;
    if (posting.keys.size === 0) this.#postings.delete(value);
  }
}

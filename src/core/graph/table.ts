/**
 * What every collection is made of: rows, the changes of the running commit, and those who must hear of them. A table
 * owns its rows; only its own `update` writes them.
 */
import type { Change, Collection, Explanation } from "./collection.ts";
import { isEqual } from "./equal.ts";
import type { IndexTable } from "./index-table.ts";
import { compareKeys } from "./order.ts";
import { Readers } from "./readers.ts";

/** A table's place in its graph, and what can be asked of it without knowing its rows' type. */
export interface Inspectable {
  readonly name: string;
  /** Place in creation order: a table may read only tables with a lower one. */
  readonly place: number;
  readonly rows: ReadonlyMap<string, unknown>;
  /** Remembered looks at this table and at its indexes. */
  readonly reads: number;
  explain(key: string): Explanation;
}

/** The bucket of those who read a whole collection. */
export const everything = "*";

export abstract class Table<T> implements Collection<T>, Inspectable {
  readonly name: string;
  readonly place: number;
  readonly keyReaders: Readers;
  readonly allReaders: Readers;
  readonly indexes: IndexTable<T>[] = [];
  readonly followers: ((change: Change<T>) => void)[] = [];
  readonly watchers: ((changes: readonly Change<T>[]) => void)[] = [];
  readonly #rows = new Map<string, T>();
  readonly #before = new Map<string, T | undefined>();
  #sorted: readonly T[] | undefined;

  constructor(name: string, place: number) {
    this.name = name;
    this.place = place;
    this.keyReaders = new Readers(name);
    this.allReaders = new Readers(name);
  }

  get rows(): ReadonlyMap<string, T> {
    return this.#rows;
  }

  /** Brings the rows up to date with earlier tables. */
  abstract update(): void;

  abstract explain(key: string): Explanation;

  /** Ends the table's turn in a commit: compares, tells dependents, answers the net changes in key order. */
  settle(): readonly Change<T>[] {
    if (this.#before.size === 0) return [];
    const changes: Change<T>[] = [];
    for (const [key, before] of this.#before) {
      const after = this.#rows.get(key);
      if (!isEqual(before, after)) changes.push({ key, before, after });
      else if (before !== undefined) this.#rows.set(key, before);
    }
    this.#before.clear();
    if (changes.length === 0) return changes;
    this.#sorted = undefined;
    changes.sort((a, b) => compareKeys(a.key, b.key));
    for (const change of changes) {
      this.keyReaders.changed(change.key);
      for (const index of this.indexes) index.apply(change);
      for (const follow of this.followers) follow(change);
    }
    this.allReaders.changed(everything);
    return changes;
  }

  get reads(): number {
    return this.indexes.reduce((sum, index) => sum + index.readers.size, this.keyReaders.size + this.allReaders.size);
  }

  /** All rows in key order. */
  sorted(): readonly T[] {
    this.#sorted ??= [...this.#rows].sort(([a], [b]) => compareKeys(a, b)).map(([, row]) => row);
    return this.#sorted;
  }

  protected write(key: string, row: T): void {
    this.#remember(key);
    this.#rows.set(key, row);
  }

  protected remove(key: string): void {
    this.#remember(key);
    this.#rows.delete(key);
  }

  #remember(key: string): void {
    if (!this.#before.has(key)) this.#before.set(key, this.#rows.get(key));
  }
}

/**
 * What every collection is made of: rows, the changes of the running commit, and those who must hear of them. A table
 * owns its rows; only its own `update` moves them.
 */
import type { Change, Collection, Explanation } from "./collection.ts";
import type { IndexTable } from "./index-table.ts";
import type { Memory } from "./memory.ts";
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

/** Where a table stands. */
export interface Place {
  readonly name: string;
  readonly place: number;
  readonly memory: Memory;
}

/** The bucket of those who read a whole collection. */
export const everything = "*";

export abstract class Table<T> implements Collection<T>, Inspectable {
  readonly name: string;
  readonly place: number;
  readonly memory: Memory;
  readonly keyReaders: Readers;
  readonly allReaders: Readers;
  readonly indexes: IndexTable<T>[] = [];
  readonly followers: ((change: Change<T>) => void)[] = [];
  readonly watchers: ((changes: readonly Change<T>[]) => void)[] = [];
  #sorted: readonly T[] | undefined;

  constructor({ name, place, memory }: Place) {
    this.name = name;
    this.place = place;
    this.memory = memory;
    this.keyReaders = new Readers(memory, name);
    this.allReaders = new Readers(memory, name);
  }

  abstract readonly rows: ReadonlyMap<string, T>;

  /** Brings the rows up to date with earlier tables, and answers the net changes in any order. */
  protected abstract update(): Change<T>[];

  abstract explain(key: string): Explanation;

  /** The table's turn in a commit: updates, tells dependents, answers the net changes in key order. */
  turn(): readonly Change<T>[] {
    const changes = this.update();
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
    this.#sorted ??= [...this.rows].sort(([a], [b]) => compareKeys(a, b)).map(([, row]) => row);
    return this.#sorted;
  }
}

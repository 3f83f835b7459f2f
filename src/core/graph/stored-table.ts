/** A table that keeps its rows, and what they were at the beginning of the running commit. */
import type { Change } from "./collection.ts";
import { isEqual } from "./equal.ts";
import { Table } from "./table.ts";

export abstract class StoredTable<T> extends Table<T> {
  readonly #rows = new Map<string, T>();
  readonly #before = new Map<string, T | undefined>();

  override get rows(): ReadonlyMap<string, T> {
    return this.#rows;
  }

  /** Brings the rows up to date with earlier tables, by `write` and `remove`. */
  protected abstract rewrite(): void;

  protected override update(): Change<T>[] {
    this.rewrite();
    const changes: Change<T>[] = [];
    for (const [key, before] of this.#before) {
      const after = this.#rows.get(key);
      if (!isEqual(before, after)) changes.push({ key, before, after });
      else if (before !== undefined) this.#rows.set(key, before);
    }
    if (this.#before.size > 0) this.#before.clear();
    return changes;
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

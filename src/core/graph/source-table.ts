/** A source: rows written from outside, staged until the commit. */
import type { Explanation, Source } from "./collection.ts";
import { StoredTable } from "./stored-table.ts";

export class SourceTable<T> extends StoredTable<T> implements Source<T> {
  readonly #staged = new Map<string, T | undefined>();

  set(key: string, row: T): void {
    this.#staged.set(key, row);
  }

  delete(key: string): void {
    this.#staged.set(key, undefined);
  }

  protected override rewrite(): void {
    for (const [key, row] of this.#staged) {
      if (row === undefined) this.remove(key);
      else this.write(key, row);
    }
    if (this.#staged.size > 0) this.#staged.clear();
  }

  override explain(key: string): Explanation {
    return { row: this.rows.get(key), input: "", reads: [] };
  }
}

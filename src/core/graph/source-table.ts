/** A source: rows written from outside, staged until the commit. */
import type { Explanation, Source } from "./collection.ts";
import { Table } from "./table.ts";

export class SourceTable<T> extends Table<T> implements Source<T> {
  readonly #staged = new Map<string, T | undefined>();

  set(key: string, row: T): void {
    this.#staged.set(key, row);
  }

  delete(key: string): void {
    this.#staged.set(key, undefined);
  }

  override update(): void {
    for (const [key, row] of this.#staged) {
      if (row === undefined) this.remove(key);
      else this.write(key, row);
    }
    this.#staged.clear();
  }

  override explain(key: string): Explanation {
    return { row: this.rows.get(key), input: "", reads: [] };
  }
}

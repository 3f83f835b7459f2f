/** A union: the rows of several tables under their own keys, which must not overlap. */
import { assert } from "./assert.ts";
import type { Explanation } from "./collection.ts";
import { Table } from "./table.ts";

export class UnionTable<T> extends Table<T> {
  readonly #parts: readonly Table<T>[];
  readonly #dirty = new Set<string>();

  constructor(name: string, place: number, parts: readonly Table<T>[]) {
    super(name, place);
    this.#parts = parts;
    for (const part of parts) {
      for (const key of part.rows.keys()) this.#dirty.add(key);
      part.followers.push((change) => this.#dirty.add(change.key));
    }
  }

  override update(): void {
    for (const key of this.#dirty) {
      const owners = this.#parts.filter((part) => part.rows.has(key));
      assert(
        owners.length < 2,
        () => `union ${this.name}: ${owners.map((o) => o.name).join(" and ")} both have ${key}`,
      );
      const row = owners[0]?.rows.get(key);
      if (row === undefined) this.remove(key);
      else this.write(key, row);
    }
    this.#dirty.clear();
  }

  override explain(key: string): Explanation {
    const owner = this.#parts.find((part) => part.rows.has(key));
    return { row: this.rows.get(key), input: owner === undefined ? "" : `${owner.name}[${key}]`, reads: [] };
  }
}

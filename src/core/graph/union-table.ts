/** A union: the rows of several tables under their own keys, which must not overlap. It keeps no rows of its own. */
import { assert } from "./assert.ts";
import type { Change, Explanation } from "./collection.ts";
import { isEqual } from "./equal.ts";
import { type Place, Table } from "./table.ts";
import { VirtualRows } from "./virtual-rows.ts";

class UnionRows<T> extends VirtualRows<T> {
  readonly #parts: readonly Table<T>[];

  constructor(parts: readonly Table<T>[]) {
    super();
    this.#parts = parts;
  }

  override get size(): number {
    return this.#parts.reduce((sum, part) => sum + part.rows.size, 0);
  }

  override get(key: string): T | undefined {
    for (const part of this.#parts) {
      const row = part.rows.get(key);
      if (row !== undefined) return row;
    }
    return undefined;
  }

  override has(key: string): boolean {
    return this.#parts.some((part) => part.rows.has(key));
  }

  override *entries(): MapIterator<[string, T]> {
    for (const part of this.#parts) yield* part.rows;
  }
}

export class UnionTable<T> extends Table<T> {
  readonly #parts: readonly Table<T>[];
  readonly #rows: UnionRows<T>;
  /** Rows as they were before the running commit, of the keys that moved. */
  readonly #before = new Map<string, T | undefined>();

  constructor(place: Place, parts: readonly Table<T>[]) {
    super(place);
    this.#parts = parts;
    this.#rows = new UnionRows(parts);
    for (const part of parts) {
      assert(part.rows.size === 0, () => `union ${place.name} must be made before ${part.name} has rows`);
      part.followers.push(({ key, before }) => {
        // A key that goes from one part to another is heard of twice; one of the two had no row.
        if (before !== undefined || !this.#before.has(key)) this.#before.set(key, before);
      });
    }
  }

  override get rows(): ReadonlyMap<string, T> {
    return this.#rows;
  }

  protected override update(): Change<T>[] {
    const changes: Change<T>[] = [];
    for (const [key, before] of this.#before) {
      const owners = this.#parts.filter((part) => part.rows.has(key));
      const names = (): string => owners.map((owner) => owner.name).join(" and ");
      assert(owners.length < 2, () => `union ${this.name}: ${names()} both have ${key}`);
      const after = owners[0]?.rows.get(key);
      if (!isEqual(before, after)) changes.push({ key, before, after });
    }
    if (this.#before.size > 0) this.#before.clear();
    return changes;
  }

  override explain(key: string): Explanation {
    const owner = this.#parts.find((part) => part.rows.has(key));
    return { row: this.rows.get(key), input: owner === undefined ? "" : `${owner.name}[${key}]`, reads: [] };
  }
}

/** A view: each row of one table in another form, made whenever it is asked for. It keeps no rows of its own. */
import { assert } from "./assert.ts";
import type { Change, Explanation } from "./collection.ts";
import { isEqual } from "./equal.ts";
import { type Place, Table } from "./table.ts";
import { VirtualRows } from "./virtual-rows.ts";

class ViewRows<In, Out> extends VirtualRows<Out> {
  readonly #input: ReadonlyMap<string, In>;
  readonly #make: (row: In) => Out;

  constructor(input: ReadonlyMap<string, In>, make: (row: In) => Out) {
    super();
    this.#input = input;
    this.#make = make;
  }

  override get size(): number {
    return this.#input.size;
  }

  override get(key: string): Out | undefined {
    const row = this.#input.get(key);
    return row === undefined ? undefined : this.#make(row);
  }

  override has(key: string): boolean {
    return this.#input.has(key);
  }

  override *entries(): MapIterator<[string, Out]> {
    for (const [key, row] of this.#input) yield [key, this.#make(row)];
  }
}

export class ViewTable<In, Out> extends Table<Out> {
  readonly #input: Table<In>;
  readonly #rows: ViewRows<In, Out>;
  #changes: Change<Out>[] = [];

  constructor(place: Place, input: Table<In>, make: (row: In) => Out) {
    super(place);
    assert(input.rows.size === 0, () => `view ${place.name} must be made before ${input.name} has rows`);
    this.#input = input;
    this.#rows = new ViewRows(input.rows, make);
    input.followers.push((change) => {
      const before = change.before === undefined ? undefined : make(change.before);
      const after = change.after === undefined ? undefined : make(change.after);
      if (!isEqual(before, after)) this.#changes.push({ key: change.key, before, after });
    });
  }

  override get rows(): ReadonlyMap<string, Out> {
    return this.#rows;
  }

  protected override update(): Change<Out>[] {
    const changes = this.#changes;
    if (changes.length > 0) this.#changes = [];
    return changes;
  }

  override explain(key: string): Explanation {
    const input = this.#input.rows.has(key) ? `${this.#input.name}[${key}]` : "";
    return { row: this.rows.get(key), input, reads: [] };
  }
}

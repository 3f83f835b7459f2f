/**
 * The graph: an ordered list of keyed collections, brought up to date in one forward walk per commit. A collection may
 * read only collections made before it, so creation order is a topological order and no reader sees half a change.
 */
import { assert } from "./assert.ts";
import type { Change, Collection, Derivation, Explanation, Index, Source } from "./collection.ts";
import { DerivedTable } from "./derived-table.ts";
import { GroupTable } from "./group-table.ts";
import { IndexTable } from "./index-table.ts";
import { Memory } from "./memory.ts";
import { SourceTable } from "./source-table.ts";
import { type Inspectable, type Place, Table } from "./table.ts";
import { UnionTable } from "./union-table.ts";
import { ValuesTable } from "./values-table.ts";
import { ViewTable } from "./view-table.ts";

/** One table's turn in a commit; answers how to tell its watchers, when there is something to tell. */
type Turn = () => (() => void) | undefined;

export class Graph {
  readonly #turns: Turn[] = [];
  readonly #tables = new Map<string, Inspectable>();
  readonly #memory = new Memory();
  #isWalking = false;

  source<T>(name: string): Source<T> {
    return this.#add(new SourceTable<T>(this.#place(name)));
  }

  derive<In, Out>(name: string, input: Collection<In>, derivation: Derivation<In, Out>): Collection<Out> {
    return this.#add(new DerivedTable(this.#place(name), this.#own(input), derivation));
  }

  /** The rows of all parts; their keys must not overlap. */
  union<T>(name: string, ...parts: readonly Collection<T>[]): Collection<T> {
    const tables = parts.map((part) => this.#own(part));
    return this.#add(new UnionTable(this.#place(name), tables));
  }

  group<T>(name: string, input: Collection<T>, by: (row: T) => readonly string[]): Collection<readonly T[]> {
    return this.#add(new GroupTable(this.#place(name), this.#own(input), by));
  }

  /** Every row in another form, under its own key. Nothing is kept: `make` is called whenever a row is looked at. */
  view<In, Out>(name: string, input: Collection<In>, make: (row: In) => Out): Collection<Out> {
    return this.#add(new ViewTable(this.#place(name), this.#own(input), make));
  }

  /** One row for each value that any row has in any of these indexes: the value itself, under itself. */
  values(name: string, ...indexes: readonly Index<unknown>[]): Collection<string> {
    const tables = indexes.map((index) => {
      assert(index instanceof IndexTable, () => `index ${index.name} was not made by a graph`);
      return index;
    });
    return this.#add(new ValuesTable(this.#place(name), tables));
  }

  index<T>(of: Collection<T>, name: string, by: (row: T, key: string) => readonly string[]): Index<T> {
    const table = this.#own(of);
    const index = new IndexTable<T>(table, name, by);
    table.indexes.push(index);
    return index;
  }

  /** Net changes, once per commit, in key order, after the whole graph is up to date. */
  watch<T>(of: Collection<T>, heard: (changes: readonly Change<T>[]) => void): void {
    this.#own(of).watchers.push(heard);
  }

  commit(): void {
    assert(!this.#isWalking, () => "commit was called from inside a commit; writes made there wait for the next one");
    this.#isWalking = true;
    const news: (() => void)[] = [];
    for (const turn of this.#turns) {
      const tell = turn();
      if (tell !== undefined) news.push(tell);
    }
    for (const tell of news) tell();
    this.#isWalking = false;
  }

  explain(collection: string, key: string): Explanation {
    const table = this.#tables.get(collection);
    return table === undefined ? { row: undefined, input: "", reads: [] } : table.explain(key);
  }

  /** Every collection in creation order, for tests and the debug page. */
  get collections(): readonly Inspectable[] {
    return [...this.#tables.values()];
  }

  #add<T, Made extends Table<T>>(table: Made & Table<T>): Made {
    assert(!this.#tables.has(table.name), () => `the graph already has a collection ${table.name}`);
    this.#tables.set(table.name, table);
    this.#turns.push(() => {
      const changes = table.turn();
      if (changes.length === 0 || table.watchers.length === 0) return undefined;
      return () => {
        for (const heard of table.watchers) heard(changes);
      };
    });
    return table;
  }

  #place(name: string): Place {
    return { name, place: this.#tables.size, memory: this.#memory };
  }

  #own<T>(collection: Collection<T>): Table<T> {
    const isMine = collection instanceof Table && this.#tables.get(collection.name) === collection;
    assert(isMine, () => `collection ${collection.name} belongs to another graph`);
    assert(collection instanceof Table, () => `collection ${collection.name} was not made by a graph`);
    return collection;
  }
}

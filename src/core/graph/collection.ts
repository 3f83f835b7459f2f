/**
 * The words of the graph: what a reader of any wiring must know, and nothing about how it is kept up to date.
 * Rows are plain read-only data with string keys; equality is deep.
 */

/** Keyed rows. `rows` is the state of the last commit; its iteration order means nothing (see `sortedRows`). */
export interface Collection<T> {
  readonly name: string;
  readonly rows: ReadonlyMap<string, T>;
}

/** Rows written from outside. Writes are staged: nothing shows them before the next commit. */
export interface Source<T> extends Collection<T> {
  set(key: string, row: T): void;
  delete(key: string): void;
}

/** Rows of one collection by a value computed from each row. */
export interface Index<T> {
  readonly of: Collection<T>;
  readonly name: string;
  /** In key order. */
  rowsOf(value: string): readonly T[];
}

export interface Change<T> {
  readonly key: string;
  readonly before: T | undefined;
  readonly after: T | undefined;
}

/** What a derivation may look at besides its input row. Every look is remembered. */
export interface Reader {
  get<T>(from: Collection<T>, key: string): T | undefined;
  /** In key order. */
  lookup<T>(from: Index<T>, value: string): readonly T[];
  /** In key order. Costs a recompute on any change of the collection, so it is for small ones. */
  all<T>(from: Collection<T>): readonly T[];
  /**
   * What this input row gave last time stays as it is, whatever is yielded now, and the reason is recorded. Without
   * an earlier result (answer `false`) the yielded rows count.
   */
  keep(reason: string): boolean;
}

export type Derivation<In, Out> = (row: In, read: Reader, key: string) => Iterable<readonly [key: string, row: Out]>;

/** Where a row comes from, for people. */
export interface Explanation {
  readonly row: unknown;
  /** `<collection>[<key>]`, or "" for a row that was written from outside. */
  readonly input: string;
  readonly reads: readonly string[];
  /** Why an earlier result stands, when it does. */
  readonly kept?: string;
}

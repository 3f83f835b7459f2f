/** Rows that are kept elsewhere, seen as a map. */

export abstract class VirtualRows<T> implements ReadonlyMap<string, T> {
  abstract readonly size: number;
  abstract get(key: string): T | undefined;
  abstract has(key: string): boolean;
  abstract entries(): MapIterator<[string, T]>;

  *keys(): MapIterator<string> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): MapIterator<T> {
    for (const [, row] of this.entries()) yield row;
  }

  [Symbol.iterator](): MapIterator<[string, T]> {
    return this.entries();
  }

  forEach(heard: (row: T, key: string, rows: ReadonlyMap<string, T>) => void): void {
    for (const [key, row] of this.entries()) heard(row, key, this);
  }
}

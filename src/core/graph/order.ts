/** The one order of keys (by code unit), wherever an order can be seen. */
import type { Collection } from "./collection.ts";

export const compareKeys = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export function sortedRows<T>(collection: Collection<T>): readonly (readonly [key: string, row: T])[] {
  return [...collection.rows].sort(([a], [b]) => compareKeys(a, b));
}

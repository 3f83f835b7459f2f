/** Small tools for JSON values. Pure. */

export type Fields = Record<string, unknown>;

export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {});

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);

export const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

const plain = { enumerable: true, writable: true, configurable: true };

/** A copy that shares nothing. JSON values only. */
export function clone<T>(value: T): T {
  // The copy has the shape of the original, part by part.
  if (Array.isArray(value)) return value.map((item: unknown) => clone(item)) as T;
  if (!isFields(value)) return value;
  const copy: Fields = {};
  for (const key in value) {
    // Setting this one would change what the copy is, and lose the value.
    if (key === "__proto__") Object.defineProperty(copy, key, { value: clone(value[key]), ...plain });
    else copy[key] = clone(value[key]);
  }
  return copy as T;
}

export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => isEqual(item, b[index]));
  }
  if (!isFields(a) || !isFields(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => key in b && isEqual(a[key], b[key]));
}

/** The value at a path of field names; undefined when a step is missing. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let current = value;
  for (const step of path) {
    if (!isFields(current)) return undefined;
    current = current[step];
  }
  return current;
}

/** Sets in place; makes the steps that are missing. */
export function setAt(value: Fields, path: readonly string[], leaf: unknown): void {
  let current = value;
  for (const step of path.slice(0, -1)) {
    const next = current[step];
    if (isFields(next)) current = next;
    else current = current[step] = {};
  }
  const last = path.at(-1);
  if (last === undefined) return;
  if (leaf === undefined) delete current[last];
  else current[last] = leaf;
}

/** Text with sorted keys: equal values give equal text. */
export function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (!isFields(value)) return JSON.stringify(value) ?? "null";
  const parts = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalText(value[key])}`);
  return `{${parts.join(",")}}`;
}

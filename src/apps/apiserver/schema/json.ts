/** Careful access to JSON of unknown shape: each reader answers with an empty value where the shape does not fit. */

export type JsonObject = Record<string, unknown>;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const objectAt = (holder: unknown, ...path: readonly string[]): JsonObject => {
  const value = valueAt(holder, ...path);
  return isObject(value) ? value : {};
};

export const valueAt = (holder: unknown, ...path: readonly string[]): unknown => {
  let value = holder;
  for (const name of path) {
    if (!isObject(value)) return undefined;
    value = value[name];
  }
  return value;
};

export const listAt = (holder: unknown, ...path: readonly string[]): readonly unknown[] => {
  const value = valueAt(holder, ...path);
  return Array.isArray(value) ? value : [];
};

export const objectsAt = (holder: unknown, ...path: readonly string[]): readonly JsonObject[] =>
  listAt(holder, ...path).filter(isObject);

export const textAt = (holder: unknown, ...path: readonly string[]): string => {
  const value = valueAt(holder, ...path);
  return typeof value === "string" ? value : "";
};

export const numberAt = (holder: unknown, ...path: readonly string[]): number => {
  const value = valueAt(holder, ...path);
  return typeof value === "number" ? value : 0;
};

/** The object under `name`, made when absent. */
export const ensureObject = (holder: JsonObject, name: string): JsonObject => {
  const found = holder[name];
  if (isObject(found)) return found;
  const made: JsonObject = {};
  holder[name] = made;
  return made;
};

export const setIfAbsent = (holder: JsonObject, name: string, value: unknown): void => {
  if (holder[name] === undefined || holder[name] === null) holder[name] = value;
};

/** Equal as JSON, whatever the order of keys. */
export const isEqualJson = (left: unknown, right: unknown): boolean => {
  if (left === right) return true;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => isEqualJson(item, right[index]));
  }
  if (!isObject(left) || !isObject(right)) return false;
  const names = Object.keys(left).filter((name) => left[name] !== undefined);
  const others = Object.keys(right).filter((name) => right[name] !== undefined);
  return names.length === others.length && names.every((name) => isEqualJson(left[name], right[name]));
};

/** JSON with sorted keys: equal values have equal texts. */
export const canonicalJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (isObject(value)) {
    const parts = Object.keys(value)
      .sort()
      .filter((name) => value[name] !== undefined)
      .map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`);
    return `{${parts.join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
};

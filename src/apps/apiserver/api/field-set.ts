/** Sets of field paths as managedFields hold them (`FieldsV1`, A30): trees whose edges are path elements. Pure. */
import type { Schema } from "../kind.ts";
import type { Fields } from "./json.ts";
import { fieldsOf, isEqual, isFields } from "./json.ts";
import { elementOf, fieldElement, fieldSchema, isLeaf, itemElement } from "./schema-walk.ts";

export interface FieldSet {
  /** Whether the path that leads here is itself in the set; written `.` when there are paths below. */
  readonly isMember: boolean;
  readonly below: ReadonlyMap<string, FieldSet>;
}

export const emptySet: FieldSet = { isMember: false, below: new Map() };
const leaf: FieldSet = { isMember: true, below: new Map() };

export const isEmptySet = (set: FieldSet): boolean => !set.isMember && set.below.size === 0;

export function parseFieldSet(fieldsV1: unknown): FieldSet {
  const below = new Map<string, FieldSet>();
  const fields = fieldsOf(fieldsV1);
  for (const [element, value] of Object.entries(fields)) {
    if (element === ".") continue;
    const child = parseFieldSet(value);
    below.set(element, isEmptySet(child) ? leaf : child);
  }
  return { isMember: "." in fields, below };
}

export function formatFieldSet(set: FieldSet): Fields {
  const fields: Fields = {};
  if (set.isMember && set.below.size > 0) fields["."] = {};
  for (const element of [...set.below.keys()].sort()) fields[element] = formatFieldSet(set.below.get(element) ?? leaf);
  return fields;
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmptySet(a)) return b;
  if (isEmptySet(b)) return a;
  const below = new Map(a.below);
  for (const [element, child] of b.below) {
    const mine = below.get(element);
    below.set(element, mine === undefined ? child : union(mine, child));
  }
  return { isMember: a.isMember || b.isMember, below };
}

/** The members of `a` that are not members of `b`. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  const below = new Map<string, FieldSet>();
  for (const [element, child] of a.below) {
    const other = b.below.get(element);
    const rest = other === undefined ? child : difference(child, other);
    if (!isEmptySet(rest)) below.set(element, rest);
  }
  return { isMember: a.isMember && !b.isMember, below };
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const below = new Map<string, FieldSet>();
  for (const [element, child] of a.below) {
    const other = b.below.get(element);
    const shared = other === undefined ? emptySet : intersection(child, other);
    if (!isEmptySet(shared)) below.set(element, shared);
  }
  return { isMember: a.isMember && b.isMember, below };
}

export function isEqualSet(a: FieldSet, b: FieldSet): boolean {
  if (a.isMember !== b.isMember || a.below.size !== b.below.size) return false;
  for (const [element, child] of a.below) {
    const other = b.below.get(element);
    if (other === undefined || !isEqualSet(child, other)) return false;
  }
  return true;
}

/** Members as paths of elements, in order. */
export function paths(set: FieldSet, before: readonly string[] = []): string[][] {
  const found = set.isMember ? [[...before]] : [];
  for (const element of [...set.below.keys()].sort()) {
    found.push(...paths(set.below.get(element) ?? emptySet, [...before, element]));
  }
  return found;
}

/** `.spec.containers[name="c"].image`, as conflicts name a path. */
export const pathText = (path: readonly string[]): string =>
  path
    .map((element) => {
      const rest = element.slice(2);
      if (element.startsWith("f:")) return `.${rest}`;
      if (element.startsWith("v:")) return `[=${rest}]`;
      const keys = Object.entries(fieldsOf(JSON.parse(rest)));
      return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(",")}]`;
    })
    .join("");

/**
 * Every path of a value. `isOwnedByUpdate` also counts maps, structs and lists themselves, as updates do (A31), but for
 * those whose path `isBare` names.
 */
export interface Collecting {
  readonly isOwnedByUpdate: boolean;
  isBare(path: string): boolean;
}

const isNothing = (value: Fields): boolean => Object.keys(value).length === 0;

export function fieldSetOf(value: unknown, schema: Schema | undefined, collecting: Collecting, path = ""): FieldSet {
  if (path !== "" && isLeaf(value, schema)) {
    return isFields(value) && collecting.isOwnedByUpdate && collecting.isBare(path) && isNothing(value)
      ? emptySet
      : leaf;
  }
  const below = new Map<string, FieldSet>();
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) {
      const child = fieldSetOf(item, schema?.items, collecting, `${path}[]`);
      below.set(itemElement(item, schema), { isMember: true, below: child.below });
    }
  } else if (isFields(value)) {
    for (const [name, inner] of Object.entries(value)) {
      const at = path === "" ? name : `${path}.${name}`;
      const child = fieldSetOf(inner, fieldSchema(schema, name), collecting, at);
      if (!isEmptySet(child)) below.set(fieldElement(name), child);
    }
  }
  return { isMember: path !== "" && collecting.isOwnedByUpdate && !collecting.isBare(path), below };
}

/** The paths of `set` (a set of `next`) at which `live` has nothing, or something else. */
export function changedPaths(set: FieldSet, next: unknown, live: unknown, schema: Schema | undefined): FieldSet {
  const below = new Map<string, FieldSet>();
  for (const [element, child] of set.below) {
    const mine = elementOf(next, schema, element);
    const theirs = elementOf(live, schema, element);
    const changed =
      theirs === undefined || mine === undefined ? child : changedBelow(child, mine.value, theirs.value, mine.schema);
    if (!isEmptySet(changed)) below.set(element, changed);
  }
  return { isMember: false, below };
}

function changedBelow(set: FieldSet, next: unknown, live: unknown, schema: Schema | undefined): FieldSet {
  if (set.below.size > 0) return changedPaths(set, next, live, schema);
  return isEqual(next, live) ? emptySet : leaf;
}

/** How server-side apply and strategic merge see a schema: list types, merge keys, elements of lists and maps. Pure. */
import type { Kind, Schema } from "../kind.ts";
import type { Fields } from "./json.ts";
import { canonicalText, isEqual, isFields } from "./json.ts";

const text: Schema = { type: "string" };
const textMap: Schema = { type: "object", additionalProperties: text };

/** Metadata merges alike in every kind, whatever the kind's own schema says of it. */
const metadataSchema: Schema = {
  type: "object",
  properties: {
    labels: textMap,
    annotations: textMap,
    finalizers: {
      type: "array",
      items: text,
      "x-kubernetes-list-type": "set",
      "x-kubernetes-patch-strategy": "merge",
    },
    ownerReferences: {
      type: "array",
      items: { type: "object", "x-kubernetes-map-type": "atomic", properties: { uid: text } },
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["uid"],
      "x-kubernetes-patch-strategy": "merge",
      "x-kubernetes-patch-merge-key": "uid",
    },
    managedFields: { type: "array", "x-kubernetes-list-type": "atomic" },
  },
};

const rootSchemas = new WeakMap<Schema, Schema>();

export function rootSchema(kind: Pick<Kind, "schema">): Schema {
  let root = rootSchemas.get(kind.schema);
  if (root === undefined) {
    root = { ...kind.schema, properties: { ...kind.schema.properties, metadata: metadataSchema } };
    rootSchemas.set(kind.schema, root);
  }
  return root;
}

export function fieldSchema(schema: Schema | undefined, name: string): Schema | undefined {
  const known = schema?.properties?.[name];
  if (known !== undefined) return known;
  return typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined;
}

/** Lists without a type, and lists that no schema describes, are replaced as a whole. */
export const listTypeOf = (schema: Schema | undefined): "map" | "set" | "atomic" =>
  schema?.["x-kubernetes-list-type"] ?? "atomic";

export const isAtomicMap = (schema: Schema | undefined): boolean => schema?.["x-kubernetes-map-type"] === "atomic";

export const mapKeysOf = (schema: Schema | undefined): readonly string[] =>
  schema?.["x-kubernetes-list-map-keys"] ?? [];

/** The path element of a field, `f:name`. */
export const fieldElement = (name: string): string => `f:${name}`;

/** The path element of a list item: `k:{…}` by its keys, with the schema's defaults for absent ones, or `v:…`. */
export function itemElement(item: unknown, list: Schema | undefined): string {
  if (listTypeOf(list) === "set" || !isFields(item)) return `v:${canonicalText(item)}`;
  return `k:${canonicalText(keyFieldsOf(item, list))}`;
}

function keyFieldsOf(item: Fields, list: Schema | undefined): Fields {
  const keys: Fields = {};
  for (const key of mapKeysOf(list)) {
    const value = item[key] ?? list?.items?.properties?.[key]?.default;
    if (value !== undefined) keys[key] = value;
  }
  return keys;
}

export interface Element {
  readonly value: unknown;
  readonly schema: Schema | undefined;
}

/** What stands at a path element below `value`. */
export function elementOf(value: unknown, schema: Schema | undefined, element: string): Element | undefined {
  if (element.startsWith("f:")) {
    const name = element.slice(2);
    if (!isFields(value) || !(name in value)) return undefined;
    return { value: value[name], schema: fieldSchema(schema, name) };
  }
  if (!Array.isArray(value)) return undefined;
  const index = indexOfElement(value, schema, element);
  return index < 0 ? undefined : { value: value[index], schema: schema?.items };
}

export const indexOfElement = (list: readonly unknown[], schema: Schema | undefined, element: string): number =>
  list.findIndex((item) => itemElement(item, schema) === element);

/** Whether the value is owned as one piece: scalars, atomic lists and maps, and what is empty. */
export function isLeaf(value: unknown, schema: Schema | undefined): boolean {
  if (Array.isArray(value)) return listTypeOf(schema) === "atomic" || value.length === 0;
  if (!isFields(value)) return true;
  return isAtomicMap(schema) || Object.keys(value).length === 0;
}

export const isSameItem = (a: unknown, b: unknown, list: Schema | undefined): boolean =>
  listTypeOf(list) === "set" ? isEqual(a, b) : itemElement(a, list) === itemElement(b, list);

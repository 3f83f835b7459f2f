/** Drops what a schema does not know, and says what that was (A38). */
import type { Schema } from "../kind.ts";
import { isObject } from "./json.ts";

/** At most this many unknown fields are named; more say nothing new. */
const namedUnknownMax = 100;

export interface PruneOptions {
  /** Schema of `metadata` inside embedded resources. */
  readonly metadata: Schema;
  /** Built-in kinds: a field that is null is as good as absent. */
  readonly dropNulls: boolean;
}

export const pruneObject = (value: unknown, schema: Schema, options: PruneOptions): readonly string[] => {
  const unknown: string[] = [];
  pruneValue(value, schema, "", { ...options, unknown });
  return unknown;
};

interface Walk extends PruneOptions {
  readonly unknown: string[];
}

function pruneValue(value: unknown, schema: Schema, path: string, walk: Walk): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return;
    value.forEach((item, index) => pruneValue(item, items, `${path}[${index}]`, walk));
    return;
  }
  if (!isObject(value)) return;
  const isEmbedded = schema["x-kubernetes-embedded-resource"] === true;
  const keepsUnknown = schema["x-kubernetes-preserve-unknown-fields"] === true;
  const { additionalProperties } = schema;
  const values = typeof additionalProperties === "object" ? additionalProperties : undefined;
  for (const [name, field] of Object.entries(value)) {
    const at = path === "" ? name : `${path}.${name}`;
    if (isEmbedded && (name === "apiVersion" || name === "kind")) continue;
    if (isEmbedded && name === "metadata") {
      pruneValue(field, walk.metadata, at, walk);
      continue;
    }
    const known = ownSchema(schema, name) ?? values;
    if (known !== undefined) {
      if (field === null && walk.dropNulls && values === undefined) delete value[name];
      else pruneValue(field, known, at, walk);
    } else if (!keepsUnknown && additionalProperties !== true) {
      delete value[name];
      if (walk.unknown.length < namedUnknownMax) walk.unknown.push(at);
    }
  }
}

/** `constructor` and the like are not properties of a schema unless it declares them. */
export const ownSchema = (schema: Schema, name: string): Schema | undefined => {
  const { properties } = schema;
  return properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
};

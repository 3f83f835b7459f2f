/** Fills the defaults of a schema into an object; filling twice changes nothing (A38). */
import type { Schema } from "../kind.ts";
import { isObject } from "./json.ts";
import { ownSchema } from "./prune.ts";

export function fillSchemaDefaults(value: unknown, schema: Schema): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) fillSchemaDefaults(item, schema.items);
    return;
  }
  if (!isObject(value)) return;
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (property.default === undefined) continue;
    const present = Object.hasOwn(value, name) ? value[name] : undefined;
    // A null where null is not allowed counts as absent when there is a default.
    if (present === undefined || (present === null && property.nullable !== true)) {
      value[name] = structuredClone(property.default);
    }
  }
  const values = typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined;
  for (const [name, field] of Object.entries(value)) {
    const known = ownSchema(schema, name) ?? values;
    if (known !== undefined) fillSchemaDefaults(field, known);
  }
}

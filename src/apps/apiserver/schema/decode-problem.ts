/**
 * What cannot be read as a built-in kind at all: text where a number belongs, bytes that are no base64. The API answers
 * such bodies with 400 before it looks at any rule, in the words of Go's JSON reader, which users search for. Pure.
 */
import type { Schema } from "../kind.ts";
import { hasFormat } from "./formats.ts";
import { isObject } from "./json.ts";
import { ownSchema } from "./prune.ts";

interface Place {
  /** Name of the type that holds the field. */
  readonly struct: string;
  /** Without indices, as Go has it. */
  readonly path: string;
}

/** The first problem, or undefined. Nulls count as absent. */
export const decodeProblem = (value: unknown, schema: Schema, kind: string): string | undefined =>
  problemOf(value, schema, { struct: kind, path: "" });

function problemOf(value: unknown, schema: Schema, place: Place): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (schema["x-kubernetes-int-or-string"] === true) return eitherProblem(value, schema, place);
  if (schema.type !== undefined && !isOfType(value, schema.type)) {
    const shown = typeof value === "number" && !Number.isInteger(value) ? `number ${value}` : jsonTypeOf(value);
    const field = place.path === "" ? "value" : `struct field ${place.struct}.${place.path}`;
    return `json: cannot unmarshal ${shown} into Go ${field} of type ${goTypeOf(schema)}`;
  }
  if (typeof value === "string") return textProblem(value, schema);
  if (Array.isArray(value))
    return first(value, (item) => (schema.items ? problemOf(item, schema.items, place) : undefined));
  if (!isObject(value)) return undefined;
  const struct = schema["x-tombolo-type"] ?? place.struct;
  const values = typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined;
  return first(Object.entries(value), ([name, field]) => {
    const known = ownSchema(schema, name);
    if (known === undefined) return values === undefined ? undefined : problemOf(field, values, place);
    return problemOf(field, known, { struct, path: place.path === "" ? name : `${place.path}.${name}` });
  });
}

function first<T>(items: readonly T[], problem: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = problem(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

const quantityText = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

function eitherProblem(value: unknown, schema: Schema, place: Place): string | undefined {
  const isQuantity = schema.format === "quantity";
  if (isQuantity && typeof value === "string" && !hasFormat("quantity", value)) return quantityText;
  if (typeof value === "string" || (typeof value === "number" && (isQuantity || Number.isInteger(value))))
    return undefined;
  const type = isQuantity ? "resource.Quantity" : "intstr.IntOrString";
  return `json: cannot unmarshal ${jsonTypeOf(value)} into Go struct field ${place.struct}.${place.path} of type ${type}`;
}

function textProblem(value: string, schema: Schema): string | undefined {
  if (schema.format === "byte" && !hasFormat("byte", value)) {
    return `illegal base64 data at input byte ${firstBadByte(value)}`;
  }
  if (schema.format === "date-time" && value !== "" && !hasFormat("date-time", value)) {
    const layout =
      schema["x-tombolo-type"] === "MicroTime" ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00";
    return `parsing time ${JSON.stringify(value)} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(value)} as "2006"`;
  }
  return undefined;
}

function firstBadByte(value: string): number {
  const at = value.search(/[^A-Za-z0-9+/=]/);
  return at >= 0 ? at : Math.floor(value.length / 4) * 4;
}

const isOfType = (value: unknown, type: NonNullable<Schema["type"]>): boolean => {
  switch (type) {
    case "integer":
      return typeof value === "number" && Number.isInteger(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return isObject(value);
    case "number":
    case "string":
    case "boolean":
      return typeof value === type;
  }
};

const jsonTypeOf = (value: unknown): string => {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
};

const goTypeOf = (schema: Schema | undefined): string => {
  switch (schema?.type) {
    case "integer":
      return schema.format ?? "int64";
    case "number":
      return "float64";
    case "boolean":
      return "bool";
    case "string":
      return schema.format === "byte" ? "[]uint8" : "string";
    case "array":
      return `[]${goTypeOf(schema.items)}`;
    case "object":
    case undefined: {
      const values = schema?.additionalProperties;
      if (typeof values === "object") return `map[string]${goTypeOf(values)}`;
      return `v1.${schema?.["x-tombolo-type"] ?? "RawExtension"}`;
    }
  }
};

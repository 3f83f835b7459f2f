/**
 * Checks a value against a structural schema: types, limits, enums, lists as maps and sets. Two wordings: that of
 * custom kinds (`spec.x in body must be …`) and that of built-in ones. CEL rules are checked elsewhere (`crd/cel`).
 */
import type { Cause, Schema } from "../kind.ts";
import { duplicate, invalid, required, tooLong, tooMany, unsupported, wrongType } from "./causes.ts";
import { compilePattern, hasFormat, matches } from "./formats.ts";
import { canonicalJson, isEqualJson, isObject, type JsonObject } from "./json.ts";
import { ownSchema } from "./prune.ts";

/** More causes than this help nobody. */
const causesMax = 200;

export interface Found {
  readonly causes: readonly Cause[];
  /** A type, enum, required, length or item-count error: rules cannot be relied on to run (A39). */
  readonly blocksRules: boolean;
}

interface Walk {
  readonly causes: Cause[];
  readonly isCustom: boolean;
  blocksRules: boolean;
}

export const validateSchema = (value: unknown, schema: Schema, path: string, isCustom: boolean): Found => {
  const walk: Walk = { causes: [], isCustom, blocksRules: false };
  checkValue(value, schema, path, walk);
  return { causes: walk.causes, blocksRules: walk.blocksRules };
};

const add = (walk: Walk, cause: Cause, isBlocking = false): void => {
  if (walk.causes.length < causesMax) walk.causes.push(cause);
  if (isBlocking) walk.blocksRules = true;
};

const typeOf = (value: unknown): string => {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
};

function fits(value: unknown, schema: Schema): boolean {
  const actual = typeOf(value);
  if (schema["x-kubernetes-int-or-string"] === true) {
    return actual === "integer" || actual === "string" || (actual === "number" && schema.format === "quantity");
  }
  if (schema.type === undefined) return true;
  return actual === schema.type || (schema.type === "number" && actual === "integer");
}

function checkValue(value: unknown, schema: Schema, path: string, walk: Walk): void {
  if (value === null && schema.nullable === true) return;
  if (!fits(value, schema)) {
    const expected = schema["x-kubernetes-int-or-string"] === true ? "integer or string" : (schema.type ?? "object");
    const actual = typeOf(value);
    const place = walk.isCustom ? `${path === "" ? '""' : path} in body ` : "";
    add(walk, wrongType(path, actual, `${place}must be of type ${expected}: ${JSON.stringify(actual)}`), true);
    return;
  }
  if (schema.enum !== undefined && !schema.enum.some((allowed) => isEqualJson(allowed, value))) {
    add(walk, unsupported(path, value, schema.enum), true);
    return;
  }
  if (typeof value === "string") checkText(value, schema, path, walk);
  else if (typeof value === "number") checkNumber(value, schema, path, walk);
  else if (Array.isArray(value)) checkList(value, schema, path, walk);
  else if (isObject(value)) checkObject(value, schema, path, walk);
  checkCombined(value, schema, path, walk);
}

function checkText(value: string, schema: Schema, path: string, walk: Walk): void {
  if (schema.maxLength !== undefined || schema.minLength !== undefined) {
    // Limits count code points, not UTF-16 units.
    const { length } = Array.from(value);
    if (schema.maxLength !== undefined && length > schema.maxLength) add(walk, tooLong(path, schema.maxLength), true);
    if (schema.minLength !== undefined && length < schema.minLength) {
      const place = walk.isCustom ? `${path} in body ` : "";
      add(walk, invalid(path, value, `${place}should be at least ${schema.minLength} chars long`), true);
    }
  }
  if (schema.pattern !== undefined && !matches(schema.pattern, value)) {
    const why = compilePattern(schema.pattern) instanceof Error ? " (a pattern this server cannot compile)" : "";
    add(walk, invalid(path, value, `${path} in body should match '${schema.pattern}'${why}`));
  }
  if (schema.format !== undefined && !hasFormat(schema.format, value)) {
    const detail = walk.isCustom
      ? `${path} in body must be of type ${schema.format}: ${JSON.stringify(value)}`
      : (builtinFormats[schema.format] ?? `must be a ${schema.format}`);
    add(walk, invalid(path, value, detail));
  }
}

const builtinFormats: Readonly<Record<string, string>> = {
  quantity: "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  byte: "must be base64",
  "date-time": "must be a time in RFC 3339 form",
};

function checkNumber(value: number, schema: Schema, path: string, walk: Walk): void {
  const { minimum, maximum, multipleOf } = schema;
  const isLow = minimum !== undefined && (schema.exclusiveMinimum === true ? value <= minimum : value < minimum);
  const isHigh = maximum !== undefined && (schema.exclusiveMaximum === true ? value >= maximum : value > maximum);
  if (!walk.isCustom) {
    if (!isLow && !isHigh) return;
    const between = `must be between ${minimum} and ${maximum}, inclusive`;
    const above = minimum === 1 ? "must be greater than 0" : `must be greater than or equal to ${minimum}`;
    add(walk, invalid(path, value, maximum === undefined ? above : between));
    return;
  }
  if (isLow) {
    const word = schema.exclusiveMinimum === true ? "greater than" : "greater than or equal to";
    add(walk, invalid(path, value, `${path} in body should be ${word} ${minimum}`));
  }
  if (isHigh) {
    const word = schema.exclusiveMaximum === true ? "less than" : "less than or equal to";
    add(walk, invalid(path, value, `${path} in body should be ${word} ${maximum}`));
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) {
    add(walk, invalid(path, value, `${path} in body should be a multiple of ${multipleOf}`));
  }
  const bits = schema.format === "int32" ? 31 : undefined;
  if (bits !== undefined && (value > 2 ** bits - 1 || value < -(2 ** bits))) {
    add(walk, invalid(path, value, `${path} in body must be of type int32: ${JSON.stringify(String(value))}`));
  }
}

function checkList(value: readonly unknown[], schema: Schema, path: string, walk: Walk): void {
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    add(walk, tooMany(path, value.length, schema.maxItems), true);
  }
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    add(walk, invalid(path, value.length, `${path} in body should have at least ${schema.minItems} items`), true);
  }
  const { items } = schema;
  if (items !== undefined) value.forEach((item, index) => checkValue(item, items, `${path}[${index}]`, walk));
  checkUnique(value, schema, path, walk);
}

function checkUnique(value: readonly unknown[], schema: Schema, path: string, walk: Walk): void {
  const listType = schema["x-kubernetes-list-type"];
  if (listType !== "map" && listType !== "set" && schema.uniqueItems !== true) return;
  const keys = listType === "map" ? (schema["x-kubernetes-list-map-keys"] ?? []) : undefined;
  const seen = new Set<string>();
  value.forEach((item, index) => {
    const identity = keys === undefined ? item : keyOf(item, keys, schema.items);
    const text = canonicalJson(identity);
    // Upstream's built-in kinds allow the same port twice under two names; the API only warns.
    if (seen.has(text) && (walk.isCustom || keys === undefined || keys.length === 1)) {
      const shown =
        keys !== undefined && keys.length === 1 && !walk.isCustom && isObject(identity)
          ? Object.values(identity)[0]
          : identity;
      const at = keys !== undefined && keys.length === 1 && !walk.isCustom ? `.${keys[0]}` : "";
      if (at === ".mountPath") return add(walk, invalid(`${path}[${index}]${at}`, shown, "must be unique"));
      add(walk, duplicate(`${path}[${index}]${at}`, shown));
    }
    seen.add(text);
  });
}

/** The keys of a list item, absent ones as the schema's default. */
export const keyOf = (item: unknown, keys: readonly string[], items: Schema | undefined): JsonObject => {
  const source = isObject(item) ? item : {};
  return Object.fromEntries(keys.map((key) => [key, source[key] ?? items?.properties?.[key]?.default ?? null]));
};

function checkObject(value: JsonObject, schema: Schema, path: string, walk: Walk): void {
  const count = Object.keys(value).length;
  if (schema.maxProperties !== undefined && count > schema.maxProperties) {
    add(walk, tooMany(path, count, schema.maxProperties), true);
  }
  if (schema.minProperties !== undefined && count < schema.minProperties) {
    add(walk, invalid(path, count, `${path} in body should have at least ${schema.minProperties} properties`), true);
  }
  for (const name of schema.required ?? []) {
    const present = Object.hasOwn(value, name) ? value[name] : undefined;
    // An empty text in a required field of a built-in kind is a missing one, as in Go.
    const isMissing = present === undefined || (!walk.isCustom && (present === null || present === ""));
    if (isMissing) add(walk, required(joined(path, name)), true);
  }
  const values = typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined;
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined) continue;
    const known = ownSchema(schema, name);
    if (known !== undefined) checkValue(field, known, joined(path, name), walk);
    else if (values !== undefined) checkValue(field, values, mapPath(path, name, walk), walk);
  }
}

const joined = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);
const mapPath = (path: string, name: string, walk: Walk): string =>
  walk.isCustom ? joined(path, name) : `${path}[${name}]`;

function checkCombined(value: unknown, schema: Schema, path: string, walk: Walk): void {
  const passes = (part: Schema): boolean => validateSchema(value, part, path, walk.isCustom).causes.length === 0;
  const shown = typeOf(value) === "object" || typeOf(value) === "array" ? "" : value;
  if (schema.allOf !== undefined) {
    for (const part of schema.allOf) checkValue(value, part, path, walk);
  }
  if (schema.anyOf !== undefined && !schema.anyOf.some(passes)) {
    add(walk, invalid(path, shown, `"${path}" must validate at least one schema (anyOf)`));
    const [first] = schema.anyOf.map((part) => validateSchema(value, part, path, walk.isCustom).causes);
    for (const cause of first ?? []) add(walk, cause);
  }
  if (schema.oneOf !== undefined) {
    const count = schema.oneOf.filter(passes).length;
    const found = count === 0 ? "Found none valid" : `Found ${count} valid alternatives`;
    if (count !== 1) {
      add(walk, invalid(path, shown, `"${path}" must validate one and only one schema (oneOf). ${found}`));
    }
  }
  if (schema.not !== undefined && passes(schema.not)) {
    add(walk, invalid(path, shown, `"${path}" must not validate the schema (not)`));
  }
}

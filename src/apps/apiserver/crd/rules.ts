/** Runs the CEL rules of a schema over an object, with the old object for transition rules (A39). */
import { type CelInput, isCelError } from "@bufbuild/cel";
import type { Cause, Schema, ValidationRule } from "../kind.ts";
import { invalid } from "../schema/causes.ts";
import { canonicalJson, isObject } from "../schema/json.ts";
import { keyOf } from "../schema/validate.ts";
import { optionalOf } from "./cel-functions.ts";
import { compileRule } from "./cel-program.ts";
import { toCel } from "./cel-values.ts";

const causesMax = 100;

export const skippedRules: Cause = {
  field: "<nil>",
  reason: "FieldValueInvalid",
  message:
    "Invalid value: null: some validation rules were not checked because the object was invalid; " +
    "correct the existing errors to complete validation",
};

export const hasRules = (schema: Schema): boolean =>
  (schema["x-kubernetes-validations"]?.length ?? 0) > 0 ||
  Object.values(schema.properties ?? {}).some(hasRules) ||
  (schema.items !== undefined && hasRules(schema.items)) ||
  (typeof schema.additionalProperties === "object" && hasRules(schema.additionalProperties));

/** `old` is undefined where there is nothing to compare with: at creation, and for new items. */
export const checkRules = (value: unknown, old: unknown, schema: Schema): readonly Cause[] => {
  const causes: Cause[] = [];
  visit(value, old, schema, "", causes);
  return causes;
};

function visit(value: unknown, old: unknown, schema: Schema, path: string, causes: Cause[]): void {
  if (value === undefined || value === null || causes.length >= causesMax) return;
  const rules = schema["x-kubernetes-validations"] ?? [];
  if (rules.length > 0) runRules(rules, { value, old, schema, path }, causes);
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined || !hasRules(items)) return;
    const olds = oldItems(old, schema);
    value.forEach((item, index) => visit(item, olds(item), items, `${path}[${index}]`, causes));
    return;
  }
  if (!isObject(value)) return;
  const olds = isObject(old) ? old : {};
  const values = typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined;
  for (const [name, field] of Object.entries(value)) {
    const known =
      schema.properties !== undefined && Object.hasOwn(schema.properties, name) ? schema.properties[name] : values;
    if (known !== undefined) visit(field, olds[name], known, path === "" ? name : `${path}.${name}`, causes);
  }
}

/** Items of a list correspond by their keys; those of other lists do not correspond. */
const oldItems = (old: unknown, schema: Schema): ((item: unknown) => unknown) => {
  const keys = schema["x-kubernetes-list-map-keys"];
  if (!Array.isArray(old) || schema["x-kubernetes-list-type"] !== "map" || keys === undefined) return () => undefined;
  const byKey = new Map(old.map((item) => [canonicalJson(keyOf(item, keys, schema.items)), item as unknown]));
  return (item) => byKey.get(canonicalJson(keyOf(item, keys, schema.items)));
};

interface Place {
  readonly value: unknown;
  readonly old: unknown;
  readonly schema: Schema;
  readonly path: string;
}

function runRules(rules: readonly ValidationRule[], place: Place, causes: Cause[]): void {
  const self = toCel(place.value, place.schema);
  for (const rule of rules) {
    const program = compileRule(rule.rule);
    if ("problem" in program) {
      causes.push(invalid(place.path, typeName(place.schema), `rule compile error: ${program.problem}`));
      continue;
    }
    const bindings: Record<string, CelInput> = { self };
    if (program.usesOldSelf) {
      const old = place.old === undefined ? undefined : toCel(place.old, place.schema);
      if (rule.optionalOldSelf === true) bindings["oldSelf"] = optionalOf(old);
      else if (old === undefined) continue;
      else bindings["oldSelf"] = old;
    }
    const result = program.run(bindings);
    if (result === true) continue;
    const detail = isCelError(result)
      ? `rule evaluation error: ${result.message} evaluating rule: ${rule.message ?? rule.rule}`
      : messageOf(rule, bindings);
    causes.push(causeOf(rule, place, detail));
  }
}

const messageOf = (rule: ValidationRule, bindings: Record<string, CelInput>): string => {
  const otherwise = rule.message?.trim() ?? `failed rule: ${rule.rule.trim()}`;
  if (rule.messageExpression === undefined) return otherwise;
  const program = compileRule(rule.messageExpression);
  if ("problem" in program) return otherwise;
  const text = program.run(bindings);
  return typeof text === "string" && text.trim() !== "" && !text.includes("\n") ? text.trim() : otherwise;
};

const typeName = (schema: Schema): string => schema.type ?? "object";

const causeOf = (rule: ValidationRule, place: Place, detail: string): Cause => {
  const field = fieldOf(place.path, rule.fieldPath);
  switch (rule.reason ?? "") {
    case "FieldValueForbidden":
      return { field, reason: "FieldValueForbidden", message: `Forbidden: ${detail}` };
    case "FieldValueRequired":
      return { field, reason: "FieldValueRequired", message: `Required value: ${detail}` };
    case "FieldValueDuplicate":
      return {
        field,
        reason: "FieldValueDuplicate",
        message: `Duplicate value: ${JSON.stringify(typeName(place.schema))}`,
      };
    default:
      return invalid(field, typeName(place.schema), detail);
  }
};

/** `fieldPath` is relative, as `.name` or `['a.b']`. */
const fieldOf = (path: string, relative: string | undefined): string => {
  if (relative === undefined || relative === "") return path;
  const joined = `${path}${relative.replaceAll(/\['([^']*)'\]/g, ".$1")}`;
  return joined.startsWith(".") ? joined.slice(1) : joined;
};

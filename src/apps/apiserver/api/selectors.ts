/** Label selectors and field selectors of lists and watches (A14), parsed to predicates. Pure. */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Kind } from "../kind.ts";
import { badRequest } from "./errors.ts";
import { at, fieldsOf, isFields, listOf } from "./json.ts";

export type Predicate = (object: AnyObject) => boolean;
type Labels = Readonly<Record<string, unknown>>;
type Requirement = (labels: Labels) => boolean;

const keyPattern = /^([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const valuePattern = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** Splits at commas that stand outside of parentheses. */
const termsOf = (text: string): string[] => text.split(/,(?![^(]*\))/);

function labelRequirement(term: string): Requirement {
  const set = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(term);
  if (set !== null) {
    const [, key = "", operator, list = ""] = set;
    const values = new Set(list.split(",").map((value) => checkedValue(value.trim(), term)));
    checkKey(key, term);
    if (operator === "in") return (labels) => key in labels && values.has(String(labels[key]));
    return (labels) => !(key in labels && values.has(String(labels[key])));
  }
  const pair = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(term);
  if (pair !== null) {
    const [, key = "", operator, value = ""] = pair;
    checkKey(key, term);
    checkedValue(value, term);
    return operator === "!=" ? (labels) => labels[key] !== value : (labels) => labels[key] === value;
  }
  const absent = /^!\s*(\S+)$/.exec(term)?.[1];
  checkKey(absent ?? term, term);
  return absent === undefined ? (labels) => term in labels : (labels) => !(absent in labels);
}

function checkKey(key: string, term: string): void {
  if (!keyPattern.test(key))
    throw badRequest(`unable to parse requirement: ${JSON.stringify(term)} has no valid label key`);
}

function checkedValue(value: string, term: string): string {
  if (valuePattern.test(value) && value.length <= 63) return value;
  throw badRequest(
    `unable to parse requirement: ${JSON.stringify(value)} in ${JSON.stringify(term)} is no valid label value`,
  );
}

/** Undefined: everything matches. */
export function labelPredicate(selector: string | undefined): Predicate | undefined {
  if (selector === undefined || selector.trim() === "") return undefined;
  const requirements = termsOf(selector).map((term) => labelRequirement(term.trim()));
  return (object) => {
    const labels = fieldsOf(object.metadata.labels);
    return requirements.every((holds) => holds(labels));
  };
}

/** A field whose absence reads as this value, as the API has it. */
const emptyFields: Readonly<Record<string, string>> = { "spec.unschedulable": "false" };

/** Fields of built-in kinds that the kind's table may leave out. */
const alwaysSelectable = new Set(["metadata.name", "metadata.namespace"]);

export function fieldPredicate(kind: Kind, selector: string | undefined): Predicate | undefined {
  if (selector === undefined || selector.trim() === "") return undefined;
  const requirements = selector.split(",").map((term) => {
    const [, field = "", operator, value = ""] = /^\s*([^=!\s]+)\s*(==|=|!=)\s*(.*?)\s*$/.exec(term) ?? [];
    if (operator === undefined) throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
    if (!alwaysSelectable.has(field) && !kind.selectableFields.includes(field)) {
      throw badRequest(`field label not supported: ${field}`);
    }
    const path = field.split(".");
    const isWanted = operator !== "!=";
    return (object: AnyObject) => (fieldText(object, path, field) === value) === isWanted;
  });
  return (object) => requirements.every((holds) => holds(object));
}

function fieldText(object: AnyObject, path: readonly string[], field: string): string {
  const value = at(object, ...path);
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return emptyFields[field] ?? "";
}

/** `metadata.name=x` alone names one object; a list of it need not look at the others. */
export const nameOfFieldSelector = (selector: string | undefined): string | undefined =>
  selector === undefined ? undefined : /(?:^|,)metadata\.name==?([^,]+)/.exec(selector)?.[1];

export function both(a: Predicate | undefined, b: Predicate | undefined): Predicate | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : (object) => a(object) && b(object);
}

/** The text form of a `LabelSelector`, as the Scale subresource carries it. */
export function selectorText(selector: unknown): string {
  const labels = Object.entries(fieldsOf(at(selector, "matchLabels"))).map(([key, value]) => `${key}=${String(value)}`);
  const expressions = listOf(at(selector, "matchExpressions")).filter(isFields).map(expressionText);
  return [...labels.sort(), ...expressions].join(",");
}

function expressionText(expression: Record<string, unknown>): string {
  const key = String(expression["key"]);
  const values = `(${listOf(expression["values"]).map(String).join(",")})`;
  switch (expression["operator"]) {
    case "Exists":
      return key;
    case "DoesNotExist":
      return `!${key}`;
    case "NotIn":
      return `${key} notin ${values}`;
    default:
      return `${key} in ${values}`;
  }
}

/** The subset of JSONPath that printer columns and scale paths use (A26): `.a['b.c'][0][*][?(@.x=="y")]`. */
import { isObject } from "../schema/json.ts";

type Step =
  | { readonly kind: "field"; readonly name: string }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "all" }
  | {
      readonly kind: "filter";
      readonly path: readonly Step[];
      readonly wanted: string | number | boolean;
      readonly isEqual: boolean;
    };

export type JsonPath = readonly Step[];

/** Stands for an escaped dot while a path is read; a private-use character that no field name has. */
const escapedDot = "\uE000";

const token =
  /\.([A-Za-z0-9_$-]+)|\[(-?\d+)\]|(?:\.|\[)\*\]?|\[['"]([^'"]*)['"]\]|\[\?\(@([^=!]+?)\s*(==|!=)\s*("[^"]*"|'[^']*'|[^)]+?)\s*\)\]/y;

/** Undefined when the path uses something this subset lacks. */
export const parseJsonPath = (source: string): JsonPath | undefined => {
  const text = source
    .trim()
    .replace(/^\{(.*)\}$/s, "$1")
    .replace(/^\$/, "")
    .replaceAll("\\.", escapedDot);
  const full = text.startsWith(".") || text.startsWith("[") ? text : `.${text}`;
  const steps: Step[] = [];
  let at = 0;
  while (at < full.length) {
    const step = stepAt(full, at);
    if (step === undefined) return undefined;
    steps.push(step.step);
    at = step.end;
  }
  return steps;
};

const stepAt = (text: string, at: number): { readonly step: Step; readonly end: number } | undefined => {
  const escaped = /\.([^.[\]]*\uE000[^.[\]]*)/y;
  escaped.lastIndex = at;
  const dotted = escaped.exec(text);
  if (dotted !== null) {
    return { step: { kind: "field", name: (dotted[1] ?? "").replaceAll(escapedDot, ".") }, end: escaped.lastIndex };
  }
  token.lastIndex = at;
  const match = token.exec(text);
  if (match === null) return undefined;
  const end = token.lastIndex;
  const [, name, index, quoted, path, operator, literal] = match;
  if (name !== undefined) return { step: { kind: "field", name }, end };
  if (quoted !== undefined) return { step: { kind: "field", name: quoted.replaceAll(escapedDot, ".") }, end };
  if (index !== undefined) return { step: { kind: "index", index: Number(index) }, end };
  if (path === undefined || literal === undefined) return { step: { kind: "all" }, end };
  const inner = parseJsonPath(path.trim());
  if (inner === undefined) return undefined;
  return { step: { kind: "filter", path: inner, wanted: literalOf(literal), isEqual: operator === "==" }, end };
};

const literalOf = (text: string): string | number | boolean => {
  if (/^["'].*["']$/.test(text)) return text.slice(1, -1);
  if (text === "true" || text === "false") return text === "true";
  return Number.isNaN(Number(text)) ? text : Number(text);
};

/** Everything the path finds, in order. */
export const readJsonPath = (value: unknown, path: JsonPath): readonly unknown[] =>
  path.reduce<readonly unknown[]>((found, step) => found.flatMap((one) => follow(one, step)), [value]);

const follow = (value: unknown, step: Step): readonly unknown[] => {
  switch (step.kind) {
    case "field":
      return isObject(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : [];
    case "index": {
      const item = Array.isArray(value) ? (value.at(step.index) as unknown) : undefined;
      return item === undefined ? [] : [item];
    }
    case "all":
      return Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
    case "filter":
      return (Array.isArray(value) ? value : []).filter(
        (item) => readJsonPath(item, step.path).some((one) => one === step.wanted) === step.isEqual,
      );
  }
};

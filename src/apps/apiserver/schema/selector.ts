/** Whether a LabelSelector object of a built-in kind selects given labels, and how it is written in one line. */
import { objectAt, objectsAt, textAt } from "./json.ts";

export const isSelectorEmpty = (selector: unknown): boolean =>
  Object.keys(objectAt(selector, "matchLabels")).length === 0 && objectsAt(selector, "matchExpressions").length === 0;

const valuesOf = (expression: unknown): readonly unknown[] => {
  const values = objectAt(expression)["values"];
  return Array.isArray(values) ? values : [];
};

export const selects = (selector: unknown, labels: Readonly<Record<string, unknown>>): boolean => {
  const wanted = Object.entries(objectAt(selector, "matchLabels"));
  if (!wanted.every(([key, value]) => labels[key] === value)) return false;
  return objectsAt(selector, "matchExpressions").every((expression) => {
    const key = textAt(expression, "key");
    switch (textAt(expression, "operator")) {
      case "In":
        return valuesOf(expression).includes(labels[key]);
      case "NotIn":
        return !valuesOf(expression).includes(labels[key]);
      case "Exists":
        return Object.hasOwn(labels, key);
      case "DoesNotExist":
        return !Object.hasOwn(labels, key);
      default:
        return false;
    }
  });
};

/** As `kubectl get -o wide` shows it; `<none>` selects everything. */
export const selectorText = (selector: unknown): string => {
  const parts = Object.entries(objectAt(selector, "matchLabels")).map(([key, value]) => `${key}=${String(value)}`);
  for (const expression of objectsAt(selector, "matchExpressions")) {
    const key = textAt(expression, "key");
    const values = valuesOf(expression).map(String).sort().join(",");
    const operator = textAt(expression, "operator");
    if (operator === "In") parts.push(`${key} in (${values})`);
    else if (operator === "NotIn") parts.push(`${key} notin (${values})`);
    else parts.push(operator === "Exists" ? key : `!${key}`);
  }
  return parts.length === 0 ? "<none>" : parts.sort().join(",");
};

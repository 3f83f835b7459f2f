/** Label selectors, as Services, workloads and nodes use them. Pure. */
import type { LabelSelector } from "../../../core/api/pod.ts";

type Labels = Readonly<Record<string, string>> | undefined;

/** Equality only, as in `spec.selector` of a Service and `nodeSelector`. */
export const hasLabels = (labels: Labels, wanted: Readonly<Record<string, string>>): boolean =>
  Object.entries(wanted).every(([key, value]) => labels?.[key] === value);

export function isSelected(labels: Labels, selector: LabelSelector): boolean {
  if (!hasLabels(labels, selector.matchLabels ?? {})) return false;
  return (selector.matchExpressions ?? []).every(({ key, operator, values }) =>
    meets(labels?.[key], operator, values ?? []),
  );
}

/** An empty selector selects everything by the rules, but a workload must never own all pods of its namespace. */
export const isEmptySelector = (selector: LabelSelector): boolean =>
  Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0;

export function meets(value: string | undefined, operator: string, values: readonly string[]): boolean {
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return value !== undefined && Number(value) > Number(values[0]);
    case "Lt":
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}

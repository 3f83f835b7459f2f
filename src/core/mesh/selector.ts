/**
 * Label selectors, and how they are indexed: a selector is filed under its first pair, so that a workload's labels find
 * it.
 */
import { compareKeys } from "../graph/order.ts";

export type Labels = Readonly<Record<string, string>>;

/** In place of a namespace: selects in every namespace. */
export const anyNamespace = "*";

export const selects = (selector: Labels, labels: Labels): boolean =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);

/** Where the selector is filed; nothing for an empty one, which selects nothing. */
export function filedUnder(namespace: string, selector: Labels | undefined): readonly string[] {
  const first = Object.entries(selector ?? {}).sort(([a], [b]) => compareKeys(a, b))[0];
  return first === undefined ? [] : [`${namespace}|${first[0]}=${first[1]}`];
}

/** Where to look for the selectors that may match these labels. */
export const placesOf = (namespace: string, labels: Labels): readonly string[] =>
  Object.entries(labels).map(([key, value]) => `${namespace}|${key}=${value}`);

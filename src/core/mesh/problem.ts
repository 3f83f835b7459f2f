/** What is wrong with users' objects: rows for objects without conditions, conditions for those that carry them. */
import type { KubeObject, ResourceType } from "../api/kube.ts";

/** A fault of an object that cannot carry conditions (Service, Namespace); shown as an Event. */
export interface Problem {
  readonly kind: "Service" | "Namespace";
  /** "" for a Namespace. */
  readonly namespace: string;
  readonly name: string;
  readonly reason: string;
  /** A full sentence that names the object and the way out. */
  readonly message: string;
}

export type MeshCondition = {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
};

/** The conditions that one object should carry. Key: `<plural>/<object key>`. */
export interface ObjectConditions {
  readonly resource: ResourceType<KubeObject>;
  /** `<ns>/<name>`. */
  readonly key: string;
  readonly generation: number | undefined;
  readonly conditions: readonly MeshCondition[];
}

export const problemKey = (problem: Problem): string =>
  `${problem.kind}/${problem.namespace}/${problem.name}/${problem.reason}`;

export const accepted = (message: string): MeshCondition => ({
  type: "Accepted",
  status: "True",
  reason: "Accepted",
  message,
});

export const refused = (reason: string, message: string): MeshCondition => ({
  type: "Accepted",
  status: "False",
  reason,
  message,
});

/** Oldest first, then by key; an object without a time counts as newest. */
export function compareAge(
  a: { readonly created: string; readonly key: string },
  b: { readonly created: string; readonly key: string },
): number {
  const [left, right] = [a.created === "" ? "~" : a.created, b.created === "" ? "~" : b.created];
  if (left !== right) return left < right ? -1 : 1;
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

/**
 * What is wrong with objects, and how each is told: as a condition where the kind has them, else as an Event. Every
 * fault is also a Problem row, so that one list has them all.
 */
import type { KubeObject, ResourceType } from "../api/kube.ts";
import type { Collection } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";

/** What is wrong with something, and what to do about it. */
export interface Fault {
  /** CamelCase, as in conditions and Events. */
  readonly reason: string;
  /** A full sentence that names the object. */
  readonly message: string;
  /** A full sentence: the way out. */
  readonly remedy: string;
}

export interface Problem extends Fault {
  /** Of Kubernetes; with namespace and name it names the object. */
  readonly kind: string;
  /** "" for objects without a namespace. */
  readonly namespace: string;
  readonly name: string;
  /** Where users see it on the object. */
  readonly shownAs: "condition" | "event";
}

export type MeshCondition = {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  /** The way out of what the message says; Kubernetes shows both as one text. */
  readonly remedy?: string;
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

export const refused = ({ reason, message, remedy }: Fault): MeshCondition => ({
  type: "Accepted",
  status: "False",
  reason,
  message,
  remedy,
});

/** Both sentences as one text, for conditions and Events. */
export const fullText = ({ message, remedy }: { readonly message: string; readonly remedy?: string }): string =>
  remedy === undefined || remedy === "" ? message : `${message} ${remedy}`;

/** What conditions say to be wrong, as problems. */
export const problemsInConditions = (graph: Graph, conditions: Collection<ObjectConditions>): Collection<Problem> =>
  graph.derive<ObjectConditions, Problem>("conditions.problems", conditions, function* (row) {
    const [namespace = "", name = ""] = row.key.includes("/") ? row.key.split("/") : ["", row.key];
    const told = new Set<string>();
    for (const { status, reason, message, remedy } of row.conditions) {
      if (status !== "False" || told.has(reason)) continue;
      told.add(reason);
      const { kind } = row.resource;
      const way = remedy ?? `See the conditions of ${kind} ${row.key}.`;
      const problem: Problem = { kind, namespace, name, reason, message, remedy: way, shownAs: "condition" };
      yield [problemKey(problem), problem];
    }
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

/**
 * Pods whose gate is closed because Envoy refused their rules. The node's agent says so on the pod, so that every replica
 * of the control plane knows and it goes with the pod.
 */
import { annotation } from "../api/names.ts";
import type { Pod } from "../api/pod.ts";
import type { Collection } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { type Problem, problemKey } from "./problem.ts";
import type { MeshSources } from "./sources.ts";

/** What stands on the pod, as JSON. */
export interface RefusedGate {
  /** `<ns>/<name>` of the policies whose rules were refused together. */
  readonly policies: readonly string[];
  /** Envoy's own words. */
  readonly message: string;
}

export interface Refusal extends RefusedGate {
  readonly namespace: string;
  readonly pod: string;
  readonly node: string;
}

export interface Refusals {
  /** By policy key: the pods on which it was refused, in key order. */
  readonly byPolicy: Collection<readonly Refusal[]>;
  readonly problems: Collection<Problem>;
}

export function wireRefusals(graph: Graph, sources: MeshSources): Refusals {
  const rows = graph.derive<Pod, Refusal>("refusals", sources.pods, function* ({ metadata, spec }, _read, key) {
    const text = metadata.annotations?.[annotation.refusedPolicies];
    if (text === undefined) return;
    const { name, namespace = "" } = metadata;
    yield [key, { namespace, pod: name, node: spec.nodeName ?? "", ...parseRefusedGate(text) }];
  });
  const problems = graph.derive<Refusal, Problem>("refusals.problems", rows, function* (row) {
    const { namespace, pod } = row;
    const names = row.policies.length === 0 ? "" : ` (${row.policies.join(", ")})`;
    const problem: Problem = {
      kind: "Pod",
      namespace,
      name: pod,
      reason: "PolicyRefused",
      message:
        `Pod ${namespace}/${pod}: Envoy on node ${row.node} refused its policies${names}, ` +
        `so that it takes no connections: ${sentence(row.message)}`,
      remedy: "Change or delete the policy that the message is about.",
      shownAs: "event",
    };
    yield [problemKey(problem), problem];
  });
  return { byPolicy: graph.group("refusals.byPolicy", rows, ({ policies }) => policies), problems };
}

export const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

export const refusedGateText = ({ policies, message }: RefusedGate): string => JSON.stringify({ policies, message });

/** Users can write annotations too: whatever stands there is read as well as it can be. */
export function parseRefusedGate(text: string): RefusedGate {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return { policies: [], message: text };
  }
  if (typeof read !== "object" || read === null) return { policies: [], message: text };
  const policies: readonly unknown[] = "policies" in read && Array.isArray(read.policies) ? read.policies : [];
  const message = "message" in read && typeof read.message === "string" ? read.message : text;
  return { policies: [...new Set(policies.filter((one) => typeof one === "string"))], message };
}

/** Which nodes a pod may run on, and which of them is best. Pure; the scheduler and the DaemonSet controller decide by it. */
import type { Node } from "../../../core/api/kube.ts";
import type { Pod, PodSpec } from "../../../core/api/pod.ts";
import type { Toleration } from "./kinds.ts";
import { hasLabels, meets } from "./labels.ts";
import { controllerOf, isFinished } from "./pods.ts";

export const taintKey = {
  notReady: "node.kubernetes.io/not-ready",
  unreachable: "node.kubernetes.io/unreachable",
  unschedulable: "node.kubernetes.io/unschedulable",
} as const;

export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
  readonly timeAdded?: string;
}

interface SelectorTerm {
  readonly matchExpressions?: readonly Requirement[];
  readonly matchFields?: readonly Requirement[];
}
interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}
interface Affinity {
  readonly nodeAffinity?: {
    readonly requiredDuringSchedulingIgnoredDuringExecution?: { readonly nodeSelectorTerms?: readonly SelectorTerm[] };
  };
}

/** The API server has validated the pod, so what is here has the shape that the API gives it. */
export const tolerationsOf = (spec: PodSpec): readonly Toleration[] => (spec.tolerations ?? []) as Toleration[];
/** As above: validated by the API server. */
const affinityOf = (spec: PodSpec): Affinity => (spec.affinity ?? {}) as Affinity;

export const tolerates = (tolerations: readonly Toleration[], taint: Taint): boolean =>
  tolerations.some(
    ({ key, operator, value, effect }) =>
      (key === undefined || key === "" || key === taint.key) &&
      (effect === undefined || effect === "" || effect === taint.effect) &&
      (operator === "Exists" || (value ?? "") === (taint.value ?? "")),
  );

/** nodeSelector and required node affinity. */
export function matchesNode(spec: PodSpec, node: Node): boolean {
  if (!hasLabels(node.metadata.labels, spec.nodeSelector ?? {})) return false;
  const required = affinityOf(spec).nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (required === undefined) return true;
  return (required.nodeSelectorTerms ?? []).some(({ matchExpressions = [], matchFields = [] }) => {
    const isEmpty = matchExpressions.length + matchFields.length === 0;
    const holds = (rule: Requirement, value: string | undefined): boolean =>
      meets(value, rule.operator, rule.values ?? []);
    return (
      !isEmpty &&
      matchExpressions.every((rule) => holds(rule, node.metadata.labels?.[rule.key])) &&
      matchFields.every((rule) => rule.key === "metadata.name" && holds(rule, node.metadata.name))
    );
  });
}

/** The one node that a daemon is made for, before it is bound to it. */
export const onlyNodeOf = ({ spec }: Pod): string | undefined =>
  spec.nodeName ??
  affinityOf(spec)
    .nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms?.flatMap(
      ({ matchFields = [] }) => matchFields,
    )
    .find(({ key }) => key === "metadata.name")?.values?.[0];

/** A cordoned or unready node counts as tainted even before its taint is written. */
function taintsOf(node: Node): readonly Taint[] {
  const taints: Taint[] = [...(node.spec?.taints ?? [])];
  const add = (key: string): void => {
    if (!taints.some((taint) => taint.key === key)) taints.push({ key, effect: "NoSchedule" });
  };
  if (node.spec?.unschedulable === true) add(taintKey.unschedulable);
  if (!isNodeReady(node) && !taints.some(({ key }) => key === taintKey.unreachable)) add(taintKey.notReady);
  return taints;
}

export const isNodeReady = (node: Node): boolean =>
  node.status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";

export const repellingTaint = (spec: PodSpec, node: Node): Taint | undefined =>
  taintsOf(node).find((taint) => taint.effect !== "PreferNoSchedule" && !tolerates(tolerationsOf(spec), taint));

/** `protocol/port` of the host's own ports that a pod takes; with hostNetwork every container port is one. */
const hostPortsOf = ({ containers, initContainers = [], hostNetwork }: PodSpec): readonly string[] =>
  [...containers, ...initContainers].flatMap(({ ports = [] }) =>
    ports.flatMap(({ containerPort, hostPort = hostNetwork === true ? containerPort : 0, protocol = "TCP" }) =>
      hostPort === 0 ? [] : `${protocol}/${hostPort}`,
    ),
  );

export type Placement =
  | { readonly kind: "node"; readonly name: string }
  | { readonly kind: "none"; readonly message: string };

/** `placed` are the pods that already have a node. Fewest of the same owner first, then fewest pods, then by name. */
export function place(pod: Pod, nodes: readonly Node[], placed: Iterable<Pod>): Placement {
  const taken = new Map<string, { pods: number; siblings: number; ports: Set<string> }>();
  const owner = controllerOf(pod)?.uid;
  for (const other of placed) {
    const { nodeName } = other.spec;
    if (nodeName === undefined || isFinished(other)) continue;
    const load = taken.get(nodeName) ?? { pods: 0, siblings: 0, ports: new Set<string>() };
    taken.set(nodeName, load);
    load.pods += 1;
    if (owner !== undefined && controllerOf(other)?.uid === owner) load.siblings += 1;
    for (const port of hostPortsOf(other.spec)) load.ports.add(port);
  }
  const wanted = hostPortsOf(pod.spec);
  const refusals = new Map<string, number>();
  const fitting = nodes.filter((node) => {
    const why = refusal(pod, node, wanted, taken.get(node.metadata.name)?.ports);
    if (why !== undefined) refusals.set(why, (refusals.get(why) ?? 0) + 1);
    return why === undefined;
  });
  const rank = ({ metadata }: Node): readonly [number, number] => {
    const load = taken.get(metadata.name);
    return [load?.siblings ?? 0, load?.pods ?? 0];
  };
  const [best] = fitting.sort((one, other) => {
    const [siblings, pods] = rank(one);
    const [otherSiblings, otherPods] = rank(other);
    return siblings - otherSiblings || pods - otherPods || (one.metadata.name < other.metadata.name ? -1 : 1);
  });
  if (best !== undefined) return { kind: "node", name: best.metadata.name };
  if (nodes.length === 0) return { kind: "none", message: "no nodes available to schedule pods" };
  const reasons = [...refusals].map(([why, count]) => `${count} ${why}`).sort();
  return { kind: "none", message: `0/${nodes.length} nodes are available: ${reasons.join(", ")}.` };
}

function refusal(
  pod: Pod,
  node: Node,
  wanted: readonly string[],
  ports: ReadonlySet<string> | undefined,
): string | undefined {
  const taint = repellingTaint(pod.spec, node);
  if (taint?.key === taintKey.unschedulable) return "node(s) were unschedulable";
  if (taint !== undefined) return `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`;
  if (!matchesNode(pod.spec, node)) return "node(s) didn't match Pod's node affinity/selector";
  if (wanted.some((port) => ports?.has(port) === true))
    return "node(s) didn't have free ports for the requested pod ports";
  return undefined;
}

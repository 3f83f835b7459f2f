/**
 * Disruption budgets as evictions meet them: the budget is worked out from the pods at the moment of the eviction, so
 * no controller has to keep its status. Pure but for reading the store.
 */
import type { AnyObject } from "../../../core/api/kube.ts";
import { KubeError } from "../../../io/kube/client.ts";
import { selects } from "../schema/selector.ts";
import type { ApiContext } from "./context.ts";
import { fieldsOf, isFields, listOf, textOf } from "./json.ts";

const controllerKinds: Readonly<Record<string, string>> = {
  ReplicaSet: "apps/replicasets",
  StatefulSet: "apps/statefulsets",
};

const isReady = (pod: AnyObject): boolean =>
  listOf(fieldsOf(pod["status"])["conditions"])
    .filter(isFields)
    .some((condition) => condition["type"] === "Ready" && condition["status"] === "True");

const isOver = (pod: AnyObject): boolean => ["Succeeded", "Failed"].includes(String(fieldsOf(pod["status"])["phase"]));

/** Throws 429 when a budget forbids that this pod goes now. */
export function checkBudgets(context: ApiContext, pod: AnyObject): void {
  const namespace = pod.metadata.namespace ?? "";
  const status = fieldsOf(pod["status"]);
  if (isOver(pod) || status["phase"] === "Pending" || pod.metadata.deletionTimestamp !== undefined) return;
  const budgets = context.store
    .list("policy/poddisruptionbudgets", `${namespace}/`)
    // No selector is none at all; an empty one selects everything.
    .filter((budget) => isFields(fieldsOf(budget["spec"])["selector"]))
    .filter((budget) => selects(fieldsOf(budget["spec"])["selector"], pod.metadata.labels ?? {}));
  const [budget, ...more] = budgets;
  if (budget === undefined) return;
  if (more.length > 0) {
    throw new KubeError(
      500,
      "InternalError",
      "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    );
  }
  const spec = fieldsOf(budget["spec"]);
  const pods = context.store
    .list("/pods", `${namespace}/`)
    .filter((other) => selects(spec["selector"], other.metadata.labels ?? {}) && !isOver(other));
  const healthy = pods.filter((other) => isReady(other) && other.metadata.deletionTimestamp === undefined).length;
  const desired = desiredHealthy(spec, pods.length, expectedPods(context, namespace, pods));
  // A pod that serves nobody takes nothing away.
  const isFree = !isReady(pod) && (spec["unhealthyPodEvictionPolicy"] === "AlwaysAllow" || healthy >= desired);
  if (isFree || healthy > desired) return;
  const name = budget.metadata.name;
  throw new KubeError(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.", {
    causes: [
      {
        reason: "DisruptionBudget",
        message: `The disruption budget ${name} needs ${desired} healthy pods and has ${healthy} currently`,
      },
    ],
  });
}

function desiredHealthy(spec: Record<string, unknown>, count: number, expected: number): number {
  const { minAvailable, maxUnavailable } = spec;
  if (typeof minAvailable === "number") return minAvailable;
  if (minAvailable !== undefined) return share(minAvailable, expected);
  if (maxUnavailable === undefined) return 0;
  const unavailable = typeof maxUnavailable === "number" ? maxUnavailable : share(maxUnavailable, expected);
  return Math.max(0, Math.max(count, expected) - unavailable);
}

const share = (percent: unknown, of: number): number => Math.ceil((Number.parseInt(String(percent), 10) / 100) * of);

/** How many pods their controllers want, which counts for shares; bare pods want themselves. */
function expectedPods(context: ApiContext, namespace: string, pods: readonly AnyObject[]): number {
  const wanted = new Map<string, number>();
  let bare = 0;
  for (const pod of pods) {
    const owner = listOf(pod.metadata.ownerReferences)
      .filter(isFields)
      .find((one) => one["controller"] === true);
    const bucket = controllerKinds[textOf(owner?.["kind"]) ?? ""];
    const controller =
      bucket === undefined ? undefined : context.store.get(bucket, `${namespace}/${String(owner?.["name"])}`);
    const replicas = fieldsOf(controller?.["spec"])["replicas"];
    if (controller === undefined || typeof replicas !== "number") bare += 1;
    else wanted.set(controller.metadata.uid ?? controller.metadata.name, replicas);
  }
  return [...wanted.values()].reduce((sum, replicas) => sum + replicas, bare);
}

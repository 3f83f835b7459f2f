/**
 * The ReplicaSet controller: as many pods of the template as asked for. `chooseSurplus` and `replicaSetStatus` are pure;
 * the loop below creates, deletes, adopts and releases pods.
 */
import { errorText } from "../../../core/api/error-text.ts";
import { objectKey } from "../../../core/api/kube.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import { claimPods } from "./claim.ts";
import { isNamespaceOpen, type Cluster } from "./cluster.ts";
import type { EventRecorder } from "./events.ts";
import { startLoop, wakeOwners, writeStatus, type Reconcile } from "./loop.ts";
import { hasLabels, isSelected } from "./labels.ts";
import type { CountedReplicaSet, ReplicaSetStatus } from "./kinds.ts";
import { conditionOf, controllerOf, generatedName, isActive, isAvailable, isDeleting, isReady } from "./pods.ts";
import { nextAvailableInMs, podOf } from "./pods.ts";

/** Pods made or deleted in one round; the next round follows at once. Keeps one mistake from flooding the server. */
const burstMax = 250;

const phaseRank = (pod: Pod): number => (pod.status?.phase === "Running" ? 2 : pod.status?.phase === "Unknown" ? 1 : 0);

const restartsOf = (pod: Pod): number =>
  (pod.status?.containerStatuses ?? []).reduce((most, { restartCount }) => Math.max(most, restartCount), 0);

const deletionCostOf = (pod: Pod): number =>
  Number(pod.metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"] ?? 0) || 0;

/** Which pods to give up: those that serve least come first, then the doubled-up, then the newest. */
function chooseSurplus(active: readonly Pod[], count: number): readonly Pod[] {
  const podsByNode = new Map<string, number>();
  for (const { spec } of active) {
    if (spec.nodeName !== undefined) podsByNode.set(spec.nodeName, (podsByNode.get(spec.nodeName) ?? 0) + 1);
  }
  const neighbours = (pod: Pod): number => podsByNode.get(pod.spec.nodeName ?? "") ?? 0;
  const readySince = (pod: Pod): string => conditionOf(pod, "Ready")?.lastTransitionTime ?? "";
  const ranked = [...active].sort(
    (one, other) =>
      Number(one.spec.nodeName !== undefined) - Number(other.spec.nodeName !== undefined) ||
      phaseRank(one) - phaseRank(other) ||
      Number(isReady(one)) - Number(isReady(other)) ||
      deletionCostOf(one) - deletionCostOf(other) ||
      neighbours(other) - neighbours(one) ||
      (isReady(one) ? newestFirst(readySince(one), readySince(other)) : 0) ||
      restartsOf(other) - restartsOf(one) ||
      newestFirst(one.metadata.creationTimestamp ?? "", other.metadata.creationTimestamp ?? "") ||
      newestFirst(one.metadata.name, other.metadata.name),
  );
  return ranked.slice(0, Math.max(0, count));
}

const newestFirst = (one: string, other: string): number => (one === other ? 0 : one > other ? -1 : 1);

function replicaSetStatus(
  set: CountedReplicaSet,
  active: readonly Pod[],
  { nowMs, failure }: { readonly nowMs: number; readonly failure: string | undefined },
): ReplicaSetStatus {
  const { template, minReadySeconds } = set.spec;
  const status: ReplicaSetStatus = {
    replicas: active.length,
    fullyLabeledReplicas: active.filter((pod) => hasLabels(pod.metadata.labels, template.metadata?.labels ?? {}))
      .length,
    readyReplicas: active.filter(isReady).length,
    availableReplicas: active.filter((pod) => isAvailable(pod, minReadySeconds, nowMs)).length,
  };
  if (set.metadata.generation !== undefined) status.observedGeneration = set.metadata.generation;
  const known = set.status?.conditions?.find(({ type }) => type === "ReplicaFailure");
  if (failure !== undefined) {
    const isSame = known?.message === failure;
    const lastTransitionTime = isSame ? known.lastTransitionTime : isoSeconds(nowMs);
    status.conditions = [
      { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: failure, lastTransitionTime },
    ];
  }
  return status;
}

export function startReplicaSets(cluster: Cluster): void {
  const { mirrors } = cluster;
  const queue = startLoop(cluster, "replicaset", mirrors.replicaSets, reconcile);
  wakeOwners(mirrors.pods, "ReplicaSet", queue, (pod) => {
    for (const set of selecting(cluster, pod)) queue.add(objectKey(set));
  });
}

const selecting = ({ mirrors }: Cluster, pod: Pod): readonly CountedReplicaSet[] =>
  mirrors.replicaSets
    .inNamespace(pod.metadata.namespace ?? "default")
    .filter((set) => isSelected(pod.metadata.labels, set.spec.selector));

const reconcile: Reconcile = async (cluster, events, key, again) => {
  const { mirrors, host } = cluster;
  const set = mirrors.replicaSets.get(key);
  if (set === undefined) return;
  const pods = await claimPods(cluster, set, set.spec.selector);
  let failure: string | undefined;
  let failed: unknown;
  if (!isDeleting(set)) {
    try {
      await scale(cluster, events, set, pods.filter(isActive));
    } catch (error) {
      failed = error;
      failure = errorText(error);
    }
  }
  const active = mirrors.pods.ownedBy(set.metadata.uid).filter((pod) => isActive(pod) && isControlled(pod, set));
  const nowMs = host.clock.now();
  const status = replicaSetStatus(set, active, { nowMs, failure });
  await writeStatus(mirrors.replicaSets, key, status);
  const waitMs = nextAvailableInMs(active, set.spec.minReadySeconds, nowMs);
  if (waitMs !== undefined) again(waitMs);
  if (failed !== undefined) throw failed;
};

const isControlled = (pod: Pod, set: CountedReplicaSet): boolean => controllerOf(pod)?.uid === set.metadata.uid;

async function scale(
  cluster: Cluster,
  events: EventRecorder,
  set: CountedReplicaSet,
  active: readonly Pod[],
): Promise<void> {
  const { mirrors, host } = cluster;
  const missing = (set.spec.replicas ?? 1) - active.length;
  if (missing < 0) {
    const surplus = chooseSurplus(active, Math.min(-missing, burstMax));
    await Promise.all(
      surplus.map(async (pod) => {
        await mirrors.pods.delete(pod);
        events.record(set, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
      }),
    );
    return;
  }
  if (missing === 0 || !isNamespaceOpen(cluster, set.metadata.namespace)) return;
  // One first, then two, four …: when the server refuses the pod, it is asked few times, not for all replicas.
  for (let made = 0, batch = 1; made < Math.min(missing, burstMax); made += batch, batch *= 2) {
    const size = Math.min(batch, missing - made, burstMax - made);
    const results = await Promise.allSettled(
      Array.from({ length: size }, async () => {
        const pod = podOf(set, generatedName(host.random, set.metadata.name), set.spec.template);
        const created = await mirrors.pods.create(pod);
        events.record(set, "Normal", "SuccessfulCreate", `Created pod: ${created.metadata.name}`);
      }),
    );
    const refused = results.find((result) => result.status === "rejected");
    if (refused === undefined) continue;
    const cause: unknown = refused.reason;
    const message = errorText(cause);
    events.record(set, "Warning", "FailedCreate", `Error creating: ${message}`);
    throw cause;
  }
}

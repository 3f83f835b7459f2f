/**
 * The StatefulSet controller: pods with names and an order. `planStateful` is pure. There are no volumes to claim in the
 * sandbox: a claim template becomes an empty directory, and an Event says so.
 */
import type { Pod, PodTemplate } from "../../../core/api/pod.ts";
import { claimPods } from "./claim.ts";
import { isNamespaceOpen, type Cluster } from "./cluster.ts";
import type { EventRecorder } from "./events.ts";
import type { ControllerRevision, StatefulSet, StatefulSetStatus } from "./kinds.ts";
import { startLoop, wakeOwners, writeStatus, type Reconcile } from "./loop.ts";
import { isAvailable, isDeleting, isFinished, isReady, nextAvailableInMs, podOf } from "./pods.ts";
import { keepRevisions, revisionName, templateIn } from "./revisions.ts";
import { revisionHashLabel } from "./template.ts";

export interface StatefulView {
  readonly set: StatefulSet;
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

export interface StatefulPlan {
  readonly create: readonly number[];
  readonly remove: readonly Pod[];
  readonly status: StatefulSetStatus;
}

const isFresh = (pod: Pod, revision: string): boolean => pod.metadata.labels?.[revisionHashLabel] === revision;

function planStateful(view: StatefulView): StatefulPlan {
  const { set, pods, nowMs } = view;
  const start = set.spec.ordinals?.start ?? 0;
  const ordinals = Array.from({ length: set.spec.replicas ?? 1 }, (_, at) => start + at);
  const byName = new Map(pods.map((pod) => [pod.metadata.name, pod]));
  const podAt = (ordinal: number): Pod | undefined => byName.get(nameAt(set, ordinal));
  const serves = (pod: Pod | undefined): pod is Pod =>
    pod !== undefined && !isDeleting(pod) && isAvailable(pod, set.spec.minReadySeconds, nowMs);
  const names = new Set(ordinals.map((ordinal) => nameAt(set, ordinal)));
  const surplus = pods
    .filter((pod) => !names.has(pod.metadata.name))
    .sort((one, other) => ordinalOf(other) - ordinalOf(one));
  const failed = pods.filter((pod) => isFinished(pod) && !isDeleting(pod) && names.has(pod.metadata.name));
  const missing = ordinals.filter((ordinal) => podAt(ordinal) === undefined);
  const status = statusOf(view);
  const free = { create: missing, remove: [...surplus, ...failed].filter((pod) => !isDeleting(pod)), status };
  const isOrdered = set.spec.podManagementPolicy !== "Parallel";
  if (!isOrdered && (free.create.length > 0 || free.remove.length > 0)) return free;
  if (isOrdered) {
    if (failed.length > 0) return { create: [], remove: failed, status };
    const next = ordinals.find((ordinal) => !serves(podAt(ordinal)));
    if (next !== undefined && podAt(next) === undefined) return { create: [next], remove: [], status };
    // One at a time, the highest first, and none while another is still on its way out.
    const [highest] = surplus;
    if (highest !== undefined) {
      const isFree = next === undefined && !surplus.some(isDeleting);
      return { create: [], remove: isFree ? [highest] : [], status };
    }
  }
  return { create: [], remove: outdated(view, ordinals, podAt, serves), status };
}

/** The next pod to replace: from the highest ordinal down to the partition, each when all above it serve. */
function outdated(
  { set }: StatefulView,
  ordinals: readonly number[],
  podAt: (ordinal: number) => Pod | undefined,
  serves: (pod: Pod | undefined) => pod is Pod,
): readonly Pod[] {
  const { type = "RollingUpdate", rollingUpdate } = set.spec.updateStrategy ?? {};
  if (type === "OnDelete") return [];
  const revision = revisionName(set);
  for (const ordinal of [...ordinals].reverse()) {
    const pod = podAt(ordinal);
    if (pod === undefined || isDeleting(pod)) return [];
    const isHeld = ordinal < (set.spec.ordinals?.start ?? 0) + (rollingUpdate?.partition ?? 0);
    if (!isHeld && !isFresh(pod, revision)) return [pod];
    if (!serves(pod)) return [];
  }
  return [];
}

const nameAt = (set: StatefulSet, ordinal: number): string => `${set.metadata.name}-${ordinal}`;
const ordinalOf = ({ metadata }: Pod): number => Number(metadata.name.slice(metadata.name.lastIndexOf("-") + 1)) || 0;

function statusOf({ set, pods, nowMs }: StatefulView): StatefulSetStatus {
  const revision = revisionName(set);
  const live = pods.filter((pod) => !isDeleting(pod) && !isFinished(pod));
  const updatedReplicas = live.filter((pod) => isFresh(pod, revision)).length;
  const wanted = set.spec.replicas ?? 1;
  const isDone = updatedReplicas === wanted && live.length === wanted && live.every(isReady);
  const currentRevision = isDone ? revision : (set.status?.currentRevision ?? revision);
  const status: StatefulSetStatus = {
    replicas: live.length,
    readyReplicas: live.filter(isReady).length,
    availableReplicas: live.filter((pod) => isAvailable(pod, set.spec.minReadySeconds, nowMs)).length,
    currentReplicas: live.filter((pod) => isFresh(pod, currentRevision)).length,
    updatedReplicas,
    currentRevision,
    updateRevision: revision,
  };
  if (set.metadata.generation !== undefined) status.observedGeneration = set.metadata.generation;
  return status;
}

/** Pods below the partition of an update keep the template of before, also when they are made anew. */
function templateFor(
  set: StatefulSet,
  revisions: readonly ControllerRevision[],
  ordinal: number,
): { readonly template: PodTemplate; readonly revision: string } {
  const fresh = { template: set.spec.template, revision: revisionName(set) };
  const { type = "RollingUpdate", rollingUpdate } = set.spec.updateStrategy ?? {};
  const current = revisions.find(({ metadata }) => metadata.name === set.status?.currentRevision);
  const held = current === undefined ? undefined : templateIn(current);
  const isHeld =
    type === "RollingUpdate" && ordinal < (set.spec.ordinals?.start ?? 0) + (rollingUpdate?.partition ?? 0);
  if (!isHeld || current === undefined || held === undefined) return fresh;
  return { template: held, revision: current.metadata.name };
}

function statefulPod(set: StatefulSet, revisions: readonly ControllerRevision[], ordinal: number): Pod {
  const name = nameAt(set, ordinal);
  const { template, revision } = templateFor(set, revisions, ordinal);
  const pod = podOf(set, name, template, {
    [revisionHashLabel]: revision,
    "statefulset.kubernetes.io/pod-name": name,
    "apps.kubernetes.io/pod-index": String(ordinal),
  });
  pod.spec.hostname = name;
  if (set.spec.serviceName !== undefined && set.spec.serviceName !== "") pod.spec.subdomain = set.spec.serviceName;
  const claims = (set.spec.volumeClaimTemplates ?? []).map(({ metadata }) => ({ name: metadata.name, emptyDir: {} }));
  if (claims.length > 0) pod.spec.volumes = [...(pod.spec.volumes ?? []), ...claims];
  return pod;
}

export function startStatefulSets(cluster: Cluster): void {
  const { mirrors } = cluster;
  const queue = startLoop(cluster, "statefulset", mirrors.statefulSets, reconcile);
  wakeOwners(mirrors.pods, "StatefulSet", queue);
}

const reconcile: Reconcile = async (cluster, events, key, again) => {
  const { mirrors, host } = cluster;
  const set = mirrors.statefulSets.get(key);
  if (set === undefined) return;
  const pods = await claimPods(cluster, set, set.spec.selector);
  const revisions = await keepRevisions(cluster, set, pods);
  const nowMs = host.clock.now();
  const plan = planStateful({ set, pods, nowMs });
  if (!isDeleting(set)) {
    await Promise.all(plan.remove.map((pod) => remove(cluster, events, set, pod)));
    const ordinals = isNamespaceOpen(cluster, set.metadata.namespace) ? plan.create : [];
    await Promise.all(ordinals.map((ordinal) => create(cluster, events, statefulPod(set, revisions, ordinal), set)));
  }
  await writeStatus(mirrors.statefulSets, key, plan.status);
  const waitMs = nextAvailableInMs(pods, set.spec.minReadySeconds, nowMs);
  if (waitMs !== undefined) again(waitMs);
};

async function create({ mirrors }: Cluster, events: EventRecorder, pod: Pod, set: StatefulSet): Promise<void> {
  await mirrors.pods.create(pod);
  const { name } = pod.metadata;
  events.record(set, "Normal", "SuccessfulCreate", `create Pod ${name} in StatefulSet ${set.metadata.name} successful`);
  if ((set.spec.volumeClaimTemplates ?? []).length === 0) return;
  const message =
    "The sandbox has no persistent volumes: volumeClaimTemplates are empty directories, lost with the pod.";
  events.record(set, "Warning", "VolumesNotPersistent", message);
}

async function remove({ mirrors }: Cluster, events: EventRecorder, set: StatefulSet, pod: Pod): Promise<void> {
  await mirrors.pods.delete(pod);
  const message = `delete Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name} successful`;
  events.record(set, "Normal", "SuccessfulDelete", message);
}

/** The Deployment controller's loop: takes the next step of `rollout.ts` and writes the status of `deployment-status.ts`. */
import { objectKey } from "../../../core/api/kube.ts";
import { isReason } from "../../../io/kube/client.ts";
import { claimReplicaSets } from "./claim.ts";
import { isNamespaceOpen, type Cluster } from "./cluster.ts";
import { deadlineInMs, deploymentStatus } from "./deployment-status.ts";
import type { EventRecorder } from "./events.ts";
import type { CountedReplicaSet, RolledDeployment } from "./kinds.ts";
import { startLoop, wakeOwners, type Reconcile } from "./loop.ts";
import { isSelected } from "./labels.ts";
import { controllerOf, isDeleting, isFinished } from "./pods.ts";
import { freshSet, nextStep, replicasOf, rolloutAnnotation, type RolloutStep, type SetChange } from "./rollout.ts";
import { isEqual, isSameTemplate } from "./template.ts";

export function startDeployments(cluster: Cluster): void {
  const { mirrors } = cluster;
  const queue = startLoop(cluster, "deployment", mirrors.deployments, reconcile);
  wakeOwners(mirrors.replicaSets, "Deployment", queue, (set) => {
    for (const deployment of mirrors.deployments.inNamespace(set.metadata.namespace ?? "default")) {
      if (isSelected(set.metadata.labels, deployment.spec.selector)) queue.add(objectKey(deployment));
    }
  });
  // Recreate waits for the last old pod, which no ReplicaSet tells of.
  mirrors.pods.onChange(({ before, after }) => {
    if (before === undefined || after !== undefined) return;
    const owner = controllerOf(before);
    if (owner?.kind !== "ReplicaSet") return;
    const set = mirrors.replicaSets.get(`${before.metadata.namespace}/${owner.name}`);
    const deployment = set === undefined ? undefined : controllerOf(set);
    if (deployment !== undefined) queue.add(`${before.metadata.namespace}/${deployment.name}`);
  });
}

const reconcile: Reconcile = async (cluster, events, key, again) => {
  const { mirrors, host } = cluster;
  const deployment = mirrors.deployments.get(key);
  if (deployment === undefined) return;
  const sets = await claimReplicaSets(cluster, deployment, deployment.spec.selector);
  if (!isDeleting(deployment) && isNamespaceOpen(cluster, deployment.metadata.namespace)) {
    const fresh = freshSet({ deployment, sets });
    const hasOldPods = sets.some(
      (set) => set !== fresh && mirrors.pods.ownedBy(set.metadata.uid).some((pod) => !isFinished(pod)),
    );
    await take(cluster, events, deployment, nextStep({ deployment, sets, hasOldPods }));
  }
  const latest = mirrors.deployments.get(key);
  if (latest === undefined) return;
  const owned = mirrors.replicaSets
    .ownedBy(latest.metadata.uid)
    .filter((set) => controllerOf(set)?.uid === latest.metadata.uid);
  const view = { deployment: latest, sets: owned, nowMs: host.clock.now() };
  const status = deploymentStatus(view);
  if (!isEqual(latest.status, status)) await mirrors.deployments.update({ ...latest, status }, "status");
  const waitMs = deadlineInMs(view, status);
  if (waitMs !== undefined) again(waitMs);
};

async function take(
  cluster: Cluster,
  events: EventRecorder,
  deployment: RolledDeployment,
  step: RolloutStep,
): Promise<void> {
  const { mirrors } = cluster;
  if (step.create !== undefined) await create(cluster, events, deployment, step.create);
  for (const change of step.changes) await resize(cluster, events, deployment, change);
  for (const set of step.remove) await mirrors.replicaSets.delete(set, { propagationPolicy: "Background" });
  const revision = step.revision ?? step.create?.metadata.annotations?.[rolloutAnnotation.revision];
  if (revision === undefined || deployment.metadata.annotations?.[rolloutAnnotation.revision] === revision) return;
  await mirrors.deployments.merge(deployment, {
    metadata: { annotations: { [rolloutAnnotation.revision]: revision } },
  });
}

async function create(
  cluster: Cluster,
  events: EventRecorder,
  deployment: RolledDeployment,
  set: CountedReplicaSet,
): Promise<void> {
  const { mirrors } = cluster;
  try {
    const made = await mirrors.replicaSets.create(set);
    const count = replicasOf(made);
    if (count === 0) return;
    const message = `Scaled up replica set ${made.metadata.name} from 0 to ${count}`;
    events.record(deployment, "Normal", "ScalingReplicaSet", message);
  } catch (error) {
    if (!isReason(error, "AlreadyExists")) throw error;
    const { name, namespace } = set.metadata;
    const there = await cluster.client.get(mirrors.replicaSets.type, { name, namespace });
    const isOurs = controllerOf(there)?.uid === deployment.metadata.uid;
    // Ours and equal: the mirror will know it in a moment, and the retry finds it.
    if (isOurs && isSameTemplate(there.spec.template, deployment.spec.template)) throw error;
    const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
    await mirrors.deployments.update({ ...deployment, status: { ...deployment.status, collisionCount } }, "status");
    throw error;
  }
}

async function resize(
  { mirrors }: Cluster,
  events: EventRecorder,
  deployment: RolledDeployment,
  { set, replicas, annotations }: SetChange,
): Promise<void> {
  const before = replicasOf(set);
  const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
  await mirrors.replicaSets.merge(set, { metadata: { annotations }, spec: { replicas, minReadySeconds } });
  if (before === replicas) return;
  const direction = replicas > before ? "up" : "down";
  const message = `Scaled ${direction} replica set ${set.metadata.name} from ${before} to ${replicas}`;
  events.record(deployment, "Normal", "ScalingReplicaSet", message);
}

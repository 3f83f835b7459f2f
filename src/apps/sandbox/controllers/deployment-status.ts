/** The status of a Deployment, with the conditions and reasons that `kubectl rollout status` waits for. Pure. */
import { isoSeconds, msOfIso } from "../../../io/host/iso-time.ts";
import type { CountedReplicaSet, DeploymentStatus, RolledDeployment, WorkloadCondition } from "./kinds.ts";
import { freshSet, replicasOf, rolloutBounds } from "./rollout.ts";

const progressDeadlineSecondsDefault = 600;
/** What the API writes for "no deadline". */
const noDeadlineSeconds = 2_147_483_647;

type Verdict = Pick<WorkloadCondition, "type" | "status" | "reason" | "message">;

export interface StatusView {
  readonly deployment: RolledDeployment;
  readonly sets: readonly CountedReplicaSet[];
  readonly nowMs: number;
}

export function deploymentStatus(view: StatusView): DeploymentStatus {
  const { deployment, sets } = view;
  const fresh = freshSet(view);
  const total = (count: (set: CountedReplicaSet) => number | undefined): number =>
    sets.reduce((sum, set) => sum + (count(set) ?? 0), 0);
  const availableReplicas = total(({ status }) => status?.availableReplicas);
  const status: DeploymentStatus = {
    replicas: total((set) => set.status?.replicas),
    updatedReplicas: fresh?.status?.replicas ?? 0,
    readyReplicas: total((set) => set.status?.readyReplicas),
    availableReplicas,
    unavailableReplicas: Math.max(0, total(replicasOf) - availableReplicas),
  };
  if (deployment.metadata.generation !== undefined) status.observedGeneration = deployment.metadata.generation;
  const { collisionCount } = deployment.status ?? {};
  if (collisionCount !== undefined) status.collisionCount = collisionCount;
  const verdicts = [availability(deployment, availableReplicas), ...progress(view, fresh, status), ...failures(sets)];
  status.conditions = verdicts.map((verdict) =>
    dated(deployment, verdict, isAdvance(deployment.status, status), view.nowMs),
  );
  return status;
}

/** Until the deadline must be looked at again; undefined when nothing is under way. */
export function deadlineInMs({ deployment, nowMs }: StatusView, status: DeploymentStatus): number | undefined {
  const progressing = status.conditions?.find(({ type }) => type === "Progressing");
  const seconds = deployment.spec.progressDeadlineSeconds ?? progressDeadlineSecondsDefault;
  const isOver = progressing?.status === "False" || progressing?.reason === "NewReplicaSetAvailable";
  if (progressing === undefined || isOver || seconds >= noDeadlineSeconds || deployment.spec.paused === true)
    return undefined;
  const sinceMs = msOfIso(progressing.lastUpdateTime ?? "") ?? nowMs;
  return Math.max(0, sinceMs + seconds * 1_000 - nowMs);
}

function availability(deployment: RolledDeployment, available: number): Verdict {
  const isEnough = available >= replicasOf(deployment) - rolloutBounds(deployment).unavailable;
  return isEnough
    ? verdict("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    : verdict("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.");
}

const verdict = (type: string, status: "True" | "False" | "Unknown", reason: string, message: string): Verdict => ({
  type,
  status,
  reason,
  message,
});

function progress(
  view: StatusView,
  fresh: CountedReplicaSet | undefined,
  status: DeploymentStatus,
): readonly Verdict[] {
  const { deployment } = view;
  const known = deployment.status?.conditions?.find(({ type }) => type === "Progressing");
  const name = fresh?.metadata.name ?? deployment.metadata.name;
  if (deployment.spec.paused === true) {
    return [verdict("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")];
  }
  const wanted = replicasOf(deployment);
  const isComplete =
    fresh !== undefined &&
    status.updatedReplicas === wanted &&
    status.replicas === wanted &&
    status.availableReplicas === wanted &&
    replicasOf(fresh) === wanted;
  if (isComplete) {
    const message = `ReplicaSet "${name}" has successfully progressed.`;
    return [verdict("Progressing", "True", "NewReplicaSetAvailable", message)];
  }
  const isMoving = `ReplicaSet "${name}" is progressing.`;
  if (known === undefined || known.reason === "DeploymentPaused") {
    const message = known === undefined ? `Created new replica set "${name}"` : "Deployment is resumed";
    const reason = known === undefined ? "NewReplicaSetCreated" : "DeploymentResumed";
    return [verdict("Progressing", known === undefined ? "True" : "Unknown", reason, message)];
  }
  const isNew = deployment.status?.observedGeneration !== deployment.metadata.generation;
  if (isNew || isAdvance(deployment.status, status)) {
    return [verdict("Progressing", "True", "ReplicaSetUpdated", isMoving)];
  }
  // A finished rollout does not fail afterwards because a pod of it does; only a new one starts the clock again.
  if (known.reason === "NewReplicaSetAvailable") return [known];
  const seconds = deployment.spec.progressDeadlineSeconds ?? progressDeadlineSecondsDefault;
  const sinceMs = msOfIso(known.lastUpdateTime ?? "") ?? view.nowMs;
  const isLate = seconds < noDeadlineSeconds && view.nowMs >= sinceMs + seconds * 1_000;
  if (!isLate || known.reason === "ProgressDeadlineExceeded") return [known];
  const message = `ReplicaSet "${name}" has timed out progressing.`;
  return [verdict("Progressing", "False", "ProgressDeadlineExceeded", message)];
}

/** Something of the rollout moved since the last status. */
function isAdvance(before: DeploymentStatus | undefined, after: DeploymentStatus): boolean {
  if (before === undefined) return false;
  const old = (status: DeploymentStatus): number => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (after.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(after) < old(before) ||
    (after.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (after.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

const failures = (sets: readonly CountedReplicaSet[]): readonly Verdict[] =>
  sets.flatMap(({ status }) => status?.conditions?.filter(({ type }) => type === "ReplicaFailure") ?? []).slice(0, 1);

/** The times stay while nothing changes; the update time alone moves while a rollout advances. */
function dated(deployment: RolledDeployment, next: Verdict, isAdvancing: boolean, nowMs: number): WorkloadCondition {
  const known = deployment.status?.conditions?.find(({ type }) => type === next.type);
  const nowText = isoSeconds(nowMs);
  const isSame = known?.status === next.status && known.reason === next.reason && known.message === next.message;
  const isTouched = !isSame || (isAdvancing && next.type === "Progressing");
  return {
    ...verdict(next.type, next.status, next.reason, next.message),
    lastUpdateTime: isTouched ? nowText : (known.lastUpdateTime ?? nowText),
    lastTransitionTime: known?.status === next.status ? known.lastTransitionTime : nowText,
  };
}

/**
 * The Job controller: runs pods until enough of them have succeeded or too many have failed. `planJob` is pure. Finished
 * pods are counted while they exist; once the verdict is in the status, it stands.
 */
import type { Pod } from "../../../core/api/pod.ts";
import { isoSeconds, msOfIso } from "../../../io/host/iso-time.ts";
import { isNamespaceOpen, type Cluster } from "./cluster.ts";
import type { EventRecorder } from "./events.ts";
import type { Job, JobStatus } from "./kinds.ts";
import { startLoop, wakeOwners, type Reconcile } from "./loop.ts";
import { generatedName, isActive, isDeleting, isReady, podOf } from "./pods.ts";
import { isEqual } from "./template.ts";

const backoffLimitDefault = 6;
/** Failed pods are followed by a new one after 10 s, 20 s … up to 6 minutes. */
const backoffMsMin = 10_000;
const backoffMsMax = 360_000;

export interface JobPlan {
  readonly create: number;
  readonly remove: readonly Pod[];
  readonly status: JobStatus;
  /** When to look again: a backoff, a deadline or the end of the time to live. */
  readonly waitMs: number | undefined;
  readonly isExpired: boolean;
}

export interface JobView {
  readonly job: Job;
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

function planJob({ job, pods, nowMs }: JobView): JobPlan {
  const { spec } = job;
  const verdict = job.status?.conditions?.find(({ type, status }) => isFinal(type) && status === "True");
  const active = pods.filter(isActive);
  if (verdict !== undefined) return finished(job, active, nowMs);
  const parallelism = spec.suspend === true ? 0 : (spec.parallelism ?? 1);
  const succeeded = pods.filter(({ status }) => status?.phase === "Succeeded").length;
  const failed = pods.filter(({ status }) => status?.phase === "Failed").length;
  const startTime = job.status?.startTime ?? (spec.suspend === true ? undefined : isoSeconds(nowMs));
  const counts: JobStatus = {
    active: active.length,
    ready: active.filter(isReady).length,
    ...(succeeded > 0 ? { succeeded } : {}),
    ...(failed > 0 ? { failed } : {}),
    ...(startTime === undefined ? {} : { startTime }),
  };
  const deadlineMs = endOf(startTime, spec.activeDeadlineSeconds);
  // Without completions one success is enough, once the others have ended too.
  const isComplete =
    spec.completions === undefined
      ? spec.parallelism !== undefined && spec.parallelism > 1
        ? succeeded > 0 && active.length === 0
        : succeeded > 0
      : succeeded >= spec.completions;
  if (isComplete)
    return ended(counts, active, nowMs, [
      "Complete",
      "CompletionsReached",
      "Reached expected number of succeeded pods",
    ]);
  if (failed > (spec.backoffLimit ?? backoffLimitDefault)) {
    return ended(counts, active, nowMs, [
      "Failed",
      "BackoffLimitExceeded",
      "Job has reached the specified backoff limit",
    ]);
  }
  if (deadlineMs !== undefined && nowMs >= deadlineMs) {
    return ended(counts, active, nowMs, [
      "Failed",
      "DeadlineExceeded",
      "Job was active longer than specified deadline",
    ]);
  }
  const open =
    spec.completions === undefined ? (succeeded > 0 ? active.length : parallelism) : spec.completions - succeeded;
  const wanted = Math.min(parallelism, open);
  const backoffMs = failed === 0 ? 0 : backoffLeft(pods, failed, nowMs);
  const missing = Math.max(0, wanted - active.length);
  const waits = [
    missing > 0 && backoffMs > 0 ? backoffMs : undefined,
    deadlineMs === undefined ? undefined : deadlineMs - nowMs,
  ];
  return {
    create: backoffMs > 0 ? 0 : missing,
    remove: active.slice(wanted),
    status: counts,
    waitMs: shortest(waits),
    isExpired: false,
  };
}

const isFinal = (type: string): boolean => type === "Complete" || type === "Failed";

const endOf = (startText: string | undefined, seconds: number | undefined): number | undefined => {
  const startMs = startText === undefined ? undefined : msOfIso(startText);
  return startMs === undefined || seconds === undefined ? undefined : startMs + seconds * 1_000;
};

const shortest = (waits: readonly (number | undefined)[]): number | undefined => {
  const known = waits.flatMap((wait) => wait ?? []);
  return known.length === 0 ? undefined : Math.min(...known);
};

function backoffLeft(pods: readonly Pod[], failed: number, nowMs: number): number {
  const endsMs = pods
    .filter(({ status }) => status?.phase === "Failed")
    .flatMap(({ status, metadata }) => {
      const ends = (status?.containerStatuses ?? []).map(
        ({ state }) => msOfIso(state.terminated?.finishedAt ?? "") ?? 0,
      );
      return Math.max(msOfIso(metadata.creationTimestamp ?? "") ?? 0, ...ends);
    });
  const pauseMs = Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(failed - 1, 10));
  return Math.max(0, Math.max(...endsMs) + pauseMs - nowMs);
}

function ended(
  counts: JobStatus,
  active: readonly Pod[],
  nowMs: number,
  [type, reason, message]: readonly [string, string, string],
): JobPlan {
  const at = isoSeconds(nowMs);
  const status: JobStatus = {
    ...counts,
    active: 0,
    ready: 0,
    ...(type === "Complete" ? { completionTime: at } : {}),
    conditions: [{ type, status: "True", reason, message, lastProbeTime: at, lastTransitionTime: at }],
  };
  return { create: 0, remove: active, status, waitMs: undefined, isExpired: false };
}

function finished(job: Job, active: readonly Pod[], nowMs: number): JobPlan {
  const verdict = job.status?.conditions?.find(({ type }) => isFinal(type));
  const endMs = endOf(verdict?.lastTransitionTime, job.spec.ttlSecondsAfterFinished);
  const waitMs = endMs === undefined ? undefined : Math.max(0, endMs - nowMs);
  return { create: 0, remove: active, status: job.status ?? {}, waitMs, isExpired: waitMs === 0 };
}

export function startJobs(cluster: Cluster): void {
  const { mirrors } = cluster;
  const queue = startLoop(cluster, "job", mirrors.jobs, reconcile);
  wakeOwners(mirrors.pods, "Job", queue);
}

const reconcile: Reconcile = async (cluster, events, key, again) => {
  const { mirrors, host } = cluster;
  const job = mirrors.jobs.get(key);
  if (job === undefined || isDeleting(job)) return;
  const pods = mirrors.pods.ownedBy(job.metadata.uid);
  const plan = planJob({ job, pods, nowMs: host.clock.now() });
  if (plan.isExpired) return mirrors.jobs.delete(job, { propagationPolicy: "Background" });
  // The verdict first: a pod deleted before it would not be counted.
  if (!isEqual(job.status, plan.status)) await mirrors.jobs.update({ ...job, status: plan.status }, "status");
  await Promise.all(plan.remove.map((pod) => mirrors.pods.delete(pod)));
  const create = isNamespaceOpen(cluster, job.metadata.namespace) ? plan.create : 0;
  await Promise.all(Array.from({ length: create }, () => createPod(cluster, events, job)));
  const condition = plan.status.conditions?.find(({ type }) => isFinal(type));
  if (condition !== undefined && job.status?.conditions === undefined) {
    const isComplete = condition.type === "Complete";
    const reason = isComplete ? "Completed" : (condition.reason ?? "Failed");
    const message = isComplete ? "Job completed" : (condition.message ?? "Job failed");
    events.record(job, isComplete ? "Normal" : "Warning", reason, message);
  }
  if (plan.waitMs !== undefined) again(plan.waitMs);
};

async function createPod({ mirrors, host }: Cluster, events: EventRecorder, job: Job): Promise<void> {
  const { name, uid = "" } = job.metadata;
  const podName = generatedName(host.random, name);
  const labels = {
    "job-name": name,
    "controller-uid": uid,
    "batch.kubernetes.io/job-name": name,
    "batch.kubernetes.io/controller-uid": uid,
  };
  await mirrors.pods.create(podOf(job, podName, job.spec.template, labels));
  events.record(job, "Normal", "SuccessfulCreate", `Created pod: ${podName}`);
}

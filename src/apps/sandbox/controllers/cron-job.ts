/**
 * The CronJob controller: makes a Job when one is due, at most one per look, and removes old ones. `planCron` is pure. It
 * looks at the start of every minute; a run that was missed is made up for once, if its deadline and a day have not passed.
 */
import { isoSeconds, msOfIso } from "../../../io/host/iso-time.ts";
import { cronOf, lastDueMs, nextLookMs } from "../../apiserver/schema/cron.ts";
import { isNamespaceOpen, type Cluster } from "./cluster.ts";
import type { EventRecorder } from "./events.ts";
import type { CronJob, CronJobStatus, Job } from "./kinds.ts";
import { startLoop, wakeOwners, writeStatus, type Reconcile } from "./loop.ts";
import { controlledBy, controllerOf, isDeleting } from "./pods.ts";

const historyDefault = { Complete: 3, Failed: 1 } as const;
type Verdict = keyof typeof historyDefault;

export interface CronView {
  readonly cron: CronJob;
  /** All that it made. */
  readonly jobs: readonly Job[];
  readonly nowMs: number;
}

export interface CronPlan {
  readonly create?: Job;
  readonly remove: readonly Job[];
  readonly status: CronJobStatus;
  /** Why a due run does not take place. */
  readonly skipped?: readonly [reason: string, message: string];
  readonly waitMs?: number;
}

const verdictOf = (job: Job): Verdict | undefined => {
  const isTrue = (type: Verdict): boolean =>
    job.status?.conditions?.some((one) => one.type === type && one.status === "True") ?? false;
  return isTrue("Complete") ? "Complete" : isTrue("Failed") ? "Failed" : undefined;
};

function planCron({ cron, jobs, nowMs }: CronView): CronPlan {
  const { spec, metadata } = cron;
  const active = jobs.filter((job) => verdictOf(job) === undefined && !isDeleting(job));
  const remove = outdated(cron, jobs);
  const status = statusOf(cron, jobs, active);
  const schedule = cronOf(spec.schedule);
  if (spec.suspend === true || isDeleting(cron) || typeof schedule === "string") return { remove, status };
  const sinceMs = msOfIso(cron.status?.lastScheduleTime ?? metadata.creationTimestamp ?? "") ?? nowMs;
  const waitMs = nextLookMs(schedule, sinceMs, nowMs);
  const dueMs = lastDueMs(schedule, spec.timeZone, sinceMs, nowMs);
  if (dueMs === undefined) return { remove, status, waitMs };
  const { startingDeadlineSeconds, concurrencyPolicy = "Allow" } = spec;
  const at = isoSeconds(dueMs);
  if (startingDeadlineSeconds !== undefined && nowMs - dueMs > startingDeadlineSeconds * 1_000) {
    return { remove, status, waitMs, skipped: ["MissSchedule", `Missed scheduled time to start a job: ${at}`] };
  }
  if (concurrencyPolicy === "Forbid" && active.length > 0) {
    const why = `Not starting job because prior execution is running and concurrency policy is Forbid`;
    return { remove, status, waitMs, skipped: ["JobAlreadyActive", why] };
  }
  const replaced = concurrencyPolicy === "Replace" ? active : [];
  return {
    create: jobOf(cron, dueMs),
    remove: [...remove, ...replaced],
    status: { ...status, lastScheduleTime: at },
    waitMs,
  };
}

/** Finished jobs beyond the limits, the oldest first. */
function outdated({ spec }: CronJob, jobs: readonly Job[]): readonly Job[] {
  const kept = {
    Complete: spec.successfulJobsHistoryLimit ?? historyDefault.Complete,
    Failed: spec.failedJobsHistoryLimit ?? historyDefault.Failed,
  };
  return (["Complete", "Failed"] as const).flatMap((verdict) => {
    const ended = jobs.filter((job) => verdictOf(job) === verdict && !isDeleting(job)).toSorted(byAge);
    return ended.slice(0, Math.max(0, ended.length - kept[verdict]));
  });
}

const startMsOf = ({ status, metadata }: Job): number =>
  msOfIso(status?.startTime ?? metadata.creationTimestamp ?? "") ?? 0;
const byAge = (one: Job, other: Job): number => startMsOf(one) - startMsOf(other);

function statusOf(cron: CronJob, jobs: readonly Job[], active: readonly Job[]): CronJobStatus {
  const ends = jobs.flatMap((job) => (verdictOf(job) === "Complete" ? (job.status?.completionTime ?? []) : []));
  const known = cron.status?.lastSuccessfulTime;
  const last = [...ends, ...(known === undefined ? [] : [known])].toSorted().at(-1);
  return {
    ...(active.length === 0 ? {} : { active: active.map(referenceTo) }),
    ...(cron.status?.lastScheduleTime === undefined ? {} : { lastScheduleTime: cron.status.lastScheduleTime }),
    ...(last === undefined ? {} : { lastSuccessfulTime: last }),
  };
}

const referenceTo = ({ metadata }: Job) => ({
  apiVersion: "batch/v1",
  kind: "Job",
  name: metadata.name,
  namespace: metadata.namespace ?? "default",
  uid: metadata.uid ?? "",
});

/** Named by the minute in which it was due, so that one run is never made twice. */
function jobOf(cron: CronJob, dueMs: number): Job {
  const { metadata: template, spec } = cron.spec.jobTemplate;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name: `${cron.metadata.name}-${Math.floor(dueMs / 60_000)}`,
      namespace: cron.metadata.namespace ?? "default",
      labels: { ...template?.labels },
      annotations: { ...template?.annotations, "batch.kubernetes.io/cronjob-scheduled-timestamp": isoSeconds(dueMs) },
      ownerReferences: [controlledBy(cron)],
    },
    spec: structuredClone(spec),
  };
}

export function startCronJobs(cluster: Cluster): void {
  const { mirrors } = cluster;
  const queue = startLoop(cluster, "cronjob", mirrors.cronJobs, reconcile);
  wakeOwners(mirrors.jobs, "CronJob", queue);
}

const reconcile: Reconcile = async (cluster, events, key, again) => {
  const { mirrors, host } = cluster;
  const cron = mirrors.cronJobs.get(key);
  if (cron === undefined) return;
  const jobs = mirrors.jobs.ownedBy(cron.metadata.uid).filter((job) => controllerOf(job)?.uid === cron.metadata.uid);
  tellEnded(events, cron, jobs);
  const plan = planCron({ cron, jobs, nowMs: host.clock.now() });
  if (plan.skipped !== undefined) events.record(cron, "Warning", ...plan.skipped);
  await Promise.all(plan.remove.map((job) => remove(cluster, events, cron, job)));
  if (plan.create !== undefined && isNamespaceOpen(cluster, cron.metadata.namespace)) {
    await create(cluster, events, cron, plan.create);
  }
  await writeStatus(mirrors.cronJobs, key, plan.status);
  if (plan.waitMs !== undefined) again(plan.waitMs);
};

/** Of jobs that the status still lists as running. */
function tellEnded(events: EventRecorder, cron: CronJob, jobs: readonly Job[]): void {
  for (const job of jobs) {
    const verdict = verdictOf(job);
    const wasActive = cron.status?.active?.some(({ uid }) => uid === job.metadata.uid) ?? false;
    if (verdict === undefined || !wasActive) continue;
    events.record(cron, "Normal", "SawCompletedJob", `Saw completed job: ${job.metadata.name}, condition: ${verdict}`);
  }
}

async function create({ mirrors }: Cluster, events: EventRecorder, cron: CronJob, job: Job): Promise<void> {
  const { namespace, name } = job.metadata;
  if (mirrors.jobs.get(`${namespace}/${name}`) !== undefined) return;
  await mirrors.jobs.create(job);
  events.record(cron, "Normal", "SuccessfulCreate", `Created job ${name}`);
}

async function remove({ mirrors }: Cluster, events: EventRecorder, cron: CronJob, job: Job): Promise<void> {
  await mirrors.jobs.delete(job, { propagationPolicy: "Background" });
  events.record(cron, "Normal", "SuccessfulDelete", `Deleted job ${job.metadata.name}`);
}

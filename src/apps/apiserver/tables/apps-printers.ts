/** The columns of workloads: apps/v1 and batch/v1. */
import type { AnyObject } from "../../../core/api/kube.ts";
import { msOfIso } from "../../../io/host/iso-time.ts";
import { listAt, numberAt, objectAt, objectsAt, textAt, valueAt } from "../schema/json.ts";
import { selectorText } from "../schema/selector.ts";
import {
  ageOf,
  columns,
  containerCells,
  humanDuration,
  labelsText,
  type Printer,
  sinceText,
  specOf,
} from "./printer.ts";

const templateCells = (object: AnyObject): readonly [string, string] =>
  containerCells(objectAt(object, "spec", "template", "spec"));

const status = (object: AnyObject, field: string): number => numberAt(object, "status", field);

export const deploymentPrinter: Printer = {
  columns: columns(
    "Name",
    "Ready",
    "Up-to-date:integer",
    "Available:integer",
    "Age",
    "Containers*",
    "Images*",
    "Selector*",
  ),
  cells: (object, nowMs) => [
    object.metadata.name,
    `${status(object, "readyReplicas")}/${numberAt(object, "spec", "replicas")}`,
    status(object, "updatedReplicas"),
    status(object, "availableReplicas"),
    ageOf(object, nowMs),
    ...templateCells(object),
    selectorText(specOf(object)["selector"]),
  ],
};

export const replicaSetPrinter: Printer = {
  columns: columns(
    "Name",
    "Desired:integer",
    "Current:integer",
    "Ready:integer",
    "Age",
    "Containers*",
    "Images*",
    "Selector*",
  ),
  cells: (object, nowMs) => [
    object.metadata.name,
    numberAt(object, "spec", "replicas"),
    status(object, "replicas"),
    status(object, "readyReplicas"),
    ageOf(object, nowMs),
    ...templateCells(object),
    selectorText(specOf(object)["selector"]),
  ],
};

export const daemonSetPrinter: Printer = {
  columns: columns(
    "Name",
    "Desired:integer",
    "Current:integer",
    "Ready:integer",
    "Up-to-date:integer",
    "Available:integer",
    "Node Selector",
    "Age",
    "Containers*",
    "Images*",
    "Selector*",
  ),
  cells: (object, nowMs) => [
    object.metadata.name,
    status(object, "desiredNumberScheduled"),
    status(object, "currentNumberScheduled"),
    status(object, "numberReady"),
    status(object, "updatedNumberScheduled"),
    status(object, "numberAvailable"),
    labelsText(valueAt(object, "spec", "template", "spec", "nodeSelector")),
    ageOf(object, nowMs),
    ...templateCells(object),
    selectorText(specOf(object)["selector"]),
  ],
};

export const statefulSetPrinter: Printer = {
  columns: columns("Name", "Ready", "Age", "Containers*", "Images*"),
  cells: (object, nowMs) => [
    object.metadata.name,
    `${status(object, "readyReplicas")}/${numberAt(object, "spec", "replicas")}`,
    ageOf(object, nowMs),
    ...templateCells(object),
  ],
};

export const controllerRevisionPrinter: Printer = {
  columns: columns("Name", "Controller", "Revision:integer", "Age"),
  cells: (object, nowMs) => {
    const owner = object.metadata.ownerReferences?.find(({ controller }) => controller === true);
    const [group] = owner?.apiVersion.split("/") ?? [];
    return [
      object.metadata.name,
      owner === undefined ? "<none>" : `${owner.kind.toLowerCase()}.${group}/${owner.name}`,
      numberAt(object, "revision"),
      ageOf(object, nowMs),
    ];
  },
};

const jobStatusText = (job: AnyObject): string => {
  const isTrue = (type: string): boolean =>
    objectsAt(job, "status", "conditions").some((one) => one["type"] === type && one["status"] === "True");
  if (isTrue("Complete")) return "Complete";
  if (isTrue("Failed")) return "Failed";
  if (job.metadata.deletionTimestamp !== undefined) return "Terminating";
  if (isTrue("Suspended")) return "Suspended";
  if (isTrue("FailureTarget")) return "FailureTarget";
  return isTrue("SuccessCriteriaMet") ? "SuccessCriteriaMet" : "Running";
};

const completionsText = (job: AnyObject): string => {
  const succeeded = status(job, "succeeded");
  const wanted = valueAt(job, "spec", "completions");
  if (typeof wanted === "number") return `${succeeded}/${wanted}`;
  const parallelism = numberAt(job, "spec", "parallelism");
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
};

const jobDuration = (job: AnyObject, nowMs: number): string => {
  const started = msOfIso(textAt(job, "status", "startTime"));
  if (started === undefined) return "";
  return humanDuration((msOfIso(textAt(job, "status", "completionTime")) ?? nowMs) - started);
};

export const jobPrinter: Printer = {
  columns: columns("Name", "Status", "Completions", "Duration", "Age", "Containers*", "Images*", "Selector*"),
  cells: (job, nowMs) => [
    job.metadata.name,
    jobStatusText(job),
    completionsText(job),
    jobDuration(job, nowMs),
    ageOf(job, nowMs),
    ...templateCells(job),
    selectorText(specOf(job)["selector"]),
  ],
};

export const cronJobPrinter: Printer = {
  columns: columns(
    "Name",
    "Schedule",
    "Timezone",
    "Suspend",
    "Active:integer",
    "Last Schedule",
    "Age",
    "Containers*",
    "Images*",
    "Selector*",
  ),
  cells: (object, nowMs) => {
    const spec = specOf(object);
    const last = valueAt(object, "status", "lastScheduleTime");
    return [
      object.metadata.name,
      textAt(spec, "schedule"),
      textAt(spec, "timeZone") || "<none>",
      spec["suspend"] === true ? "True" : "False",
      listAt(object, "status", "active").length,
      last === undefined ? "<none>" : sinceText(last, nowMs),
      ageOf(object, nowMs),
      ...containerCells(objectAt(spec, "jobTemplate", "spec", "template", "spec")),
      selectorText(valueAt(spec, "jobTemplate", "spec", "selector")),
    ];
  },
};

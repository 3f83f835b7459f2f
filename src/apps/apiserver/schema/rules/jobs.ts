/** Defaults and rules of batch/v1. */
import type { AnyObject } from "../../../../core/api/kube.ts";
import type { Cause } from "../../kind.ts";
import { immutable, invalid, unsupported } from "../causes.ts";
import { cronOf, isTimeZone } from "../cron.ts";
import {
  ensureObject,
  isEqualJson,
  isObject,
  type JsonObject,
  objectAt,
  setIfAbsent,
  textAt,
  valueAt,
} from "../json.ts";
import { checkTemplate } from "./pods.ts";
import { fillTemplateDefaults } from "./workloads.ts";

const fillJobSpecDefaults = (spec: JsonObject): void => {
  fillTemplateDefaults(spec);
  if (spec["completions"] === undefined && spec["parallelism"] === undefined) spec["completions"] = 1;
  setIfAbsent(spec, "parallelism", 1);
  setIfAbsent(spec, "backoffLimit", spec["backoffLimitPerIndex"] === undefined ? 6 : 2_147_483_647);
  const hasPolicy = spec["podFailurePolicy"] !== undefined;
  setIfAbsent(spec, "podReplacementPolicy", hasPolicy ? "Failed" : "TerminatingOrFailed");
};

export const fillJobDefaults = (object: AnyObject, old: AnyObject | undefined): void => {
  const spec = ensureObject(object, "spec");
  fillJobSpecDefaults(spec);
  const { uid, name } = object.metadata;
  if (old !== undefined || uid === undefined || spec["manualSelector"] === true) return;
  // A job tells its pods from those of other jobs by its uid.
  const template = ensureObject(spec, "template");
  const labels = ensureObject(ensureObject(template, "metadata"), "labels");
  for (const prefix of ["", "batch.kubernetes.io/"]) {
    labels[`${prefix}controller-uid`] = uid;
    labels[`${prefix}job-name`] = name;
  }
  if (!isObject(spec["selector"])) spec["selector"] = { matchLabels: { "batch.kubernetes.io/controller-uid": uid } };
};

export const fillCronJobDefaults = (object: AnyObject): void => {
  const template = ensureObject(ensureObject(object, "spec"), "jobTemplate");
  if (isObject(template["spec"])) {
    fillTemplateDefaults(template["spec"]);
  }
};

const checkJobSpec = (spec: JsonObject, path: string): Cause[] => {
  const causes = checkTemplate(spec["template"], `${path}.template`);
  const policy = textAt(spec, "template", "spec", "restartPolicy");
  if (policy === "Always") {
    causes.push(unsupported(`${path}.template.spec.restartPolicy`, policy, ["OnFailure", "Never"]));
  }
  return causes;
};

export const checkJob = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] => {
  const causes = checkJobSpec(objectAt(object, "spec"), "spec");
  if (old === undefined) return causes;
  for (const field of ["selector", "completionMode", "template"]) {
    const value = valueAt(object, "spec", field);
    if (!isEqualJson(value, valueAt(old, "spec", field))) causes.push(invalid(`spec.${field}`, value, immutable));
  }
  return causes;
};

export const checkCronJob = (object: AnyObject): readonly Cause[] => {
  const causes = checkJobSpec(objectAt(object, "spec", "jobTemplate", "spec"), "spec.jobTemplate.spec");
  const schedule = textAt(object, "spec", "schedule");
  const cron = cronOf(schedule);
  if (typeof cron === "string") causes.push(invalid("spec.schedule", schedule, cron));
  const zone = valueAt(object, "spec", "timeZone");
  if (typeof zone === "string" && !isTimeZone(zone)) {
    causes.push(invalid("spec.timeZone", zone, `unknown time zone ${zone}`));
  }
  return causes;
};

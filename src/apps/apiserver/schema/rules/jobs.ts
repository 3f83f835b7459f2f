/** Defaults and rules of batch/v1. */
import type { AnyObject } from "../../../../core/api/kube.ts";
import type { Cause } from "../../kind.ts";
import { immutable, invalid, required } from "../causes.ts";
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
import { selects } from "../selector.ts";
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
  setIfAbsent(spec, "completionMode", "NonIndexed");
  setIfAbsent(spec, "suspend", false);
  setIfAbsent(spec, "manualSelector", false);
  const labels = objectAt(spec, "template", "metadata", "labels");
  const own = object.metadata.labels ?? {};
  // The labels of a template that the schema has seen are text.
  if (old === undefined && Object.keys(own).length === 0 && Object.keys(labels).length > 0) {
    object.metadata.labels = { ...labels } as Record<string, string>;
  }
};

export const fillCronJobDefaults = (object: AnyObject): void => {
  const template = ensureObject(ensureObject(object, "spec"), "jobTemplate");
  ensureObject(template, "metadata");
  if (!isObject(template["spec"])) return;
  fillTemplateDefaults(template["spec"]);
  if (isObject(template["spec"]["template"])) ensureObject(template["spec"]["template"], "metadata");
};

const checkJobSpec = (spec: JsonObject, path: string): Cause[] => {
  const causes = checkTemplate(spec["template"], `${path}.template`);
  const policy = textAt(spec, "template", "spec", "restartPolicy");
  if (!isObject(valueAt(spec, "template", "spec"))) causes.push(required(`${path}.template.spec.containers`));
  if (policy === "Always" || policy === "") {
    causes.push(required(`${path}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'));
  }
  return causes;
};

/** A selector is the server's to make, unless the job says that it brings its own. */
const checkJobSelector = (object: AnyObject, old: AnyObject | undefined): Cause[] => {
  const spec = objectAt(object, "spec");
  if (old !== undefined || spec["manualSelector"] === true) return [];
  const selector = objectAt(spec, "selector");
  const isMade =
    Object.keys(objectAt(selector, "matchLabels")).length === 1 && selector["matchExpressions"] === undefined;
  if (isMade) return [];
  const labels = objectAt(spec, "template", "metadata", "labels");
  const isFitting = selects(selector, labels);
  return [
    invalid("spec.selector", selector, "`selector` not auto-generated"),
    ...(isFitting
      ? []
      : [invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")]),
  ];
};

export const checkJob = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] => {
  const causes = [...checkJobSelector(object, old), ...checkJobSpec(objectAt(object, "spec"), "spec")];
  if (old === undefined) return causes;
  const completions = valueAt(object, "spec", "completions");
  const isElastic =
    textAt(object, "spec", "completionMode") === "Indexed" && completions === valueAt(object, "spec", "parallelism");
  if (completions !== valueAt(old, "spec", "completions") && !isElastic) {
    causes.push(invalid("spec.completions", completions, immutable));
  }
  for (const field of ["selector", "completionMode", "template"]) {
    const value = valueAt(object, "spec", field);
    if (!isEqualJson(value, valueAt(old, "spec", field))) causes.push(invalid(`spec.${field}`, value, immutable));
  }
  return causes;
};

/** Its jobs are named after it, with eleven characters more. */
const cronNameMax = 52;

export const checkCronJob = (object: AnyObject): readonly Cause[] => {
  const causes = checkJobSpec(objectAt(object, "spec", "jobTemplate", "spec"), "spec.jobTemplate.spec");
  const schedule = textAt(object, "spec", "schedule");
  if (object.metadata.name.length > cronNameMax) {
    causes.push(invalid("metadata.name", object.metadata.name, `must be no more than ${cronNameMax} characters`));
  }
  const cron = schedule === "" ? undefined : cronOf(schedule);
  if (typeof cron === "string") causes.push(invalid("spec.schedule", schedule, cron));
  const zone = valueAt(object, "spec", "timeZone");
  if (typeof zone === "string" && !isTimeZone(zone)) {
    causes.push(invalid("spec.timeZone", zone, `unknown time zone ${zone}`));
  }
  return causes;
};

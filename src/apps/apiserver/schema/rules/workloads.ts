/** Defaults and rules of the kinds of apps/v1. */
import type { AnyObject } from "../../../../core/api/kube.ts";
import type { Cause } from "../../kind.ts";
import { forbidden, immutable, invalid, required, unsupported } from "../causes.ts";
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
import { checkLabelSelector } from "../names.ts";
import { isSelectorEmpty, selects } from "../selector.ts";
import { checkTemplate, fillPodSpecDefaults } from "./pods.ts";

export const fillTemplateDefaults = (spec: JsonObject): void => {
  const template = spec["template"];
  if (isObject(template) && isObject(template["spec"])) fillPodSpecDefaults(template["spec"]);
};

export const fillDeploymentDefaults = (object: AnyObject): void => {
  const spec = ensureObject(object, "spec");
  fillTemplateDefaults(spec);
  const strategy = ensureObject(spec, "strategy");
  setIfAbsent(strategy, "type", "RollingUpdate");
  if (strategy["type"] !== "RollingUpdate") return;
  const rolling = ensureObject(strategy, "rollingUpdate");
  setIfAbsent(rolling, "maxUnavailable", "25%");
  setIfAbsent(rolling, "maxSurge", "25%");
};

export const fillReplicaSetDefaults = (object: AnyObject): void => fillTemplateDefaults(ensureObject(object, "spec"));

export const fillDaemonSetDefaults = (object: AnyObject): void => {
  const spec = ensureObject(object, "spec");
  fillTemplateDefaults(spec);
  const strategy = ensureObject(spec, "updateStrategy");
  setIfAbsent(strategy, "type", "RollingUpdate");
  if (strategy["type"] !== "RollingUpdate") return;
  const rolling = ensureObject(strategy, "rollingUpdate");
  setIfAbsent(rolling, "maxUnavailable", 1);
  setIfAbsent(rolling, "maxSurge", 0);
};

export const fillStatefulSetDefaults = (object: AnyObject): void => {
  const spec = ensureObject(object, "spec");
  fillTemplateDefaults(spec);
  const strategy = ensureObject(spec, "updateStrategy");
  setIfAbsent(strategy, "type", "RollingUpdate");
  if (strategy["type"] === "RollingUpdate") setIfAbsent(ensureObject(strategy, "rollingUpdate"), "partition", 0);
};

export const checkControllerRevision = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] => {
  const revision = valueAt(object, "revision");
  const causes: Cause[] = isObject(object["data"]) ? [] : [required("data", "data is mandatory")];
  if (typeof revision === "number" && revision < 0)
    causes.push(invalid("revision", revision, "must be greater than or equal to 0"));
  if (old !== undefined && !isEqualJson(object["data"], old["data"]))
    causes.push(invalid("data", object["data"], immutable));
  return causes;
};

interface Workload {
  readonly noun: string;
  /** Fields of the spec that are fixed at creation. */
  readonly fixed: readonly string[];
  /** Says what may not change before what is wrong. */
  readonly isChangeFirst?: boolean;
}

const checkWorkload = (object: AnyObject, old: AnyObject | undefined, workload: Workload): Cause[] => {
  const spec = objectAt(object, "spec");
  const { selector, template } = spec;
  const causes: Cause[] = checkLabelSelector(selector, "spec.selector");
  if (isObject(selector) && isSelectorEmpty(selector)) {
    causes.push(invalid("spec.selector", {}, `empty selector is invalid for ${workload.noun}`));
  } else {
    const labels = valueAt(template, "metadata", "labels");
    // Without a selector nothing is selected.
    if (!isObject(selector)) causes.push(required("spec.selector"));
    if (!isObject(selector) || !selects(selector, isObject(labels) ? labels : {})) {
      causes.push(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
    }
  }
  if (!isObject(template) || !isObject(template["spec"])) causes.push(required("spec.template.spec.containers"));
  if (isObject(template)) {
    causes.push(...checkTemplate(withClaims(template, spec), "spec.template"));
    const policy = textAt(template, "spec", "restartPolicy");
    if (policy !== "" && policy !== "Always") {
      causes.push(unsupported("spec.template.spec.restartPolicy", policy, ["Always"]));
    }
  }
  if (old === undefined) return causes;
  const changed = workload.fixed
    .filter((field) => !isEqualJson(spec[field], valueAt(old, "spec", field)))
    .map((field) => invalid(`spec.${field}`, spec[field], immutable));
  return workload.isChangeFirst === true ? [...changed, ...causes] : [...causes, ...changed];
};

/** A strategy as the API shows it when it does not know its type. */
const shownStrategy = (strategy: JsonObject) => ({
  Type: textAt(strategy, "type"),
  RollingUpdate: strategy["rollingUpdate"] ?? null,
});

/** Claims of a StatefulSet count as volumes of its pods. */
const withClaims = (template: JsonObject, spec: JsonObject): JsonObject => {
  const claims = spec["volumeClaimTemplates"];
  return claims === undefined
    ? template
    : { ...template, spec: { ...objectAt(template, "spec"), volumeClaimTemplates: claims } };
};

const isNothing = (value: unknown): boolean => value === 0 || value === "0%" || value === "0";

const checkIntOrPercent = (value: unknown, path: string): Cause[] => {
  if (typeof value === "string" && !/^\d+%$/.test(value)) {
    const detail =
      "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used " +
      "for validation is '[0-9]+%')";
    return [invalid(path, value, detail)];
  }
  return typeof value === "number" && value < 0 ? [invalid(path, value, "must be greater than or equal to 0")] : [];
};

export const checkDeployment = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] => {
  const causes = checkWorkload(object, old, { noun: "deployment", fixed: ["selector"] });
  const strategy = objectAt(object, "spec", "strategy");
  const path = "spec.strategy.rollingUpdate";
  if (!["Recreate", "RollingUpdate"].includes(textAt(strategy, "type"))) {
    causes.push(unsupported("spec.strategy", shownStrategy(strategy), ["Recreate", "RollingUpdate"]));
  }
  if (strategy["type"] === "Recreate" && isObject(strategy["rollingUpdate"])) {
    causes.push(forbidden(path, "may not be specified when strategy `type` is 'Recreate'"));
  }
  if (strategy["type"] === "RollingUpdate") {
    const { maxSurge, maxUnavailable } = objectAt(strategy, "rollingUpdate");
    causes.push(...checkIntOrPercent(maxSurge, `${path}.maxSurge`));
    causes.push(...checkIntOrPercent(maxUnavailable, `${path}.maxUnavailable`));
    if (isNothing(maxSurge) && isNothing(maxUnavailable)) {
      causes.push(invalid(`${path}.maxUnavailable`, maxUnavailable, "may not be 0 when `maxSurge` is 0"));
    }
  }
  const { progressDeadlineSeconds: deadline, minReadySeconds: ready } = objectAt(object, "spec");
  if (typeof deadline === "number" && deadline <= (typeof ready === "number" ? ready : 0)) {
    causes.push(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"));
  }
  return causes;
};

export const checkReplicaSet = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] =>
  checkWorkload(object, old, { noun: "ReplicaSet", fixed: ["selector"] });

export const checkDaemonSet = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] => {
  const causes = checkWorkload(object, old, { noun: "daemonset", fixed: ["selector"], isChangeFirst: true });
  const path = "spec.updateStrategy.rollingUpdate";
  const strategy = objectAt(object, "spec", "updateStrategy");
  if (!["RollingUpdate", "OnDelete"].includes(textAt(strategy, "type"))) {
    causes.push(unsupported("spec.updateStrategy", shownStrategy(strategy), ["RollingUpdate", "OnDelete"]));
  }
  if (strategy["type"] !== "RollingUpdate") return causes;
  const { maxSurge, maxUnavailable } = objectAt(strategy, "rollingUpdate");
  causes.push(...checkIntOrPercent(maxSurge, `${path}.maxSurge`));
  causes.push(...checkIntOrPercent(maxUnavailable, `${path}.maxUnavailable`));
  if (isNothing(maxSurge) && isNothing(maxUnavailable))
    causes.push(required(`${path}.maxUnavailable`, "cannot be 0 when maxSurge is 0"));
  if (!isNothing(maxSurge) && !isNothing(maxUnavailable)) {
    causes.push(invalid(`${path}.maxSurge`, maxSurge, "may not be set when maxUnavailable is non-zero"));
  }
  return causes;
};

const statefulFixed = ["selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"];
const statefulDetail =
  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', " +
  "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

export const checkStatefulSet = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] => {
  const causes = checkWorkload(object, old, { noun: "statefulset", fixed: [] });
  const management = textAt(object, "spec", "podManagementPolicy");
  if (!["OrderedReady", "Parallel"].includes(management)) {
    causes.push(invalid("spec.podManagementPolicy", management, "must be 'OrderedReady' or 'Parallel'"));
  }
  const strategy = objectAt(object, "spec", "updateStrategy");
  if (!["RollingUpdate", "OnDelete"].includes(textAt(strategy, "type"))) {
    causes.push(invalid("spec.updateStrategy", shownStrategy(strategy), "must be 'RollingUpdate' or 'OnDelete'"));
  }
  if (old === undefined) return causes;
  const isChanged = statefulFixed.some(
    (field) => !isEqualJson(valueAt(object, "spec", field), valueAt(old, "spec", field)),
  );
  return isChanged ? [...causes, forbidden("spec", statefulDetail)] : causes;
};

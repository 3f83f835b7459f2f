/** Defaults and rules of pods and of the pod templates of workloads. */
import type { AnyObject } from "../../../../core/api/kube.ts";
import type { Cause } from "../../kind.ts";
import { volumeSources } from "../builtin/pod-volumes.ts";
import { duplicate, forbidden, invalid, notFound, required, unsupported } from "../causes.ts";
import { quantityNumber } from "../quantity.ts";
import {
  ensureObject,
  isEqualJson,
  isObject,
  type JsonObject,
  listAt,
  numberAt,
  objectAt,
  objectsAt,
  setIfAbsent,
  textAt,
  valueAt,
} from "../json.ts";
import { checkLabels, nameProblem } from "../names.ts";

const containerLists = ["initContainers", "containers", "ephemeralContainers"] as const;

/** Admission (service account, tolerations, first status) is the work of the verbs. */
export const fillPodDefaults = (object: AnyObject): void => {
  const spec = ensureObject(object, "spec");
  fillPodSpecDefaults(spec);
  setIfAbsent(spec, "enableServiceLinks", true);
  if (numberAt(spec, "terminationGracePeriodSeconds") < 0) spec["terminationGracePeriodSeconds"] = 1;
  for (const name of ["initContainers", "containers"]) {
    for (const container of objectsAt(spec, name)) requestLimits(container);
  }
};

/** What is limited is asked for as well, unless the pod says otherwise. */
const requestLimits = (container: JsonObject): void => {
  const limits = objectAt(container, "resources", "limits");
  if (Object.keys(limits).length === 0) return;
  const requests = ensureObject(ensureObject(container, "resources"), "requests");
  for (const [name, value] of Object.entries(limits)) setIfAbsent(requests, name, value);
};

/** What holds for a pod and for a template alike. */
export const fillPodSpecDefaults = (spec: JsonObject): void => {
  for (const name of containerLists) {
    for (const container of objectsAt(spec, name)) fillContainerDefaults(container, spec["hostNetwork"] === true);
  }
  for (const volume of objectsAt(spec, "volumes")) {
    if (!volumeSources.some((source) => volume[source] !== undefined)) volume["emptyDir"] = {};
  }
  const account = textAt(spec, "serviceAccountName") || textAt(spec, "serviceAccount");
  if (account !== "") {
    spec["serviceAccountName"] = account;
    spec["serviceAccount"] = account;
  }
};

const fillContainerDefaults = (container: JsonObject, isHostNetwork: boolean): void => {
  if (textAt(container, "imagePullPolicy") === "") {
    container["imagePullPolicy"] = pullPolicyOf(textAt(container, "image"));
  }
  for (const variable of objectsAt(container, "env")) {
    const from = valueAt(variable, "valueFrom", "resourceFieldRef");
    if (isObject(from)) setIfAbsent(from, "divisor", "0");
  }
  if (!isHostNetwork) return;
  for (const port of objectsAt(container, "ports")) setIfAbsent(port, "hostPort", port["containerPort"]);
};

/** `latest` and no tag are pulled every time. */
const pullPolicyOf = (image: string): string => {
  if (image.includes("@")) return "IfNotPresent";
  const last = image.slice(image.lastIndexOf("/") + 1);
  const tag = last.includes(":") ? last.slice(last.indexOf(":") + 1) : "latest";
  return tag === "latest" ? "Always" : "IfNotPresent";
};

export const checkPod = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] => {
  const causes = checkPodSpec(objectAt(object, "spec"), "spec");
  if (old !== undefined) causes.push(...checkPodChange(objectAt(object, "spec"), objectAt(old, "spec")));
  return causes;
};

/** A template: its labels and its spec. */
export const checkTemplate = (template: unknown, path: string): Cause[] => [
  ...checkLabels(objectAt(template, "metadata", "labels"), `${path}.metadata.labels`),
  ...checkPodSpec(objectAt(template, "spec"), `${path}.spec`),
];

const checkPodSpec = (spec: JsonObject, path: string): Cause[] => {
  const causes: Cause[] = [];
  if (listAt(spec, "containers").length === 0 && Array.isArray(spec["containers"])) {
    causes.push(required(`${path}.containers`));
  }
  const volumes = new Set<string>();
  objectsAt(spec, "volumes").forEach((volume, index) => {
    volumes.add(textAt(volume, "name"));
    causes.push(...checkVolume(volume, `${path}.volumes[${index}]`));
  });
  for (const claim of objectsAt(spec, "volumeClaimTemplates")) volumes.add(textAt(claim, "metadata", "name"));
  const hostname = textAt(spec, "hostname");
  const problem = hostname === "" ? undefined : nameProblem(hostname, "label");
  if (problem !== undefined) causes.push(invalid(`${path}.hostname`, hostname, problem));
  objectsAt(spec, "tolerations").forEach((toleration, index) => {
    const operator = textAt(toleration, "operator");
    if (["", "Equal", "Exists"].includes(operator)) return;
    causes.push(unsupported(`${path}.tolerations[${index}].operator`, operator, ["Equal", "Exists"]));
  });
  const names = new Set<string>();
  for (const list of containerLists) {
    objectsAt(spec, list).forEach((container, index) => {
      const at = `${path}.${list}[${index}]`;
      const name = textAt(container, "name");
      // Within one list the schema finds duplicates already.
      if (names.has(name) && list !== "containers") causes.push(duplicate(`${at}.name`, name));
      names.add(name);
      causes.push(...checkContainer(container, at, volumes));
    });
  }
  return causes;
};

const checkVolume = (volume: JsonObject, path: string): Cause[] => {
  const causes: Cause[] = [];
  const name = textAt(volume, "name");
  const problem = name === "" ? undefined : nameProblem(name, "label");
  if (problem !== undefined) causes.push(invalid(`${path}.name`, name, problem));
  const used = volumeSources.filter((source) => volume[source] !== undefined);
  for (const extra of used.slice(1)) {
    causes.push(forbidden(`${path}.${extra}`, "may not specify more than 1 volume type"));
  }
  return causes;
};

const checkContainer = (container: JsonObject, path: string, volumes: ReadonlySet<string>): Cause[] => {
  const causes: Cause[] = [];
  const name = textAt(container, "name");
  const problem = name === "" ? undefined : nameProblem(name, "label");
  if (problem !== undefined) causes.push(invalid(`${path}.name`, name, problem));
  const image = textAt(container, "image");
  if (image === "" && (container["image"] ?? "") === "") causes.push(required(`${path}.image`));
  else if (image !== image.trim())
    causes.push(invalid(`${path}.image`, image, "must not have leading or trailing whitespace"));
  objectsAt(container, "volumeMounts").forEach((mount, index) => {
    const volume = textAt(mount, "name");
    if (volume !== "" && !volumes.has(volume)) {
      causes.push(notFound(`${path}.volumeMounts[${index}].name`, volume));
    }
  });
  causes.push(...checkEnvironment(container, path), ...checkRequests(container, path));
  const portNames = new Set<string>();
  objectsAt(container, "ports").forEach((port, index) => {
    const portName = textAt(port, "name");
    const at = `${path}.ports[${index}].name`;
    causes.push(...checkPortNumber(port, `${path}.ports[${index}].containerPort`));
    if (portName === "") return;
    if (portNames.has(portName)) causes.push(duplicate(at, portName));
    portNames.add(portName);
    causes.push(...checkPortName(portName, at));
  });
  for (const probe of ["livenessProbe", "readinessProbe", "startupProbe"]) {
    if (isObject(container[probe])) causes.push(...checkProbe(objectAt(container, probe), `${path}.${probe}`, probe));
  }
  return causes;
};

const checkPortNumber = (port: JsonObject, path: string): Cause[] => {
  const number = port["containerPort"];
  if (number === 0) return [required(path)];
  const isFine = typeof number !== "number" || (number >= 1 && number <= 65_535);
  return isFine ? [] : [invalid(path, number, "must be between 1 and 65535, inclusive")];
};

/** Fields of a pod that a variable of its environment can take. */
const environmentFields =
  /^(metadata\.(name|namespace|uid|(labels|annotations)\['.+'\])|spec\.(nodeName|serviceAccountName)|status\.(hostIP|hostIPs|podIP|podIPs))$/;

const checkEnvironment = (container: JsonObject, path: string): Cause[] =>
  objectsAt(container, "env").flatMap((variable, index) => {
    const at = `${path}.env[${index}].valueFrom`;
    if (!isObject(variable["valueFrom"])) return [];
    if (textAt(variable, "value") !== "") return [invalid(at, "", "may not be specified when `value` is not empty")];
    const field = textAt(variable, "valueFrom", "fieldRef", "fieldPath");
    if (field === "" || environmentFields.test(field)) return [];
    const detail = `error converting fieldPath: field label not supported: ${field}`;
    return [invalid(`${at}.fieldRef.fieldPath`, field, detail)];
  });

const checkRequests = (container: JsonObject, path: string): Cause[] => {
  const limits = objectAt(container, "resources", "limits");
  return Object.entries(objectAt(container, "resources", "requests")).flatMap(([name, request]) => {
    const limit = limits[name];
    if (limit === undefined || quantityNumber(request) <= quantityNumber(limit)) return [];
    const detail = `must be less than or equal to ${name} limit of ${typeof limit === "string" ? limit : JSON.stringify(limit)}`;
    return [invalid(`${path}.resources.requests`, request, detail)];
  });
};

export const checkPortName = (name: string, path: string): Cause[] => {
  if (name.length > 15) return [invalid(path, name, "must be no more than 15 characters")];
  const isFine = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name) && /[a-z]/.test(name) && !name.includes("--");
  return isFine
    ? []
    : [
        invalid(
          path,
          name,
          "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), with at least one letter",
        ),
      ];
};

const checkProbe = (probe: JsonObject, path: string, name: string): Cause[] => {
  const causes: Cause[] = [];
  const used = ["exec", "httpGet", "tcpSocket", "grpc"].filter((handler) => probe[handler] !== undefined);
  if (used.length === 0) causes.push(required(path, "must specify a handler type"));
  for (const extra of used.slice(1)) {
    causes.push(forbidden(`${path}.${extra}`, "may not specify more than 1 handler type"));
  }
  const successes = valueAt(probe, "successThreshold");
  if (name !== "readinessProbe" && successes !== undefined && successes !== 1) {
    causes.push(invalid(`${path}.successThreshold`, successes, "must be 1"));
  }
  return causes;
};

const changeDetail =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`," +
  "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)," +
  "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/** Most of a pod is fixed at creation; what may change is taken out before the comparison. */
const checkPodChange = (spec: JsonObject, old: JsonObject): Cause[] => {
  const fixed = (source: JsonObject): JsonObject => {
    const copy = structuredClone(source);
    for (const list of ["containers", "initContainers"]) {
      for (const container of objectsAt(copy, list)) {
        delete container["image"];
        delete container["resources"];
      }
    }
    for (const field of ["activeDeadlineSeconds", "tolerations", "ephemeralContainers", "schedulingGates"]) {
      delete copy[field];
    }
    // Binding sets the node of a pod that has none.
    if (textAt(old, "nodeName") === "") delete copy["nodeName"];
    return copy;
  };
  const causes = isEqualJson(fixed(spec), fixed(old)) ? [] : [forbidden("spec", changeDetail)];
  const lost = objectsAt(old, "ephemeralContainers").filter(
    (before) => !objectsAt(spec, "ephemeralContainers").some((after) => after["name"] === before["name"]),
  );
  if (lost.length > 0) {
    causes.push(
      forbidden(
        "spec.ephemeralContainers",
        `existing ephemeral containers ${JSON.stringify(textAt(lost[0], "name"))} may not be removed`,
      ),
    );
  }
  return causes;
};

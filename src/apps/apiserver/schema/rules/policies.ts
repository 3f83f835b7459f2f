/** Rules of the kinds on which nothing in the sandbox acts; they are checked all the same, as a real cluster would. */
import type { AnyObject } from "../../../../core/api/kube.ts";
import { isIp, parseCidr } from "../../../../core/api/ip.ts";
import type { Cause } from "../../kind.ts";
import { invalid, required, unsupported } from "../causes.ts";
import { isObject, type JsonObject, listAt, numberAt, objectAt, objectsAt, textAt, valueAt } from "../json.ts";

const cidrDetail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const pathTypes = ["Exact", "ImplementationSpecific", "Prefix"];

export const checkIngress = (object: AnyObject): readonly Cause[] => {
  const spec = objectAt(object, "spec");
  const rules = objectsAt(spec, "rules");
  const causes: Cause[] = [];
  if (rules.length === 0 && spec["defaultBackend"] === undefined) {
    causes.push(invalid("spec", undefined, "either `defaultBackend` or `rules` must be specified"));
  }
  if (isObject(spec["defaultBackend"])) causes.push(...checkBackend(spec["defaultBackend"], "spec.defaultBackend"));
  rules.forEach((rule, index) => {
    const at = `spec.rules[${index}]`;
    const host = textAt(rule, "host");
    if (isIp(host)) causes.push(invalid(`${at}.host`, host, "must be a DNS name, not an IP address"));
    objectsAt(rule, "http", "paths").forEach((path, position) => {
      causes.push(...checkIngressPath(path, `${at}.http.paths[${position}]`));
    });
  });
  return causes;
};

const checkIngressPath = (path: JsonObject, at: string): Cause[] => {
  const causes: Cause[] = [];
  const type = textAt(path, "pathType");
  if (type === "") causes.push(required(`${at}.pathType`, "pathType must be specified"));
  else if (!pathTypes.includes(type)) causes.push(unsupported(`${at}.pathType`, type, pathTypes));
  const text = textAt(path, "path");
  if ((type === "Exact" || type === "Prefix" || text !== "") && pathTypes.includes(type) && !text.startsWith("/")) {
    causes.push(invalid(`${at}.path`, text, "must be an absolute path"));
  }
  if (isObject(path["backend"])) causes.push(...checkBackend(path["backend"], `${at}.backend`));
  return causes;
};

const checkBackend = (backend: JsonObject, at: string): Cause[] => {
  const port = objectAt(backend, "service", "port");
  const lacksPort = textAt(port, "name") === "" && numberAt(port, "number") === 0;
  return isObject(backend["service"]) && lacksPort ? [required(at, "port name or number is required")] : [];
};

export const checkIngressClass = (object: AnyObject): readonly Cause[] => {
  const controller = textAt(object, "spec", "controller");
  if (controller === "") return [required("spec.controller")];
  const isPath = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\/.+$/.test(controller);
  const detail = 'must be a domain-prefixed path (such as "acme.io/foo")';
  return isPath ? [] : [invalid("spec.controller", controller, detail)];
};

export const checkPeers = (object: AnyObject): readonly Cause[] => {
  const causes: Cause[] = [];
  const directions = [
    ["ingress", "from"],
    ["egress", "to"],
  ] as const;
  for (const [direction, side] of directions) {
    objectsAt(object, "spec", direction).forEach((rule, index) => {
      objectsAt(rule, side).forEach((peer, position) => {
        const at = `spec.${direction}[${index}].${side}[${position}]`;
        if (Object.keys(peer).length === 0) causes.push(required(at, "must specify a peer"));
        const cidr = valueAt(peer, "ipBlock", "cidr");
        if (typeof cidr === "string" && cidr !== "" && (!cidr.includes("/") || parseCidr(cidr) === undefined)) {
          causes.push(invalid(`${at}.ipBlock.cidr`, cidr, cidrDetail));
        }
      });
    });
  }
  const types = listAt(object, "spec", "policyTypes");
  types.forEach((type, index) => {
    if (type !== "Ingress" && type !== "Egress") {
      causes.push(unsupported(`spec.policyTypes[${index}]`, type, ["Ingress", "Egress"]));
    }
  });
  return causes;
};

export const checkBudget = (object: AnyObject): readonly Cause[] => {
  const spec = objectAt(object, "spec");
  const causes: Cause[] = [];
  if (spec["minAvailable"] !== undefined && spec["maxUnavailable"] !== undefined) {
    const shown = {
      MinAvailable: spec["minAvailable"],
      Selector: spec["selector"] ?? null,
      MaxUnavailable: spec["maxUnavailable"],
      UnhealthyPodEvictionPolicy: spec["unhealthyPodEvictionPolicy"] ?? null,
    };
    causes.push(invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set"));
  }
  for (const field of ["minAvailable", "maxUnavailable"]) {
    const value = spec[field];
    const at = `spec.${field}`;
    if (typeof value === "number" && value < 0) causes.push(invalid(at, value, "must be greater than or equal to 0"));
    if (typeof value !== "string") continue;
    const percent = /^(\d+)%$/.exec(value)?.[1];
    if (percent === undefined) causes.push(invalid(at, value, percentDetail));
    else if (Number(percent) > 100) causes.push(invalid(at, value, "must not be greater than 100%"));
  }
  return causes;
};

const percentDetail =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used " +
  "for validation is '[0-9]+%')";

export const checkPolicy = (object: AnyObject): readonly Cause[] => {
  const spec = objectAt(object, "spec");
  const causes: Cause[] = [];
  if (!isObject(spec["matchConstraints"])) causes.push(required("spec.matchConstraints"));
  if (listAt(spec, "validations").length === 0 && listAt(spec, "auditAnnotations").length === 0) {
    const detail = "validations or auditAnnotations must contain at least one item";
    causes.push(required("spec.validations", detail), required("spec.auditAnnotations", detail));
  }
  return causes;
};

export const checkPolicyBinding = (object: AnyObject): readonly Cause[] =>
  textAt(object, "spec", "policyName") === "" ? [required("spec.policyName")] : [];

export const checkWebhooks = (object: AnyObject): readonly Cause[] =>
  objectsAt(object, "webhooks").flatMap((webhook, index) => {
    const at = `webhooks[${index}]`;
    const causes: Cause[] = [];
    if (textAt(webhook, "sideEffects") === "") {
      causes.push(required(`${at}.sideEffects`, "must specify one of None, NoneOnDryRun"));
    }
    if (listAt(webhook, "admissionReviewVersions").length === 0) {
      causes.push(required(`${at}.admissionReviewVersions`, "must specify one of v1, v1beta1"));
    }
    const url = textAt(webhook, "clientConfig", "url");
    const scheme = url.split(":")[0] ?? "";
    if (url !== "" && scheme !== "https") {
      const detail = "'https' is the only allowed URL scheme; desired format: https://host[/path]";
      causes.push(invalid(`${at}.clientConfig.url`, scheme, detail));
    }
    return causes;
  });

/** Rules of Roles and ClusterRoles. */
export const checkRules = (object: AnyObject): readonly Cause[] =>
  objectsAt(object, "rules").flatMap((rule, index) => {
    const at = `rules[${index}]`;
    const causes: Cause[] = [];
    const urls = listAt(rule, "nonResourceURLs");
    const hasResources = ["apiGroups", "resources", "resourceNames"].some((name) => listAt(rule, name).length > 0);
    if (listAt(rule, "verbs").length === 0) {
      causes.push(required(`${at}.verbs`, "verbs must contain at least one value"));
    }
    if (urls.length > 0) {
      const field = `${at}.nonResourceURLs`;
      const isNamespaced = object.kind === "Role";
      if (isNamespaced) causes.push(invalid(field, urls, "namespaced rules cannot apply to non-resource URLs"));
      if (hasResources) {
        causes.push(invalid(field, urls, "rules cannot apply to both regular resources and non-resource URLs"));
      }
      return causes;
    }
    if (listAt(rule, "apiGroups").length === 0) {
      causes.push(required(`${at}.apiGroups`, "resource rules must supply at least one api group"));
    }
    if (listAt(rule, "resources").length === 0) {
      causes.push(required(`${at}.resources`, "resource rules must supply at least one resource"));
    }
    return causes;
  });
